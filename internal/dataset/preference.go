package dataset

import "iter"

// preferenceFormats returns the formats of preferences.
func preferenceFormats() []Format {
	return []Format{
		{
			Name: "rankings", About: `the project's own: {"prompt", "completions": [{"model", "text"}], "ranks", "labeler", …}, ties and order kept`, Extensions: jsonExtensions,
			Detect: func(s Sample) bool {
				return s.Object.has("prompt") && (s.Object.has("completions", "ranks") || s.Object.has("chosen", "rejected"))
			},
			Rankings: func(_ Options, f *File) iter.Seq2[Ranking, error] { return record1(f, parseRanking) },
		},
	}
}
