package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"
)

// Ranking is one labeler's judgement of the completions of a prompt: ranks with
// ties, and beside them scores, ratings and labels where there are any. It is the
// common form that every preference format is read into and written from. Its JSON
// is the project's own exchange format, one object a line; it keeps all of this,
// which pairs of chosen and rejected cannot.
type Ranking struct {
	Prompt       string                     `json:"prompt"`             // text the completions answer; of a conversation its Transcript
	Messages     []Message                  `json:"messages,omitempty"` // the conversation the completions answer; nil for a plain prompt
	System       string                     `json:"system,omitempty"`   // instruction above a plain prompt; a conversation holds its own
	PromptTokens []int32                    `json:"prompt_tokens,omitempty"`
	Completions  []Completion               `json:"completions"`
	Ranks        []int                      `json:"ranks"`            // of the completions; 1 is best, equal ranks are a tie
	Choice       bool                       `json:"choice,omitempty"` // the best of K was chosen, and the rest not compared with one another
	Labeler      string                     `json:"labeler"`          // pseudonym; Imported where the file names none
	GroupID      string                     `json:"group_id,omitempty"`
	CreatedAt    time.Time                  `json:"created_at,omitzero"`
	ActiveMS     int64                      `json:"active_ms,omitempty"` // with the page in view and in use
	WallMS       int64                      `json:"wall_ms,omitempty"`   // from shown to sent
	Comment      string                     `json:"comment,omitempty"`
	Flags        []string                   `json:"flags,omitempty"`      // "both_bad", "not_rankable" and whatever the labeler's page offers
	Confidence   *float64                   `json:"confidence,omitempty"` // on the source's scale; nil if not asked
	Guideline    string                     `json:"guideline,omitempty"`  // version of the instructions the labeler followed
	Extra        bool                       `json:"extra,omitempty"`
	Shown        []int                      `json:"shown,omitempty"` // completions in the order the labeler saw them
	Meta         map[string]json.RawMessage `json:"meta,omitempty"`  // fields of the source that the common form has no place for

	part *part // the pair of a larger ranking that this is, until the others have been read
}

// Imported is the labeler of a ranking whose file names none.
const Imported = "imported"

// Flags with a meaning of their own.
const (
	BothBad     = "both_bad"     // the arena's tie of two bad answers
	NotRankable = "not_rankable" // Open-Assistant's: every answer is flawed
)

// readOwnOrPair reads a record of the own format, or of TRL's among them.
func readOwnOrPair(o object) (Ranking, error) {
	if o.has("chosen") && !o.has("completions") {
		return readTRL(o)
	}
	return readOwn(o)
}

// readOwn reads a record of the project's own format.
func readOwn(o object) (r Ranking, err error) {
	if _, ok := o["messages"]; ok {
		r.Messages, err = conversationField(o, "messages")
	}
	if _, ok := o["prompt"]; err == nil && (ok || r.Messages == nil) {
		r.Prompt, err = field[string](o, "prompt")
	} else {
		r.Prompt = Transcript(r.Messages)
	}
	if err != nil {
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
	if r.Labeler == "" {
		return r, errors.New(`field "labeler": found "", expected a name`)
	}
	if r.PromptTokens, err = optional[[]int32](o, "prompt_tokens"); err != nil {
		return r, err
	}
	if r.Meta, err = optional[map[string]json.RawMessage](o, "meta"); err != nil {
		return r, err
	}
	for name, to := range r.columns() {
		if raw, ok := o[name]; ok && !isNull(raw) && json.Unmarshal(raw, to) != nil {
			return r, fmt.Errorf("field %q: found %s, expected %s", name, short(raw), expected(reflect.ValueOf(to).Elem().Interface()))
		}
	}
	columns := slices.Collect(maps.Keys(r.columns()))
	r.carry(o, append(columns, "prompt", "messages", "prompt_tokens", "completions", "ranks", "meta")...)
	return r, nil
}

// maxCompletions bounds K of a ranking read: K choose 2 pairs stand in one batch element of the reward model.
const maxCompletions = 64

// check returns an error that names the field of a ranking that does not hold together.
func (r Ranking) check() error {
	if err := r.checkCompletions(); err != nil {
		return err
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
	if r.Confidence != nil && (math.IsNaN(*r.Confidence) || math.IsInf(*r.Confidence, 0)) {
		return fmt.Errorf("field \"confidence\": found %v, expected a finite number", *r.Confidence)
	}
	if r.Shown != nil {
		sorted := slices.Sorted(slices.Values(r.Shown))
		for i, at := range sorted {
			if at != i || len(sorted) != len(r.Completions) {
				return fmt.Errorf("field \"shown\": found %v, expected each of 0 to %d once", r.Shown, len(r.Completions)-1)
			}
		}
		if len(sorted) != len(r.Completions) {
			return fmt.Errorf("field \"shown\": found %v, expected each of 0 to %d once", r.Shown, len(r.Completions)-1)
		}
	}
	return nil
}

func (r Ranking) checkCompletions() error {
	k := len(r.Completions)
	if k == 1 && !r.Completions[0].judged() {
		return fmt.Errorf("field \"completions\": found 1 without a label, a score or ratings, expected 2 to %d", maxCompletions)
	}
	if k < 1 || k > maxCompletions {
		return fmt.Errorf("field \"completions\": found %d, expected 2 to %d", k, maxCompletions)
	}
	return nil
}

// tied reports whether two completions share a rank.
func (r Ranking) tied() bool {
	return len(slices.Compact(slices.Sorted(slices.Values(r.Ranks)))) < len(r.Ranks)
}

// WriteRanking writes one line of the project's own format.
func WriteRanking(w io.Writer, r Ranking) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// readRest reads the fields of a completion of the own format beside its text and model.
func (c *Completion) readRest(o object) (err error) {
	if c.Tokens, err = optional[[]int32](o, "tokens"); err != nil {
		return err
	}
	if c.Sampling, err = optional[json.RawMessage](o, "sampling"); err != nil {
		return err
	}
	if kind := o.kind("messages"); kind != "missing" && kind != "null" {
		if c.Messages, err = conversationField(o, "messages"); err != nil {
			return err
		}
	}
	if c.ID, err = optional[string](o, "id"); err != nil {
		return err
	}
	if c.Score, err = optional[*float64](o, "score"); err != nil {
		return err
	}
	if c.Label, err = optional[*bool](o, "label"); err != nil {
		return err
	}
	if c.Ratings, err = optional[map[string]float64](o, "ratings"); err != nil {
		return err
	}
	c.Note, err = optional[string](o, "note")
	return err
}

// judged reports whether a completion says how good it is without any other.
func (c Completion) judged() bool { return c.Label != nil || c.Score != nil || len(c.Ratings) > 0 }
