package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Overall is the key of a response's rating from 1 to 7, beside the keys of the project's questions.
const Overall = "overall"

// Reasons are why a task is skipped, or flagged beside a ranking.
var Reasons = []string{"nonsense", "unsafe", "too_hard", "all_bad", "personal_data", "other"}

// Submission is a labeler's ranking of an assignment.
type Submission struct {
	LabelerID  int64
	PublicID   string
	Ranks      []int            // (K) of the completions in the order shown; 1 is best, equal ranks are a tie, no gaps
	Unopened   []int            // completions, by their index in the order shown, that were not read through
	Ratings    []map[string]int // (K) in the order shown: Overall and the keys of questions; nil for none
	Confidence *int             // 1 to 5; nil for none
	Flags      []string         // of Reasons
	Comment    string
	ActiveMS   int64  // time with the page in view and in use
	WallMS     int64  // from shown to sent
	Key        string // idempotency key: a second submission of the labeler with the same one changes nothing; "" for none
	Revision   int    // of the answer it replaces; 0: a first answer
}

// Submitted is what became of a submission.
type Submitted struct {
	Extra    bool // kept beyond the overlap
	Revision int
	Feedback *Feedback // of a training task with a reference
	Standing Standing  // of the labeler after it
}

// Feedback compares a ranking with the researcher's own.
type Feedback struct {
	Right int   // of Pairs
	Pairs int   // that the reference orders strictly
	Ranks []int // (K) the reference's, in the order shown
	Note  string
}

// hold is an assignment in the transaction that answers it.
type hold struct {
	assignment, task, project int64
	labeler                   int64
	kind                      string
	open                      bool // more rankings are wanted
	shown                     []int64
	rate, confidence          bool
	mustOpen                  bool
	questions                 []Question
	ranking, skip             int64 // the current one of either, 0 for none
	extra                     bool  // the current ranking
	revision                  int   // the current one, 0 before the first
}

const holdQuery = `SELECT a.id, a.task_id, t.project_id, t.kind, t.open, a.shown, p.rate, p.confidence, p.must_open, p.questions,
	coalesce(r.id, 0), coalesce(s.id, 0), coalesce(r.extra, 0), max(coalesce(r.revision, 0), coalesce(s.revision, 0))
	FROM assignments a JOIN tasks t ON t.id = a.task_id JOIN projects p ON p.id = t.project_id
	LEFT JOIN rankings r ON r.task_id = a.task_id AND r.labeler_id = a.labeler_id AND r.replaced = 0
	LEFT JOIN skips s ON s.task_id = a.task_id AND s.labeler_id = a.labeler_id AND s.undone = 0
	WHERE a.public_id = ? AND a.labeler_id = ?`

func readHold(ctx context.Context, q querier, publicID string, labeler int64) (h hold, err error) {
	var shown, questions string
	h.labeler = labeler
	err = q.QueryRowContext(ctx, holdQuery, publicID, labeler).Scan(&h.assignment, &h.task, &h.project, &h.kind, &h.open, &shown, &h.rate, &h.confidence, &h.mustOpen, &questions,
		&h.ranking, &h.skip, &h.extra, &h.revision)
	if errors.Is(err, sql.ErrNoRows) {
		return h, fmt.Errorf("task %s: %w", publicID, ErrNotFound)
	}
	if err != nil {
		return h, err
	}
	return h, errors.Join(json.Unmarshal([]byte(shown), &h.shown), json.Unmarshal([]byte(questions), &h.questions))
}

// ownKey is the stored form of a labeler's idempotency key, which nobody else's can equal; nil for none.
func ownKey(labeler int64, key string) any {
	if key == "" {
		return nil
	}
	return fmt.Sprintf("%d/%s", labeler, key)
}

// sent returns the answer that came with the key before, id 0 if none did. It returns ErrKey if that was to another task or of another sort.
func (h hold) sent(ctx context.Context, q querier, table, key string) (id int64, s Submitted, err error) {
	if key == "" {
		return 0, s, nil
	}
	var in string
	var task int64
	err = q.QueryRowContext(ctx, `SELECT 'rankings', id, task_id, extra, revision FROM rankings WHERE idempotency_key = ?1
		UNION ALL SELECT 'skips', id, task_id, 0, revision FROM skips WHERE idempotency_key = ?1`, ownKey(h.labeler, key)).Scan(&in, &id, &task, &s.Extra, &s.Revision)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, s, nil
	}
	if err == nil && (in != table || task != h.task) {
		err = ErrKey
	}
	return id, s, err
}

// replace marks the current answer as replaced by one that names it by its revision.
func (h hold) replace(ctx context.Context, q querier, revision int) error {
	if revision != h.revision {
		return fmt.Errorf("revision %d: %w: %d", revision, ErrRevision, h.revision)
	}
	if revision == 0 {
		return nil
	}
	latest, err := latestAnswers(ctx, q, h.labeler)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(latest, func(a latestAnswer) bool { return a.task == h.task }) {
		return ErrTooLate
	}
	if h.ranking != 0 {
		_, err = q.ExecContext(ctx, `UPDATE rankings SET replaced = 1 WHERE id = ?`, h.ranking)
	}
	if err == nil && h.skip != 0 {
		_, err = q.ExecContext(ctx, `UPDATE skips SET undone = 1 WHERE id = ?`, h.skip)
	}
	return err
}

// finish ends the lease and drops the draft.
func (h hold) finish(ctx context.Context, q querier) error {
	if _, err := q.ExecContext(ctx, `DELETE FROM drafts WHERE assignment_id = ?`, h.assignment); err != nil {
		return err
	}
	_, err := q.ExecContext(ctx, `UPDATE assignments SET done = 1 WHERE id = ? AND done = 0`, h.assignment)
	return err
}

// Submit stores a ranking. If others filled the task's overlap meanwhile it is kept and marked extra. It returns ErrNotFound
// for an assignment that is not the labeler's, and for what does not fit ErrRanks, ErrUnopened, ErrAnswers, ErrRevision,
// ErrTooLate or ErrKey.
func (db *DB) Submit(ctx context.Context, s Submission) (out Submitted, err error) {
	at, midnight := db.millis(), db.midnight()
	err = db.change(ctx, func(ctx context.Context, q querier) error {
		h, err := readHold(ctx, q, s.PublicID, s.LabelerID)
		if err != nil {
			return err
		}
		var id int64
		if id, out, err = h.sent(ctx, q, "rankings", s.Key); err != nil {
			return err
		}
		if id == 0 {
			if err := h.check(s); err != nil {
				return err
			}
			if err := h.replace(ctx, q, s.Revision); err != nil {
				return err
			}
			if id, out, err = h.store(ctx, q, s, at); err != nil {
				return err
			}
		}
		if h.kind == KindTraining {
			if out.Feedback, err = h.compare(ctx, q, id); err != nil {
				return err
			}
		}
		out.Standing, err = readStanding(ctx, q, s.LabelerID, midnight)
		return err
	})
	return out, err
}

// check returns an error unless a submission answers what the project asks.
func (h hold) check(s Submission) error {
	if err := CheckRanks(s.Ranks, len(h.shown)); err != nil {
		return err
	}
	if h.mustOpen && len(s.Unopened) > 0 {
		return ErrUnopened
	}
	asked := h.rate || len(h.questions) > 0
	switch {
	case !asked && s.Ratings != nil:
		return fmt.Errorf("%w: no ratings are asked for", ErrAnswers)
	case asked && len(s.Ratings) != len(h.shown):
		return fmt.Errorf("%w: %d of %d responses are rated", ErrAnswers, len(s.Ratings), len(h.shown))
	case s.Confidence != nil && !h.confidence:
		return fmt.Errorf("%w: no confidence is asked for", ErrAnswers)
	case s.Confidence != nil && (*s.Confidence < 1 || *s.Confidence > 5):
		return fmt.Errorf("%w: confidence must be from 1 to 5 (got %d)", ErrAnswers, *s.Confidence)
	}
	for i, flag := range s.Flags {
		if !slices.Contains(Reasons, flag) || slices.Contains(s.Flags[:i], flag) {
			return fmt.Errorf("%w: flag %q is unknown or there twice", ErrAnswers, flag)
		}
	}
	for k, ratings := range s.Ratings {
		if err := h.checkRatings(ratings); err != nil {
			return fmt.Errorf("%w: response %d: %w", ErrAnswers, k+1, err)
		}
	}
	return nil
}

func (h hold) checkRatings(ratings map[string]int) error {
	want := len(h.questions)
	if h.rate {
		want++
		if r, ok := ratings[Overall]; !ok || r < 1 || r > 7 {
			return fmt.Errorf("%s must be from 1 to 7 (got %d)", Overall, r)
		}
	}
	for _, question := range h.questions {
		if a, ok := ratings[question.Key]; !ok || a != 0 && a != 1 {
			return fmt.Errorf("%s must be 0 or 1", question.Key)
		}
	}
	if len(ratings) != want {
		return fmt.Errorf("%d answers, expected %d", len(ratings), want)
	}
	return nil
}

// store writes a ranking with its items and seals it. Whether there is still room is asked here, in the same transaction.
func (h hold) store(ctx context.Context, q querier, s Submission, at int64) (id int64, out Submitted, err error) {
	out.Revision = h.revision + 1
	var open bool
	if err := q.QueryRowContext(ctx, `SELECT open FROM tasks WHERE id = ?`, h.task).Scan(&open); err != nil {
		return 0, out, err
	}
	out.Extra = !open && (h.ranking == 0 || h.extra) // a new revision of one that counts counts
	flags, err := json.Marshal(append([]string{}, s.Flags...))
	if err != nil {
		return 0, out, err
	}
	r, err := q.ExecContext(ctx, `INSERT INTO rankings (task_id, labeler_id, revision, created_at, active_ms, wall_ms, comment, confidence, flags, extra, idempotency_key, guideline_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT id FROM guidelines WHERE project_id = ? ORDER BY version DESC LIMIT 1))`,
		h.task, h.labeler, out.Revision, at, s.ActiveMS, s.WallMS, s.Comment, s.Confidence, string(flags), out.Extra, ownKey(h.labeler, s.Key), h.project)
	if err != nil {
		return 0, out, err
	}
	if id, err = r.LastInsertId(); err != nil {
		return 0, out, err
	}
	for k, completion := range h.shown {
		var ratings any
		if s.Ratings != nil {
			raw, err := json.Marshal(s.Ratings[k])
			if err != nil {
				return 0, out, err
			}
			ratings = string(raw)
		}
		if _, err := q.ExecContext(ctx, `INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank, ratings) VALUES (?, ?, ?, ?, ?)`, id, h.task, completion, s.Ranks[k], ratings); err != nil {
			return 0, out, err
		}
	}
	if _, err := q.ExecContext(ctx, `UPDATE rankings SET sealed = 1 WHERE id = ?`, id); err != nil {
		return 0, out, err
	}
	if h.kind == KindGold || h.kind == KindHoneypot {
		if err := h.score(ctx, q, id, s.Ranks, at); err != nil {
			return 0, out, err
		}
	}
	return id, out, h.finish(ctx, q)
}

// Skip is a task that a labeler does not want to rank.
type Skip struct {
	LabelerID int64
	PublicID  string
	Reason    string // of Reasons
	Comment   string
	ActiveMS  int64
	WallMS    int64
	Key       string // as in Submission
	Revision  int    // of the answer it replaces; 0: a first answer
}

// Skipped is what became of a skip.
type Skipped struct {
	Revision int
	Standing Standing // of the labeler after it
}

// Skip stores that a labeler passes over a task; others still rank it. A ranking that it replaces counts no more. It returns
// the errors of Submit.
func (db *DB) Skip(ctx context.Context, s Skip) (out Skipped, err error) {
	at, midnight := db.millis(), db.midnight()
	err = db.change(ctx, func(ctx context.Context, q querier) error {
		h, err := readHold(ctx, q, s.PublicID, s.LabelerID)
		if err != nil {
			return err
		}
		id, before, err := h.sent(ctx, q, "skips", s.Key)
		if out.Revision = before.Revision; err != nil {
			return err
		}
		if id == 0 {
			if out.Revision, err = h.storeSkip(ctx, q, s, at); err != nil {
				return err
			}
		}
		out.Standing, err = readStanding(ctx, q, s.LabelerID, midnight)
		return err
	})
	return out, err
}

func (h hold) storeSkip(ctx context.Context, q querier, s Skip, at int64) (revision int, err error) {
	if !slices.Contains(Reasons, s.Reason) {
		return 0, fmt.Errorf("%w: reason %q is unknown", ErrAnswers, s.Reason)
	}
	if err := h.replace(ctx, q, s.Revision); err != nil {
		return 0, err
	}
	revision = h.revision + 1
	_, err = q.ExecContext(ctx, `INSERT INTO skips (task_id, labeler_id, created_at, reason, comment, active_ms, wall_ms, idempotency_key, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		h.task, h.labeler, at, s.Reason, s.Comment, s.ActiveMS, s.WallMS, ownKey(h.labeler, s.Key), revision)
	if err != nil {
		return 0, err
	}
	return revision, h.finish(ctx, q)
}

// CheckRanks returns ErrRanks, with what was expected, unless ranks are K numbers
// from 1 to some m without a gap.
func CheckRanks(ranks []int, k int) error {
	if len(ranks) != k {
		return fmt.Errorf("%w: %d ranks for %d completions", ErrRanks, len(ranks), k)
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(ranks)))
	for i, r := range sorted {
		if r != i+1 {
			return fmt.Errorf("%w: found %v, expected 1 to m without a gap (best is 1, equal ranks are a tie)", ErrRanks, ranks)
		}
	}
	return nil
}
