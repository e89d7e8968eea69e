package report_test

import (
	"reflect"
	"testing"

	"rlhf/internal/metrics"
	"rlhf/internal/report"
)

func TestCurves(t *testing.T) {
	records := []metrics.Record{
		{Step: 1, Values: map[string]float64{"objective/kl": 0, "objective/score": -1}},
		{Step: 2, Values: map[string]float64{"objective/kl": 2, "eval/loss": 4}},
		{Step: 3, Values: map[string]float64{"objective/kl": 1, "objective/score": 5}},
	}
	tests := []struct {
		name      string
		got, want report.Series
	}{
		{"curve", report.Curve("kl", records, "objective/kl"), report.Series{Name: "kl", X: []float64{1, 2, 3}, Y: []float64{0, 2, 1}}},
		{"sparse curve", report.Curve("", records, "eval/loss"), report.Series{X: []float64{2}, Y: []float64{4}}},
		{"no such metric", report.Curve("", records, "none"), report.Series{}},
		{"trajectory", report.Trajectory("run", records, "objective/kl", "objective/score"), report.Series{Name: "run", X: []float64{0, 1}, Y: []float64{-1, 5}}},
	}
	for _, test := range tests {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.name, test.got, test.want)
		}
	}
	got := report.Settings("ppo", map[string]string{"lr": "0.0002", "kl_coef": "0.3"}).Rows
	if want := [][]string{{"kl_coef", "0.3"}, {"lr", "0.0002"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("settings: got %v, want %v", got, want)
	}
}
