#!/usr/bin/env python3
"""Logging and searching runs over MLflow's API: Karat beside `mlflow server`, on SQLite both or, with `--postgres`, on one
PostgreSQL server, in one run: `bench/tracking/run`.

Both hold a thousand runs of five metrics and two params, and one run with a history of 100,000 points. Measured at 1 and 8
clients: a batch of 100 metrics; the newest 100 of the runs; those filtered and ordered by a metric; a page of 10,000 points
of the long history. With `--runs 1000000` Karat alone is measured: with a million runs of 20 metrics (written into its database
as it writes them itself) beside one with nothing but the runs that are logged to.

CPU is the server's user and system time from /proc over the answers it gave, workers and PostgreSQL's processes included; wrk runs
on the same cores.

Needs wrk, MLflow (scripts/requirements-mlflow.txt) in this Python, and `karat` built: cargo build --release -p karat
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

os.environ.update(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true", GIT_PYTHON_REFRESH="quiet")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from measure import Postgres, Server, free_port, run, say, spread

API = "/api/2.0/mlflow"
RUNS, POINTS = 1_000, 100_000
SEARCHES = {
    "search, newest 100": {"max_results": 100},
    "search, filtered and ordered by a metric": {
        "max_results": 100, "filter": "metrics.auc > 0.5 AND params.depth = '6'", "order_by": ["metrics.auc DESC"],
    },
}


def post(server: Server, path: str, body: dict) -> dict:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{API}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read())


def metric(key: str, value: float, step: int = 0) -> dict:
    return {"key": key, "value": value, "timestamp": 1_700_000_000_000 + step, "step": step}


def fill(server: Server) -> dict:
    """The runs, told over HTTP to both alike; gives the experiment, some runs to log to, and the one with the history."""
    chance = random.Random(3)
    experiment = post(server, "/experiments/create", {"name": "bench"})["experiment_id"]
    ids = []
    for number in range(RUNS):
        made = post(server, "/runs/create", {"experiment_id": experiment, "run_name": f"r{number}", "start_time": 1_000 + number})
        ids.append(made["run"]["info"]["run_id"])
        metrics = [metric(key, chance.random()) for key in ("auc", "ks", "loss", "brier", "gini")]
        params = [{"key": "depth", "value": str(chance.choice([4, 6, 8]))}, {"key": "seed", "value": str(number)}]
        post(server, "/runs/log-batch", {"run_id": ids[-1], "metrics": metrics, "params": params})
    long = ids[0]
    for begin in range(0, POINTS, 1_000):
        post(server, "/runs/log-batch", {"run_id": long, "metrics": [metric("long", i % 97, i) for i in range(begin, begin + 1_000)]})
    # What is logged to while it is measured is an experiment of its own: searches see the same runs in every round.
    other = post(server, "/experiments/create", {"name": "logged"})["experiment_id"]
    logged = [post(server, "/runs/create", {"experiment_id": other})["run"]["info"]["run_id"] for _ in range(20)]
    return {"experiment": experiment, "long": long, "logged": logged}


def load(server: Server, path: str, clients: int, seconds: int, script=None, arguments=()) -> dict:
    options = ["-s", script] if script else []
    url = f"http://127.0.0.1:{server.port}{API}{path}"
    before = server.cpu()
    shown = run("wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "60s", *options, url, *(["--", *arguments] if arguments else []))
    used = server.cpu() - before
    figures = json.loads(shown[shown.index("JSON ") + 5:].splitlines()[0])
    if figures["wrong"]:
        say(f"{server.name}: {figures['wrong']} answers of {path} were not 200")
    return {"cpu_us": used * 1e6 / max(figures["requests"], 1), "p50_ms": figures["p50_us"] / 1e3, "p99_ms": figures["p99_us"] / 1e3}


def loads(held: dict, work: Path) -> dict:
    """What is measured: name to (path, script, arguments)."""
    questions = {"log-batch of 100 metrics": ("/runs/log-batch", HERE / "log.lua", held["logged"])}
    for name, search in SEARCHES.items() if "experiment" in held else ():
        bodies = work / f"{abs(hash(name))}.jsonl"
        bodies.write_text(json.dumps({"experiment_ids": [held["experiment"]], **search}) + "\n")
        questions[name] = ("/runs/search", HERE.parent / "post.lua", [bodies])
    if "long" in held:
        path = f"/metrics/get-history?run_id={held['long']}&metric_key=long&max_results=10000"
        questions["10,000 points of a history"] = (path, HERE.parent / "told.lua", [])
    return questions


def loggable(server: Server) -> dict:
    """Only runs to log to."""
    other = post(server, "/experiments/create", {"name": "logged"})["experiment_id"]
    return {"logged": [post(server, "/runs/create", {"experiment_id": other})["run"]["info"]["run_id"] for _ in range(20)]}


KEYS = sorted(["auc", *(f"m{number}" for number in range(19))])


def many(wanted: int, dialect: str) -> list:
    """Statements that fill Karat's database: a million runs over HTTP would measure the filling. In the order of their keys, as
    Karat's own ids are in the order of time."""
    keys = ", ".join(f"('{key}')" for key in KEYS)
    experiment = "(SELECT id FROM experiments WHERE name = 'many')"
    if dialect == "postgres":
        numbers, hexadecimal, chance = f"generate_series(1, {wanted}) AS n (i)", "lpad(to_hex(i), 32, '0')", "random()"
        choice = "(ARRAY['4', '6', '8'])[1 + i % 3]"
    else:
        numbers = f"(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {wanted}) SELECT i FROM n)"
        hexadecimal, chance, choice = "printf('%032x', i)", "(random() & 1048575) / 1048576.0", "(i % 3 + 2) * 2"
    return [
        "INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms) "
        "SELECT MAX(id) + 1, 'many', 'mlflow-artifacts:/many', 'active', 1, 1 FROM experiments",
        "INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_time_ms, lifecycle_stage, artifact_uri) "
        f"SELECT {hexadecimal}, {experiment}, 'r', 'ana', 'FINISHED', 1000 + i, 'active', '' FROM {numbers}",
        f"INSERT INTO params (run_id, key, value) SELECT {hexadecimal}, 'depth', {choice} FROM {numbers}",
        # An index that is made after its rows is made in a tenth of the time.
        "DROP INDEX latest_metrics_value",
        "INSERT INTO latest_metrics (run_id, key, value, is_nan, timestamp_ms, step) "
        f"SELECT r.run_id, k.key, {chance}, FALSE, 1, 0 FROM runs r CROSS JOIN (SELECT column1 AS key FROM (VALUES {keys}) v) k "
        f"WHERE r.experiment_id = {experiment}",
        "INSERT INTO metrics (run_id, key, value, is_nan, timestamp_ms, step) "
        "SELECT run_id, key, value, is_nan, timestamp_ms, step FROM latest_metrics",
    ]


def fill_sqlite(folder: Path, wanted: int) -> None:
    database = sqlite3.connect(folder / ".karat" / "metadata.db", isolation_level=None)
    database.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY")
    index = database.execute("SELECT sql FROM sqlite_master WHERE name = 'latest_metrics_value'").fetchone()[0]
    for statement in ["BEGIN", *many(wanted, "sqlite"), index, "COMMIT", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"]:
        database.execute(statement)
    database.close()


def fill_postgres(uri: str, wanted: int) -> None:
    import psycopg2

    database = psycopg2.connect(uri)
    cursor = database.cursor()
    cursor.execute("SET maintenance_work_mem = '1GB'")
    cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'latest_metrics_value'")
    index = cursor.fetchone()[0]
    for statement in [*many(wanted, "postgres"), index]:
        cursor.execute(statement)
    database.commit()
    database.autocommit = True
    cursor.execute("VACUUM ANALYZE")
    database.close()


class Bench:
    """The servers, where they keep what they hold."""

    def __init__(self, karat: Path, work: Path, postgres: bool):
        self.karat, self.work = karat, work
        self.postgres = Postgres(work) if postgres else None
        self.servers = []

    def _started(self, server: Server) -> Server:
        if self.postgres:
            server.beside.append(self.postgres.pid)
        self.servers.append(server)
        return server

    def start_karat(self, name: str) -> Server:
        folder, port = self.work / name, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        stores = f"stores: {{metadata: \"{self.postgres.database(folder.name)}\"}}\n" if self.postgres else ""
        (folder / "karat.yaml").write_text(f"name: bench\n{stores}")
        return self._started(Server("Karat", [self.karat, "serve", "--port", port], "/health", folder, port))

    def start_mlflow(self) -> Server:
        folder, port = self.work / "mlflow", free_port()
        folder.mkdir(parents=True, exist_ok=True)
        store = self.postgres.database("mlflow", "postgresql+psycopg2") if self.postgres else "sqlite:///mlflow.db"
        command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--artifacts-destination", "artifacts",
                   "--host", "127.0.0.1", "--port", port]
        return self._started(Server("MLflow", command, "/health", folder, port))

    def beside_mlflow(self) -> list:
        """Servers, and what each holds."""
        held = []
        for server in (self.start_karat("karat"), self.start_mlflow()):
            say(f"filling {server.name}")
            held.append((server, fill(server)))
        return held

    def with_many(self, runs: int) -> list:
        empty = self.start_karat("empty")
        empty.name = "Karat, empty"
        filled = self.start_karat("many")
        filled.name = f"Karat, {runs:,} runs"
        held = loggable(filled)
        filled.stop()
        self.servers.remove(filled)
        say(f"filling {runs:,} runs of {len(KEYS)} metrics")
        if self.postgres:
            fill_postgres(self.postgres.database("many", "postgresql"), runs)
        else:
            fill_sqlite(self.work / "many", runs)
        filled = self.start_karat("many")
        filled.name = f"Karat, {runs:,} runs"
        held["experiment"] = post(filled, "/experiments/search", {"filter": "name = 'many'", "max_results": 1})["experiments"][0]["experiment_id"]
        return [(empty, loggable(empty)), (filled, held)]

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        if self.postgres:
            self.postgres.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--karat", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=0, help="measure Karat alone, with so many runs and with none")
    parser.add_argument("--postgres", action="store_true", help="keep everything in a PostgreSQL server that is started for it")
    parser.add_argument("--work", type=Path, help="a folder for what the servers keep [default: a temporary one]")
    args = parser.parse_args()
    work = (args.work or Path(tempfile.mkdtemp(prefix="karat-bench-"))).resolve()
    bench = Bench(args.karat.resolve(), work, args.postgres)
    try:
        held = bench.with_many(args.runs) if args.runs else bench.beside_mlflow()
        figures = {}
        for turn in range(args.rounds):
            for server, mine in held:
                for name, (path, script, arguments) in loads(mine, work).items():
                    for clients in (1, 8):
                        found = load(server, path, clients, args.seconds, script, arguments)
                        figures.setdefault((name, clients, server.name), []).append(found)
                say(f"round {turn + 1}: {server.name}")
        print(f"medians of {args.rounds} rounds of {args.seconds} s (least to most){', PostgreSQL included' if args.postgres else ''}")
        for (name, clients, whose), rounds in figures.items():
            cpu = [found["cpu_us"] for found in rounds]
            line = f"{name}, {clients} client{'s' if clients > 1 else ''}: {whose}: {spread(cpu)} us of CPU"
            line += f", p50 {spread([found['p50_ms'] for found in rounds])} ms, p99 {spread([found['p99_ms'] for found in rounds])} ms"
            theirs = figures.get((name, clients, "MLflow"))
            if whose == "Karat" and theirs:
                ratio = statistics.median(found["cpu_us"] for found in theirs) / max(statistics.median(cpu), 1e-9)
                line += f"; 1/{ratio:,.0f} of MLflow's CPU"
            print(line)
        for server, _ in held:
            print(f"{server.name}: {server.resident():,.0f} MB resident at the end")
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
