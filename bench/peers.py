"""The peers' side of bench/peers: PyTorch, transformers and TRL as their users run them at their best.

A worker that reads one JSON request a line and answers each with one line: {"rate", "peak_rss_mib"} or {"error"}. The
first case it is given it builds, warms up and keeps, so that later rounds measure only; with 0 seconds it does no more
than that. Between requests it waits in read(2): nothing spins.

  {"hello": true}                                            -> {"versions": {"torch": "2.8.0", ...}}
  {"case": {...}, "variant": "eager|compiled|…", "seconds": 5}  -> {"rate": 12345.6, "peak_rss_mib": 812}
  {"models": {"ours": dir, "theirs": dir}}                   -> {"models": [{"name", "difference", "warnings"}, …]}

A case is bench.Case as JSON; rate is in its unit, tokens, episodes or MB a second. Where both sides must make the same the reply
has a "digest" of it.
"""
import gc
import json
import os
import queue
import sys
import threading
import time

import tokenizer_rows


def train(case, variant):
    """One optimizer step: forward, backward, clipping, fused AdamW. "compiled" is torch.compile of the model with its loss."""
    model = language_model(case).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(case["shape"]["vocab_size"], (case["batch"], case["length"]))
    forward = torch.compile(model) if variant == "compiled" else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        forward(tokens, labels=tokens, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, case["batch"] * case["length"]


def sample(case, variant):
    """generate with its KV cache, to the full length. The variant "compiled", its static cache with torch.compile, stands in
    no table: at 0.9M it drew 14,700 tokens a second where this drew 16,000, after a minute's compilation."""
    model = language_model(case).eval()
    prompts = torch.randint(1, case["shape"]["vocab_size"], (case["batch"], case["length"]))
    mask = torch.ones_like(prompts)
    how = {"cache_implementation": "static"} if variant == "compiled" else {}
    if variant == "compiled":
        model.forward = torch.compile(model.forward)

    def complete():
        with torch.inference_mode():
            model.generate(prompts, attention_mask=mask, do_sample=True, top_k=0, max_new_tokens=case["new"],
                           min_new_tokens=case["new"], **how)

    return complete, case["batch"] * case["new"]


def ppo(case, variant):
    """Iterations of trl.PPOTrainer over the models and prompts that the Go side wrote into case["dir"]."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, TrainerCallback
    from trl import PPOConfig, PPOTrainer

    directory = case["dir"]
    with open(os.path.join(directory, "prompts.json")) as f:
        prompts = json.load(f)

    def policy():
        return AutoModelForCausalLM.from_pretrained(os.path.join(directory, "policy"), dtype=torch.float32)

    def scorer():
        return AutoModelForSequenceClassification.from_pretrained(os.path.join(directory, "reward"), num_labels=1, dtype=torch.float32)

    micro, rollout = min(case["batch"], MICRO), min(case["batch"], ROLLOUT)
    args = PPOConfig(
        output_dir=os.path.join(directory, "out"), report_to="none", save_strategy="no", eval_strategy="no", num_sample_generations=0,
        logging_steps=1, disable_tqdm=True, use_cpu=True, bf16=False, gradient_checkpointing=False, dataloader_pin_memory=False,
        optim="adamw_torch_fused", learning_rate=case["lr"], lr_scheduler_type="constant", weight_decay=0.0,
        total_episodes=case["batch"] * 1_000_000, per_device_train_batch_size=micro,
        gradient_accumulation_steps=case["batch"] // micro, local_rollout_forward_batch_size=rollout,
        num_mini_batches=1, num_ppo_epochs=case["epochs"], response_length=case["new"], temperature=case["temperature"],
        stop_token="eos" if prompts["stop"] >= 0 else None, kl_coef=case["kl_coef"], seed=1, torch_compile=True)
    turn = Turns()

    class AtStepEnd(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            turn.pause()

    trainer = PPOTrainer(
        args=args, processing_class=tokenizer(case["shape"]["vocab_size"], max(prompts["stop"], 0)), model=policy(),
        ref_model=policy(), reward_model=scorer(), value_model=scorer(), callbacks=[AtStepEnd()],
        train_dataset=Dataset.from_dict({"input_ids": prompts["prompts"]}))
    return turn.of(trainer.train), case["batch"]


# Episodes of a micro-batch and rows of a rollout: the fastest on two cores of 8 to 128 and of 64 to 512, or within noise.
# torch_compile gains 17 %, the checkpointing of gradients that is TRL's default would cost a forward pass.
MICRO, ROLLOUT = 32, 256


class Turns:
    """Runs a function that has no end in a thread of its own, from one pause to the next."""

    def __init__(self):
        self.go, self.done = queue.Queue(), queue.Queue()

    def pause(self):
        self.done.put(None)
        self.go.get()

    def of(self, endless):
        def body():
            self.go.get()
            try:
                endless()
                self.done.put(RuntimeError("the trainer ended"))
            except BaseException as e:  # the main thread reports it
                self.done.put(e)

        threading.Thread(target=body, daemon=True).start()

        def turn():
            self.go.put(None)
            error = self.done.get()
            if error is not None:
                raise error

        return turn


def language_model(case):
    from transformers import GPT2Config, GPT2LMHeadModel
    s = case["shape"]
    torch.manual_seed(1)
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=s["vocab_size"], n_positions=s["n_positions"], n_embd=s["n_embd"], n_layer=s["n_layer"], n_head=s["n_head"],
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=None, pad_token_id=None))


def tokenizer(vocabulary, eos):
    """A tokenizer that only knows ids: token k is "k", and padding, as TRL's users add it, stands after the vocabulary."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    words = Tokenizer(models.WordLevel({str(k): k for k in range(vocabulary)}, unk_token="0"))
    t = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="0", eos_token=str(eos), padding_side="left")
    t.add_special_tokens({"pad_token": "[PAD]"})
    return t


def peak_rss_mib():
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


def measure(run, items, seconds):
    """Items a second of run, called until so many seconds have passed and at least once, and what it returned last."""
    n, start = 0, time.perf_counter()
    while n == 0 or time.perf_counter() - start < seconds:
        last = run()
        n += 1
    return items * n / (time.perf_counter() - start), last


def versions():
    from importlib.metadata import version  # importing trl would count in the peak memory of every case
    return {"torch": torch.__version__, "transformers": version("transformers"), "trl": version("trl"), "tokenizers": version("tokenizers"), "python": sys.version.split()[0]}


def models(ours, theirs):
    """Reads every model directory below ours, with all that transformers says of it, and writes models below theirs."""
    checks = []
    for name in sorted(os.listdir(ours)):
        directory = os.path.join(ours, name)
        with open(os.path.join(directory, "expected.json")) as f:
            want = json.load(f)
        model, said = read_model(directory, "score" in want)
        got = predict(model, want["tokens"])
        a, b = (torch.tensor(x["score"] if "score" in want else x["logprobs"], dtype=torch.float64) for x in (got, want))
        checks.append({"name": name, "difference": (a - b).abs().max().item(), "warnings": said})
    write_models(theirs)
    return checks


def read_model(directory, scores):
    import logging as standard
    import warnings
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    from transformers.utils import logging
    said = []

    class Keep(standard.Handler):
        def emit(self, record):
            said.append(record.getMessage())

    handler = Keep()
    standard.getLogger("transformers").addHandler(handler)
    logging.set_verbosity_warning()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cls = AutoModelForSequenceClassification if scores else AutoModelForCausalLM
            model, info = cls.from_pretrained(directory, output_loading_info=True)
    finally:
        logging.set_verbosity_error()
        standard.getLogger("transformers").removeHandler(handler)
    said += [str(w.message) for w in caught] + [f"{k}: {v}" for k, v in info.items() if v]
    return model.eval(), said


def predict(model, tokens):
    from transformers import GPT2ForSequenceClassification
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits
    if isinstance(model, GPT2ForSequenceClassification):
        return {"tokens": tokens, "score": logits.item()}
    return {"tokens": tokens, "logprobs": torch.log_softmax(logits[0].double(), -1).tolist()}


def write_models(directory):
    """Models as users' files look: by save_pretrained whole and in shards, by torch.save old and new, in every precision."""
    from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel
    from transformers.activations import ACT2FN

    def model(cls=GPT2LMHeadModel, **kw):
        torch.manual_seed(len(os.listdir(directory)))
        m = cls(GPT2Config(**{**dict(vocab_size=61, n_positions=16, n_embd=24, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=0, initializer_range=0.3), **kw})).eval()
        with torch.no_grad():
            for p in m.parameters():
                if p.dim() == 1:
                    p.add_(torch.randn_like(p) * 0.2)
        return m

    def expect(m, path):
        with open(os.path.join(path, "expected.json"), "w") as f:
            json.dump(predict(m.float(), [7, 30, 2, 0, 41, 41, 19, 5, 60, 1, 33]), f)

    def saved(name, m, **kw):
        path = os.path.join(directory, name)
        m.save_pretrained(path, **kw)
        expect(m, path)

    def pickled(name, m, state=None, **kw):
        path = os.path.join(directory, name)
        m.config.save_pretrained(path)
        torch.save(m.state_dict() if state is None else state, os.path.join(path, "pytorch_model.bin"), **kw)
        expect(m, path)

    os.makedirs(directory)
    saved("safetensors", model())
    saved("safetensors in shards", model(), max_shard_size="12KB")
    saved("bin in shards", model(), max_shard_size="12KB", safe_serialization=False)
    for kind, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16), ("f64", torch.float64)):
        saved("safetensors " + kind, model().to(dtype))
        pickled("torch.save " + kind, model().to(dtype))
    pickled("torch.save", model())
    pickled("torch.save, older format", model(), _use_new_zipfile_serialization=False)
    m = model()
    pickled("torch.save, transposed storages", m, {k: v.t().contiguous().t() if v.dim() == 2 else v for k, v in m.state_dict().items()})
    m = model()
    pickled("torch.save, no prefix", m, m.transformer.state_dict())
    saved("own head", model(tie_word_embeddings=False))
    saved("n_inner 37", model(n_inner=37))
    saved("score model", model(GPT2ForSequenceClassification, num_labels=1, pad_token_id=0))
    pickled("torch.save, score model", model(GPT2ForSequenceClassification, num_labels=1, pad_token_id=0))
    for activation in ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate", "gelu_python", "quick_gelu", "relu", "silu", "swish", "tanh"):
        if activation in ACT2FN:
            saved("activation " + activation, model(activation_function=activation))
    m = model()
    m.resize_token_embeddings(67)
    saved("resize_token_embeddings", m)


def answer(request, kept):
    if request.get("hello"):
        return {"versions": versions()}
    if "models" in request:
        return {"models": models(**request["models"])}
    case = request["case"]
    if "run" not in kept:
        torch.set_num_threads(case["threads"])
        kept["run"], kept["items"] = KINDS[case["kind"]](case, request["variant"])
        for _ in range(case["warmups"]):
            kept["run"]()
        gc.collect()
    seconds = request.get("seconds", 0)
    rate, made = measure(kept["run"], kept["items"], seconds) if seconds else (0, None)
    reply = {"rate": rate, "peak_rss_mib": peak_rss_mib()}
    return reply if made is None else {**reply, "digest": made()}


KINDS = {"train": train, "sample": sample, "ppo": ppo, "encode": tokenizer_rows.encode, "learn": tokenizer_rows.learn}


def main():
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to stderr
    kept = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), kept)
        except Exception as e:
            import traceback
            traceback.print_exc()
            reply = {"error": f"{type(e).__name__}: {e}"}
        replies.write(json.dumps(reply) + "\n")


# glibc keeps what it frees instead of giving it back to the kernel between two steps, which the PyTorch tuning guide gets
# from jemalloc or tcmalloc: measured, 15 % for eager training. (OMP_WAIT_POLICY, OMP_PROC_BIND and GOMP_SPINCOUNT gained
# nothing over their defaults, and with these a waiting worker uses no processor.)
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}

if __name__ == "__main__":
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **MALLOC})
    import torch
    from transformers.utils import logging
    logging.set_verbosity_error()
    main()
