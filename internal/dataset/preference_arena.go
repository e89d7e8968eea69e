package dataset

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// The formats of battles between two models: the arena's, and Auto-J's test data.

// The arena's outcomes.
const (
	winA     = "model_a"
	winB     = "model_b"
	tie      = "tie"
	tieOfBad = "tie (bothbad)"
)

func readBattle(o object) (r Ranking, err error) {
	a, err := conversationField(o, "conversation_a")
	if err != nil {
		return r, err
	}
	b, err := conversationField(o, "conversation_b")
	if err != nil {
		return r, err
	}
	n := commonMessages(a, b)
	if n == 0 {
		return r, fmt.Errorf(`fields "conversation_a" and "conversation_b": found conversations that share no message, expected a shared prompt`)
	}
	r.Messages, r.Prompt = a[:n], Transcript(a[:n])
	r.Completions = []Completion{answered(a[n:]), answered(b[n:])}
	for i, name := range []string{"model_a", "model_b"} {
		if r.Completions[i].Model, err = field[string](o, name); err != nil {
			return r, err
		}
	}
	if err := r.readWinner(o); err != nil {
		return r, err
	}
	if r.Labeler, err = optional[string](o, "judge"); err != nil {
		return r, err
	}
	seconds, err := optional[float64](o, "tstamp")
	if err != nil {
		return r, err
	}
	if seconds != 0 {
		r.CreatedAt = time.UnixMicro(int64(math.Round(seconds * 1e6))).UTC()
	}
	r.carry(o, "conversation_a", "conversation_b", "model_a", "model_b", "winner", "judge", "tstamp", "turn")
	if id, err := field[string](o, "question_id"); err == nil && id == r.GroupID {
		r.dropMeta("question_id")
	}
	return r, nil
}

func (r *Ranking) readWinner(o object) error {
	winner, err := field[string](o, "winner")
	if err != nil {
		return err
	}
	switch winner {
	case winA:
		r.Ranks = []int{1, 2}
	case winB:
		r.Ranks = []int{2, 1}
	case tie:
		r.Ranks = []int{1, 1}
	case tieOfBad:
		r.Ranks, r.Flags = []int{1, 1}, []string{BothBad}
	default:
		return fmt.Errorf("field \"winner\": found %q, expected %s, %s, %s or %s", winner, winA, winB, tie, tieOfBad)
	}
	return nil
}

// writeBattles writes every pair of completions as a battle, ties too.
func writeBattles(r Ranking) (rows []*fields) {
	messages, transcript := r.conversation()
	for a := range r.Completions {
		for b := a + 1; b < len(r.Completions); b++ {
			row := new(fields)
			id := r.Meta["question_id"]
			group := r
			group.GroupID = r.group()
			if id == nil {
				row.add("question_id", group.GroupID)
			} else {
				row.add("question_id", id)
			}
			row.add("model_a", r.Completions[a].Model).add("model_b", r.Completions[b].Model).add("winner", r.winner(a, b))
			if r.Labeler != Imported {
				row.add("judge", r.Labeler)
			}
			first := slices.Concat(messages, r.Completions[a].turns(transcript))
			row.add("conversation_a", first).add("conversation_b", slices.Concat(messages, r.Completions[b].turns(transcript)))
			row.add("turn", userTurns(first))
			if !r.CreatedAt.IsZero() {
				row.add("tstamp", float64(r.CreatedAt.UnixMicro())/1e6)
			}
			group.Flags = without(r.Flags, BothBad)
			group.Shown = shownOf(r.Shown, []int{a, b})
			group.carried(row, "labeler", "created_at", "system")
			rows = append(rows, row)
		}
	}
	return rows
}

func (r Ranking) winner(a, b int) string {
	switch {
	case r.Ranks[a] < r.Ranks[b]:
		return winA
	case r.Ranks[a] > r.Ranks[b]:
		return winB
	case slices.Contains(r.Flags, BothBad):
		return tieOfBad
	}
	return tie
}

func userTurns(list []Message) (n int) {
	for _, m := range list {
		if m.Role == "user" {
			n++
		}
	}
	return n
}

// readAutoJ reads a row of Auto-J's pairwise test data, whose label is 0 or 1 for the better response, 2 for a tie.
func readAutoJ(o object) (r Ranking, err error) {
	if r.Prompt, err = field[string](o, "prompt"); err != nil {
		return r, err
	}
	for _, name := range []string{"response 1", "response 2"} {
		text, err := field[string](o, name)
		if err != nil {
			return r, err
		}
		r.Completions = append(r.Completions, Completion{Text: text})
	}
	label, err := field[int](o, "label")
	if err != nil {
		return r, err
	}
	if label < 0 || label > 2 {
		return r, fmt.Errorf("field \"label\": found %d, expected 0 or 1 for the better response, 2 for a tie", label)
	}
	r.Ranks = [][]int{{1, 2}, {2, 1}, {1, 1}}[label]
	r.carry(o, "prompt", "response 1", "response 2", "label")
	return r, nil
}
