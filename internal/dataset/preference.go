package dataset

import (
	"bytes"
	"io"
	"iter"
	"slices"
	"strings"
)

// preference is a format of preferences, of which preferenceFormats makes a Format.
type preference struct {
	name, about string
	extensions  []string // jsonExtensions if nil
	is          func(Sample) bool
	gather      func(*File, iter.Seq2[located, error]) iter.Seq2[located, error] // makes records of what a file lists; nil if those are records
	read        func(noting, object) ([]Ranking, error)                          // of one record
	stream      func(Options, *File) iter.Seq2[Ranking, error]                   // of a file that is not a list of records
	grouped     bool                                                             // the rows of a ranking that was written as pairs are put together again
	rows        func(Ranking) ([]*fields, error)                                 // the rows of one ranking, a line each
	tasks       func(id int, rankings []Ranking) []*fields                       // the elements of one task, whose rankings follow one another
	ofRanking   []string                                                         // the fields of Meta that tell rankings of a task apart
	array       bool                                                             // the rows are the elements of an array, not lines
	document    func(io.Writer) *comparatorWriter                                // of a file that is one document
	keeps       []Trait                                                          // of a ranking; nil keeps everything
	choices     bool                                                             // a choice of the best of more than two is one record
	doubtful    func(Ranking) bool                                               // reports whether what is written of a ranking may be misread
	doubt       string                                                           // what may be misread then
}

// preferences are the formats, of those that could be meant the one that asks for more first.
func preferences() []preference {
	return slices.Concat(ownPreferences(), toolPreferences(), pairPreferences(), sourcePreferences())
}

func ownPreferences() []preference {
	return []preference{
		{
			name: "rankings", about: `the project's own: {"prompt", "messages"?, "completions": [{"model", "text"}], "ranks": [1, 2, 1], "labeler", …}`,
			is:   func(s Sample) bool { return s.Object.has("completions", "ranks") && !listsIn(s.Object["ranks"]) },
			read: one(readOwnOrPair), rows: func(r Ranking) ([]*fields, error) { return []*fields{{own: &r}}, nil },
		},
		{
			name: "rank-lists", about: `{"prompt", "completions": ["…"], "ranks": [[0], [2, 1]]}: the best first, the tied in one list`,
			is:   func(s Sample) bool { return s.Object.has("completions", "ranks") && listsIn(s.Object["ranks"]) },
			read: one(readRankLists), rows: sure(writeRankLists), keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitLists, traitModels, traitSystem, traitConversations}),
		},
		{
			name: "ai2", about: `AI2's instances, {"prompt", "completions": [{"model", "completion"}]}: what is to be ranked, without its ranks`,
			rows: sure(writeInstances), keeps: []Trait{traitLists, traitModels},
		},
	}
}

func toolPreferences() []preference {
	return []preference{
		{
			name: "openai-comparisons", about: `summarize-from-feedback: {"info", "summaries": [{"text", "policy", "note"}], "choice", "worker", "extra"}`,
			is:   func(s Sample) bool { return s.Object.has("info", "summaries", "choice") },
			read: one(readComparison), rows: sure(writeComparisons), choices: true, keeps: without(slices.Concat(carriedTraits, []Trait{traitModels, traitNotes, traitSystem}), traitExtra),
		},
		{
			name: "openai-axes", about: `summarize-from-feedback's axis_evals: {"info", "summary": {"text", "policy", "note", "axes"}, "worker"}`,
			is:   func(s Sample) bool { return s.Object.has("info", "summary") },
			read: one(readAxes), rows: sure(writeAxes), keeps: slices.Concat(carriedTraits, []Trait{traitModels, traitNotes, traitRatings, traitAlone, traitSystem}),
		},
		{
			name: "label-studio", about: `Label Studio's JSON: {"data": {"prompt", "items"}, "annotations"}; ranker (ties as buckets rank_1, rank_2…), pairwise, rating`,
			is:   func(s Sample) bool { return s.Object.has("data", "annotations") },
			read: readStudio, tasks: func(id int, list []Ranking) []*fields { return []*fields{writeStudio(id, list)} }, ofRanking: studioKeys, array: true,
			keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitLists, traitModels, traitRatings, traitIDs, traitSystem, traitConversations}),
		},
		{
			name: "label-studio-pairwise", about: `label-studio with two texts, "answer1" and "answer2", and a pairwise choice`,
			tasks: writeStudioPairs, ofRanking: []string{""}, array: true, keeps: slices.Concat(carriedTraits, []Trait{traitModels, traitRatings, traitSystem, traitConversations}),
		},
		{
			name: "argilla", about: `Argilla's records: {"fields": {"prompt", "response-1", …}, "responses"} of its server; those of its SDK, nested or flat, are read`,
			is: func(s Sample) bool {
				o := s.Object
				return o.has("fields") && (o.has("responses") || o.has("suggestions")) || o.has("ranking.suggestion") || o.has("ranking.responses")
			},
			read: readArgilla, tasks: func(_ int, list []Ranking) []*fields { return []*fields{writeArgilla(list)} }, ofRanking: argillaKeys, array: true,
			keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitLists, traitModels, traitSystem, traitConversations}),
		},
		{
			name: "oasst", about: `Open-Assistant's trees: {"message_tree_id", "prompt": {"text", "role", "replies": [{"rank"}]}}; a ranking wherever replies are ranked`,
			is: func(s Sample) bool {
				return s.Object.has("message_tree_id", "prompt") || s.Object.has("message_id", "text", "role") || strings.HasSuffix(string(s.Object["prompt"]), "}") && s.Object.has("prompt")
			},
			gather: gatherTrees, read: readTree, rows: writeTrees, keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitLists, traitModels, traitRatings, traitIDs, traitSystem, traitConversations}),
		},
		{
			name: "oasst-groups", about: `groups taken out of trees: {"context": [{"role", "text"}], "replies": [{"text", "rank", "message_id"}]}, rank 0 the best`,
			is:   func(s Sample) bool { return s.Object.has("context", "replies") },
			read: one(readRankedGroup),
		},
		{
			name: "arena", about: `battles of two models: {"model_a", "model_b", "winner": model_a, model_b, tie or tie (bothbad), "judge", "conversation_a", "conversation_b"}`,
			is:   func(s Sample) bool { return s.Object.has("model_a", "model_b", "winner") },
			read: one(readBattle), rows: sure(writeBattles), array: true, keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitModels, traitTurns, traitConversations, traitSystem}),
		},
		{
			name: "pandalm", about: `PandaLM's: {"cmp_key": "model_model", "instruction", "input", "response1", "response2", "annotator1": 1, 2, or 0 for a tie, …}`,
			is:   func(s Sample) bool { return s.Object.has("instruction", "response1", "response2") },
			read: readPanda, rows: sure(writePanda), array: true, keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitModels, traitSystem}),
		},
		{
			name: "llm-comparator", about: `LLM Comparator's file: {"metadata", "models": [two], "examples": [{"input_text", "output_text_a", "output_text_b", "score"}]}`,
			extensions: []string{".json"},
			is:         func(s Sample) bool { return s.Object.has("models") && bytes.Contains(s.Raw, []byte(`"examples"`)) },
			stream:     readComparator, document: func(w io.Writer) *comparatorWriter { return &comparatorWriter{w: w} },
			keeps: slices.Concat(carriedTraits, []Trait{traitTies, traitModels, traitSystem}),
		},
	}
}

// pairTraits are what rows of chosen and rejected keep. Their ties stand in no row, but a ranking that was written as
// all its pairs is read as one again.
var pairTraits = slices.Concat(carriedTraits, []Trait{traitLists, traitModels, traitScores})

func pairPreferences() []preference {
	implicit := func(s Sample) bool { return s.Object.has("chosen", "rejected") && !s.Object.has("prompt") }
	return []preference{
		{
			name: "hh-rlhf", about: `{"chosen", "rejected"}, two transcripts of "\n\nHuman: …\n\nAssistant: …" that share every turn but the last`,
			is: func(s Sample) bool {
				return implicit(s) && strings.HasPrefix(string(s.Object["chosen"]), `"\n\nHuman:`)
			},
			read: one(readTRL), grouped: true, rows: writeHH, keeps: slices.Concat(pairTraits, []Trait{traitSystem}),
			doubtful: marked, doubt: "rankings with a turn's marker inside a completion, which others may take for a turn",
		},
		{
			name: "alpaca-preference", about: `{"instruction", "input", "chosen", "rejected"}: the prompt is the instruction, and after a blank line the input if there is one`,
			is: func(s Sample) bool {
				return s.Object.has("instruction", "chosen", "rejected") && !s.Object.has("prompt")
			},
			read: one(readInstruction), grouped: true, rows: sure(writeInstructions), keeps: slices.Concat(pairTraits, []Trait{traitSystem}),
		},
		{
			name: "trl-unpaired", about: `TRL's unpaired preference, for KTO: {"prompt", "completion", "label": true}, texts or messages`,
			is:   func(s Sample) bool { return s.Object.has("prompt", "completion") && s.Object.kind("label") == "bool" },
			read: one(readUnpaired), rows: sure(writeUnpaired(false)), keeps: slices.Concat(carriedTraits, []Trait{traitModels, traitScores, traitLabels, traitAlone, traitSystem}),
		},
		{
			name: "trl-unpaired-chat", about: `trl-unpaired as messages`,
			rows: sure(writeUnpaired(true)), keeps: slices.Concat(carriedTraits, []Trait{traitModels, traitScores, traitLabels, traitAlone, traitConversations, traitTurns, traitSystem}),
		},
		{
			name: "trl", about: `TRL's preference: {"prompt", "chosen", "rejected"}, texts or messages, or the prompt in both sides`,
			is: func(s Sample) bool {
				return (s.Object.has("chosen") || s.Object.has("rejected")) && (s.Object.has("prompt") || !s.Object.has("instruction"))
			},
			read: one(readTRL), grouped: true, rows: sure(writeTRL), keeps: slices.Concat(pairTraits, []Trait{traitSystem}),
		},
		{
			name: "trl-chat", about: `trl as messages`,
			rows: sure(writeTRLChat), keeps: slices.Concat(pairTraits, []Trait{traitConversations, traitTurns, traitSystem}),
		},
		{
			name: "trl-implicit", about: `trl as two texts that hold the prompt`,
			rows: writeImplicit, keeps: slices.Concat(pairTraits, []Trait{traitSystem}),
		},
		{
			name: "trl-implicit-chat", about: `trl as two conversations that hold the prompt`,
			rows: writeImplicitChat, keeps: slices.Concat(pairTraits, []Trait{traitConversations, traitTurns, traitSystem}),
		},
	}
}

func sourcePreferences() []preference {
	return []preference{
		{
			name: "auto-j", about: `Auto-J's pairwise test data: {"prompt", "response 1", "response 2", "label": 0, 1 or 2 for a tie}`,
			is:   func(s Sample) bool { return s.Object.has("response 1", "response 2", "label") },
			read: one(readAutoJ),
		},
		{
			name: "prometheus-pairs", about: `pairs in prompts to Prometheus's judge: {"chosen_instruction", "rejected_instruction"}`,
			is:   func(s Sample) bool { return s.Object.has("chosen_instruction", "rejected_instruction") },
			read: one(readJudgedPair),
		},
		{
			name: "prometheus-scores", about: `a response in a prompt to Prometheus's judge, with scores: {"instruction", "response_source", "gpt4_score": [3, 2, 3]}`,
			is:   func(s Sample) bool { return s.Object.has("instruction", "gpt4_score") },
			read: one(readJudged),
		},
		{
			name: "truthfulqa", about: "TruthfulQA.csv: the best answer over the other correct ones, and these, tied, over the incorrect", extensions: []string{".csv"},
			is:     isTruthfulQA,
			stream: readTruths,
		},
	}
}

// preferenceFormats returns the formats of preferences.
func preferenceFormats() (out []Format) {
	for _, p := range preferences() {
		f := Format{Name: p.name, About: p.about, Extensions: p.extensions, Detect: p.is}
		if f.Extensions == nil {
			f.Extensions = jsonExtensions
		}
		if f.Detect == nil {
			f.Detect = func(Sample) bool { return false } // another name reads it
		}
		if p.read != nil || p.stream != nil {
			f.Rankings = p.rankings
		}
		if p.written() {
			f.About += "; written with everything"
			if _, loses := Holds(p.name); len(loses) > 0 {
				f.About = p.about + "; written without " + list(loses)
			}
			f.WriteRankings = func(w io.Writer, seq iter.Seq2[Ranking, error]) error {
				return p.write(w, seq, &Written{})
			}
		}
		out = append(out, f)
	}
	return out
}

// written reports whether rankings can be written in the format.
func (p preference) written() bool { return p.rows != nil || p.tasks != nil || p.document != nil }

// list joins names as a sentence does.
func list(names []Trait) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i == 0:
		case i == len(names)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}

// rankings yields those of a file, each checked.
func (p preference) rankings(o Options, f *File) iter.Seq2[Ranking, error] {
	if p.stream != nil {
		return p.stream(o, f)
	}
	if seq := p.records(o, f); p.grouped {
		return regrouped(seq)
	} else {
		return seq
	}
}

// noting reports something that was left out of a record.
type noting func(what string)

func (p preference) records(o Options, f *File) iter.Seq2[Ranking, error] {
	return func(yield func(Ranking, error) bool) {
		objects := f.objects()
		if p.gather != nil {
			objects = p.gather(f, objects)
		}
		for each, err := range objects {
			var list []Ranking
			if err == nil {
				list, err = p.read(func(what string) { o.Report.note(what, 1, f, each.line) }, each.object)
				for i := 0; err == nil && i < len(list); i++ {
					err = list[i].check()
				}
				if err != nil {
					list, err = nil, f.bad(each.line, err)
				}
			}
			if err != nil && !yield(Ranking{}, err) {
				return
			}
			for _, r := range list {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// one reads records that each make a ranking.
func one(read func(object) (Ranking, error)) func(noting, object) ([]Ranking, error) {
	return func(_ noting, o object) ([]Ranking, error) {
		r, err := read(o)
		return []Ranking{r}, err
	}
}

// sure writes what cannot fail.
func sure(rows func(Ranking) []*fields) func(Ranking) ([]*fields, error) {
	return func(r Ranking) ([]*fields, error) { return rows(r), nil }
}

// listsIn reports whether a value is a list of lists.
func listsIn(raw []byte) bool {
	rest, list := bytes.CutPrefix(bytes.TrimSpace(raw), []byte{'['})
	return list && bytes.HasPrefix(bytes.TrimSpace(rest), []byte{'['})
}

// regrouped puts the pairs of a ranking together again where they follow one another.
func regrouped(seq iter.Seq2[Ranking, error]) iter.Seq2[Ranking, error] {
	return func(yield func(Ranking, error) bool) {
		var rows []Ranking
		flush := func() bool {
			list := rows
			rows = nil
			if whole, ok := regroup(list); ok {
				return yield(whole, nil)
			}
			for _, r := range list {
				r.part = nil
				if !yield(r, nil) {
					return false
				}
			}
			return true
		}
		for r, err := range seq {
			joins := err == nil && len(rows) > 0 && r.part != nil && r.GroupID != "" && r.GroupID == rows[0].GroupID &&
				r.Labeler == rows[0].Labeler && r.CreatedAt.Equal(rows[0].CreatedAt) && len(rows) < maxCompletions*maxCompletions/2
			if !joins && !flush() {
				return
			}
			if err != nil {
				if !yield(r, err) {
					return
				}
				continue
			}
			rows = append(rows, r)
		}
		flush()
	}
}
