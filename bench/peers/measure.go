package main

import (
	"context"
	"fmt"
	"os"

	"rlhf/bench"
)

// side is a worker with what it has measured of a case.
type side struct {
	worker  *bench.Worker
	variant string // "" for ours
	replies []bench.Reply
}

// slowRounds is the most rounds of a slow case: its iterations are long enough to even out what disturbs them.
const slowRounds = 2

// row is a case beside one variant of its peer.
type row struct {
	c          bench.Case
	variant    string
	ours, peer []bench.Reply // one a round
	others     float64       // processors that other processes used, at worst
	awake      float64       // processors that the waiting side used, at worst
}

// measure runs a case on all its sides by turns.
func measure(ctx context.Context, o options, c bench.Case) ([]row, error) {
	dir, err := os.MkdirTemp("", "bench-peers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := bench.WriteInputs(dir, c); err != nil {
		return nil, err
	}
	c.Dir = dir
	sides, err := start(ctx, o, c)
	defer func() {
		for _, s := range sides {
			s.worker.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	rounds := o.rounds
	if c.Slow {
		rounds = min(rounds, slowRounds)
	}
	for round := range rounds + 1 { // the first only builds and warms up
		seconds := o.seconds
		if round == 0 {
			seconds = 0
		}
		for i := range sides {
			s := &sides[i]
			reply, err := s.worker.Ask(bench.Request{Case: &c, Variant: s.variant, Seconds: seconds})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name(s.variant), err)
			}
			if round > 0 {
				if ours := sides[0].replies; i > 0 && ours[len(ours)-1].Digest != reply.Digest {
					return nil, fmt.Errorf("%s made %q, we %q", name(s.variant), reply.Digest, ours[len(ours)-1].Digest)
				}
				s.replies = append(s.replies, reply)
				fmt.Fprintf(os.Stderr, "%s, round %d: %s %.1f %s\n", c.Name, round, name(s.variant), reply.Rate, c.Kind.Unit())
			}
		}
	}
	return rows(c, sides), nil
}

// start starts our worker and one for each variant of the peer. Those started are returned also with an error.
func start(ctx context.Context, o options, c bench.Case) (sides []side, err error) {
	ours, err := bench.StartOurs(ctx)
	if err != nil {
		return nil, err
	}
	sides = append(sides, side{worker: ours})
	for _, variant := range c.Variants {
		peer, err := startPeer(ctx, o)
		if err != nil {
			return sides, err
		}
		sides = append(sides, side{worker: peer, variant: variant})
	}
	return sides, nil
}

func rows(c bench.Case, sides []side) (out []row) {
	for _, s := range sides[1:] {
		r := row{c: c, variant: s.variant, ours: sides[0].replies, peer: s.replies}
		for _, each := range sides {
			r.others, r.awake = max(r.others, each.worker.Busiest), max(r.awake, each.worker.Awake)
		}
		out = append(out, r)
	}
	return out
}

// name returns what a table calls a variant.
func name(variant string) string {
	switch variant {
	case "":
		return "rlhf"
	case "eager":
		return "PyTorch eager"
	case "compiled":
		return "torch.compile"
	case "generate":
		return "transformers generate"
	case "TRL":
		return "TRL PPOTrainer"
	case "tokenizers":
		return "tokenizers encode_batch_fast"
	case "BpeTrainer":
		return "tokenizers BpeTrainer"
	}
	return variant
}
