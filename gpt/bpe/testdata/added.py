"""Writes added.json beside it: what the tokenizers library makes of texts with added tokens. python3 added.py"""
import json
import os
import random

import tokenizers
from tokenizers import Tokenizer
d = os.path.dirname(os.path.abspath(__file__))
base = json.load(open(os.path.join(d, "tokenizer.json")))
n = len(base["model"]["vocab"])
rnd = random.Random(1)

def tok(content, **how):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **how}

LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
def template(single, names):
    return {"type": "TemplateProcessing", "single": single, "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {x: {"id": x, "ids": [names[x]], "tokens": [x]} for x in names}}
A = {"Sequence": {"id": "A", "type_id": 0}}


def S(x):
    return {"SpecialToken": {"id": x, "type_id": 0}}

cases = [
    ("several special tokens, one the beginning of another", [tok("<a>"), tok("<a><b>"), tok("<|im start|>"), tok("中é")], {}, None),
    ("special and plain", [tok("<a>"), tok("xyz", special=False, normalized=True), tok("the", special=False), tok("<a>x", special=False, normalized=True)], {}, None),
    ("stripping", [tok("<l>", lstrip=True), tok("<r>", rstrip=True), tok("<lr>", lstrip=True, rstrip=True, special=False)], {}, None),
    ("single words", [tok("cat", single_word=True, special=False), tok("@@", single_word=True), tok("<w>", single_word=True, lstrip=True)], {}, None),
    ("prefix space", [tok("<a>"), tok("x", special=False)], {**LEVEL, "add_prefix_space": True}, None),
    ("sequence", [tok("<a>")], {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": GPT2}, "behavior": "Isolated", "invert": False}, {**LEVEL, "use_regex": False}]}, None),
    ("template", [tok("<s>"), tok("</s>")], {**LEVEL}, template([S("<s>"), A, S("</s>"), S("</s>")], {"<s>": n, "</s>": n + 1})),
    ("template after bytes", [tok("<s>")], {**LEVEL}, {"type": "Sequence", "processors": [LEVEL, template([S("<s>"), A], {"<s>": n})]}),
]
out = []
for name, added, pre, post in cases:
    eot, pad = [a for a in base["added_tokens"]]
    ids = {}
    for a in added:
        ids[a["content"]] = base["model"]["vocab"].get(a["content"], n + sum(i >= n for i in ids.values()))
    patch = {"added_tokens": [eot, pad] + [{"id": ids[a["content"]], **a} for a in added]}
    if pre:
        patch["pre_tokenizer"] = pre
    if post:
        patch["post_processor"] = post
    t = Tokenizer.from_str(json.dumps({**base, **patch}))
    assert t.get_vocab_size() == n + sum(i >= n for i in ids.values()), name
    bits = [a["content"] for a in added] * 3 + ["<|endoftext|>", " ", "  ", "\n", "\t ", "the cat", "cat's", "x", "xy", "_", "1", "é", "中文", " <a", "<", "b>", "\u00a0", "…", "-", "Alice"]
    texts = ["", " ", "it is", " it"] + ["".join(rnd.choice(bits) for _ in range(rnd.randrange(1, 8))) for _ in range(40)]
    vectors = []
    for text in texts:
        v = {"text": text}
        t.encode_special_tokens = False
        v["special"] = t.encode(text, add_special_tokens=False).ids
        v["around"] = t.encode(text).ids
        t.encode_special_tokens = True
        v["plain"] = t.encode(text, add_special_tokens=False).ids
        v["decoded"] = t.decode(v["special"], skip_special_tokens=True)
        vectors.append(v)
    out.append({"name": name, "patch": patch, "vectors": vectors})
how = ("tokenizers %s, Tokenizer.from_str of tokenizer.json with the fields of patch put in its place; special and plain are encode with "
       "encode_special_tokens False and True and add_special_tokens False, around is encode, decoded is decode of special" % tokenizers.__version__)
with open(os.path.join(d, "added.json"), "w") as f:
    f.write('{"made_by": %s,\n"cases": [' % json.dumps(how))
    for i, c in enumerate(out):
        f.write('%s\n{"name": %s,\n"patch": %s,\n"vectors": [\n' % ("," if i else "", json.dumps(c["name"]), json.dumps(c["patch"])))
        f.write(",\n".join(json.dumps(v) for v in c["vectors"]) + "\n]}")
    f.write("\n]}\n")
