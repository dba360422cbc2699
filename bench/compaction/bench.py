"""A history of many small deliveries, before and after `karat sources compact`.

Rows with an id arrive in deliveries of one size, each a commit with a part of its own. Measured are the compaction, and what
stands on the parts: the last delivery sent once more (its ids are looked for in the whole history) and a training set with a row
for each of the last delivery's.

CPU seconds (user + system) and peak resident memory of each process, as wait4 reports them; the median of the runs and their spread.
The training set is the same before and after, byte for byte, or no figure is printed.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from measure import apart, child, say

FILES = {
    "karat.yaml": "name: compaction-bench\nengine: {memory: 512 MiB}\n",
    "sources/payments.yaml": """kind: Source
name: payments
path: now/*.parquet
columns: {payment: int, client: int, at: timestamp, amount: float, late: bool}
delivery: append
event_id: payment
event_time: at
""",
    "sources/asked.yaml": """kind: Source
name: asked
path: last/*.parquet
columns: {payment: int, client: int, at: timestamp, amount: float, late: bool}
event_id: payment
event_time: at
""",
    "entities/client.yaml": "kind: Entity\nname: client\nkey: client\ntype: int\n",
    "features/paid.yaml": """kind: FeatureView
name: paid
entity: client
source: payments
features:
  n: {count: rows}
  mean: {mean: amount}
""",
    "models/late.yaml": """kind: Model
name: late
task: binary
spine: {source: asked, entity: client, as_of: at, label: late}
features: [paid]
split: {by: time, validation: 1 day, test: 1 day}
estimator: {lightgbm: {}}
""",
}


def generate(folder: pathlib.Path, rows: int, clients: int, deliveries: int) -> None:
    """Deliveries in the order of their events, as `NUMBER.parquet`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(7)
    start, span = 1_577_836_800_000_000, 3 * 365 * 86_400_000_000
    table = pa.table({
        "payment": np.arange(rows),
        "client": random.integers(0, clients, rows),
        "at": pa.array(np.sort(random.integers(start, start + span, rows)), pa.timestamp("us", "UTC")),
        "amount": np.round(random.gamma(2.0, 60.0, rows), 2),
        "late": random.random(rows) < 0.05,
    })
    folder.mkdir(parents=True)
    for number in range(deliveries):
        begin, end = number * rows // deliveries, (number + 1) * rows // deliveries
        pq.write_table(table.slice(begin, end - begin), folder / f"{number}.parquet", compression="zstd")


def deliver(work: pathlib.Path, karat: pathlib.Path, number: int) -> tuple:
    shutil.rmtree(work / "now", ignore_errors=True)
    (work / "now").mkdir()
    os.link(work / "made" / f"{number}.parquet", work / "now" / "payments.parquet")
    return child([karat, "sources", "ingest", "payments"], work)


def prepare(given) -> pathlib.Path:
    """A folder whose history has every delivery, made once."""
    work = given.work.resolve()
    whole, wanted = work / "made.txt", f"{given.rows} rows of {given.clients} clients in {given.deliveries} deliveries"
    if whole.exists() and whole.read_text() == wanted:
        return work
    shutil.rmtree(work, ignore_errors=True)
    for path, text in FILES.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    apart(generate, work / "made", given.rows, given.clients, given.deliveries)
    say(f"{wanted}: ingesting")
    for number in range(given.deliveries):
        deliver(work, given.karat.resolve(), number)
    (work / "last").mkdir()
    os.link(work / "made" / f"{given.deliveries - 1}.parquet", work / "last" / "asked.parquet")
    child([given.karat.resolve(), "sources", "ingest", "asked"], work)
    shutil.copytree(work / ".karat", work / "many-parts")
    whole.write_text(wanted)
    return work


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--karat", type=pathlib.Path, required=True, help="the binary (release profile)")
    arguments.add_argument("--work", type=pathlib.Path, required=True, help="a folder of this bench's own; it is emptied")
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--clients", type=int, default=2_000_000)
    arguments.add_argument("--deliveries", type=int, default=100)
    arguments.add_argument("--runs", type=int, default=3)
    given = arguments.parse_args()
    work, karat = prepare(given), given.karat.resolve()
    figures: dict = {}
    for run in range(given.runs):
        say(f"run {run + 1} of {given.runs}")
        shutil.rmtree(work / ".karat")
        shutil.copytree(work / "many-parts", work / ".karat")
        sets = []
        for when in ("before", "after"):
            if when == "after":
                compacted = child([karat, "sources", "compact", "payments"], work)
                figures.setdefault("compaction", []).append(compacted)
            again = deliver(work, karat, given.deliveries - 1)
            figures.setdefault(f"the last delivery once more, {when}", []).append(again)
            training_set = child([karat, "features", "training-set", "late", "--output", "set.parquet"], work)
            figures.setdefault(f"training set, {when}", []).append(training_set)
            sets.append((work / "set.parquet").read_bytes())
        if sets[0] != sets[1]:
            sys.exit("the training set after compaction is another than before")
    print(f"\n{given.rows:,} rows of {given.clients:,} clients in {given.deliveries} deliveries, {os.cpu_count()} cores\n")
    print(f"| what | CPU s, median of {given.runs} (least to greatest) | wall s | peak memory |")
    print("|---|---|---|---|")
    for what, runs in figures.items():
        cpus = [cpu for cpu, _, _ in runs]
        wall, memory = statistics.median(wall for _, wall, _ in runs), max(memory for _, _, memory in runs)
        print(f"| {what} | {statistics.median(cpus):.2f} ({min(cpus):.2f} to {max(cpus):.2f}) | {wall:.2f} | {memory:,.0f} MiB |")


if __name__ == "__main__":
    main()
