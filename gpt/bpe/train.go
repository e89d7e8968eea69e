package bpe

import (
	"context"
	"fmt"
	"iter"
)

// Train learns merges from texts until the vocabulary has vocabSize tokens: the
// 256 bytes, the merges, <|endoftext|> and <|pad|>, in this order. The most
// frequent pair is merged first, and of equally frequent ones the greater pair of
// byte strings. If the texts run out of pairs the vocabulary is smaller. Equal
// texts give equal tokenizers, on any number of processors.
func Train(texts []string, vocabSize int) (*Tokenizer, error) {
	return TrainStream(context.Background(), func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}, vocabSize, nil)
}

// TrainStream is Train for texts that come one by one, or in pieces that end before
// white space and after something else, and are not kept. The first error among them
// ends it. It calls progress, unless it is nil, from the same goroutine with the bytes
// of text counted so far and the tokens that the vocabulary has.
func TrainStream(ctx context.Context, texts iter.Seq2[string, error], vocabSize int, progress func(bytes int64, tokens int)) (*Tokenizer, error) {
	if vocabSize < 256+2 {
		return nil, fmt.Errorf("vocab_size: must be at least 258, the bytes and two special tokens (got %d)", vocabSize)
	}
	total := int64(0)
	words, err := countWords(ctx, texts, func(bytes int64) {
		if total = bytes; progress != nil {
			progress(bytes, 0)
		}
	})
	if err != nil {
		return nil, err
	}
	if len(words.words) == 0 {
		return nil, fmt.Errorf("no text to train on")
	}
	tr := newTrainer(words)
	for len(tr.tokens) < vocabSize-2 && tr.step() {
		if len(tr.merges)%256 != 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(total, len(tr.tokens))
		}
	}
	return tr.tokenizer()
}

// tokenizer returns what was learned.
func (tr *trainer) tokenizer() (*Tokenizer, error) {
	t := &Tokenizer{tokens: tr.tokens, merges: tr.merges, roles: roles{bos: EndOfText, eos: EndOfText, unk: EndOfText, pad: Pad}}
	for _, name := range []string{EndOfText, Pad} {
		t.added = append(t.added, Token{ID: int32(len(t.tokens)), Content: name, Special: true})
		t.tokens = append(t.tokens, name)
	}
	t.outside = make([]bool, len(t.tokens))
	return t, t.build()
}

// trainer keeps, for each pair of neighbours, how often it stands in the words and
// in which, and changes that with every merge. The words are the distinct ones, each
// with its number.
type trainer struct {
	tokens []string
	merges []merge
	ids    []int32  // of all words, one after another
	from   []int    // where each begins in ids
	n      []uint32 // how many ids each has
	many   []int64  // how often each stands in the texts
	pairs  pairs
	grown  []uint64 // pairs that the merge at hand made more frequent
	queue  []pairCount
}

func newTrainer(c *counts) *trainer {
	tr := &trainer{ids: make([]int32, len(c.text)), from: make([]int, len(c.words)), n: make([]uint32, len(c.words)), many: make([]int64, len(c.words))}
	var id [256]int32
	for i, b := range byteOrder() {
		id[b] = int32(i)
		tr.tokens = append(tr.tokens, string([]byte{b}))
	}
	for i, b := range c.text {
		tr.ids[i] = id[b]
	}
	tr.pairs = newPairs()
	for k, w := range c.words {
		tr.from[k], tr.n[k], tr.many[k] = w.at, w.n, w.many
		ids := tr.ids[w.at:][:w.n]
		for i := range len(ids) - 1 {
			tr.pairs.count(pairKey(ids[i], ids[i+1]), w.many, uint32(k))
		}
	}
	for _, p := range tr.pairs.slots {
		if p.many > 0 {
			tr.queue = append(tr.queue, pairCount{p.key, p.many})
		}
	}
	for i := len(tr.queue) / 2; i >= 0; i-- {
		tr.down(i)
	}
	return tr
}

// step makes the next merge and reports whether there was one.
func (tr *trainer) step() bool {
	for len(tr.queue) > 0 {
		top := tr.queue[0]
		p := tr.pairs.find(top.pair)
		if p == nil || p.many == 0 {
			tr.pop()
			continue
		}
		if p.many != top.many { // it fell since it was queued
			tr.queue[0].many = p.many
			tr.down(0)
			continue
		}
		tr.pop()
		a, b, merged := int32(top.pair>>32), int32(uint32(top.pair)), int32(len(tr.tokens))
		tr.tokens = append(tr.tokens, tr.tokens[a]+tr.tokens[b])
		tr.merges = append(tr.merges, merge{a, b, merged})
		tr.grown = tr.grown[:0]
		for at := p.first; at != 0; at = tr.pairs.in[at].next {
			tr.replace(tr.pairs.in[at].word, a, b, merged)
		}
		tr.pairs.clear(tr.pairs.find(top.pair))
		for _, pair := range tr.grown {
			if p := tr.pairs.find(pair); p != nil && p.many > 0 {
				tr.push(pairCount{pair, p.many})
			}
		}
		return true
	}
	return false
}

// replace puts merged for every a, b in a word, from the left. Between two of them
// the pairs' counts are those of the word as it stands.
func (tr *trainer) replace(word uint32, a, b, merged int32) {
	ids, many := tr.ids[tr.from[word]:][:tr.n[word]], tr.many[word]
	n := 0
	for i := 0; i < len(ids); i, n = i+1, n+1 {
		if ids[n] = ids[i]; ids[i] != a || i+1 == len(ids) || ids[i+1] != b {
			continue
		}
		if n > 0 {
			tr.pairs.count(pairKey(ids[n-1], a), -many, word)
			tr.grow(pairKey(ids[n-1], merged), many, word)
		}
		if i+2 < len(ids) {
			tr.pairs.count(pairKey(b, ids[i+2]), -many, word)
			tr.grow(pairKey(merged, ids[i+2]), many, word)
		}
		ids[n] = merged
		i++
	}
	tr.n[word] = uint32(n)
}

// grow counts a pair and notes that it became more frequent.
func (tr *trainer) grow(pair uint64, many int64, word uint32) {
	p := tr.pairs.count(pair, many, word)
	if turn := uint32(len(tr.merges)); p.turn != turn {
		p.turn = turn
		tr.grown = append(tr.grown, pair)
	}
}

// pairCount is a pair in the queue, a heap with the next pair to merge on top. Counts
// in it may be out of date, but each pair stands there with one that is not too small.
type pairCount struct {
	pair uint64
	many int64
}

// before reports whether x is merged before y.
func (tr *trainer) before(x, y pairCount) bool {
	if x.many != y.many {
		return x.many > y.many
	}
	if a, b := tr.tokens[x.pair>>32], tr.tokens[y.pair>>32]; a != b {
		return a > b
	}
	return tr.tokens[uint32(x.pair)] > tr.tokens[uint32(y.pair)]
}

func (tr *trainer) push(p pairCount) {
	q := append(tr.queue, p)
	i := len(q) - 1
	for i > 0 && tr.before(p, q[(i-1)/2]) {
		q[i] = q[(i-1)/2]
		i = (i - 1) / 2
	}
	q[i], tr.queue = p, q
}

func (tr *trainer) pop() {
	last := len(tr.queue) - 1
	tr.queue[0] = tr.queue[last]
	if tr.queue = tr.queue[:last]; last > 0 {
		tr.down(0)
	}
}

// down moves an element of the queue down to its place.
func (tr *trainer) down(i int) {
	q := tr.queue
	if i >= len(q) {
		return
	}
	p := q[i]
	for {
		child := 2*i + 1
		if child+1 < len(q) && tr.before(q[child+1], q[child]) {
			child++
		}
		if child >= len(q) || !tr.before(q[child], p) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = p
}
