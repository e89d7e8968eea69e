package bpe

import (
	"fmt"
	"slices"
)

// source is what the files of a directory say, before it is known to fit together.
type source struct {
	vocab       []entry // as show writes them
	added       []entry // those that vocab has too are the same
	merges      []pair
	prefixSpace bool
	around      *[2][]string // names, nil if the files do not say
	aroundAt    string       // which part of which file says that
}

type entry struct {
	name  string
	id    int
	at    place
	token Token // of an added token, but for its id
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
func (s source) tokenizer(set settings) (*Tokenizer, error) {
	t := &Tokenizer{settings: set.kept, prefixSpace: s.prefixSpace}
	if set.prefixSpace != nil {
		t.prefixSpace = *set.prefixSpace
	}
	added, err := s.addedTokens(&t.roles, set)
	if err != nil {
		return nil, err
	}
	if err := t.place(s.vocab, added); err != nil {
		return nil, err
	}
	if t.merges, err = s.pairs(); err != nil {
		return nil, err
	}
	if err := t.build(); err != nil {
		if len(s.vocab) > 0 {
			err = fmt.Errorf("%s: %w", s.vocab[0].at.path, err)
		}
		return nil, err
	}
	for _, e := range added { // a token of the vocabulary is its name, unless the merges make it
		hidden, ok := hide(e.name)
		if t.outside[e.id] || ok && hidden == e.name {
			continue
		}
		if id, made := t.ids[hidden]; ok && made && int(id) == e.id {
			return nil, fmt.Errorf("%v: token %q: is the vocabulary's name for the bytes %q", e.at, e.name, hidden)
		}
		t.tokens[e.id] = e.name
	}
	if err := t.setAround(s, set); err != nil {
		return nil, err
	}
	return t, nil
}

// addedTokens returns all added tokens with their ids, and fills in who plays which part.
func (s source) addedTokens(r *roles, set settings) ([]entry, error) {
	known, next := make(map[string]int, len(s.vocab)), 0
	for _, e := range s.vocab {
		known[e.name], next = e.id, max(next, e.id+1)
	}
	var added []entry
	at := map[string]int{}
	add := func(e entry) {
		e.token.ID, e.token.Content = int32(e.id), e.name
		if i, ok := at[e.name]; ok {
			added[i] = e // the later file has the last word
			return
		}
		at[e.name], added = len(added), append(added, e)
	}
	for _, e := range slices.Concat(s.added, set.decoder) {
		id, ok := known[e.name]
		if ok && id != e.id {
			return nil, fmt.Errorf("%v: token %q: found id %d, expected %d as in the vocabulary", e.at, e.name, e.id, id)
		}
		known[e.name], next = e.id, max(next, e.id+1)
		add(e)
	}
	special := func(t Token) {
		if i, ok := at[t.Content]; ok {
			added[i].token.Special = true
			return
		}
		id, ok := known[t.Content]
		if !ok { // transformers adds it, too
			id = next
			next++
		}
		t.Special = true
		add(entry{t.Content, id, place{path: set.at}, t})
	}
	for _, role := range r.all() {
		said, ok := set.said[role.name]
		if byDefault := defaults[role.name]; !ok && byDefault != "" {
			if _, ok := known[byDefault]; ok {
				said = &Token{Content: byDefault}
			}
		}
		if said != nil {
			*role.token = said.Content
			special(*said)
		}
	}
	for _, t := range set.additional {
		special(t)
	}
	return added, nil
}

// defaults are the tokens that play a part if they are in the vocabulary and the settings do not name others.
var defaults = map[string]string{"bos_token": EndOfText, "eos_token": EndOfText, "unk_token": EndOfText, "pad_token": Pad}

// place sets the tokens by their ids.
func (t *Tokenizer) place(vocab, added []entry) error {
	inVocab := make(map[string]bool, len(vocab))
	for _, e := range vocab {
		inVocab[e.name] = true
	}
	all := slices.Clone(vocab)
	isAdded := make(map[string]bool, len(added))
	for _, e := range added {
		isAdded[e.name] = true
		if t.added = append(t.added, e.token); !inVocab[e.name] {
			all = append(all, e)
		}
	}
	n := len(all)
	t.tokens, t.outside = make([]string, n), make([]bool, n)
	taken := make([]bool, n)
	for _, e := range all {
		if e.id < 0 || e.id >= n {
			return fmt.Errorf("%v: token %q: found id %d, expected 0 to %d for %d tokens", e.at, e.name, e.id, n-1, n)
		}
		if taken[e.id] {
			return fmt.Errorf("%v: token %q: id %d is taken by another token", e.at, e.name, e.id)
		}
		token, ok := hide(e.name)
		taken[e.id], t.tokens[e.id], t.outside[e.id] = true, token, !inVocab[e.name]
		if t.outside[e.id] {
			t.tokens[e.id] = e.name
		} else if isAdded[e.name] && !ok {
			continue // its name is no bytes of others
		} else if !ok || token == "" {
			return fmt.Errorf("%v: token %q: has a character that stands for no byte", e.at, e.name)
		}
	}
	slices.SortFunc(t.added, byID)
	return nil
}

// pairs looks the merges up in the vocabulary.
func (s source) pairs() ([]merge, error) {
	ids := make(map[string]int32, len(s.vocab))
	for _, e := range s.vocab {
		ids[e.name] = int32(e.id)
	}
	merges, seen := make([]merge, len(s.merges)), newRanks(len(s.merges))
	for i, p := range s.merges {
		m := &merges[i]
		for _, side := range []struct {
			name string
			id   *int32
		}{{p.a, &m.a}, {p.b, &m.b}, {p.a + p.b, &m.merged}} {
			id, ok := ids[side.name]
			switch {
			case ok:
				*side.id = id
			case side.id == &m.merged:
				return nil, fmt.Errorf("%v: the vocabulary has no token %q for the merge of %q and %q", p.at, side.name, p.a, p.b)
			default:
				return nil, fmt.Errorf("%v: the vocabulary has no token %q", p.at, side.name)
			}
		}
		if _, ok := seen.find(m.a, m.b); ok {
			return nil, fmt.Errorf("%v: %q and %q are merged a second time", p.at, p.a, p.b)
		}
		seen.add(m.a, m.b, rank{int32(i), m.merged})
	}
	return merges, nil
}

// setAround sets what stands around a text.
func (t *Tokenizer) setAround(s source, set settings) error {
	around := [2][]string{}
	switch {
	case s.around != nil:
		around = *s.around
	case set.addBOS && t.roles.bos == "":
		return fmt.Errorf("%s: %s: found true, but no bos_token", set.at, addBOSKey)
	case set.addBOS:
		around[0] = []string{t.roles.bos}
	}
	for i, names := range around {
		for _, name := range names {
			id := t.ID(name)
			if id < 0 {
				return fmt.Errorf("%s: token %q: found no added token of this name", s.aroundAt, name)
			}
			t.around[i] = append(t.around[i], id)
		}
	}
	return nil
}
