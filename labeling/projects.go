package labeling

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/labeling/exchange"
	"rlhf/labeling/render"
	"rlhf/storage"
)

// dataStore is what projects, their tasks and their data need of a database.
type dataStore interface {
	exchange.Database
	Projects(ctx context.Context) ([]storage.Project, error)
	Project(ctx context.Context, id int64) (storage.Project, error)
	ProjectCounts(ctx context.Context, id int64) (storage.ProjectCounts, error)
	CreateProject(ctx context.Context, p storage.Project) (storage.Project, error)
	SetProject(ctx context.Context, p storage.Project) error
	AddGuideline(ctx context.Context, project int64, text string) (storage.Guideline, error)
	Guidelines(ctx context.Context, project int64) ([]storage.Guideline, error)
	Tasks(ctx context.Context, f storage.TaskFilter) ([]storage.TaskInfo, int64, error)
	TaskByID(ctx context.Context, id int64) (storage.TaskInfo, error)
	SetTask(ctx context.Context, id int64, c storage.TaskChange) error
	Calibrate(ctx context.Context, project int64, share float64, seed uint64) (int, error)
	Resume(ctx context.Context, project, labeler int64) error
}

// projectsAPI registers what an admin does with projects and their guidelines.
func (s *Server) projectsAPI(api huma.API) {
	op := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/admin/" + path, Summary: summary, DefaultStatus: status, Tags: []string{"projects"}}
	}
	handle(s, api, admins, op("projects", http.MethodGet, "projects", "All projects, and how far they have come", 200), s.projects)
	handle(s, api, admins, op("add-project", http.MethodPost, "projects", "Create a project", 201), s.addProject)
	handle(s, api, admins, op("project", http.MethodGet, "projects/{id}", "A project", 200), s.project)
	handle(s, api, admins, op("set-project", http.MethodPut, "projects/{id}", "Change a project; tasks that are there keep their overlap", 200), s.setProject)
	handle(s, api, admins, op("guideline-versions", http.MethodGet, "projects/{id}/guidelines", "All versions of a project's guidelines, the one in force first", 200), s.guidelineVersions)
	guide := op("add-guideline", http.MethodPost, "projects/{id}/guidelines", "Add a version of the guidelines, which is in force from then on", 201)
	guide.MaxBodyBytes = 2 * maxBody
	handle(s, api, admins, guide, s.addGuideline)
	handle(s, api, admins, op("preview", http.MethodPost, "preview", "Markdown as labelers see it", 200), s.preview)
	handle(s, api, admins, op("resume", http.MethodPost, "projects/{id}/people/{person}/resume", "Give somebody tasks again who was paused for their answers to gold tasks", 204), s.resume)
}

// SettingsJSON are a project's settings in the API.
type SettingsJSON struct {
	Overlap          int                `json:"overlap" minimum:"1" maximum:"1000" doc:"rankings wanted of each new task"`
	K                int                `json:"k" minimum:"0" maximum:"9" doc:"completions of each new task; 0: all that come"`
	Rate             bool               `json:"rate" doc:"each response is rated from 1 to 7"`
	Questions        []storage.Question `json:"questions" nullable:"false" maxItems:"20" doc:"yes or no, of each response"`
	Confidence       bool               `json:"confidence"`
	MustOpen         bool               `json:"must_open" doc:"each response must be read through"`
	CalibrationShare float64            `json:"calibration_share" minimum:"0" maximum:"0.5" doc:"of a labeler's tasks"`
	GoldShare        float64            `json:"gold_share" minimum:"0" maximum:"0.5"`
	RepeatShare      float64            `json:"repeat_share" minimum:"0" maximum:"0.5"`
	GoldThreshold    float64            `json:"gold_threshold" minimum:"0" maximum:"1" doc:"least share of right pairs; 0: nobody is paused"`
	GoldWindow       int                `json:"gold_window" minimum:"1" maximum:"1000" doc:"over this many latest gold tasks"`
}

type projectJSON struct {
	ID          int64        `json:"id"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Open        bool         `json:"open" doc:"its tasks are given out"`
	Settings    SettingsJSON `json:"settings"`
	Tasks       int          `json:"tasks"`
	DoneTasks   int          `json:"done_tasks"`
	Rankings    int          `json:"rankings"`
	Needed      int          `json:"needed" doc:"rankings; tasks for everybody count none"`
	Guideline   int          `json:"guideline_version" doc:"0: there are no guidelines"`
}

func (s *Server) projectJSON(ctx context.Context, p storage.Project) (out projectJSON, err error) {
	n, err := s.store.ProjectCounts(ctx, p.ID)
	if p.Settings.Questions == nil {
		p.Settings.Questions = []storage.Question{}
	}
	return projectJSON{p.ID, p.Name, p.Description, p.Open, SettingsJSON(p.Settings), n.Tasks, n.DoneTasks, n.Rankings, n.Needed, n.Guideline}, err
}

type projectsJSON struct {
	Projects []projectJSON `json:"projects" nullable:"false"`
}

func (s *Server) projects(ctx context.Context, _ *struct{}) (*body[projectsJSON], error) {
	list, err := s.store.Projects(ctx)
	if err != nil {
		return nil, err
	}
	out := projectsJSON{Projects: []projectJSON{}}
	for _, p := range list {
		j, err := s.projectJSON(ctx, p)
		if err != nil {
			return nil, err
		}
		out.Projects = append(out.Projects, j)
	}
	return answer(out)
}

type addProjectIn struct {
	Body struct {
		Name        string        `json:"name" minLength:"1" maxLength:"200"`
		Description string        `json:"description,omitempty" maxLength:"20000"`
		Settings    *SettingsJSON `json:"settings,omitempty"`
	}
}

func (s *Server) addProject(ctx context.Context, in *addProjectIn) (*body[projectJSON], error) {
	p := storage.Project{Name: in.Body.Name, Description: in.Body.Description, Open: true, Settings: storage.DefaultSettings()}
	if in.Body.Settings != nil {
		p.Settings = storage.Settings(*in.Body.Settings)
	}
	p, err := s.store.CreateProject(ctx, p)
	if err != nil {
		return nil, err
	}
	out, err := s.projectJSON(ctx, p)
	if err != nil {
		return nil, err
	}
	return answer(out)
}

func (s *Server) project(ctx context.Context, in *projectIn) (*body[projectJSON], error) {
	p, err := s.store.Project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out, err := s.projectJSON(ctx, p)
	if err != nil {
		return nil, err
	}
	return answer(out)
}

type setProjectIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Name        string       `json:"name" minLength:"1" maxLength:"200"`
		Description string       `json:"description" maxLength:"20000"`
		Open        bool         `json:"open"`
		Settings    SettingsJSON `json:"settings"`
	}
}

func (s *Server) setProject(ctx context.Context, in *setProjectIn) (*body[projectJSON], error) {
	err := s.store.SetProject(ctx, storage.Project{ID: in.ID, Name: in.Body.Name, Description: in.Body.Description, Open: in.Body.Open, Settings: storage.Settings(in.Body.Settings)})
	if err != nil {
		return nil, err
	}
	return s.project(ctx, &projectIn{in.ID})
}

type guidelineVersionJSON struct {
	Version   int       `json:"version"`
	Text      string    `json:"text"`
	HTML      string    `json:"html"`
	Author    string    `json:"author" doc:"empty: from the command line"`
	CreatedAt time.Time `json:"created_at"`
}

type guidelineVersionsJSON struct {
	Guidelines []guidelineVersionJSON `json:"guidelines" nullable:"false"`
}

func (s *Server) guidelineVersions(ctx context.Context, in *projectIn) (*body[guidelineVersionsJSON], error) {
	if _, err := s.store.Project(ctx, in.ID); err != nil {
		return nil, err
	}
	list, err := s.store.Guidelines(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := guidelineVersionsJSON{Guidelines: []guidelineVersionJSON{}}
	for _, g := range list {
		out.Guidelines = append(out.Guidelines, guidelineVersionJSON{g.Version, g.Text, s.html(g.Text), g.Author, g.CreatedAt})
	}
	return answer(out)
}

type addGuidelineIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Text string `json:"text" minLength:"1" doc:"markdown"`
	}
}

type addedGuidelineJSON struct {
	Version int `json:"version"`
}

func (s *Server) addGuideline(ctx context.Context, in *addGuidelineIn) (*body[addedGuidelineJSON], error) {
	g, err := s.store.AddGuideline(ctx, in.ID, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return answer(addedGuidelineJSON{g.Version})
}

type previewIn struct {
	Body struct {
		Text string `json:"text"`
	}
}

type previewJSON struct {
	HTML string `json:"html"`
}

func (s *Server) preview(_ context.Context, in *previewIn) (*body[previewJSON], error) {
	return answer(previewJSON{render.HTML(in.Body.Text)})
}

type resumeIn struct {
	ID     int64 `path:"id" minimum:"1"`
	Person int64 `path:"person" minimum:"1"`
}

func (s *Server) resume(ctx context.Context, in *resumeIn) (*struct{}, error) {
	return nil, s.store.Resume(ctx, in.ID, in.Person)
}

// dataRefusal returns what the API says to the errors of projects and their data.
func dataRefusal(err error) (r refusal, ok bool) {
	var invalid *storage.Invalid
	var file *exchange.BadFile
	var stopped *exchange.Interrupted
	switch {
	case errors.As(err, &invalid):
		return refusal{http.StatusUnprocessableEntity, "value", err.Error(), invalid.Field}, true
	case errors.As(err, &file):
		return refusal{http.StatusUnprocessableEntity, "file", shortened(err.Error(), 400), ""}, true
	case errors.As(err, &stopped):
		return refusal{http.StatusServiceUnavailable, "interrupted", fmt.Sprintf("%d of %d records are in the database. Send the file once more, and the import goes on from there.", stopped.Kept, stopped.Records), ""}, true
	case errors.Is(err, storage.ErrImported):
		return refusal{http.StatusConflict, "imported", "These rankings were imported before.", ""}, true
	case errors.Is(err, storage.ErrRanked):
		return refusal{http.StatusConflict, "ranked", "The task has been ranked: it cannot become training or an example, or stop being it.", "kind"}, true
	}
	return refusal{}, false
}

// shortened is the beginning of a text, of at most n characters.
func shortened(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
