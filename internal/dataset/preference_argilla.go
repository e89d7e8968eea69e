package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Argilla's records: those of its server, whose rankings keep ranks and so ties, and those that its SDK exports, nested
// or flat, whose rankings are lists without ties. What a response has no place for stands in its "rlhf".

// argillaFields are the fields of a record that hold its texts.
type argillaFields struct {
	Ranking
	names []string // of the completions
}

// readArgilla reads a record of the server, or of the SDK, nested or flat.
func readArgilla(note noting, record object) (out []Ranking, err error) {
	flat := !record.has("fields")
	texts := record
	if !flat {
		if texts, err = field[object](record, "fields"); err != nil {
			return nil, err
		}
	}
	f, err := readArgillaFields(texts)
	if err != nil {
		return nil, err
	}
	if err := f.about(record, flat); err != nil {
		return nil, err
	}
	switch {
	case flat:
		out, err = f.flat(note, record)
	case record.kind("responses") == "object":
		out, err = f.nested(record)
	default:
		out, err = f.server(note, record)
	}
	if err == nil && len(out) == 0 {
		out, err = f.suggested(record)
	}
	if err == nil && len(out) == 0 {
		note("records without a submitted ranking, left out")
	}
	return out, err
}

func readArgillaFields(texts object) (f argillaFields, err error) {
	if texts.kind("prompt") == "list" {
		if f.Messages, err = conversationField(texts, "prompt"); err != nil {
			return f, err
		}
		f.Prompt = Transcript(f.Messages)
	} else if f.Prompt, err = field[string](texts, "prompt"); err != nil {
		return f, err
	}
	if f.System, err = optional[string](texts, "system"); err != nil {
		return f, err
	}
	for name := range texts {
		if number(name) > 0 {
			f.names = append(f.names, name)
		}
	}
	slices.SortFunc(f.names, func(a, b string) int { return number(a) - number(b) })
	if len(f.names) == 0 {
		return f, fmt.Errorf("found the fields %s, expected response-1, response-2 and so on", texts.names())
	}
	for _, name := range f.names {
		text, err := field[string](texts, name)
		if err != nil {
			return f, err
		}
		f.Completions = append(f.Completions, Completion{Text: text})
	}
	return f, nil
}

// number returns the number in the name of a response's field, 0 if it is not one's.
func number(name string) int {
	for _, prefix := range []string{"response-", "response_", "response"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			var n int
			if k, err := fmt.Sscanf(rest, "%d", &n); err == nil && k == 1 && n > 0 && fmt.Sprint(n) == rest {
				return n
			}
		}
	}
	return 0
}

// about reads the metadata and keeps the record's other fields.
func (f *argillaFields) about(record object, flat bool) error {
	skip := []string{"fields", "metadata", "responses", "suggestions", "vectors", "prompt", "system"}
	for name, raw := range record {
		part := strings.Contains(name, ".suggestion") || strings.Contains(name, ".responses")
		if !isNull(raw) && !slices.Contains(skip, name) && !(flat && (part || slices.Contains(f.names, name))) {
			f.setMeta(name, raw)
		}
	}
	metadata, err := optional[object](record, "metadata")
	if err != nil {
		return err
	}
	for name, raw := range metadata {
		if !isNull(raw) {
			f.setMeta(name, raw)
		}
	}
	var models []string
	if json.Unmarshal(f.Meta["models"], &models) == nil && len(models) == len(f.Completions) {
		for i := range models {
			f.Completions[i].Model = models[i]
		}
		f.dropMeta("models")
	}
	return nil
}

// one begins a ranking of the record.
func (f *argillaFields) one() Ranking {
	r := f.Ranking
	r.Completions, r.Meta, r.Labeler = slices.Clone(f.Completions), maps.Clone(f.Meta), Imported
	return r
}

// server reads [{"user_id", "status", "values": {"ranking": {"value": [{"value", "rank"}]}}}].
func (f *argillaFields) server(note noting, record object) (out []Ranking, err error) {
	list, err := optional[[]object](record, "responses")
	if err != nil {
		return nil, err
	}
	for i, response := range list {
		r, ok, err := f.response(response)
		if err != nil {
			return nil, fmt.Errorf("response %d: %w", i, err)
		}
		if !ok {
			note("responses that were not submitted, left out")
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

func (f *argillaFields) response(response object) (r Ranking, submitted bool, err error) {
	status, err := optional[string](response, "status")
	if err != nil || status != "" && status != "submitted" {
		return r, false, err
	}
	r = f.one()
	values, err := field[object](response, "values")
	if err != nil {
		return r, true, err
	}
	question := ""
	others := object{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		answer, err := field[object](values, name)
		if err != nil {
			return r, true, fmt.Errorf("field \"values\": %w", err)
		}
		switch {
		case question == "" && answer.kind("value") == "list" && (name == "ranking" || !values.has("ranking")):
			question = name
			if r.Ranks, err = f.ranks(answer); err != nil {
				return r, true, fmt.Errorf("question %q: %w", name, err)
			}
		case name == "comment" && answer.kind("value") == "string":
			r.Comment, _ = field[string](answer, "value")
		default:
			others[name] = compact(values[name])
		}
	}
	if question == "" {
		return r, true, fmt.Errorf("field \"values\": found %s, expected an answer that ranks", values.names())
	}
	return r, true, f.by(&r, response, question, others)
}

// by reads who responded, when, and what else the response says.
func (f *argillaFields) by(r *Ranking, response object, question string, others object) error {
	rest, err := optional[object](response, "rlhf")
	if err != nil {
		return err
	}
	r.carry(rest, "labeler", "created_at", "comment")
	if user, err := optional[string](response, "user_id"); err != nil {
		return err
	} else if user != "" {
		r.Labeler = user
	}
	at, err := optional[string](response, "inserted_at")
	if err != nil {
		return err
	}
	if at != "" {
		if r.CreatedAt, err = utc(at); err != nil {
			return fmt.Errorf("field \"inserted_at\": %w", err)
		}
	}
	if question != "ranking" {
		raw, err := json.Marshal(question)
		if err != nil {
			return err
		}
		r.setMeta("question", raw)
	}
	if len(others) == 0 {
		return nil
	}
	raw, err := json.Marshal(others)
	if err == nil {
		r.setMeta("values", raw)
	}
	return err
}

// utc reads a time as Argilla's server writes it, without a zone and in UTC, or with a zone.
func utc(at string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.Parse(layout, at); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("found %q, expected a time such as 2024-05-31T12:00:00.123456", at)
}

// ranks reads the value of a ranking: names with ranks, or names alone from best to worst.
func (f *argillaFields) ranks(answer object) ([]int, error) {
	var list []object
	if err := json.Unmarshal(answer["value"], &list); err == nil {
		ranks := make([]int, len(f.names))
		for i, each := range list {
			name, err := field[string](each, "value")
			rank := i + 1
			if err == nil && each.has("rank") {
				if rank, err = field[int](each, "rank"); err == nil && rank < 1 {
					err = fmt.Errorf("field \"rank\": found %d, expected 1 for the best", rank)
				}
			}
			if err == nil {
				err = f.place(ranks, name, rank)
			}
			if err != nil {
				return nil, err
			}
		}
		return f.complete(ranks)
	}
	names, err := field[[]string](answer, "value")
	if err != nil {
		return nil, err
	}
	return f.order(names)
}

// order reads names from best to worst.
func (f *argillaFields) order(names []string) ([]int, error) {
	ranks := make([]int, len(f.names))
	for i, name := range names {
		if err := f.place(ranks, name, i+1); err != nil {
			return nil, err
		}
	}
	return f.complete(ranks)
}

func (f *argillaFields) place(ranks []int, name string, rank int) error {
	i := slices.Index(f.names, name)
	if i < 0 || ranks[i] != 0 {
		return fmt.Errorf("found %q in the ranking, expected each of %q once", name, f.names)
	}
	ranks[i] = rank
	return nil
}

func (f *argillaFields) complete(ranks []int) ([]int, error) {
	if i := slices.Index(ranks, 0); i >= 0 {
		return nil, fmt.Errorf("found no rank of %q", f.names[i])
	}
	return dense(ranks), nil
}

// nested reads the SDK's {"ranking": [{"value": ["response-1", …], "user_id"}]}.
func (f *argillaFields) nested(record object) (out []Ranking, err error) {
	answers, err := field[map[string]json.RawMessage](record, "responses")
	if err != nil {
		return nil, err
	}
	var list []object
	raw, ok := answers["ranking"]
	if !ok {
		return nil, nil
	}
	if json.Unmarshal(raw, &list) != nil {
		return nil, fmt.Errorf("field \"responses\": field \"ranking\": found %s, expected a list of objects", short(raw))
	}
	for i, each := range list {
		r := f.one()
		if r.Ranks, err = f.ranks(each); err == nil {
			r.Labeler, err = optional[string](each, "user_id")
		}
		if err != nil {
			return nil, fmt.Errorf("response %d: %w", i, err)
		}
		if r.Labeler == "" {
			r.Labeler = Imported
		}
		out = append(out, r)
	}
	return out, nil
}

// flat reads the SDK's columns ranking.responses, .users and .status.
func (f *argillaFields) flat(note noting, record object) (out []Ranking, err error) {
	if record.kind("ranking.responses") != "list" {
		return nil, nil
	}
	list, err := field[[][]string](record, "ranking.responses")
	if err != nil {
		return nil, err
	}
	users, err := optional[[]string](record, "ranking.responses.users")
	if err != nil {
		return nil, err
	}
	status, err := optional[[]string](record, "ranking.responses.status")
	if err != nil {
		return nil, err
	}
	if users != nil && len(users) != len(list) || status != nil && len(status) != len(list) {
		return nil, fmt.Errorf("field \"ranking.responses\": found %d with %d users and %d statuses, expected as many of each", len(list), len(users), len(status))
	}
	for i, names := range list {
		if status != nil && status[i] != "submitted" {
			note("responses that were not submitted, left out")
			continue
		}
		r := f.one()
		if r.Ranks, err = f.order(names); err != nil {
			return nil, fmt.Errorf("field \"ranking.responses\": response %d: %w", i, err)
		}
		if users != nil && users[i] != "" {
			r.Labeler = users[i]
		}
		out = append(out, r)
	}
	return out, nil
}

// suggested reads a model's ranking where no person made one: the flat columns ranking.suggestion, .score and .agent, or
// the nested object of the same.
func (f *argillaFields) suggested(record object) ([]Ranking, error) {
	s := object{"value": record["ranking.suggestion"], "score": record["ranking.suggestion.score"], "agent": record["ranking.suggestion.agent"]}
	if record.kind("suggestions") == "object" {
		all, err := field[object](record, "suggestions")
		if err != nil || !all.has("ranking") {
			return nil, err
		}
		if s, err = field[object](all, "ranking"); err != nil {
			return nil, err
		}
	}
	if s.kind("value") != "list" {
		return nil, nil
	}
	r := f.one()
	var err error
	if r.Ranks, err = f.ranks(s); err != nil {
		return nil, fmt.Errorf("suggestion: %w", err)
	}
	if s.kind("agent") == "string" {
		r.Labeler, _ = field[string](s, "agent")
	}
	if s.kind("score") == "number" {
		score, err := field[float64](s, "score")
		if err != nil {
			return nil, err
		}
		r.Confidence = &score
	}
	r.Flags = []string{"suggestion"}
	if r.Labeler == "" {
		return nil, errors.New(`suggestion: field "agent": found "", expected a name`)
	}
	return []Ranking{r}, nil
}

// writeArgilla writes the rankings of a task as a record of the server.
func writeArgilla(rankings []Ranking) *fields {
	r := rankings[0]
	texts := new(fields)
	if r.Messages != nil {
		texts.add("prompt", r.Messages)
	} else {
		texts.add("prompt", r.Prompt)
	}
	texts.some("system", r.System)
	var models []string
	named := false
	for i, c := range r.Completions {
		texts.add(fmt.Sprintf("response-%d", i+1), c.Text)
		models, named = append(models, c.Model), named || c.Model != ""
	}
	metadata := new(fields)
	if named {
		metadata.add("models", models)
	}
	metadata.others(r.Meta, argillaKeys...)
	var responses []*fields
	for _, r := range rankings {
		responses = append(responses, r.argillaResponse())
	}
	row := new(fields).add("fields", texts).add("metadata", metadata).add("responses", responses).add("suggestions", []int{})
	row.left = metadata.left
	return row
}

// argillaKeys are the fields of Meta that belong to a response and not to its record.
var argillaKeys = []string{"values", "question"}

func (r Ranking) argillaResponse() *fields {
	var ranking []*fields
	for _, i := range r.byRank() {
		ranking = append(ranking, new(fields).add("value", fmt.Sprintf("response-%d", i+1)).add("rank", r.Ranks[i]))
	}
	question := "ranking"
	if raw, ok := r.Meta["question"]; ok {
		json.Unmarshal(raw, &question)
	}
	values := new(fields).add(question, new(fields).add("value", ranking))
	if r.Comment != "" {
		values.add("comment", new(fields).add("value", r.Comment))
	}
	var others object
	json.Unmarshal(r.Meta["values"], &others)
	for _, name := range slices.Sorted(maps.Keys(others)) {
		values.add(name, others[name])
	}
	out := new(fields)
	if r.Labeler != Imported {
		out.add("user_id", r.Labeler)
	}
	out.add("status", "submitted").add("values", values)
	if !r.CreatedAt.IsZero() {
		out.add("inserted_at", r.CreatedAt.UTC().Format("2006-01-02T15:04:05.999999999"))
	}
	r.Meta = nil
	more := new(fields)
	if r.carried(more, "labeler", "created_at", "comment", "system"); len(more.names) > 0 {
		out.add("rlhf", more)
	}
	return out
}
