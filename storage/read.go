package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Ranking is one labeler's ranking of a task's completions.
type Ranking struct {
	ID           int64
	TaskID       int64
	Project      int64  // id
	Kind         string // of the task
	Prompt       string
	System       string    // instruction above a plain prompt
	Messages     []Message // the conversation, of which Prompt is the transcript; nil for a plain prompt
	PromptTokens []int32   // nil if not known
	Completions  []Completion
	Ranks        []int  // (K) of Completions
	Items        []Item // (K) of Completions; nil if nothing is said of them but their ranks
	LabelerID    int64
	Labeler      string // name; of a ranking to add, a pseudonym or a name
	Pseudonym    string
	Revision     int       // 1 is the first
	CreatedAt    time.Time // zero if not known
	ActiveMS     int64     // with the page in view and in use
	WallMS       int64     // from shown to sent
	Comment      string
	Confidence   *float64 // nil if not asked
	Choice       bool     // the best was chosen, and the rest not compared with one another
	Flags        []string // nil for none
	Guideline    string   // version of the guidelines it was made under; "" if there were none
	GroupID      string   // an imported file's
	Meta         map[string]json.RawMessage
	Imported     bool  // made elsewhere
	Extra        bool  // beyond the overlap
	Shown        []int // (K) indices into Completions in the order the labeler saw them; nil if not known
}

// Item is what a ranking says of one completion beside its rank.
type Item struct {
	Score   *float64
	Label   *bool
	Ratings map[string]float64 // "overall" from 1 to 7, and 0 or 1 by question
	Note    string
}

func (i Item) says() bool {
	return i.Score != nil || i.Label != nil || i.Ratings != nil || i.Note != ""
}

// Filter chooses rankings. The zero value takes all that are data: sealed, not replaced by a later revision, and of other
// kinds of tasks than training and examples.
type Filter struct {
	Project int64    // id; 0 takes every project's
	Kinds   []string // of the tasks; nil is DataKinds
}

// DataKinds are the kinds of tasks whose rankings are data: all that real tasks have.
var DataKinds = []string{KindNormal, KindCalibration, KindGold, KindHoneypot, KindRepeat}

// where returns the condition on tasks t and its arguments.
func (f Filter) where() (string, []any) {
	kinds := f.Kinds
	if kinds == nil {
		kinds = DataKinds
	}
	args := []any{f.Project}
	for _, k := range kinds {
		args = append(args, k)
	}
	return `(?1 = 0 OR t.project_id = ?1) AND t.kind IN (` + strings.TrimSuffix(strings.Repeat("?, ", len(kinds)), ", ") + `)`, args
}

// View is the database as it was at one moment. It may not be used concurrently.
type View struct{ tx *sql.Tx }

// View calls f with what the database holds when it begins, whatever is written meanwhile.
func (db *DB) View(ctx context.Context, f func(v *View) error) error {
	tx, err := db.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(&View{tx})
}

// Rankings calls each for every ranking that f takes; see View.Rankings.
func (db *DB) Rankings(ctx context.Context, f Filter, each func(Ranking) error) error {
	return db.View(ctx, func(v *View) error { return v.Rankings(ctx, f, each) })
}

// rankingsQuery walks the index of current rankings, so that they come by task and labeler without being sorted. The
// joins are in the order of the tables.
const rankingsQuery = `
SELECT r.id, r.task_id, t.project_id, t.kind, p.text, p.system, p.messages, p.tokens, r.labeler_id, l.name, l.pseudonym, r.revision, r.created_at, r.active_ms, r.wall_ms,
       r.comment, r.confidence, r.choice, r.flags, iif(r.guideline_id IS NULL, r.guideline, g.version), r.group_id, r.meta, r.imported, r.extra, a.shown,
       tc.position, c.id, c.model, c.text, c.messages, c.external_id, c.tokens, c.sampling, i.rank, i.score, i.label, i.ratings, i.note
FROM rankings r INDEXED BY rankings_current
CROSS JOIN tasks t ON t.id = r.task_id
CROSS JOIN prompts p ON p.id = t.prompt_id
CROSS JOIN labelers l ON l.id = r.labeler_id
CROSS JOIN assignments a ON a.task_id = r.task_id AND a.labeler_id = r.labeler_id
LEFT JOIN guidelines g ON g.id = r.guideline_id
CROSS JOIN ranking_items i ON i.ranking_id = r.id
CROSS JOIN task_completions tc ON tc.task_id = r.task_id AND tc.completion_id = i.completion_id
CROSS JOIN completions c ON c.id = i.completion_id
WHERE r.replaced = 0 AND r.sealed = 1 AND `

// Rankings calls each for every ranking that f takes, by task and then by labeler in the order in which they joined: an
// order that does not depend on who was first. They are streamed. The first error ends it.
func (v *View) Rankings(ctx context.Context, f Filter, each func(Ranking) error) error {
	where, args := f.where()
	rows, err := v.tx.QueryContext(ctx, rankingsQuery+where+` ORDER BY r.task_id, r.labeler_id`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var current rankingRows
	count := 0
	flush := func() error {
		if current.ID == 0 {
			return nil
		}
		count++
		r, err := current.finish()
		if err != nil {
			return err
		}
		return each(r)
	}
	for rows.Next() {
		next, item, err := scanRanking(rows)
		if err != nil {
			return err
		}
		if next.ID != current.ID {
			if err := flush(); err != nil {
				return err
			}
			current = next
		}
		current.rows = append(current.rows, item)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	// In the same snapshot: a ranking that the joins lose would be missing from every export without a word.
	var sealed int
	if err := v.tx.QueryRowContext(ctx, `SELECT count(*) FROM rankings r JOIN tasks t ON t.id = r.task_id WHERE r.replaced = 0 AND r.sealed = 1 AND `+where, args...).Scan(&sealed); err != nil {
		return err
	}
	if sealed != count {
		return fmt.Errorf("read %d rankings, expected the %d that are sealed: the database is damaged", count, sealed)
	}
	return nil
}

// rankingRows is a ranking as its rows are read.
type rankingRows struct {
	Ranking
	shown, flags                  string
	messages, promptTokens, extra sql.NullString // extra is the meta column
	rows                          []itemRow
}

type itemRow struct {
	position int
	Completion
	rank int
	Item
}

func scanRanking(rows *sql.Rows) (r rankingRows, item itemRow, err error) {
	var created int64
	var messages, tokens, sampling, ratings sql.NullString
	c := &item.Completion
	err = rows.Scan(&r.ID, &r.TaskID, &r.Project, &r.Kind, &r.Prompt, &r.System, &r.messages, &r.promptTokens, &r.LabelerID, &r.Labeler, &r.Pseudonym, &r.Revision, &created, &r.ActiveMS, &r.WallMS,
		&r.Comment, &r.Confidence, &r.Choice, &r.flags, &r.Guideline, &r.GroupID, &r.extra, &r.Imported, &r.Extra, &r.shown,
		&item.position, &c.ID, &c.Model, &c.Text, &messages, &c.External, &tokens, &sampling, &item.rank, &item.Score, &item.Label, &ratings, &item.Note)
	if err != nil {
		return r, item, err
	}
	r.CreatedAt = known(created, r.Imported)
	if err := c.parse(messages, tokens, sampling); err != nil {
		return r, item, err
	}
	if ratings.Valid {
		err = json.Unmarshal([]byte(ratings.String), &item.Ratings)
	}
	return r, item, err
}

// finish makes the ranking of its rows.
func (r *rankingRows) finish() (out Ranking, err error) {
	slices.SortFunc(r.rows, func(a, b itemRow) int { return a.position - b.position })
	out = r.Ranking
	says := false
	for _, row := range r.rows {
		out.Completions, out.Ranks, out.Items = append(out.Completions, row.Completion), append(out.Ranks, row.rank), append(out.Items, row.Item)
		says = says || row.Item.says()
	}
	if !says {
		out.Items = nil
	}
	if out.Messages, err = parseMessages(r.messages); err != nil {
		return out, err
	}
	if out.PromptTokens, err = parseTokens(r.promptTokens); err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(r.flags), &out.Flags); err != nil {
		return out, err
	}
	if len(out.Flags) == 0 {
		out.Flags = nil
	}
	if r.extra.Valid {
		if err := json.Unmarshal([]byte(r.extra.String), &out.Meta); err != nil {
			return out, err
		}
	}
	var ids []int64
	if err := json.Unmarshal([]byte(r.shown), &ids); err != nil {
		return out, err
	}
	for _, id := range ids {
		at := slices.IndexFunc(out.Completions, func(c Completion) bool { return c.ID == id })
		if at < 0 {
			return out, fmt.Errorf("task %d was shown with completion %d, which is not its own: the database is damaged", out.TaskID, id)
		}
		out.Shown = append(out.Shown, at)
	}
	return out, nil
}

// Counts is how much a filter takes.
type Counts struct {
	Rankings    int `json:"rankings"`
	Tasks       int `json:"tasks"`
	Labelers    int `json:"labelers"`
	Completions int `json:"completions"` // ranked, once in each ranking
	Ties        int `json:"ties"`        // rankings in which completions share a rank, but for choices of the best alone
	Extra       int `json:"extra"`       // rankings beyond the overlap
}

// Count counts what f takes, in the snapshot and without reading texts.
func (v *View) Count(ctx context.Context, f Filter) (c Counts, err error) {
	where, args := f.where()
	err = v.tx.QueryRowContext(ctx, `
		SELECT count(*), count(DISTINCT r.task_id), count(DISTINCT r.labeler_id), coalesce(sum(r.extra), 0),
			coalesce(sum((SELECT count(*) FROM ranking_items i WHERE i.ranking_id = r.id)), 0),
			coalesce(sum(r.choice = 0 AND (SELECT count(DISTINCT rank) < count(*) FROM ranking_items i WHERE i.ranking_id = r.id)), 0)
		FROM rankings r JOIN tasks t ON t.id = r.task_id WHERE r.replaced = 0 AND r.sealed = 1 AND `+where, args...).
		Scan(&c.Rankings, &c.Tasks, &c.Labelers, &c.Extra, &c.Completions, &c.Ties)
	return c, err
}

func parseMessages(text sql.NullString) (messages []Message, err error) {
	if text.Valid {
		err = json.Unmarshal([]byte(text.String), &messages)
	}
	return messages, err
}

// Decisions calls each for the reviewers' decisions on tasks that f takes, by task, as rankings: the labeler is the
// reviewer, and the comment their note.
func (v *View) Decisions(ctx context.Context, f Filter, each func(Ranking) error) error {
	where, args := f.where()
	rows, err := v.tx.QueryContext(ctx, `SELECT d.id, d.task_id, d.created_at, d.note, l.id, l.name, l.pseudonym, t.project_id, t.kind
		FROM decisions d JOIN tasks t ON t.id = d.task_id JOIN labelers l ON l.id = d.reviewer_id
		WHERE d.replaced = 0 AND `+where+` ORDER BY d.task_id`, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Ranking
		var at int64
		if err := rows.Scan(&r.ID, &r.TaskID, &at, &r.Comment, &r.LabelerID, &r.Labeler, &r.Pseudonym, &r.Project, &r.Kind); err != nil {
			return err
		}
		r.CreatedAt = time.UnixMilli(at).UTC()
		t, err := readTask(ctx, v.tx, r.TaskID)
		if err != nil {
			return err
		}
		r.Prompt, r.System, r.Messages, r.PromptTokens, r.Completions = t.Prompt, t.System, t.Messages, t.Tokens, t.Completions
		if r.Ranks, err = decisionRanks(ctx, v.tx, r.ID); err != nil {
			return err
		}
		if err := CheckRanks(r.Ranks, len(r.Completions)); err != nil {
			return fmt.Errorf("decision %d: %w", r.ID, err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// decisionRanks returns the ranks of a decision in the order of the task's completions.
func decisionRanks(ctx context.Context, q queryer, decision int64) (ranks []int, err error) {
	rows, err := q.QueryContext(ctx, `SELECT i.rank FROM decision_items i JOIN task_completions tc ON tc.task_id = i.task_id AND tc.completion_id = i.completion_id
		WHERE i.decision_id = ? ORDER BY tc.position`, decision)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var rank int
		if err := rows.Scan(&rank); err != nil {
			return nil, err
		}
		ranks = append(ranks, rank)
	}
	return ranks, rows.Err()
}
