package main

import (
	"github.com/spf13/cobra"

	"rlhf/internal/dataset"
)

// formatFlag adds the flag that names the format of files.
func formatFlag(cmd *cobra.Command, o *dataset.Options) {
	cmd.Flags().StringVar(&o.Format, "format", "auto", "format of the files, one that data formats lists; auto tells it from each")
}

// skipFlag adds the flag that lets bad records pass.
func skipFlag(cmd *cobra.Command, o *dataset.Options) {
	cmd.Flags().BoolVar(&o.SkipBad, "skip_bad", false, "count records that cannot be read, and go on")
}

// textFlags adds the flags that say how text is made into documents.
func textFlags(cmd *cobra.Command, o *dataset.Options) {
	f := cmd.Flags()
	f.StringVar(&o.Text.Field, "text_field", "", "field of JSON that holds a document (default text)")
	f.StringVar(&o.Text.Split, "split_text", "file", "documents of a plain text: file, paragraph or line")
}

// talkFlags adds the flags that say how dialogues and trees are made into demonstrations.
func talkFlags(cmd *cobra.Command, o *dataset.Options) {
	f := cmd.Flags()
	f.StringVar(&o.Talk.As, "talk", "pairs", "lines of dialogue: pairs of neighbours, whole conversations, or answers to the first line")
	f.StringVar(&o.Trees.Paths, "paths", "best", "paths through trees of replies: best or all")
	f.StringVar(&o.Trees.Lang, "lang", "", "keep trees in this language only, like en")
}
