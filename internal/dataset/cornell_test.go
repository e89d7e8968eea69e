package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The lines are invented. Bytes: \xe9 is é in ISO-8859-1; \x92 and \x97 are ’ and — in Windows-1252; \x81 and \x00 are
// controls in both; \xc3\xbc is ü in UTF-8. L4 has no text, L9 is nowhere, the last line has no end.
const movieLines = "L3 +++$+++ u1 +++$+++ m7 +++$+++ BO +++$+++ Caf\xe9, d\xe9j\xe0 vu\r\n" +
	"L2 +++$+++ u0 +++$+++ m7 +++$+++ AL +++$+++ It\x92s late \x97 go\x00 now\x81\n" +
	"L1 +++$+++ u1 +++$+++ m7 +++$+++ BO +++$+++  Where to? \n" +
	"L4 +++$+++ u0 +++$+++ m7 +++$+++ AL +++$+++\n" +
	"\n" +
	"L5 +++$+++ u1 +++$+++ m7 +++$+++ BO +++$+++ f\xc3\xbcr +++$+++ dich\n" +
	"L6 +++$+++ u1 +++$+++ m8 +++$+++ BO +++$+++ Again\n" +
	"L6 +++$+++ u1 +++$+++ m8 +++$+++ BO +++$+++ Twice\n" +
	"L7 +++$+++ u2 +++$+++ m8 +++$+++ CY +++$+++ End"

const movieConversations = "u1 +++$+++ u0 +++$+++ m7 +++$+++ ['L1', 'L2', 'L3', 'L4', 'L5', 'L3']\r\n" +
	"u1 +++$+++ u2 +++$+++ m8 +++$+++ ['L5', 'L9', 'L6', 'L6', 'L7']"

// corpus writes the two files of the corpus and a third, and returns their directory.
func corpus(t testing.TB, lines, conversations string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"movie_lines.txt": lines, "movie_conversations.txt": conversations, "README.txt": "about"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func asked(prompt, completion, group string) Demonstration {
	return Demonstration{Prompt: prompt, Completion: completion, Group: group}
}

func TestCornell(t *testing.T) {
	dir := corpus(t, movieLines, movieConversations)
	lines, conversations := filepath.Join(dir, "movie_lines.txt"), filepath.Join(dir, "movie_conversations.txt")
	want := []Demonstration{
		asked("Where to?", "It’s late — go now", "m7"), asked("It’s late — go now", "Café, déjà vu", "m7"), // not with L4
		asked("für +++$+++ dich", "Café, déjà vu", "m7"), // not with L9
		asked("Again", "Again", "m8"), asked("Again", "End", "m8"),
	}
	notes := map[string]Note{
		"bytes read as Windows-1252, which ISO-8859-1 leaves to controls": {2, lines + ":2"},
		"stray control bytes left out":                                    {2, lines + ":2"},
		"lines that were UTF-8 already":                                   {1, lines + ":6"},
		"line ids that stand twice, of which the first counts":            {1, lines + ":8"},
		"lines without text in conversations":                             {1, conversations + ":1"},
		"line ids that movie_lines does not have":                         {1, conversations + ":2"},
		"pairs left out for a line that is empty or missing":              {4, conversations + ":1"},
	}
	for name, paths := range map[string][]string{"directory": {dir}, "files": {lines, conversations}, "the other way round": {conversations, lines}} {
		for _, format := range []string{"cornell", ""} {
			var r Report
			got, err := Collect(Demonstrations(Options{Format: format, Report: &r}, paths...))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
			if !reflect.DeepEqual(r.Notes, notes) || r.Read != 5 || r.Skipped != 0 || r.Formats["cornell"] != 1 {
				t.Errorf("%s: report %+v", name, r)
			}
			if ignored := len(r.Ignored); ignored != map[bool]int{true: 1, false: 0}[name == "directory"] {
				t.Errorf("%s: ignored %q", name, r.Ignored)
			}
		}
	}
}

// A conversation is parted where a line is missing; what one says in two lines is one turn.
func TestCornellWholeConversations(t *testing.T) {
	var r Report
	got, err := Collect(Demonstrations(Options{Report: &r, Talk: TalkOptions{As: "whole"}}, corpus(t, movieLines, movieConversations)))
	want := []Demonstration{
		{Messages: []Message{user("Where to?"), assistant("It’s late — go now"), user("Café, déjà vu")}, Group: "m7"},
		{Messages: []Message{user("Again\nAgain"), assistant("End")}, Group: "m8"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	// L5 and L3 after the gap are one speaker's, and so is L5 alone
	if n := r.Notes["conversations left out in which one speaker has all lines"].Count; n != 2 {
		t.Errorf("report %+v", r)
	}
}

func TestBadCornell(t *testing.T) {
	for _, test := range []struct{ name, lines, conversations, want string }{
		{"fields", "L1 +++$+++ u0 +++$+++ hello\n", "", "movie_lines.txt:1: found 3 fields, expected 5 with +++$+++ between them: L1 +++$+++ u0 +++$+++ hello"},
		{"conversation", movieLines, "\nu0 +++$+++ u1 +++$+++ m0\n", "movie_conversations.txt:2: found 3 fields, expected 4"},
		{"list", movieLines, "u0 +++$+++ u1 +++$+++ m0 +++$+++ 'L1', 'L2'\n", "movie_conversations.txt:1: found 'L1', 'L2', expected a list of line ids like ['L194', 'L195']"},
		{"id", movieLines, "u0 +++$+++ u1 +++$+++ m0 +++$+++ ['L1', ]\n", "movie_conversations.txt:1: found an empty line id in ['L1', ]"},
	} {
		_, err := Collect(Demonstrations(Options{}, corpus(t, test.lines, test.conversations)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	var r Report
	got, err := Collect(Demonstrations(Options{SkipBad: true, Report: &r}, corpus(t, "broken\n"+movieLines, "also\n"+movieConversations)))
	if err != nil || len(got) != 5 || r.Skipped != 2 {
		t.Errorf("%d, %v, %+v", len(got), err, r)
	}
}

// The older form: E alone parts conversations, or ===, or a blank line; E with a text is the other speaker.
func TestCornellOlderForm(t *testing.T) {
	const text = "E\r\nM one\r\nM tw\xf6\r\nM \r\nM three\r\nE\r\n=====\nM four\nE five\nE six\nM seven"
	var r Report
	o := Options{Format: "cornell-me", Report: &r}
	got, err := Collect(Demonstrations(o, file(t, "a.txt", text)))
	want := []Demonstration{asked("one", "twö", ""), asked("four", "five", ""), asked("five", "six", ""), asked("six", "seven", "")}
	if err != nil || !reflect.DeepEqual(got, want) || r.Notes[gapPairs].Count != 2 {
		t.Errorf("got %+v, %v, %+v", got, err, r)
	}
	o.Talk.As = "whole"
	got, err = Collect(Demonstrations(o, file(t, "a.conv", text)))
	want = []Demonstration{{Messages: []Message{user("one"), assistant("twö")}}, {Messages: []Message{user("four"), assistant("five\nsix"), user("seven")}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	// without any end, neighbours are pairs all the same
	var b strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&b, "M q%d\nE a%d\n", i, i)
	}
	got, err = Collect(Demonstrations(Options{}, file(t, "b.txt", b.String())))
	if err != nil || len(got) != 4999 || !reflect.DeepEqual(got[999], asked("a499", "q500", "")) || got[4998].Prompt != "q2499" {
		t.Errorf("%d, %v", len(got), err)
	}
}

func FuzzCornell(f *testing.F) {
	f.Add(movieLines, movieConversations, true)
	f.Add("M a\nE b", "M a\n===\nE b\xff", false)
	f.Fuzz(func(t *testing.T, lines, conversations string, whole bool) {
		o := Options{SkipBad: true, Report: &Report{}, Format: "cornell"}
		if whole {
			o.Talk.As = "whole"
		}
		sources := [][]string{{corpus(t, lines, conversations)}}
		letters := o
		letters.Format = "cornell-me"
		for d, err := range Demonstrations(letters, file(t, "a.txt", conversations)) {
			if err != nil {
				break
			}
			checkTalk(t, d)
		}
		for d, err := range Demonstrations(o, sources[0]...) {
			if err != nil {
				break
			}
			checkTalk(t, d)
		}
	})
}

// checkTalk checks that every text of a dialogue has something to say, in UTF-8 without controls.
func checkTalk(t *testing.T, d Demonstration) {
	t.Helper()
	for _, text := range d.Texts() {
		if text == "" || text != strings.ToValidUTF8(text, "") || strings.ContainsAny(text, "\x00\x7f\u0080\u009f\ufffd") {
			t.Errorf("text %q", text)
		}
	}
}

// syntheticCorpus is a corpus of the original's shape: 304,713 lines in 83,097 conversations.
func syntheticCorpus(t testing.TB) string {
	const nLines, nConversations = 304713, 83097
	var lines, conversations strings.Builder
	at := 0
	for c := range nConversations {
		end := (c + 1) * nLines / nConversations
		fmt.Fprintf(&conversations, "u%d +++$+++ u%d +++$+++ m%d +++$+++ [", 2*c, 2*c+1, c/135)
		for i := at; i < end; i++ {
			if i > at {
				conversations.WriteString(", ")
			}
			fmt.Fprintf(&conversations, "'L%d'", i)
			fmt.Fprintf(&lines, "L%d +++$+++ u%d +++$+++ m%d +++$+++ NAME +++$+++ line %d says something of an ordinary length, na\xefvely\n", i, 2*c+i%2, c/135, i)
		}
		conversations.WriteString("]\n")
		at = end
	}
	return corpus(t, lines.String(), conversations.String())
}

func BenchmarkCornell(b *testing.B) {
	dir := syntheticCorpus(b)
	for b.Loop() {
		n := 0
		for _, err := range Demonstrations(Options{}, dir) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 304713-83097 {
			b.Fatalf("%d exchanges", n)
		}
	}
}
