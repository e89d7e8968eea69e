package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Trait is something that a ranking may say and a format may not hold.
type Trait string

// The traits.
const (
	traitTies          Trait = "ties"
	traitLists         Trait = "more than two completions" // in one record; elsewhere they are pairs
	traitAlone         Trait = "completions judged alone"
	traitConversations Trait = "conversations as messages"
	traitTurns         Trait = "completions of several turns"
	traitSystem        Trait = "system prompts"
	traitModels        Trait = "models"
	traitTokens        Trait = "tokens and sampling"
	traitScores        Trait = "scores"
	traitLabels        Trait = "labels"
	traitRatings       Trait = "ratings"
	traitNotes         Trait = "notes on completions"
	traitIDs           Trait = "ids of completions"
	traitLabelers      Trait = "labelers"
	traitGroups        Trait = "groups"
	traitTimes         Trait = "times"
	traitActiveTimes   Trait = "active times"
	traitWallTimes     Trait = "wall times"
	traitOrders        Trait = "orders shown"
	traitComments      Trait = "comments"
	traitFlags         Trait = "flags"
	traitConfidences   Trait = "confidences"
	traitGuidelines    Trait = "guideline versions"
	traitExtra         Trait = "marks of extra rankings"
	traitChoices       Trait = "choices of the best alone"
	traitMetadata      Trait = "other fields"
)

// carriedTraits are what Ranking.carried writes.
var carriedTraits = []Trait{traitLabelers, traitGroups, traitTimes, traitActiveTimes, traitWallTimes, traitOrders, traitComments, traitFlags, traitConfidences, traitGuidelines, traitExtra,
	traitChoices, traitMetadata}

// Traits returns what a ranking says, in the order above.
func (r Ranking) Traits() (out []Trait) {
	some := func(say bool, t Trait) {
		if say {
			out = append(out, t)
		}
	}
	has := func(f func(Completion) bool) bool { return slices.ContainsFunc(r.Completions, f) }
	some(r.tied() && !r.Choice, traitTies)
	some(len(r.Completions) > 2, traitLists)
	some(len(r.Completions) == 1, traitAlone)
	some(r.Messages != nil, traitConversations)
	some(has(func(c Completion) bool { return c.Messages != nil }), traitTurns)
	some(r.System != "", traitSystem)
	some(has(func(c Completion) bool { return c.Model != "" }), traitModels)
	some(r.PromptTokens != nil || has(func(c Completion) bool { return c.Tokens != nil || c.Sampling != nil }), traitTokens)
	some(has(func(c Completion) bool { return c.Score != nil }), traitScores)
	some(has(func(c Completion) bool { return c.Label != nil }), traitLabels)
	some(has(func(c Completion) bool { return c.Ratings != nil }), traitRatings)
	some(has(func(c Completion) bool { return c.Note != "" }), traitNotes)
	some(has(func(c Completion) bool { return c.ID != "" }), traitIDs)
	some(r.Labeler != Imported, traitLabelers)
	some(r.GroupID != "", traitGroups)
	some(!r.CreatedAt.IsZero(), traitTimes)
	some(r.ActiveMS != 0, traitActiveTimes)
	some(r.WallMS != 0, traitWallTimes)
	some(r.Shown != nil, traitOrders)
	some(r.Comment != "", traitComments)
	some(r.Flags != nil, traitFlags)
	some(r.Confidence != nil, traitConfidences)
	some(r.Guideline != "", traitGuidelines)
	some(r.Extra, traitExtra)
	some(r.Choice, traitChoices)
	some(r.Meta != nil, traitMetadata)
	return out
}

// Written is what writing rankings came to.
type Written struct {
	Format   string         `json:"format"`
	Rankings int            `json:"rankings"`           // that were written
	Rows     int            `json:"rows"`               // records of the format
	Lost     map[Trait]int  `json:"lost,omitempty"`     // rankings of which the format does not hold that
	LeftOut  int            `json:"left_out,omitempty"` // rankings that make no row: all tied, or one completion
	Skipped  int            `json:"skipped,omitempty"`  // rankings that the format cannot hold, if told to skip them
	Reasons  []string       `json:"reasons,omitempty"`  // of the first few of those
	Warnings map[string]int `json:"warnings,omitempty"` // what was written and may be misread, by what it is
	skip     bool
}

// Lines returns for people what was not written, a statement a line.
func (w Written) Lines() (out []string) {
	for _, t := range slices.Sorted(maps.Keys(w.Lost)) {
		out = append(out, fmt.Sprintf("%s does not hold %s: lost of %s", w.Format, t, rankings(w.Lost[t])))
	}
	for _, what := range slices.Sorted(maps.Keys(w.Warnings)) {
		out = append(out, fmt.Sprintf("%s: %d", what, w.Warnings[what]))
	}
	if w.LeftOut > 0 {
		out = append(out, fmt.Sprintf("left out %s without a row: all tied, of one completion, or of other models", rankings(w.LeftOut)))
	}
	if w.Skipped > 0 {
		out = append(out, fmt.Sprintf("skipped %s that %s cannot hold:", rankings(w.Skipped), w.Format))
		for _, reason := range w.Reasons {
			out = append(out, "  "+reason)
		}
	}
	return out
}

func rankings(n int) string {
	if n == 1 {
		return "1 ranking"
	}
	return fmt.Sprint(n, " rankings")
}

// Holds returns what a format that can be written holds of a ranking, and what it does not.
func Holds(format string) (holds, loses []Trait) {
	every := []Trait{traitTies, traitLists, traitAlone, traitConversations, traitTurns, traitSystem, traitModels, traitTokens, traitScores, traitLabels,
		traitRatings, traitNotes, traitIDs}
	every = append(every, carriedTraits...)
	for _, p := range preferences() {
		if p.name == format {
			for _, t := range every {
				if p.holds(t) {
					holds = append(holds, t)
				} else {
					loses = append(loses, t)
				}
			}
		}
	}
	return holds, loses
}

func (p preference) holds(t Trait) bool { return p.keeps == nil || slices.Contains(p.keeps, t) }

// WriteRankings writes rankings in the format of a name. A ranking that the format cannot hold is an error that says
// why, or is skipped and counted if skipBad is set; what the format does not hold of the others is counted.
func WriteRankings(w io.Writer, format string, seq iter.Seq2[Ranking, error], skipBad bool) (Written, error) {
	out := Written{Format: format, skip: skipBad}
	i := slices.IndexFunc(preferences(), func(p preference) bool { return p.name == format && p.written() })
	if i < 0 {
		what := "is none that rankings are written in"
		if _, err := Named(format, ""); err == nil {
			what = "can be read and not written"
		}
		return out, fmt.Errorf("format %q: %s; %s can be", format, what, strings.Join(Writable(), ", "))
	}
	err := preferences()[i].write(w, seq, &out)
	return out, err
}

// WrittenExt returns the extension of a file of rankings in the format of a name; ok is false if none are written in it.
func WrittenExt(format string) (ext string, ok bool) {
	for _, p := range preferences() {
		if p.name == format && p.written() {
			if p.array || p.document != nil {
				return ".json", true
			}
			return ".jsonl", true
		}
	}
	return "", false
}

// Writable returns the names of the formats that rankings can be written in.
func Writable() (out []string) {
	for _, p := range preferences() {
		if p.written() {
			out = append(out, p.name)
		}
	}
	return out
}

func (p preference) write(w io.Writer, seq iter.Seq2[Ranking, error], out *Written) error {
	buffered := bufio.NewWriter(w)
	if err := p.writeTo(buffered, p.counted(seq, out), out); err != nil {
		return err
	}
	return buffered.Flush()
}

// takes reports whether a ranking compares, or is a judgement of one completion such as the format holds.
func (p preference) takes(r Ranking) bool {
	return len(r.Completions) > 1 || p.holds(traitAlone) || p.array && p.holds(traitRatings) && r.Completions[0].Ratings != nil
}

// counted counts the rankings and what is lost of them.
func (p preference) counted(seq iter.Seq2[Ranking, error], out *Written) iter.Seq2[Ranking, error] {
	return func(yield func(Ranking, error) bool) {
		for r, err := range seq {
			if err == nil && !p.takes(r) {
				out.LeftOut++
				continue
			}
			if err == nil {
				out.Rankings++
				for _, t := range r.Traits() {
					if !p.holds(t) && t != traitAlone && !(t == traitLists && r.Choice && p.choices) {
						if out.Lost == nil {
							out.Lost = map[Trait]int{}
						}
						out.Lost[t]++
					}
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

const leftWarning = "other fields of a name that the format uses itself, left out"

func (out *Written) warn(what string, n int) {
	if n == 0 {
		return
	}
	if out.Warnings == nil {
		out.Warnings = map[string]int{}
	}
	out.Warnings[what] += n
}

// refused skips a ranking that the format cannot hold, or returns the error.
func (out *Written) refused(n int, err error) error {
	if !out.skip {
		return fmt.Errorf("ranking %d: %s cannot hold it: %w", n, out.Format, err)
	}
	out.Rankings--
	out.Skipped++
	if len(out.Reasons) < maxReasons {
		out.Reasons = append(out.Reasons, fmt.Sprintf("ranking %d: %v", n, err))
	}
	return nil
}

func (p preference) writeTo(w io.Writer, seq iter.Seq2[Ranking, error], out *Written) error {
	switch {
	case p.document != nil:
		d := p.document(w)
		n := 0
		for list, err := range p.byTask(seq) {
			if err != nil {
				return err
			}
			n += len(list)
			before := d.count
			if err := d.write(list); err != nil {
				for range list {
					if err := out.refused(n, err); err != nil {
						return err
					}
				}
			} else if d.count == before {
				out.Rankings, out.LeftOut = out.Rankings-len(list), out.LeftOut+len(list)
			}
			out.Rows += d.count - before
		}
		out.warn("pairs of other models than the first two, left out", d.others)
		return d.end()
	case p.tasks != nil:
		return p.writeTasks(w, seq, out)
	}
	return p.writeRows(w, seq, out)
}

// rowWriter writes rows as lines or as the elements of an array.
type rowWriter struct {
	w     io.Writer
	array bool
	n     int
}

func (w *rowWriter) write(row *fields) error {
	var b bytes.Buffer
	switch {
	case w.array && w.n == 0:
		b.WriteString("[\n")
	case w.array:
		b.WriteString(",\n")
	}
	if err := encode(&b, row); err != nil {
		return err
	}
	if !w.array {
		b.WriteByte('\n')
	}
	w.n++
	_, err := w.w.Write(b.Bytes())
	return err
}

func (w *rowWriter) end() error {
	text := ""
	switch {
	case w.array && w.n == 0:
		text = "[]\n"
	case w.array:
		text = "\n]\n"
	}
	_, err := io.WriteString(w.w, text)
	return err
}

func (p preference) writeRows(w io.Writer, seq iter.Seq2[Ranking, error], out *Written) error {
	rows := rowWriter{w: w, array: p.array}
	n := 0
	for r, err := range seq {
		if err != nil {
			return err
		}
		n++
		list, err := p.rows(r)
		if err != nil {
			if err := out.refused(n, err); err != nil {
				return err
			}
			continue
		}
		if len(list) == 0 {
			out.Rankings--
			out.LeftOut++
		}
		if p.doubtful != nil && p.doubtful(r) {
			out.warn(p.doubt, 1)
		}
		for _, row := range list {
			out.warn(leftWarning, row.left)
			if err := rows.write(row); err != nil {
				return err
			}
		}
		out.Rows += len(list)
	}
	return rows.end()
}

func (p preference) writeTasks(w io.Writer, seq iter.Seq2[Ranking, error], out *Written) error {
	rows := rowWriter{w: w, array: p.array}
	for list, err := range p.byTask(seq) {
		if err != nil {
			return err
		}
		elements := p.tasks(rows.n+1, list)
		if len(elements) == 0 {
			out.Rankings, out.LeftOut = out.Rankings-len(list), out.LeftOut+len(list)
		}
		for _, e := range elements {
			out.warn(leftWarning, e.left)
			if err := rows.write(e); err != nil {
				return err
			}
		}
		out.Rows += len(elements)
	}
	return rows.end()
}

// maxOfTask bounds how many rankings of a task are held at a time; more begin the task again.
const maxOfTask = 1000

// byTask yields the rankings that follow one another and are of the same completions.
func (p preference) byTask(seq iter.Seq2[Ranking, error]) iter.Seq2[[]Ranking, error] {
	return func(yield func([]Ranking, error) bool) {
		var list []Ranking
		for r, err := range seq {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(list) > 0 && (len(list) == maxOfTask || !sameTask(list[0], r, p.ofRanking...)) {
				if !yield(list, nil) {
					return
				}
				list = nil
			}
			list = append(list, r)
		}
		if len(list) > 0 {
			yield(list, nil)
		}
	}
}

// writeTrees writes a ranking as a tree, if it can be one.
func writeTrees(r Ranking) ([]*fields, error) {
	for i, c := range r.Completions {
		if c.Messages != nil {
			return nil, fmt.Errorf("completion %d is of several turns, and a reply is one", i)
		}
	}
	path, _ := r.conversation()
	for i, m := range path {
		if m.Role == "system" && (i > 0 || len(path) == 1) {
			return nil, errors.New("a system message stands where a tree has a prompter's or an assistant's")
		}
	}
	return []*fields{writeTree(r)}, nil
}
