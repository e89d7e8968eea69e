package stats_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"rlhf/internal/stats"
)

// ballots repeats rankings as often as given.
func ballots(counts []int, ranks ...[]int) (out [][]int) {
	for i, n := range counts {
		for range n {
			out = append(out, ranks[i])
		}
	}
	return out
}

func TestRankedPairs(t *testing.T) {
	tests := []struct {
		name    string
		ballots [][]int
		want    []int
	}{
		// Wikipedia, "Ranked pairs": the capital of Tennessee, over Memphis, Nashville, Chattanooga, Knoxville. Nashville wins, then
		// Chattanooga, Knoxville, Memphis.
		{"Tennessee", ballots([]int{42, 26, 15, 17}, []int{1, 2, 3, 4}, []int{4, 1, 2, 3}, []int{4, 3, 1, 2}, []int{4, 3, 2, 1}), []int{4, 1, 2, 3}},
		// The 45 voters of Schulze 2011, section 3.1, over A to E: ACBED 5, ADECB 5, BEDAC 8, CABED 3, CAEBD 7, CBADE 2, DCEBA 7,
		// EBADC 8. pref_voting 1.18.2, ranked_pairs_defeats: A, C, E, B, D.
		{"Schulze", ballots([]int{5, 5, 8, 3, 7, 2, 7, 8}, []int{1, 3, 2, 5, 4}, []int{1, 5, 4, 2, 3}, []int{4, 1, 5, 3, 2}, []int{2, 3, 1, 5, 4},
			[]int{2, 4, 1, 5, 3}, []int{3, 2, 1, 4, 5}, []int{5, 4, 2, 1, 3}, []int{3, 2, 5, 4, 1}), []int{1, 4, 2, 5, 3}},
		// By hand, 4 ABC, 3 BCA, 2 CAB: B over C by 5, A over B by 3, C over A by 1, which closes the cycle and is left out.
		{"cycle", ballots([]int{4, 3, 2}, []int{1, 2, 3}, []int{3, 1, 2}, []int{2, 3, 1}), []int{1, 2, 3}},
		// Condorcet's paradox: no victory is stronger than another, so nothing sets the three apart; D, below all, is apart.
		{"even cycle", ballots([]int{1, 1, 1}, []int{1, 2, 3, 4}, []int{3, 1, 2, 4}, []int{2, 3, 1, 4}), []int{1, 1, 1, 2}},
		{"opposite", [][]int{{1, 2}, {2, 1}}, []int{1, 1}},
		{"tie kept", [][]int{{1, 1, 2}, {1, 1, 2}}, []int{1, 1, 2}},
		{"one ballot", [][]int{{3, 1, 2}}, []int{3, 1, 2}},
		{"nobody", nil, []int{}},
	}
	for _, test := range tests {
		if got := stats.RankedPairs(stats.Prefer(test.ballots)).Ranks; fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
	// The margins of the Tennessee example as Wikipedia prints them: Nashville over Memphis 58 to 42.
	if got := stats.RankedPairs(stats.Prefer(tests[0].ballots)).Margins[1][0]; got != 16 {
		t.Errorf("margin: got %v, want 16", got)
	}
}

// Numbering the items otherwise numbers the result otherwise and changes nothing else, a lone ballot is its own consensus, and an
// item that wins every comparison comes first alone.
func TestRankedPairsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 6).Draw(t, "k")
		votes := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(1, k), k, k), 1, 6).Draw(t, "votes")
		order := rapid.Permutation(identity(k)).Draw(t, "order")
		renumbered := make([][]int, len(votes))
		for v := range votes {
			for _, o := range order {
				renumbered[v] = append(renumbered[v], votes[v][o])
			}
		}
		a, b := stats.RankedPairs(stats.Prefer(votes)), stats.RankedPairs(stats.Prefer(renumbered))
		for i, o := range order {
			if a.Ranks[o] != b.Ranks[i] {
				t.Fatalf("%v: ranks %v, renumbered by %v %v", votes, a.Ranks, order, b.Ranks)
			}
		}
		for i := range k {
			beatsAll := true
			for j := range k {
				beatsAll = beatsAll && (i == j || a.Margins[i][j] > 0)
			}
			for j := range k {
				if beatsAll && (a.Ranks[i] != 1 || i != j && a.Ranks[j] == 1) {
					t.Fatalf("%v: item %d beats all, ranks %v", votes, i, a.Ranks)
				}
			}
		}
	})
}
