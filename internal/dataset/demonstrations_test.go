package dataset

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func user(text string) Message      { return Message{"user", text} }
func assistant(text string) Message { return Message{"assistant", text} }

// demonstrationCases are a file of each format of demonstrations, and what it says.
var demonstrationCases = []struct {
	format, name, text string
	options            Options
	want               []Demonstration
}{
	{"prompt-completion", "a.jsonl", `{"prompt":"p","completion":" c"}`, Options{}, []Demonstration{{Prompt: "p", Completion: " c"}}},
	{"prompt-completion", "user.jsonl", `{"prompt":"p","completion":"c","user":12,"group":"g"}`, Options{Group: "user"}, []Demonstration{{Prompt: "p", Completion: "c", Group: "12"}}},
	{"prompt-completion", "own.jsonl", `{"prompt":"p","completion":"c","group":"g"}`, Options{}, []Demonstration{{Prompt: "p", Completion: "c", Group: "g"}}},
	{"prompt-completion", "lists.jsonl", `{"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]}`, Options{},
		[]Demonstration{{Messages: []Message{user("a"), assistant("b"), user("c"), assistant("d")}, Given: 3}}},
	{"messages", "m.jsonl", `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}`, Options{},
		[]Demonstration{{Messages: []Message{{"system", "s"}, user("u"), assistant("a")}}}},
	{"messages", "given.jsonl", `{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"assistant","content":"b"}],"given":2,"group":"g"}`, Options{},
		[]Demonstration{{Messages: []Message{user("u"), assistant("a"), assistant("b")}, Given: 2, Group: "g"}}},
	{"sharegpt", "s.json", `[{"id":"x","system":"be","conversations":[{"from":"human","value":"h"},{"from":"gpt","value":"g"}]},{"conversations":[{"from":"system","value":"s"},{"from":"user","value":"u"},{"from":"chatgpt","value":"c"}]}]`, Options{},
		[]Demonstration{{Messages: []Message{{"system", "be"}, user("h"), assistant("g")}}, {Messages: []Message{{"system", "s"}, user("u"), assistant("c")}}}},
	{"sharegpt", "roles.jsonl", `{"conversations":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}`, Options{}, []Demonstration{{Messages: []Message{user("u"), assistant("a")}}}},
	{"alpaca", "a.json", "[\n{\"instruction\":\"i\",\"input\":\"n\",\"output\":\"o\"},\n{\"instruction\":\"j\",\"input\":\"\",\"output\":\"p\"},{\"instruction\":\"k\",\"output\":\"q\"}]", Options{},
		[]Demonstration{{Prompt: "i\n\nn", Completion: "o"}, {Prompt: "j", Completion: "p"}, {Prompt: "k", Completion: "q"}}},
	{"self-instruct", "seed.jsonl", `{"id":"t0","instruction":"i","instances":[{"input":"a","output":"b"},{"input":"","output":"c"}]}`, Options{},
		[]Demonstration{{Prompt: "i\n\na", Completion: "b", Group: "t0"}, {Prompt: "i", Completion: "c", Group: "t0"}}},
	{"truthfulqa", "t.csv", "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\nA,Law,\"Is \"\"it\"\"\nso?\", No ,x; y,z,u\n", Options{},
		[]Demonstration{{Prompt: "Is \"it\"\nso?", Completion: "No", Group: "Law"}}},
	{"chatterbot", "c.yml", "categories:\n- fun\nconversations:\n- - Hi\n  - Hello\n  - 42\n- - |\n    two\n    lines\n  - 'yes'\n", Options{},
		[]Demonstration{{Prompt: "Hi", Completion: "Hello", Group: "fun"}, {Prompt: "Hello", Completion: "42", Group: "fun"}, {Prompt: "two\nlines", Completion: "yes", Group: "fun"}}},
	{"chatterbot", "w.yml", "conversations:\n- [a, b, c]\n", Options{Talk: TalkOptions{As: "whole"}}, []Demonstration{{Messages: []Message{user("a"), assistant("b"), user("c")}}}},
	{"chatterbot", "q.yml", "conversations:\n- [a, b, c]\n", Options{Talk: TalkOptions{As: "answers"}}, []Demonstration{{Prompt: "a", Completion: "b"}, {Prompt: "a", Completion: "c"}}},
	{"oasst", "tree.jsonl", tree, Options{}, []Demonstration{{Messages: []Message{user("q"), assistant("best"), user("more"), assistant("end")}, Group: "r"}}},
	{"oasst", "all.jsonl", tree, Options{Trees: TreeOptions{Paths: "all"}}, []Demonstration{
		{Messages: []Message{user("q"), assistant("best"), user("more"), assistant("end")}, Group: "r"},
		{Messages: []Message{user("q"), assistant("second")}, Group: "r"},
		{Messages: []Message{user("q"), assistant("unranked")}, Group: "r"}}},
	{"oasst", "lang.jsonl", tree, Options{Trees: TreeOptions{Lang: "de"}}, nil},
	{"oasst", "messages.jsonl", treeMessages, Options{}, []Demonstration{
		{Messages: []Message{user("q"), assistant("best")}, Group: "r"}, {Messages: []Message{user("q2"), assistant("a2")}, Group: "s"}}},
	{"cornell-me", "m.txt", "M hi\nE hello\nM bye\n\nM a\nE b", Options{}, []Demonstration{{Prompt: "hi", Completion: "hello"}, {Prompt: "hello", Completion: "bye"}, {Prompt: "a", Completion: "b"}}},
}

// The best reply is not the first of the file, a deleted one does not count, and what the user says last has no answer.
const tree = `{"message_tree_id":"r","tree_state":"ready_for_export","prompt":{"message_id":"r","text":"q","role":"prompter","lang":"en","replies":[` +
	`{"message_id":"a","text":"unranked","role":"assistant","rank":null,"replies":[]},` +
	`{"message_id":"b","text":"second","role":"assistant","rank":1,"replies":[{"message_id":"b1","text":"thanks","role":"prompter","replies":[]}]},` +
	`{"message_id":"d","text":"gone","role":"assistant","rank":0,"deleted":true,"replies":[]},` +
	`{"message_id":"c","text":"best","role":"assistant","rank":0,"replies":[{"message_id":"c1","text":"more","role":"prompter","replies":[{"message_id":"c2","text":"end","role":"assistant","rank":0,"replies":[]}]}]}]}}`

// treeMessages are two trees, a line a message.
const treeMessages = `{"message_id":"r","parent_id":null,"text":"q","role":"prompter","lang":"en"}
{"message_id":"a","parent_id":"r","text":"worse","role":"assistant","rank":1}
{"message_id":"b","parent_id":"r","text":"best","role":"assistant","rank":0}
{"message_id":"s","text":"q2","role":"prompter","lang":"en"}
{"message_id":"t","parent_id":"s","text":"a2","role":"assistant"}`

func TestFormatsOfDemonstrations(t *testing.T) {
	covered := map[string]bool{"cornell": true} // of two files, see TestCornell
	for _, test := range demonstrationCases {
		covered[test.format] = true
		for _, format := range []string{"auto", test.format} {
			t.Run(test.name+" as "+format, func(t *testing.T) {
				o := test.options
				o.Format, o.Report = format, &Report{}
				got, err := Collect(Demonstrations(o, file(t, test.name, test.text)))
				if err != nil || !reflect.DeepEqual(got, test.want) {
					t.Errorf("got %+v, %v", got, err)
				}
				if o.Report.Formats[test.format] != 1 || o.Report.Read != len(test.want) {
					t.Errorf("report %+v", o.Report)
				}
			})
		}
	}
	for _, f := range Formats() {
		if f.Demonstrations != nil && !covered[f.Name] {
			t.Errorf("format %s has no case", f.Name)
		}
	}
}

func TestBadDemonstrations(t *testing.T) {
	const named = `"message_id":"r","text":"q"`
	for _, test := range []struct{ name, text, want string }{
		{"pc.jsonl", `{"prompt":"a","completion":null}`, `pc.jsonl:1: field "completion": found null, expected string`},
		{"lists.jsonl", `{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"user","content":"d"}]}`, `lists.jsonl:1: field "completion": found 1 messages, expected one of an assistant among them`},
		{"role.jsonl", "\n" + `{"messages":[{"role":"tool","content":"a"}]}`, `role.jsonl:2: field "messages", message 0: field "role": found "tool", expected system, user or assistant`},
		{"content.jsonl", `{"messages":[{"role":"user","content":["a"]}]}`, `field "messages", message 0: field "content": found ["a"], expected string`},
		{"given.jsonl", `{"messages":[{"role":"assistant","content":"a"}],"given":2}`, `field "given": found 2, expected 0 to the 1 messages`},
		{"list.jsonl", `{"messages":[5]}`, `field "messages": found [5], expected a list of objects`},
		{"from.jsonl", `{"conversations":[{"from":"human","value":"a"},{"value":"b"}]}`, `field "conversations", message 1: field "from": missing, the line has "value"`},
		{"output.json", "[{\"instruction\":\"a\",\"output\":\"b\"},\n\n{\"instruction\":\"a\",\"input\":\"c\"}]", `output.json:3: field "output": missing, the line has "input", "instruction"`},
		{"instances.jsonl", `{"instruction":"a","instances":[{"input":""}]}`, `instance 0: field "output": missing`},
		{"none.jsonl", `{"instruction":"a","instances":[]}`, `field "instances": found none, expected at least one`},
		{"columns.csv", "Question,Answer\na,b\n", `columns.csv:1: column "Best Answer": missing, the file has ["Question" "Answer"]`},
		{"short.csv", "Question,Best Answer\na,b\nc\n", `short.csv:3: found 1 columns, expected 2 as the first line has`},
		{"blank.csv", "Question,Best Answer\na,b\nc, \n", `blank.csv:3: column "Best Answer": found nothing, expected a text`},
		{"quote.csv", "Question,Best Answer\na,b\"c\"\n", `quote.csv:2: not comma-separated values, at line 2 column 4: bare " in non-quoted-field`},
		{"latin.csv", "Question,Best Answer\na,caf\xe9\n", `latin.csv:2: column "Best Answer": found a byte 0xe9, expected UTF-8`},
		{"talk.yml", "conversations:\n- - a\n  - b\n- c\n", `talk.yml:4: found "c", expected a conversation: a list of lines`},
		{"lone.yml", "conversations:\n- - a\n", `lone.yml:2: found a conversation of 1 lines, expected at least 2`},
		{"map.yml", "conversations:\n- - a\n  - b: c\n", `map.yml:2: line 2 of the conversation: found a mapping, expected a text`},
		{"tab.yml", "conversations:\n\t- a\n", `tab.yml: not YAML: line 2`},
		{"other.yml", "a: b\n", `other.yml:1: conversations: missing or empty`},
		{"scalar.yml", "hello\n", `scalar.yml:1: found no mapping, expected categories: and conversations:`},
		{"tree.jsonl", `{"message_tree_id":"r","prompt":{` + named + `,"role":"bot 7","replies":[]}}`, `tree.jsonl:1: field "role": found "bot 7", expected prompter or assistant`},
		{"reply.jsonl", `{"message_tree_id":"r","prompt":{` + named + `,"role":"prompter","replies":[{"role":"assistant","text":5}]}}`, `reply.jsonl:1: reply 0: field "text": found 5, expected string`},
		{"orphan.jsonl", `{` + named + `,"role":"prompter","parent_id":null}` + "\n" + `{"message_id":"s","parent_id":"x","text":"a","role":"assistant"}`, `orphan.jsonl:2: field "parent_id": found "x", expected a message that came before it in its tree`},
		{"rank.jsonl", `{` + named + `,"role":"prompter","parent_id":null,"rank":"first"}`, `field "rank": found "first", expected int`},
		{"odd.jsonl", `{"question":"a","answer":"b"}`, `odd.jsonl: found a first record of "answer", "question", which is no known format of demonstrations; known: oasst, truthfulqa, messages, sharegpt, prompt-completion, self-instruct, alpaca, chatterbot, cornell, cornell-me`},
		{"empty.jsonl", ``, `empty.jsonl: found an empty file, which is no known format`},
		{"plain.txt", `just words`, `plain.txt: found no JSON object, which is no known format`},
		{"letters.txt", "M a\nE b\nX c\nM d\n", `letters.txt:3: found X c, expected M or E and a space before the text`},
		{"movie_lines.txt", "L1 +++$+++ u0 +++$+++ m0 +++$+++ A +++$+++ hi\n", `movie_lines.txt: found one file of two: name movie_conversations.txt as well, or the directory of both`},
	} {
		o := Options{}
		if test.name == "letters.txt" {
			o.Format = "cornell-me"
		}
		_, err := Collect(Demonstrations(o, file(t, test.name, test.text)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got  %v\nwant %s", test.name, err, test.want)
		}
	}
	if _, err := Collect(Demonstrations(Options{Format: "alpacca"}, file(t, "a.jsonl", "{}"))); err == nil || !strings.HasPrefix(err.Error(), `format "alpacca": found none of demonstrations by this name; known: oasst`) {
		t.Error(err)
	}
}

// Whatever a file holds, reading it ends, and each demonstration has something to imitate.
func FuzzDemonstrations(f *testing.F) {
	for i, test := range demonstrationCases {
		f.Add(uint8(i), test.text)
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		test := demonstrationCases[int(which)%len(demonstrationCases)]
		o := test.options
		o.Format, o.SkipBad, o.Report = test.format, true, &Report{}
		n := 0
		for d, err := range Demonstrations(o, file(t, test.name, text)) {
			if err != nil {
				return
			}
			n++
			if d.Messages != nil && (d.Prompt != "" || d.Completion != "" || d.Given >= len(d.Messages) || !strings.Contains(fmt.Sprint(d.Messages[d.Given:]), "{assistant ")) {
				t.Errorf("%q as %s: %+v", text, test.format, d)
			}
		}
		if o.Report.Read != n {
			t.Errorf("read %d, delivered %d", o.Report.Read, n)
		}
	})
}
