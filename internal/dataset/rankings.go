package dataset

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// Ranking is one labeler's ranking of the completions of a prompt. Its JSON is
// the project's own exchange format, one object a line; it keeps ties, the order
// shown and the time, which pairs of chosen and rejected cannot.
type Ranking struct {
	Prompt       string       `json:"prompt"`
	PromptTokens []int32      `json:"prompt_tokens,omitempty"`
	Completions  []Completion `json:"completions"`
	Ranks        []int        `json:"ranks"` // of the completions; 1 is best, equal ranks are a tie
	Labeler      string       `json:"labeler"`
	CreatedAt    time.Time    `json:"created_at,omitzero"`
	ActiveMS     int64        `json:"active_ms,omitempty"`
	Comment      string       `json:"comment,omitempty"`
	Extra        bool         `json:"extra,omitempty"`
	Shown        []int        `json:"shown,omitempty"` // completions in the order the labeler saw them
}

// parseRanking parses the project's own format, or TRL's preference format,
// {"prompt": …, "chosen": …, "rejected": …}, whose labeler is "imported".
func parseRanking(o object) (r Ranking, err error) {
	if o.has("chosen") {
		return parsePair(o)
	}
	if r.Prompt, err = field[string](o, "prompt"); err != nil {
		return r, err
	}
	if r.Completions, err = completions(o); err != nil {
		return r, err
	}
	if r.Ranks, err = field[[]int](o, "ranks"); err != nil {
		return r, err
	}
	if r.Labeler, err = field[string](o, "labeler"); err != nil {
		return r, err
	}
	if r.PromptTokens, err = optional[[]int32](o, "prompt_tokens"); err != nil {
		return r, err
	}
	if r.CreatedAt, err = optional[time.Time](o, "created_at"); err != nil {
		return r, err
	}
	if r.ActiveMS, err = optional[int64](o, "active_ms"); err != nil {
		return r, err
	}
	if r.Comment, err = optional[string](o, "comment"); err != nil {
		return r, err
	}
	if r.Extra, err = optional[bool](o, "extra"); err != nil {
		return r, err
	}
	if r.Shown, err = optional[[]int](o, "shown"); err != nil {
		return r, err
	}
	return r, r.check()
}

func parsePair(o object) (r Ranking, err error) {
	var chosen, rejected string
	if r.Prompt, err = field[string](o, "prompt"); err != nil {
		return r, err
	}
	if chosen, err = field[string](o, "chosen"); err != nil {
		return r, err
	}
	if rejected, err = field[string](o, "rejected"); err != nil {
		return r, err
	}
	r.Completions, r.Ranks, r.Labeler = []Completion{{Text: chosen}, {Text: rejected}}, []int{1, 2}, "imported"
	return r, nil
}

// check returns an error that names the field of a ranking that does not hold together.
func (r Ranking) check() error {
	if k := len(r.Completions); k < 2 || k > 9 {
		return fmt.Errorf("field \"completions\": found %d, expected 2 to 9", k)
	}
	if len(r.Ranks) != len(r.Completions) {
		return fmt.Errorf("field \"ranks\": found %d for %d completions", len(r.Ranks), len(r.Completions))
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(r.Ranks)))
	for i, rank := range distinct {
		if rank != i+1 {
			return fmt.Errorf("field \"ranks\": found %v, expected 1 to m without a gap", r.Ranks)
		}
	}
	if r.Labeler == "" {
		return fmt.Errorf("field \"labeler\": found \"\", expected a name")
	}
	if r.Shown != nil {
		sorted := slices.Sorted(slices.Values(r.Shown))
		for i, at := range sorted {
			if at != i || len(sorted) != len(r.Completions) {
				return fmt.Errorf("field \"shown\": found %v, expected each of 0 to %d once", r.Shown, len(r.Completions)-1)
			}
		}
	}
	return nil
}

// WriteRanking writes one line.
func WriteRanking(w io.Writer, r Ranking) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}
