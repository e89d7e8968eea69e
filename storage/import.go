package storage

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// MinK and MaxK bound the completions of a task.
const (
	MinK = 2
	MaxK = 9
)

// Task is a prompt with the completions to rank.
type Task struct {
	Prompt      string
	Tokens      []int32 // of the prompt; nil if not known
	Completions []Completion
	Project     int64      // id; 0 is DefaultProject
	Kind        string     // KindNormal and so on; "" is KindNormal
	System      string     // instruction above a plain prompt
	Messages    []Message  // the conversation, of which Prompt is the transcript; nil for a plain prompt
	Overlap     int        // rankings wanted, each by another labeler; 0: one of everybody
	Priority    int        // greater goes first
	AssignedTo  string     // name of the only labeler who gets it; "" for anyone
	Reference   *Reference // the researcher's own answer; nil if there is none
}

// Completion is one of the texts to rank.
type Completion struct {
	ID       int64 // set on reading
	Model    string
	Text     string
	Messages []Message       // what answers a conversation, if it is more than one turn of text; else nil
	External string          // the source's own id; "" for none
	Tokens   []int32         // nil if not known
	Sampling json.RawMessage // settings it was sampled with, a JSON object; nil if not known
}

// AddTasks adds tasks with their prompts and completions, all or none. A prompt
// that is there already is used again. Errors name the task by its index.
func (db *DB) AddTasks(ctx context.Context, tasks []Task) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		for i, t := range tasks {
			if _, _, err := db.addTask(ctx, tx, t); err != nil {
				return fmt.Errorf("task %d: %w", i, err)
			}
		}
		if len(tasks) == 0 {
			return nil
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "tasks.add", object("project", cmp.Or(tasks[0].Project, DefaultProject)), map[string]any{"tasks": len(tasks)})
	})
}

// addTask returns the new task's id and its completions with theirs.
func (db *DB) addTask(ctx context.Context, tx *sql.Tx, t Task) (id int64, completions []Completion, err error) {
	if k := len(t.Completions); k < MinK || k > MaxK {
		return 0, nil, fmt.Errorf("%d completions, expected %d to %d", k, MinK, MaxK)
	}
	prompt, err := addPrompt(ctx, tx, t)
	if err != nil {
		return 0, nil, err
	}
	var assigned any
	if t.AssignedTo != "" {
		l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE name = ?`, t.AssignedTo), t.AssignedTo)
		if err != nil {
			return 0, nil, fmt.Errorf("assigned to %w", err)
		}
		assigned = l.ID
	}
	t.Project = cmp.Or(t.Project, DefaultProject)
	digest, err := t.digest()
	if err != nil {
		return 0, nil, err
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO tasks (project_id, prompt_id, kind, overlap, priority, assigned_to, digest, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		t.Project, prompt, cmp.Or(t.Kind, KindNormal), t.Overlap, t.Priority, assigned, digest, db.millis())
	if err != nil {
		return 0, nil, err
	}
	if id, err = r.LastInsertId(); err != nil {
		return 0, nil, err
	}
	if completions, err = addCompletions(ctx, tx, id, prompt, t.Completions); err != nil {
		return 0, nil, err
	}
	if t.Reference != nil {
		err = db.putReference(ctx, tx, id, *t.Reference)
	}
	return id, completions, err
}

// addPrompt returns the id of a task's prompt, which is there once.
func addPrompt(ctx context.Context, tx *sql.Tx, t Task) (id int64, err error) {
	messages, err := messagesText(t.Messages)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO prompts (text, tokens, system, messages) VALUES (?, ?, ?, ?)
		ON CONFLICT (text, system, coalesce(messages, '')) DO UPDATE SET tokens = coalesce(tokens, excluded.tokens) RETURNING id`,
		t.Prompt, tokensText(t.Tokens), t.System, messages).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("prompt: %w", err)
	}
	return id, nil
}

func addCompletions(ctx context.Context, tx *sql.Tx, task, prompt int64, list []Completion) (out []Completion, err error) {
	out = append(out, list...)
	for k := range out {
		c := &out[k]
		var sampling any
		if c.Sampling != nil {
			sampling = string(c.Sampling)
		}
		turns, err := messagesText(c.Messages)
		if err != nil {
			return nil, err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO completions (prompt_id, model, text, tokens, sampling, messages, external_id) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			prompt, c.Model, c.Text, tokensText(c.Tokens), sampling, turns, c.External)
		if err != nil {
			return nil, fmt.Errorf("completion %d: %w", k, err)
		}
		if c.ID, err = r.LastInsertId(); err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO task_completions (task_id, prompt_id, position, completion_id) VALUES (?, ?, ?, ?)`, task, prompt, k, c.ID); err != nil {
			return nil, fmt.Errorf("completion %d: %w", k, err)
		}
	}
	return out, nil
}

// Added is what adding rankings came to.
type Added struct {
	Rankings int
	Tasks    int // that were not there before
	Extra    int // rankings marked extra, since their task had as many as are wanted of it
}

// AddRankings adds rankings made elsewhere to a project (0 is DefaultProject), all or none. Rankings of the same
// completions, in whatever order, are of one task, which may be there before; a labeler's second one of it makes a task
// of its own. Labelers are found by pseudonym, then by name; who is not known is created, without a password. Errors
// name the ranking by its index.
func (db *DB) AddRankings(ctx context.Context, project int64, rankings []Ranking) (added Added, err error) {
	project = cmp.Or(project, DefaultProject)
	if err := db.fillDigests(ctx, project); err != nil {
		return Added{}, err
	}
	err = db.write(ctx, func(tx *sql.Tx) error {
		added = Added{}
		for i, r := range rankings {
			if err := db.addRanking(ctx, tx, project, r, &added); err != nil {
				return fmt.Errorf("ranking %d: %w", i, err)
			}
		}
		if len(rankings) == 0 {
			return nil
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "rankings.add", object("project", project), map[string]any{"rankings": added.Rankings, "tasks": added.Tasks})
	})
	return added, err
}

func (db *DB) addRanking(ctx context.Context, tx *sql.Tx, project int64, r Ranking, added *Added) error {
	if err := CheckRanks(r.Ranks, len(r.Completions)); err != nil {
		return err
	}
	if r.Items != nil && len(r.Items) != len(r.Completions) {
		return fmt.Errorf("%d items for %d completions", len(r.Items), len(r.Completions))
	}
	l, err := db.importedLabeler(ctx, tx, r.Labeler)
	if err != nil {
		return err
	}
	task := Task{Prompt: r.Prompt, Tokens: r.PromptTokens, Project: project, System: r.System, Messages: r.Messages, Completions: r.Completions, Overlap: 1}
	id, completions, err := findTask(ctx, tx, task, l.ID)
	if err != nil {
		return err
	}
	var full, ours bool // by rankings that all were made elsewhere
	if id == 0 {
		if id, completions, err = db.addTask(ctx, tx, task); err != nil {
			return err
		}
		added.Tasks++
		if r.Extra { // nobody is to be asked for the one that would count
			_, err = tx.ExecContext(ctx, `UPDATE tasks SET withdrawn = 1 WHERE id = ?`, id)
		}
	} else {
		err = tx.QueryRowContext(ctx, `SELECT overlap > 0 AND done >= overlap, NOT EXISTS (SELECT 1 FROM rankings WHERE task_id = ?1 AND imported = 0)
			FROM tasks WHERE id = ?1`, id).Scan(&full, &ours)
	}
	if err != nil {
		return err
	}
	if full && !r.Extra {
		if ours {
			_, err = tx.ExecContext(ctx, `UPDATE tasks SET overlap = done + 1 WHERE id = ?`, id)
		} else {
			r.Extra = true
			added.Extra++
		}
	}
	if err != nil {
		return err
	}
	added.Rankings++
	return putImported(ctx, tx, id, l.ID, completions, r)
}

// putImported writes a ranking made elsewhere of a task's completions, which stand in the order of the ranking's.
func putImported(ctx context.Context, tx *sql.Tx, task, labelerID int64, completions []Completion, r Ranking) error {
	var at int64 // 0: not known
	if !r.CreatedAt.IsZero() {
		at = r.CreatedAt.UnixMilli()
	}
	shown := []int64{} // none: not known
	for _, k := range r.Shown {
		if k < 0 || k >= len(completions) {
			return fmt.Errorf("shown: found %v for %d completions", r.Shown, len(completions))
		}
		shown = append(shown, completions[k].ID)
	}
	order, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	var public [16]byte
	rand.Read(public[:]) // never fails
	if _, err := tx.ExecContext(ctx, `INSERT INTO assignments (public_id, task_id, labeler_id, shown, created_at, expires_at, done) VALUES (?, ?, ?, ?, ?, ?, 1)`,
		hex.EncodeToString(public[:]), task, labelerID, string(order), at, at); err != nil {
		return err
	}
	flags, meta := []byte("[]"), any(nil)
	if len(r.Flags) > 0 {
		if flags, err = plainJSON(r.Flags); err != nil {
			return err
		}
	}
	if r.Meta != nil {
		raw, err := plainJSON(r.Meta)
		if err != nil {
			return err
		}
		meta = string(raw)
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO rankings (task_id, labeler_id, created_at, active_ms, wall_ms, comment, confidence, choice, flags, guideline, group_id, meta, imported, extra)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)`,
		task, labelerID, at, r.ActiveMS, r.WallMS, r.Comment, r.Confidence, r.Choice, string(flags), r.Guideline, r.GroupID, meta, r.Extra)
	if err != nil {
		return err
	}
	id, err := res.LastInsertId()
	if err != nil {
		return err
	}
	for k, c := range completions {
		var item Item
		if r.Items != nil {
			item = r.Items[k]
		}
		var ratings any
		if item.Ratings != nil {
			raw, err := json.Marshal(item.Ratings)
			if err != nil {
				return err
			}
			ratings = string(raw)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO ranking_items (ranking_id, task_id, completion_id, rank, score, label, ratings, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			id, task, c.ID, r.Ranks[k], item.Score, item.Label, ratings, item.Note); err != nil {
			return fmt.Errorf("completion %d: %w", k, err)
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE rankings SET sealed = 1 WHERE id = ?`, id)
	return err
}

// importedLabeler returns whom a file calls name: who has it as pseudonym or as name, else a new labeler who cannot sign in.
func (db *DB) importedLabeler(ctx context.Context, tx *sql.Tx, name string) (Labeler, error) {
	l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE pseudonym = ?1 OR name = ?1 ORDER BY pseudonym = ?1 DESC LIMIT 1`, name), name)
	if !isNotFound(err) {
		return l, err
	}
	return insertLabeler(ctx, tx, Labeler{Name: name, Role: RoleLabeler}, name, db.millis())
}

// known is the time of a row, which is the zero time for 0 of a ranking made elsewhere.
func known(at int64, imported bool) time.Time {
	if at == 0 && imported {
		return time.Time{}
	}
	return time.UnixMilli(at).UTC()
}
