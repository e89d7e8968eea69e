"""Makes trainer.json, and the model directory start beside it: a small fine-tuning run by transformers' Trainer, with
the loss on completions, for TestTrainsAsTransformersTrainer. Run: python make.py (transformers 4.56.2, torch 2.8.0,
accelerate 1.15.0)."""
import json
import os
import tempfile

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

here = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(7)
model = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=24, n_embd=16, n_layer=2, n_head=2, embd_pdrop=0, attn_pdrop=0,
                                   resid_pdrop=0, initializer_range=0.2, bos_token_id=None, eos_token_id=None))
model.save_pretrained(os.path.join(here, "start"))
generator = torch.Generator().manual_seed(3)
examples = []
for i in range(7):
    tokens = torch.randint(0, 40, (5 + 2 * i,), generator=generator).tolist()
    examples.append({"tokens": tokens, "prompt": 1 + i % 4})


def collate(batch):
    longest = max(len(e["tokens"]) for e in batch)
    ids, labels, mask = [], [], []
    for e in batch:
        pad = longest - len(e["tokens"])
        ids.append(e["tokens"] + [0] * pad)
        labels.append([-100] * e["prompt"] + e["tokens"][e["prompt"]:] + [-100] * pad)
        mask.append([1] * len(e["tokens"]) + [0] * pad)
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels), "attention_mask": torch.tensor(mask)}


settings = {"num_train_epochs": 8, "learning_rate": 0.01, "lr_scheduler_type": "linear", "weight_decay": 0.1, "adam_beta1": 0.8,
            "adam_beta2": 0.95, "adam_epsilon": 1e-6, "max_grad_norm": 0.5}
with tempfile.TemporaryDirectory() as out:
    trainer = Trainer(model=model, train_dataset=examples, data_collator=collate, args=TrainingArguments(
        output_dir=out, per_device_train_batch_size=7, logging_steps=1, save_strategy="no", report_to=[], use_cpu=True,
        remove_unused_columns=False, disable_tqdm=True, **settings))
    trainer.train()
logs = [x for x in trainer.state.log_history if "loss" in x]
# the logged loss is rounded to four digits, and the norm is that before clipping
weights = {k: v.flatten().tolist() for k, v in model.state_dict().items() if k != "lm_head.weight" and not k.endswith("attn.bias")}
json.dump({"made_with": f"transformers {transformers.__version__}, torch {torch.__version__}", "examples": examples, "settings": settings,
           "loss": [x["loss"] for x in logs], "grad_norm": [x["grad_norm"] for x in logs], "lr": [x["learning_rate"] for x in logs],
           "weights": {k: [float("%.7g" % x) for x in v] for k, v in weights.items()}}, open(os.path.join(here, "trainer.json"), "w"))
print(logs[0], logs[-1])
