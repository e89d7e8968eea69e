package labeling

import (
	"context"
	"sync"
	"time"

	"rlhf/labeling/render"
	"rlhf/storage"
)

// timeFormat is that of encoding/json.
const timeFormat = time.RFC3339Nano

// taskJSON is a task as a labeler sees it. Nothing in it names a model.
type taskJSON struct {
	ID               string           `json:"id"`
	Kind             string           `json:"kind" enum:"training,task"`
	Project          string           `json:"project"`
	Prompt           promptJSON       `json:"prompt"`
	Completions      []completionJSON `json:"completions"`
	Form             formJSON         `json:"form"`
	GuidelineVersion int              `json:"guideline_version" doc:"0: there are no guidelines"`
	LeaseExpiresAt   time.Time        `json:"lease_expires_at"`
	Draft            *draftJSON       `json:"draft"`
	Answer           *answerJSON      `json:"answer" doc:"the one that holds"`
	Revision         int              `json:"revision" doc:"of the answer that holds; 0: there is none"`
}

type promptJSON struct {
	Text     string        `json:"text"`
	HTML     string        `json:"html"`
	System   string        `json:"system"`
	Messages []messageJSON `json:"messages" nullable:"true" doc:"the conversation, of which the text is the transcript"`
}

type messageJSON struct {
	Role string `json:"role"`
	Text string `json:"text"`
	HTML string `json:"html"`
}

type completionJSON struct {
	Slot     string        `json:"slot"`
	Text     string        `json:"text"`
	HTML     string        `json:"html"`
	Messages []messageJSON `json:"messages" nullable:"true"`
}

// formJSON says what is asked beside the ranking.
type formJSON struct {
	Rate       bool               `json:"rate" doc:"each response is rated from 1 to 7"`
	Questions  []storage.Question `json:"questions" doc:"yes or no, of each response"`
	Confidence bool               `json:"confidence"`
	MustOpen   bool               `json:"must_open" doc:"each response must be read through"`
}

// answerJSON is what a labeler made of a task.
type answerJSON struct {
	Outcome    string                    `json:"outcome" enum:"ranked,skipped"`
	Ranks      map[string]int            `json:"ranks"`
	Ratings    map[string]map[string]int `json:"ratings"`
	Confidence *int                      `json:"confidence"`
	Flags      []string                  `json:"flags"`
	Comment    string                    `json:"comment"`
	Reason     string                    `json:"reason"`
}

func newAnswerJSON(a *storage.Answer) *answerJSON {
	if a == nil {
		return nil
	}
	out := &answerJSON{"ranked", slots(a.Ranks), slots(a.Ratings), a.Confidence, append([]string{}, a.Flags...), a.Comment, a.Reason}
	if a.Reason != "" {
		out.Outcome = "skipped"
	}
	return out
}

func kindJSON(kind string) string {
	if kind == storage.KindTraining {
		return kind
	}
	return "task"
}

func (s *Server) taskJSON(w storage.Work) *taskJSON {
	out := &taskJSON{ID: w.PublicID, Kind: kindJSON(w.Kind), Project: w.Project, Prompt: s.promptJSON(w.Prompt, w.System, w.Messages), Completions: s.completionsJSON(w.Responses),
		Form:             formJSON{w.Form.Rate, append([]storage.Question{}, w.Form.Questions...), w.Form.Confidence, w.Form.MustOpen},
		GuidelineVersion: w.Guideline, LeaseExpiresAt: w.Expires.UTC(), Answer: newAnswerJSON(w.Answer)}
	if w.Draft.Version > 0 {
		d := newDraftJSON(w.Draft)
		out.Draft = &d
	}
	if w.Answer != nil {
		out.Revision = w.Answer.Revision
	}
	return out
}

func (s *Server) promptJSON(text, system string, messages []storage.Message) promptJSON {
	return promptJSON{text, s.html(text), system, s.messagesJSON(messages)}
}

func (s *Server) messagesJSON(messages []storage.Message) (out []messageJSON) {
	for _, m := range messages {
		out = append(out, messageJSON{m.Role, m.Content, s.html(m.Content)})
	}
	return out
}

func (s *Server) completionsJSON(responses []storage.Response) (out []completionJSON) {
	for i, r := range responses {
		out = append(out, completionJSON{slot(i), r.Text, s.html(r.Text), s.messagesJSON(r.Messages)})
	}
	return out
}

// standingJSON is how far a labeler has come.
type standingJSON struct {
	Done          int     `json:"done" doc:"tasks ranked or skipped"`
	Remaining     int     `json:"remaining" doc:"tasks still open to the labeler"`
	Today         int     `json:"today"`
	TodayActiveMS int64   `json:"today_active_ms"`
	PaceMS        *int64  `json:"pace_ms" doc:"median active time of the last 20 rankings"`
	TrainingLeft  int     `json:"training_left"`
	Paused        *string `json:"paused" doc:"why nothing is given out: gold, too many wrong answers to tasks whose answer is known"`
}

func newStandingJSON(st storage.Standing) standingJSON {
	out := standingJSON{Done: st.Done, Remaining: st.Remaining, Today: st.Today, TodayActiveMS: st.TodayActiveMS, TrainingLeft: st.TrainingLeft}
	if st.Done > 0 {
		out.PaceMS = &st.PaceMS
	}
	if st.Paused != "" {
		out.Paused = &st.Paused
	}
	return out
}

func (s *Server) standing(ctx context.Context, _ *struct{}) (*body[standingJSON], error) {
	st, err := s.store.Standing(ctx, me(ctx).ID)
	if err != nil {
		return nil, err
	}
	return answer(newStandingJSON(st))
}

type guidelinesIn struct {
	Project string `query:"project" maxLength:"200" doc:"name; the first open project without it"`
}

type guidelinesJSON struct {
	Project  string        `json:"project"`
	Version  int           `json:"version" doc:"0: there are none"`
	Text     string        `json:"text"`
	HTML     string        `json:"html"`
	Examples []exampleJSON `json:"examples"`
}

type exampleJSON struct {
	Prompt      promptJSON          `json:"prompt"`
	Completions []rankedExampleJSON `json:"completions"`
	NoteHTML    string              `json:"note_html"`
}

type rankedExampleJSON struct {
	Slot     string        `json:"slot"`
	Text     string        `json:"text"`
	HTML     string        `json:"html"`
	Messages []messageJSON `json:"messages" nullable:"true"`
	Rank     int           `json:"rank"`
}

func (s *Server) guidelines(ctx context.Context, in *guidelinesIn) (*body[guidelinesJSON], error) {
	g, err := s.store.Instructions(ctx, in.Project)
	if err != nil {
		return nil, err
	}
	out := guidelinesJSON{g.Project, g.Guideline.Version, g.Guideline.Text, s.html(g.Guideline.Text), []exampleJSON{}}
	for _, e := range g.Examples {
		x := exampleJSON{Prompt: s.promptJSON(e.Prompt, e.System, e.Messages), NoteHTML: s.html(e.Note)}
		for i, c := range s.completionsJSON(e.Responses) {
			x.Completions = append(x.Completions, rankedExampleJSON{c.Slot, c.Text, c.HTML, c.Messages, e.Ranks[i]})
		}
		out.Examples = append(out.Examples, x)
	}
	return answer(out)
}

// html returns markdown as safe HTML. Each text is asked for by several labelers: the latest are kept.
func (s *Server) html(markdown string) string { return s.rendered.get(markdown) }

// maxRendered is how many bytes of texts and their HTML are kept, twice.
const maxRendered = 8 << 20

// renderings keeps the HTML of texts: those asked for since the last sweep, and those of before it.
type renderings struct {
	mu          sync.Mutex
	young, aged map[string]string
	bytes       int // of young
}

func (r *renderings) get(markdown string) string {
	r.mu.Lock()
	html, ok := r.young[markdown]
	if !ok {
		html, ok = r.aged[markdown]
	}
	r.mu.Unlock()
	if ok {
		return html
	}
	html = render.HTML(markdown)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes > maxRendered {
		r.young, r.aged, r.bytes = nil, r.young, 0
	}
	if r.young == nil {
		r.young = map[string]string{}
	}
	r.young[markdown] = html
	r.bytes += len(markdown) + len(html)
	return html
}
