# The peers of bench_test.go on the same shapes: PyTorch eager training with fused AdamW and transformers' generate
# with its KV cache. Needs torch and transformers in the current Python; prints tokens a second.
import sys, time
import torch
from transformers import GPT2Config, GPT2LMHeadModel

torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
SIZES = [("0.9M", 4, 4, 128, 512, 32, 64), ("10.9M", 6, 6, 384, 512, 16, 128)]


def rate(tokens, run, seconds=6.0):
    run()
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run()
        n += 1
    return tokens * n / (time.perf_counter() - start)


for name, layers, heads, width, vocabulary, batch, length in SIZES:
    torch.manual_seed(1)
    config = GPT2Config(vocab_size=vocabulary, n_positions=128, n_embd=width, n_layer=layers, n_head=heads,
                        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=None, pad_token_id=0)
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(vocabulary, (batch, length))

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(tokens, labels=tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    print(f"TrainStep/{name} torch {torch.__version__} eager: {rate(batch * length, step):.0f} tok/s", flush=True)
    model.eval()
    prompts = torch.randint(1, vocabulary, (64, 16))

    def sample():
        with torch.inference_mode():
            model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=True, top_k=0, max_new_tokens=64, min_new_tokens=64)

    print(f"Sample/{name} transformers generate: {rate(64 * 64, sample):.0f} tok/s", flush=True)
