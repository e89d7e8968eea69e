// Package exchange carries tasks and rankings between files and the labeling
// database: what is to be ranked and rankings made elsewhere come in, rankings go
// out with a manifest. It turns the common form of package dataset, which knows
// every format, into that of package storage and back, and says in numbers what
// either cannot hold. It prints nothing.
package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rlhf/internal/dataset"
	"rlhf/storage"
)

// Loss is something that was not kept, and of how many records.
type Loss struct {
	What  string `json:"what"`
	Count int    `json:"count"`
}

// losses counts what was not kept by what it was.
type losses map[string]int

func (l losses) list() (out []Loss) {
	for _, what := range slices.Sorted(maps.Keys(l)) {
		out = append(out, Loss{what, l[what]})
	}
	return out
}

// What the database does not hold of a ranking.
const (
	lostFineTimes = "times finer than a millisecond"
	lostEpoch     = "times that are the first millisecond of 1970, which stands for none"
	lostSampling  = "sampling settings that are no JSON object"
	lostNoFlags   = "empty lists of flags"
	lostNoMeta    = "empty other fields"
)

// maxName is the longest name of a labeler, in characters.
const maxName = 200

// Stored turns a ranking of a file into the database's. It returns what of it the database does not hold, or an error for
// one that it cannot hold at all.
func Stored(r dataset.Ranking) (out storage.Ranking, lost []string, err error) {
	if k := len(r.Completions); k < storage.MinK || k > storage.MaxK {
		return out, nil, fmt.Errorf("%d completions, expected %d to %d", k, storage.MinK, storage.MaxK)
	}
	if err := storage.CheckRanks(r.Ranks, len(r.Completions)); err != nil {
		return out, nil, err
	}
	if n := len([]rune(r.Labeler)); n < 1 || n > maxName {
		return out, nil, fmt.Errorf("field \"labeler\": found a name of %d characters, expected 1 to %d", n, maxName)
	}
	if strings.ContainsRune(r.Labeler, 0) {
		return out, nil, fmt.Errorf("field \"labeler\": found %q, expected a name without a NUL", r.Labeler)
	}
	if r.ActiveMS < 0 || r.WallMS < 0 {
		return out, nil, fmt.Errorf("fields \"active_ms\" and \"wall_ms\": found %d and %d, expected none below 0", r.ActiveMS, r.WallMS)
	}
	out = storage.Ranking{Prompt: r.Prompt, System: r.System, Messages: messages(r.Messages), PromptTokens: r.PromptTokens, Ranks: r.Ranks, Labeler: r.Labeler,
		ActiveMS: r.ActiveMS, WallMS: r.WallMS, Comment: r.Comment, Confidence: r.Confidence, Choice: r.Choice, Guideline: r.Guideline, GroupID: r.GroupID,
		Extra: r.Extra, Shown: r.Shown}
	if !r.CreatedAt.IsZero() {
		out.CreatedAt = r.CreatedAt.Truncate(time.Millisecond).UTC()
		if !out.CreatedAt.Equal(r.CreatedAt) {
			lost = append(lost, lostFineTimes)
		}
		if out.CreatedAt.UnixMilli() == 0 {
			lost, out.CreatedAt = append(lost, lostEpoch), time.Time{}
		}
	}
	if len(r.Flags) > 0 {
		out.Flags = r.Flags
	} else if r.Flags != nil {
		lost = append(lost, lostNoFlags)
	}
	if len(r.Meta) > 0 {
		out.Meta = r.Meta
	} else if r.Meta != nil {
		lost = append(lost, lostNoMeta)
	}
	says := false
	for _, c := range r.Completions {
		kept, whole := storedCompletion(c)
		if !whole {
			lost = append(lost, lostSampling)
		}
		out.Completions = append(out.Completions, kept)
		out.Items = append(out.Items, storage.Item{Score: c.Score, Label: c.Label, Ratings: c.Ratings, Note: c.Note})
		says = says || c.Score != nil || c.Label != nil || c.Ratings != nil || c.Note != ""
	}
	if !says {
		out.Items = nil
	}
	slices.Sort(lost)
	return out, slices.Compact(lost), nil
}

// storedCompletion reports whether the database holds all of a completion that does not belong to the ranking.
func storedCompletion(c dataset.Completion) (out storage.Completion, whole bool) {
	out = storage.Completion{Model: c.Model, Text: c.Text, Messages: messages(c.Messages), External: c.ID, Tokens: c.Tokens, Sampling: c.Sampling}
	if raw := bytes.TrimSpace(c.Sampling); len(raw) > 0 && raw[0] != '{' {
		out.Sampling = nil
		return out, false
	}
	return out, true
}

func messages(list []dataset.Message) (out []storage.Message) {
	for _, m := range list {
		out = append(out, storage.Message(m))
	}
	return out
}

// Fields of dataset.Ranking.Meta that say what only the database knows.
const (
	metaKind     = "task_kind" // of a task that is not a normal one
	metaRevision = "revision"  // of a ranking that was changed
)

// Exchanged turns a ranking of the database into the common form, under the labeler's pseudonym, or under their name if
// names is set. It is the inverse of Stored.
func Exchanged(r storage.Ranking, names bool) dataset.Ranking {
	out := dataset.Ranking{Prompt: r.Prompt, System: r.System, Messages: turns(r.Messages), PromptTokens: r.PromptTokens, Ranks: r.Ranks, Labeler: r.Pseudonym, CreatedAt: r.CreatedAt,
		ActiveMS: r.ActiveMS, WallMS: r.WallMS, Comment: r.Comment, Confidence: r.Confidence, Choice: r.Choice, Flags: r.Flags, Guideline: r.Guideline, GroupID: r.GroupID,
		Extra: r.Extra, Shown: r.Shown, Meta: r.Meta}
	if names {
		out.Labeler = r.Labeler
	}
	says := func(name string, value any) {
		if _, taken := out.Meta[name]; taken {
			return
		}
		raw, _ := json.Marshal(value) // a word or a number always has an encoding
		out.Meta = maps.Clone(out.Meta)
		if out.Meta == nil {
			out.Meta = map[string]json.RawMessage{}
		}
		out.Meta[name] = raw
	}
	if r.Kind != storage.KindNormal && r.Kind != "" {
		says(metaKind, r.Kind)
	}
	if r.Revision > 1 {
		says(metaRevision, r.Revision)
	}
	for k, c := range r.Completions {
		x := dataset.Completion{Model: c.Model, Text: c.Text, Messages: turns(c.Messages), ID: c.External, Tokens: c.Tokens, Sampling: c.Sampling}
		if r.Items != nil {
			i := r.Items[k]
			x.Score, x.Label, x.Ratings, x.Note = i.Score, i.Label, i.Ratings, i.Note
		}
		out.Completions = append(out.Completions, x)
	}
	return out
}

func turns(list []storage.Message) (out []dataset.Message) {
	for _, m := range list {
		out = append(out, dataset.Message(m))
	}
	return out
}
