"""Makes golden.json, weights.safetensors and grads.safetensors beside it: loss and gradients of one small GPT-2 with each
activation, and with dropout by the very masks of internal/kernel/dropout.h, whose generator is written out again here;
computed by PyTorch 2.8 and transformers 4.56.2 in float64. The model has an MLP of n_inner channels and a head of its own.
Run as: python make.py
"""

import json

import numpy
import torch
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

SHAPE = dict(vocab_size=19, n_positions=12, n_embd=10, n_layer=2, n_head=2, n_inner=23)
SEQUENCES = [[3, 18, 0, 7, 7, 1, 12, 5, 2, 9, 4, 16], [11, 6], [8, 10, 13, 17, 14, 15, 3]]
LOSS_FROM = [1, 1, 4]  # the first token of each sequence that is learnt
ACTIVATIONS = ["gelu_new", "gelu", "relu", "silu", "swish", "tanh", "quick_gelu", "gelu_fast", "gelu_pytorch_tanh"]
DROPOUT = {"embd": 0.1, "attn": 0.3, "resid": 0.2, "seed": 2**63 + 11, "step": 12345, "first": 2**32 - 1}
M32, M64 = 2**32 - 1, 2**64 - 1


def scramble(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return z ^ z >> 31


def mix(state, *values):
    for v in values:
        state = scramble((state ^ v) + 0x9E3779B97F4A7C15 & M64)
    return state


def draw(key, salt, j):
    k = scramble(key ^ salt)
    h = (k & M32) + j * 0x9E3779B9 & M32
    h = (h ^ h >> 16) * 0x21F0AAAD & M32
    h = ((h ^ h >> 15) + (k >> 32)) * 0xD35A2D97 & M32
    return h ^ h >> 15


class Masked(torch.nn.Module):
    """Stands for a Dropout module; its input is (1, [heads,] positions, numbers) of the sequence called SEQUENCE."""

    def __init__(self, p, layer, site):
        super().__init__()
        self.p, self.layer, self.site = float(numpy.float32(p)), layer, site

    def forward(self, x):
        mask = torch.zeros_like(x).view(-1, *x.shape[-2:])
        sequence = mix(0, DROPOUT["seed"], DROPOUT["step"], DROPOUT["first"] + Masked.sequence)
        for head, position, j in numpy.ndindex(*mask.shape):
            if draw(mix(sequence, position), mix(1, self.layer, self.site, head), j) < (1 - self.p) * 2**32:
                mask[head, position, j] = 1 / (1 - self.p)
        return x * mask.view(x.shape)


def masked(model):
    model.transformer.drop = Masked(DROPOUT["embd"], 0, 0)
    for layer, block in enumerate(model.transformer.h):
        block.attn.attn_dropout = Masked(DROPOUT["attn"], layer, 1)
        block.attn.resid_dropout = Masked(DROPOUT["resid"], layer, 2)
        block.mlp.dropout = Masked(DROPOUT["resid"], layer, 3)
    return model


def build(activation, weights=None):
    config = GPT2Config(**SHAPE, activation_function=activation, tie_word_embeddings=False,
                        embd_pdrop=0, attn_pdrop=0, resid_pdrop=0, attn_implementation="eager")
    torch.manual_seed(1)
    model = GPT2LMHeadModel(config)
    if weights is None:  # far enough from the start for every path to matter
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn_like(p) * 0.3)
        weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    else:
        model.load_state_dict(weights)
    return model.double().train(), weights


def gradients(model):
    """Returns the mean loss over all learnt tokens and its gradients."""
    learnt = sum(len(s) - f for s, f in zip(SEQUENCES, LOSS_FROM))
    total = 0.0
    for Masked.sequence, (s, first) in enumerate(zip(SEQUENCES, LOSS_FROM)):
        logprobs = model(torch.tensor([s])).logits[0].log_softmax(-1)
        loss = -sum(logprobs[t - 1, s[t]] for t in range(first, len(s))) / learnt
        loss.backward()
        total += loss.item()
    return total, {n: p.grad.float() for n, p in model.named_parameters()}


def main():
    _, weights = build("gelu_new")
    grads, cases = {}, []
    for activation in ACTIVATIONS:
        loss, g = gradients(build(activation, weights)[0])
        cases.append({"name": activation, "activation": activation, "loss": loss})
        grads |= {f"{activation}/{n}": x for n, x in g.items()}
    loss, g = gradients(masked(build("gelu_new", weights)[0]))
    cases.append({"name": "dropout", "activation": "gelu_new", "dropout": DROPOUT, "loss": loss})
    grads |= {f"dropout/{n}": x for n, x in g.items()}
    save_file(weights, "weights.safetensors")
    save_file(grads, "grads.safetensors")
    golden = {"made_by": f"make.py with PyTorch {torch.__version__}, transformers {transformers.__version__}",
              **SHAPE, "sequences": SEQUENCES, "loss_from": LOSS_FROM, "cases": cases}
    with open("golden.json", "w") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")


main()
