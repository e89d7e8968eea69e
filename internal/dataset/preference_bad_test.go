package dataset

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// badFile is a file with a good record, a bad one, and a good one again.
type badFile struct{ format, good, bad, want string }

var badFiles = []badFile{
	{"rankings", `{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w"}`, `{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w","flags":"x"}`, `field "flags": found "x", expected a list of strings`},
	{"rankings", `{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w"}`, `{"prompt":"p","completions":[{"text":"a","ratings":{"x":"y"}},{"text":"b"}],"ranks":[1,2],"labeler":"w"}`, `completion 0: field "ratings": found {"x":"y"}`},
	{"rankings", `{"prompt":"p","completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w"}`, `{"messages":[],"completions":[{"text":"a"},{"text":"b"}],"ranks":[1,2],"labeler":"w"}`, `field "messages": found no message, expected one or more`},
	{"rank-lists", `{"prompt":"p","completions":["a","b"],"ranks":[[0],[1]]}`, `{"prompt":"p","completions":["a","b"],"ranks":[[0],[2]]}`, `field "ranks": found [[0] [2]], expected each of 0 to 1 once`},
	{"rank-lists", `{"prompt":"p","completions":["a","b"],"ranks":[[0],[1]]}`, `{"prompt":"p","completions":["a","b"],"ranks":[[0]]}`, `field "ranks": found [[0]], expected each of 0 to 1 once`},
	{"rank-lists", `{"prompt":"p","completions":["a","b"],"ranks":[[0],[1]]}`, `{"prompt":"p","completions":["a","b"],"models":["m"],"ranks":[[0],[1]]}`, `field "models": found 1 for 2 completions`},
	{"openai-comparisons", `{"info":{"post":"p"},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, `{"info":{"post":"p"},"summaries":[{"text":"a"},{"text":"b"}],"choice":2}`, `field "choice": found 2, expected an index of 2 summaries, from 0`},
	{"openai-comparisons", `{"info":{"post":"p"},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, `{"info":{"post":"p"},"summaries":[{"text":"a"},{"txt":"b"}],"choice":0}`, `field "summaries": summary 1: field "text": missing`},
	{"openai-comparisons", `{"info":{"post":"p"},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, `{"info":{"title":"p"},"summaries":[{"text":"a"},{"text":"b"}],"choice":0}`, `field "info": field "article": missing`},
	{"openai-axes", `{"info":{"post":"p"},"summary":{"text":"a","axes":{"overall":1}}}`, `{"info":{"post":"p"},"summary":{"text":"a","axes":{"overall":"good"}}}`, `field "summary": field "axes": found {"overall":"good"}`},
	{"openai-axes", `{"info":{"post":"p"},"summary":{"text":"a","axes":{"overall":1}}}`, `{"info":{"post":"p"},"summary":{"text":"a","axes":{"overall":null}}}`, `expected a rating or more`},
	{"label-studio", `{"data":{"prompt":"p","answer1":"a","answer2":"b"},"annotations":[{"result":[{"type":"pairwise","value":{"selected":"left"}}]}]}`, `{"data":{"prompt":"p","answer1":"a","answer2":"b"},"annotations":[{"result":[{"type":"pairwise","value":{"selected":"middle"}}]}]}`, `annotation 0: result 0: field "selected": found "middle", expected left or right`},
	{"label-studio", `{"data":{"prompt":"p","answer1":"a","answer2":"b"},"annotations":[]}`, `{"data":{"prompt":"p","text":"a"},"annotations":[]}`, `field "data": found "prompt", "text", expected a list of items or two texts`},
	{"label-studio", `{"data":{"prompt":"p","items":[{"id":"x","body":"a"},{"id":"y","body":"b"}]},"annotations":[]}`, `{"data":{"prompt":"p","items":[{"id":"x","body":"a"},{"id":"y","body":"b"}]},"annotations":[{"result":[{"type":"ranker","value":{"ranker":["x"]}}]}]}`, `field "ranker": found no rank of the item "y"`},
	{"label-studio", `{"data":{"prompt":"p","items":[{"id":"x","body":"a"},{"id":"y","body":"b"}]},"annotations":[]}`, `{"data":{"prompt":"p","items":[{"id":"x","body":"a"},{"id":"y","body":"b"}]},"annotations":[{"result":[{"type":"ranker","value":{"ranker":{"best":["x"],"_":["y"]}}}]}]}`, `found the bucket "_", expected rank_1, rank_2 and so on`},
	{"label-studio", `{"data":{"prompt":"p","items":[{"id":"x","body":"a"},{"id":"y","body":"b"}]},"annotations":[]}`, `{"data":{"prompt":"p","items":[{"id":"x","body":"a"},{"id":"x","body":"b"}]},"annotations":[]}`, `item 1: field "id": found "x" twice`},
	{"label-studio", `{"data":{"prompt":"p","answer1":"a","answer2":"b"},"annotations":[]}`, `{"data":{"prompt":"p","answer1":"a","answer2":"b"},"annotations":[{"result":[]}]}`, `field "result": found no ranker, no pairwise choice and no ratings of all completions by one name`},
	{"argilla", `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[]}`, `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[{"values":{"ranking":{"value":[{"value":"response-1","rank":1},{"value":"response-3","rank":2}]}}}]}`, `response 0: question "ranking": found "response-3" in the ranking, expected each of ["response-1" "response-2"] once`},
	{"argilla", `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[]}`, `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[{"values":{"ranking":{"value":[{"value":"response-1","rank":0},{"value":"response-2","rank":2}]}}}]}`, `field "rank": found 0, expected 1 for the best`},
	{"argilla", `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[]}`, `{"fields":{"prompt":"p","answer":"a"},"responses":[]}`, `found the fields "answer", "prompt", expected response-1, response-2 and so on`},
	{"argilla", `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[]}`, `{"fields":{"prompt":"p","response-1":"a","response-2":"b"},"responses":[{"inserted_at":"yesterday","values":{"ranking":{"value":["response-1","response-2"]}}}]}`, `field "inserted_at": found "yesterday", expected a time such as`},
	{"oasst", `{"message_tree_id":"t","prompt":{"message_id":"m","text":"q","role":"prompter","replies":[]}}`, `{"message_tree_id":"t","prompt":{"message_id":"m","text":"q","role":"prompter","replies":[{"message_id":"a","text":"x","role":"assistant","rank":0},{"message_id":"b","text":"y","role":"assistant","rank":"1"}]}}`, `message m: field "rank": found "1", expected int`},
	{"oasst", `{"message_tree_id":"t","prompt":{"message_id":"m","text":"q","role":"prompter","replies":[]}}`, `{"message_tree_id":"t","prompt":{"message_id":"m","text":"q","role":"boss","replies":[{"message_id":"n","text":"r","role":"assistant"}]}}`, `field "role": found "boss", expected prompter or assistant`},
	{"oasst", `{"message_tree_id":"t","prompt":{"message_id":"m","text":"q","role":"prompter","replies":[]}}`, `{"message_id":"m","parent_id":"x","text":"q","role":"assistant"}`, `field "parent_id": found "x", expected a message that came before it in its tree`},
	{"oasst-groups", `{"context":[{"role":"prompter","text":"q"}],"replies":[{"text":"a","rank":0},{"text":"b","rank":1}]}`, `{"context":[{"role":"prompter","text":"q"}],"replies":[{"text":"a","rank":0.5},{"text":"b","rank":1}]}`, `reply 0: field "rank": found 0.5, expected 0 for the best, 1 and so on`},
	{"pandalm", `{"instruction":"i","input":"","response1":"x","response2":"y","annotator1":0}`, `{"instruction":"i","input":"","response1":"x","response2":"y","annotator1":3}`, `field "annotator1": found 3, expected 1, 2 or 0 for a tie`},
	{"pandalm", `{"instruction":"i","input":"","response1":"x","response2":"y","annotator1":0}`, `{"instruction":"i","input":"","response1":"x","annotator1":1}`, `field "response2": missing`},
	{"arena", `{"model_a":"m","model_b":"n","winner":"tie","conversation_a":[{"role":"user","content":"q"},{"role":"assistant","content":"x"}],"conversation_b":[{"role":"user","content":"q"},{"role":"assistant","content":"y"}]}`, `{"model_a":"m","model_b":"n","winner":"model_c","conversation_a":[{"role":"user","content":"q"},{"role":"assistant","content":"x"}],"conversation_b":[{"role":"user","content":"q"},{"role":"assistant","content":"y"}]}`, `field "winner": found "model_c", expected model_a, model_b, tie or tie (bothbad)`},
	{"arena", `{"model_a":"m","model_b":"n","winner":"tie","conversation_a":[{"role":"user","content":"q"},{"role":"assistant","content":"x"}],"conversation_b":[{"role":"user","content":"q"},{"role":"assistant","content":"y"}]}`, `{"model_a":"m","model_b":"n","winner":"tie","conversation_a":[{"role":"user","content":"q"}],"conversation_b":[{"role":"user","content":"z"}]}`, `found conversations that share no message, expected a shared prompt`},
	{"arena", `{"model_a":"m","model_b":"n","winner":"tie","conversation_a":[{"role":"user","content":"q"},{"role":"assistant","content":"x"}],"conversation_b":[{"role":"user","content":"q"},{"role":"assistant","content":"y"}]}`, `{"model_a":"m","model_b":"n","winner":"tie","conversation_a":[{"role":"judge","content":"q"}],"conversation_b":[]}`, `field "conversation_a", message 0: field "role": found "judge", expected system, user or assistant`},
	{"hh-rlhf", `{"chosen":"\n\nHuman: a\n\nAssistant: b","rejected":"\n\nHuman: a\n\nAssistant: c"}`, `{"chosen":"\n\nHuman: a\n\nAssistant: b","rejected":"\n\nHuman: x\n\nAssistant: c"}`, `found dialogues that share no "\n\nAssistant:", expected the same turns but for the last`},
	{"alpaca-preference", `{"instruction":"i","input":"","chosen":"a","rejected":"b"}`, `{"instruction":"i","input":7,"chosen":"a","rejected":"b"}`, `field "input": found 7, expected string`},
	{"trl", `{"prompt":"p","chosen":"a","rejected":"b"}`, `{"prompt":"p","chosen":"a"}`, `field "rejected": missing, the line has "chosen", "prompt"`},
	{"trl", `{"prompt":"p","chosen":"a","rejected":"b"}`, `{"chosen":"a","rejected":"a"}`, `found the same text, expected texts that differ behind their prompt`},
	{"trl", `{"prompt":"p","chosen":"a","rejected":"b"}`, `{"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],"rejected":"b"}`, `field "rejected": found "b", expected a list of objects`},
	{"trl-unpaired", `{"prompt":"p","completion":"a","label":true}`, `{"prompt":"p","completion":"a","label":"yes"}`, `field "label": found "yes", expected bool`},
	{"auto-j", `{"prompt":"p","response 1":"a","response 2":"b","label":0}`, `{"prompt":"p","response 1":"a","response 2":"b","label":3}`, `field "label": found 3, expected 0 or 1 for the better response, 2 for a tie`},
	{"prometheus-pairs", `{"chosen_instruction":"###The instruction to evaluate:\nq\n\n###Response to evaluate:\na\n\n###Score Rubrics:\n","rejected_instruction":"###The instruction to evaluate:\nq\n\n###Response to evaluate:\nb\n\n###Score Rubrics:\n"}`, `{"chosen_instruction":"###The instruction to evaluate:\nq\n\n###Response to evaluate:\na\n\n###Score Rubrics:\n","rejected_instruction":"q"}`, `field "rejected_instruction": found "q", expected "###The instruction to evaluate:", "###Response to evaluate:" and the rubrics`},
	{"prometheus-scores", `{"instruction":"###The instruction to evaluate:\nq\n\n###Response to evaluate:\na\n\n###Score Rubrics:\n","gpt4_score":[3]}`, `{"instruction":"###The instruction to evaluate:\nq\n\n###Response to evaluate:\na\n\n###Score Rubrics:\n","gpt4_score":[]}`, `field "gpt4_score": found no score, expected one or more`},
	{"trl", `{"prompt":"p","chosen":"a","rejected":"b"}`, `{"prompt":"p","chosen":"a",`, `not a JSON object`},
	{"trl", `{"prompt":"p","chosen":"a","rejected":"b"}`, "{\"prompt\":\"p\xff\",\"chosen\":\"a\",\"rejected\":\"b\"}", `expected UTF-8`},
}

// A bad record is an error that names file, line and field, and is skipped and counted if one says so. In an array it
// is named by the line that it begins at.
func TestBadPreferences(t *testing.T) {
	for i, test := range badFiles {
		name := fmt.Sprintf("bad%d.jsonl", i)
		path := file(t, name, test.good+"\n\n"+test.bad+"\n"+test.good+"\n")
		err := rankingsError(Options{Format: test.format}, path)
		if err == nil || !strings.Contains(err.Error(), name+":3: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.format, err, test.want)
		}
		var report Report
		if err := rankingsError(Options{Format: test.format, SkipBad: true, Report: &report}, path); err != nil || report.Skipped != 1 {
			t.Errorf("%s: %+v, %v", test.format, report, err)
		}
		if strings.HasSuffix(test.bad, ",") {
			continue // of an array nothing after it could be read
		}
		array := file(t, fmt.Sprintf("bad%d.json", i), "[\n"+test.good+",\n"+test.bad+",\n"+test.good+"]\n")
		if err := rankingsError(Options{Format: test.format}, array); err == nil || !strings.Contains(err.Error(), ".json:3: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s in an array: got %v, want %q", test.format, err, test.want)
		}
	}
	for _, p := range preferences() {
		if p.read != nil && !slices.ContainsFunc(badFiles, func(b badFile) bool { return b.format == p.name }) {
			t.Errorf("no bad file of %s", p.name)
		}
	}
}

func TestBadDocuments(t *testing.T) {
	const models = `{"models":[{"name":"a"},{"name":"b"}],`
	const example = `{"input_text":"i","output_text_a":"x","output_text_b":"y","score":1}`
	for _, test := range []struct{ name, text, want string }{
		{"score.json", models + "\"examples\":[\n" + example + ",\n{\"input_text\":\"i\",\"output_text_a\":\"x\",\"output_text_b\":\"y\",\"score\":\"A\"}]}", `score.json:3: field "score": found "A", expected float64`},
		{"cut.json", models + "\"examples\":[\n" + example + ",\n", `cut.json:3: found the end of the file inside the document`},
		{"comma.json", models + "\"examples\":[\n" + example + "\n" + example + "]}", `comma.json:3: found '{', expected , or ] in the list "examples"`},
		{"order.json", `{"examples":[` + example + `],"models":[]}`, `order.json:1: found "examples" before "models", expected the two models first`},
		{"three.json", `{"models":[{"name":"a"},{"name":"b"},{"name":"c"}],"examples":[]}`, `three.json:1: field "models": found [{"name":"a"},`},
		{"none.json", `{"models":[{"name":"a"},{"name":"b"}]}`, `none.json:1: found no field "examples"`},
		{"more.json", models + `"examples":[]} {}`, `more.json:1: found '{' after the end of the document`},
		{"list.json", models + `"examples":7}`, `list.json:1: field "examples": found '7', expected '['`},
		{"rater.json", models + `"examples":[{"input_text":"i","output_text_a":"x","output_text_b":"y","score":1,"individual_rater_scores":[{"rlhf":{}}]}]}`, `rater 0: field "score": missing`},
	} {
		err := rankingsError(Options{Format: "llm-comparator"}, file(t, test.name, test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	const head = "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
	csv := file(t, "t.csv", head+"a,b,Why?,Because,Because; So,No,\na,b,,x,y,z,\na,b,Who?,Me\na,b,How?,So,So,Not so; No,u\n")
	if err := rankingsError(Options{}, csv); err == nil || !strings.Contains(err.Error(), `t.csv:3: column "Question": found nothing, expected a text`) {
		t.Errorf("csv: %v", err)
	}
	var report Report
	got, err := Collect(Rankings(Options{SkipBad: true, Report: &report}, csv))
	if err != nil || report.Skipped != 2 || len(got) != 2 || !slices.Equal(got[0].Ranks, []int{1, 2, 3}) || !slices.Equal(got[1].Ranks, []int{1, 2, 2}) || string(got[1].Meta["source"]) != `"u"` {
		t.Errorf("csv: %+v, %+v, %v", got, report, err)
	}
	unknown := rankingsError(Options{}, file(t, "u.jsonl", `{"question_id":1,"turns":["a"]}`))
	if unknown == nil || !strings.Contains(unknown.Error(), `found a first record of "question_id", "turns", which is no known format of rankings; known: rankings, rank-lists`) {
		t.Errorf("unknown: %v", unknown)
	}
}

// Every reader takes any object: what it yields holds together and can be written, and nothing panics.
func FuzzPreferences(f *testing.F) {
	for _, b := range badFiles {
		f.Add(b.format, []byte(b.good))
		f.Add(b.format, []byte(b.bad))
	}
	formats := preferences()
	f.Fuzz(func(t *testing.T, format string, raw []byte) {
		o, err := parseObject(raw)
		i := slices.IndexFunc(formats, func(p preference) bool { return p.name == format && p.read != nil })
		if err != nil || i < 0 {
			return
		}
		list, err := formats[i].read(func(string) {}, o)
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("message %q", err)
			}
			return
		}
		for _, r := range list {
			if r.check() != nil {
				continue
			}
			for _, c := range r.Completions {
				if c.Score != nil && (math.IsNaN(*c.Score) || math.IsInf(*c.Score, 0)) {
					t.Errorf("score %v", *c.Score)
				}
			}
			if _, err := json.Marshal(r); err != nil {
				t.Errorf("%s cannot be written: %v", raw, err)
			}
			for _, p := range formats {
				if p.written() {
					p.write(nowhere{}, sequence([]Ranking{r}), &Written{skip: true})
				}
			}
		}
	})
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// The document of LLM Comparator is read piece by piece; whatever it is, reading ends.
func FuzzComparator(f *testing.F) {
	f.Add([]byte(`{"metadata":{"a":"}]"},"models":[{"name":"a"},{"name":"b"}],"examples":[{"input_text":"i","output_text_a":"x","output_text_b":"y","score":-1.5}]}`))
	f.Add([]byte(`{"models":[{"name":"a"},{"name":"b"}],"examples":[`))
	path := filepath.Join(f.TempDir(), "x.json")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		n := 0
		for r, err := range Rankings(Options{Format: "llm-comparator", SkipBad: true}, path) {
			if n++; n > len(raw)+1 {
				t.Fatalf("%d rankings of %q", n, raw)
			}
			if err == nil && r.check() != nil {
				t.Errorf("%q was read although %v", raw, r.check())
			}
		}
	})
}
