"""Profiles the credit-risk example's loans with pandas, from the raw files, and compares it with Karat's.

Shares nothing with Karat but the two CSV files. Counts, distinct values, histograms, rates and months must be equal where Karat
calls them exact; quantiles must lie within the error that Karat states; means may differ in the last digits.

usage: profile.py DATA_FOLDER PROFILE.json
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from credit_risk import EXTRACTED, loans, month_start

NAMES = {
    "ID": "client_id",
    "loan_id": "loan_id",
    "loan_amount": "loan_amount",
    "AMT_INCOME_TOTAL": "income",
    "CNT_CHILDREN": "nb_children",
    "CNT_FAM_MEMBERS": "nb_family_members",
    "NAME_INCOME_TYPE": "income_type",
    "NAME_HOUSING_TYPE": "housing",
    "OCCUPATION_TYPE": "occupation_type",
    "STATUS": "status",
}
PROBLEMS = []


def require(holds: bool, what: str) -> None:
    if not holds:
        PROBLEMS.append(what)


def frame(data: Path) -> pd.DataFrame:
    rows = loans(data)
    out = rows[list(NAMES)].rename(columns=NAMES)
    out["birthday"] = EXTRACTED + pd.to_timedelta(rows["DAYS_BIRTH"], "D")
    out["job_start_date"] = EXTRACTED + pd.to_timedelta(rows["DAYS_EMPLOYED"].where(rows["DAYS_EMPLOYED"] <= 0), "D")
    out["month"] = month_start(rows["m"])
    out["late"] = rows["late"]
    out["trains"] = rows["m"] < -11
    return out


def number(series: pd.Series) -> np.ndarray:
    """Dates as days, so that everything with an order is a number."""
    series = series.dropna()
    if series.dtype.kind == "M":
        return ((series - pd.Timestamp(0)) // pd.Timedelta(days=1)).to_numpy(float)
    return series.to_numpy(float)


def told(value) -> float:
    if isinstance(value, str):
        return float((pd.Timestamp(value) - pd.Timestamp(0)).days)
    return float(value)


def inside(values: np.ndarray, bin: dict, last: bool) -> np.ndarray:
    low, high = told(bin["from"]), told(bin["to"])
    return (values >= low) & ((values <= high) if last else (values < high))


def compare(name: str, series: pd.Series, table: pd.DataFrame, found: dict) -> None:
    summary = found["accepted"]
    require(summary["rows"] == len(series), f"{name}: rows {summary['rows']} {len(series)}")
    require(summary["nulls"] == int(series.isna().sum()), f"{name}: nulls {summary['nulls']} {series.isna().sum()}")
    distinct = series.nunique()
    if summary["distinct_exact"]:
        require(summary["distinct"] == distinct, f"{name}: distinct {summary['distinct']} {distinct}")
        tops = series.value_counts()
        for top in summary["top"]:
            value = top["value"]
            value = pd.Timestamp(value) if series.dtype.kind == "M" else value
            require(tops[value] == top["rows"], f"{name}: {value} stands {top['rows']} times, {tops[value]} in pandas")
        require(summary["top"][0]["rows"] == tops.iloc[0], f"{name}: the most frequent value")
    else:
        off = abs(summary["distinct"] / distinct - 1)
        require(off <= 4 * 0.008125, f"{name}: distinct is off by {off}")
    text = series.dtype.kind not in "ifM"
    if not text:
        values = np.sort(number(series))
        for quantile in summary["quantiles"]:
            value, share = told(quantile["value"]), quantile["share"]
            below = np.searchsorted(values, value, "left") / len(values)
            upto = np.searchsorted(values, value, "right") / len(values)
            slack = summary["quantile_error"] + 1e-9
            require(below - slack <= share <= upto + slack, f"{name}: quantile {share} is {value}: {below} {upto}")
            if summary["quantile_error"] == 0:
                exact = np.quantile(values, share, method="inverted_cdf")
                require(exact == value, f"{name}: quantile {share} is {value}, {exact} in pandas")
        require(told(summary["min"]) == values[0] and told(summary["max"]) == values[-1], f"{name}: ends")
    if series.dtype.kind in "if":
        require(np.isclose(summary["mean"], series.mean(), rtol=1e-9), f"{name}: mean {summary['mean']} {series.mean()}")
        require(np.isclose(summary["std"], series.std(), rtol=1e-9), f"{name}: std {summary['std']} {series.std()}")
    bins = found["histogram"]
    require(sum(bin["rows"] for bin in bins) == summary["rows"] - summary["nulls"], f"{name}: the histogram's rows")
    if not text and "from" in bins[0]:
        values = number(series)
        for place, bin in enumerate(bins):
            held = int(inside(values, bin, place == len(bins) - 1).sum())
            require(held == bin["rows"], f"{name}: {bin['name']} holds {bin['rows']}, {held} in pandas")
    rates(name, series, table, found["label"], text)
    months = table["month"].dt.strftime("%Y-%m")
    nulls = series.isna().groupby(months).sum()
    if found.get("months"):
        require([month["nulls"] for month in found["months"]] == nulls.tolist(), f"{name}: nulls by month")


def rates(name: str, series: pd.Series, table: pd.DataFrame, label: dict, text: bool) -> None:
    trains, late = table["trains"], table["late"]
    missing = series.isna() & trains
    expected = (int(missing.sum()), int((missing & late).sum()))
    bin = label.get("missing", {"rows": 0, "positives": 0})
    require((bin["rows"], bin["positives"]) == expected, f"{name}: missing {bin} {expected}")
    here = trains & series.notna()
    late = late[here].to_numpy()
    for place, bin in enumerate(label["bins"]):
        if "from" in bin:
            held = inside(number(series[here]), bin, place == len(label["bins"]) - 1)
        elif bin["name"] == "all others":
            held = ~series[here].isin([other["name"] for other in label["bins"]]).to_numpy()
        elif text:
            held = (series[here] == bin["name"]).to_numpy()
        else:
            held = number(series[here]) == told(bin["name"] if "-" in bin["name"] else float(bin["name"]))
        expected = (int(held.sum()), int(late[held].sum()))
        require((bin["rows"], bin["positives"]) == expected, f"{name}: {bin} {expected}")


if __name__ == "__main__":
    table = frame(Path(sys.argv[1]))
    profile = json.loads(Path(sys.argv[2]).read_text())["profile"]
    require(profile["accepted"] == len(table), "accepted rows")
    months = table["month"].dt.strftime("%Y-%m").value_counts().sort_index()
    require([(m["month"], m["rows"]) for m in profile["months"]] == list(months.items()), "rows by month")
    label = profile["label"]
    trains = table["trains"]
    expected = (int(trains.sum()), int(table["late"][trains].sum()), int((~trains).sum()))
    require((label["rows"], label["positives"], label["left_out"]) == expected, f"label {label} {expected}")
    columns = {column["name"]: column for column in profile["columns"]}
    for name in table.columns.difference(["late", "trains"]):
        compare(name, table[name], table, columns[name])
    require("mean" not in columns["late"]["accepted"] and not columns["late"].get("top"), "the label's values show")
    print(f"{len(table)} rows, {len(table.columns) - 2} columns compared, {len(PROBLEMS)} differences")
    print("\n".join(PROBLEMS[:40]))
    sys.exit(bool(PROBLEMS))
