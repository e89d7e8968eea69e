package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Work is an assignment as its labeler sees it. It names no model.
type Work struct {
	PublicID    string
	Kind        string // KindTraining, or KindNormal for whatever looks alike
	Project     string // name
	Form        Settings
	Prompt      string
	System      string
	Messages    []Message
	Responses   []Response // (K) in the order shown
	Guideline   int        // version in force, 0 for none
	Expires     time.Time
	Draft       Draft
	Answer      *Answer // the current one
	completions []int64 // (K) in the order shown
}

// Response is a completion without what could name its model.
type Response struct {
	Text     string
	Messages []Message
}

// Answer is what a labeler made of a task.
type Answer struct {
	Revision   int
	At         time.Time
	Reason     string           // why it was skipped; "" for a ranking
	Ranks      []int            // (K) in the order shown
	Ratings    []map[string]int // (K); nil for none
	Confidence *int
	Flags      []string
	Comment    string
}

const workQuery = `SELECT a.task_id, a.shown, a.expires_at, a.done, t.kind = 'training', p.name, p.rate, p.questions, p.confidence, p.must_open,
	pr.text, pr.system, pr.messages, coalesce((SELECT max(version) FROM guidelines g WHERE g.project_id = p.id), 0), coalesce(d.version, 0), d.body
	FROM assignments a JOIN tasks t ON t.id = a.task_id JOIN projects p ON p.id = t.project_id JOIN prompts pr ON pr.id = t.prompt_id
	LEFT JOIN drafts d ON d.assignment_id = a.id WHERE a.public_id = ? AND a.labeler_id = ?`

// Work returns a labeler's assignment, or ErrNotFound if they have no such one.
func (db *DB) Work(ctx context.Context, labelerID int64, publicID string) (Work, error) {
	return readWork(ctx, db.reads, labelerID, publicID)
}

func readWork(ctx context.Context, q querier, labelerID int64, publicID string) (Work, error) {
	w := Work{PublicID: publicID, Kind: KindNormal}
	var task, expires int64
	var done, training bool
	var shown, questions string
	var messages, draft sql.NullString
	err := q.QueryRowContext(ctx, workQuery, publicID, labelerID).Scan(&task, &shown, &expires, &done, &training, &w.Project, &w.Form.Rate, &questions, &w.Form.Confidence, &w.Form.MustOpen,
		&w.Prompt, &w.System, &messages, &w.Guideline, &w.Draft.Version, &draft)
	if errors.Is(err, sql.ErrNoRows) {
		return w, fmt.Errorf("task %s: %w", publicID, ErrNotFound)
	}
	if err != nil {
		return w, err
	}
	if training {
		w.Kind = KindTraining
	}
	if draft.Valid {
		w.Draft.Body = json.RawMessage(draft.String)
	}
	w.Expires = time.UnixMilli(expires)
	if w.Messages, err = parseMessages(messages); err != nil {
		return w, err
	}
	if err := errors.Join(json.Unmarshal([]byte(questions), &w.Form.Questions), json.Unmarshal([]byte(shown), &w.completions)); err != nil {
		return w, err
	}
	texts, err := readTexts(ctx, q, task)
	if err != nil {
		return w, err
	}
	for _, id := range w.completions {
		c := texts[slices.IndexFunc(texts, func(c Completion) bool { return c.ID == id })]
		w.Responses = append(w.Responses, Response{c.Text, c.Messages})
	}
	if done {
		w.Answer, err = readAnswer(ctx, q, task, labelerID, w.completions)
	}
	return w, err
}

// readTexts returns the ids, texts and messages of a task's completions, in their order.
func readTexts(ctx context.Context, q querier, task int64) ([]Completion, error) {
	rows, err := q.QueryContext(ctx, `SELECT c.id, c.text, c.messages FROM task_completions tc JOIN completions c ON c.id = tc.completion_id
		WHERE tc.task_id = ? ORDER BY tc.position`, task)
	return collect(rows, err, func(rows *sql.Rows) (c Completion, err error) {
		var messages sql.NullString
		if err := rows.Scan(&c.ID, &c.Text, &messages); err != nil {
			return c, err
		}
		c.Messages, err = parseMessages(messages)
		return c, err
	})
}

// readAnswer returns a labeler's current answer to a task they have done.
func readAnswer(ctx context.Context, q querier, task, labeler int64, shown []int64) (*Answer, error) {
	var a Answer
	var ranking, at int64
	var confidence sql.NullFloat64
	var flags string
	err := q.QueryRowContext(ctx, `SELECT id, revision, created_at, '', confidence, flags, comment FROM rankings WHERE task_id = ?1 AND labeler_id = ?2 AND replaced = 0
		UNION ALL SELECT 0, revision, created_at, reason, NULL, '[]', comment FROM skips WHERE task_id = ?1 AND labeler_id = ?2 AND undone = 0`, task, labeler).
		Scan(&ranking, &a.Revision, &at, &a.Reason, &confidence, &flags, &a.Comment)
	if err != nil {
		return nil, fmt.Errorf("answer to task %d: %w", task, err)
	}
	a.At = time.UnixMilli(at)
	if err := json.Unmarshal([]byte(flags), &a.Flags); err != nil || ranking == 0 {
		return &a, err
	}
	if confidence.Valid {
		c := int(confidence.Float64)
		a.Confidence = &c
	}
	a.Ranks = make([]int, len(shown))
	for k, id := range shown {
		var ratings sql.NullString
		if err := q.QueryRowContext(ctx, `SELECT rank, ratings FROM ranking_items WHERE ranking_id = ? AND completion_id = ?`, ranking, id).Scan(&a.Ranks[k], &ratings); err != nil {
			return nil, fmt.Errorf("ranking %d: %w", ranking, err)
		}
		if ratings.Valid {
			var of map[string]int
			if err := json.Unmarshal([]byte(ratings.String), &of); err != nil {
				return nil, err
			}
			a.Ratings = append(a.Ratings, of)
		}
	}
	return &a, nil
}

// latest is how many answers a labeler may still change.
const latest = 10

type latestAnswer struct{ task, at int64 }

// latestAnswers returns the last answers of a labeler that hold, latest first.
func latestAnswers(ctx context.Context, q querier, labeler int64) ([]latestAnswer, error) {
	rows, err := q.QueryContext(ctx, `SELECT task_id, at FROM (
		SELECT * FROM (SELECT task_id, created_at AS at, id FROM rankings WHERE labeler_id = ?1 AND replaced = 0 AND sealed = 1 AND imported = 0 ORDER BY created_at DESC, id DESC LIMIT ?2)
		UNION ALL SELECT * FROM (SELECT task_id, created_at AS at, 0 FROM skips WHERE labeler_id = ?1 AND undone = 0 ORDER BY created_at DESC, id DESC LIMIT ?2)
		) ORDER BY at DESC, id DESC LIMIT ?2`, labeler, latest)
	return collect(rows, err, func(rows *sql.Rows) (a latestAnswer, err error) { return a, rows.Scan(&a.task, &a.at) })
}

// Recent returns a labeler's last ten answered tasks, latest first.
func (db *DB) Recent(ctx context.Context, labelerID int64) (out []Work, err error) {
	answers, err := latestAnswers(ctx, db.reads, labelerID)
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		var public string
		if err := db.reads.QueryRowContext(ctx, `SELECT public_id FROM assignments WHERE task_id = ? AND labeler_id = ?`, a.task, labelerID).Scan(&public); err != nil {
			return nil, err
		}
		w, err := db.Work(ctx, labelerID, public)
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// Standing is how far one labeler has come.
type Standing struct {
	Done          int // tasks ranked or skipped
	Remaining     int // tasks still open to them, training included
	Today         int // done since midnight, server time
	TodayActiveMS int64
	PaceMS        int64  // median active time of the last rankings; 0 before the first
	TrainingLeft  int    // training tasks not done
	Paused        string // why nothing is given out to them in some open project; "" if all is well
}

// paceOver is how many of the last rankings the pace is the median of.
const paceOver = 20

// givenOut is the condition on a kind and project p whose tasks are given out. (A list after IN is a table of its own to SQLite.)
const givenOut = `p.open = 1 AND kind <> 'example' AND (p.gold_share > 0 OR kind <> 'gold' AND kind <> 'honeypot')`

// standingQuery is of scalar subqueries, which SQLite counts in place; whatever it would materialize first costs more than
// the counting.
const standingQuery = `SELECT (SELECT coalesce(sum(done), 0) FROM tallies WHERE labeler_id = ?1 AND kind <> 'example'),
	(SELECT coalesce(sum(free), 0) FROM stocks JOIN projects p ON p.id = project_id WHERE ` + givenOut + `)
	  - (SELECT coalesce(sum(covered), 0) FROM tallies JOIN projects p ON p.id = project_id WHERE labeler_id = ?1 AND ` + givenOut + `)
	  + (SELECT count(*) FROM tasks INDEXED BY tasks_mine JOIN projects p ON p.id = project_id WHERE assigned_to = ?1 AND tasks.open = 1 AND withdrawn = 0 AND ` + givenOut + `),
	(SELECT coalesce(sum(free), 0) FROM stocks JOIN projects p ON p.id = project_id WHERE kind = 'training' AND p.open = 1)
	  - (SELECT coalesce(sum(covered), 0) FROM tallies JOIN projects p ON p.id = project_id WHERE labeler_id = ?1 AND kind = 'training' AND p.open = 1)
	  + (SELECT count(*) FROM tasks INDEXED BY tasks_mine JOIN projects p ON p.id = project_id WHERE assigned_to = ?1 AND tasks.open = 1 AND withdrawn = 0 AND kind = 'training' AND p.open = 1),
	coalesce((SELECT x.reason FROM pauses x JOIN projects p ON p.id = x.project_id WHERE x.labeler_id = ?1 AND x.resumed_at IS NULL AND p.open = 1 LIMIT 1), '')`

// Standing counts what a labeler has done and what is left for them.
func (db *DB) Standing(ctx context.Context, labelerID int64) (Standing, error) {
	return readStanding(ctx, db.reads, labelerID, db.midnight())
}

func readStanding(ctx context.Context, q querier, labelerID, midnight int64) (s Standing, err error) {
	if err := q.QueryRowContext(ctx, standingQuery, labelerID).Scan(&s.Done, &s.Remaining, &s.TrainingLeft, &s.Paused); err != nil {
		return s, err
	}
	for _, today := range []string{`SELECT coalesce(sum(replaced = 0), 0), coalesce(sum(active_ms), 0) FROM rankings WHERE labeler_id = ? AND created_at >= ?`,
		`SELECT coalesce(sum(undone = 0), 0), coalesce(sum(active_ms), 0) FROM skips WHERE labeler_id = ? AND created_at >= ?`} {
		var n int
		var ms int64
		if err := q.QueryRowContext(ctx, today, labelerID, midnight).Scan(&n, &ms); err != nil {
			return s, err
		}
		s.Today, s.TodayActiveMS = s.Today+n, s.TodayActiveMS+ms
	}
	rows, err := q.QueryContext(ctx, `SELECT active_ms FROM rankings WHERE labeler_id = ? AND replaced = 0 ORDER BY created_at DESC LIMIT ?`, labelerID, paceOver)
	times, err := collect(rows, err, func(rows *sql.Rows) (ms int64, err error) { return ms, rows.Scan(&ms) })
	if n := len(times); n > 0 {
		slices.Sort(times)
		s.PaceMS = (times[(n-1)/2] + times[n/2]) / 2
	}
	return s, err
}
