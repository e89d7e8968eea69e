package gpt_test

import (
	"fmt"
	"math"

	"rlhf/gpt"
	"rlhf/internal/kernel"
)

// naive is a GPT-2 in float64, written from the formulas, one sequence at a time and without regard for time.
type naive struct {
	c     gpt.Config
	theta []float64
	named map[string][]float64 // views into theta
	drop  gpt.Dropout
}

func newNaive(m *gpt.Model, d gpt.Dropout) naive {
	n := naive{m.Config, make([]float64, len(m.Theta)), map[string][]float64{}, d}
	for i, v := range m.Theta {
		n.theta[i] = float64(v)
	}
	for _, t := range m.Config.Tensors() {
		n.named[t.Name] = n.theta[t.Offset : t.Offset+t.Size()]
	}
	return n
}

// mask returns the factors of n numbers at a position of a sequence: sites are 0 for the embeddings, 1 for the attention's
// probabilities, 2 and 3 for what attention and MLP add.
func (m naive) mask(share float32, sequence, layer, site, head, position, n int) []float64 {
	ones, out, factors := make([]float32, n), make([]float32, n), make([]float64, n)
	for i := range ones {
		ones[i], factors[i] = 1, 1
	}
	if share > 0 {
		key := kernel.SequenceKey(m.drop.Seed, m.drop.Step, m.drop.First+uint64(sequence))
		kernel.Drop(out, nil, ones, kernel.Dropout{Keys: []uint64{kernel.RowKey(key, position)}, Salt: kernel.SiteSalt(layer, site, head), P: share}, 1, n)
		for i, v := range out {
			factors[i] = float64(v)
		}
	}
	return factors
}

func (m naive) norm(x []float64, name string) []float64 {
	gain, bias := m.named[name+".weight"], m.named[name+".bias"]
	mean, variance, n, y := 0.0, 0.0, float64(len(x)), make([]float64, len(x))
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / n
	}
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+float64(m.c.LayerNormEpsilon))*gain[i] + bias[i]
	}
	return y
}

func (m naive) linear(x []float64, name string) []float64 {
	w, bias := m.named[name+".weight"], m.named[name+".bias"]
	y := append([]float64(nil), bias...)
	for i, v := range x {
		for j := range y {
			y[j] += v * w[i*len(y)+j]
		}
	}
	return y
}

// attend returns a position's attention from the rows of queries, keys and values up to it.
func (m naive) attend(qkv [][]float64, sequence, layer, position int) []float64 {
	C, hd := m.c.NEmbd, m.c.HeadDim()
	out := make([]float64, C)
	for h := range m.c.NHead {
		p, total := make([]float64, position+1), 0.0
		for j := range p {
			for e := h * hd; e < (h+1)*hd; e++ {
				p[j] += qkv[position][e] * qkv[j][C+e] / math.Sqrt(float64(hd))
			}
			p[j] = math.Exp(p[j])
			total += p[j]
		}
		mask := m.mask(m.drop.Attn, sequence, layer, 1, h, position, len(p))
		for j := range p {
			for e := h * hd; e < (h+1)*hd; e++ {
				out[e] += p[j] / total * mask[j] * qkv[j][2*C+e]
			}
		}
	}
	return out
}

// hidden returns the last LayerNorm's output at each position of a sequence.
func (m naive) hidden(tokens []int32, sequence int) [][]float64 {
	C, x := m.c.NEmbd, make([][]float64, len(tokens))
	wte, wpe := m.named["transformer.wte.weight"], m.named["transformer.wpe.weight"]
	for t, token := range tokens {
		x[t] = m.mask(m.drop.Embd, sequence, 0, 0, 0, t, C)
		for i := range x[t] {
			x[t][i] *= wte[int(token)*C+i] + wpe[t*C+i]
		}
	}
	add := func(to, y, mask []float64) {
		for i := range to {
			to[i] += y[i] * mask[i]
		}
	}
	for l := range m.c.NLayer {
		p, qkv := fmt.Sprintf("transformer.h.%d.", l), make([][]float64, len(tokens))
		for t := range x {
			qkv[t] = m.linear(m.norm(x[t], p+"ln_1"), p+"attn.c_attn")
		}
		for t := range x {
			add(x[t], m.linear(m.attend(qkv, sequence, l, t), p+"attn.c_proj"), m.mask(m.drop.Resid, sequence, l, 2, 0, t, C))
			inner := m.linear(m.norm(x[t], p+"ln_2"), p+"mlp.c_fc")
			for i, v := range inner {
				inner[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+.044715*v*v*v)))
			}
			add(x[t], m.linear(inner, p+"mlp.c_proj"), m.mask(m.drop.Resid, sequence, l, 3, 0, t, C))
		}
	}
	for t := range x {
		x[t] = m.norm(x[t], "transformer.ln_f")
	}
	return x
}

// outputs returns the log-probs of a batch's targets or, of a model with a score head, the values of all positions.
func (m naive) outputs(b gpt.Batch) []float64 {
	head, out, row := "transformer.wte.weight", []float64{}, 0
	if m.c.OwnHead {
		head = "lm_head.weight"
	} else if m.c.NLabels > 0 {
		head = "score.weight"
	}
	for s, T := range b.Lens {
		for t, h := range m.hidden(b.Tokens[row:row+T], s) {
			w := m.named[head]
			logits := make([]float64, len(w)/m.c.NEmbd)
			for v := range logits {
				for i := range h {
					logits[v] += h[i] * w[v*m.c.NEmbd+i]
				}
			}
			switch {
			case m.c.NLabels > 0:
				out = append(out, logits[0])
			case b.Targets[row+t] < 0:
				out = append(out, 0)
			default:
				out = append(out, logits[b.Targets[row+t]]-logSumExp(logits))
			}
		}
		row += T
	}
	return out
}
