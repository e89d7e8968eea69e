// Command rlhf is the whole pipeline in one binary: pretraining, supervised
// fine-tuning, sampling, the labeling web application, the reward model, PPO and
// the before/after study. Each command is one file; what they wire together is in
// the packages they name. rlhf help lists them in the order of the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rlhf/configs"
	"rlhf/internal/kernel"
	"rlhf/internal/metrics"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // after saving
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// app is what every command works with: human output goes to stderr, results to stdout.
type app struct {
	in       io.Reader
	out, err io.Writer
	log      *slog.Logger
	config   string // --config
	preset   string // --preset
}

// failure marks an error of the work itself; every other one is a mistake in how the command was called.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	a := &app{in: in, out: out, err: err, log: slog.New(slog.NewTextHandler(err, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(err)
	if refused := kernel.Refused(); refused != nil {
		fmt.Fprintf(err, "rlhf: %s\n", refused)
		return exitUsage
	}
	name, failed := root.ExecuteContextC(ctx)
	if failed == nil {
		return exitOK
	}
	fmt.Fprintf(err, "%s: %s\n", name.CommandPath(), strings.ReplaceAll(failed.Error(), "\n", "; "))
	var work failure
	switch {
	case errors.Is(failed, context.Canceled):
		return exitInterrupted
	case errors.Is(failed, configs.ErrSetting) || !errors.As(failed, &work):
		return exitUsage
	}
	return exitFailure
}

// command returns the root with its commands in the order of the work.
func (a *app) command() *cobra.Command {
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use: "rlhf", Short: "Learn from human rankings: SFT, reward model, PPO, and a study of before and after",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&a.config, "config", "", "YAML file of settings")
	root.PersistentFlags().StringVar(&a.preset, "preset", "", "named settings: "+strings.Join(configs.Presets(), ", "))
	root.AddCommand(a.demoCommand(), a.dataCommand(), a.tokenizerCommand(), a.modelCommand(), a.pretrainCommand(), a.sftCommand(), a.sampleCommand(), a.chatCommand(),
		a.labelCommand(), a.rewardCommand(), a.ppoCommand(), a.compareCommand(), a.configCommand())
	return root
}

// work makes a cobra handler of f, whose errors are failures of the work.
func work(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd, args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// settings loads the configuration for a command with the flags it was given.
func (a *app) settings(flags *pflag.FlagSet) (configs.Resolved, error) {
	return configs.Load(configs.Sources{Preset: a.preset, File: a.config, Flags: flags})
}

// progress shows how far a long command is.
func (a *app) progress(name string) *metrics.Progress { return metrics.NewProgress(a.err, name, 1) }

// say prints a line for people.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// required marks flags that a command cannot do without.
func required(cmd *cobra.Command, names ...string) *cobra.Command {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined beside the call
		}
	}
	return cmd
}
