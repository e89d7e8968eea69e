package gpt

// Append adds a sequence to the batch. targets is nil or as long as tokens.
func (b *Batch) Append(tokens, targets []int32) {
	b.Tokens = append(b.Tokens, tokens...)
	b.Lens = append(b.Lens, len(tokens))
	if targets != nil {
		b.Targets = append(b.Targets, targets...)
	}
}

// NextTokens returns the targets of one sequence: at each position from first-1
// on the token after it, elsewhere -1. So the log-probs of tokens[first:] are
// asked for; a first below 1 reads as 1, since nothing stands before tokens[0].
func NextTokens(tokens []int32, first int) []int32 {
	targets := make([]int32, len(tokens))
	for t := range targets {
		if targets[t] = -1; t+1 >= max(first, 1) && t+1 < len(tokens) {
			targets[t] = tokens[t+1]
		}
	}
	return targets
}

// MicroTokens returns how many tokens of a larger batch a pass should take at
// once: what a training pass keeps of them is about 256 MiB, so that memory
// does not grow with the batch and small models stay near the caches.
func (c Config) MicroTokens() int {
	const memory = 256 << 20
	perToken := 4 * (c.NLayer*(8*c.NEmbd+c.MLPDim()) + 12*c.NEmbd + 2*c.MLPDim()) // activations of all layers, gradients of one
	return min(max(memory/perToken, 256), 8192)
}

// Cuts divides sequences of the given lengths, in order, into runs of at most
// maxTokens tokens, or of one longer sequence, and returns where each run ends.
func Cuts(lens []int, maxTokens int) []int {
	var ends []int
	tokens := 0
	for i, n := range lens {
		if tokens > 0 && tokens+n > maxTokens {
			ends = append(ends, i)
			tokens = 0
		}
		tokens += n
	}
	if len(lens) > 0 {
		ends = append(ends, len(lens))
	}
	return ends
}
