package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"rlhf/configs"
)

func (a *app) configCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "config", Short: "Print the resolved settings with the origin of each", Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	configs.AddFlags(cmd.Flags(), "model", "tokenizer", "pretrain", "sft", "sample", "chat", "label", "reward", "ppo", "compare")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		if !asJSON {
			_, err = a.out.Write(c.YAML(true))
			return err
		}
		out := map[string]any{}
		for key, value := range c.Values() {
			out[key] = map[string]any{"value": value, "origin": c.Origin(key)}
		}
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		return e.Encode(out)
	})
	return cmd
}
