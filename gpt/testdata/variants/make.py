"""Makes golden.json, weights.safetensors and grads.safetensors beside it: loss and gradients of one small GPT-2 with each
activation, computed by PyTorch 2.8 and transformers 4.56.2 in float64. The model has an MLP of n_inner channels and a
head of its own. Run as: python make.py
"""

import json

import torch
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

SHAPE = dict(vocab_size=19, n_positions=12, n_embd=10, n_layer=2, n_head=2, n_inner=23)
SEQUENCES = [[3, 18, 0, 7, 7, 1, 12, 5, 2, 9, 4, 16], [11, 6], [8, 10, 13, 17, 14, 15, 3]]
LOSS_FROM = [1, 1, 4]  # the first token of each sequence that is learnt
ACTIVATIONS = ["gelu_new", "gelu", "relu", "silu", "swish", "tanh", "quick_gelu", "gelu_fast", "gelu_pytorch_tanh"]


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
    for s, first in zip(SEQUENCES, LOSS_FROM):
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
    save_file(weights, "weights.safetensors")
    save_file(grads, "grads.safetensors")
    golden = {"made_by": f"make.py with PyTorch {torch.__version__}, transformers {transformers.__version__}",
              **SHAPE, "sequences": SEQUENCES, "loss_from": LOSS_FROM, "cases": cases}
    with open("golden.json", "w") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")


main()
