// Package bench holds the benchmarks of the engine: the cases, each with its
// workload made of the program's own packages, and the workers that run them in
// processes of their own. make bench runs them as Go benchmarks, bench/peers
// beside PyTorch, transformers and TRL, bench/growth over width, depth, length,
// batch and threads. It is not part of the program.
package bench

import "rlhf/gpt"

// Kind says what one iteration of a case does.
type Kind string

// The kinds of a case.
const (
	Train  Kind = "train"  // an optimizer step: forward, backward, clipping, AdamW
	Sample Kind = "sample" // completions of a batch of prompts, each to its full length
	Encode Kind = "encode" // the token ids of a text
	Learn  Kind = "learn"  // the training of a tokenizer
	PPO    Kind = "ppo"    // an iteration of PPO: rollouts, scores, reference, epochs of both networks
)

// Unit returns what a rate of the kind counts a second.
func (k Kind) Unit() string {
	switch k {
	case PPO:
		return "episodes/s"
	case Encode, Learn:
		return "MB/s"
	}
	return "tok/s"
}

// Shape is a model's shape, with names as in a Hugging Face config.json.
type Shape struct {
	NLayer     int `json:"n_layer"`
	NHead      int `json:"n_head"`
	NEmbd      int `json:"n_embd"`
	VocabSize  int `json:"vocab_size"`
	NPositions int `json:"n_positions"`
}

// Config returns the shape as a model's with nLabels labels.
func (s Shape) Config(nLabels int) gpt.Config {
	return gpt.Config{NLayer: s.NLayer, NHead: s.NHead, NEmbd: s.NEmbd, VocabSize: s.VocabSize, NPositions: s.NPositions,
		NLabels: nLabels, LayerNormEpsilon: 1e-5}
}

// Case is a piece of work that is measured here and, by peers.py, in the peers.
// Everything in it is the same for both.
type Case struct {
	Name    string `json:"name"`
	Title   string `json:"title"` // as a table shows it
	Kind    Kind   `json:"kind"`
	Shape   Shape  `json:"shape"`
	Threads int    `json:"threads"`
	Warmups int    `json:"warmups"` // iterations before the first that counts

	Batch  int  `json:"batch"`  // sequences of a step, prompts, or episodes of an iteration
	Length int  `json:"length"` // tokens of a sequence or a prompt; of the longest prompt if Ragged
	New    int  `json:"new"`    // most tokens of a completion
	Ragged bool `json:"ragged"` // prompts are encoded sentences, and responses stop early

	Bytes int  `json:"bytes"` // of the text of Encode and Learn
	Lines bool `json:"lines"` // Encode takes the text line by line

	Epochs      int     `json:"epochs"`
	LR          float64 `json:"lr"`
	KLCoef      float64 `json:"kl_coef"`
	Temperature float64 `json:"temperature"`
	Dir         string  `json:"dir"` // of what WriteInputs made for the peer

	Variants []string `json:"-"` // the peers to measure against
	Goal     float64  `json:"-"` // the ratio to the first variant that we want to reach; 0 for none
	Slow     bool     `json:"-"` // reports whether an iteration takes minutes
}

// The three sizes measured: the demo's, one between, and GPT-2's smallest.
var (
	Small  = Shape{NLayer: 4, NHead: 4, NEmbd: 128, VocabSize: 512, NPositions: 128}
	Medium = Shape{NLayer: 6, NHead: 6, NEmbd: 384, VocabSize: 512, NPositions: 128}
	GPT2   = Shape{NLayer: 12, NHead: 12, NEmbd: 768, VocabSize: 50257, NPositions: 1024}
)

// Cases returns the cases for a number of threads, in the order of the tables.
func Cases(threads int) []Case {
	training := []string{"eager", "compiled"}
	generate := []string{"generate"}
	trainer := []string{"TRL"}
	words := Shape{VocabSize: 32000}
	cases := []Case{
		{Name: "train/0.9M", Title: "train step, 0.9M parameters, 32 × 64 tokens", Kind: Train, Shape: Small, Batch: 32, Length: 64, Variants: training, Goal: 2.5},
		{Name: "train/10.9M", Title: "train step, 10.9M, 16 × 128", Kind: Train, Shape: Medium, Batch: 16, Length: 128, Variants: training, Goal: 1.6},
		{Name: "train/124M", Title: "train step, GPT-2 124M, 4 × 64", Kind: Train, Shape: GPT2, Batch: 4, Length: 64, Variants: training, Goal: 1.5},
		{Name: "sample/0.9M", Title: "sample, 0.9M, batch 64, 16 + 64 tokens", Kind: Sample, Shape: Small, Batch: 64, Length: 16, New: 64, Variants: generate, Goal: 10},
		{Name: "sample/10.9M", Title: "sample, 10.9M, batch 64, 16 + 64", Kind: Sample, Shape: Medium, Batch: 64, Length: 16, New: 64, Variants: generate, Goal: 5},
		{Name: "sample/124M", Title: "sample, 124M, batch 16, 16 + 32", Kind: Sample, Shape: GPT2, Batch: 16, Length: 16, New: 32, Variants: generate, Goal: 2.5},
		{Name: "sample/124M/alone", Title: "sample, 124M, batch 1, 16 + 32", Kind: Sample, Shape: GPT2, Batch: 1, Length: 16, New: 32, Variants: generate, Goal: 1},
		{Name: "ppo/0.9M", Title: "PPO, 0.9M, 512 episodes of 64 + 24, 4 epochs", Kind: PPO, Shape: Small, Batch: 512, Length: 64, New: 24, Epochs: 4, Variants: trainer, Goal: 2.5},
		{Name: "ppo/0.9M/ragged", Title: "PPO, 0.9M, 512 episodes of 4–64 + up to 24, 4 epochs", Kind: PPO, Shape: Small, Batch: 512, Length: 64, New: 24, Ragged: true, Epochs: 4, Variants: trainer, Goal: 5},
		{Name: "ppo/10.9M", Title: "PPO, 10.9M, 512 episodes of 64 + 24, 4 epochs", Kind: PPO, Shape: Medium, Batch: 512, Length: 64, New: 24, Epochs: 4, Variants: trainer, Slow: true, Goal: 2.5},
		{Name: "ppo/124M", Title: "PPO, four models of 124M, 16 episodes of 64 + 24, 1 epoch", Kind: PPO, Shape: GPT2, Batch: 16, Length: 64, New: 24, Epochs: 1, Variants: trainer},
		{Name: "tokenizer/encode", Title: "encode one text of 12 MB, one thread, warm", Kind: Encode, Shape: words, Bytes: 12e6, Variants: []string{"tokenizers"}, Goal: 3},
		{Name: "tokenizer/encode/lines", Title: "encode 12 MB by lines, one thread, warm", Kind: Encode, Shape: words, Bytes: 12e6, Lines: true, Variants: []string{"tokenizers"}, Goal: 3},
		{Name: "tokenizer/train", Title: "train a tokenizer of 32,000 tokens on 24 MB", Kind: Learn, Shape: words, Bytes: 24e6, Variants: []string{"BpeTrainer"}},
	}
	for i := range cases {
		c := &cases[i]
		c.Threads, c.Warmups = threads, 1
		if c.Kind == Encode {
			c.Threads = 1
		}
		if c.Kind == PPO {
			c.LR, c.KLCoef, c.Temperature = 3e-6, .05, .7 // TRL's defaults
		}
	}
	return cases
}
