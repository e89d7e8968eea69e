package gpt

import (
	"fmt"

	"rlhf/internal/kernel"
)

// Dropout is what a pass drops, as GPT-2's configuration names it, and which masks
// it uses. Kept numbers are scaled by 1/(1-p). Whether a number is kept is a function
// of Seed, Step, the sequence, the layer, which of the three it is, the position and
// the channel (or the head and the key's position): not of how a step's batch is cut
// up, packed, or spread over threads, nor of the instruction set. The zero value is
// no dropout.
type Dropout struct {
	Embd  float32 // embd_pdrop: of the sum of the embeddings
	Attn  float32 // attn_pdrop: of the attention's probabilities
	Resid float32 // resid_pdrop: of what attention and MLP add to the residual stream

	Seed, Step uint64
	First      uint64 // index, in the step's whole batch, of this batch's first sequence
}

// any reports whether d drops anything.
func (d Dropout) any() bool { return d.Embd != 0 || d.Attn != 0 || d.Resid != 0 }

// check returns an error that names the first field that is no share to drop.
func (d Dropout) check() error {
	for _, f := range [...]struct {
		name  string
		value float32
	}{{"embd_pdrop", d.Embd}, {"attn_pdrop", d.Attn}, {"resid_pdrop", d.Resid}} {
		if !(f.value >= 0 && f.value < 1) {
			return fmt.Errorf("%s: must be at least 0 and below 1 (got %g)", f.name, f.value)
		}
	}
	return nil
}

// Places within a layer that numbers are dropped at; the embeddings count to layer 0.
const (
	siteEmbedding = iota
	siteAttention
	siteAttentionOut
	siteMLPOut
)

// drops holds a layer's dropout after its two projections into the residual stream.
type drops struct{ attn, proj kernel.Dropout }

// layKeys gives each row of the pass its key.
func (p *Pass) layKeys() {
	d := p.batch.Dropout
	if !d.any() {
		p.every.keys, p.wanted.keys = nil, nil
		return
	}
	p.keys = grow(p.keys, p.every.n+p.wanted.n)
	p.every.keys, p.wanted.keys = p.keys[:p.every.n], p.keys[p.every.n:]
	for s, T := range p.batch.Lens {
		key := kernel.SequenceKey(d.Seed, d.Step, d.First+uint64(s))
		row := p.every.keys[p.firstRow[s]:][:T]
		for t := range row {
			row[t] = kernel.RowKey(key, t)
		}
		copy(p.wanted.keys[p.wanted.first[s]:], row[p.wanted.lo[s]:p.wanted.hi[s]])
	}
}

// dropout returns the dropout of the rows of keys at a site of layer l, or none if share is 0.
func dropout(share float32, keys []uint64, l, site, head int) kernel.Dropout {
	if share == 0 {
		return kernel.Dropout{}
	}
	return kernel.Dropout{Keys: keys, Salt: kernel.SiteSalt(l, site, head), P: share}
}

// residualDrops returns the dropout of layer l's projections for the rows that go through its second half.
func (p *Pass) residualDrops(l int) drops {
	share, keys := p.batch.Dropout.Resid, p.set(l).keys
	return drops{dropout(share, keys, l, siteAttentionOut, 0), dropout(share, keys, l, siteMLPOut, 0)}
}

// attentionDrop returns the dropout of a head's probabilities for the wanted queries of sequence seq.
func (p *Pass) attentionDrop(l, seq, head int) kernel.Dropout {
	if p.batch.Dropout.Attn == 0 {
		return kernel.Dropout{}
	}
	s := p.set(l)
	return dropout(p.batch.Dropout.Attn, s.keys[s.first[seq]:][:s.hi[seq]-s.lo[seq]], l, siteAttention, head)
}

// dropEmbeddings drops from the rows r0 to r1 of x (N, C), the embeddings or their gradients.
func (p *Pass) dropEmbeddings(c *crew, x []float32, r0, r1 int) {
	if share := p.batch.Dropout.Embd; share != 0 {
		C := p.m.Config.NEmbd
		c.drop(x[r0*C:r1*C], nil, x[r0*C:r1*C], dropout(share, p.every.keys[r0:], 0, siteEmbedding, 0), r1-r0, C)
	}
}
