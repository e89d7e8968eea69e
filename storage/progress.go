package storage

import (
	"context"
	"database/sql"
	"slices"
	"time"
)

// midnight is when today began, server time.
func (db *DB) midnight() int64 {
	y, m, d := db.Now().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, db.Now().Location()).UnixMilli()
}

// Overview is how far the labeling has come.
type Overview struct {
	Tasks    int
	Overlap  int // largest of a task
	Rankings int // sealed, without extra ones
	Needed   int // sum of the tasks' overlaps
	Extra    int // rankings beyond the overlap
	Labelers []LabelerOverview
}

// LabelerOverview is one labeler's share.
type LabelerOverview struct {
	Name           string
	Rankings       int
	Today          int
	MedianActiveMS int64 // 0 without rankings
}

// Overview counts tasks and rankings, by labeler's name.
func (db *DB) Overview(ctx context.Context) (o Overview, err error) {
	err = db.r.QueryRowContext(ctx, `SELECT count(*), coalesce(max(overlap), 0), coalesce(sum(overlap), 0),
		(SELECT count(*) FROM rankings WHERE sealed = 1 AND replaced = 0 AND extra = 0), (SELECT count(*) FROM rankings WHERE sealed = 1 AND replaced = 0 AND extra = 1) FROM tasks`).
		Scan(&o.Tasks, &o.Overlap, &o.Needed, &o.Rankings, &o.Extra)
	if err != nil {
		return o, err
	}
	rows, err := db.r.QueryContext(ctx, `SELECT l.name, r.active_ms, r.created_at FROM labelers l LEFT JOIN rankings r ON r.labeler_id = l.id AND r.sealed = 1 AND r.replaced = 0 ORDER BY l.name`)
	if err != nil {
		return o, err
	}
	defer rows.Close()
	var times []int64
	finish := func() {
		if n := len(times); n > 0 {
			slices.Sort(times)
			o.Labelers[len(o.Labelers)-1].MedianActiveMS = (times[(n-1)/2] + times[n/2]) / 2
		}
		times = nil
	}
	for rows.Next() {
		var name string
		var active, created sql.NullInt64
		if err := rows.Scan(&name, &active, &created); err != nil {
			return o, err
		}
		if n := len(o.Labelers); n == 0 || o.Labelers[n-1].Name != name {
			finish()
			o.Labelers = append(o.Labelers, LabelerOverview{Name: name})
		}
		if created.Valid {
			l := &o.Labelers[len(o.Labelers)-1]
			l.Rankings++
			times = append(times, active.Int64)
			if created.Int64 >= db.midnight() {
				l.Today++
			}
		}
	}
	finish()
	return o, rows.Err()
}
