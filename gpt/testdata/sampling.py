"""Makes sampling.json: what transformers' logits processors and beam search give on the model in lm/.

    python3 sampling.py    # in this directory, with PyTorch 2.8.0 and transformers 4.56.2
"""

import json

import torch
import transformers
from transformers import GPT2LMHeadModel
from transformers.generation import logits_process as lp

model = GPT2LMHeadModel.from_pretrained("lm").eval()
V = model.config.vocab_size


def filtered(scores, before, s):
    ids = torch.tensor([before])
    scores = scores[None].clone()
    if "repetition_penalty" in s:
        scores = lp.RepetitionPenaltyLogitsProcessor(s["repetition_penalty"])(ids, scores)
    if "temperature" in s:
        scores = lp.TemperatureLogitsWarper(s["temperature"])(ids, scores)
    if "top_k" in s:
        scores = lp.TopKLogitsWarper(s["top_k"])(ids, scores)
    if "top_p" in s:
        scores = lp.TopPLogitsWarper(s["top_p"])(ids, scores)
    if "min_p" in s:
        scores = lp.MinPLogitsWarper(s["min_p"])(ids, scores)
    return torch.softmax(scores, -1)[0].tolist()


SETTINGS = [
    {"temperature": 0.7}, {"temperature": 3.0}, {"top_k": 1}, {"top_k": 7}, {"top_k": 100}, {"top_p": 0.05}, {"top_p": 0.5}, {"top_p": 0.9}, {"top_p": 0.999},
    {"min_p": 0.05}, {"min_p": 0.5}, {"min_p": 1.0}, {"repetition_penalty": 1.3}, {"repetition_penalty": 0.7}, {"repetition_penalty": 5.0, "temperature": 0.5},
    {"temperature": 0.7, "top_k": 5}, {"temperature": 1.5, "top_p": 0.8}, {"top_k": 12, "top_p": 0.6}, {"top_k": 20, "min_p": 0.3}, {"top_p": 0.7, "min_p": 0.4},
    {"top_p": 0.9, "min_p": 0.1}, {"temperature": 0.3, "top_k": 30, "top_p": 0.95, "min_p": 0.02},
    {"repetition_penalty": 1.8, "temperature": 0.6, "top_k": 15, "top_p": 0.9, "min_p": 0.05}, {"repetition_penalty": 1.2, "top_p": 0.6},
    {"repetition_penalty": 0.5, "top_k": 3}, {"repetition_penalty": 2.0, "min_p": 0.6},
]

out = {"made_by": f"sampling.py, PyTorch {torch.__version__}, transformers {transformers.__version__}", "filters": [], "ties": [], "greedy": [], "beams": []}
golden = json.load(open("lm/golden.json"))
contexts = [s[:n] for s in golden["sequences"] for n in (1, 3, len(s))]
with torch.no_grad():
    rows = [model(torch.tensor([c])).logits[0, -1] for c in contexts]
for context, row in zip(contexts, rows):
    out["filters"].append({"before": context, "logits": row.tolist(), "probs": [filtered(row, context, s) for s in SETTINGS]})
out["settings"] = SETTINGS

# rows with many equal logits: which of them go first
for row in ([0.0] * 9, [1.0, 0.0, 1.0, 0.0, 1.0, 2.0, 0.0], [3.0, 3.0, 3.0, 2.0, 2.0, 2.0, -1.0, -1.0], [-2.0, -2.0, 0.5]):
    for s in ({"top_k": 2}, {"top_p": 0.3}, {"top_p": 0.5}, {"top_p": 0.77}, {"min_p": 0.9}, {"top_k": 4, "top_p": 0.6}, {"repetition_penalty": 1.5, "top_k": 2}):
        out["ties"].append({"before": [0, 2, 2], "logits": row, "settings": s, "probs": filtered(torch.tensor(row), [0, 2, 2], s)})

prompts = [[41], [55, 40, 44], [36, 27, 27, 42, 7, 21, 60], [1, 2]]
for prompt in prompts:
    for penalty in (1.2, 2.5):
        tokens = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=9, repetition_penalty=penalty, eos_token_id=None, pad_token_id=0)
        out["greedy"].append({"prompt": prompt, "penalty": penalty, "tokens": tokens[0, len(prompt):].tolist()})

# The tiny model never likes one token much, so some of its favourites are made end-of-text to have sequences end early.
for prompt in prompts:
    for eos in ([], [50], [45, 58, 33], [34, 12, 50, 55]):
        for s in (
            {"num_beams": 2}, {"num_beams": 4}, {"num_beams": 4, "early_stopping": True}, {"num_beams": 4, "early_stopping": "never"},
            {"num_beams": 3, "length_penalty": 2.0}, {"num_beams": 3, "length_penalty": 0.0}, {"num_beams": 3, "length_penalty": -1.0, "early_stopping": True},
            {"num_beams": 5, "length_penalty": -0.5, "early_stopping": "never"}, {"num_beams": 6, "length_penalty": 0.6, "early_stopping": "never"},
            {"num_beams": 4, "repetition_penalty": 1.7}, {"num_beams": 4, "max_new_tokens": 1}, {"num_beams": 7, "max_new_tokens": 2},
        ):
            g = model.generate(torch.tensor([prompt]), **{"do_sample": False, "max_new_tokens": 9, **s}, num_return_sequences=s["num_beams"],
                eos_token_id=eos or None, pad_token_id=-1, output_scores=True, return_dict_in_generate=True)
            lengths = (g.beam_indices >= 0).sum(-1).tolist()
            out["beams"].append({"prompt": prompt, "eos": eos, "settings": s, "scores": g.sequences_scores.tolist(),
                "sequences": [x[len(prompt):len(prompt) + n].tolist() for x, n in zip(g.sequences, lengths)]})

def short(x):
    if isinstance(x, float):
        return float(f"{x:.9g}")
    if isinstance(x, dict):
        return {k: short(v) for k, v in x.items()}
    if isinstance(x, list):
        return [short(v) for v in x]
    return x

json.dump(short(out), open("sampling.json", "w"), separators=(",", ":"))
print(len(out["filters"]), "rows,", len(SETTINGS), "settings,", len(out["beams"]), "beam searches")
