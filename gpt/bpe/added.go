package bpe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Token is a token that stands beside the merges: it is looked for in text before
// that is split into words. Its attributes are those of tokenizers' AddedToken.
type Token struct {
	ID         int32  `json:"-"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // only where no letter, digit or underscore stands beside it
	LStrip     bool   `json:"lstrip"`      // takes the white space before it
	RStrip     bool   `json:"rstrip"`      // takes the white space after it
	Normalized bool   `json:"normalized"`  // looked for after those that are not
	Special    bool   `json:"special"`     // stands for no text
}

// roles are the parts that tokens play, by name as in special_tokens_map.json; "" is nobody.
type roles struct {
	bos, eos, unk, sep, pad, cls, mask string
}

// all returns the roles by their names, in the order of transformers.
func (r *roles) all() []role {
	return []role{{"bos_token", &r.bos}, {"eos_token", &r.eos}, {"unk_token", &r.unk}, {"sep_token", &r.sep},
		{"pad_token", &r.pad}, {"cls_token", &r.cls}, {"mask_token", &r.mask}}
}

type role struct {
	name  string
	token *string
}

// Added returns the added tokens by id, special ones and others.
func (t *Tokenizer) Added() []Token { return slices.Clone(t.added) }

// ID returns the id of the added token of this name, or -1 if there is none.
func (t *Tokenizer) ID(name string) int32 {
	if id, ok := t.names[name]; ok {
		return id
	}
	return -1
}

// EndOfText returns the id of the token that ends a text, <|endoftext|> unless the
// directory it was loaded from says otherwise, or -1 if there is none.
func (t *Tokenizer) EndOfText() int32 { return t.ID(t.roles.eos) }

// BOS returns the id of the token that begins a text, <|endoftext|> unless the
// directory it was loaded from says otherwise, or -1 if there is none.
func (t *Tokenizer) BOS() int32 { return t.ID(t.roles.bos) }

// Unknown returns the id of unk_token, or -1. No text is unknown to this tokenizer.
func (t *Tokenizer) Unknown() int32 { return t.ID(t.roles.unk) }

// Pad returns the id of the padding token, <|pad|> unless the directory it was
// loaded from says otherwise, or -1 if there is none.
func (t *Tokenizer) Pad() int32 { return t.ID(t.roles.pad) }

// Around returns ids between the tokens that the directory's post_processor or
// add_bos_token puts before and after a text; ids itself if there are none.
func (t *Tokenizer) Around(ids []int32) []int32 {
	if len(t.around[0])+len(t.around[1]) == 0 {
		return ids
	}
	return slices.Concat(t.around[0], ids, t.around[1])
}

// AddTokens returns a tokenizer that has these tokens too, and their ids, as
// add_tokens does, or with special add_special_tokens. New ids follow the last one.
// A name that is a token already keeps its id. A name that is empty or no UTF-8, or
// that vocab.json has for other bytes than its own (é for the byte 0xE9), is an error.
func (t *Tokenizer) AddTokens(special bool, names ...string) (*Tokenizer, []int32, error) {
	n := t.clone()
	n.tokens, n.outside, n.added = slices.Clone(t.tokens), slices.Clone(t.outside), slices.Clone(t.added)
	ids, known := make([]int32, len(names)), make(map[string]int32, len(t.tokens))
	for id := range t.tokens {
		known[t.fileName(int32(id))] = int32(id)
	}
	for i, name := range names {
		if name == "" || !utf8.ValidString(name) {
			return nil, nil, fmt.Errorf("add token %q: expected a name in UTF-8 that is not empty", name)
		}
		id, ok := known[name]
		switch {
		case !ok:
			id = int32(len(n.tokens))
			known[name] = id
			n.tokens, n.outside = append(n.tokens, name), append(n.outside, true)
		case n.tokens[id] != name:
			return nil, nil, fmt.Errorf("add token %q: it is the vocabulary's name for the bytes %q", name, n.tokens[id])
		}
		ids[i] = id
		if at := slices.IndexFunc(n.added, func(a Token) bool { return a.ID == id }); at >= 0 {
			n.added[at].Special = n.added[at].Special || special
			continue
		}
		n.added = append(n.added, Token{ID: id, Content: name, Special: special, Normalized: !special})
	}
	slices.SortFunc(n.added, byID)
	n.index()
	return n, ids, nil
}

// fileName returns the name that files have for a token.
func (t *Tokenizer) fileName(id int32) string {
	if at, ok := slices.BinarySearchFunc(t.added, id, func(a Token, id int32) int { return cmp.Compare(a.ID, id) }); ok {
		return t.added[at].Content
	}
	return show(t.tokens[id])
}

func byID(a, b Token) int { return cmp.Compare(a.ID, b.ID) }

// index makes what follows from the added tokens.
func (t *Tokenizer) index() {
	t.names, t.special, t.insideText = make(map[string]int32, len(t.added)), make([]bool, len(t.tokens)), false
	var turns [2]matcher
	for _, a := range t.added {
		t.names[a.Content] = a.ID
		// What the merges make is text, whatever part it plays beside that.
		made, ordinary := t.ids[t.tokens[a.ID]]
		t.special[a.ID] = a.Special && !(ordinary && made == a.ID)
		t.insideText = t.insideText || !a.Special
		turn := &turns[0]
		if a.Normalized {
			turn = &turns[1]
		}
		turn.add(a)
	}
	t.matchers = slices.DeleteFunc(turns[:], func(m matcher) bool { return m.nodes == nil })
}

// matcher finds the names of added tokens in text: a tree by bytes.
type matcher struct {
	nodes  []node // the first is the root; nil if there are no names
	tokens []Token
}

type node struct {
	next  map[byte]int32
	token int32 // index of the token whose name ends here, -1 for none
}

func (m *matcher) add(a Token) {
	if m.nodes == nil {
		m.nodes = []node{{map[byte]int32{}, -1}}
	}
	at := int32(0)
	for i := range len(a.Content) {
		next, ok := m.nodes[at].next[a.Content[i]]
		if !ok {
			next = int32(len(m.nodes))
			m.nodes = append(m.nodes, node{map[byte]int32{}, -1})
			m.nodes[at].next[a.Content[i]] = next
		}
		at = next
	}
	m.nodes[at].token = int32(len(m.tokens))
	m.tokens = append(m.tokens, a)
}

// at returns the longest name that text goes on with at i.
func (m *matcher) at(text string, i int) (found Token, ok bool) {
	node, best := int32(0), int32(-1)
	for ; i < len(text); i++ {
		next, goesOn := m.nodes[node].next[text[i]]
		if !goesOn {
			break
		}
		if node = next; m.nodes[node].token >= 0 {
			best = m.nodes[node].token
		}
	}
	if best < 0 {
		return found, false
	}
	return m.tokens[best], true
}

// part is a piece of a text: an added token, or text between two if id is -1.
type part struct {
	from, to int
	id       int32
}

// split returns the parts of text. Without special, the names of special tokens are text.
func (t *Tokenizer) split(text string, special bool) []part {
	parts := []part{{0, len(text), -1}}
	for i := range t.matchers {
		var finer []part
		for _, p := range parts {
			if p.id >= 0 {
				finer = append(finer, p)
				continue
			}
			finer = t.matchers[i].split(finer, text[p.from:p.to], p.from, special)
		}
		parts = finer
	}
	return parts
}

// split appends the parts of a piece of text that begins at offset.
func (m *matcher) split(parts []part, text string, offset int, special bool) []part {
	var first [256]bool
	for b := range m.nodes[0].next {
		first[b] = true
	}
	done := 0
	for i := 0; i < len(text); {
		if !first[text[i]] {
			i++
			continue
		}
		token, ok := m.at(text, i)
		if !ok {
			i++
			continue
		}
		from, to := i, i+len(token.Content)
		i = to
		if token.Special && !special || token.SingleWord && !standsAlone(text, from, to) {
			continue
		}
		if token.LStrip {
			from = len(strings.TrimRightFunc(text[:from], unicode.IsSpace))
		}
		from = max(from, done)
		if token.RStrip {
			to = len(text) - len(strings.TrimLeftFunc(text[to:], unicode.IsSpace))
		}
		if from > done {
			parts = append(parts, part{offset + done, offset + from, -1})
		}
		parts = append(parts, part{offset + from, offset + to, token.ID})
		done, i = to, max(i, to)
	}
	if done < len(text) {
		parts = append(parts, part{offset + done, offset + len(text), -1})
	}
	return parts
}

// standsAlone reports whether no word character stands beside text[from:to].
func standsAlone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return !isWord(before) && !isWord(after)
}

// isWord reports whether r is what regular expressions call \w, by Unicode's UTS 18.
func isWord(r rune) bool {
	if r == utf8.RuneError {
		return false
	}
	return unicode.In(r, unicode.Letter, unicode.Nl, unicode.Other_Alphabetic, unicode.Mark, unicode.Nd, unicode.Pc, unicode.Join_Control)
}
