package bpe

import (
	"container/heap"
	"fmt"
	"slices"
	"sort"
)

// Train learns merges from texts until the vocabulary has vocabSize tokens: the
// 256 bytes, the merges, <|endoftext|> and <|pad|>, in this order. The most
// frequent pair is merged first, and of equally frequent ones the greater pair of
// byte strings. If the texts run out of pairs the vocabulary is smaller. Equal
// texts give equal tokenizers.
func Train(texts []string, vocabSize int) (*Tokenizer, error) {
	if vocabSize < 256+2 {
		return nil, fmt.Errorf("vocab_size: must be at least 258, the bytes and two special tokens (got %d)", vocabSize)
	}
	counts := map[string]int{}
	for _, text := range texts {
		for text != "" {
			n := wordLength(text)
			counts[text[:n]]++
			text = text[n:]
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("no text to train on")
	}
	tr := newTrainer(counts)
	for len(tr.tokens) < vocabSize-2 && tr.step() {
	}
	tokens := append(tr.tokens, EndOfText, Pad)
	special := make([]bool, len(tokens))
	special[len(tokens)-2], special[len(tokens)-1] = true, true
	return build(tokens, special, tr.merges, names{EndOfText, Pad})
}

// trainer keeps, for each pair of neighbours, how often it stands in the words
// and in which, and changes that with every merge.
type trainer struct {
	tokens []string
	merges []merge
	words  [][]int32
	freq   []int
	count  map[uint64]int
	where  map[uint64]map[int]struct{}
	queue  pairQueue
}

func newTrainer(counts map[string]int) *trainer {
	tr := &trainer{count: map[uint64]int{}, where: map[uint64]map[int]struct{}{}}
	id := map[byte]int32{}
	for _, b := range byteOrder() {
		id[b] = int32(len(tr.tokens))
		tr.tokens = append(tr.tokens, string([]byte{b}))
	}
	tr.queue.tr = tr
	words := make([]string, 0, len(counts))
	for w := range counts {
		words = append(words, w)
	}
	sort.Strings(words)
	for k, w := range words {
		ids := make([]int32, len(w))
		for i := range len(w) {
			ids[i] = id[w[i]]
		}
		tr.words, tr.freq = append(tr.words, ids), append(tr.freq, counts[w])
		for i := range len(ids) - 1 {
			tr.change(pairKey(ids[i], ids[i+1]), counts[w], k)
		}
	}
	for p, n := range tr.count {
		tr.queue.items = append(tr.queue.items, pairCount{p, n})
	}
	heap.Init(&tr.queue)
	return tr
}

// change adds n to the count of a pair in a word.
func (tr *trainer) change(p uint64, n, word int) {
	tr.count[p] += n
	if n > 0 {
		if tr.where[p] == nil {
			tr.where[p] = map[int]struct{}{}
		}
		tr.where[p][word] = struct{}{}
	}
}

// step makes the next merge and reports whether there was one.
func (tr *trainer) step() bool {
	for tr.queue.Len() > 0 {
		top := heap.Pop(&tr.queue).(pairCount)
		if n := tr.count[top.pair]; n != top.count {
			if n > 0 { // the count fell since it was queued
				heap.Push(&tr.queue, pairCount{top.pair, n})
			}
			continue
		}
		a, b := int32(top.pair>>32), int32(uint32(top.pair))
		merged := int32(len(tr.tokens))
		tr.tokens = append(tr.tokens, tr.tokens[a]+tr.tokens[b])
		tr.merges = append(tr.merges, merge{a, b})
		grown := map[uint64]struct{}{}
		for word := range tr.where[top.pair] {
			tr.replace(word, a, b, merged, grown)
		}
		delete(tr.count, top.pair)
		delete(tr.where, top.pair)
		for p := range grown {
			if n := tr.count[p]; n > 0 {
				heap.Push(&tr.queue, pairCount{p, n})
			}
		}
		return true
	}
	return false
}

// replace puts merged for every a, b in a word and notes the pairs that became more frequent.
func (tr *trainer) replace(word int, a, b, merged int32, grown map[uint64]struct{}) {
	old, n := tr.words[word], tr.freq[word]
	ids := make([]int32, 0, len(old))
	for i := 0; i < len(old); i++ {
		if i+1 < len(old) && old[i] == a && old[i+1] == b {
			ids = append(ids, merged)
			i++
		} else {
			ids = append(ids, old[i])
		}
	}
	for i := range len(old) - 1 {
		tr.change(pairKey(old[i], old[i+1]), -n, word)
	}
	for i := range len(ids) - 1 {
		p := pairKey(ids[i], ids[i+1])
		tr.change(p, n, word)
		if ids[i] == merged || ids[i+1] == merged {
			grown[p] = struct{}{}
		}
	}
	tr.words[word] = ids
}

type pairCount struct {
	pair  uint64
	count int
}

// pairQueue is a heap with the next pair to merge on top. Counts in it may be out of date, but never too small.
type pairQueue struct {
	tr    *trainer
	items []pairCount
}

func (q *pairQueue) Len() int      { return len(q.items) }
func (q *pairQueue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }
func (q *pairQueue) Push(x any)    { q.items = append(q.items, x.(pairCount)) }
func (q *pairQueue) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}

func (q *pairQueue) Less(i, j int) bool {
	x, y := q.items[i], q.items[j]
	if x.count != y.count {
		return x.count > y.count
	}
	t := q.tr.tokens
	if ax, ay := t[x.pair>>32], t[y.pair>>32]; ax != ay {
		return ax > ay
	}
	return t[uint32(x.pair)] > t[uint32(y.pair)]
}

// byteOrder returns the bytes in the order of GPT-2's first 256 ids: those that
// print as themselves, then the others.
func byteOrder() []byte {
	var order []byte
	for b := range 256 {
		if printsAsItself(b) {
			order = append(order, byte(b))
		}
	}
	for b := range 256 {
		if !printsAsItself(b) {
			order = append(order, byte(b))
		}
	}
	return order
}

func printsAsItself(b int) bool {
	return b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE && b <= 0xFF
}

// visible maps bytes to the characters that stand for them in vocabulary files, and back.
var visible, invisible = func() ([256]rune, map[rune]byte) {
	var to [256]rune
	from := map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		if to[b] = rune(b); !printsAsItself(b) {
			to[b] = next
			next++
		}
		from[to[b]] = byte(b)
	}
	return to, from
}()

// show writes a token's bytes as in vocabulary files.
func show(token string) string {
	out := make([]rune, len(token))
	for i := range len(token) {
		out[i] = visible[token[i]]
	}
	return string(out)
}

// hide is the inverse of show; ok is false for a character that stands for no byte.
func hide(s string) (token string, ok bool) {
	var out []byte
	for _, r := range s {
		b, ok := invisible[r]
		if !ok {
			return "", false
		}
		out = append(out, b)
	}
	return string(slices.Clip(out)), true
}
