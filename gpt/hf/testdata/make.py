"""Makes the directories beside it, each a small model as users' files look, with golden.json: log-probabilities of every
token after each token of a sequence (or the score of the sequence), computed by PyTorch from the weights in memory.

    python make.py      with torch 2.8.0, transformers 4.56.2, safetensors 0.8.0; lm and rm are older and not made here

The modules of minGPT and nanoGPT are written anew here, with the names that their checkpoints have.
"""
import json
import math
import os
import shutil

import torch
import torch.nn as nn
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = [5, 1, 12, 0, 7, 3, 3]
SIZES = dict(vocab_size=13, n_positions=8, n_embd=8, n_layer=1, n_head=2)
MADE_BY = f"make.py, PyTorch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}"


def model(cls=GPT2LMHeadModel, seed=1, **kw):
    torch.manual_seed(seed)
    m = cls(GPT2Config(**{**SIZES, "bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.3, **kw})).eval()
    with torch.no_grad():
        for name, p in m.named_parameters():  # gains and biases that say something
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.2)
    return m


def fresh(name):
    d = os.path.join(HERE, name)
    shutil.rmtree(d, ignore_errors=True)
    os.makedirs(d)
    return d


def golden(d, m):
    with torch.no_grad():
        out = m(torch.tensor([TOKENS]))
        logits = out if torch.is_tensor(out) else out.logits
    g = {"made_by": MADE_BY, "tokens": TOKENS}
    if isinstance(m, GPT2ForSequenceClassification):
        g["score"] = logits.item()
    else:
        g["logprobs"] = [[round(x, 7) for x in row] for row in torch.log_softmax(logits[0].double(), -1).tolist()]
    with open(os.path.join(d, "golden.json"), "w") as f:
        json.dump(g, f)
        f.write("\n")


def config(d, c, drop=(), **more):
    """config.json of c without some fields and with others."""
    fields = {k: v for k, v in json.loads(c.to_json_string()).items() if k not in drop}
    with open(os.path.join(d, "config.json"), "w") as f:
        json.dump({**fields, **more}, f, indent=2)


def pretrained(name, m, **kw):
    d = fresh(name)
    m.save_pretrained(d, **kw)
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(d, extra)):
            os.remove(os.path.join(d, extra))
    golden(d, m)
    return d


def half(name, dtype, **kw):
    """The golden numbers are of the rounded weights, computed in float32."""
    m = model(seed=4)
    m.to(dtype)
    d = fresh(name)
    m.save_pretrained(d, **kw)
    if os.path.exists(os.path.join(d, "generation_config.json")):
        os.remove(os.path.join(d, "generation_config.json"))
    golden(d, m.float())


def safetensors():
    pretrained("sharded", model(seed=2), max_shard_size="2KB")
    pretrained("own_head", model(seed=3, tie_word_embeddings=False))
    pretrained("n_inner", model(seed=5, n_inner=11))
    for activation in ("gelu", "relu", "silu"):
        pretrained("act_" + activation, model(seed=6, activation_function=activation))
    half("f16", torch.float16)
    half("bf16", torch.bfloat16)
    half("f64", torch.float64)
    pretrained("score_num_labels", model(GPT2ForSequenceClassification, seed=7, num_labels=1, pad_token_id=0))


def bins():
    pretrained("bin_sharded", model(seed=8), safe_serialization=False, max_shard_size="2KB")
    half("bin_f16", torch.float16, safe_serialization=False)
    half("bin_bf16", torch.bfloat16, safe_serialization=False)
    pretrained("bin_score", model(GPT2ForSequenceClassification, seed=9, num_labels=1, pad_token_id=0), safe_serialization=False)
    m = model(seed=10)
    d = fresh("bin_legacy")
    config(d, m.config)
    torch.save(m.state_dict(), os.path.join(d, "pytorch_model.bin"), _use_new_zipfile_serialization=False)
    golden(d, m)
    # views: transposed matrices, one flat storage for all the vectors, a parameter, and a storage of the older format with a tail
    m = model(seed=11)
    state = {k: v for k, v in m.state_dict().items() if k != "lm_head.weight"}
    flat = torch.cat([v for v in state.values() if v.dim() == 1])
    at = 0
    for k, v in state.items():
        if v.dim() == 1:
            state[k] = flat[at:at + len(v)]
            at += len(v)
        elif "mlp" in k:
            state[k] = v.t().contiguous().t()
    state["transformer.wpe.weight"] = nn.Parameter(state["transformer.wpe.weight"])
    wide = torch.zeros(SIZES["vocab_size"], 2 * SIZES["n_embd"])
    wide[:, ::2] = state["transformer.wte.weight"]
    state["transformer.wte.weight"] = wide[:, ::2]
    for name, new in (("bin_views", True), ("bin_views_legacy", False)):
        d = fresh(name)
        config(d, m.config)
        torch.save(state, os.path.join(d, "pytorch_model.bin"), _use_new_zipfile_serialization=new)
        golden(d, m)


def mask(m, dtype):
    n = SIZES["n_positions"]
    return {f"h.{i}.attn.bias": torch.tril(torch.ones(n, n)).view(1, 1, n, n).to(dtype) for i in range(m.config.n_layer)}


def layouts():
    """The files of the hub: gpt2 (no prefix, masks, n_ctx), distilgpt2 (prefix, id2label), DialoGPT (old pickle, byte masks, its head)."""
    m = model(seed=12)
    d = fresh("like_gpt2")
    new = ("dtype", "transformers_version", "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx", "scale_attn_weights", "use_cache", "n_inner")
    config(d, m.config, new, n_ctx=8, task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}})
    state = {k.removeprefix("transformer."): v.clone() for k, v in m.state_dict().items() if k != "lm_head.weight"}
    save_file({**state, **mask(m, torch.float32)}, os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
    golden(d, m)

    m = model(seed=13)
    d = fresh("like_distilgpt2")
    config(d, m.config, new + ("embd_pdrop",), n_ctx=8, _num_labels=1, id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})
    state = {k: v.clone() for k, v in m.state_dict().items()}
    save_file({**state, **{"transformer." + k: v for k, v in mask(m, torch.bool).items()}}, os.path.join(d, "model.safetensors"), metadata={"format": "pt"})
    golden(d, m)

    m = model(seed=14)
    d = fresh("like_dialogpt")
    config(d, m.config, new + ("model_type", "architectures", "n_positions"), n_ctx=8, attn_pdrop=0.2)
    masks = {"transformer." + k: v for k, v in mask(m, torch.uint8).items()}
    masks |= {k.replace(".bias", ".masked_bias"): torch.tensor(-1e4) for k in masks}
    torch.save({**m.state_dict(), **masks}, os.path.join(d, "pytorch_model.bin"), _use_new_zipfile_serialization=False)
    golden(d, m)


class Norm(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.weight = nn.Parameter(1 + 0.2 * torch.randn(width))
        self.bias = nn.Parameter(0.2 * torch.randn(width)) if bias else None

    def forward(self, x):
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, 1e-5)


class Attention(nn.Module):
    def __init__(self, width, heads, context, bias):
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width, bias), nn.Linear(width, width, bias)
        self.register_buffer("bias", torch.tril(torch.ones(context, context)).view(1, 1, context, context))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (y.view(batch, length, self.heads, -1).transpose(1, 2) for y in self.c_attn(x).split(width, -1))
        weights = q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])
        weights = weights.masked_fill(self.bias[:, :, :length, :length] == 0, -torch.inf).softmax(-1)
        return self.c_proj((weights @ v).transpose(1, 2).reshape(batch, length, width))


class Layer(nn.Module):
    def __init__(self, width, heads, context, bias, gelu):
        super().__init__()
        self.ln_1, self.attn = Norm(width, bias), Attention(width, heads, context, bias)
        self.ln_2 = Norm(width, bias)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width, bias), "c_proj": nn.Linear(4 * width, width, bias)})
        self.gelu = gelu

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate=self.gelu))


class Karpathys(nn.Module):
    """The model of minGPT (tanh GELU, a head of its own) and of nanoGPT (GELU by erf, a tied head, biases or none)."""

    def __init__(self, gelu, tied, bias):
        super().__init__()
        vocabulary, context, width, layers, heads = (SIZES[k] for k in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"))
        self.transformer = nn.ModuleDict({
            "wte": nn.Embedding(vocabulary, width), "wpe": nn.Embedding(context, width),
            "h": nn.ModuleList(Layer(width, heads, context, bias, gelu) for _ in range(layers)), "ln_f": Norm(width, bias)})
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.transformer["wte"].weight = self.lm_head.weight

    def forward(self, tokens):
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](torch.arange(tokens.shape[1]))
        for layer in self.transformer["h"]:
            x = layer(x)
        return self.lm_head(self.transformer["ln_f"](x))


def karpathys():
    torch.manual_seed(15)
    m = Karpathys("tanh", tied=False, bias=True).eval()
    d = fresh("mingpt")
    torch.save(m.state_dict(), os.path.join(d, "model.pt"))
    golden(d, m)
    for name, bias in (("nanogpt", True), ("nanogpt_no_bias", False)):
        torch.manual_seed(16)
        m = Karpathys("none", tied=True, bias=bias).eval()
        d = fresh(name)
        optimizer = torch.optim.AdamW(m.parameters(), lr=1e-3, betas=(0.9, 0.95))
        m(torch.tensor([TOKENS])).square().mean().backward()
        optimizer.step()  # its state stands in the file
        torch.save({
            "model": {"_orig_mod." + k: v for k, v in m.state_dict().items()}, "optimizer": optimizer.state_dict(),
            "model_args": dict(n_layer=SIZES["n_layer"], n_head=SIZES["n_head"], n_embd=SIZES["n_embd"], block_size=SIZES["n_positions"],
                               bias=bias, vocab_size=SIZES["vocab_size"], dropout=0.15),
            "iter_num": 250, "best_val_loss": torch.tensor(2.5), "config": {"dataset": "shakespeare_char", "learning_rate": 1e-3, "compile": True},
        }, os.path.join(d, "ckpt.pt"))
        golden(d, m)


def hostile():
    """A pickle that would run a command in Python, in both formats of torch.save."""
    class Evil:
        def __reduce__(self):
            return os.system, ("echo this ran",)
    for name, new in (("evil_zip", True), ("evil_legacy", False)):
        d = fresh(name)
        config(d, model().config)
        torch.save({"transformer.wte.weight": Evil()}, os.path.join(d, "pytorch_model.bin"), _use_new_zipfile_serialization=new)


safetensors()
bins()
layouts()
karpathys()
hostile()
