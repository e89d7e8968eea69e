package objective_test

import (
	"math"
	"sync"
	"testing"

	"gorgonia.org/gorgonia"

	"rlhf/internal/objective"
)

// The derivatives that the stages' losses rest on, each against numbers worked by hand.
func TestDerivatives(t *testing.T) {
	sum := func(n *gorgonia.Node) (objective.Terms, error) {
		s, err := gorgonia.Sum(n)
		return objective.Terms{Loss: s}, err
	}
	tests := []struct {
		name     string
		x, y     []float64
		build    objective.Build
		wantLoss float64
		want     []float64 // gradient with respect to x
	}{
		{"exp", []float64{0, 1}, []float64{0, 0}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.Exp(l["x"])))
		}, 1 + math.E, []float64{1, math.E}},
		{"product", []float64{2, 3}, []float64{5, 7}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.HadamardProd(l["x"], l["y"])))
		}, 31, []float64{5, 7}},
		{"difference", []float64{2, 3}, []float64{5, 7}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.Sub(l["y"], l["x"])))
		}, 7, []float64{-1, -1}},
		{"greater of two", []float64{2, 9}, []float64{5, 7}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.MaxBetween(l["x"], l["y"])))
		}, 14, []float64{0, 1}},
		{"lesser of two", []float64{2, 9}, []float64{5, 7}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.MinBetween(l["x"], l["y"])))
		}, 9, []float64{1, 0}},
		{"softplus", []float64{0, math.Log(3)}, []float64{0, 0}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.Softplus(l["x"])))
		}, math.Log(2) + math.Log(4), []float64{.5, .75}},
		{"square", []float64{2, -3}, []float64{0, 0}, func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
			return sum(gorgonia.Must(gorgonia.Square(l["x"])))
		}, 13, []float64{4, -6}},
	}
	leaves := []objective.Leaf{{Name: "x", Differentiate: true}, {Name: "y"}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, err := objective.New(leaves, len(test.x), test.build)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			for run := range 2 { // the second run shows that nothing is left of the first
				r, err := e.Evaluate(map[string][]float64{"x": test.x, "y": test.y})
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(r.Loss-test.wantLoss) > 1e-12 {
					t.Errorf("run %d: loss %v, want %v", run, r.Loss, test.wantLoss)
				}
				for i, want := range test.want {
					if math.Abs(r.Grads["x"][i]-want) > 1e-12 {
						t.Errorf("run %d: gradient %d is %v, want %v", run, i, r.Grads["x"][i], want)
					}
				}
			}
		})
	}
}

var weightedSquares = func(l map[string]*gorgonia.Node, _ int) (objective.Terms, error) {
	s, err := gorgonia.Sum(gorgonia.Must(gorgonia.HadamardProd(l["w"], gorgonia.Must(gorgonia.Square(l["x"])))))
	return objective.Terms{Loss: s, Also: map[string]*gorgonia.Node{"again": s}}, err
}

func TestCachePadsWithoutEffect(t *testing.T) {
	c := objective.Cache{Leaves: []objective.Leaf{{Name: "x", Differentiate: true}, {Name: "w"}}, Build: weightedSquares}
	for _, n := range []int{1, 3, 256, 257} {
		x, w, want := make([]float64, n), make([]float64, n), 0.0
		for i := range x {
			x[i], w[i] = float64(i+1), .5
			want += float64((i+1)*(i+1)) / 2
		}
		r, err := c.Evaluate(map[string][]float64{"x": x, "w": w})
		if err != nil {
			t.Fatal(err)
		}
		if r.Loss != want || r.Also["again"] != want || len(r.Grads["x"]) != n || r.Grads["x"][n-1] != float64(n) {
			t.Errorf("n = %d: got %v, last gradient %v; want %v, %d", n, r.Loss, r.Grads["x"], want, n)
		}
	}
	if _, err := c.Evaluate(map[string][]float64{"x": {1}, "w": {1, 2}}); err == nil {
		t.Error("leaves of different lengths passed")
	}
}

func TestExpressionsSideBySide(t *testing.T) {
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			c := objective.Cache{Leaves: []objective.Leaf{{Name: "x", Differentiate: true}, {Name: "w"}}, Build: weightedSquares}
			for range 5 {
				r, err := c.Evaluate(map[string][]float64{"x": {float64(k)}, "w": {1}})
				if err != nil || r.Loss != float64(k*k) {
					t.Errorf("%d: got %v, %v", k, r.Loss, err)
				}
			}
		})
	}
	wg.Wait()
}
