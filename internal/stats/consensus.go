package stats

import "slices"

// Consensus is the common ranking of several ballots.
type Consensus struct {
	Ranks   []int       // (K) 1 is best, no gaps; equal where the ballots do not set two items apart
	Margins [][]float64 // (K, K) weight of the ballots for row over column less those for column over row
}

// Prefer returns how many of the ballots rank item i before item j (K, K), over items in a fixed order; a ballot that ties them
// counts for neither. All ballots must rank the same K items.
func Prefer(ballots [][]int) [][]float64 {
	if len(ballots) == 0 {
		return nil
	}
	prefer := square(len(ballots[0]))
	for _, ranks := range ballots {
		for i := range ranks {
			for j := range ranks {
				if ranks[i] < ranks[j] {
					prefer[i][j]++
				}
			}
		}
	}
	return prefer
}

// RankedPairs returns the consensus by Tideman's ranked pairs (Tideman 1987, "Independence of clones as a criterion for voting
// rules") with margins as the strength of a victory: victories are locked from the strongest down, leaving out each that would
// close a cycle with stronger ones. A Condorcet winner therefore comes first.
//
// Ties are broken by nobody's number, so that the result does not depend on the order of the items: victories of equal strength
// are locked together, but for those that stand in a cycle of the locked victories and one another. An item's rank is the length
// of the longest chain of locked victories down to it; items of one cycle of equal victories stay tied.
func RankedPairs(prefer [][]float64) Consensus {
	k := len(prefer)
	c := Consensus{Ranks: make([]int, k), Margins: square(k)}
	var strengths []float64
	for i := range k {
		for j := range k {
			if i != j {
				c.Margins[i][j] = prefer[i][j] - prefer[j][i]
				if c.Margins[i][j] > 0 {
					strengths = append(strengths, c.Margins[i][j])
				}
			}
		}
	}
	slices.Sort(strengths)
	strengths = slices.Compact(strengths)
	slices.Reverse(strengths)
	locked := relation(k)
	for _, s := range strengths {
		above := closure(locked)
		together, group := copyRelation(locked), [][2]int{}
		for i := range k {
			for j := range k {
				if c.Margins[i][j] == s && !above[j][i] {
					together[i][j] = true
					group = append(group, [2]int{i, j})
				}
			}
		}
		cycles := closure(together)
		for _, g := range group {
			if !cycles[g[1]][g[0]] {
				locked[g[0]][g[1]] = true
			}
		}
	}
	chains(c.Ranks, locked)
	return c
}

// chains sets each rank to one more than the longest chain of the acyclic relation that leads to the item.
func chains(ranks []int, beats [][]bool) {
	for i := range ranks {
		ranks[i] = 1
	}
	for range ranks { // a chain has at most as many links
		for i := range ranks {
			for j := range ranks {
				if beats[i][j] {
					ranks[j] = max(ranks[j], ranks[i]+1)
				}
			}
		}
	}
}

// closure returns which items a chain of the relation leads to from each.
func closure(r [][]bool) [][]bool {
	out := copyRelation(r)
	for via := range out {
		for i := range out {
			if out[i][via] {
				for j := range out {
					out[i][j] = out[i][j] || out[via][j]
				}
			}
		}
	}
	return out
}

func relation(n int) [][]bool {
	out := make([][]bool, n)
	for i := range out {
		out[i] = make([]bool, n)
	}
	return out
}

func copyRelation(r [][]bool) [][]bool {
	out := make([][]bool, len(r))
	for i := range r {
		out[i] = slices.Clone(r[i])
	}
	return out
}

func square(n int) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, n)
	}
	return out
}
