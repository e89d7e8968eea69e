package conversation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rlhf/gpt"
	"rlhf/gpt/bpe"
	"rlhf/internal/chat"
	"rlhf/internal/conversation"
	"rlhf/internal/dataset"
	"rlhf/internal/rng"
)

func model(t testing.TB, tok *bpe.Tokenizer, positions int) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Config{VocabSize: tok.VocabSize(), NPositions: positions, NEmbd: 16, NLayer: 2, NHead: 2, LayerNormEpsilon: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	m.Init(1)
	r := rng.New(1, "test/theta", 0)
	for i := range m.Theta {
		m.Theta[i] += float32(.1 * r.NormFloat64())
	}
	m.Changed()
	return m
}

func begin(t testing.TB, m *gpt.Model, tok *bpe.Tokenizer, name string, c gpt.SampleConfig, stops ...string) *conversation.Conversation {
	t.Helper()
	template, err := chat.Pick(name, tok)
	if err != nil {
		t.Fatal(err)
	}
	talk, err := conversation.New(m, tok, template, c, stops)
	if err != nil {
		t.Fatal(err)
	}
	return talk
}

func say(t testing.TB, c *conversation.Conversation, text string) conversation.Reply {
	t.Helper()
	reply, _ := sayFull(t, c, text)
	return reply
}

// sayFull also returns how many messages left.
func sayFull(t testing.TB, c *conversation.Conversation, text string) (conversation.Reply, int) {
	t.Helper()
	left, err := c.Add(text)
	if err != nil {
		t.Fatal(err)
	}
	shown := ""
	reply, err := c.Reply(context.Background(), func(piece string) { shown += piece })
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(shown) != reply.Text {
		t.Errorf("shown %q, the reply is %q", shown, reply.Text)
	}
	return reply, left
}

// A conversation of any messages, undone and reset at will, has in the end the replies of one that had only the messages
// which stayed: nothing of what was taken back is left in the cache.
func TestWhatIsTakenBackLeavesNoTrace(t *testing.T) {
	tok := tokenizer(t)
	m := model(t, tok, 400)
	rapid.Check(t, func(r *rapid.T) {
		name := rapid.SampledFrom([]string{chat.Turns, chat.DialoGPT}).Draw(r, "template")
		c := gpt.SampleConfig{Temperature: 1, MaxNewTokens: 12, Seed: rapid.Uint64().Draw(r, "seed")}
		talk := begin(t, m, tok, name, c, "e")
		var stays []string
		for range 8 {
			switch rapid.IntRange(0, 4).Draw(r, "what") {
			case 0:
				if talk.Undo() != (len(stays) > 0) {
					r.Fatal("undo")
				}
				stays = stays[:max(0, len(stays)-1)]
			case 1:
				talk.Reset()
				stays = nil
			default:
				text := rapid.SampledFrom([]string{"hello", "how are you", "there", "ab"}).Draw(r, "text")
				say(t, talk, text)
				stays = append(stays, text)
			}
		}
		plain := begin(t, m, tok, name, c, "e")
		for _, text := range stays {
			say(t, plain, text)
		}
		if !slices.Equal(talk.Messages(), plain.Messages()) {
			r.Fatalf("got %q, want %q", talk.Messages(), plain.Messages())
		}
	})
}

// When the context is full the oldest messages leave with their replies, the system message stays, and the reply is that
// of a conversation which had only the messages left.
func TestTheOldestTurnsLeaveWhole(t *testing.T) {
	tok := tokenizer(t)
	m := model(t, tok, 100)
	c := gpt.SampleConfig{Temperature: 1, MaxNewTokens: 10, Seed: 3}
	talk := begin(t, m, tok, chat.Turns, c)
	if err := talk.SetSystem("be brief"); err != nil {
		t.Fatal(err)
	}
	left := 0
	for k := range 12 {
		before := talk.Messages()
		text := fmt.Sprint("hello there ", k)
		reply, leaving := sayFull(t, talk, text)
		left += leaving
		got := talk.Messages()
		want := slices.Concat(before[:1], before[1+leaving:], []dataset.Message{{Role: "user", Content: text}, {Role: "assistant", Content: reply.Text}})
		if leaving%2 != 0 || !slices.Equal(got, want) {
			t.Fatalf("message %d: %d left, got %q, want %q", k, leaving, got, want)
		}
		if used, positions := talk.Tokens(); used > positions {
			t.Errorf("message %d: %d tokens in a context of %d", k, used, positions)
		}
	}
	if left < 10 {
		t.Errorf("%d messages left a context of 100 tokens", left)
	}
	if _, err := talk.Add(strings.Repeat("a very long story ", 20)); err == nil || !strings.Contains(err.Error(), "the context has room for") {
		t.Errorf("a message without room: %v", err)
	}
	if err := talk.SetSystem(strings.Repeat("a very long story ", 20)); err == nil || !strings.Contains(err.Error(), "more than the context of 100") {
		t.Errorf("a system message without room: %v", err)
	}
}

// What a reply says beyond a stop string is no part of the conversation, also where a token holds the end of the one and
// the beginning of the other.
func TestWhatFollowsAStopStringIsForgotten(t *testing.T) {
	tok := tokenizer(t)
	m := model(t, tok, 300)
	ends := map[string]int{}
	for seed := range uint64(40) {
		c := gpt.SampleConfig{Temperature: 1, MaxNewTokens: 30, Seed: seed}
		talk := begin(t, m, tok, chat.Turns, c, "l", "o", "h")
		first := say(t, talk, "hello")
		ends[first.Reason]++
		if strings.ContainsAny(first.Text, "loh") {
			t.Errorf("seed %d: %q", seed, first.Text)
		}
		second := say(t, talk, "there")
		// the same from its text alone: only what was said counts
		if first.Reason != "stop_string" {
			continue
		}
		if got := talk.Messages(); len(got) != 4 || got[1].Content != first.Text || got[3].Content != second.Text {
			t.Errorf("seed %d: %q", seed, got)
		}
	}
	if ends["stop_string"] < 10 {
		t.Errorf("replies ended by %v", ends)
	}
}

// An interrupted reply stays as far as it was written, and the conversation goes on.
func TestInterruptedReply(t *testing.T) {
	tok := tokenizer(t)
	talk := begin(t, model(t, tok, 200), tok, chat.Turns, gpt.SampleConfig{Temperature: 1, MaxNewTokens: 40, Seed: 1})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	if _, err := talk.Add("hello"); err != nil {
		t.Fatal(err)
	}
	reply, err := talk.Reply(ctx, func(string) {
		if n++; n == 3 {
			cancel()
		}
	})
	if err != nil || reply.Reason != "interrupted" || len(talk.Messages()) != 2 || talk.Messages()[1].Content != reply.Text || reply.Text == "" {
		t.Fatalf("%+v, %v, %q", reply, err, talk.Messages())
	}
	say(t, talk, "there")
	if len(talk.Messages()) != 4 {
		t.Errorf("%q", talk.Messages())
	}
}

func TestSystemMessage(t *testing.T) {
	tok := tokenizer(t)
	m := model(t, tok, 200)
	c := gpt.SampleConfig{Temperature: 1, MaxNewTokens: 8, Seed: 1}
	talk := begin(t, m, tok, chat.Turns, c)
	say(t, talk, "hello")
	if err := talk.SetSystem("be kind"); err != nil {
		t.Fatal(err)
	}
	if got := talk.Messages(); got[0] != (dataset.Message{Role: "system", Content: "be kind"}) || len(got) != 3 {
		t.Errorf("%q", got)
	}
	if talk.Undo(); talk.Undo() || len(talk.Messages()) != 1 {
		t.Error("undo took the system message")
	}
	again := begin(t, m, tok, chat.Turns, c)
	if err := again.SetSystem("be kind"); err != nil {
		t.Fatal(err)
	}
	if say(t, talk, "there") != say(t, again, "there") {
		t.Error("the reply is not that of a conversation which began with the system message")
	}
	if err := talk.SetSystem(""); err != nil || talk.Messages()[0].Role != "user" {
		t.Errorf("%v, %q", err, talk.Messages())
	}
	if err := begin(t, m, tok, chat.DialoGPT, c).SetSystem("x"); err == nil || !strings.Contains(err.Error(), `has no role "system"`) {
		t.Errorf("dialogpt: %v", err)
	}
}
