package report

import (
	"maps"
	"slices"

	"rlhf/internal/metrics"
)

// Curve returns the values of a metric by step; records without it are left out.
func Curve(name string, records []metrics.Record, key string) Series {
	s := Series{Name: name}
	for _, r := range records {
		if y, ok := r.Values[key]; ok {
			s.X, s.Y = append(s.X, float64(r.Step)), append(s.Y, y)
		}
	}
	return s
}

// Trajectory returns one metric against another in the order of the steps, for a
// chart that is a path; records without both are left out.
func Trajectory(name string, records []metrics.Record, xKey, yKey string) Series {
	s := Series{Name: name}
	for _, r := range records {
		x, okX := r.Values[xKey]
		y, okY := r.Values[yKey]
		if okX && okY {
			s.X, s.Y = append(s.X, x), append(s.Y, y)
		}
	}
	return s
}

// Settings returns a folded table of settings, in the order of their names.
func Settings(caption string, values map[string]string) Table {
	t := Table{Caption: caption, Columns: []string{"setting", "value"}, Folded: true}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		t.Rows = append(t.Rows, []string{name, values[name]})
	}
	return t
}
