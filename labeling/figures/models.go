package figures

import (
	"cmp"
	"errors"
	"slices"

	"rlhf/internal/stats"
	"rlhf/storage"
)

// maxModels is the most models that are compared; more are rather names of single responses.
const maxModels = 200

// priorLambda is the strength of the prior where there is no maximum of the likelihood: a standard deviation of about 3.2.
const priorLambda = 0.1

// games counts comparisons of models. Pairs by one model and completions without a model's name are left out.
type games struct {
	models map[string]int
	names  []string
	at     map[int64]int
	played []map[[2]int]float64 // by prompt: wins of the first over the second
	score  []Model
}

func (g *games) model(name string) int {
	if g.models == nil {
		g.models, g.at = map[string]int{}, map[int64]int{}
	}
	i, ok := g.models[name]
	if !ok {
		i = len(g.names)
		g.models[name] = i
		g.names = append(g.names, name)
		g.score = append(g.score, Model{Model: name})
	}
	return i
}

func (g *games) add(v storage.Verdict, ranks []int) {
	for i := range ranks {
		for j := range i {
			a, b := v.Items[i].Model, v.Items[j].Model
			if a == b || a == "" || b == "" || v.Choice && ranks[i] == ranks[j] && len(ranks) > 2 {
				continue
			}
			x, y := g.model(a), g.model(b)
			if len(g.names) > maxModels {
				continue
			}
			at, ok := g.at[v.PromptID]
			if !ok {
				at = len(g.played)
				g.at[v.PromptID] = at
				g.played = append(g.played, map[[2]int]float64{})
			}
			switch played := g.played[at]; {
			case ranks[i] < ranks[j]:
				played[[2]int{x, y}]++
				g.score[x].Wins++
				g.score[y].Losses++
			case ranks[i] > ranks[j]:
				played[[2]int{y, x}]++
				g.score[y].Wins++
				g.score[x].Losses++
			default:
				played[[2]int{x, y}] += 0.5
				played[[2]int{y, x}] += 0.5
				g.score[x].Ties++
				g.score[y].Ties++
			}
		}
	}
}

// clusters returns the games by prompt, in a fixed order, over models numbered by name.
func (g *games) clusters(number []int) [][]stats.Game {
	out := make([][]stats.Game, len(g.played))
	for p, played := range g.played {
		for pair, w := range played {
			out[p] = append(out[p], stats.Game{I: number[pair[0]], J: number[pair[1]], Weight: w})
		}
		slices.SortFunc(out[p], func(a, b stats.Game) int { return cmp.Or(a.I-b.I, a.J-b.J) })
	}
	return out
}

// models fits strengths and the consensus.
func (c *Collector) models() error {
	f, g := &c.figures, &c.games
	f.Models, f.Consensus = []Model{}, Consensus{Order: [][]string{}, Models: []string{}, Margins: [][]float64{}}
	switch {
	case len(g.played) == 0:
		f.ModelsNote = NoteNone
		return nil
	case len(g.names) > maxModels:
		f.ModelsNote = NoteMany
		return nil
	}
	names := slices.Sorted(slices.Values(g.names))
	number := make([]int, len(names))
	for i, name := range g.names {
		number[i], _ = slices.BinarySearch(names, name)
	}
	clusters := g.clusters(number)
	s, err := stats.MeasureStrengths(len(names), clusters, 0, rounds, stream("models"))
	if errors.Is(err, stats.ErrNotConnected) {
		f.ModelsNote = NotePrior
		s, err = stats.MeasureStrengths(len(names), clusters, priorLambda, rounds, stream("models"))
	}
	if err != nil {
		return err
	}
	for i, name := range names {
		m := g.score[g.models[name]]
		m.Theta = estimate(s.Theta[i], m.Wins+m.Losses+m.Ties)
		m.SE = defined(s.SE[i])
		m.Elo = stats.Elo(s.Theta[i].Value)
		m.EloLow, m.EloHigh = defined(stats.Elo(s.Theta[i].Low)), defined(stats.Elo(s.Theta[i].High))
		f.Models = append(f.Models, m)
	}
	slices.SortStableFunc(f.Models, func(a, b Model) int { return cmp.Compare(b.Elo, a.Elo) })
	c.consensus(names, clusters)
	return nil
}

func (c *Collector) consensus(names []string, clusters [][]stats.Game) {
	prefer := make([][]float64, len(names))
	for i := range prefer {
		prefer[i] = make([]float64, len(names))
	}
	for _, games := range clusters {
		for _, g := range games {
			prefer[g.I][g.J] += g.Weight // half wins of a tie cancel in the margins
		}
	}
	ranked := stats.RankedPairs(prefer)
	order := make([][]string, slices.Max(ranked.Ranks))
	for i, r := range ranked.Ranks {
		order[r-1] = append(order[r-1], names[i])
	}
	c.figures.Consensus = Consensus{Order: order, Models: names, Margins: ranked.Margins}
}
