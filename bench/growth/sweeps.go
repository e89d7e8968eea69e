package main

import (
	"fmt"

	"rlhf/bench"
)

// sweep is a table: one dimension varies and all others stand still.
type sweep struct {
	title, fixed string
	varies       string
	points       []point
}

// point is a line of it.
type point struct {
	value string
	c     bench.Case
}

// headDim is the channels of a head at every width, GPT-2's.
const headDim = 64

// shape returns a model with room for a length.
func shape(width, depth, positions int) bench.Shape {
	return bench.Shape{NLayer: depth, NHead: width / headDim, NEmbd: width, VocabSize: 4096, NPositions: positions}
}

// sweeps returns all tables.
func sweeps(threads int) []sweep {
	train := func(width, depth, batch, length int) bench.Case {
		return bench.Case{Kind: bench.Train, Shape: shape(width, depth, length), Batch: batch, Length: length, Threads: threads, Warmups: 1}
	}
	sample := func(width, depth, batch, drawn int) bench.Case {
		return bench.Case{Kind: bench.Sample, Shape: shape(width, depth, prompt+drawn), Batch: batch, Length: prompt, New: drawn, Threads: threads, Warmups: 1}
	}
	var out []sweep
	add := func(title, fixed, varies string, values []int, c func(value int) bench.Case) {
		s := sweep{title: title, fixed: fixed, varies: varies}
		for _, value := range values {
			s.points = append(s.points, point{fmt.Sprint(value), c(value)})
		}
		out = append(out, s)
	}
	widths, depths, batches := []int{64, 128, 256, 512, 1024}, []int{1, 2, 4, 8, 12}, []int{1, 2, 4, 8, 16, 32, 64}
	add("Train step over width", "4 layers, 16 × 128 tokens.", "width", widths,
		func(width int) bench.Case { return train(width, 4, 16, 128) })
	add("Train step over depth", "Width 256, 16 × 128 tokens.", "layers", depths,
		func(depth int) bench.Case { return train(256, depth, 16, 128) })
	add("Train step over sequence length", "4 layers, width 256, 4096 tokens a step.", "length", []int{64, 128, 256, 512, 1024, 2048, 4096},
		func(length int) bench.Case { return train(256, 4, 4096/length, length) })
	add("Train step over batch", "4 layers, width 256, sequences of 128 tokens.", "sequences", batches,
		func(batch int) bench.Case { return train(256, 4, batch, 128) })
	add("Sampling over width", "4 layers, 64 prompts of 16 tokens, 48 drawn for each.", "width", widths,
		func(width int) bench.Case { return sample(width, 4, 64, 48) })
	add("Sampling over depth", "Width 256, 64 prompts of 16 tokens, 48 drawn for each.", "layers", depths,
		func(depth int) bench.Case { return sample(256, depth, 64, 48) })
	add("Sampling over sequence length", "4 layers, width 256, 8 prompts of 16 tokens, continued to the length.", "length", []int{64, 128, 256, 512, 1024, 2048, 4096},
		func(length int) bench.Case { return sample(256, 4, 8, length-prompt) })
	add("Sampling over batch", "4 layers, width 256, prompts of 16 tokens, 48 drawn for each.", "prompts", batches,
		func(batch int) bench.Case { return sample(256, 4, batch, 48) })
	return append(out, overThreads(train(256, 4, 16, 128), "Train step over threads", "4 layers, width 256, 16 × 128 tokens.", threads),
		overThreads(sample(256, 4, 64, 48), "Sampling over threads", "4 layers, width 256, 64 prompts of 16 tokens, 48 drawn for each.", threads))
}

// prompt is the tokens of a prompt.
const prompt = 16

// overThreads varies the threads from 1 on by doubling, up to most.
func overThreads(c bench.Case, title, fixed string, most int) sweep {
	s := sweep{title: title, fixed: fixed, varies: "threads"}
	for n := 1; ; n = min(2*n, most) {
		c.Threads = n
		s.points = append(s.points, point{fmt.Sprint(n), c})
		if n >= most {
			return s
		}
	}
}
