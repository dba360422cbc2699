"""Computes the credit-risk example's training set with pandas, from the raw files, and compares it with Karat's.

Shares nothing with Karat but the two CSV files. Every whole number, flag and null must be equal; a float may differ in
the last digits only (pandas sums in floating point, Karat exactly). With --model it also trains LightGBM on the same split.

usage: credit_risk.py DATA_FOLDER TRAINING_SET.parquet [--model]
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

EXTRACTED = pd.Timestamp("2021-09-17")
MONTH_0 = pd.Period("2021-09", "M")


def loans(data: Path) -> pd.DataFrame:
    applications = pd.read_csv(data / "application_record.csv.zst").drop_duplicates("ID", keep="first")
    applications["application"] = np.arange(len(applications))
    credit = pd.read_csv(data / "credit_record.csv.zst")
    credit["line"] = np.arange(len(credit))
    rows = credit.merge(applications, on="ID", how="inner").sort_values(["application", "line"], ignore_index=True)
    rows["loan_id"] = 1001 + np.arange(len(rows))
    u = (rows["loan_id"] * 2654435761 % 4294967296 + 0.5) / 4294967296
    rows["loan_amount"] = (100 + 27 * (-np.log(1 - u)) ** 1.07).round(2)
    rows["late"] = rows["STATUS"].isin(list("12345"))
    rows["status"] = rows["STATUS"].replace({"C": "-1", "X": "-2"}).astype(int)
    rows["m"] = rows["MONTHS_BALANCE"]
    return rows.sort_values(["ID", "m"], ignore_index=True)


def month_start(m: pd.Series) -> pd.Series:
    months = {v: (MONTH_0 + int(v)).to_timestamp() for v in m.unique()}
    return m.map(months)


def completed_years(start: pd.Series, end: pd.Series) -> pd.Series:
    years = end.dt.year - start.dt.year
    before = (end.dt.month < start.dt.month) | ((end.dt.month == start.dt.month) & (end.dt.day < start.dt.day))
    return years - before


def features(rows: pd.DataFrame) -> pd.DataFrame:
    client = rows["ID"]
    by_client = rows.groupby("ID", sort=False)
    n = by_client.cumcount()
    out = pd.DataFrame({"client_id": client, "as_of": month_start(rows["m"])})

    def before(values: pd.Series, how: str) -> pd.Series:
        """A running aggregate over the client's earlier months."""
        running = getattr(values.groupby(client, sort=False), how)()
        return running.groupby(client, sort=False).shift(1)

    def months_back(values: pd.Series, k: int) -> np.ndarray:
        """The value k calendar months earlier, NaN where the client has no such month."""
        index = pd.MultiIndex.from_arrays([client, rows["m"]])
        there = pd.MultiIndex.from_arrays([client, rows["m"] - k])
        return pd.Series(values.to_numpy(float), index=index).reindex(there).to_numpy()

    late = rows["late"].astype(int)
    some = n > 0
    out["nb_previous_loans"] = n
    out["avg_amount_loans_previous"] = (before(rows["loan_amount"], "cumsum") / n).where(some)
    out["nb_late"] = before(late, "cumsum").fillna(0)
    out["share_late"] = (out["nb_late"] / n).where(some)
    out["last_status"] = by_client["status"].shift(1)
    out["worst_status"] = before(rows["status"], "cummax")
    for window in (3, 6):
        out[f"late_last_{window}"] = sum(np.nan_to_num(months_back(late, k)) for k in range(1, window + 1))
    statuses = np.column_stack([months_back(rows["status"], k) for k in range(1, 13)])
    out["worst_last_6"] = np.where(
        np.isnan(statuses[:, :6]).all(axis=1), np.nan, np.nanmax(np.nan_to_num(statuses[:, :6], nan=-99), axis=1)
    )
    seen = (~np.isnan(statuses)).sum(axis=1)
    with np.errstate(invalid="ignore"):
        out["share_no_loan_last_12"] = (statuses == -2).sum(axis=1) / np.where(seen == 0, np.nan, seen)
    month = month_start(rows["m"])
    for name, which in (("days_since_late", rows["late"]), ("days_since_paid_off", rows["STATUS"] == "C")):
        latest = month.where(which).groupby(client, sort=False).ffill().groupby(client, sort=False).shift(1)
        out[name] = (month - latest).dt.total_seconds() / 86400
    birthday = EXTRACTED + pd.to_timedelta(rows["DAYS_BIRTH"], "D")
    out["age"] = completed_years(birthday, month)
    employed = rows["DAYS_EMPLOYED"].where(rows["DAYS_EMPLOYED"] <= 0)
    job_start = EXTRACTED + pd.to_timedelta(employed, "D")
    out["years_on_the_job"] = completed_years(job_start, month).where(job_start <= month)
    out["flag_own_car"] = (rows["FLAG_OWN_CAR"] == "Y").astype(float)
    out["late"] = late
    return out


def compare(expected: pd.DataFrame, path: Path) -> int:
    found = pd.read_parquet(path)
    found["as_of"] = pd.to_datetime(found["as_of"], utc=True).dt.tz_localize(None)
    found = found.sort_values(["client_id", "as_of"], ignore_index=True)
    missing = [name for name in expected.columns if name not in found.columns]
    if missing:
        print(f"columns missing: {missing}")
        return 1
    if len(found) != len(expected):
        print(f"{len(found)} rows, expected {len(expected)}")
        return 1
    wrong = 0
    for name in expected.columns:
        a, b = expected[name], found[name]
        if name == "as_of":
            differ = a.to_numpy() != b.to_numpy()
        else:
            a, b = a.astype(float).to_numpy(), b.astype(float).to_numpy()
            tolerance = 1e-12 if name in ("avg_amount_loans_previous",) else 0.0
            both_null = np.isnan(a) & np.isnan(b)
            differ = ~(both_null | (np.abs(a - b) <= tolerance * np.abs(a)))
        count = int(differ.sum())
        nulls = int(pd.isna(found[name]).sum())
        print(f"{name}: {len(found) - count} equal, {count} different, {nulls} null")
        if count:
            wrong += count
            first = int(np.argmax(differ))
            row = expected.iloc[first]
            print(f"  first: client {row.client_id} as of {row.as_of.date()}: pandas {a[first]}, karat {b[first]}")
    return int(wrong > 0)


def train(frame: pd.DataFrame) -> None:
    import lightgbm as lgb
    from sklearn.metrics import roc_auc_score, roc_curve

    names = [c for c in frame.columns if c not in ("client_id", "as_of", "late")]
    month = frame["as_of"].dt.year * 12 + frame["as_of"].dt.month - (2021 * 12 + 9)
    part = lambda keep: lgb.Dataset(frame.loc[keep, names].astype(float), frame.loc[keep, "late"])
    train_part, validation, test = part(month < -11), part((month >= -11) & (month <= -6)), month >= -5
    parameters = {"objective": "binary", "metric": "auc", "learning_rate": 0.05, "num_leaves": 31, "verbosity": -1}
    booster = lgb.train(
        parameters, train_part, 2000, valid_sets=[validation], callbacks=[lgb.early_stopping(50, verbose=False)]
    )
    score = booster.predict(frame.loc[test, names].astype(float))
    label = frame.loc[test, "late"]
    fpr, tpr, _ = roc_curve(label, score)
    print(f"test rows {int(test.sum())}")
    print(f"AUC {roc_auc_score(label, score):.4f}")
    print(f"KS {max(tpr - fpr):.4f}")


if __name__ == "__main__":
    table = features(loans(Path(sys.argv[1])))
    status = compare(table, Path(sys.argv[2])) if sys.argv[2] != "-" else 0
    if "--model" in sys.argv:
        train(table)
    sys.exit(status)
