package bpe

import (
	"cmp"
	"container/heap"
)

// longWord is the length in bytes from which mergeLong is faster than encoder.merge.
const longWord = 64

// single returns the ids of a word's bytes.
func (t *Tokenizer) single(w string) []int32 {
	ids := make([]int32, len(w))
	for i := range len(w) {
		ids[i] = t.bytes[w[i]]
	}
	return ids
}

// mergeLong is encoder.merge for words of any length: it takes time in proportion to
// n log n, where that takes n². The word is a linked list, and a heap holds the
// pairs in it that can be merged.
func (t *Tokenizer) mergeLong(ids []int32) []int32 {
	l := &list{t: t, ids: ids, next: make([]int, len(ids)), prev: make([]int, len(ids))}
	for i := range ids {
		l.next[i], l.prev[i] = i+1, i-1
	}
	for i := range ids {
		l.offer(i)
	}
	var batch []candidate
	for len(l.queue) > 0 {
		// All pairs of one rank go before the pairs that they give rise to, as in merge.
		batch = batch[:0]
		for r := l.queue[0].rank; len(l.queue) > 0 && l.queue[0].rank == r; {
			batch = append(batch, heap.Pop(&l.queue).(candidate))
		}
		for _, c := range batch {
			l.join(c)
		}
	}
	out := ids[:0]
	for i := 0; i < len(l.next); i = l.next[i] {
		out = append(out, l.ids[i])
	}
	return out
}

// candidate is a pair in a list that could be merged when it was seen.
type candidate struct {
	rank
	at   int
	a, b int32
}

// list is a word while it is being merged. An element that was merged into the one
// before it has id -1.
type list struct {
	t          *Tokenizer
	ids        []int32
	next, prev []int
	queue      candidates
}

// offer queues the pair that begins at i, if it can be merged.
func (l *list) offer(i int) {
	if i < 0 || l.next[i] == len(l.ids) {
		return
	}
	a, b := l.ids[i], l.ids[l.next[i]]
	if r, ok := l.t.ranks.find(a, b); ok {
		heap.Push(&l.queue, candidate{r, i, a, b})
	}
}

// join merges a pair, unless it has gone since it was queued.
func (l *list) join(c candidate) {
	i, j := c.at, l.next[c.at]
	if l.ids[i] != c.a || j == len(l.ids) || l.ids[j] != c.b {
		return
	}
	l.ids[i], l.ids[j] = c.merged, -1
	l.next[i] = l.next[j]
	if l.next[i] < len(l.ids) {
		l.prev[l.next[i]] = i
	}
	l.offer(l.prev[i])
	l.offer(i)
}

// candidates is a heap with the pair to merge first on top: the lowest rank, from the left.
type candidates []candidate

func (q candidates) Len() int      { return len(q) }
func (q candidates) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q candidates) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].rank.rank, q[j].rank.rank), cmp.Compare(q[i].at, q[j].at)) < 0
}
func (q *candidates) Push(x any) { *q = append(*q, x.(candidate)) }
func (q *candidates) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
