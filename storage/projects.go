package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// DefaultProject is the project that every database has.
const DefaultProject int64 = 1

// Kinds of tasks. Labelers cannot tell them apart, but for training ones.
const (
	KindNormal      = "normal"
	KindCalibration = "calibration" // ranked by everybody, and by the researcher
	KindGold        = "gold"        // has a right answer, by which labelers are measured
	KindHoneypot    = "honeypot"    // has an answer that nobody who reads gets wrong
	KindTraining    = "training"    // comes before the first real one, with feedback
	KindExample     = "example"     // stands beside the guidelines, and is given to nobody
	KindRepeat      = "repeat"      // a task once more, for whoever ranked it
)

// Project is a body of tasks with settings, guidelines and questions of its own.
type Project struct {
	ID          int64
	Name        string
	Description string
	Open        bool // its tasks are given out
	CreatedAt   time.Time
	Settings    Settings
}

// Settings are what the admin of a project chooses.
type Settings struct {
	Overlap          int        `json:"overlap"`           // rankings wanted of each new task
	K                int        `json:"k"`                 // completions of each new task; 0: all that come
	Rate             bool       `json:"rate"`              // each response is rated 1 to 7 before the ranking, as InstructGPT's labelers did
	Questions        []Question `json:"questions"`         // yes or no, asked of each response
	Confidence       bool       `json:"confidence"`        // asked with each ranking
	MustOpen         bool       `json:"must_open"`         // each response must have been read through
	CalibrationShare float64    `json:"calibration_share"` // of a labeler's tasks, 0 to 0.5
	GoldShare        float64    `json:"gold_share"`        // gold tasks and honeypots
	RepeatShare      float64    `json:"repeat_share"`
	GoldThreshold    float64    `json:"gold_threshold"` // least share of right pairs over the window; below it a labeler is paused; 0: nobody is
	GoldWindow       int        `json:"gold_window"`    // latest gold tasks and honeypots
}

// Question is asked of each response; the answer is yes or no.
type Question struct {
	Key  string            `json:"key"`
	Text map[string]string `json:"text"` // by language: en, zh
}

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Reference is the researcher's own answer to a task.
type Reference struct {
	Ranks     []int  // (K) of the task's completions in their order
	Note      string // why, in markdown
	Author    string // name; "" from the command line
	CreatedAt time.Time
}

// Guideline is one version of a project's instructions.
type Guideline struct {
	ID        int64
	Version   int // 1 is the first
	Text      string
	Author    string // name; "" from the command line
	CreatedAt time.Time
}

// messagesText is the column form of messages; nil is NULL.
func messagesText(messages []Message) (any, error) {
	if messages == nil {
		return nil, nil
	}
	raw, err := json.Marshal(messages)
	return string(raw), err
}

// DefaultSettings are those of a new project.
func DefaultSettings() Settings {
	return Settings{Overlap: 1, MustOpen: true, GoldWindow: 10, Questions: []Question{}}
}

// Invalid is the error of a value that cannot be stored, with the field that it stands in.
type Invalid struct {
	Field string // as in JSON, such as "settings.overlap"
	What  string // what was found and expected
}

func (e *Invalid) Error() string { return e.Field + ": " + e.What }

var questionKey = regexp.MustCompile(`^[a-z][a-z0-9_]{0,59}$`)

// Validate returns an *Invalid that names the first setting without a usable value.
func (s Settings) Validate() error {
	bad := func(field, format string, args ...any) error {
		return &Invalid{"settings." + field, fmt.Sprintf(format, args...)}
	}
	if s.Overlap < 1 || s.Overlap > 1000 {
		return bad("overlap", "must be from 1 to 1000 (got %d)", s.Overlap)
	}
	if s.K != 0 && (s.K < MinK || s.K > MaxK) {
		return bad("k", "must be 0 for all that come, or from %d to %d (got %d)", MinK, MaxK, s.K)
	}
	for _, share := range []struct {
		name  string
		value float64
	}{{"calibration_share", s.CalibrationShare}, {"gold_share", s.GoldShare}, {"repeat_share", s.RepeatShare}} {
		if !(share.value >= 0 && share.value <= 0.5) {
			return bad(share.name, "must be from 0 to 0.5 (got %v)", share.value)
		}
	}
	if sum := s.CalibrationShare + s.GoldShare + s.RepeatShare; sum > 0.9 {
		return bad("calibration_share", "the three shares together must leave a tenth for other tasks (got %v)", sum)
	}
	if !(s.GoldThreshold >= 0 && s.GoldThreshold <= 1) {
		return bad("gold_threshold", "must be from 0 to 1 (got %v)", s.GoldThreshold)
	}
	if s.GoldWindow < 1 || s.GoldWindow > 1000 {
		return bad("gold_window", "must be from 1 to 1000 (got %d)", s.GoldWindow)
	}
	seen := map[string]bool{"overall": true}
	for i, q := range s.Questions {
		field := fmt.Sprintf("questions[%d]", i)
		switch {
		case len(s.Questions) > 20:
			return bad("questions", "found %d, expected at most 20", len(s.Questions))
		case !questionKey.MatchString(q.Key):
			return bad(field+".key", "found %q, expected letters a to z, digits and _, at most 60", q.Key)
		case seen[q.Key]:
			return bad(field+".key", "%q is taken", q.Key)
		case strings.TrimSpace(q.Text["en"]) == "" && strings.TrimSpace(q.Text["zh"]) == "":
			return bad(field+".text", "found none, expected the question in English (en) or Chinese (zh)")
		}
		for language, text := range q.Text {
			if language != "en" && language != "zh" || len(text) > 2000 {
				return bad(field+".text", "found %q of %d bytes, expected en and zh of at most 2000", language, len(text))
			}
		}
		seen[q.Key] = true
	}
	return nil
}

func (p Project) validate() error {
	if n := len([]rune(p.Name)); n < 1 || n > 200 || strings.TrimSpace(p.Name) != p.Name {
		return &Invalid{"name", fmt.Sprintf("must be 1 to 200 characters without spaces around them (got %d)", n)}
	}
	if len(p.Description) > 20_000 {
		return &Invalid{"description", fmt.Sprintf("must be at most 20000 bytes (got %d)", len(p.Description))}
	}
	return p.Settings.Validate()
}

// projectColumns are those of a project's settings, in one order.
const projectColumns = `name, description, open, overlap, k, rate, questions, confidence, must_open, calibration_share, gold_share, repeat_share, gold_threshold, gold_window`

func (p Project) values() ([]any, error) {
	s := p.Settings
	if s.Questions == nil {
		s.Questions = []Question{}
	}
	questions, err := plainJSON(s.Questions)
	return []any{p.Name, p.Description, p.Open, s.Overlap, s.K, s.Rate, string(questions), s.Confidence, s.MustOpen, s.CalibrationShare, s.GoldShare, s.RepeatShare, s.GoldThreshold, s.GoldWindow}, err
}

// detail is what the audit log says of a project.
func (p Project) detail() map[string]any {
	return map[string]any{"name": p.Name, "description": p.Description, "open": p.Open, "settings": p.Settings}
}

func scanProject(row interface{ Scan(...any) error }) (p Project, err error) {
	var created int64
	var questions string
	s := &p.Settings
	err = row.Scan(&p.ID, &created, &p.Name, &p.Description, &p.Open, &s.Overlap, &s.K, &s.Rate, &questions, &s.Confidence, &s.MustOpen, &s.CalibrationShare, &s.GoldShare, &s.RepeatShare, &s.GoldThreshold, &s.GoldWindow)
	if err != nil {
		return p, err
	}
	p.CreatedAt = time.UnixMilli(created).UTC()
	return p, json.Unmarshal([]byte(questions), &s.Questions)
}

const projectQuery = `SELECT id, created_at, ` + projectColumns + ` FROM projects`

// CreateProject adds a project, without an id in p. It returns an *Invalid for what cannot be, and ErrExists if the name is taken.
func (db *DB) CreateProject(ctx context.Context, p Project) (Project, error) {
	if err := p.validate(); err != nil {
		return p, err
	}
	err := db.write(ctx, func(tx *sql.Tx) error {
		values, err := p.values()
		if err != nil {
			return err
		}
		at := db.millis()
		p.CreatedAt = time.UnixMilli(at).UTC()
		r, err := tx.ExecContext(ctx, `INSERT INTO projects (created_at, `+projectColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append([]any{at}, values...)...)
		if isUnique(err) {
			return fmt.Errorf("project %q: %w", p.Name, ErrExists)
		}
		if err != nil {
			return err
		}
		if p.ID, err = r.LastInsertId(); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "project.create", object("project", p.ID), p.detail())
	})
	return p, err
}

// SetProject replaces what a project has but its id. It returns ErrNotFound if there is none of this id, and otherwise errs
// as CreateProject does. Tasks that are there keep their overlap.
func (db *DB) SetProject(ctx context.Context, p Project) error {
	if err := p.validate(); err != nil {
		return err
	}
	return db.write(ctx, func(tx *sql.Tx) error {
		values, err := p.values()
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `UPDATE projects SET (`+projectColumns+`) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?`, append(values, p.ID)...)
		if isUnique(err) {
			return fmt.Errorf("project %q: %w", p.Name, ErrExists)
		}
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("project %d: %w", p.ID, ErrNotFound))
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "project.set", object("project", p.ID), p.detail())
	})
}

// Projects returns all projects in the order in which they were created.
func (db *DB) Projects(ctx context.Context) (out []Project, err error) {
	rows, err := db.r.QueryContext(ctx, projectQuery+` ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		p, err := scanProject(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// Project returns ErrNotFound if there is no project of this id.
func (db *DB) Project(ctx context.Context, id int64) (Project, error) {
	p, err := scanProject(db.r.QueryRowContext(ctx, projectQuery+` WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("project %d: %w", id, ErrNotFound)
	}
	return p, err
}

// ProjectByName returns ErrNotFound if there is no project of this name.
func (db *DB) ProjectByName(ctx context.Context, name string) (Project, error) {
	p, err := scanProject(db.r.QueryRowContext(ctx, projectQuery+` WHERE name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("project %q: %w", name, ErrNotFound)
	}
	return p, err
}

// ProjectCounts is how far a project has come.
type ProjectCounts struct {
	Tasks     int // that are not withdrawn, without examples, training and repeats
	DoneTasks int // of these, that have the rankings wanted
	Rankings  int // of these, that count
	Needed    int // rankings wanted of these; of a task for everybody those that it has
	Guideline int // newest version, 0 if there is none
}

// ProjectCounts counts a project's tasks and rankings.
func (db *DB) ProjectCounts(ctx context.Context, id int64) (c ProjectCounts, err error) {
	err = db.r.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(overlap > 0 AND done >= overlap), 0), coalesce(sum(done), 0), coalesce(sum(iif(overlap = 0, done, overlap)), 0),
		(SELECT coalesce(max(version), 0) FROM guidelines WHERE project_id = ?1)
		FROM tasks WHERE project_id = ?1 AND withdrawn = 0 AND kind IN `+ranked, id).Scan(&c.Tasks, &c.DoneTasks, &c.Rankings, &c.Needed, &c.Guideline)
	return c, err
}
