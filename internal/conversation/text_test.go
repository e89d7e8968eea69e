package conversation_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rlhf/gpt/bpe"
	"rlhf/internal/conversation"
)

func tokenizer(t testing.TB) *bpe.Tokenizer {
	t.Helper()
	tok, err := bpe.Train([]string{"User: hello there\nAssistant: hello to you\nUser: how are you"}, 300)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// pieces adds the tokens of a text, byte by byte, and returns what comes out at each.
func pieces(tok *bpe.Tokenizer, text *conversation.Text, said string) (out []string) {
	for k := range len(said) {
		out = append(out, text.Add(tok.Encode(said[k : k+1])[0]))
	}
	return append(out, text.Rest())
}

func TestText(t *testing.T) {
	tok := tokenizer(t)
	for _, test := range []struct {
		name, said string
		stops      []string
		keep       bool
		want       string
		pieces     string // separated by |
	}{
		{name: "plain", said: "abc", want: "abc", pieces: "a|b|c|"},
		{name: "a rune comes whole", said: "é€😀x", want: "é€😀x", pieces: "|é|||€||||😀|x|"},
		{name: "half a rune at the end", said: "a\xe2\x82", want: "a\ufffd\ufffd", pieces: "a|||\ufffd\ufffd"},
		{name: "no UTF-8", said: "\xff\xfea", want: "\ufffd\ufffda", pieces: "\ufffd|\ufffd|a|"},
		{name: "stop string", said: "xENDy", stops: []string{"END"}, want: "x", pieces: "x|||||"},
		{name: "kept", said: "xENDy", stops: []string{"END"}, keep: true, want: "xEND", pieces: "x|||END||"},
		{name: "only the beginning of one", said: "xENy", stops: []string{"END"}, want: "xENy", pieces: "x|||ENy|"},
		{name: "beginning within a beginning", said: "aababc", stops: []string{"abc"}, want: "aab", pieces: "|a||ab|||"},
		{name: "the first of two", said: "abcd", stops: []string{"cd", "bc"}, want: "a", pieces: "a||||"},
		{name: "ends in the middle of one", said: "xEN", stops: []string{"END"}, want: "xEN", pieces: "x|||EN"},
		{name: "a stop string of runes", said: "a€😀", stops: []string{"€😀"}, want: "a", pieces: "a||||||||"},
	} {
		text := conversation.NewText(tok, test.stops, test.keep)
		got := pieces(tok, text, test.said)
		if joined := strings.Join(got, "|"); joined != test.pieces || text.String() != test.want || strings.Join(got, "") != test.want {
			t.Errorf("%s: %q, whole %q, want %q, %q", test.name, joined, text.String(), test.pieces, test.want)
		}
	}
}

// Pieces are valid UTF-8 and make up the text, which ends before the first stop string, whatever bytes come in whatever portions.
func FuzzText(f *testing.F) {
	tok := tokenizer(f)
	f.Add("User: hello\nAssistant: €", "\nUser:", "€")
	f.Add("\xe2\x82\xe2\x82\xac\xff", "\x82", "\xac\xff")
	f.Fuzz(func(t *testing.T, said, one, two string) {
		var stops []string
		for _, s := range []string{one, two} {
			if s != "" && len(s) < 50 {
				stops = append(stops, s)
			}
		}
		text, got := conversation.NewText(tok, stops, false), ""
		for _, token := range tok.Encode(said) {
			piece := text.Add(token)
			if !utf8.ValidString(piece) {
				t.Fatalf("piece %q of %q", piece, said)
			}
			got += piece
		}
		got += text.Rest()
		want, stopped := said, false
		for n := range len(said) + 1 { // the first beginning of said that ends with a stop string
			for _, s := range stops {
				if strings.HasSuffix(said[:n], s) && !(stopped && len(want) <= n-len(s)) {
					want, stopped = said[:n-len(s)], true
				}
			}
			if stopped {
				break
			}
		}
		if got != text.String() || got != toValid(want) || stopped != text.Stopped() {
			t.Errorf("%q with %q: got %q, want %q; stopped %v", said, stops, got, toValid(want), text.Stopped())
		}
	})
}

func toValid(s string) string { return string([]rune(s)) }
