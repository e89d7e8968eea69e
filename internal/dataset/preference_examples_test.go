package dataset

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"
	"time"
)

// meta is the Meta of a ranking, from pairs of name and value.
func meta(pairs ...string) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return out
}

func two(prompt, first, second string, ranks ...int) Ranking {
	return Ranking{Prompt: prompt, Completions: []Completion{{Text: first}, {Text: second}}, Ranks: ranks, Labeler: Imported}
}

// with changes a copy of a ranking.
func with(r Ranking, change func(*Ranking)) Ranking {
	r.Completions = append([]Completion{}, r.Completions...)
	change(&r)
	return r
}

// The records are the examples of the formats' own documentation: hh-rlhf's data, TRL's docs/source/dataset_formats.md at
// 0087e4f, the README of openai/summarize-from-feedback, Label Studio's docs/source/tags/ranker.md and guide/export.md,
// Pairwise.js and Rating.jsx for the values of those, argilla's src/argilla/records/_io/_generic.py and _resource.py,
// oasst_data/schemas.py, FastChat's clean_battle_data.py, the README of PAIR-code/llm-comparator, and AI2's instances.
// Texts are shortened; what is expected was written by hand.
func TestDocumentedExamples(t *testing.T) {
	sky := []Message{{"user", "What color is the sky?"}}
	chat := with(two("What color is the sky?", "It is blue.", "It is green.", 1, 2), func(r *Ranking) { r.Messages = sky })
	yes := true
	at := time.Date(2021, 3, 9, 22, 16, 8, 728353000, time.UTC)
	studio := Ranking{Prompt: "…", Completions: []Completion{{Text: "one", ID: "r1"}, {Text: "two", ID: "r2"}}, Ranks: []int{2, 1}, Labeler: "10", CreatedAt: at, ActiveMS: 4288,
		Meta: meta("annotation", `{"ground_truth":false,"id":1001}`, "ratings", `{"overall":6}`)}
	argilla := with(two("p", "x", "y", 1, 1), func(r *Ranking) { r.Labeler = "uuid" })
	battle := with(two("hi", "hello", "yo", 1, 1), func(r *Ranking) {
		r.Messages, r.Labeler, r.CreatedAt, r.Meta = []Message{{"user", "hi"}}, "arena_user_1", time.Unix(1682351591, 0).UTC(), meta("question_id", `"q1"`, "anony", "true", "language", `"English"`)
		r.Completions[0].Model, r.Completions[1].Model = "vicuna-13b", "koala-13b"
	})
	tree := Ranking{Prompt: "q", Messages: []Message{{"user", "q"}}, Ranks: []int{3, 1, 2}, Labeler: "u1", GroupID: "m0", Meta: meta("lang", `"en"`),
		Completions: []Completion{{Text: "a", ID: "m1"}, {Text: "b", ID: "m2", Ratings: map[string]float64{"quality": 0.75}}, {Text: "c", ID: "m3"}}}
	const replies = `"replies":[{"message_id":"m1","text":"a","role":"assistant","rank":2,"replies":[]},{"message_id":"m2","text":"b","role":"assistant","rank":0,"labels":{"quality":{"value":0.75,"count":2}},"replies":[]},{"message_id":"m3","text":"c","role":"assistant","rank":1}]`
	panda := func(labeler string, ranks ...int) Ranking {
		r := two("Come up with some search queries on google about coding stuff.", "1. What is coding?", `1. "how to NaN"`, ranks[0], ranks[1])
		r.Labeler, r.Meta = labeler, meta("idx", "4", "motivation_app", `"Google Search"`)
		r.Completions[0].Model, r.Completions[1].Model = "cerebras-gpt-6.7B", "pythia-6.9b"
		return r
	}
	for _, test := range []struct {
		name, format, text string
		want               []Ranking
	}{
		{"hh", "hh-rlhf", `{"chosen":"\n\nHuman: what are some pranks with a pen i can do?\n\nAssistant: Are you looking for practical joke ideas?","rejected":"\n\nHuman: what are some pranks with a pen i can do?\n\nAssistant: Here is one."}`,
			[]Ranking{two("\n\nHuman: what are some pranks with a pen i can do?\n\nAssistant:", " Are you looking for practical joke ideas?", " Here is one.", 1, 2)}},
		{"hh whose sides part before the last turn", "hh-rlhf", `{"chosen":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d","rejected":"\n\nHuman: a\n\nAssistant: b\n\nHuman: x\n\nAssistant: y"}`,
			[]Ranking{two("\n\nHuman: a\n\nAssistant:", " b\n\nHuman: c\n\nAssistant: d", " b\n\nHuman: x\n\nAssistant: y", 1, 2)}},
		{"trl", "trl", `{"prompt":"The sky is","chosen":" blue.","rejected":" green."}`, []Ranking{two("The sky is", " blue.", " green.", 1, 2)}},
		{"trl with unknown fields", "trl", `{"prompt":"p","chosen":"x","rejected":"y","source":"s","score":[1, 2],"extra":{"a":1},"note":null}`,
			[]Ranking{with(two("p", "x", "y", 1, 2), func(r *Ranking) { r.Meta = meta("source", `"s"`, "score", "[1,2]", "extra", `{"a":1}`) })}},
		{"trl with an instruction", "trl", `{"prompt":"p","instruction":"i","chosen":"x","rejected":"y"}`, []Ranking{with(two("p", "x", "y", 1, 2), func(r *Ranking) { r.Meta = meta("instruction", `"i"`) })}},
		{"instruction", "alpaca-preference", `{"instruction":"i","input":"n","output":"o","chosen":"x","rejected":"y"}`, []Ranking{with(two("i\n\nn", "x", "y", 1, 2), func(r *Ranking) { r.Meta = meta("output", `"o"`) })}},
		{"trl with somebody else's columns", "trl", `{"prompt":"p","chosen":"x","rejected":"y","chosen_model":["m"],"rejected_model":"n","score_chosen":"7","chosen_index":"a","labeler":7,"confidence":0.5}`,
			[]Ranking{with(two("p", "x", "y", 1, 2), func(r *Ranking) {
				r.Completions[1].Model, r.Confidence = "n", number64(0.5)
				r.Meta = meta("chosen_model", `["m"]`, "score_chosen", `"7"`, "chosen_index", `"a"`, "labeler", "7")
			})}},
		{"trl implicit", "trl", `{"chosen":"The sky is blue.","rejected":"The sky is green."}`, []Ranking{two("The sky is", " blue.", " green.", 1, 2)}},
		{"trl conversational", "trl", `{"prompt":[{"role":"user","content":"What color is the sky?"}],"chosen":[{"role":"assistant","content":"It is blue."}],"rejected":[{"role":"assistant","content":"It is green."}]}`, []Ranking{chat}},
		{"trl implicit conversational", "trl", `{"chosen":[{"role":"user","content":"What color is the sky?"},{"role":"assistant","content":"It is blue."}],"rejected":[{"role":"user","content":"What color is the sky?"},{"role":"assistant","content":"It is green."}]}`, []Ranking{chat}},
		{"trl unpaired", "trl-unpaired", `{"prompt":"The sky is","completion":" blue.","label":true}`,
			[]Ranking{{Prompt: "The sky is", Completions: []Completion{{Text: " blue.", Label: &yes}}, Ranks: []int{1}, Labeler: Imported}}},
		{"openai comparison", "openai-comparisons", `{"info":{"id":"t3_2vwp1w","post":"POST","title":"TITLE","subreddit":"legaladvice"},"summaries":[{"text":" s0","policy":"sup4_ppo_rm3_kl10","note":"n0"},{"text":" s1","policy":"ref","note":null}],"choice":1,"worker":"ikNm","batch":"batch9","split":"train","extra":{"confidence":8}}`,
			[]Ranking{{Prompt: "SUBREDDIT: r/legaladvice\n\nTITLE: TITLE\n\nPOST: POST\n\nTL;DR:", Ranks: []int{2, 1}, Labeler: "ikNm", Confidence: number64(8),
				Completions: []Completion{{Text: " s0", Model: "sup4_ppo_rm3_kl10", Note: "n0"}, {Text: " s1", Model: "ref"}},
				Meta:        meta("batch", `"batch9"`, "split", `"train"`, "info", `{"id":"t3_2vwp1w","post":"POST","title":"TITLE","subreddit":"legaladvice"}`)}}},
		{"best of three", "openai-comparisons", `{"info":{"post":"p"},"summaries":[{"text":"a","policy":"x","note":null},{"text":"b","policy":"x","note":null},{"text":"c","policy":"x","note":null}],"choice":2,"worker":"w","extra":{"confidence":null,"why":"z"}}`,
			[]Ranking{{Prompt: "p", Ranks: []int{2, 2, 1}, Choice: true, Labeler: "w", Completions: []Completion{{Text: "a", Model: "x"}, {Text: "b", Model: "x"}, {Text: "c", Model: "x"}}, Meta: meta("extra", `{"confidence":null,"why":"z"}`)}}},
		{"openai axes", "openai-axes", `{"info":{"id":"1","site":"dailymail","title":"t","article":"A"},"split":"test","summary":{"text":"s","policy":"ref","note":"n","axes":{"overall":3,"accuracy":5,"coverage":4,"coherence":2}},"worker":"w","batch":"cnndm1"}`,
			[]Ranking{{Prompt: "Article:\nA\n\nTL;DR:\n", Ranks: []int{1}, Labeler: "w", Completions: []Completion{{Text: "s", Model: "ref", Note: "n", Ratings: map[string]float64{"overall": 3, "accuracy": 5, "coverage": 4, "coherence": 2}}},
				Meta: meta("split", `"test"`, "batch", `"cnndm1"`, "info", `{"id":"1","site":"dailymail","title":"t","article":"A"}`)}}},
		{"label studio", "label-studio", `{"id":1,"data":{"prompt":"…","items":[{"id":"r1","title":"A","body":"one"},{"id":"r2","title":"B","body":"two"}]},"annotations":[{"id":1001,"completed_by":10,"was_cancelled":false,"ground_truth":false,"lead_time":4.288,"created_at":"2021-03-09T22:16:08.728353Z","result":[{"from_name":"rank","to_name":"results","type":"ranker","value":{"ranker":["r2","r1"]}},{"from_name":"comparison","to_name":"answer1","type":"pairwise","value":{"selected":"left"}},{"from_name":"overall","to_name":"answer1","type":"rating","value":{"rating":6}}]},{"id":2,"was_cancelled":true,"result":[]}],"predictions":[]}`,
			[]Ranking{studio}},
		{"label studio's list of items", "label-studio", `[{"data":{"prompt":"p","items":[{"id":"blog","title":"10 tips","body":"b"},{"id":"mdn","title":"Arrow","body":"m"},{"id":"wiki","title":"Arrow (cs)","body":"w"}]},"annotations":[{"completed_by":{"id":7,"email":"ann@x"},"result":[{"from_name":"rank","to_name":"results","type":"ranker","value":{"ranker":["mdn","wiki","blog"]}}]},
			{"completed_by":{"id":7,"email":""},"result":[{"from_name":"rank","to_name":"results","type":"ranker","value":{"ranker":{"_":[],"rank_1":["wiki"],"rank_2":["blog","mdn"],"rank_4":[]}}}]}]}]`,
			[]Ranking{{Prompt: "p", Completions: []Completion{{Text: "b", ID: "blog"}, {Text: "m", ID: "mdn"}, {Text: "w", ID: "wiki"}}, Ranks: []int{3, 1, 2}, Labeler: "ann@x"},
				{Prompt: "p", Completions: []Completion{{Text: "b", ID: "blog"}, {Text: "m", ID: "mdn"}, {Text: "w", ID: "wiki"}}, Ranks: []int{2, 2, 1}, Labeler: "7"}}},
		{"label studio's pairwise template", "label-studio", `[{"id":1,"data":{"prompt":"The quick brown fox...","answer1":"jumps over the lazy dog.","answer2":"bags few lynx."},"annotations":[{"result":[{"from_name":"comparison","to_name":"comparison","type":"pairwise","value":{"selected":"right"}},{"from_name":"why","to_name":"prompt","type":"textarea","value":{"text":["short"]}}]}]}]`,
			[]Ranking{with(two("The quick brown fox...", "jumps over the lazy dog.", "bags few lynx.", 2, 1), func(r *Ranking) { r.Comment = "short" })}},
		{"label studio's ratings", "label-studio", `[{"data":{"prompt":"p","answer1":"x","answer2":"y"},"annotations":[{"result":[{"from_name":"stars","to_name":"answer1","type":"rating","value":{"rating":2}},{"from_name":"stars","to_name":"answer2","type":"rating","value":{"rating":5}}]}]}]`,
			[]Ranking{with(two("p", "x", "y", 2, 1), func(r *Ranking) {
				r.Completions[0].Ratings, r.Completions[1].Ratings = map[string]float64{"stars": 2}, map[string]float64{"stars": 5}
			})}},
		{"argilla's server", "argilla", `{"fields":{"prompt":"p","response-1":"x","response-2":"y"},"responses":[{"user_id":"uuid","status":"submitted","values":{"ranking":{"value":[{"value":"response-1","rank":1},{"value":"response-2","rank":1}]}}},{"user_id":"z","status":"draft","values":{}}],"suggestions":[]}`,
			[]Ranking{argilla}},
		{"argilla's SDK, nested", "argilla", `{"id":"7","fields":{"prompt":"p","response-1":"x","response-2":"y"},"metadata":{"topic":"t"},"suggestions":{},"responses":{"ranking":[{"value":["response-2","response-1"],"user_id":"u"}]},"vectors":{},"_server_id":null}`,
			[]Ranking{with(two("p", "x", "y", 2, 1), func(r *Ranking) { r.Labeler, r.Meta = "u", meta("id", `"7"`, "topic", `"t"`) })}},
		{"argilla's SDK, flat", "argilla", `{"id":"7","prompt":"p","response-1":"x","response-2":"y","ranking.responses":[["response-2","response-1"],["response-1","response-2"]],"ranking.responses.users":["u","v"],"ranking.responses.status":["submitted","discarded"]}`,
			[]Ranking{with(two("p", "x", "y", 2, 1), func(r *Ranking) { r.Labeler, r.Meta = "u", meta("id", `"7"`) })}},
		{"argilla's suggestion", "argilla", `{"prompt":"p","response-1":"x","response-2":"y","ranking.suggestion":["response-2","response-1"],"ranking.suggestion.score":0.5,"ranking.suggestion.agent":"gpt"}`,
			[]Ranking{with(two("p", "x", "y", 2, 1), func(r *Ranking) {
				r.Labeler, r.Confidence, r.Flags = "gpt", number64(0.5), []string{"suggestion"}
			})}},
		{"oasst", "oasst", `{"message_tree_id":"m0","tree_state":"ready_for_export","prompt":{"message_id":"m0","text":"q","role":"prompter","lang":"en",` + replies + `,"events":{"ranking":[{"type":"ranking","user_id":"u1","ranking":[1,2,0],"ranked_message_ids":["m2","m3","m1"],"not_rankable":false}]}}}`,
			[]Ranking{tree}},
		{"oasst with two labelers", "oasst", `{"message_tree_id":"m0","prompt":{"message_id":"m0","text":"q","role":"prompter","lang":"en",` + replies + `,"events":{"ranking":[{"type":"ranking","user_id":"u1","ranking":[1,2,0],"ranked_message_ids":["m2","m3","m1"]},{"type":"ranking","user_id":"u2","ranking":[0,1,2],"ranked_message_ids":["m1","gone","m2","m3"],"not_rankable":true}]}}}`,
			[]Ranking{with(tree, func(r *Ranking) { r.GroupID = "m0/u1" }), with(tree, func(r *Ranking) {
				r.Ranks, r.Labeler, r.GroupID, r.Flags = []int{1, 2, 3}, "u2", "m0/u2", []string{NotRankable}
			})}},
		{"oasst as agreed, without the deleted", "oasst", `{"message_tree_id":"m0","prompt":{"message_id":"m0","text":"q","role":"prompter","replies":[{"message_id":"m1","text":"a","role":"assistant","rank":1},{"message_id":"m2","text":"b","role":"assistant","rank":0,"deleted":true},{"message_id":"m3","text":"c","role":"assistant","rank":2,"model_name":"m"},{"message_id":"m4","text":"d","role":"assistant","rank":null}]}}`,
			[]Ranking{{Prompt: "q", Messages: []Message{{"user", "q"}}, Ranks: []int{1, 2}, Labeler: Imported, GroupID: "m0", Completions: []Completion{{Text: "a", ID: "m1"}, {Text: "c", ID: "m3", Model: "m"}}}}},
		// the fifth record of PandaLM's data/testset-v1.json at 65d7cff, with another verdict for the tie
		{"pandalm", "pandalm", `[{"idx":4,"motivation_app":"Google Search","cmp_key":"cerebras-gpt-6.7B_pythia-6.9b","instruction":"Come up with some search queries on google about coding stuff.","input":NaN,"response1":"1. What is coding?","response2":"1. \"how to NaN\"","annotator1":2,"annotator2":0}]`,
			[]Ranking{panda("annotator1", 2, 1), panda("annotator2", 1, 1)}},
		{"arena", "arena", `[{"question_id":"q1","model_a":"vicuna-13b","model_b":"koala-13b","winner":"tie","judge":"arena_user_1","conversation_a":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"conversation_b":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}],"turn":1,"anony":true,"language":"English","tstamp":1682351591.0},
			{"question_id":"q1","model_a":"vicuna-13b","model_b":"koala-13b","winner":"tie (bothbad)","judge":"arena_user_1","conversation_a":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"conversation_b":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}],"turn":1,"anony":true,"language":"English","tstamp":1682351591.0}]`,
			[]Ranking{battle, with(battle, func(r *Ranking) { r.Flags = []string{BothBad} })}},
		{"llm comparator", "llm-comparator", `{"metadata":{"source_path":"run-1","custom_fields_schema":[]},"models":[{"name":"after"},{"name":"before"}],"examples":[{"input_text":"i","tags":["Math"],"output_text_a":"x","output_text_b":"y","score":-1.25,"individual_rater_scores":[{"score":1.5,"rating_label":"A is much better","is_flipped":false,"rationale":"r"}],"custom_fields":{}},
			{"input_text":"j","tags":[],"output_text_a":"x","output_text_b":"y","score":0,"individual_rater_scores":[],"custom_fields":{"k":8}}]}`,
			[]Ranking{{Prompt: "i", Completions: []Completion{{Text: "x", Model: "after"}, {Text: "y", Model: "before"}}, Ranks: []int{2, 1}, Labeler: Imported,
				Meta: meta("tags", `["Math"]`, "score", "-1.25", "individual_rater_scores", `[{"score":1.5,"rating_label":"A is much better","is_flipped":false,"rationale":"r"}]`)},
				{Prompt: "j", Completions: []Completion{{Text: "x", Model: "after"}, {Text: "y", Model: "before"}}, Ranks: []int{1, 1}, Labeler: Imported, Meta: meta("score", "0", "k", "8")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := "x.jsonl"
			if test.text[0] == '[' || test.format == "llm-comparator" {
				name = "x.json"
			}
			var report Report
			got, err := Collect(Rankings(Options{Report: &report}, file(t, name, test.text)))
			if err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(report.Formats, map[string]int{test.format: 1}) {
				t.Errorf("read as %v, want %s", report.Formats, test.format)
			}
			if !reflect.DeepEqual(got, test.want) {
				g, _ := json.Marshal(got)
				w, _ := json.Marshal(test.want)
				t.Errorf("\ngot  %s\nwant %s", g, w)
			}
		})
	}
}

// An example that another program's judges scored keeps its score and theirs.
func TestComparatorScoresComeBack(t *testing.T) {
	const in = `{"metadata":{"source_path":"rlhf","custom_fields_schema":[]},"models":[{"name":"after"},{"name":"before"}],"examples":[
{"input_text":"i","tags":["Math"],"output_text_a":"x","output_text_b":"y","score":-1.25,"individual_rater_scores":[{"score":1.5,"rationale":"r"}],"custom_fields":{"k":8}},
{"input_text":"j","tags":[],"output_text_a":"x","output_text_b":"y","score":0,"individual_rater_scores":[],"custom_fields":{}}
]}
`
	list, err := Collect(Rankings(Options{}, file(t, "x.json", in)))
	if err != nil {
		t.Fatal(err)
	}
	if out := text(t, "llm-comparator", list...); out != in {
		t.Errorf("got %s", out)
	}
}

// AI2's instances are groups to rank: they are written without ranks, and read by Groups.
func TestInstances(t *testing.T) {
	path := file(t, "x.jsonl", `{"prompt":"p","completions":[{"model":"m1","completion":"x"},{"model":"m2","completion":"y"}]}`)
	want := []Group{{Prompt: "p", Completions: []Completion{{Model: "m1", Text: "x"}, {Model: "m2", Text: "y"}}}}
	if got, err := Collect(Groups(Options{}, path)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	out := text(t, "ai2", with(two("p", "x", "y", 2, 1), func(r *Ranking) { r.Completions[0].Model, r.Completions[1].Model = "m1", "m2" }))
	if want := `{"prompt":"p","completions":[{"model":"m1","completion":"x"},{"model":"m2","completion":"y"}]}` + "\n"; out != want {
		t.Errorf("%s", out)
	}
}
