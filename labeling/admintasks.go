package labeling

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/labeling/render"
	"rlhf/storage"
)

// adminTasksAPI registers what an admin does with tasks.
func (s *Server) adminTasksAPI(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/admin/" + path, Summary: summary, Tags: []string{"tasks"}}
	}
	handle(s, api, admins, op("admin-tasks", http.MethodGet, "projects/{id}/tasks", "A project's tasks, by id"), s.adminTasks)
	handle(s, api, admins, op("admin-task", http.MethodGet, "tasks/{id}", "A task with its models and the researcher's own answer"), s.adminTask)
	handle(s, api, admins, op("set-task", http.MethodPatch, "tasks/{id}", "Change a task, or give it the researcher's own answer"), s.setTask)
	handle(s, api, admins, op("calibrate", http.MethodPost, "projects/{id}/calibrate", "Make a share of the tasks that nobody has had calibration tasks, which everybody ranks"), s.calibrate)
}

type adminTasksIn struct {
	ID    int64  `path:"id" minimum:"1"`
	After int64  `query:"after" minimum:"0" doc:"the answer's next before"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Kind  string `query:"kind" enum:"normal,calibration,gold,honeypot,training,example,repeat"`
	State string `query:"state" enum:"open,done,withdrawn"`
}

type adminTaskRowJSON struct {
	ID         int64  `json:"id"`
	Kind       string `json:"kind"`
	Overlap    int    `json:"overlap" doc:"rankings wanted; 0: one of everybody"`
	Done       int    `json:"done"`
	Priority   int    `json:"priority"`
	AssignedTo string `json:"assigned_to" doc:"the only labeler who gets it; empty: anyone"`
	Withdrawn  bool   `json:"withdrawn"`
	K          int    `json:"k"`
	Prompt     string `json:"prompt" doc:"its first 200 characters"`
	Reference  bool   `json:"reference" doc:"the researcher has answered it"`
	Leaks      int    `json:"leaks" doc:"places in which a completion names a model"`
}

type adminTasksJSON struct {
	Tasks []adminTaskRowJSON `json:"tasks" nullable:"false"`
	Next  int64              `json:"next" doc:"0: no more follow"`
}

func (s *Server) adminTasks(ctx context.Context, in *adminTasksIn) (*body[adminTasksJSON], error) {
	if _, err := s.store.Project(ctx, in.ID); err != nil {
		return nil, err
	}
	list, next, err := s.store.Tasks(ctx, storage.TaskFilter{Project: in.ID, Kind: in.Kind, State: in.State, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	out := adminTasksJSON{[]adminTaskRowJSON{}, next}
	for _, t := range list {
		row := adminTaskRowJSON{t.ID, t.Kind, t.Overlap, t.Done, t.Priority, t.AssignedTo, t.Withdrawn, len(t.Completions), shortened(t.Prompt, 200), t.Reference != nil, 0}
		for _, c := range t.Completions {
			row.Leaks += len(render.Leaks(c.Text))
		}
		out.Tasks = append(out.Tasks, row)
	}
	return answer(out)
}

type adminTaskJSON struct {
	ID          int64                 `json:"id"`
	Project     int64                 `json:"project"`
	Kind        string                `json:"kind"`
	Overlap     int                   `json:"overlap" doc:"rankings wanted; 0: one of everybody"`
	Done        int                   `json:"done"`
	Priority    int                   `json:"priority"`
	AssignedTo  string                `json:"assigned_to"`
	Withdrawn   bool                  `json:"withdrawn"`
	Prompt      promptJSON            `json:"prompt"`
	Completions []adminCompletionJSON `json:"completions" nullable:"false"`
	Reference   *referenceJSON        `json:"reference"`
}

type adminCompletionJSON struct {
	ID       int64         `json:"id"`
	Model    string        `json:"model"`
	Text     string        `json:"text"`
	HTML     string        `json:"html"`
	Messages []messageJSON `json:"messages" nullable:"true"`
	Leaks    []leakJSON    `json:"leaks" nullable:"false"`
}

type leakJSON struct {
	Words string `json:"words"`
	From  int    `json:"from" doc:"in UTF-16 units of the text"`
	To    int    `json:"to"`
}

type referenceJSON struct {
	Ranks     []int     `json:"ranks" nullable:"false" doc:"of the completions in their order"`
	Note      string    `json:"note"`
	Author    string    `json:"author" doc:"empty: from the command line"`
	CreatedAt time.Time `json:"created_at"`
}

// adminTaskIn names a task; there is no body.
type adminTaskIn struct {
	ID int64 `path:"id" minimum:"1"`
}

func (s *Server) adminTask(ctx context.Context, in *adminTaskIn) (*body[adminTaskJSON], error) {
	t, err := s.store.TaskByID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := adminTaskJSON{ID: t.ID, Project: t.Project, Kind: t.Kind, Overlap: t.Overlap, Done: t.Done, Priority: t.Priority, AssignedTo: t.AssignedTo, Withdrawn: t.Withdrawn,
		Prompt: s.promptJSON(t.Prompt, t.System, t.Messages)}
	for _, c := range t.Completions {
		j := adminCompletionJSON{c.ID, c.Model, c.Text, s.html(c.Text), s.messagesJSON(c.Messages), []leakJSON{}}
		for _, l := range render.Leaks(c.Text) {
			j.Leaks = append(j.Leaks, leakJSON(l))
		}
		out.Completions = append(out.Completions, j)
	}
	if r := t.Reference; r != nil {
		out.Reference = &referenceJSON{r.Ranks, r.Note, r.Author, r.CreatedAt}
	}
	return answer(out)
}

type setTaskIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Kind       *string                 `json:"kind,omitempty" enum:"normal,calibration,gold,honeypot,training,example,repeat"`
		Overlap    *int                    `json:"overlap,omitempty" minimum:"0" maximum:"1000" doc:"0: one of everybody"`
		Priority   *int                    `json:"priority,omitempty" minimum:"-1000000" maximum:"1000000"`
		AssignedTo *string                 `json:"assigned_to,omitempty" maxLength:"200" doc:"a name; empty: anyone"`
		Withdrawn  *bool                   `json:"withdrawn,omitempty"`
		Reference  clearable[setReference] `json:"reference,omitempty" doc:"null takes it away"`
	}
}

// clearable is a field of which null, which is its zero value, means something else than nothing sent.
type clearable[T any] struct {
	sent  bool
	value T
}

// UnmarshalJSON reads null or a value.
func (c *clearable[T]) UnmarshalJSON(raw []byte) error {
	c.sent = true
	return json.Unmarshal(raw, &c.value) // which null leaves as it is
}

// Schema describes a value or null.
func (clearable[T]) Schema(r huma.Registry) *huma.Schema {
	s := &huma.Schema{AnyOf: []*huma.Schema{r.Schema(reflect.TypeFor[T](), true, ""), {Enum: []any{nil}}}}
	s.PrecomputeMessages()
	return s
}

type setReference struct {
	Ranks []int  `json:"ranks" nullable:"false" minItems:"2" maxItems:"9" doc:"of the completions in their order"`
	Note  string `json:"note,omitempty" maxLength:"20000"`
}

func (s *Server) setTask(ctx context.Context, in *setTaskIn) (*body[adminTaskJSON], error) {
	c := storage.TaskChange{Kind: in.Body.Kind, Overlap: in.Body.Overlap, Priority: in.Body.Priority, AssignedTo: in.Body.AssignedTo, Withdrawn: in.Body.Withdrawn}
	if r := in.Body.Reference; r.sent {
		c.Reference = &storage.Reference{Ranks: r.value.Ranks, Note: strings.TrimSpace(r.value.Note)}
	}
	if err := s.store.SetTask(ctx, in.ID, c); err != nil {
		return nil, err
	}
	return s.adminTask(ctx, &adminTaskIn{in.ID})
}

type calibrateIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Share float64 `json:"share" minimum:"0.001" maximum:"0.5"`
		Seed  uint64  `json:"seed,omitempty" maximum:"9007199254740991"`
	}
}

type calibratedJSON struct {
	Tasks int `json:"tasks" doc:"that are for calibration now"`
}

func (s *Server) calibrate(ctx context.Context, in *calibrateIn) (*body[calibratedJSON], error) {
	n, err := s.store.Calibrate(ctx, in.ID, in.Body.Share, in.Body.Seed)
	if err != nil {
		return nil, err
	}
	return answer(calibratedJSON{n})
}
