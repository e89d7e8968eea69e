package labeling

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/internal/rng"
	"rlhf/internal/stats"
	"rlhf/storage"
)

// reviewStore is what reviewing needs of a database.
type reviewStore interface {
	Projects(ctx context.Context) ([]storage.Project, error)
	Review(ctx context.Context, task int64) (storage.Review, error)
	ReviewLines(ctx context.Context, tasks []int64) ([]storage.ReviewLine, error)
	Decide(ctx context.Context, task, reviewer int64, ranks []int, note string) error
}

// reviewAPI registers what reviewers do. They see slot letters and pseudonyms, neither models nor names.
func (s *Server) reviewAPI(api huma.API) {
	tag := []string{"review"}
	handle(s, api, reviewers, huma.Operation{OperationID: "review-projects", Method: http.MethodGet, Path: "/api/review/projects", Summary: "The projects", Tags: tag}, s.reviewProjects)
	handle(s, api, reviewers, huma.Operation{OperationID: "disputes", Method: http.MethodGet, Path: "/api/review/projects/{id}", Summary: "The tasks that labelers disagree on, most disputed first", Tags: tag}, s.disputes)
	handle(s, api, reviewers, huma.Operation{OperationID: "review", Method: http.MethodGet, Path: "/api/review/tasks/{id}", Summary: "A task with its rankings side by side", Tags: tag}, s.review)
	handle(s, api, reviewers, huma.Operation{OperationID: "decide", Method: http.MethodPost, Path: "/api/review/tasks/{id}/decision", DefaultStatus: http.StatusCreated,
		Summary: "Store one's own ranking beside those of the labelers", Tags: tag}, s.decide)
}

type reviewProjectsJSON struct {
	Projects []reviewProjectJSON `json:"projects"`
}

type reviewProjectJSON struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (s *Server) reviewProjects(ctx context.Context, _ *struct{}) (*body[reviewProjectsJSON], error) {
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return nil, err
	}
	out := reviewProjectsJSON{[]reviewProjectJSON{}}
	for _, p := range projects {
		out.Projects = append(out.Projects, reviewProjectJSON{p.ID, p.Name})
	}
	return answer(out)
}

type disputesIn struct {
	ID    int64 `path:"id" minimum:"1"`
	Skip  int   `query:"skip" minimum:"0" default:"0" doc:"of the most disputed ones"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

type disputesJSON struct {
	Tasks []disputeJSON `json:"tasks"`
	Total int           `json:"total" doc:"tasks that two labelers or more ranked"`
}

type disputeJSON struct {
	ID           int64   `json:"id"`
	Prompt       string  `json:"prompt" doc:"its beginning"`
	Rankings     int     `json:"rankings"`
	Disagreement float64 `json:"disagreement" doc:"share of the pairs of responses, over all pairs of labelers, on which they do not say the same; a tie against a preference is one half"`
	Decided      bool    `json:"decided"`
}

func (s *Server) disputes(ctx context.Context, in *disputesIn) (*body[disputesJSON], error) {
	c, err := s.computed.of(ctx, s.store, in.ID)
	if err != nil {
		return nil, err
	}
	out := disputesJSON{[]disputeJSON{}, len(c.disputes)}
	from := min(in.Skip, len(c.disputes))
	page := c.disputes[from:min(from+in.Limit, len(c.disputes))]
	at := map[int64]int{}
	ids := make([]int64, len(page))
	for i, d := range page {
		ids[i], at[d.Task] = d.Task, i
	}
	lines, err := s.store.ReviewLines(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		d := page[at[l.ID]]
		out.Tasks = append(out.Tasks, disputeJSON{l.ID, beginning(l.Prompt), d.Rankings, d.Disagreement, l.Decided})
	}
	return answer(out)
}

// beginning returns the first characters of a text for a list.
func beginning(text string) string {
	if len(text) <= recentPrompt {
		return text
	}
	r := []rune(text)
	return string(r[:min(len(r), recentPrompt)])
}

type reviewIn struct {
	ID int64 `path:"id" minimum:"1"`
}

type reviewJSON struct {
	ID          int64               `json:"id"`
	Prompt      promptJSON          `json:"prompt"`
	Completions []completionJSON    `json:"completions"`
	Rankings    []reviewRankingJSON `json:"rankings"`
	Consensus   []int               `json:"consensus" doc:"ranks by ranked pairs over the rankings; empty without any"`
	Decision    *decisionJSON       `json:"decision"`
	Notes       []decisionJSON      `json:"notes" doc:"decisions that this one replaced, latest first"`
}

// reviewRankingJSON is a labeler's ranking; ranks, here and below, are in the order of the completions.
type reviewRankingJSON struct {
	Labeler    string   `json:"labeler" doc:"pseudonym"`
	Ranks      []int    `json:"ranks"`
	Comment    string   `json:"comment"`
	ActiveMS   int64    `json:"active_ms"`
	Confidence *float64 `json:"confidence"`
	Flags      []string `json:"flags"`
	Choice     bool     `json:"choice" doc:"the best was chosen, the rest not compared"`
	Extra      bool     `json:"extra"`
}

type decisionJSON struct {
	Ranks    []int  `json:"ranks"`
	Note     string `json:"note"`
	Reviewer string `json:"reviewer" doc:"pseudonym"`
	At       string `json:"at" format:"date-time"`
}

func (s *Server) review(ctx context.Context, in *reviewIn) (*body[reviewJSON], error) {
	r, err := s.store.Review(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(s.reviewJSON(r))
}

// reviewOrder returns the order in which every reviewer sees the completions of a task.
func (s *Server) reviewOrder(task int64, k int) []int {
	return rng.New(s.c.Seed, "labeling/review", uint64(task)).Perm(k)
}

func (s *Server) reviewJSON(r storage.Review) reviewJSON {
	t := r.Task
	order := s.reviewOrder(r.ID, len(t.Completions))
	shown := func(ranks []int) []int {
		out := make([]int, len(order))
		for i, k := range order {
			out[i] = ranks[k]
		}
		return out
	}
	decided := func(d storage.Decision) decisionJSON {
		return decisionJSON{shown(d.Ranks), d.Note, d.Reviewer, d.CreatedAt.Format(timeFormat)}
	}
	out := reviewJSON{ID: r.ID, Prompt: s.promptJSON(t.Prompt, t.System, t.Messages), Rankings: []reviewRankingJSON{}, Consensus: []int{}, Notes: []decisionJSON{}}
	for i, k := range order {
		c := t.Completions[k]
		out.Completions = append(out.Completions, completionJSON{slot(i), c.Text, s.html(c.Text), s.messagesJSON(c.Messages)})
	}
	var ballots [][]int
	for _, x := range r.Rankings {
		ranks := shown(x.Ranks)
		out.Rankings = append(out.Rankings, reviewRankingJSON{x.Labeler, ranks, x.Comment, x.ActiveMS, x.Confidence, append([]string{}, x.Flags...), x.Choice, x.Extra})
		ballots = append(ballots, ranks)
	}
	if len(ballots) > 0 {
		out.Consensus = stats.RankedPairs(stats.Prefer(ballots)).Ranks
	}
	if r.Decision != nil {
		d := decided(*r.Decision)
		out.Decision = &d
	}
	for _, d := range r.Earlier {
		out.Notes = append(out.Notes, decided(d))
	}
	return out
}

type decideIn struct {
	ID   int64 `path:"id" minimum:"1"`
	Body struct {
		Ranks []int  `json:"ranks" maxItems:"9" doc:"of the completions in the order given; 1 is best, equal ranks are a tie"`
		Note  string `json:"note,omitempty" maxLength:"20000"`
	}
}

func (s *Server) decide(ctx context.Context, in *decideIn) (*body[decisionJSON], error) {
	r, err := s.store.Review(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	order := s.reviewOrder(in.ID, len(r.Task.Completions))
	if len(in.Body.Ranks) != len(order) {
		return nil, fmt.Errorf("%w: %d ranks for %d completions", storage.ErrRanks, len(in.Body.Ranks), len(order))
	}
	ranks := make([]int, len(order))
	for i, k := range order {
		ranks[k] = in.Body.Ranks[i]
	}
	l := me(ctx)
	if err := s.store.Decide(ctx, in.ID, l.ID, ranks, in.Body.Note); err != nil {
		return nil, err
	}
	return answer(decisionJSON{in.Body.Ranks, in.Body.Note, l.Pseudonym, time.Now().UTC().Format(timeFormat)})
}
