package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rlhf/configs"
	"rlhf/gpt"
	"rlhf/internal/chat"
	"rlhf/internal/conversation"
	"rlhf/internal/dataset"
)

func (a *app) chatCommand() *cobra.Command {
	var model, system string
	cmd := &cobra.Command{Use: "chat --model DIR", Short: "Talk to a model in the terminal", Args: cobra.NoArgs,
		Long: "Talk to a model in the terminal. Every line is a message; a line that begins with / is a command, /help lists them.\n" +
			"Replies go to the standard output, everything else to standard error, so that a conversation can come from a file.\n" +
			"Ctrl-C stops a reply, which stays as far as it was written; Ctrl-D, or Ctrl-C when nothing is being written, ends."}
	cmd.Flags().StringVar(&model, "model", "", "model directory")
	cmd.Flags().StringVar(&system, "system", "", "system message that stands before the conversation")
	configs.AddFlags(cmd.Flags(), "chat")
	cmd.RunE = work(func(cmd *cobra.Command, _ []string) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		l, err := loadLanguage(model)
		if err != nil {
			return err
		}
		t, err := a.newTalk(c, l)
		if err != nil {
			return err
		}
		if system != "" {
			if err := t.SetSystem(system); err != nil {
				return err
			}
		}
		_, positions := t.Tokens()
		a.say("%s: template %s, context of %d tokens; /help lists the commands, Ctrl-D ends", model, t.template, positions)
		return t.run(cmd.Context())
	})
	return required(cmd, "model")
}

// talk is a conversation at the terminal, or with a file.
type talk struct {
	*conversation.Conversation
	a        *app
	settings configs.Resolved
	template string
}

func (a *app) newTalk(c configs.Resolved, l language) (*talk, error) {
	t, err := chat.Pick(c.Chat.Template, l.tok)
	if err != nil {
		return nil, err
	}
	stops, ids, err := stopsOf(l.tok, c.Chat.Stop, l.stops())
	if err != nil {
		return nil, err
	}
	talked, err := conversation.New(l.model, l.tok, t, gpt.SampleConfig{
		MaxNewTokens: c.Chat.MaxNewTokens, MaxLength: c.Chat.MaxLength, Temperature: float32(c.Chat.Temperature), TopK: c.Chat.TopK, TopP: float32(c.Chat.TopP),
		MinP: float32(c.Chat.MinP), RepetitionPenalty: float32(c.Chat.RepetitionPenalty), StopTokens: ids, Seed: c.Chat.Seed, Purpose: "chat",
	}, stops)
	return &talk{talked, a, c, t.Name}, err
}

// said is a line of input, or why there is none.
type said struct {
	line string
	err  error
}

// run goes through the lines of input until they end or the user does.
func (t *talk) run(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx) // a signal stops a reply first, and only then the program
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	read, restore := t.a.lines("> ")
	defer restore()
	lines := make(chan said)
	for {
		go func() { // waits for input, which nothing but the end of the program takes it away from
			line, err := read()
			lines <- said{line, err}
		}()
		var s said
		select {
		case <-signals:
			return nil
		case s = <-lines:
		}
		if s.err != nil && !errors.Is(s.err, io.EOF) {
			return fmt.Errorf("read messages: %w", s.err)
		}
		if line := strings.TrimSpace(s.line); line != "" {
			ended, err := t.take(ctx, line, signals)
			if ended || err != nil {
				return err
			}
		}
		if s.err != nil {
			t.a.say("")
			return nil
		}
	}
}

// lines returns a function that asks for a line and reads it, and one that leaves the terminal as it was. A terminal edits
// lines and remembers them; it is in raw mode only while it does, so that Ctrl-C stops a reply.
func (a *app) lines(prompt string) (read func() (string, error), restore func()) {
	f, isFile := a.in.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		in := bufio.NewReader(a.in)
		return func() (string, error) {
			fmt.Fprint(a.err, prompt)
			return in.ReadString('\n')
		}, func() {}
	}
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	editor := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{f, a.err}, prompt)
	read = func() (string, error) {
		raw, err := term.MakeRaw(fd)
		if err != nil {
			return "", err
		}
		defer term.Restore(fd, raw)
		if width, height, err := term.GetSize(fd); err == nil && width > 0 { // some know none
			if err := editor.SetSize(width, height); err != nil {
				return "", err
			}
		}
		line, err := editor.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil
		}
		return line, err
	}
	return read, func() {
		if err == nil {
			term.Restore(fd, before)
		}
	}
}

// take does what a line says and reports whether it ends the conversation.
func (t *talk) take(ctx context.Context, line string, signals <-chan os.Signal) (ended bool, err error) {
	if command, isCommand := strings.CutPrefix(line, "/"); isCommand && !strings.HasPrefix(command, "/") {
		return t.command(command)
	}
	line = strings.TrimPrefix(line, "/")
	left, err := t.Add(line)
	if err != nil {
		t.a.say("[%s; nothing was sent]", err)
		return false, nil
	}
	if left > 0 {
		_, positions := t.Tokens()
		t.a.say("[the context of %d tokens is full: the %d oldest messages have left it, and the model no longer knows them]", positions, left)
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			ended = s == syscall.SIGTERM
			stop()
		case <-ctx.Done():
		}
		close(done)
	}()
	var failed error
	reply, err := t.Reply(ctx, func(text string) {
		if _, err := io.WriteString(t.a.out, text); err != nil {
			failed = err
			stop()
		}
	})
	stop()
	<-done
	if err := errors.Join(err, failed); err != nil {
		return true, err
	}
	if _, err := io.WriteString(t.a.out, "\n"); err != nil {
		return true, err
	}
	switch reply.Reason {
	case "length":
		t.a.say("[cut at chat.max_new_tokens %d]", t.settings.Chat.MaxNewTokens)
	case "context":
		t.a.say("[cut: the context is full]")
	case "interrupted":
		t.a.say("[stopped]")
	}
	return ended, nil
}

const chatHelp = `/reset          forget the conversation, but for the system message
/undo           take back the last message and its reply
/system TEXT    put a system message before the conversation; without TEXT take it away
/save FILE      add the conversation to FILE, as a line {"messages": [...]}
/settings       show what replies are drawn with, and how full the context is
/help           show this
/quit           end
//TEXT          send a message that begins with /`

// command carries out a command and reports whether it ends the conversation.
func (t *talk) command(line string) (ended bool, err error) {
	name, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "reset":
		t.Reset()
		t.a.say("[the conversation is forgotten]")
	case "undo":
		if !t.Undo() {
			t.a.say("[there is nothing to take back]")
			break
		}
		t.a.say("[the last message and its reply are taken back]")
	case "system":
		if err := t.SetSystem(rest); err != nil {
			t.a.say("[%s]", err)
			break
		}
		t.a.say("[the system message is %q]", rest)
	case "save":
		if err := t.save(rest); err != nil {
			t.a.say("[not saved: %s]", err)
			break
		}
		t.a.say("[%d messages added to %s]", len(t.Messages()), rest)
	case "settings":
		t.show()
	case "help":
		t.a.say("%s", chatHelp)
	case "quit", "exit":
		return true, nil
	default:
		t.a.say("[no command /%s; /help lists them]", name)
	}
	return false, nil
}

// save adds the conversation to a file as a line of the form that sft learns from.
func (t *talk) save(path string) (err error) {
	if path == "" {
		return errors.New("/save needs the name of a file")
	}
	messages := t.Messages()
	if len(messages) == 0 {
		return errors.New("there are no messages")
	}
	var line jsonLines
	if err := line.add(map[string][]dataset.Message{"messages": messages}); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(line.Bytes())
	return errors.Join(err, f.Close())
}

// show prints the settings with their origins.
func (t *talk) show() {
	used, positions := t.Tokens()
	t.a.say("template %s; %d of %d tokens of context in %d messages", t.template, used, positions, len(t.Messages()))
	section := ""
	for _, line := range strings.Split(strings.TrimRight(string(t.settings.YAML(true)), "\n"), "\n") {
		if !strings.HasPrefix(line, " ") {
			section = line
		}
		if section == "chat:" {
			t.a.say("%s", line)
		}
	}
}
