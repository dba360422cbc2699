"""Reads a training set that Karat wrote as a folder with pandas and DuckDB, as partitioned data is read anywhere, and compares
it with the same set in one file and with its manifest.

usage: partitioned.py DATA_FOLDER FOLDER   (beside FOLDER lies whole.parquet)
"""

import hashlib
import json
import sys
from pathlib import Path

import duckdb
import pandas as pd

folder = Path(sys.argv[2])
manifest = json.loads((folder / "_manifest.json").read_text())
whole = pd.read_parquet(folder.parent / "whole.parquet")
key, as_of, label = whole.columns[0], whole.columns[1], whole.columns[-1]

# pandas reads the folder as it is, the part as one more column.
frame = pd.read_parquet(folder)
assert list(frame.columns) == [*whole.columns, "part"], list(frame.columns)
assert len(frame) == manifest["rows"], len(frame)
assert frame["part"].value_counts().to_dict() == {name: part["rows"] for name, part in manifest["parts"].items()}

# So does DuckDB.
query = f"SELECT part, count(*) n, sum({label}::int) positives, epoch_us(min({as_of})) first FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true) GROUP BY part"
for part, rows, positives, first in duckdb.sql(query).fetchall():
    noted = manifest["parts"][part]
    assert (rows, positives) == (noted["rows"], noted["positives"]), (part, rows, positives)
    assert pd.Timestamp(first, unit="us", tz="UTC") == pd.Timestamp(noted["first_as_of"]), (part, first)

# Every row is a row of the whole set, with the same values.
parts = frame.drop(columns="part").sort_values([key, as_of], ignore_index=True)
rest = whole.merge(parts[[key, as_of]], on=[key, as_of]).sort_values([key, as_of], ignore_index=True)
pd.testing.assert_frame_equal(parts, rest)

# Columns have the types the manifest says, files the bytes.
kinds = {"int": "i", "float": "f", "bool": "b", "text": "O", "timestamp": "M"}
assert [column["name"] for column in manifest["columns"]] == list(whole.columns)
for column in manifest["columns"]:
    kind = whole[column["name"]].dtype.kind
    # A column of whole numbers or flags with nulls is one of floats or objects to pandas.
    assert kind in (kinds[column["type"]], "f", "O"), (column, kind)
for part in manifest["parts"].values():
    path = folder / part["path"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == part["sha256"]
    assert path.stat().st_size == part["bytes"]
