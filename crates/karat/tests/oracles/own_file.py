"""A plain LightGBM on a file, split as Karat splits it: what a person would write in a notebook.

    python own_file.py FILE OPTIONS_JSON

The options say how pandas reads the file, the target and its positive value, what is no feature, and what the split
hashes. Prints {"rows", "auc"} of the test part as JSON. Shares no code with Karat: the split's hash is written out again.
"""

import json
import struct
import sys

import lightgbm as lgb
import pandas as pd
from sklearn.metrics import roc_auc_score

MASK = (1 << 64) - 1
# Rows without a time hash the smallest instant.
ALWAYS = struct.pack("<q", -(1 << 63))


def fnv(state: int, data: bytes) -> int:
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & MASK
    return state


def add(state: int, tag: int, data: bytes) -> int:
    state = fnv(state, bytes([tag]))
    return fnv(fnv(state, struct.pack("<Q", len(data))), data)


def finish(state: int) -> int:
    state ^= state >> 33
    state = (state * 0xFF51AFD7ED558CCD) & MASK
    state ^= state >> 33
    state = (state * 0xC4CEB9FE1A85EC53) & MASK
    return state ^ (state >> 33)


def place(key: int, is_group: bool, seed: int = 42) -> float:
    state = add(fnv(0xCBF29CE484222325, struct.pack("<I", seed)), 2, struct.pack("<q", key))
    if not is_group:
        state = add(state, 6, ALWAYS)
    return (finish(state) >> 11) / float(1 << 53)


def main(path: str, options: dict) -> None:
    data = pd.read_csv(path, **options["read"])
    label = (data[options["target"]].astype(str) == options["positive"]).astype(int)
    # Without a key rows are numbered from 1.
    keys = data[options["key"]] if options["key"] else pd.Series(range(1, len(data) + 1))
    places = keys.map(lambda key: place(int(key), options["group"]))
    test = places < 0.2
    validation = ~test & (places < 0.2 + 0.2)
    features = data.drop(columns=[options["target"], *options["drop"]])
    for name in features.columns:
        if not pd.api.types.is_numeric_dtype(features[name]):
            features[name] = features[name].astype("category")
    train = ~test & ~validation
    model = lgb.LGBMClassifier(n_estimators=1000, learning_rate=0.05, verbose=-1, n_jobs=1)
    stop = lgb.early_stopping(50, verbose=False)
    model.fit(features[train], label[train], eval_set=[(features[validation], label[validation])], callbacks=[stop])
    scores = model.predict_proba(features[test])[:, 1]
    print(json.dumps({"rows": int(test.sum()), "auc": float(roc_auc_score(label[test], scores))}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
