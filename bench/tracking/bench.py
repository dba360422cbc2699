#!/usr/bin/env python3
"""Logging and searching runs over MLflow's API: Karat beside `mlflow server` (SQLite both), in one run:
`bench/tracking/run`.

Both hold a thousand runs of five metrics and two params, and one run with a history of 100,000 points. Measured at 1 and 8
clients: a batch of 100 metrics; the newest 100 of the runs; those filtered and ordered by a metric; a page of 10,000 points
of the long history. With `--runs 1000000` Karat alone is filled with a million runs of 20 metrics (into its database, in the
way it writes them), and the searches and batches are measured there.

CPU is the server's user and system time from /proc over the answers it gave, workers included; wrk runs on the same cores.

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
import uuid
from pathlib import Path

os.environ.update(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true", GIT_PYTHON_REFRESH="quiet")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from measure import Server, free_port, run, say, spread

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
    for name, search in SEARCHES.items():
        bodies = work / f"{abs(hash(name))}.jsonl"
        bodies.write_text(json.dumps({"experiment_ids": [held["experiment"]], **search}) + "\n")
        questions[name] = ("/runs/search", HERE.parent / "post.lua", [bodies])
    if "long" in held:
        path = f"/metrics/get-history?run_id={held['long']}&metric_key=long&max_results=10000"
        questions["10,000 points of a history"] = (path, HERE.parent / "told.lua", [])
    return questions


def many(folder: Path, wanted: int) -> dict:
    """Fills Karat's database itself: a million runs over HTTP would measure the filling."""
    chance = random.Random(5)
    database = sqlite3.connect(folder / ".karat" / "metadata.db", isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    experiment = database.execute("SELECT COALESCE(MAX(id), 0) + 1 FROM experiments").fetchone()[0]
    database.execute("BEGIN")
    database.execute(
        "INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms) "
        "VALUES (?, 'many', ?, 'active', 1, 1)", (experiment, f"mlflow-artifacts:/{experiment}"))
    keys = ["auc", *(f"m{number}" for number in range(19))]
    logged = []
    for begin in range(0, wanted, 10_000):
        ids = [uuid.uuid4().hex for _ in range(begin, min(begin + 10_000, wanted))]
        logged = logged or ids[:20]
        database.executemany(
            "INSERT INTO runs (run_id, experiment_id, name, user_name, status, start_time_ms, lifecycle_stage, artifact_uri) "
            "VALUES (?, ?, 'r', 'ana', 'FINISHED', ?, 'active', '')",
            [(run_id, experiment, 1_000 + begin + at) for at, run_id in enumerate(ids)])
        rows = [(run_id, key, chance.random()) for run_id in ids for key in keys]
        for table in ("metrics", "latest_metrics"):
            database.executemany(f"INSERT INTO {table} (run_id, key, value, is_nan, timestamp_ms, step) VALUES (?, ?, ?, 0, 1, 0)", rows)
        database.executemany("INSERT INTO params (run_id, key, value) VALUES (?, 'depth', ?)", [(run_id, str(chance.choice([4, 6, 8]))) for run_id in ids])
    database.execute("COMMIT")
    database.execute("ANALYZE")
    database.close()
    return {"experiment": str(experiment), "logged": logged}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--karat", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=0, help="fill Karat with so many runs instead, and measure it alone")
    parser.add_argument("--work", type=Path, help="a folder for what the servers keep [default: a temporary one]")
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="karat-bench-"))
    folder = work / "karat"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "karat.yaml").write_text("name: bench\n")

    def karat() -> Server:
        port = free_port()
        return Server("Karat", [args.karat, "serve", "--port", port], "/health", folder, port)

    servers = []
    try:
        servers.append(karat())
        if args.runs:
            servers.pop().stop()
            say(f"filling {args.runs:,} runs of 20 metrics")
            held = [many(folder, args.runs)]
            servers.append(karat())
        else:
            port = free_port()
            (work / "mlflow").mkdir(exist_ok=True)
            command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination",
                       "artifacts", "--host", "127.0.0.1", "--port", port]
            servers.append(Server("MLflow", command, "/health", work / "mlflow", port))
            held = []
            for server in servers:
                say(f"filling {server.name}")
                held.append(fill(server))
        figures = {}
        for turn in range(args.rounds):
            for server, mine in zip(servers, held):
                for name, (path, script, arguments) in loads(mine, work).items():
                    for clients in (1, 8):
                        found = load(server, path, clients, args.seconds, script, arguments)
                        figures.setdefault((name, clients, server.name), []).append(found)
                say(f"round {turn + 1}: {server.name}")
        print(f"medians of {args.rounds} rounds of {args.seconds} s (least to most)")
        for (name, clients, whose), rounds in figures.items():
            cpu = [found["cpu_us"] for found in rounds]
            line = f"{name}, {clients} client{'s' if clients > 1 else ''}: {whose}: {spread(cpu)} us of CPU"
            line += f", p50 {spread([found['p50_ms'] for found in rounds])} ms, p99 {spread([found['p99_ms'] for found in rounds])} ms"
            theirs = figures.get((name, clients, "MLflow"))
            if whose == "Karat" and theirs:
                ratio = statistics.median(found["cpu_us"] for found in theirs) / max(statistics.median(cpu), 1e-9)
                line += f"; 1/{ratio:,.0f} of MLflow's CPU"
            print(line)
        for server in servers:
            print(f"{server.name}: {server.resident():,.0f} MB resident at the end")
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
