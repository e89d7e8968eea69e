package bpe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Files returns the tokenizer's part of a model directory, by file name: what
// transformers' GPT2Tokenizer reads, and tokenizer.json for GPT2TokenizerFast and the
// tokenizers library. Equal tokenizers give equal bytes. The latter two read in all
// cases as EncodeSpecial does. GPT2Tokenizer knows of Around no more than a bos_token
// before a text and does not know single_word; a prefix space it puts also before a
// text that begins with one, and never after an added token; and it decodes with
// spaces around added tokens that are not special.
func (t *Tokenizer) Files() map[string][]byte {
	vocab, merges := t.vocabulary()
	plain := []byte("#version: 0.2\n")
	for _, m := range merges {
		plain = append(plain, m+"\n"...)
	}
	called, config := t.settingsFiles()
	files := map[string][]byte{
		vocabFile: vocab, mergesFile: plain, mapFile: indent(called), settingsFile: indent(config), tokenizerFile: t.tokenizerJSON(vocab, merges),
	}
	var added []byte
	for _, a := range t.added {
		if t.outside[a.ID] {
			added = fmt.Appendf(added, ",%s:%d", quote(a.Content), a.ID)
		}
	}
	if added != nil {
		files[addedFile] = slices.Concat([]byte("{"), added[1:], []byte("}"))
	}
	return files
}

// vocabulary returns the model's vocabulary as JSON by id, and the merges as lines.
func (t *Tokenizer) vocabulary() (vocab []byte, merges []string) {
	for id, outside := range t.outside {
		if !outside {
			vocab = fmt.Appendf(vocab, ",%s:%d", quote(t.fileName(int32(id))), id)
		}
	}
	merges = make([]string, len(t.merges))
	for i, m := range t.merges {
		merges[i] = show(t.tokens[m.a]) + " " + show(t.tokens[m.b])
	}
	return slices.Concat([]byte("{"), vocab[1:], []byte("}")), merges
}

// settingsFiles returns special_tokens_map.json and tokenizer_config.json.
func (t *Tokenizer) settingsFiles() (called, config map[string]any) {
	called, config = map[string]any{}, map[string]any{}
	playing := map[string]bool{}
	for key, raw := range t.settings {
		config[key] = raw
	}
	for _, role := range t.roles.all() {
		if name := *role.token; name != "" {
			playing[name] = true
			called[role.name] = name
		} else if defaults[role.name] != "" {
			config[role.name] = nil // or transformers would add GPT-2's own
		}
	}
	var additional []string
	for _, a := range t.added {
		if a.Special && !playing[a.Content] {
			additional = append(additional, a.Content)
		}
	}
	if additional != nil {
		called[additionalKey] = additional
	}
	maps.Copy(config, called)
	decoder := map[string]Token{}
	for _, a := range t.added {
		decoder[strconv.Itoa(int(a.ID))] = a
	}
	config[decoderKey], config[prefixSpaceKey], config[classKey], config[tidyKey] = decoder, t.prefixSpace, "GPT2Tokenizer", false
	config[addBOSKey] = len(t.around[0]) == 1 && t.around[0][0] == t.BOS() && t.around[1] == nil
	return called, config
}

// tokenizerJSON returns tokenizer.json.
func (t *Tokenizer) tokenizerJSON(vocab []byte, merges []string) []byte {
	type object = map[string]any
	level := func(prefixSpace bool) object {
		return object{"type": "ByteLevel", "add_prefix_space": prefixSpace, "trim_offsets": true, "use_regex": true}
	}
	added := make([]addedToken, len(t.added))
	for i, a := range t.added {
		added[i] = addedToken{a.ID, a}
	}
	after := level(true)
	if len(t.around[0])+len(t.around[1]) > 0 {
		after = t.template()
	}
	return compact(struct {
		Version       string       `json:"version"`
		Truncation    any          `json:"truncation"`
		Padding       any          `json:"padding"`
		Added         []addedToken `json:"added_tokens"`
		Normalizer    any          `json:"normalizer"`
		PreTokenizer  object       `json:"pre_tokenizer"`
		PostProcessor object       `json:"post_processor"`
		Decoder       object       `json:"decoder"`
		Model         object       `json:"model"`
	}{"1.0", nil, nil, added, nil, level(t.prefixSpace), after, level(true), object{
		"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
		"byte_fallback": false, "ignore_merges": false, "vocab": json.RawMessage(vocab), "merges": merges}})
}

// template returns what Around does as a post-processor, which for a pair of texts
// does the same around each.
func (t *Tokenizer) template() map[string]any {
	type object = map[string]any
	tokens := object{}
	text := func(id string, kind int) (parts []object) {
		special := func(ids []int32) {
			for _, id := range ids {
				name := t.tokens[id]
				tokens[name] = object{"id": name, "ids": []int32{id}, "tokens": []string{name}}
				parts = append(parts, object{"SpecialToken": object{"id": name, "type_id": kind}})
			}
		}
		special(t.around[0])
		parts = append(parts, object{"Sequence": object{"id": id, "type_id": kind}})
		special(t.around[1])
		return parts
	}
	single := text("A", 0)
	return object{"type": "TemplateProcessing", "single": single, "pair": append(text("A", 0), text("B", 1)...), "special_tokens": tokens}
}

// quote is JSON without the escapes that HTML wants.
func quote(s string) []byte { return compact(s) }

func compact(v any) []byte {
	return bytes.TrimSuffix(encode(v, ""), []byte{'\n'})
}

func indent(v any) []byte { return encode(v, "  ") }

// encode returns v as JSON. It has nothing in it that has no encoding.
func encode(v any, indent string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("bpe: %v has no encoding: %v", v, err))
	}
	return b.Bytes()
}
