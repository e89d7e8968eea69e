package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Verdict is a ranking as statistics need it: what was compared, by whom, and the researcher's answer where there is one.
type Verdict struct {
	TaskID, PromptID int64
	Kind             string
	RepeatOf         int64 // task that this one repeats; 0 for none
	LabelerID        int64
	CreatedAt        time.Time
	ActiveMS, WallMS int64
	Flags            []string
	Choice           bool // the best was chosen, the rest not compared
	Imported         bool // made elsewhere: times and the order shown are not known
	Extra            bool
	Items            []VerdictItem // (K) in the fixed order of the task's completions
	Shown            []int         // (K) indices into Items in the order the labeler saw them
	Reference        []int         // (K) ranks by the researcher; nil without
}

// VerdictItem is one completion in a verdict.
type VerdictItem struct {
	CompletionID int64
	Model        string
	Length       int                // characters of the text
	Rank         int                // 1 is best, equal ranks are a tie
	Ratings      map[string]float64 // by question; nil if none was asked
}

// SkipRecord is a skip that holds.
type SkipRecord struct {
	LabelerID int64
	CreatedAt time.Time
	Reason    string
	ActiveMS  int64
}

// Evidence is what the figures of a project are computed from. Its functions are called one after another in one snapshot.
type Evidence struct {
	Project func(goldThreshold float64, tasks int) // called first
	Labeler func(Labeler)                          // everybody who has ranked or skipped, by name
	Verdict func(Verdict) error                    // every sealed ranking that no later revision replaced, by task and labeler
	Skip    func(SkipRecord)                       // every skip that holds, by time
}

// ReadEvidence reads a project's rankings and skips in one snapshot, streaming. Rankings of training and example tasks are left
// out. It returns ErrNotFound if there is no such project, and the first error of e.Verdict.
func (db *DB) ReadEvidence(ctx context.Context, project int64, e Evidence) error {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var threshold float64
	var tasks int
	err = tx.QueryRowContext(ctx, `SELECT gold_threshold, (SELECT count(*) FROM tasks WHERE project_id = p.id) FROM projects p WHERE id = ?`, project).Scan(&threshold, &tasks)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("project %d: %w", project, ErrNotFound)
	}
	if err != nil {
		return err
	}
	e.Project(threshold, tasks)
	for _, read := range []func(context.Context, *sql.Tx, int64, Evidence) error{readLabelers, readVerdicts, readSkips} {
		if err := read(ctx, tx, project, e); err != nil {
			return err
		}
	}
	return nil
}

func readLabelers(ctx context.Context, tx *sql.Tx, project int64, e Evidence) error {
	rows, err := tx.QueryContext(ctx, `SELECT l.id, l.name, l.role, l.disabled, l.pseudonym FROM labelers l
		WHERE EXISTS (SELECT 1 FROM rankings r CROSS JOIN tasks t ON t.id = r.task_id WHERE r.labeler_id = l.id AND r.sealed = 1 AND r.replaced = 0
				AND t.project_id = ?1 AND t.kind NOT IN ('training', 'example'))
			OR EXISTS (SELECT 1 FROM skips s CROSS JOIN tasks t ON t.id = s.task_id WHERE s.labeler_id = l.id AND s.undone = 0
				AND t.project_id = ?1 AND t.kind NOT IN ('training', 'example'))
		ORDER BY l.name`, project)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var l Labeler
		if err := rows.Scan(&l.ID, &l.Name, &l.Role, &l.Disabled, &l.Pseudonym); err != nil {
			return err
		}
		e.Labeler(l)
	}
	return rows.Err()
}

// verdictsQuery walks tasks, rankings and items by their indexes, in order, so that nothing is sorted.
const verdictsQuery = `
SELECT r.id, t.id, t.prompt_id, t.kind, coalesce(t.repeat_of, 0), r.labeler_id, r.created_at, r.active_ms, r.wall_ms, r.flags, r.choice, r.imported, r.extra, a.shown,
  i.completion_id, c.model, length(c.text), i.rank, i.ratings, ri.rank, tc.position
FROM tasks t NOT INDEXED
CROSS JOIN rankings r ON r.task_id = t.id AND r.replaced = 0 AND r.sealed = 1
CROSS JOIN assignments a ON a.task_id = r.task_id AND a.labeler_id = r.labeler_id
CROSS JOIN ranking_items i ON i.ranking_id = r.id
CROSS JOIN task_completions tc ON tc.task_id = t.id AND tc.completion_id = i.completion_id
CROSS JOIN completions c ON c.id = i.completion_id
LEFT JOIN reference_items ri ON ri.task_id = t.id AND ri.completion_id = i.completion_id
WHERE t.project_id = ? AND t.kind NOT IN ('training', 'example')
ORDER BY t.id, r.labeler_id, i.completion_id`

// verdictRow is one item with what its ranking says of itself.
type verdictRow struct {
	ranking   int64
	position  int
	reference sql.NullInt64
	shown     string
	flags     string
	ratings   sql.NullString
	item      VerdictItem
	v         Verdict
}

func (r *verdictRow) scan(rows *sql.Rows) error {
	var created int64
	err := rows.Scan(&r.ranking, &r.v.TaskID, &r.v.PromptID, &r.v.Kind, &r.v.RepeatOf, &r.v.LabelerID, &created, &r.v.ActiveMS, &r.v.WallMS, &r.flags,
		&r.v.Choice, &r.v.Imported, &r.v.Extra, &r.shown, &r.item.CompletionID, &r.item.Model, &r.item.Length, &r.item.Rank, &r.ratings, &r.reference, &r.position)
	if err != nil {
		return err
	}
	r.v.CreatedAt = time.UnixMilli(created).UTC()
	if r.ratings.Valid {
		if err := json.Unmarshal([]byte(r.ratings.String), &r.item.Ratings); err != nil {
			return fmt.Errorf("ratings of ranking %d: %w", r.ranking, err)
		}
	}
	return nil
}

func readVerdicts(ctx context.Context, tx *sql.Tx, project int64, e Evidence) error {
	rows, err := tx.QueryContext(ctx, verdictsQuery, project)
	if err != nil {
		return err
	}
	defer rows.Close()
	var held []verdictRow // of one ranking
	for rows.Next() {
		var r verdictRow
		if err := r.scan(rows); err != nil {
			return err
		}
		if len(held) > 0 && held[0].ranking != r.ranking {
			if err := finishVerdict(held, e); err != nil {
				return err
			}
			held = held[:0]
		}
		held = append(held, r)
	}
	if err := rows.Err(); err != nil || len(held) == 0 {
		return err
	}
	return finishVerdict(held, e)
}

// finishVerdict hands on the ranking that the rows hold.
func finishVerdict(held []verdictRow, e Evidence) error {
	slices.SortFunc(held, func(a, b verdictRow) int { return cmp.Compare(a.position, b.position) })
	v := held[0].v
	for _, r := range held {
		v.Items = append(v.Items, r.item)
		if r.reference.Valid {
			v.Reference = append(v.Reference, int(r.reference.Int64))
		}
	}
	if len(v.Reference) != len(v.Items) {
		v.Reference = nil
	}
	var shown []int64
	if err := json.Unmarshal([]byte(held[0].shown), &shown); err != nil {
		return fmt.Errorf("order shown with ranking %d: %w", held[0].ranking, err)
	}
	for _, id := range shown {
		at := slices.IndexFunc(v.Items, func(i VerdictItem) bool { return i.CompletionID == id })
		if at < 0 {
			return fmt.Errorf("order shown with ranking %d: completion %d is not of the task: the database is damaged", held[0].ranking, id)
		}
		v.Shown = append(v.Shown, at)
	}
	if err := json.Unmarshal([]byte(held[0].flags), &v.Flags); err != nil {
		return fmt.Errorf("flags of ranking %d: %w", held[0].ranking, err)
	}
	return e.Verdict(v)
}

func readSkips(ctx context.Context, tx *sql.Tx, project int64, e Evidence) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.labeler_id, s.created_at, s.reason, s.active_ms FROM skips s CROSS JOIN tasks t ON t.id = s.task_id
		WHERE s.undone = 0 AND t.project_id = ? AND t.kind NOT IN ('training', 'example') ORDER BY s.created_at, s.id`, project)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s SkipRecord
		var created int64
		if err := rows.Scan(&s.LabelerID, &created, &s.Reason, &s.ActiveMS); err != nil {
			return err
		}
		s.CreatedAt = time.UnixMilli(created).UTC()
		e.Skip(s)
	}
	return rows.Err()
}

// EvidenceVersion changes whenever the figures of a project may: with each ranking, skip and change by an admin.
func (db *DB) EvidenceVersion(ctx context.Context) (version string, err error) {
	var rankings, skips, undone, audit int64
	err = db.r.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(id), 0) FROM rankings), (SELECT coalesce(max(id), 0) FROM skips),
		(SELECT count(*) FROM skips WHERE undone = 1), (SELECT coalesce(max(id), 0) FROM audit)`).Scan(&rankings, &skips, &undone, &audit)
	return fmt.Sprintf("%d/%d/%d/%d", rankings, skips, undone, audit), err
}
