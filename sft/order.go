package sft

import (
	"cmp"
	"slices"

	"rlhf/gpt"
	"rlhf/internal/rng"
)

// order says which examples each step takes: a function of the settings, the
// lengths of the examples, and the counters in at.
type order struct {
	c         Config
	train     Source
	pretrain  Source // nil mixes nothing in
	at        *place
	epoch     int       // of batches, -1 for none yet
	batches   [][]int32 // of the epoch: indices into train
	mixEpoch  int       // of mixed, -1 for none yet
	mixed     []int     // the epoch's permutation of pretrain
	perEpochs []int     // batches of each epoch
}

// place is where a run stands in its data.
type place struct {
	Epoch int `json:"epoch"`
	Batch int `json:"batch"` // within the epoch
	Seen  int `json:"seen"`  // sequences of train so far
	Mixed int `json:"mixed"` // sequences of pretrain so far
}

func newOrder(c Config, train, pretrain Source, at *place) *order {
	o := &order{c: c, train: train, pretrain: pretrain, at: at, epoch: -1, mixEpoch: -1, perEpochs: make([]int, c.NumTrainEpochs)}
	for e := range o.perEpochs {
		if o.perEpochs[e] = (train.Len() + c.BatchSize - 1) / c.BatchSize; c.BatchTokens > 0 {
			o.perEpochs[e] = len(o.shuffled(e))
		}
	}
	return o
}

// steps returns the steps of all epochs.
func (o *order) steps() int {
	n := 0
	for _, batches := range o.perEpochs {
		n += batches
	}
	return n
}

// progress returns how many epochs are done, with the part of the one in work.
func (o *order) progress() float64 {
	if o.at.Epoch >= len(o.perEpochs) {
		return float64(len(o.perEpochs))
	}
	return float64(o.at.Epoch) + float64(o.at.Batch)/float64(o.perEpochs[o.at.Epoch])
}

// next returns the examples of the step that begins and moves on.
func (o *order) next() []Example {
	if o.epoch != o.at.Epoch {
		o.epoch, o.batches = o.at.Epoch, o.shuffled(o.at.Epoch)
	}
	var out []Example
	for _, i := range o.batches[o.at.Batch] {
		out = append(out, o.train.At(int(i)))
	}
	o.at.Seen += len(out)
	if o.at.Batch++; o.at.Batch == len(o.batches) {
		o.at.Epoch, o.at.Batch = o.at.Epoch+1, 0
	}
	if o.pretrain == nil {
		return out
	}
	// so many that their share of everything seen is PretrainShare, rounded down
	share := o.c.PretrainShare / (1 - o.c.PretrainShare)
	for want := int(float64(o.at.Seen) * share); o.at.Mixed < want; o.at.Mixed++ {
		n := o.pretrain.Len()
		if epoch := o.at.Mixed / n; o.mixEpoch != epoch {
			o.mixEpoch, o.mixed = epoch, rng.New(o.c.Seed, "sft/pretrain", uint64(epoch)).Perm(n)
		}
		out = append(out, o.pretrain.At(o.mixed[o.at.Mixed%n]))
	}
	return out
}

// megabatch is how many batches are sorted by length together, as in transformers' LengthGroupedSampler.
const megabatch = 50

// shuffled returns the batches of an epoch: runs of its permutation of the
// examples. With GroupByLength, runs of megabatch batches are sorted by length
// before they are cut, and the batches come in an order of their own.
func (o *order) shuffled(epoch int) [][]int32 {
	perm := make([]int32, o.train.Len())
	for i, at := range rng.New(o.c.Seed, "sft/shuffle", uint64(epoch)).Perm(len(perm)) {
		perm[i] = int32(at)
	}
	if !o.c.GroupByLength {
		return o.cut(perm, 1)
	}
	var out [][]int32
	for _, many := range o.cut(perm, megabatch) {
		slices.SortStableFunc(many, func(a, b int32) int { return cmp.Compare(o.train.Tokens(int(b)), o.train.Tokens(int(a))) })
		out = append(out, o.cut(many, 1)...)
	}
	shuffled := make([][]int32, len(out))
	for i, at := range rng.New(o.c.Seed, "sft/shuffle_batches", uint64(epoch)).Perm(len(out)) {
		shuffled[i] = out[at]
	}
	return shuffled
}

// cut cuts examples, in order, into runs of times batches.
func (o *order) cut(list []int32, times int) [][]int32 {
	var out [][]int32
	if o.c.BatchTokens == 0 {
		return slices.Collect(slices.Chunk(list, times*o.c.BatchSize))
	}
	lens := make([]int, len(list))
	for k, i := range list {
		lens[k] = o.train.Tokens(int(i))
	}
	start := 0
	for _, end := range gpt.Cuts(lens, times*o.c.BatchTokens) {
		out = append(out, list[start:end])
		start = end
	}
	return out
}
