package ppo

import (
	"context"
	"fmt"
	"math"
	"slices"

	"rlhf/gpt"
	"rlhf/internal/rng"
)

// episode is one query with its response and all that is known of it before the
// update. Slices over the response are (T).
type episode struct {
	query, response []int32
	stopped         bool
	score           float64
	logprobs        []float64 // of the policy that sampled it: the sampler's own bits
	refLogprobs     []float64
	values          []float64 // read at the position before each token
	rewards         []float64
	advantages      []float64
	returns         []float64
}

// tokens returns query and response together.
func (e *episode) tokens() []int32 { return slices.Concat(e.query, e.response) }

// first returns the position before the first response token.
func (e *episode) first() int { return len(e.query) - 1 }

// queriesAt returns the queries of one batch: episode k of the run takes place
// k mod n of permutation k/n of the n queries.
func queriesAt(queries [][]int32, seed uint64, step, batchSize int) []gpt.Query {
	out := make([]gpt.Query, batchSize)
	var order []int
	for i := range out {
		k := step*batchSize + i
		if at := k % len(queries); at == 0 || i == 0 {
			order = rng.New(seed, "ppo/queries", uint64(k/len(queries))).Perm(len(queries))
		}
		out[i] = gpt.Query{Tokens: queries[order[k%len(queries)]], Episode: uint64(k)}
	}
	return out
}

// rollout samples the batch of a step and fills in what the update needs.
func (r *run) rollout(ctx context.Context, step int, klCoef float64) ([]episode, error) {
	c := r.c
	queries := queriesAt(r.queries, c.Seed, step, c.BatchSize)
	var stop []int32
	if r.stopToken >= 0 {
		stop = []int32{r.stopToken}
	}
	completions, err := r.m.Policy.Sample(ctx, queries, gpt.SampleConfig{
		MaxNewTokens: c.ResponseLength, Temperature: float32(c.Temperature), StopTokens: stop, Seed: c.Seed, Purpose: "ppo/sample",
	}, nil)
	if err != nil {
		return nil, err
	}
	episodes := make([]episode, len(queries))
	sequences := make([][]int32, len(queries))
	for i, completion := range completions {
		episodes[i] = episode{query: queries[i].Tokens, response: completion.Tokens, stopped: completion.Stopped, logprobs: widen(completion.Logprobs)}
		sequences[i] = episodes[i].tokens()
	}
	scores, err := r.scorer.Scores(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	if len(scores) != len(episodes) {
		return nil, fmt.Errorf("score: %d scores for %d responses", len(scores), len(episodes))
	}
	for i := range episodes {
		e := &episodes[i]
		e.score = float64(scores[i])
		if math.IsNaN(e.score) || math.IsInf(e.score, 0) {
			return nil, fmt.Errorf("score of episode %d is %v", queries[i].Episode, e.score)
		}
		if r.stopToken >= 0 && !e.stopped {
			e.score = missingEOS(c, e.score)
		}
	}
	if err := r.readReference(episodes); err != nil {
		return nil, err
	}
	r.advantages(episodes, klCoef)
	return episodes, nil
}

// readReference sets the reference's log-probs, at the sampling temperature, and the value network's values.
func (r *run) readReference(episodes []episode) error {
	start := 0
	for _, end := range gpt.Cuts(lengths(episodes), r.micro) {
		part := episodes[start:end]
		ref, err := r.ref.Evaluate(pack(part, r.c.Temperature))
		if err != nil {
			return fmt.Errorf("reference: %w", err)
		}
		valued, err := r.value.Evaluate(packValues(part))
		if err != nil {
			return fmt.Errorf("value network: %w", err)
		}
		row := 0
		for i := range part {
			e := &part[i]
			from := row + e.first()
			e.refLogprobs = widen(ref.Logprobs[from : from+len(e.response)])
			e.values = widen(valued.Values[from : from+len(e.response)])
			row += len(e.query) + len(e.response)
		}
		start = end
	}
	return nil
}

// advantages sets rewards, returns and advantages of a batch.
func (r *run) advantages(episodes []episode, klCoef float64) {
	var all []float64
	for i := range episodes {
		e := &episodes[i]
		e.rewards = Rewards(e.logprobs, e.refLogprobs, e.score, klCoef)
		all = append(all, e.rewards...)
	}
	if r.c.ScaleRewards {
		all = Scale(all)
		for i := range episodes {
			copy(episodes[i].rewards, all)
			all = all[len(episodes[i].rewards):]
		}
	}
	all = nil
	for i := range episodes {
		e := &episodes[i]
		e.advantages, e.returns = GAE(e.rewards, e.values, r.c.Gamma, r.c.Lam)
		all = append(all, e.advantages...)
	}
	if r.c.WhitenAdvantages {
		all = Whiten(all)
		for i := range episodes {
			copy(episodes[i].advantages, all)
			all = all[len(episodes[i].advantages):]
		}
	}
}

// pack returns episodes as a batch whose targets are the response tokens.
func pack(episodes []episode, temperature float64) gpt.Batch {
	b := gpt.Batch{Temperature: float32(temperature)}
	for i := range episodes {
		tokens := episodes[i].tokens()
		b.Append(tokens, gpt.NextTokens(tokens, len(episodes[i].query)))
	}
	return b
}

// packValues returns episodes as a batch whose values are wanted from the position before the response on.
func packValues(episodes []episode) gpt.Batch {
	var b gpt.Batch
	for i := range episodes {
		b.Append(episodes[i].tokens(), nil)
		b.ValuesFrom = append(b.ValuesFrom, episodes[i].first())
	}
	return b
}

func lengths(episodes []episode) []int {
	lens := make([]int, len(episodes))
	for i := range episodes {
		lens[i] = len(episodes[i].query) + len(episodes[i].response)
	}
	return lens
}

func widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}
