# Writes the Parquet files beside it: python parquet.py, with pyarrow 26.0.1 and datasets 5.0.1.
# The texts are the examples of TRL's docs/source/dataset_formats.md and our own; no data set is in them.
import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

user, green = {"role": "user", "content": "What color is the sky?"}, {"role": "assistant", "content": "It is green."}
blue = {"role": "assistant", "content": "It is blue."}

def write(name, columns, **how):
    pq.write_table(pa.table(columns), name, **how)

write("standard-snappy.parquet", {
    "prompt": ["The sky is", "The sun is"], "chosen": [" blue.", " in the sky."], "rejected": [" green.", " in the sea."],
    "source": ["a", None], "score_chosen": [7.5, None], "n": pa.array([12345678901234567, 2], pa.int64())}, compression="snappy")
write("chat-gzip.parquet", {"prompt": [[user]] * 3, "chosen": [[blue]] * 3, "rejected": [[green]] * 3}, compression="gzip", row_group_size=2)
write("ultrafeedback-zstd.parquet", {
    "prompt": [user["content"]], "chosen": [[user, blue]], "rejected": [[user, green]], "messages": [[user, blue]],
    "score_chosen": [8.0], "score_rejected": [2.0]}, compression="zstd")
Dataset.from_dict({"prompt": ["The sky is"] * 2, "completion": [" blue.", " green."], "label": [True, False]}).to_parquet("unpaired-datasets.parquet")
Dataset.from_dict({"messages": [[user, blue], [user, green]]}).to_parquet("messages-datasets.parquet")
write("text.parquet", {"text": ["one\n\ntwo", "é 世", ""]}, compression="none", use_dictionary=False)
write("nested.parquet", {
    "message_id": ["m1", "m2", "m3", "m4"], "parent_id": [None, "m1", "m1", "m2"], "message_tree_id": ["m1"] * 4, "text": ["q", "good", "bad", "thanks"],
    "role": ["prompter", "assistant", "assistant", "prompter"], "lang": ["en"] * 4, "rank": pa.array([None, 0, 1, None], pa.int32()), "deleted": [False] * 4,
    "model_name": pa.array([None] * 4, pa.string()),
    "labels": [{"name": ["quality"], "value": [0.5], "count": [3]}, None, {"name": ["quality"], "value": [0.25], "count": [1]}, None],
    "created_date": ["2023-02-05T14:23:50.983374+00:00"] * 4})
write("bad-row.parquet", {"prompt": ["a", "b", None, "d"], "chosen": ["x"] * 4, "rejected": ["y"] * 4})
write("bad-type.parquet", {"prompt": ["a"], "chosen": ["x"], "rejected": [3]})
write("bad-bytes.parquet", {"prompt": pa.array([b"a", b"\xff\xfe"], pa.binary()), "chosen": ["x"] * 2, "rejected": ["y"] * 2})
write("many.parquet", {"text": [f"row {i} " + "x" * (i % 50) for i in range(5000)]}, compression="snappy", row_group_size=1000)
noon = datetime.datetime(2024, 5, 31, 12, 0, 0, 123456)
pair = {"prompt": ["p", "q"], "chosen": pa.array(["a", "b"]).dictionary_encode(), "rejected": pa.array(["c", "d"], pa.large_string())}
write("types.parquet", {
    **pair, "ts": pa.array([noon, None], pa.timestamp("us")), "ns": pa.array([noon, None], pa.timestamp("ns", tz="UTC")), "ms": pa.array([noon, None], pa.timestamp("ms")),
    "date": pa.array([noon.date(), None], pa.date32()), "dec": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(10, 2)),
    "u64": pa.array([2**63 + 5, None], pa.uint64()), "u32": pa.array([2**31 + 5, None], pa.uint32()), "i8": pa.array([-1, None], pa.int8()),
    "f32": pa.array([1.5, None], pa.float32()), "map": pa.array([[("k", 1), ("l", None)], None], pa.map_(pa.string(), pa.int64())), "lists": pa.array([[["a"], []], None]),
    "bytes": pa.array([b"x", None]), "null": pa.nulls(2)})
write("int96.parquet", {**pair, "ts": pa.array([noon, None], pa.timestamp("us"))}, use_deprecated_int96_timestamps=True)
write("bad-half.parquet", {**pair, "half": pa.array(np.array([1.5, 2], np.float16))})
