package dataset

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Lengths counts lengths exactly, in as much memory as there are different ones.
type Lengths struct {
	counts map[int]int
	n, sum int
}

// Add counts a length.
func (l *Lengths) Add(length int) {
	if l.counts == nil {
		l.counts = map[int]int{}
	}
	l.counts[length]++
	l.n++
	l.sum += length
}

// Count returns how many there are, and Sum what they add up to.
func (l *Lengths) Count() int { return l.n }

// Sum returns what the lengths add up to.
func (l *Lengths) Sum() int { return l.sum }

// Mean returns the mean; NaN of none.
func (l *Lengths) Mean() float64 { return float64(l.sum) / float64(l.n) }

// Quantile returns the smallest length that at least a share q of all do not exceed; 0 of none.
func (l *Lengths) Quantile(q float64) int {
	need := max(1, int(math.Ceil(q*float64(l.n))))
	for _, length := range slices.Sorted(maps.Keys(l.counts)) {
		if need -= l.counts[length]; need <= 0 {
			return length
		}
	}
	return 0
}

// Bucket counts the lengths from From to To, both included.
type Bucket struct {
	From  int `json:"from"`
	To    int `json:"to"`
	Count int `json:"count"`
}

// Buckets returns the counts by powers of two, without the empty ones at both ends.
func (l *Lengths) Buckets() []Bucket {
	var out []Bucket
	for length, count := range l.counts {
		i := bits.Len(uint(length)) // 0, 1, 2–3, 4–7, …
		for len(out) <= i {
			n := len(out)
			out = append(out, Bucket{From: 1 << n >> 1, To: 1<<n - 1})
		}
		out[i].Count += count
	}
	for len(out) > 0 && out[0].Count == 0 {
		out = out[1:]
	}
	return out
}

// Summary is what is to know of a data set at a glance. It is filled record by record and holds a hash of each opening
// and of each record.
type Summary struct {
	Records     int
	Messages    int         // of conversations
	Talks       int         // records that are conversations
	Completions map[int]int // rankings by how many completions they rank
	Ties        int         // rankings with equal ranks
	Owners      map[string]int
	Openings    int                 // different prompts
	Repeated    int                 // records the same as an earlier one
	Parts       map[string]*Lengths // lengths by part: prompt, completion, turn or document; and record, all parts together

	openings, records map[[16]byte]struct{}
	measure           func(string) int
	open              int // length so far of the document that is open
	inside            bool
}

// NewSummary returns an empty summary that measures texts by a count of tokens, or, if that is nil, of code points.
func NewSummary(tokens func(string) int) *Summary {
	if tokens == nil {
		tokens = utf8.RuneCountInString
	}
	return &Summary{Completions: map[int]int{}, Owners: map[string]int{}, Parts: map[string]*Lengths{}, openings: map[[16]byte]struct{}{}, records: map[[16]byte]struct{}{}, measure: tokens}
}

func (s *Summary) add(part string, texts ...string) (sum int) {
	if s.Parts[part] == nil {
		s.Parts[part] = &Lengths{}
	}
	for _, text := range texts {
		n := s.measure(text)
		s.Parts[part].Add(n)
		sum += n
	}
	return sum
}

func (s *Summary) record(r Record, texts []string) {
	s.Records++
	s.openings[hash(r.Opening())] = struct{}{}
	s.Openings = len(s.openings)
	s.repeats(hash(texts...))
	if owner := r.Owner(); owner != "" {
		s.Owners[owner]++
	}
}

func (s *Summary) repeats(h [16]byte) {
	if _, seen := s.records[h]; seen {
		s.Repeated++
	}
	s.records[h] = struct{}{}
}

func (s *Summary) whole(length int) {
	if s.Parts["record"] == nil {
		s.Parts["record"] = &Lengths{}
	}
	s.Parts["record"].Add(length)
}

// Demonstration adds one.
func (s *Summary) Demonstration(d Demonstration) {
	s.record(d, d.Texts())
	if d.Messages == nil {
		s.whole(s.add("prompt", d.Prompt) + s.add("completion", d.Completion))
		return
	}
	s.Talks++
	s.Messages += len(d.Messages)
	sum := 0
	for _, m := range d.Messages {
		sum += s.add(m.Role, m.Content)
	}
	s.whole(sum)
}

// Ranking adds one.
func (s *Summary) Ranking(r Ranking) {
	texts := []string{r.Prompt}
	for _, c := range r.Completions {
		texts = append(texts, c.Text)
	}
	s.record(r, texts)
	s.Completions[len(r.Completions)]++
	if distinct := slices.Compact(slices.Sorted(slices.Values(r.Ranks))); len(distinct) < len(r.Ranks) {
		s.Ties++
	}
	s.whole(s.add("prompt", r.Prompt) + s.add("completion", texts[1:]...))
}

// Document adds one, or a piece of one, whose first piece stands for it where it is compared.
func (s *Summary) Document(d Document) {
	if !s.inside {
		s.Records++
		s.repeats(hash(d.Text))
	}
	s.open += s.measure(d.Text)
	s.inside = !d.Last
	if d.Last {
		s.whole(s.open)
		s.open = 0
	}
}
