package compare

import (
	"context"
	"fmt"

	"rlhf/gpt"
)

// batchTokens is about how many tokens a pass takes at once.
const batchTokens = 4096

// logprobs returns for each answer the log-probs, in nats, that the model gives the
// answer's tokens after its prompt: the same bits that the model's own sampler
// gives them.
func logprobs(ctx context.Context, side Side, a answers, temperature float32) ([][]float32, error) {
	pass := gpt.NewPass(side.Model)
	out := make([][]float32, len(a.answers))
	for first := 0; first < len(out); {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("compare: log-probs under %s: %w", side.Name, err)
		}
		b := gpt.Batch{Temperature: temperature}
		last := first
		for ; last < len(out) && (last == first || len(b.Tokens) < batchTokens); last++ {
			tokens := a.answers[last].Tokens
			b.Tokens = append(b.Tokens, tokens...)
			b.Lens = append(b.Lens, len(tokens))
			for t := range tokens {
				if t+1 < a.queries[last] || t+1 == len(tokens) {
					b.Targets = append(b.Targets, -1)
				} else {
					b.Targets = append(b.Targets, tokens[t+1])
				}
			}
		}
		o, err := pass.Evaluate(b)
		if err != nil {
			return nil, fmt.Errorf("compare: log-probs under %s, prompts %d to %d: %w", side.Name, first, last-1, err)
		}
		row := 0
		for i := first; i < last; i++ {
			end := row + b.Lens[i-first]
			out[i] = append(out[i], o.Logprobs[row+a.queries[i]-1:end-1]...)
			row = end
		}
		first = last
	}
	return out, nil
}
