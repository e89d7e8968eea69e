package sft

import (
	"fmt"
	"slices"

	"rlhf/gpt"
	"rlhf/internal/checkpoint"
)

// Example is one sequence to learn from.
type Example struct {
	Tokens []int32 // 2 to NPositions of them
	Learn  []Span  // the tokens that are targets, in order; nil for all but the first
}

// Span is a run of tokens of an example, From to To-1.
type Span struct{ From, To int }

// After returns an example of tokens of which those after the first prompt ones are learnt.
func After(prompt int, tokens []int32) Example {
	return Example{Tokens: tokens, Learn: []Span{{prompt, len(tokens)}}}
}

// spans returns what is learnt. Nothing stands before the first token, so it never is.
func (e Example) spans() []Span {
	if e.Learn == nil {
		return []Span{{1, len(e.Tokens)}}
	}
	out := slices.Clone(e.Learn)
	for i := range out {
		out[i].From = max(out[i].From, 1)
	}
	return out
}

// learnt returns how many tokens of the example are learnt.
func (e Example) learnt() int {
	n := 0
	for _, s := range e.spans() {
		n += max(0, s.To-s.From)
	}
	return n
}

// targets returns at each position the next token if that is learnt, elsewhere -1.
func (e Example) targets() []int32 {
	out := make([]int32, len(e.Tokens))
	for i := range out {
		out[i] = -1
	}
	for _, s := range e.spans() {
		for t := s.From; t < s.To; t++ {
			out[t-1] = e.Tokens[t]
		}
	}
	return out
}

// check returns an error unless the example can be learnt from by a model of n positions.
func (e Example) check(n int) error {
	if len(e.Tokens) > n {
		return fmt.Errorf("%d tokens, the model takes %d", len(e.Tokens), n)
	}
	last := 0
	for _, s := range e.Learn {
		if s.From < last || s.To < s.From || s.To > len(e.Tokens) {
			return fmt.Errorf("tokens %d to %d are to be learnt, out of order or beyond the %d there are", s.From, s.To, len(e.Tokens))
		}
		last = s.To
	}
	if e.learnt() < 1 {
		return fmt.Errorf("%d tokens, none of which is to be learnt", len(e.Tokens))
	}
	return nil
}

// Source is a set of examples that may be larger than memory. It may be read by
// several goroutines at once.
type Source interface {
	Len() int         // examples
	Tokens(i int) int // length of example i
	At(i int) Example // example i, which the caller does not change
}

// Examples is a Source in memory.
type Examples []Example

// Len returns the number of examples.
func (x Examples) Len() int { return len(x) }

// Tokens returns the length of example i.
func (x Examples) Tokens(i int) int { return len(x[i].Tokens) }

// At returns example i.
func (x Examples) At(i int) Example { return x[i] }

// Pack returns the examples one after another in blocks of n tokens, so that no
// position of a model's context stays empty: attention sees what stands before in
// the block, as in GPT-2's training. Blocks overlap in one token, so that every
// token to learn, but for the very first, is learnt in one of them; the last block
// may be shorter.
func Pack(x Examples, n int) Examples {
	var tokens []int32
	var learn []Span
	for _, e := range x {
		spans := e.Learn
		if spans == nil { // also the first: in a block, something stands before it
			spans = []Span{{0, len(e.Tokens)}}
		}
		for _, s := range spans {
			learn = append(learn, Span{len(tokens) + s.From, len(tokens) + s.To})
		}
		tokens = append(tokens, e.Tokens...)
	}
	var out Examples
	for from, k := 0, 0; from+1 < len(tokens); from += n - 1 {
		to := min(from+n, len(tokens))
		block := Example{Tokens: tokens[from:to:to], Learn: []Span{}}
		for k < len(learn) && learn[k].To <= from+1 {
			k++
		}
		for j := k; j < len(learn) && learn[j].From < to; j++ {
			// the block's first token was the last one's of the block before
			block.Learn = append(block.Learn, Span{max(learn[j].From, from+1) - from, min(learn[j].To, to) - from})
		}
		if block.learnt() > 0 {
			out = append(out, block)
		}
	}
	return out
}

// survey checks every example for a model of n positions and returns the digest of them all.
func survey(name string, x Source, n int) (string, error) {
	d := checkpoint.NewDigest()
	for i := range x.Len() {
		e := x.At(i)
		if err := e.check(n); err != nil {
			return "", fmt.Errorf("%s example %d: %w", name, i, err)
		}
		d.Tokens(e.Tokens)
		for _, s := range e.Learn {
			d.Ints(s.From, s.To)
		}
	}
	return d.String(), nil
}

// pack returns examples as a batch whose targets are the tokens to learn.
func pack(examples []Example) gpt.Batch {
	var b gpt.Batch
	for _, e := range examples {
		b.Append(e.Tokens, e.targets())
	}
	return b
}
