package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// group returns the group of a ranking, prompt and labeler, under which all its pairs stand.
func (r Ranking) group() string {
	if r.GroupID != "" {
		return r.GroupID
	}
	sum := sha256.Sum256([]byte(r.System + "\x00" + r.Prompt + "\x00" + r.Labeler))
	return hex.EncodeToString(sum[:8])
}

// pair is two completions of a ranking by index, the better first.
type pair struct{ chosen, rejected int }

// pairs returns every strictly ordered pair, better completions first. Ties make none.
func (r Ranking) pairs() (out []pair) {
	order := r.byRank()
	for _, i := range order {
		for _, j := range order {
			if r.Ranks[i] < r.Ranks[j] {
				out = append(out, pair{i, j})
			}
		}
	}
	return out
}

// byRank returns the completions from best to worst, tied ones in their order.
func (r Ranking) byRank() []int {
	out := make([]int, len(r.Completions))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(i, j int) int { return r.Ranks[i] - r.Ranks[j] })
	return out
}

// sides returns the fields of a pair's row that say of each side what its text cannot, as far as they are of the type
// that we write; others of these names are somebody else's.
func sides(o object) (out []string) {
	for name, kind := range map[string]string{"chosen_model": "string", "rejected_model": "string", "score_chosen": "number", "score_rejected": "number",
		"chosen_index": "number", "rejected_index": "number", "chosen_rank": "number", "rejected_rank": "number", "chosen_shown": "number", "rejected_shown": "number"} {
		if o.kind(name) == kind {
			out = append(out, name)
		}
	}
	return out
}

// pairColumns adds to a row of chosen and rejected what the sides' texts do not say.
func (r Ranking) pairColumns(o *fields, p pair) {
	r.GroupID = r.group()
	chosen, rejected := r.Completions[p.chosen], r.Completions[p.rejected]
	o.some("chosen_model", chosen.Model)
	o.some("rejected_model", rejected.Model)
	if chosen.Score != nil {
		o.add("score_chosen", chosen.Score)
	}
	if rejected.Score != nil {
		o.add("score_rejected", rejected.Score)
	}
	if len(r.Completions) > 2 || p.chosen != 0 {
		o.add("chosen_index", p.chosen)
		o.add("rejected_index", p.rejected)
		o.add("chosen_rank", r.Ranks[p.chosen])
		o.add("rejected_rank", r.Ranks[p.rejected])
	}
	if r.Shown != nil {
		o.add("chosen_shown", slices.Index(r.Shown, p.chosen))
		o.add("rejected_shown", slices.Index(r.Shown, p.rejected))
	}
	r.carried(o, "shown")
}

// readSides reads what pairColumns wrote beside the two completions, in the order chosen, rejected.
func (r *Ranking) readSides(o object) (err error) {
	for i, side := range []string{"chosen", "rejected"} {
		c := &r.Completions[i]
		if o.kind(side+"_model") == "string" {
			c.Model, _ = field[string](o, side+"_model")
		}
		if o.kind("score_"+side) == "number" {
			score, err := field[float64](o, "score_"+side)
			if err != nil {
				return err
			}
			c.Score = &score
		}
	}
	if o.kind("chosen_shown") == "number" && o.kind("rejected_shown") == "number" {
		first, err := field[int](o, "chosen_shown")
		if err != nil {
			return err
		}
		second, err := field[int](o, "rejected_shown")
		if err != nil {
			return err
		}
		if r.Shown = []int{0, 1}; second < first {
			r.Shown = []int{1, 0}
		}
	}
	if r.part, err = readPart(o); err != nil {
		return err
	}
	return nil
}

// part says which pair of a larger ranking a row is.
type part struct{ index, rank, shown [2]int }

func readPart(o object) (*part, error) {
	for _, name := range []string{"chosen_index", "rejected_index", "chosen_rank", "rejected_rank"} {
		if o.kind(name) != "number" {
			return nil, nil
		}
	}
	p := &part{shown: [2]int{-1, -1}}
	for i, side := range []string{"chosen", "rejected"} {
		var err error
		if p.index[i], err = field[int](o, side+"_index"); err != nil {
			return nil, err
		}
		if p.rank[i], err = field[int](o, side+"_rank"); err != nil {
			return nil, err
		}
		if o.kind(side+"_shown") == "number" {
			if p.shown[i], err = field[int](o, side+"_shown"); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// regroup returns the ranking whose pairs, all of them, the rows are; ok is false when they are not just that, and
// the rows then stand for themselves.
func regroup(rows []Ranking) (out Ranking, ok bool) {
	seen := map[[2]int]bool{}
	k := 0
	for _, r := range rows {
		if r.part == nil || seen[r.part.index] {
			return out, false
		}
		seen[r.part.index] = true
		k = max(k, r.part.index[0]+1, r.part.index[1]+1)
	}
	if k < 2 || k > maxCompletions || min(rows[0].part.index[0], rows[0].part.index[1]) < 0 {
		return out, false
	}
	out = rows[0]
	out.part, out.Shown = nil, nil
	out.Completions, out.Ranks = make([]Completion, k), make([]int, k)
	shown := make([]int, k)
	for _, r := range rows {
		for side, i := range r.part.index {
			if i < 0 || out.Ranks[i] != 0 && (out.Ranks[i] != r.part.rank[side] || out.Completions[i].Text != r.Completions[side].Text) {
				return out, false
			}
			out.Completions[i], out.Ranks[i], shown[i] = r.Completions[side], r.part.rank[side], r.part.shown[side]
		}
	}
	if rows[0].Shown != nil {
		out.Shown = make([]int, k)
		for i := range out.Shown {
			out.Shown[i] = slices.Index(shown, i)
		}
	}
	return out, out.check() == nil && len(out.pairs()) == len(rows)
}

// readTRL reads a row of TRL's preference type, standard or conversational, with the prompt in a field or in both sides,
// and the row of HH-RLHF, whose sides are transcripts.
func readTRL(o object) (r Ranking, err error) {
	switch {
	case o.kind("chosen") == "list":
		err = r.readTurns(o)
	case o.has("prompt"):
		err = r.readTexts(o)
	default:
		err = r.readImplicit(o)
	}
	if err != nil {
		return r, err
	}
	r.Ranks = []int{1, 2}
	if err := r.readSides(o); err != nil {
		return r, err
	}
	r.carry(o, append(sides(o), "prompt", "chosen", "rejected")...)
	return r, nil
}

func (r *Ranking) readTexts(o object) (err error) {
	if o.kind("prompt") == "list" {
		if r.Messages, err = conversationField(o, "prompt"); err != nil {
			return err
		}
		r.Prompt = Transcript(r.Messages)
	} else if r.Prompt, err = field[string](o, "prompt"); err != nil {
		return err
	}
	return r.readBoth(o)
}

func (r *Ranking) readBoth(o object) error {
	chosen, err := field[string](o, "chosen")
	if err != nil {
		return err
	}
	rejected, err := field[string](o, "rejected")
	if err != nil {
		return err
	}
	r.Completions = []Completion{{Text: chosen}, {Text: rejected}}
	return nil
}

// readImplicit splits the sides behind what they share: transcripts at the last assistant's marker that they share, as
// HH-RLHF means it, and other texts where they begin to differ, or at the space before that, as TRL's extract_prompt.
func (r *Ranking) readImplicit(o object) error {
	if err := r.readBoth(o); err != nil {
		return err
	}
	return r.splitSides()
}

func (r *Ranking) splitSides() error {
	chosen, rejected := r.Completions[0].Text, r.Completions[1].Text
	if isTranscript(chosen) && isTranscript(rejected) {
		n, err := splitTranscripts(chosen, rejected)
		if err != nil {
			return err
		}
		r.split(n)
		return nil
	}
	n := commonPrefix(chosen, rejected)
	if n == len(chosen) && n == len(rejected) {
		return errors.New(`fields "chosen" and "rejected": found the same text, expected texts that differ behind their prompt`)
	}
	if n > 0 && chosen[n-1] == ' ' {
		n--
	}
	r.split(n)
	return nil
}

func (r *Ranking) split(n int) {
	r.Prompt = r.Completions[0].Text[:n]
	for i := range r.Completions {
		r.Completions[i].Text = r.Completions[i].Text[n:]
	}
}

// isTranscript reports whether a text is one of HH-RLHF's dialogues.
func isTranscript(text string) bool {
	return strings.HasPrefix(text, humanMarker) && strings.Contains(text, assistantMarker)
}

// splitTranscripts returns where the last assistant's marker that both share ends.
func splitTranscripts(chosen, rejected string) (int, error) {
	n := strings.LastIndex(chosen[:commonPrefix(chosen, rejected)], assistantMarker)
	if n < 0 {
		return 0, fmt.Errorf("fields \"chosen\" and \"rejected\": found dialogues that share no %q, expected the same turns but for the last", assistantMarker)
	}
	return n + len(assistantMarker), nil
}

// commonPrefix returns the length of what two texts share at their beginning, in whole characters.
func commonPrefix(a, b string) (n int) {
	for i, c := range a {
		if !strings.HasPrefix(b[i:], string(c)) {
			return i
		}
		n = i + len(string(c))
	}
	return n
}

func (r *Ranking) readTurns(o object) error {
	chosen, err := conversationField(o, "chosen")
	if err != nil {
		return err
	}
	rejected, err := conversationField(o, "rejected")
	if err != nil {
		return err
	}
	if o.kind("prompt") == "list" {
		if r.Messages, err = conversationField(o, "prompt"); err != nil {
			return err
		}
	} else {
		// A prompt that is text repeats the first message, as in UltraFeedback's binarized set.
		n := commonMessages(chosen, rejected)
		if n == 0 {
			return errors.New(`fields "chosen" and "rejected": found conversations that share no message, expected a shared prompt`)
		}
		r.Messages, chosen, rejected = chosen[:n], chosen[n:], rejected[n:]
		if o.kind("prompt") == "string" {
			r.setMeta("prompt", o["prompt"])
		}
	}
	r.Prompt = Transcript(r.Messages)
	r.Completions = []Completion{answered(chosen), answered(rejected)}
	return nil
}

// readUnpaired reads a row of TRL's unpaired preference, of which KTO learns.
func readUnpaired(o object) (r Ranking, err error) {
	var c Completion
	if o.kind("completion") == "list" {
		turns, err := conversationField(o, "completion")
		if err != nil {
			return r, err
		}
		c = answered(turns)
	} else if c.Text, err = field[string](o, "completion"); err != nil {
		return r, err
	}
	if o.kind("prompt") == "list" {
		if r.Messages, err = conversationField(o, "prompt"); err != nil {
			return r, err
		}
		r.Prompt = Transcript(r.Messages)
	} else if r.Prompt, err = field[string](o, "prompt"); err != nil {
		return r, err
	}
	label, err := field[bool](o, "label")
	if err != nil {
		return r, err
	}
	c.Label = &label
	if o.kind("model") == "string" {
		c.Model, _ = field[string](o, "model")
	}
	if o.kind("score") == "number" {
		score, err := field[float64](o, "score")
		if err != nil {
			return r, err
		}
		c.Score = &score
	}
	r.Completions, r.Ranks = []Completion{c}, []int{1}
	native := []string{"prompt", "completion", "label"}
	if c.Model != "" {
		native = append(native, "model")
	}
	if c.Score != nil {
		native = append(native, "score")
	}
	r.carry(o, native...)
	return r, nil
}

// readInstruction reads {"instruction", "input", "chosen", "rejected"}, an instruction of Alpaca's form with a pair.
func readInstruction(o object) (r Ranking, err error) {
	if r.Prompt, err = instructed(o); err != nil {
		return r, err
	}
	if err := r.readBoth(o); err != nil {
		return r, err
	}
	r.Ranks = []int{1, 2}
	if err := r.readSides(o); err != nil {
		return r, err
	}
	r.carry(o, append(sides(o), "instruction", "input", "chosen", "rejected")...)
	return r, nil
}
