package dataset

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// Record is what filters and splits look at: a document's piece, a demonstration or a ranking.
type Record interface {
	Opening() string // the prompt; of a conversation what stands before the first answer, of a document its text
	Texts() []string // all its texts; of a ranking the prompt and the longest completion
	Owner() string   // what it belongs to; "" if that is not known
}

// Opening returns the text.
func (d Document) Opening() string { return d.Text }

// Texts returns the text.
func (d Document) Texts() []string { return []string{d.Text} }

// Owner returns "": a document belongs to nothing.
func (d Document) Owner() string { return "" }

// Opening returns the prompt, or the messages before the first of the assistant's.
func (d Demonstration) Opening() string {
	if d.Messages == nil {
		return d.Prompt
	}
	var b strings.Builder
	for _, m := range d.Messages {
		if m.Role == "assistant" {
			break
		}
		b.WriteString(m.Content)
		b.WriteByte('\n')
	}
	return b.String()
}

// Texts returns prompt and completion, or what all messages say.
func (d Demonstration) Texts() []string {
	if d.Messages == nil {
		return []string{d.Prompt, d.Completion}
	}
	out := make([]string, len(d.Messages))
	for i, m := range d.Messages {
		out[i] = m.Content
	}
	return out
}

// Owner returns the group.
func (d Demonstration) Owner() string { return d.Group }

// Opening returns the prompt.
func (r Ranking) Opening() string { return r.Prompt }

// Texts returns the prompt and the longest completion.
func (r Ranking) Texts() []string {
	long := ""
	for _, c := range r.Completions {
		if len(c.Text) > len(long) {
			long = c.Text
		}
	}
	return []string{r.Prompt, long}
}

// Owner returns the labeler.
func (r Ranking) Owner() string { return r.Labeler }

// Filter says which records are kept. The zero value keeps all.
type Filter struct {
	MinChars, MaxChars   int                   // of all texts of a record, in code points; 0 is no limit
	MinTokens, MaxTokens int                   // the same in tokens
	Tokens               func(text string) int // counts them; needed for limits in tokens
	// Dedup keeps the first of the records whose openings begin with the same Dedup code points, or are the same if
	// shorter: InstructGPT drops prompts "that share a long common prefix" (arXiv:2203.02155, section 3.2). 0 keeps all.
	Dedup       int
	Exact       bool // keeps the first of the records whose texts are all the same
	MaxPerGroup int  // keeps the first so many records of an owner (InstructGPT: 200 prompts a user); 0 keeps all
}

// Validate returns an error that names what cannot be.
func (f Filter) Validate() error {
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"min_chars", f.MinChars}, {"max_chars", f.MaxChars}, {"min_tokens", f.MinTokens}, {"max_tokens", f.MaxTokens},
		{"dedup", f.Dedup}, {"max_per_group", f.MaxPerGroup},
	} {
		if limit.value < 0 {
			return fmt.Errorf("%s: must be at least 0 (got %d)", limit.name, limit.value)
		}
	}
	switch {
	case f.MaxChars > 0 && f.MaxChars < f.MinChars:
		return fmt.Errorf("max_chars: must be at least min_chars %d (got %d)", f.MinChars, f.MaxChars)
	case f.MaxTokens > 0 && f.MaxTokens < f.MinTokens:
		return fmt.Errorf("max_tokens: must be at least min_tokens %d (got %d)", f.MinTokens, f.MaxTokens)
	case f.MinTokens+f.MaxTokens > 0 && f.Tokens == nil:
		return errors.New("min_tokens, max_tokens: need a tokenizer to count with")
	}
	return nil
}

// Dropped counts the records that a filter did not keep, each by the first rule against it.
type Dropped struct {
	Short, Long int // by their length
	Prefix      int // whose opening begins as an earlier one does
	Exact       int // the same as an earlier one
	Crowded     int // whose owner has enough
}

// Lines returns the counts that are not 0 for people.
func (d Dropped) Lines() (out []string) {
	for _, c := range []struct {
		n    int
		what string
	}{
		{d.Short, "too short"}, {d.Long, "too long"}, {d.Exact, "the same as an earlier one"},
		{d.Prefix, "beginning like an earlier one"}, {d.Crowded, "more than a group may have"},
	} {
		if c.n > 0 {
			out = append(out, fmt.Sprintf("dropped as %s: %d", c.what, c.n))
		}
	}
	return out
}

// Sieve applies a filter to a stream. It holds a hash of 16 bytes for every record kept, where it must know duplicates,
// and a count for every owner. It may not be used concurrently.
type Sieve struct {
	Filter
	Dropped Dropped

	prefixes, wholes map[[16]byte]struct{}
	owners           map[string]int
}

// NewSieve returns a sieve for a filter that is valid.
func NewSieve(f Filter) *Sieve {
	return &Sieve{Filter: f, prefixes: map[[16]byte]struct{}{}, wholes: map[[16]byte]struct{}{}, owners: map[string]int{}}
}

// Keep reports whether the filter lets a record through. A record without an owner where owners are limited is an error.
func (s *Sieve) Keep(r Record) (bool, error) {
	texts := r.Texts()
	if size := s.measure(texts); size.short(s.Filter) || size.long(s.Filter) {
		s.length(size)
		return false, nil
	}
	return s.fresh(r, texts)
}

// fresh reports whether a record is no duplicate and its owner has not enough, and remembers it.
func (s *Sieve) fresh(r Record, texts []string) (bool, error) {
	owner := r.Owner()
	if s.MaxPerGroup > 0 && owner == "" {
		return false, errors.New("max_per_group: found a record that belongs to no group")
	}
	var prefix, whole [16]byte
	if s.Exact {
		whole = hash(texts...)
		if _, seen := s.wholes[whole]; seen {
			s.Dropped.Exact++
			return false, nil
		}
	}
	if s.Dedup > 0 {
		prefix = hash(firstRunes(r.Opening(), s.Dedup))
		if _, seen := s.prefixes[prefix]; seen {
			s.Dropped.Prefix++
			return false, nil
		}
	}
	if s.MaxPerGroup > 0 {
		if s.owners[owner] == s.MaxPerGroup {
			s.Dropped.Crowded++
			return false, nil
		}
		s.owners[owner]++
	}
	if s.Exact {
		s.wholes[whole] = struct{}{}
	}
	if s.Dedup > 0 {
		s.prefixes[prefix] = struct{}{}
	}
	return true, nil
}

// size is how long a record is.
type size struct{ chars, tokens int }

func (s *Sieve) measure(texts []string) (out size) {
	for _, text := range texts {
		if s.MinChars+s.MaxChars > 0 {
			out.chars += utf8.RuneCountInString(text)
		}
		if s.MinTokens+s.MaxTokens > 0 {
			out.tokens += s.Tokens(text)
		}
	}
	return out
}

func (n size) short(f Filter) bool { return n.chars < f.MinChars || n.tokens < f.MinTokens }

func (n size) long(f Filter) bool {
	return f.MaxChars > 0 && n.chars > f.MaxChars || f.MaxTokens > 0 && n.tokens > f.MaxTokens
}

func (s *Sieve) length(n size) {
	if n.short(s.Filter) {
		s.Dropped.Short++
	} else {
		s.Dropped.Long++
	}
}

// Documents yields the documents that the filter lets through. Of one in pieces it holds as much as the limits need to
// be decided; its first piece stands for it where duplicates are looked for.
func (s *Sieve) Documents(seq iter.Seq2[Document, error]) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		const (
			open = iota // nothing is decided
			kept
			dropped
		)
		state := open
		var held []Document
		var total size
		for d, err := range seq {
			if err == nil && state == open {
				held = append(held, d)
				n := s.measure(d.Texts())
				total = size{total.chars + n.chars, total.tokens + n.tokens}
				capped := s.MaxChars+s.MaxTokens > 0
				switch {
				case total.long(s.Filter), d.Last && total.short(s.Filter):
					s.length(total)
					state = dropped
				case d.Last, !capped && !total.short(s.Filter):
					var keep bool
					if keep, err = s.fresh(held[0], held[0].Texts()); keep {
						state = kept
					} else {
						state = dropped
					}
				}
			} else if err == nil && state == kept {
				held = append(held, d)
			}
			if err != nil {
				yield(Document{}, err)
				return
			}
			if state == kept {
				for _, h := range held {
					if !yield(h, nil) {
						return
					}
				}
			}
			if state != open {
				held = held[:0]
			}
			if d.Last {
				state, total = open, size{}
			}
		}
	}
}

// firstRunes returns the first n code points of a text.
func firstRunes(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}

// hash returns a hash of texts that tells them apart however they are divided.
func hash(texts ...string) [16]byte {
	h := sha256.New()
	for _, text := range texts {
		n := uint64(len(text))
		h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), byte(n >> 32), byte(n >> 40), byte(n >> 48), byte(n >> 56)})
		h.Write([]byte(text))
	}
	return [16]byte(h.Sum(nil))
}
