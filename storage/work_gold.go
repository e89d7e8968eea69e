package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// reference returns the researcher's ranks in the order shown, or nil if the task has none.
func (h hold) reference(ctx context.Context, q querier) (ranks []int, note string, err error) {
	err = q.QueryRowContext(ctx, `SELECT note FROM task_references WHERE task_id = ?`, h.task).Scan(&note)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	ranks = make([]int, len(h.shown))
	for k, completion := range h.shown {
		err := q.QueryRowContext(ctx, `SELECT rank FROM reference_items WHERE task_id = ? AND completion_id = ?`, h.task, completion).Scan(&ranks[k])
		if err != nil {
			return nil, "", fmt.Errorf("reference of task %d: %w", h.task, err)
		}
	}
	return ranks, note, nil
}

// agree counts the pairs that the reference orders strictly, and those of them that ranks order the same way.
func agree(reference, ranks []int) (right, pairs int) {
	for i := range reference {
		for j := range i {
			if reference[i] == reference[j] {
				continue
			}
			pairs++
			if ranks[i] != ranks[j] && (ranks[i] < ranks[j]) == (reference[i] < reference[j]) {
				right++
			}
		}
	}
	return right, pairs
}

// compare returns how a ranking fares beside the reference, or nil if there is no reference.
func (h hold) compare(ctx context.Context, q querier, ranking int64) (*Feedback, error) {
	reference, note, err := h.reference(ctx, q)
	if err != nil || reference == nil {
		return nil, err
	}
	ranks := make([]int, len(h.shown))
	for k, id := range h.shown {
		if err := q.QueryRowContext(ctx, `SELECT rank FROM ranking_items WHERE ranking_id = ? AND completion_id = ?`, ranking, id).Scan(&ranks[k]); err != nil {
			return nil, fmt.Errorf("ranking %d: %w", ranking, err)
		}
	}
	f := &Feedback{Ranks: reference, Note: note}
	f.Right, f.Pairs = agree(reference, ranks)
	return f, nil
}

// score stores how a ranking of a gold task fares, and pauses the labeler if too many pairs of the latest ones are wrong.
func (h hold) score(ctx context.Context, q querier, ranking int64, ranks []int, at int64) error {
	reference, _, err := h.reference(ctx, q)
	if err != nil || reference == nil {
		return err
	}
	right, pairs := agree(reference, ranks)
	if pairs == 0 {
		return nil // everything is as good as everything else: nothing to get wrong
	}
	_, err = q.ExecContext(ctx, `INSERT INTO gold_scores (ranking_id, labeler_id, project_id, correct, pairs) VALUES (?, ?, ?, ?, ?)`, ranking, h.labeler, h.project, right, pairs)
	if err != nil {
		return err
	}
	var threshold float64
	var window, n, correct, of int
	if err := q.QueryRowContext(ctx, `SELECT gold_threshold, gold_window FROM projects WHERE id = ?`, h.project).Scan(&threshold, &window); err != nil || threshold == 0 {
		return err
	}
	err = q.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(correct), 0), coalesce(sum(pairs), 0) FROM (
		SELECT g.correct, g.pairs FROM gold_scores g JOIN rankings r ON r.id = g.ranking_id
		WHERE g.labeler_id = ?1 AND g.project_id = ?2 AND r.replaced = 0
		  AND g.ranking_id > (SELECT coalesce(max(p.resumed_after), 0) FROM pauses p WHERE p.labeler_id = ?1 AND p.project_id = ?2)
		ORDER BY g.ranking_id DESC LIMIT ?3)`, h.labeler, h.project, window).Scan(&n, &correct, &of)
	if err != nil || n < window || float64(correct) >= threshold*float64(of) {
		return err
	}
	_, err = q.ExecContext(ctx, `INSERT INTO pauses (labeler_id, project_id, reason, paused_at) SELECT ?1, ?2, 'gold', ?3
		WHERE NOT EXISTS (SELECT 1 FROM pauses WHERE labeler_id = ?1 AND project_id = ?2 AND resumed_at IS NULL)`, h.labeler, h.project, at)
	return err
}

// Resume lets a labeler go on who was paused in a project; the gold tasks they ranked until then count no more towards
// another pause. It returns ErrNotFound if they are not paused.
func (db *DB) Resume(ctx context.Context, project, labeler int64) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE pauses SET resumed_at = ?1, resumed_after = (SELECT coalesce(max(ranking_id), 0) FROM gold_scores WHERE labeler_id = ?2 AND project_id = ?3)
			WHERE labeler_id = ?2 AND project_id = ?3 AND resumed_at IS NULL`, db.millis(), labeler, project)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fmt.Errorf("labeler %d is not paused in project %d: %w", labeler, project, ErrNotFound))
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "person.resume", fmt.Sprintf("person %d", labeler), map[string]any{"project": project})
	})
}
