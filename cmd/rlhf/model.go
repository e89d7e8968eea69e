package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"rlhf/gpt"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "Show, import and resize models"}
	cmd.AddCommand(a.modelShowCommand(), a.modelImportCommand())
	return cmd
}

func (a *app) modelImportCommand() *cobra.Command {
	var from, out, tokenizer string
	var given hf.MinGPT
	cmd := &cobra.Command{Use: "import --from mingpt|nanogpt|hf PATH --out DIR", Args: cobra.ExactArgs(1),
		Short: "Turn another model into a directory as the stages write it: model.safetensors in float32"}
	cmd.Flags().StringVar(&from, "from", "", "mingpt (weights of minGPT by torch.save), nanogpt (its ckpt.pt) or hf (a Hugging Face directory: shards, .bin, half precision)")
	cmd.Flags().StringVar(&out, "out", "", "model directory to write; it must be new or empty")
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "directory of the tokenizer to put beside the model; for hf the model's own if not given")
	cmd.Flags().IntVar(&given.NHead, "n_head", 0, "attention heads, which weights of minGPT do not say")
	cmd.Flags().StringVar(&given.Activation, "activation_function", "", "activation of minGPT's or nanoGPT's model, by transformers' name (default gelu_new for minGPT, gelu for nanoGPT)")
	cmd.RunE = work(func(cmd *cobra.Command, args []string) error {
		if from == "hf" && (cmd.Flags().Changed("n_head") || cmd.Flags().Changed("activation_function")) {
			return errors.New("--n_head and --activation_function: a Hugging Face directory says them itself")
		}
		if err := mustBeNew(out); err != nil {
			return err
		}
		m, x, err := importModel(from, args[0], given)
		if err != nil {
			return err
		}
		if tokenizer == "" && from == "hf" {
			tokenizer = args[0]
		}
		if x, err = withTokenizer(x, tokenizer, m.Config.VocabSize, cmd.Flags().Changed("tokenizer")); err != nil {
			return err
		}
		if err := checkpoint.SaveModel(out, m, x); err != nil {
			return err
		}
		a.say("imported %s parameters: %s", thousands(len(m.Theta)), out)
		return nil
	})
	return required(cmd, "from", "out")
}

// importModel reads a model of one of the kinds that import knows.
func importModel(from, path string, given hf.MinGPT) (*gpt.Model, hf.Extras, error) {
	switch from {
	case "hf":
		s, err := hf.ReadSettings(path)
		if err != nil {
			return nil, hf.Extras{}, err
		}
		m, err := hf.Load(path)
		return m, hf.Extras{BOS: s.BOS, EndOfText: s.EOS, Pad: s.Pad, Dropout: s.Dropout}, err
	case "mingpt", "nanogpt":
		m, dropout, err := hf.LoadMinGPT(path, given)
		return m, hf.Extras{Dropout: dropout}, err
	}
	return nil, hf.Extras{}, fmt.Errorf("--from: found %q, expected mingpt, nanogpt or hf", from)
}

// withTokenizer puts the tokenizer of a directory beside a model of so many ids. Only if it must be there is a directory without one an error.
func withTokenizer(x hf.Extras, dir string, vocabSize int, must bool) (hf.Extras, error) {
	if dir == "" {
		return x, nil
	}
	tok, err := optionalTokenizer(dir)
	switch {
	case err != nil:
		return x, err
	case tok == nil && must:
		return x, fmt.Errorf("%s: no tokenizer: expected vocab.json with merges.txt, or tokenizer.json", dir)
	case tok == nil:
		return x, nil
	case tok.VocabSize() > vocabSize:
		return x, fmt.Errorf("%s: the tokenizer has %d tokens, the model %d", dir, tok.VocabSize(), vocabSize)
	}
	beside := tokenizerFiles(tok)
	beside.Dropout = x.Dropout
	return beside, nil
}

// mustBeNew refuses a directory that holds something: a model directory is replaced whole.
func mustBeNew(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("--out: %s is not empty, expected a new directory", dir)
}
