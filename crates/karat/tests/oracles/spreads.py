"""Computes features over spreads, quantiles, different values and windows from the raw files, and compares them with Karat's.

DuckDB joins every row of the spine to the rows before it and aggregates; numpy takes the quantiles, which must be equal to the
bit. DuckDB's variances are sums of floats, so they may differ in the last digits. The windows and their features are those
of `spreads.rs`.

usage: spreads.py DATA_FOLDER TRAINING_SET.csv
"""

import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

WINDOWS = {"90_days": "INTERVAL 90 DAY", "6_months": "INTERVAL 6 MONTH"}


def payments(data: Path) -> pd.DataFrame:
    """What the source's contract accepts: amounts that are none or below 0 and second rows of a key are quarantined."""
    rows = pd.read_csv(data / "payments.csv", parse_dates=["month"])
    rows["amount"] = pd.to_numeric(rows["amount"], errors="coerce")
    rows = rows[rows["amount"] >= 0].drop_duplicates(["client_id", "month"], keep="first")
    people = pd.read_csv(data / "people.csv")
    return rows[rows["client_id"].isin(people["client_id"])].reset_index(drop=True)


def by_duckdb(rows: pd.DataFrame) -> pd.DataFrame:
    recent = "FILTER (p.month >= s.month - {})"
    aggregates = {
        "scatter": "var_samp(p.amount)",
        "scatter_when_late": "var_samp(p.amount) FILTER (p.late = 1)",
        "high_of_last_7": "quantile_cont(p.amount, 0.9) FILTER (p.place >= s.place - 7)",
        "amounts_ever": "count(DISTINCT p.amount)",
    }
    for name, window in WINDOWS.items():
        aggregates[f"typical_{name}"] = f"median(p.amount) {recent.format(window)}"
        aggregates[f"spread_{name}"] = f"stddev_samp(p.amount) {recent.format(window)}"
        aggregates[f"amounts_{name}"] = f"count(DISTINCT p.amount) {recent.format(window)}"
    columns = ", ".join(f"{sql} AS {name}" for name, sql in aggregates.items())
    return duckdb.sql(f"""
        WITH placed AS (SELECT *, row_number() OVER (PARTITION BY client_id ORDER BY month) AS place FROM rows)
        SELECT s.client_id, s.month AS as_of, {columns}
        FROM placed s LEFT JOIN placed p ON p.client_id = s.client_id AND p.month < s.month
        GROUP BY ALL ORDER BY s.client_id, s.month
    """).df()


def by_numpy(rows: pd.DataFrame) -> pd.DataFrame:
    """The quantiles once more, row by row."""
    found = []
    for client, events in rows.sort_values("month").groupby("client_id"):
        months, amounts = events["month"].to_numpy(), events["amount"].to_numpy()
        for place, month in enumerate(events["month"]):
            row = {"client_id": client, "as_of": month}
            since = {"90_days": month - pd.Timedelta(days=90), "6_months": month - pd.DateOffset(months=6)}
            for name, start in since.items():
                inside = amounts[:place][months[:place] >= np.datetime64(start)]
                row[f"typical_{name}"] = np.quantile(inside, 0.5) if len(inside) else np.nan
            last = amounts[max(place - 7, 0) : place]
            row["high_of_last_7"] = np.quantile(last, 0.9) if len(last) else np.nan
            found.append(row)
    return pd.DataFrame(found)


def differences(expected: pd.DataFrame, found: pd.DataFrame, tolerance) -> int:
    wrong = 0
    for name in expected.columns[2:]:
        a, b = expected[name].to_numpy(float), found[name].to_numpy(float)
        differ = ~((np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= tolerance(name, a)))
        print(f"{name}: {len(a) - differ.sum()} equal, {differ.sum()} different, {np.isnan(b).sum()} null")
        if differ.any():
            first = int(np.argmax(differ))
            row = expected.iloc[first]
            print(f"  first: client {row.client_id} as of {row.as_of.date()}: expected {a[first]!r}, karat {b[first]!r}")
        wrong += int(differ.sum())
    return wrong


def near(name: str, expected: np.ndarray):
    if name.startswith("amounts"):
        return 2  # A sketch: of so few values it is hardly ever one off; most must be exact, see below.
    return 1e-9 * np.abs(expected)


def main() -> int:
    rows = payments(Path(sys.argv[1]))
    found = pd.read_csv(sys.argv[2])
    found["as_of"] = pd.to_datetime(found["as_of"], utc=True).dt.tz_localize(None)
    found = found.sort_values(["client_id", "as_of"], ignore_index=True)
    duck, numpy = by_duckdb(rows), by_numpy(rows)
    for expected in (duck, numpy):
        if not (expected[["client_id", "as_of"]].to_numpy() == found[["client_id", "as_of"]].to_numpy()).all():
            print("other rows than expected")
            return 1
    wrong = differences(duck, found, near) + differences(numpy, found, lambda _, a: 0.0)
    exact = sum(int((duck[name] == found[name]).sum()) for name in duck.columns if name.startswith("amounts"))
    if exact < 0.9 * 3 * len(duck):
        print(f"only {exact} counts of {3 * len(duck)} are exact")
        return 1
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
