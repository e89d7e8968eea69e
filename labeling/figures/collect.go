package figures

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"rlhf/internal/rng"
	"rlhf/internal/stats"
	"rlhf/storage"
)

// Collector takes the evidence of a project and computes its figures. The zero value is not usable.
type Collector struct {
	threshold float64 // of gold tasks; 0: none
	blocks    bool    // the bootstrap draws blocks of prompts
	names     map[int64]storage.Labeler
	order     []int64 // labelers by name

	figures  Figures
	prompts  map[int64]bool
	tasks    []task        // normal and calibration ones, in the order read
	items    []stats.Item  // their rankings
	byTask   map[int64]int // index into tasks, of the task a repeat may be of
	repeated []repeat
	people   map[int64]*person
	position shares
	places   [storage.MaxK]shares
	longer   shares
	lengths  shares
	games    games
	answers  map[string]*answers
	rights   struct {
		tasks map[int64]bool
		all   against
	}
	active, wall []int64
	activeByK    [storage.MaxK + 1][]int64
	work         []work
}

type task struct {
	id  int64
	ids []int64 // (K) completions
}

// repeat is a ranking of a task that repeats another.
type repeat struct {
	of      int64
	ids     []int64
	ranking stats.Ranking
}

// work is one thing done, for the figures over time.
type work struct {
	at       time.Time
	activeMS int64
	skip     bool
}

// person gathers what is known of a labeler.
type person struct {
	rankings, skips, flags int
	pairs, ties            int
	active, wall           []int64
	first, longer, gold    shares
	researcher             against
	timed, hasty           int // rankings with a time; of them too fast to have been read
	ordered, unchanged     int // rankings with a known order; of them left in the order shown
	chance                 float64
	allTied, judged        int
}

// against is an agreement with the researcher.
type against struct{ strict, half, tau shares }

// New returns an empty collector.
func New() *Collector {
	c := &Collector{names: map[int64]storage.Labeler{}, prompts: map[int64]bool{}, byTask: map[int64]int{}, people: map[int64]*person{}, answers: map[string]*answers{}}
	c.rights.tasks = map[int64]bool{}
	c.figures.SkipReasons = map[string]int{}
	return c
}

// Evidence returns the functions for storage.DB.ReadEvidence.
func (c *Collector) Evidence() storage.Evidence {
	return storage.Evidence{Project: c.setProject, Labeler: c.addLabeler, Verdict: c.addVerdict, Skip: c.addSkip}
}

func (c *Collector) setProject(threshold float64, tasks int) {
	c.threshold, c.blocks = threshold, tasks > maxClusters
}

func (c *Collector) addLabeler(l storage.Labeler) {
	c.names[l.ID] = l
	c.order = append(c.order, l.ID)
	c.people[l.ID] = &person{}
}

func (c *Collector) person(id int64) *person {
	if c.people[id] == nil {
		c.addLabeler(storage.Labeler{ID: id})
	}
	return c.people[id]
}

func (c *Collector) addSkip(s storage.SkipRecord) {
	c.person(s.LabelerID).skips++
	c.figures.SkipReasons[s.Reason]++
	c.work = append(c.work, work{s.CreatedAt, s.ActiveMS, true})
}

func (c *Collector) addVerdict(v storage.Verdict) error {
	p := c.person(v.LabelerID)
	name := c.names[v.LabelerID].Name
	ranks := make([]int, len(v.Items))
	ids := make([]int64, len(v.Items))
	for k, i := range v.Items {
		ranks[k], ids[k] = i.Rank, i.CompletionID
	}
	c.figures.Rankings++
	c.prompts[v.PromptID] = true
	v.PromptID = c.cluster(v.PromptID) // all that prompts are for from here on
	p.rankings++
	if len(v.Flags) > 0 {
		p.flags++
	}
	if v.Extra {
		c.figures.Extra++
	}
	if v.Imported {
		c.figures.Imported++
	} else {
		c.addTimes(v, p)
		c.addOrder(v, ranks, p)
	}
	choice := v.Choice && len(ranks) > 2
	if choice {
		c.figures.Choices++
	} else {
		c.addPairs(v, ranks, p)
		c.addReference(v, ranks, p)
	}
	c.addAnswers(v)
	switch v.Kind {
	case storage.KindRepeat:
		if !choice {
			c.repeated = append(c.repeated, repeat{v.RepeatOf, ids, stats.Ranking{Labeler: name, Ranks: ranks}})
		}
	case storage.KindNormal, storage.KindCalibration:
		c.games.add(v, ranks)
		if !choice {
			c.addTask(v, ids, stats.Ranking{Labeler: name, Ranks: ranks})
		}
	}
	return nil
}

// addTask files a ranking under its task; gold tasks and honeypots, which have a right answer, would raise the agreement.
func (c *Collector) addTask(v storage.Verdict, ids []int64, r stats.Ranking) {
	at, ok := c.byTask[v.TaskID]
	if !ok {
		at = len(c.tasks)
		c.byTask[v.TaskID] = at
		c.tasks = append(c.tasks, task{v.TaskID, ids})
		c.items = append(c.items, stats.Item{Prompt: v.PromptID})
	}
	c.items[at].Rankings = append(c.items[at].Rankings, r)
}

func (c *Collector) addTimes(v storage.Verdict, p *person) {
	c.work = append(c.work, work{v.CreatedAt, v.ActiveMS, false})
	if v.ActiveMS == 0 {
		return // not measured: a program ranked
	}
	k := len(v.Items)
	c.active = append(c.active, v.ActiveMS)
	c.activeByK[k] = append(c.activeByK[k], v.ActiveMS)
	p.active = append(p.active, v.ActiveMS)
	if v.WallMS > 0 {
		c.wall = append(c.wall, v.WallMS)
		p.wall = append(p.wall, v.WallMS)
	}
	characters := 0
	for _, i := range v.Items {
		characters += i.Length
	}
	p.timed++
	if float64(v.ActiveMS) < hastyMS*float64(characters) {
		p.hasty++
	}
}

// addOrder counts what the order shown has to do with the ranks.
func (c *Collector) addOrder(v storage.Verdict, ranks []int, p *person) {
	unchanged, ways := true, 1.0
	for a, i := range v.Shown {
		ways *= float64(a + 1)
		unchanged = unchanged && ranks[i] == a+1
		if v.Choice && len(ranks) > 2 {
			continue
		}
		for b, j := range v.Shown[:a] {
			earlier := score(ranks[j], ranks[i])
			c.position.add(v.PromptID, earlier, 1)
			p.first.add(v.PromptID, earlier, 1)
			c.places[b].add(v.PromptID, earlier, 1)
			c.places[a].add(v.PromptID, 1-earlier, 1)
		}
	}
	p.ordered++
	p.chance += 1 / ways
	if unchanged {
		p.unchanged++
	}
}

// addPairs counts ties and what length has to do with the ranks.
func (c *Collector) addPairs(v storage.Verdict, ranks []int, p *person) {
	lengths, better := make([]float64, len(ranks)), make([]float64, len(ranks))
	tied := 0
	for i := range ranks {
		lengths[i], better[i] = float64(v.Items[i].Length), -float64(ranks[i])
		for j := range i {
			p.pairs++
			if ranks[i] == ranks[j] {
				tied++
			}
			if d := v.Items[i].Length - v.Items[j].Length; d != 0 {
				s := score(ranks[i], ranks[j])
				if d < 0 {
					s = 1 - s
				}
				c.longer.add(v.PromptID, s, 1)
				p.longer.add(v.PromptID, s, 1)
			}
		}
	}
	p.ties += tied
	p.judged++
	if tied == len(ranks)*(len(ranks)-1)/2 {
		p.allTied++
	}
	if tau := stats.KendallTauB(lengths, better); tau == tau {
		c.lengths.add(v.PromptID, tau, 1)
	}
}

// addReference compares with the researcher's answer.
func (c *Collector) addReference(v storage.Verdict, ranks []int, p *person) {
	if v.Reference == nil {
		return
	}
	switch v.Kind {
	case storage.KindGold, storage.KindHoneypot:
		for i := range ranks {
			for j := range i {
				if d := v.Reference[i] - v.Reference[j]; d != 0 {
					right := 0.0
					if d < 0 == (ranks[i] < ranks[j]) && ranks[i] != ranks[j] {
						right = 1
					}
					p.gold.add(v.PromptID, right, 1)
				}
			}
		}
	case storage.KindCalibration:
		c.rights.tasks[v.TaskID] = true
		for _, a := range []*against{&c.rights.all, &p.researcher} {
			a.add(v.PromptID, ranks, v.Reference)
		}
	}
}

func (a *against) add(prompt int64, ranks, reference []int) {
	item := []stats.Item{{Rankings: []stats.Ranking{{Labeler: "a", Ranks: ranks}, {Labeler: "b", Ranks: reference}}}}
	m := stats.MeasureAgreement(item, 0, nil)
	n := float64(m.Pairs)
	a.strict.add(prompt, m.Strict.Value*n, n)
	a.half.add(prompt, m.TiesHalf.Value*n, n)
	if m.KendallTauB.Value == m.KendallTauB.Value {
		a.tau.add(prompt, m.KendallTauB.Value, 1)
	}
}

// score is 1 if the first rank is better, 0 if it is worse and one half for a tie.
func score(a, b int) float64 {
	switch {
	case a < b:
		return 1
	case a > b:
		return 0
	}
	return 0.5
}

// shares are ratios by prompt.
type shares struct {
	at     map[int64]int
	ratios []stats.Ratio
	n      float64
}

func (s *shares) add(prompt int64, num, den float64) {
	if s.at == nil {
		s.at = map[int64]int{}
	}
	i, ok := s.at[prompt]
	if !ok {
		i = len(s.ratios)
		s.at[prompt] = i
		s.ratios = append(s.ratios, stats.Ratio{})
	}
	s.ratios[i].Num += num
	s.ratios[i].Den += den
	s.n += den
}

// estimate returns the share with its interval, nil if there is nothing.
func (s *shares) estimate(purpose string) *Estimate {
	return estimate(stats.BootstrapRatio(s.ratios, rounds, stream(purpose)), int(s.n))
}

// rounds is how often prompts are drawn again for an interval.
const rounds = 1000

// stream returns the random stream of a purpose: always the same one, of a generator fast enough for billions of draws.
func stream(purpose string) *rand.Rand {
	s := rng.New(1, "labeling/figures/"+purpose, 0)
	return rand.New(rand.NewPCG(s.Uint64(), s.Uint64()))
}

// maxClusters bounds what the bootstrap draws from. In a project with more tasks it draws blocks of prompts instead, put together
// at random: blocks are as independent as prompts are, so the intervals stay right, and time and memory bounded.
const maxClusters = 1000

// block returns the block of a prompt.
func block(prompt int64) int64 {
	x := uint64(prompt) * 0x9e3779b97f4a7c15
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	return int64(x % maxClusters)
}

// cluster returns what the bootstrap draws a prompt with.
func (c *Collector) cluster(prompt int64) int64 {
	if c.blocks {
		return block(prompt)
	}
	return prompt
}

// repeats returns items that hold the rankings a labeler made of one task at different times.
func (c *Collector) repeats() []stats.Item {
	byTask := map[int64]map[string][]stats.Ranking{} // task, labeler
	for _, r := range c.repeated {
		at, ok := c.byTask[r.of]
		if !ok {
			continue
		}
		if byTask[r.of] == nil {
			byTask[r.of] = map[string][]stats.Ranking{}
		}
		name := r.ranking.Labeler
		mine := byTask[r.of][name]
		for _, first := range c.items[at].Rankings {
			if mine == nil && first.Labeler == name {
				mine = append(mine, first)
			}
		}
		byTask[r.of][name] = append(mine, stats.Ranking{Labeler: name, Ranks: aligned(r.ranking.Ranks, r.ids, c.tasks[at].ids)})
	}
	var out []stats.Item
	for _, id := range slices.Sorted(maps.Keys(byTask)) {
		for _, name := range slices.Sorted(maps.Keys(byTask[id])) {
			out = append(out, stats.Item{Prompt: c.items[c.byTask[id]].Prompt, Rankings: byTask[id][name]})
		}
	}
	return out
}

// aligned puts the ranks of completions ids into the order of completions as. A repeat whose completions are copies keeps the
// order of the task it repeats.
func aligned(ranks []int, ids, as []int64) []int {
	out := make([]int, 0, len(ranks))
	for _, id := range as {
		if k := slices.Index(ids, id); k >= 0 {
			out = append(out, ranks[k])
		}
	}
	if len(out) != len(ranks) || len(ids) != len(as) {
		return ranks
	}
	return out
}

// quartiles sorts the values.
func quartiles(values []int64) (q Quartiles) {
	if len(values) == 0 {
		return q
	}
	slices.Sort(values)
	at := func(p float64) *int64 {
		x := p * float64(len(values)-1)
		i := int(x)
		v := values[i]
		if i+1 < len(values) {
			v += int64((x - float64(i)) * float64(values[i+1]-values[i]))
		}
		return &v
	}
	return Quartiles{at(0.25), at(0.5), at(0.75)}
}

func byName[T any](name func(T) string) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(name(a), name(b)) }
}
