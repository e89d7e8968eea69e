package bench

import "rlhf/gpt"

// Forward returns the floating-point operations of a forward pass over one
// sequence of n tokens whose head is computed at heads positions: two for every
// multiplication with a weight, and in each layer four a channel for every pair of
// a position with one that it attends to. LayerNorm, GELU and softmax do not count.
func Forward(c gpt.Config, n, heads int) float64 {
	C, L, N := float64(c.NEmbd), float64(c.NLayer), float64(n)
	linear := 2 * (4*C + 2*float64(c.MLPDim())) * C * L * N
	attention := 4 * C * L * N * (N + 1) / 2
	outputs := float64(c.VocabSize)
	if c.NLabels > 0 {
		outputs = float64(c.NLabels)
	}
	return linear + attention + 2*C*outputs*float64(heads)
}

// Training returns the operations of a forward and a backward pass: each product
// of the forward pass takes two in the backward.
func Training(c gpt.Config, n, heads int) float64 { return 3 * Forward(c, n, heads) }

// Sampling returns the operations of drawing response tokens after a query with a
// cache: every token but the last drawn goes through the layers once.
func Sampling(c gpt.Config, query, response int) float64 {
	return Forward(c, query+response-1, response)
}
