"""The peers' side of the tokenizer cases: the tokenizers library. peers.py calls it."""
import os


def encode(case, variant):
    """encode_batch_fast, which is encode without offsets, of the text or of its lines, on one thread. Its model remembers
    10,000 words, its default. What is returned is a digest of the ids, which is not timed."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(case["dir"], "tokenizer.json"))
    text = read(case)
    texts = lines(text) if case["lines"] else [text]

    def run():
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return lambda: digest(encodings)

    return run, size(text)


def learn(case, variant):
    """BpeTrainer over lines on all threads, with the alphabet of bytes and two special tokens as ours has them. Of equally
    frequent pairs it merges the one with the lower ids first, ours the greater pair of byte strings: the merges differ."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["RAYON_NUM_THREADS"] = str(case["threads"])
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    text = read(case)
    texts = lines(text)

    def run():
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=case["shape"]["vocab_size"], min_frequency=0, show_progress=False, special_tokens=["<|endoftext|>", "<|pad|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        return lambda: f"{tokenizer.get_vocab_size()} tokens"

    return run, size(text)


def read(case):
    with open(os.path.join(case["dir"], "text.txt"), encoding="utf-8", newline="") as f:
        return f.read()


def lines(text):
    return [line + "\n" for line in text.split("\n")[:-1]]


def size(text):
    return len(text.encode("utf-8")) / 1e6


def digest(encodings):
    import hashlib
    import numpy
    h = hashlib.sha256()
    for e in encodings:
        h.update(numpy.array(e.ids, dtype="<i4").tobytes())
    return h.hexdigest()
