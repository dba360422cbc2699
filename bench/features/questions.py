"""What is asked of every system, in its own words. Each script reads `events.parquet` where it runs and writes one file."""

from dataclasses import dataclass

SPARK_SESSION = """
from pyspark.sql import SparkSession, Window, functions as F
spark = (SparkSession.builder.master("local[*]").config("spark.driver.memory", "8g")
    .config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false").getOrCreate())
events = spark.read.parquet("events.parquet")
of_client = Window.partitionBy("client").orderBy(F.unix_micros("at"))
"""

# The JVM's time counts: it is waited for.
SPARK_END = """
gateway = spark.sparkContext._gateway
spark.stop()
gateway.shutdown()
gateway.proc.stdin.close()
gateway.proc.wait()
"""


@dataclass
class Question:
    """`model` is Karat's; `scripts` are the peers' by name, each with its output; of `exact` columns all bits agree."""

    model: str
    scripts: dict
    exact: list
    close: list


DUCKDB = """
import duckdb, sys
duckdb.sql('''
COPY (
  SELECT client, "at", count(*) OVER earlier AS nb_before, avg(amount) OVER earlier AS avg_before, late
  FROM read_parquet('events.parquet')
  WINDOW earlier AS (PARTITION BY client ORDER BY "at"
    RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)
) TO 'out-duckdb.parquet' (FORMAT parquet)
''')
"""

# Times of one client are all different (see `generate`), so frames of rows say the same; they are the cheaper way to ask.
DUCKDB_ROWS = DUCKDB.replace(
    "RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
).replace("out-duckdb", "out-duckdb-rows")

POLARS = """
import polars as pl
events = pl.scan_parquet("events.parquet").sort("client", "at")
before = events.with_columns(
    nb_before=pl.int_range(pl.len()).over("client"),
    total=pl.col("amount").cum_sum().over("client") - pl.col("amount"),
)
before.select(
    "client", "at", "nb_before",
    pl.when(pl.col("nb_before") > 0).then(pl.col("total") / pl.col("nb_before")).alias("avg_before"),
    "late",
).sink_parquet("out-polars.parquet")
"""

PANDAS = """
import pandas as pd
events = pd.read_parquet("events.parquet").sort_values(["client", "at"])
of_client = events.groupby("client", sort=False)
events["nb_before"] = of_client.cumcount()
events["avg_before"] = (of_client["amount"].cumsum() - events["amount"]) / events["nb_before"].where(events["nb_before"] > 0)
events[["client", "at", "nb_before", "avg_before", "late"]].to_parquet("out-pandas.parquet", index=False)
"""

SPARK = (
    SPARK_SESSION
    + """
before = of_client.rangeBetween(Window.unboundedPreceding, -1)
events.select(
    "client", "at", F.count("*").over(before).alias("nb_before"), F.avg("amount").over(before).alias("avg_before"), "late",
).coalesce(1).write.mode("overwrite").parquet("out-spark.parquet")
"""
    + SPARK_END
)

HISTORY = Question(
    model="late",
    scripts={
        "DuckDB (frame by time)": (DUCKDB, "out-duckdb.parquet"),
        "DuckDB (frame by rows)": (DUCKDB_ROWS, "out-duckdb-rows.parquet"),
        "Polars": (POLARS, "out-polars.parquet"),
        "PySpark, local": (SPARK, "out-spark.parquet"),
        "pandas": (PANDAS, "out-pandas.parquet"),
    },
    exact=["nb_before"],
    close=["avg_before"],
)

DAYS = [30, 90, 365]


def of_each_window(form: str, between: str = ",\n") -> str:
    return between.join(form.replace("DAYS", str(days)) for days in DAYS)


DUCKDB_WINDOWS = f"""
import duckdb
duckdb.sql('''
SET TimeZone = 'UTC';
COPY (
  SELECT client, "at",
    {of_each_window('count(*) OVER wDAYS AS n_DAYS_days, sum(amount) OVER wDAYS AS total_DAYS_days, '
                    'avg(amount) OVER wDAYS AS mean_DAYS_days, max(amount) OVER wDAYS AS largest_DAYS_days')}
  FROM read_parquet('events.parquet')
  WINDOW {of_each_window('wDAYS AS (PARTITION BY client ORDER BY "at" '
                         'RANGE BETWEEN INTERVAL DAYS DAY PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING)')}
) TO 'out-duckdb.parquet' (FORMAT parquet)
''')
"""

POLARS_WINDOWS = f"""
import polars as pl
events = pl.read_parquet("events.parquet").sort("client", "at")
amount = pl.col("amount")
def window(days):
    rolled = events.rolling("at", period=f"{{days}}d", closed="left", group_by="client").agg(
        pl.len().alias(f"n_{{days}}_days"), amount.sum().alias(f"total_{{days}}_days"),
        amount.mean().alias(f"mean_{{days}}_days"), amount.max().alias(f"largest_{{days}}_days"))
    return rolled.drop("client", "at")
pl.concat([events.select("client", "at"), *(window(days) for days in {DAYS})], how="horizontal").write_parquet("out-polars.parquet")
"""

PANDAS_WINDOWS = f"""
import pandas as pd
events = pd.read_parquet("events.parquet").sort_values(["client", "at"]).reset_index(drop=True)
out = events[["client", "at"]].copy()
names = {{"count": "n", "sum": "total", "mean": "mean", "max": "largest"}}
for days in {DAYS}:
    rolling = events.groupby("client", sort=False).rolling(f"{{days}}D", on="at", closed="left")["amount"]
    for how, name in names.items():
        out[f"{{name}}_{{days}}_days"] = getattr(rolling, how)().to_numpy()
out.to_parquet("out-pandas.parquet", index=False)
"""

SPARK_WINDOWS = (
    SPARK_SESSION
    + f"""
columns = []
for days in {DAYS}:
    window = of_client.rangeBetween(-days * 86_400_000_000, -1)
    columns += [F.count("*").over(window).alias(f"n_{{days}}_days"), F.sum("amount").over(window).alias(f"total_{{days}}_days"),
        F.avg("amount").over(window).alias(f"mean_{{days}}_days"), F.max("amount").over(window).alias(f"largest_{{days}}_days")]
events.select("client", "at", *columns).coalesce(1).write.mode("overwrite").parquet("out-spark.parquet")
"""
    + SPARK_END
)

WINDOWS = Question(
    model="late_windows",
    scripts={
        "DuckDB": (DUCKDB_WINDOWS, "out-duckdb.parquet"),
        "Polars": (POLARS_WINDOWS, "out-polars.parquet"),
        "PySpark, local": (SPARK_WINDOWS, "out-spark.parquet"),
        "pandas": (PANDAS_WINDOWS, "out-pandas.parquet"),
    },
    exact=[f"n_{days}_days" for days in DAYS] + [f"largest_{days}_days" for days in DAYS],
    close=[f"{name}_{days}_days" for name in ("total", "mean") for days in DAYS],
)

QUESTIONS = {"history": HISTORY, "windows": WINDOWS}
