package labeling

import (
	"math/rand/v2"

	"rlhf/internal/stats"
	"rlhf/storage"
)

// Measure collects rankings, in the order of storage.DB.Rankings, for their agreement.
type Measure struct{ items []stats.Item }

// Add takes one ranking. It never fails; the error is for storage.DB.Rankings.
func (m *Measure) Add(r storage.Ranking) error {
	if n := len(m.items); n == 0 || m.items[n-1].Prompt != r.TaskID {
		m.items = append(m.items, stats.Item{Prompt: r.TaskID})
	}
	item := &m.items[len(m.items)-1]
	item.Rankings = append(item.Rankings, stats.Ranking{Labeler: r.Labeler, Ranks: r.Ranks})
	return nil
}

// bootstrapRounds is how often prompts are drawn again for the intervals.
const bootstrapRounds = 1000

// Agreement returns the labelers' agreement, with intervals by a bootstrap of fixed seed.
func (m *Measure) Agreement() stats.Agreement {
	return stats.MeasureAgreement(m.items, bootstrapRounds, rand.New(rand.NewPCG(1, 2)))
}
