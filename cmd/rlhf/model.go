package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/gpt/hf"
	"rlhf/internal/checkpoint"
)

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "model", Short: "Show, import and resize models"}
	cmd.AddCommand(a.modelShowCommand(), a.modelImportCommand(), a.modelResizeCommand())
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
		s, err := importModel(from, args[0], given)
		if err != nil {
			return err
		}
		if tokenizer != "" {
			if s.tok, err = optionalTokenizer(tokenizer); err == nil && s.tok == nil {
				err = fmt.Errorf("%s: no tokenizer: expected vocab.json with merges.txt, or tokenizer.json", tokenizer)
			}
			if err != nil {
				return err
			}
		}
		if err := s.save(out); err != nil {
			return err
		}
		a.say("imported %s parameters: %s", thousands(len(s.model.Theta)), out)
		return nil
	})
	return required(cmd, "from", "out")
}

func (a *app) modelResizeCommand() *cobra.Command {
	var dir, out, how string
	var tokens []string
	var special bool
	var size int
	var seed uint64
	cmd := &cobra.Command{Use: "resize --model DIR --tokens NAME,… | --vocab_size N --out DIR", Args: cobra.NoArgs,
		Short: "Give a model and its tokenizer more tokens, or a model another size of vocabulary"}
	cmd.Flags().StringVar(&dir, "model", "", "model directory to start from")
	cmd.Flags().StringSliceVar(&tokens, "tokens", nil, "tokens to add to the tokenizer, and rows to the model where it has none for them")
	cmd.Flags().BoolVar(&special, "special", true, "the added tokens are special: they stand for no text")
	cmd.Flags().IntVar(&size, "vocab_size", 0, "size of the model's vocabulary, at least the tokenizer's")
	cmd.Flags().StringVar(&how, "init", string(gpt.RowsMeanResizing), "new rows: mean (of the old ones), mean_resizing (normal around it with the old ones' covariance × 1e-9, transformers' default) or normal (standard deviation 0.02, transformers' mean_resizing=False)")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the new rows")
	cmd.Flags().StringVar(&out, "out", "", "model directory to write; it must be new or empty")
	cmd.MarkFlagsOneRequired("tokens", "vocab_size")
	cmd.MarkFlagsMutuallyExclusive("tokens", "vocab_size")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		if err := mustBeNew(out); err != nil {
			return err
		}
		s, err := readSource(dir)
		if err != nil {
			return err
		}
		before := s.model.Config.VocabSize
		if cmd.Flags().Changed("tokens") {
			if s.tok == nil {
				return fmt.Errorf("%s: no tokenizer to add tokens to", dir)
			}
			if s.tok, _, err = s.tok.AddTokens(special, tokens...); err != nil {
				return err
			}
			size = max(before, s.tok.VocabSize())
		}
		s.lineage = &checkpoint.Lineage{Stage: "resize", Parents: []checkpoint.Parent{checkpoint.ParentOf("init", s.model, s.lineage)}}
		if s.model, err = s.model.Resized(size, gpt.NewRows(how), seed); err != nil {
			return err
		}
		if err := s.save(out); err != nil {
			return err
		}
		a.say("vocabulary of the model: %d, was %d%s: %s", size, before, s.has(), out)
		return nil
	})
	return required(cmd, "model", "out")
}

// source is a model that is about to be written again, with what stands beside it.
type source struct {
	model   *gpt.Model
	tok     *bpe.Tokenizer // nil if there is none
	extras  hf.Extras      // but the tokenizer's files
	lineage *checkpoint.Lineage
}

// readSource reads a Hugging Face directory.
func readSource(dir string) (source, error) {
	settings, err := hf.ReadSettings(dir)
	if err != nil {
		return source{}, err
	}
	s := source{extras: hf.Extras{BOS: settings.BOS, EndOfText: settings.EOS, Pad: settings.Pad, Dropout: settings.Dropout}}
	if s.model, err = hf.Load(dir); err != nil {
		return s, err
	}
	if s.tok, err = optionalTokenizer(dir); err != nil {
		return s, err
	}
	s.lineage, err = checkpoint.ReadLineage(dir)
	return s, err
}

// importModel reads a model of one of the kinds that import knows.
func importModel(from, path string, given hf.MinGPT) (source, error) {
	switch from {
	case "hf":
		s, err := readSource(path)
		if err != nil {
			return s, err
		}
		info, err := hf.ReadInfo(path)
		if err != nil {
			return s, err
		}
		parents := []checkpoint.Parent{}
		if s.lineage != nil {
			parents = append(parents, checkpoint.ParentOf("init", s.model, s.lineage))
		}
		s.lineage, err = imported(parents, path, info.Files...)
		return s, err
	case "mingpt", "nanogpt":
		m, dropout, err := hf.LoadMinGPT(path, given)
		if err != nil {
			return source{}, err
		}
		lineage, err := imported([]checkpoint.Parent{}, filepath.Dir(path), filepath.Base(path))
		return source{model: m, extras: hf.Extras{Dropout: dropout}, lineage: lineage}, err
	}
	return source{}, fmt.Errorf("--from: found %q, expected mingpt, nanogpt or hf", from)
}

// imported returns the lineage of a model that was read from files of a directory.
func imported(parents []checkpoint.Parent, dir string, names ...string) (*checkpoint.Lineage, error) {
	l := &checkpoint.Lineage{Stage: "import", Parents: parents}
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		n, err := io.Copy(h, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		l.Data = append(l.Data, checkpoint.Data{Name: name, SHA256: hex.EncodeToString(h.Sum(nil)), Bytes: n})
	}
	return l, nil
}

// save writes the source as a model directory. The model must have an id for every token.
func (s source) save(dir string) error {
	x := s.extras
	if s.tok != nil {
		if n := s.tok.VocabSize(); n > s.model.Config.VocabSize {
			return fmt.Errorf("the tokenizer has %d tokens, the model %d", n, s.model.Config.VocabSize)
		}
		x = tokenizerFiles(s.tok)
		x.Dropout = s.extras.Dropout
	}
	x, err := s.lineage.Beside(x)
	if err != nil {
		return err
	}
	return checkpoint.SaveModel(dir, s.model, x)
}

// has says how many tokens the tokenizer has, if there is one.
func (s source) has() string {
	if s.tok == nil {
		return ""
	}
	return fmt.Sprintf(", of the tokenizer: %d", s.tok.VocabSize())
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
