package storage

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Checked is what Check looked at.
type Checked struct {
	Tasks    int
	Rankings int      // sealed, with those that were replaced
	Wrong    []string // what is wrong, a sentence each; nil if nothing is
}

// maxWrong is how many cases of one kind are named.
const maxWrong = 5

// invariant is something that no row may show. The query returns, for each that does, a text that names it.
type invariant struct{ what, query string }

var invariants = []invariant{
	{"a ranking was left unsealed", `SELECT 'ranking ' || id FROM rankings WHERE sealed = 0`},
	{"a ranking does not cover exactly its task's completions", `SELECT 'ranking ' || r.id FROM rankings r WHERE r.sealed = 1 AND (
		(SELECT count(*) FROM ranking_items i WHERE i.ranking_id = r.id) <> (SELECT count(*) FROM task_completions tc WHERE tc.task_id = r.task_id)
		OR EXISTS (SELECT 1 FROM task_completions tc WHERE tc.task_id = r.task_id AND NOT EXISTS (SELECT 1 FROM ranking_items i WHERE i.ranking_id = r.id AND i.completion_id = tc.completion_id)))`},
	{"ranks are not 1 to m without a gap", `SELECT 'ranking ' || ranking_id FROM ranking_items GROUP BY ranking_id HAVING count(DISTINCT rank) <> max(rank) OR min(rank) <> 1`},
	{"a task's count of rankings is wrong", `SELECT 'task ' || t.id || ' says ' || t.done || ' and has ' || n FROM
		(SELECT id, done, (SELECT count(*) FROM rankings r WHERE r.task_id = tasks.id AND r.sealed = 1 AND r.replaced = 0 AND r.extra = 0) AS n FROM tasks) t WHERE t.done <> n`},
	{"a task has more rankings than are wanted, and they are not marked extra", `SELECT 'task ' || id || ' has ' || done || ' of ' || overlap FROM tasks WHERE overlap > 0 AND done > overlap`},
	{"a task is open and has what is wanted, or the other way round", `SELECT 'task ' || id FROM tasks WHERE open <> (overlap = 0 OR done < overlap)`},
	{"a task has not 2 to 9 completions in places without a gap", `SELECT 'task ' || t.id FROM tasks t LEFT JOIN task_completions tc ON tc.task_id = t.id
		GROUP BY t.id HAVING count(tc.completion_id) NOT BETWEEN 2 AND 9 OR max(tc.position) <> count(tc.completion_id) - 1`},
	{"a task is of another prompt than its completions", `SELECT 'task ' || t.id FROM tasks t JOIN task_completions tc ON tc.task_id = t.id JOIN completions c ON c.id = tc.completion_id
		WHERE c.prompt_id <> t.prompt_id OR tc.prompt_id <> t.prompt_id`},
	{"revisions of a ranking are not 1 to n, of which the last holds", `SELECT 'task ' || task_id || ', labeler ' || labeler_id FROM rankings GROUP BY task_id, labeler_id
		HAVING max(revision) <> count(*) OR sum(replaced = 0) > 1 OR max(iif(replaced = 0, revision, 0)) NOT IN (0, max(revision))`},
	{"the order shown is no permutation of a task's completions", `SELECT 'assignment ' || a.id FROM assignments a WHERE a.shown <> '[]' AND (
		json_array_length(a.shown) <> (SELECT count(*) FROM task_completions tc WHERE tc.task_id = a.task_id)
		OR EXISTS (SELECT 1 FROM task_completions tc WHERE tc.task_id = a.task_id AND tc.completion_id NOT IN (SELECT value FROM json_each(a.shown))))`},
	{"an order shown is missing", `SELECT 'assignment ' || a.id FROM assignments a WHERE a.shown = '[]' AND NOT EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = a.task_id AND r.labeler_id = a.labeler_id AND r.imported = 1)`},
	{"an assignment is not done and its task is ranked or skipped", `SELECT 'assignment ' || a.id FROM assignments a WHERE a.done = 0 AND (
		EXISTS (SELECT 1 FROM rankings r WHERE r.task_id = a.task_id AND r.labeler_id = a.labeler_id AND r.replaced = 0 AND r.sealed = 1)
		OR EXISTS (SELECT 1 FROM skips s WHERE s.task_id = a.task_id AND s.labeler_id = a.labeler_id AND s.undone = 0))`},
	{"a reference does not rank exactly its task's completions, 1 to m without a gap", `SELECT 'task ' || f.task_id FROM task_references f
		WHERE (SELECT count(*) FROM reference_items i WHERE i.task_id = f.task_id) <> (SELECT count(*) FROM task_completions tc WHERE tc.task_id = f.task_id)
		OR (SELECT count(DISTINCT rank) <> max(rank) FROM reference_items i WHERE i.task_id = f.task_id)`},
	{"a decision does not rank exactly its task's completions, 1 to m without a gap", `SELECT 'decision ' || d.id FROM decisions d
		WHERE (SELECT count(*) FROM decision_items i WHERE i.decision_id = d.id) <> (SELECT count(*) FROM task_completions tc WHERE tc.task_id = d.task_id)
		OR (SELECT count(DISTINCT rank) <> max(rank) FROM decision_items i WHERE i.decision_id = d.id)`},
	{"a task repeats one of another prompt, or is nobody's", `SELECT 'task ' || t.id FROM tasks t LEFT JOIN tasks o ON o.id = t.repeat_of
		WHERE t.kind = 'repeat' AND (o.prompt_id IS NOT t.prompt_id OR t.assigned_to IS NULL)`},
	{"a ranking was made under the guidelines of another project", `SELECT 'ranking ' || r.id FROM rankings r JOIN tasks t ON t.id = r.task_id JOIN guidelines g ON g.id = r.guideline_id WHERE g.project_id <> t.project_id`},
	{"a count of tasks to give out is wrong", `SELECT 'project ' || project_id || ', ' || kind || ' says ' || free || ' and has ' || n FROM (SELECT s.*,
		(SELECT count(*) FROM tasks t WHERE t.project_id = s.project_id AND t.kind = s.kind AND t.open = 1 AND t.withdrawn = 0 AND t.assigned_to IS NULL) AS n FROM stocks s) WHERE free <> n`},
	{"a count of a labeler's tasks is wrong", `WITH counted AS (SELECT a.labeler_id, t.project_id, t.kind, count(*) AS given, sum(a.done) AS done,
			sum(a.done = 1 AND t.open = 1 AND t.withdrawn = 0 AND (t.assigned_to IS NULL OR t.assigned_to = a.labeler_id)) AS covered
			FROM assignments a JOIN tasks t ON t.id = a.task_id GROUP BY a.labeler_id, t.project_id, t.kind)
		SELECT 'labeler ' || labeler_id || ', project ' || project_id || ', ' || kind FROM (
			SELECT * FROM counted EXCEPT SELECT labeler_id, project_id, kind, given, done, covered FROM tallies
			UNION SELECT labeler_id, project_id, kind, given, done, covered FROM tallies y WHERE (given, done, covered) <> (0, 0, 0)
				AND NOT EXISTS (SELECT 1 FROM assignments a JOIN tasks t ON t.id = a.task_id WHERE a.labeler_id = y.labeler_id AND t.project_id = y.project_id AND t.kind = y.kind))`},
	{"a labeler's search passes over a task that they have not done", `SELECT 'labeler ' || f.labeler_id || ', task ' || t.id FROM frontiers f JOIN tasks t ON t.project_id = f.project_id AND t.kind = f.kind
		WHERE t.open = 1 AND t.withdrawn = 0 AND t.assigned_to IS NULL AND (t.priority > f.priority OR t.priority = f.priority AND t.id <= f.task_id)
		AND NOT EXISTS (SELECT 1 FROM assignments a WHERE a.task_id = t.id AND a.labeler_id = f.labeler_id AND a.done = 1)`},
	{"a gold task's score is another labeler's or project's", `SELECT 'ranking ' || g.ranking_id FROM gold_scores g JOIN rankings r ON r.id = g.ranking_id JOIN tasks t ON t.id = r.task_id
		WHERE g.labeler_id <> r.labeler_id OR g.project_id <> t.project_id`},
	{"versions of guidelines are not 1 to n", `SELECT 'project ' || project_id FROM guidelines GROUP BY project_id HAVING max(version) <> count(*)`},
	{"a forgotten labeler has a name or a password", `SELECT 'labeler ' || id FROM labelers WHERE forgotten_at IS NOT NULL AND (name <> pseudonym OR password_hash <> '')`},
}

// CheckFile checks a database file as Check does, and changes nothing of it: a file of an older version is not brought up to date.
func CheckFile(ctx context.Context, path string) (Checked, error) {
	if _, err := os.Stat(path); err != nil {
		return Checked{}, err
	}
	db, err := open(path)
	if err != nil {
		return Checked{}, fmt.Errorf("open database %s: %w", path, err)
	}
	c, err := db.Check(ctx)
	if err != nil {
		err = fmt.Errorf("check %s: %w", path, err)
	}
	return c, errors.Join(err, db.Close())
}

// Check reads the whole database and returns what is wrong with it: the file itself, its schema, references to rows that
// are not there, and everything that the rows must agree on. An error says that it could not be read to the end.
func (db *DB) Check(ctx context.Context) (c Checked, err error) {
	schema, err := freshSchema(ctx)
	if err != nil {
		return c, err
	}
	err = db.View(ctx, func(v *View) error {
		for _, part := range []func(context.Context, *View) error{c.file, c.references, func(ctx context.Context, v *View) error { return c.schema(ctx, v, schema) }, c.rows, c.digests, c.texts} {
			if err := part(ctx, v); err != nil {
				return err
			}
		}
		return v.tx.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM rankings WHERE sealed = 1)`).Scan(&c.Tasks, &c.Rankings)
	})
	if err != nil && len(c.Wrong) > 0 {
		c.Wrong, err = append(c.Wrong, "nothing more could be read: "+err.Error()), nil
	}
	return c, err
}

func (c *Checked) file(ctx context.Context, v *View) error {
	found, _, err := texts(ctx, v, `PRAGMA integrity_check(20)`)
	if err != nil {
		return fmt.Errorf("the file is damaged: %w", err)
	}
	for _, line := range found {
		if line != "ok" {
			c.Wrong = append(c.Wrong, "the file is damaged: "+line)
		}
	}
	return nil
}

func (c *Checked) references(ctx context.Context, v *View) error {
	rows, err := v.tx.QueryContext(ctx, `PRAGMA foreign_key_check`)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var table, parent string
		var row sql.NullInt64
		var key int
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return err
		}
		if n++; n <= maxWrong {
			c.Wrong = append(c.Wrong, fmt.Sprintf("row %d of %s refers to a row of %s that does not exist", row.Int64, table, parent))
		}
	}
	if n > maxWrong {
		c.Wrong = append(c.Wrong, fmt.Sprintf("and %d more rows refer to rows that do not exist", n-maxWrong))
	}
	return rows.Err()
}

const schemaQuery = `SELECT type || ' ' || name || ': ' || coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name`

// freshSchema returns what a new database consists of.
func freshSchema(ctx context.Context) (out []string, err error) {
	dir, err := os.MkdirTemp("", "rlhf-check-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	db, err := Open(ctx, filepath.Join(dir, "new.db"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = db.View(ctx, func(v *View) error { out, _, err = texts(ctx, v, schemaQuery); return err })
	return out, err
}

func (c *Checked) schema(ctx context.Context, v *View, want []string) error {
	var version, newest int64
	if err := v.tx.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version WHERE is_applied = 1`).Scan(&version); err != nil {
		return err
	}
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(files[len(files)-1].Name(), "%d_", &newest); err != nil {
		return err
	}
	if version != newest {
		return fmt.Errorf("its schema has version %d and this program's %d; any other label command brings it up to date", version, newest)
	}
	got, _, err := texts(ctx, v, schemaQuery)
	if err != nil {
		return err
	}
	name := func(s string) string { name, _, _ := bytes.Cut([]byte(s), []byte{':'}); return string(name) }
	for _, s := range want {
		if !slices.Contains(got, s) {
			c.Wrong = append(c.Wrong, fmt.Sprintf("the schema's %s is missing or another", name(s)))
		}
	}
	for _, s := range got {
		if !slices.ContainsFunc(want, func(w string) bool { return name(w) == name(s) }) {
			c.Wrong = append(c.Wrong, fmt.Sprintf("the schema has a %s that is not ours", name(s)))
		}
	}
	return nil
}

func (c *Checked) rows(ctx context.Context, v *View) error {
	for _, i := range invariants {
		found, n, err := texts(ctx, v, i.query)
		if err != nil {
			return fmt.Errorf("%s? %w", i.what, err)
		}
		c.some(i.what, found, n)
	}
	return nil
}

// some adds the first of n cases.
func (c *Checked) some(what string, found []string, n int) {
	for _, f := range found[:min(maxWrong, len(found))] {
		c.Wrong = append(c.Wrong, what+": "+f)
	}
	if n > maxWrong {
		c.Wrong = append(c.Wrong, fmt.Sprintf("%s: and %d more", what, n-maxWrong))
	}
}

// digests compares every task's digest with what it is of.
func (c *Checked) digests(ctx context.Context, v *View) error {
	rows, err := v.tx.QueryContext(ctx, `SELECT id, digest FROM tasks WHERE digest IS NOT NULL ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var id int64
		var digest []byte
		if err := rows.Scan(&id, &digest); err != nil {
			return err
		}
		t, err := readTask(ctx, v.tx, id)
		if err == nil {
			var now []byte
			if now, err = t.digest(); err == nil && !bytes.Equal(now, digest) {
				found = append(found, fmt.Sprintf("task %d", id))
			}
		}
		if err != nil {
			c.Wrong = append(c.Wrong, fmt.Sprintf("task %d cannot be read: %v", id, err))
			return nil
		}
	}
	c.some("a task's texts are not those that it was made of", found, len(found))
	return rows.Err()
}

// texts reads every ranking as an export does.
func (c *Checked) texts(ctx context.Context, v *View) error {
	kinds := append(slices.Clone(DataKinds), KindTraining, KindExample)
	if err := v.Rankings(ctx, Filter{Kinds: kinds}, func(Ranking) error { return nil }); err != nil {
		c.Wrong = append(c.Wrong, err.Error())
	}
	return nil
}

// texts returns the first rows of a query for one text, and how many there are.
func texts(ctx context.Context, v *View, query string) (out []string, n int, err error) {
	rows, err := v.tx.QueryContext(ctx, query)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, 0, err
		}
		if n++; n <= 1000 {
			out = append(out, s)
		}
	}
	return out, n, rows.Err()
}
