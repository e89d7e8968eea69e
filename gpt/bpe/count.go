package bpe

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// counts is how often each word stands in texts: a hash table that keeps the words'
// bytes in one array.
type counts struct {
	slots []uint32 // index in words, plus 1; 0 is empty
	words []counted
	text  []byte
}

type counted struct {
	at   int // where it begins in text
	n    uint32
	hash uint32
	many int64
}

func newCounts() *counts { return &counts{slots: make([]uint32, 1<<12)} }

// add counts a word so many times more.
func (c *counts) add(word string, hash uint64, many int64) {
	mask := uint32(len(c.slots) - 1)
	h := uint32(hash >> 32)
	i := h & mask
	for ; c.slots[i] != 0; i = (i + 1) & mask {
		w := &c.words[c.slots[i]-1]
		if w.hash == h && string(c.text[w.at:w.at+int(w.n)]) == word {
			w.many += many
			return
		}
	}
	c.words = append(c.words, counted{len(c.text), uint32(len(word)), h, many})
	c.text = append(c.text, word...)
	if c.slots[i] = uint32(len(c.words)); 2*len(c.words) > len(c.slots) {
		c.grow()
	}
}

func (c *counts) grow() {
	c.slots = make([]uint32, 2*len(c.slots))
	mask := uint32(len(c.slots) - 1)
	for k, w := range c.words {
		i := w.hash & mask
		for c.slots[i] != 0 {
			i = (i + 1) & mask
		}
		c.slots[i] = uint32(k + 1)
	}
}

// addText counts the words of a text.
func (c *counts) addText(text string) {
	for i := 0; i < len(text); {
		n := wordLength(text[i:])
		if n <= 16 {
			lo, hi := key(text, i, n)
			c.add(text[i:i+n], hashShort(lo, hi, n), 1)
		} else {
			c.add(text[i:i+n], hashLong(text[i:i+n]), 1)
		}
		i += n
	}
}

// addAll adds what another counted.
func (c *counts) addAll(other *counts) {
	for _, w := range other.words {
		word := string(other.text[w.at : w.at+int(w.n)])
		c.add(word, uint64(w.hash)<<32, w.many)
	}
}

// portion is about how many bytes of text a counting goroutine takes at a time.
const portion = 1 << 18

// countWords counts the words of texts on all processors. It calls progress, unless
// it is nil, with the bytes handed out so far.
func countWords(ctx context.Context, texts iter.Seq2[string, error], progress func(bytes int64)) (*counts, error) {
	portions := make(chan []string)
	tables := make([]*counts, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range tables {
		tables[i] = newCounts()
		wg.Go(func() {
			for texts := range portions {
				for _, text := range texts {
					tables[i].addText(text)
				}
			}
		})
	}
	err := handOut(ctx, texts, portions, progress)
	close(portions)
	wg.Wait()
	if err != nil {
		return nil, err
	}
	for i := range tables[1:] {
		tables[0].addAll(tables[i+1])
		tables[i+1] = nil
	}
	return tables[0], nil
}

// handOut sends texts in portions, long texts in pieces.
func handOut(ctx context.Context, texts iter.Seq2[string, error], portions chan<- []string, progress func(int64)) error {
	var held []string
	size, total := 0, int64(0)
	send := func() {
		portions <- held
		total += int64(size)
		held, size = nil, 0
		if progress != nil {
			progress(total)
		}
	}
	for text, err := range texts {
		if err != nil {
			return err
		}
		for text != "" {
			n := len(text)
			if n > portion {
				n = cut(text, portion)
			}
			held, size, text = append(held, text[:n]), size+n, text[n:]
			if size >= portion {
				if err := ctx.Err(); err != nil {
					return err
				}
				send()
			}
		}
	}
	send()
	return ctx.Err()
}
