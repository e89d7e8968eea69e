package bpe

import (
	"fmt"
	"slices"
)

// source is what the files of a directory say, before it is known to fit together.
type source struct {
	vocab  []entry // ordinary tokens as show writes them, and special ones
	added  []entry // special tokens; those that vocab has too are the same
	merges []pair
}

type entry struct {
	name string
	id   int
	at   place
}

type pair struct {
	a, b string // as show writes them
	at   place
}

// place is where something stands, for errors.
type place struct {
	path string
	line int // from 1; 0 is unknown
}

func (p place) String() string {
	if p.line == 0 {
		return p.path
	}
	return fmt.Sprintf("%s:%d", p.path, p.line)
}

// tokenizer puts the parts together. The ids must be 0 to n-1, each once.
func (s source) tokenizer(called names) (*Tokenizer, error) {
	all, isSpecial := s.vocab, map[string]bool{called.eot: true, called.pad: true}
	ids := make(map[string]int, len(all))
	for _, e := range all {
		ids[e.name] = e.id
	}
	for _, e := range s.added {
		isSpecial[e.name] = true
		if id, ok := ids[e.name]; !ok {
			all = append(slices.Clip(all), e)
		} else if id != e.id {
			return nil, fmt.Errorf("%v: token %q: found id %d, expected %d as in the vocabulary", e.at, e.name, e.id, id)
		}
	}
	tokens, special, err := byID(all, isSpecial)
	if err != nil {
		return nil, err
	}
	ordinary := make(map[string]int32, len(tokens))
	for id, token := range tokens {
		if !special[id] {
			ordinary[token] = int32(id)
		}
	}
	merges := make([]merge, len(s.merges))
	seen := make(map[merge]bool, len(s.merges))
	for i, p := range s.merges {
		if merges[i], err = p.merge(ordinary); err != nil {
			return nil, fmt.Errorf("%v: %w", p.at, err)
		}
		if seen[merges[i]] {
			return nil, fmt.Errorf("%v: %q and %q are merged a second time", p.at, p.a, p.b)
		}
		seen[merges[i]] = true
	}
	t, err := build(tokens, special, merges, called)
	if err != nil && len(s.vocab) > 0 {
		return nil, fmt.Errorf("%s: %w", s.vocab[0].at.path, err)
	}
	return t, err
}

// byID returns the bytes of each id, or the name of a special token.
func byID(all []entry, isSpecial map[string]bool) (tokens []string, special []bool, err error) {
	n := len(all)
	tokens, special = make([]string, n), make([]bool, n)
	taken := make([]bool, n)
	for _, e := range all {
		if e.id < 0 || e.id >= n {
			return nil, nil, fmt.Errorf("%v: token %q: found id %d, expected 0 to %d for %d tokens", e.at, e.name, e.id, n-1, n)
		}
		if taken[e.id] {
			return nil, nil, fmt.Errorf("%v: token %q: id %d is taken by another token", e.at, e.name, e.id)
		}
		taken[e.id], tokens[e.id], special[e.id] = true, e.name, isSpecial[e.name]
		if special[e.id] {
			continue
		}
		token, ok := hide(e.name)
		if !ok || token == "" {
			return nil, nil, fmt.Errorf("%v: token %q: has a character that stands for no byte", e.at, e.name)
		}
		tokens[e.id] = token
	}
	return tokens, special, nil
}

// merge looks a pair up in the vocabulary.
func (p pair) merge(ids map[string]int32) (merge, error) {
	var m merge
	var whole string
	for _, side := range []struct {
		name string
		id   *int32
	}{{p.a, &m.a}, {p.b, &m.b}} {
		token, ok := hide(side.name)
		id, known := ids[token]
		if !ok || !known {
			return m, fmt.Errorf("the vocabulary has no token %q", side.name)
		}
		*side.id = id
		whole += token
	}
	if _, ok := ids[whole]; !ok {
		return m, fmt.Errorf("the vocabulary has no token %q for the merge of %q and %q", p.a+p.b, p.a, p.b)
	}
	return m, nil
}
