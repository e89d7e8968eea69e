package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/checkpoint"
	"rlhf/internal/dataset"
	"rlhf/internal/rng"
)

// inputs is what an iteration of PPO starts from. It is a function of the case.
type inputs struct {
	policy, reward *gpt.Model
	prompts        [][]int32 // (Batch)
	stop           int32     // -1 for none
}

// shortestPrompt is the fewest tokens of a ragged prompt, and stopShare the share
// of next tokens at the start of training that end a response: of responses of
// up to 24 tokens about 60 % stop by themselves, after 10 tokens on average.
const (
	shortestPrompt = 4
	stopShare      = .04
)

func newInputs(c Case) (inputs, error) {
	policy, err := newModel(c.Shape, 0)
	if err != nil {
		return inputs{}, err
	}
	reward, err := newModel(c.Shape, 1)
	if err != nil {
		return inputs{}, err
	}
	r, score := rng.New(1, "bench/score", 0), reward.Tensor("score.weight")
	for i := range score {
		score[i] = float32(.02 * r.NormFloat64())
	}
	reward.Changed()
	in := inputs{policy: policy, reward: reward, stop: -1}
	if !c.Ragged {
		for i := range c.Batch {
			in.prompts = append(in.prompts, tokens(i, c.Length, c.Shape.VocabSize))
		}
		return in, nil
	}
	in.prompts, in.stop, err = sentences(c)
	favour(policy, in.stop, stopShare, c.Temperature)
	return in, err
}

// sentences returns the case's ragged prompts, sentences of the embedded movie
// reviews in the tokens of a tokenizer trained on them, and its end-of-text token.
// Their lengths are as these sentences have them, from shortestPrompt to Length.
func sentences(c Case) (prompts [][]int32, stop int32, err error) {
	reviews, err := dataset.Reviews()
	if err != nil {
		return nil, 0, err
	}
	texts := make([]string, len(reviews))
	for i, review := range reviews {
		texts[i] = review.Text
	}
	tok, err := bpe.Train(texts, c.Shape.VocabSize)
	if err != nil {
		return nil, 0, err
	}
	for _, i := range rng.New(1, "bench/prompts", 0).Perm(len(texts)) {
		if ids := tok.Encode(texts[i]); len(ids) >= shortestPrompt && len(ids) <= c.Length {
			prompts = append(prompts, ids)
		}
		if len(prompts) == c.Batch {
			return prompts, tok.EndOfText(), nil
		}
	}
	return nil, 0, fmt.Errorf("case %s: %d sentences of %d to %d tokens, expected %d", c.Name, len(prompts), shortestPrompt, c.Length, c.Batch)
}

// favour raises a token's logit everywhere so that about the given share of an
// untrained model's samples is that token. A model's directory has no bias of the
// head, so it goes through the last LayerNorm's, along the token's embedding.
func favour(m *gpt.Model, token int32, share, temperature float64) {
	C := m.Config.NEmbd
	w, bias := m.Tensor("transformer.wte.weight")[int(token)*C:][:C], m.Tensor("transformer.ln_f.bias")
	norm2 := 0.0
	for _, x := range w {
		norm2 += float64(x) * float64(x)
	}
	raise := temperature * math.Log(share*float64(m.Config.VocabSize-1)/(1-share))
	for i := range bias {
		bias[i] += float32(raise * float64(w[i]) / norm2)
	}
	m.Changed()
}

// WriteInputs writes what a case starts from into dir, for the peer: for PPO policy/
// and reward/ as Hugging Face models and prompts.json, for Encode and Learn text.txt
// and for Encode tokenizer.json too. The other kinds have nothing.
func WriteInputs(dir string, c Case) error {
	switch c.Kind {
	case Encode, Learn:
		return writeTokenizerInputs(dir, c)
	case Train, Sample:
		return nil
	}
	in, err := newInputs(c)
	if err != nil {
		return err
	}
	if err := checkpoint.SaveModel(filepath.Join(dir, "policy"), in.policy, checkpoint.Tokenizer{}); err != nil {
		return err
	}
	if err := checkpoint.SaveModel(filepath.Join(dir, "reward"), in.reward, checkpoint.Tokenizer{}); err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]any{"prompts": in.prompts, "stop": in.stop})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "prompts.json"), raw, 0o666)
}
