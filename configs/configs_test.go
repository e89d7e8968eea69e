package configs

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func flags(t testing.TB, args ...string) *pflag.FlagSet {
	t.Helper()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(f, "ppo", "sft", "model")
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLaterSourcesWin(t *testing.T) {
	s := Sources{}
	want := func(kl float64, origin string) {
		t.Helper()
		r, err := Load(s)
		if err != nil {
			t.Fatal(err)
		}
		if r.PPO.KLCoef != kl || !strings.Contains(r.Origin("ppo.kl_coef"), origin) {
			t.Errorf("kl_coef %v from %q, want %v from %q", r.PPO.KLCoef, r.Origin("ppo.kl_coef"), kl, origin)
		}
	}
	want(.02, "default")
	s.Preset = "ziegler2019"
	want(.15, "preset ziegler2019:")
	s.File = file(t, "sft:\n  lr: 1\nppo:\n  kl_coef: 0.3\n")
	want(.3, "c.yaml:4")
	t.Setenv("RLHF_PPO_KL_COEF", "0.4")
	want(.4, "environment RLHF_PPO_KL_COEF")
	s.Flags = flags(t, "--ppo.kl_coef", "0.5")
	want(.5, "flag --ppo.kl_coef")
	r, err := Load(s)
	if err != nil || r.SFT.LR != 1 || !r.PPO.ScaleRewards || r.PPO.KLTarget != 6 {
		t.Errorf("what other sources set is lost: %+v, %v", r.PPO, err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, test := range []struct{ name, yaml, env, flag, want string }{
		{name: "unknown key", yaml: "ppo:\n  lr: 1\n  cliprnge: 0.2\n", want: "c.yaml:3: ppo.cliprnge: no such setting; did you mean ppo.cliprange?"},
		{name: "unknown section", yaml: "zzzzzzz: 1\n", want: "c.yaml:1: zzzzzzz: no such setting"},
		{name: "fraction", yaml: "model:\n  n_layer: 63.9\n", want: `c.yaml:2: model.n_layer: found "63.9", expected a whole number`},
		{name: "negative seed", yaml: "ppo:\n  seed: -1\n", want: `ppo.seed: found "-1", expected a whole number from 0`},
		{name: "number for a bool", yaml: "ppo:\n  scale_rewards: 2\n", want: `found "2", expected true or false`},
		{name: "word for a bool", yaml: "ppo:\n  scale_rewards: yes\n", want: "ppo.scale_rewards"},
		{name: "text for a number", yaml: "ppo:\n  lr: fast\n", want: `c.yaml:2: ppo.lr: found "fast", expected a number`},
		{name: "empty for a number", yaml: "ppo:\n  lr: \"\"\n", want: `found "", expected a number`},
		{name: "null", yaml: "ppo:\n  lr:\n", want: "c.yaml:2: ppo.lr"},
		{name: "list", yaml: "ppo:\n  lr: [1]\n", want: "c.yaml:2: ppo.lr: expected a number"},
		{name: "number for text", yaml: "ppo:\n  lr_scheduler: 3\n", want: `found "3", expected text`},
		{name: "scalar for a section", yaml: "ppo: 1\n", want: `c.yaml:1: ppo: found "1", expected settings`},
		{name: "broken", yaml: "ppo: {\n", want: "c.yaml: line"},
		{name: "twice", yaml: "ppo:\n  lr: 1\n  lr: 2\n", want: "c.yaml:3: ppo.lr: already set in line 2"},
		{name: "environment", env: "63.9", want: `environment RLHF_MODEL_N_LAYER: found "63.9", expected a whole number`},
		{name: "flag", flag: "--model.n_layer=x", want: `flag --model.n_layer: found "x", expected a whole number`},
		{name: "invalid", flag: "--ppo.nminibatches=7", want: "ppo.nminibatches: must divide batch_size 512 (got 7) (from flag --ppo.nminibatches)"},
		{name: "invalid from a file", yaml: "sft:\n  batch_size: 0\n", want: "sft.batch_size: must be at least 1 (got 0)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Sources{}
			if test.yaml != "" {
				s.File = file(t, test.yaml)
			}
			if test.env != "" {
				t.Setenv("RLHF_MODEL_N_LAYER", test.env)
			}
			if test.flag != "" {
				s.Flags = flags(t, test.flag)
			}
			_, err := Load(s)
			if err == nil || !errors.Is(err, ErrSetting) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := Load(Sources{Preset: "gpt5"}); err == nil || !strings.Contains(err.Error(), "known: demo, distilgpt2-dialog, gpt2, instructgpt") {
		t.Errorf("unknown preset: %v", err)
	}
}

func TestPrintedSettingsReadBack(t *testing.T) {
	first, err := Load(Sources{Preset: "demo", Flags: flags(t, "--ppo.lr", "1e-07")})
	if err != nil {
		t.Fatal(err)
	}
	for _, origins := range []bool{false, true} {
		second, err := Load(Sources{File: file(t, string(first.YAML(origins)))})
		if err != nil || !reflect.DeepEqual(second.Config, first.Config) {
			t.Errorf("origins %v: %v", origins, err)
		}
	}
	if text := string(first.YAML(true)); !strings.Contains(text, "# flag --ppo.lr") || !strings.Contains(text, "# preset demo:") || !strings.Contains(text, "# default") {
		t.Errorf("origins are missing:\n%s", text)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("ppo:\n  lr: 1\n")
	f.Add("? [a]\n: b\n")
	f.Add("ppo: &x {lr: 1}\nsft: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := Load(Sources{File: file(t, text)}); err == nil {
			if err := r.Validate(); err != nil {
				t.Errorf("%q was loaded although %v", text, err)
			}
		}
	})
}
