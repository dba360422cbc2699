"""Features as of each event, over 10 million events of 2 million clients, Parquet to Parquet: Karat beside DuckDB,
Polars, PySpark and pandas.

`--question history`: for every event how many events its client had strictly before it, and the mean of their amounts.
`--question windows`: number, sum, mean and greatest of the amounts in the 30, 90 and 365 days before: 12 features.

Each system runs as a process of its own; processes take turns, so that a noisy minute hits all of them. Figures: CPU seconds
(user + system) and peak resident memory of the process, as wait4 reports them; the median of the runs and their spread.

The answers are compared with each other before any figure is printed.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys

from questions import QUESTIONS

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from measure import apart, child


def generate(path, events, clients):
    """Events in the order they arrive; no client has two at the same microsecond."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(7)
    start, span = 1_577_836_800_000_000, 3 * 365 * 86_400_000_000
    at = np.sort(random.integers(start, start + span, events))
    # Arrival order is time order; equal times are moved on by a microsecond each.
    at = np.maximum.accumulate(at - np.arange(events)) + np.arange(events)
    table = pa.table({
        "client": pa.array(random.integers(0, clients, events)),
        "at": pa.array(at, pa.timestamp("us", "UTC")),
        "amount": pa.array(np.round(random.gamma(2.0, 60.0, events), 2)),
        "late": pa.array(random.random(events) < 0.05),
    })
    pq.write_table(table, path, compression="zstd")


def compare(work, question, outputs):
    """Every output holds the same rows: counts equal, means and sums to 1e-9 (only Karat's are exactly rounded)."""
    import numpy as np
    import pyarrow.parquet as pq

    def columns(name):
        table = pq.read_table(work / name)
        table = table.rename_columns(["at" if column == "as_of" else column for column in table.column_names])
        table = table.sort_by([("client", "ascending"), ("at", "ascending")])
        # Sums and counts of nothing are 0 here and null there.
        numbers = lambda column: np.nan_to_num(np.asarray(table[column].to_numpy(zero_copy_only=False), dtype="f8"))
        return {column: numbers(column) for column in ["client", *question.exact, *question.close]}

    reference = columns(outputs[0])
    for name in outputs[1:]:
        other = columns(name)
        for column in ["client", *question.exact]:
            if not np.array_equal(reference[column], other[column]):
                sys.exit(f"{name} differs from {outputs[0]} in {column}")
        for column in question.close:
            if not np.allclose(reference[column], other[column], rtol=1e-9, atol=1e-7):
                sys.exit(f"{name} differs from {outputs[0]} in {column}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--karat", type=pathlib.Path, required=True, help="the binary (release profile)")
    arguments.add_argument("--work", type=pathlib.Path, required=True, help="a folder for data and outputs")
    arguments.add_argument("--question", choices=QUESTIONS, default="history")
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--clients", type=int, default=2_000_000)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--memory", default="1 GiB", help="Karat's engine.memory (default: %(default)s)")
    arguments.add_argument("--without", action="append", default=[], help="a system to leave out, by the beginning of its name")
    options = arguments.parse_args()
    question = QUESTIONS[options.question]
    work, karat = options.work.resolve(), options.karat.resolve()
    work.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "project", work, dirs_exist_ok=True)
    with open(work / "karat.yaml", "a") as settings:
        settings.write(f"engine: {{memory: {options.memory}}}\n")
    made, wanted = work / "events.made", f"{options.events} events of {options.clients} clients"
    if not made.exists() or made.read_text() != wanted:
        print(f"making {options.events:,} events of {options.clients:,} clients", flush=True)
        apart(generate, work / "events.parquet", options.events, options.clients)
        made.write_text(wanted)

    def ingest():
        shutil.rmtree(work / ".karat", ignore_errors=True)
        return child([karat, "sources", "ingest", "events"], work)

    left_out = lambda name: any(name.lower().startswith(start.lower()) for start in options.without)
    peers = {name: script for name, script in question.scripts.items() if not left_out(name)}
    systems = {
        "Karat: training set from history": lambda: child(
            [karat, "features", "training-set", question.model, "--output", "out-karat.parquet"], work),
        **{name: (lambda script=script: child([sys.executable, "-c", script], work)) for name, (script, _) in peers.items()},
    }
    figures = {"Karat: ingest into history, once": [ingest()], **{name: [] for name in systems}}
    for run in range(options.runs):
        for name, system in systems.items():
            figures[name].append(system())
            print(f"run {run + 1} of {options.runs}: {name} {figures[name][-1][0]:.2f} CPU-s", file=sys.stderr, flush=True)
    if peers:
        compare(work, question, ["out-karat.parquet", *(output for _, output in peers.values())])

    karat_cpu = statistics.median(cpu for cpu, _, _ in figures["Karat: training set from history"])
    print(f"\n{options.question}: {options.events:,} events, {options.clients:,} clients, {os.cpu_count()} cores, engine.memory {options.memory}{'; all outputs agree' if peers else ''}\n")
    print(f"| system | CPU s, median (min to max) of {options.runs} | x Karat | wall s | peak memory |")
    print("|---|---|---|---|---|")
    for name, runs in figures.items():
        cpus = [cpu for cpu, _, _ in runs]
        wall = statistics.median(wall for _, wall, _ in runs)
        memory = max(memory for _, _, memory in runs)
        print(f"| {name} | {statistics.median(cpus):.2f} ({min(cpus):.2f} to {max(cpus):.2f}) "
              f"| {statistics.median(cpus) / karat_cpu:.2f} | {wall:.2f} | {memory:,.0f} MiB |")


if __name__ == "__main__":
    main()
