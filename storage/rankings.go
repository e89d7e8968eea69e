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

// Submission is a labeler's answer to an assignment.
type Submission struct {
	LabelerID int64
	PublicID  string
	Ranks     []int // (K) of the completions in the order shown; 1 is best, equal ranks are a tie, no gaps
	ActiveMS  int64 // time with the page in view and in use
	Comment   string
	Key       string // idempotency key: a second submission with the same one changes nothing; "" for none
}

// Submit stores a ranking. If others filled the task's overlap meanwhile it is
// kept and marked extra. It returns ErrNotFound for an assignment that is not the
// labeler's, ErrRanks for ranks that do not fit and ErrRanked for a task they
// ranked before, unless with the same key.
func (db *DB) Submit(ctx context.Context, s Submission) (extra bool, err error) {
	err = db.write(ctx, func(tx *sql.Tx) error {
		var task int64
		var text string
		err := tx.QueryRowContext(ctx, `SELECT task_id, shown FROM assignments WHERE public_id = ? AND labeler_id = ?`, s.PublicID, s.LabelerID).Scan(&task, &text)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("task %s: %w", s.PublicID, ErrNotFound)
		}
		if err != nil {
			return err
		}
		var shown []int64
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			return err
		}
		var key sql.NullString
		err = tx.QueryRowContext(ctx, `SELECT extra, idempotency_key FROM rankings WHERE task_id = ? AND labeler_id = ? AND replaced = 0`, task, s.LabelerID).Scan(&extra, &key)
		if err == nil {
			if s.Key != "" && key.String == s.Key {
				return nil
			}
			return fmt.Errorf("task %s: %w", s.PublicID, ErrRanked)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		extra, err = insertRanking(ctx, tx, task, shown, s, db.millis())
		return err
	})
	return extra, err
}

// insertRanking writes a ranking with its items and seals it.
func insertRanking(ctx context.Context, tx *sql.Tx, task int64, shown []int64, s Submission, at int64) (extra bool, err error) {
	if err := CheckRanks(s.Ranks, len(shown)); err != nil {
		return false, err
	}
	var open bool
	if err := tx.QueryRowContext(ctx, `SELECT open FROM tasks WHERE id = ?`, task).Scan(&open); err != nil {
		return false, err
	}
	var key any
	if s.Key != "" {
		key = s.Key
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO rankings (task_id, labeler_id, created_at, active_ms, comment, extra, idempotency_key) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		task, s.LabelerID, at, s.ActiveMS, s.Comment, !open, key)
	if err != nil {
		return false, err
	}
	id, err := r.LastInsertId()
	if err != nil {
		return false, err
	}
	for k, completion := range shown {
		if _, err := tx.ExecContext(ctx, `INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank) VALUES (?, ?, ?, ?)`, id, task, completion, s.Ranks[k]); err != nil {
			return false, err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE rankings SET sealed = 1 WHERE id = ?`, id); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE assignments SET done = 1 WHERE task_id = ? AND labeler_id = ?`, task, s.LabelerID)
	return !open, err
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

// Ranking is one labeler's ranking of a task's completions.
type Ranking struct {
	TaskID       int64
	Prompt       string
	PromptTokens []int32 // nil if not known
	Completions  []Completion
	Ranks        []int // (K) of Completions
	Labeler      string
	CreatedAt    time.Time
	ActiveMS     int64
	Comment      string
	Extra        bool
	Shown        []int // (K) indices into Completions in the order the labeler saw them
}

// Rankings calls each for every sealed ranking, by task and then by labeler's
// name: an order that does not depend on who was first. The first error ends it.
func (db *DB) Rankings(ctx context.Context, each func(Ranking) error) error {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	rows, err := tx.QueryContext(ctx, `
		SELECT r.id, r.task_id, l.name, r.created_at, r.active_ms, r.comment, r.extra, a.shown, p.text, p.tokens,
		       c.id, c.model, c.text, c.tokens, c.sampling, i.rank
		FROM rankings r
		JOIN labelers l ON l.id = r.labeler_id
		JOIN assignments a ON a.task_id = r.task_id AND a.labeler_id = r.labeler_id
		JOIN tasks t ON t.id = r.task_id
		JOIN prompts p ON p.id = t.prompt_id
		JOIN ranking_items i ON i.ranking_id = r.id
		JOIN task_completions tc ON tc.task_id = r.task_id AND tc.completion_id = i.completion_id
		JOIN completions c ON c.id = i.completion_id
		WHERE r.sealed = 1 AND r.replaced = 0
		ORDER BY r.task_id, l.name, tc.position`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var current Ranking
	var currentID int64
	var shown string
	count := 0
	flush := func() error {
		if currentID == 0 {
			return nil
		}
		var ids []int64
		if err := json.Unmarshal([]byte(shown), &ids); err != nil {
			return err
		}
		for _, id := range ids {
			current.Shown = append(current.Shown, slices.IndexFunc(current.Completions, func(c Completion) bool { return c.ID == id }))
		}
		count++
		return each(current)
	}
	for rows.Next() {
		var id, created int64
		var next Ranking
		var c Completion
		var rank int
		var nextShown string
		var promptTokens, tokens, sampling sql.NullString
		if err := rows.Scan(&id, &next.TaskID, &next.Labeler, &created, &next.ActiveMS, &next.Comment, &next.Extra, &nextShown, &next.Prompt, &promptTokens,
			&c.ID, &c.Model, &c.Text, &tokens, &sampling, &rank); err != nil {
			return err
		}
		if id != currentID {
			if err := flush(); err != nil {
				return err
			}
			next.CreatedAt = time.UnixMilli(created).UTC()
			if next.PromptTokens, err = parseTokens(promptTokens); err != nil {
				return err
			}
			current, currentID, shown = next, id, nextShown
		}
		if c.Tokens, err = parseTokens(tokens); err != nil {
			return err
		}
		if sampling.Valid {
			c.Sampling = json.RawMessage(sampling.String)
		}
		current.Completions, current.Ranks = append(current.Completions, c), append(current.Ranks, rank)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	// In the same snapshot: a ranking that the joins lose would be missing from every export without a word.
	var sealed int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM rankings WHERE sealed = 1 AND replaced = 0`).Scan(&sealed); err != nil {
		return err
	}
	if sealed != count {
		return fmt.Errorf("read %d rankings, expected the %d that are sealed: the database is damaged", count, sealed)
	}
	return nil
}

// AddRankings adds rankings made elsewhere, with their prompts, completions and
// tasks of their own, all or none. Labelers who are not known are created without
// a password. Errors name the ranking by its index.
func (db *DB) AddRankings(ctx context.Context, rankings []Ranking) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		for i, r := range rankings {
			if err := db.addRanking(ctx, tx, r); err != nil {
				return fmt.Errorf("ranking %d: %w", i, err)
			}
		}
		return nil
	})
}

// importedLabeler returns whom a file calls name: who has it as pseudonym or as name, else a new labeler who cannot sign in.
func (db *DB) importedLabeler(ctx context.Context, tx *sql.Tx, name string) (Labeler, error) {
	l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE pseudonym = ?1 OR name = ?1 ORDER BY pseudonym = ?1 DESC LIMIT 1`, name), name)
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	return insertLabeler(ctx, tx, Labeler{Name: name, Role: RoleLabeler}, name, db.millis())
}

func (db *DB) addRanking(ctx context.Context, tx *sql.Tx, r Ranking) error {
	if err := CheckRanks(r.Ranks, len(r.Completions)); err != nil {
		return err
	}
	l, err := db.importedLabeler(ctx, tx, r.Labeler)
	if err != nil {
		return err
	}
	task, completions, err := addTask(ctx, tx, Task{Prompt: r.Prompt, Tokens: r.PromptTokens, Completions: r.Completions, Overlap: 1})
	if err != nil {
		return err
	}
	at := r.CreatedAt.UnixMilli()
	if r.CreatedAt.IsZero() {
		at = db.millis()
	}
	a := Assignment{TaskID: task, Expires: time.UnixMilli(at)}
	order := r.Shown
	if len(order) != len(completions) {
		order = make([]int, len(completions))
		for k := range order {
			order[k] = k
		}
	}
	shown, err := assign(ctx, tx, &a, l.ID, at, func(int64, int64, int) []int { return order })
	if err != nil {
		return err
	}
	ranks := make([]int, len(shown))
	for k, i := range order {
		ranks[k] = r.Ranks[i]
	}
	_, err = insertRanking(ctx, tx, task, shown, Submission{LabelerID: l.ID, Ranks: ranks, ActiveMS: r.ActiveMS, Comment: r.Comment}, at)
	return err
}
