#!/usr/bin/env python3
"""Reading features of one client and of a hundred over HTTP: Karat (LMDB, Redis) beside `feast serve` (SQLite, Redis), in
one run: `bench/online/run`.

Both hold seven numbers of each of 100,000 clients and answer `POST /get-online-features`. Karat folds them from ten events
a client as it answers; Feast holds them ready made. One client more has 100,000 events, most of them in its checkpoint.

CPU is the server's user and system time from /proc over the answers it gave, workers included and Redis not; wrk and the
open loop run on the same cores.

Needs wrk, redis-server, this Python's packages (requirements.txt), and `karat` and `open_loop` built:
    cargo build --release -p karat -p karat-server --bins --examples
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from measure import Server, free_port, run, say, spread, wrk

CACHE = Path(os.environ.get("KARAT_CACHE", Path.home() / ".cache" / "karat"))
READ = "/get-online-features"
CLIENTS, EVENTS_EACH, BUSY = 100_000, 10, 100_000
FEATURES = ["n", "total", "mean", "largest", "newest", "share_late", "recent"]

SOURCE = """kind: Source
name: payments
path: payments.parquet
columns: {payment: int, client: int, at: timestamp, amount: float, late: bool}
delivery: append
event_id: payment
event_time: at
"""
VIEW = """kind: FeatureView
name: paid
entity: client
source: payments
online_horizon: 60 days
features:
  n: {count: rows}
  total: {sum: amount}
  mean: {mean: amount}
  largest: {max: amount}
  newest: {last: amount}
  share_late: {share: late}
  recent: {sum: amount, window: 30 days}
"""
FEAST = """
import sys
from datetime import datetime, timezone
import numpy as np, pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64
features = {features}
store = FeatureStore(repo_path=".")
client = Entity(name="client", join_keys=["client"], value_type=ValueType.INT64)
schema = [Field(name="client", dtype=Int64)] + [Field(name=name, dtype=Float64) for name in features]
view = FeatureView(name="paid", entities=[client], schema=schema, source=FileSource(name="paid", path="paid.parquet", timestamp_field="at"))
store.apply([client, view])
rows = pd.DataFrame({{"client": np.arange({clients}), "at": datetime(2024, 6, 1, tzinfo=timezone.utc)}})
random = np.random.default_rng(7)
for name in features:
    rows[name] = np.round(random.gamma(2.0, 60.0, {clients}), 2)
store.write_to_online_store("paid", rows)
"""


def generate(path: Path) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(7)
    clients = np.concatenate([np.tile(np.arange(CLIENTS), EVENTS_EACH), np.full(BUSY, CLIENTS)])
    start, span = 1_640_995_200_000_000, 2 * 365 * 86_400_000_000
    table = pa.table({
        "payment": pa.array(np.arange(len(clients))),
        "client": pa.array(clients),
        "at": pa.array(random.integers(start, start + span, len(clients)), pa.timestamp("us", "UTC")),
        "amount": pa.array(np.round(random.gamma(2.0, 60.0, len(clients)), 2)),
        "late": pa.array(random.random(len(clients)) < 0.05),
    })
    pq.write_table(table, path, compression="zstd")


def karat_project(karat: Path, folder: Path, payments: Path, online: str) -> None:
    for path, text in [
        ("karat.yaml", f"name: bench\n{online}"),
        ("sources/payments.yaml", SOURCE),
        ("entities/client.yaml", "kind: Entity\nname: client\nkey: client\ntype: int\n"),
        ("features/paid.yaml", VIEW),
    ]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    shutil.copy(payments, folder / "payments.parquet")
    say(f"karat features materialize ({online.strip() or 'LMDB'})")
    run(karat, "features", "materialize", cwd=folder)


def feast_repository(folder: Path, online: str) -> None:
    folder.mkdir(parents=True)
    (folder / "paid.parquet").touch()
    (folder / "feature_store.yaml").write_text(
        f"project: bench\nprovider: local\nregistry: registry.db\nonline_store: {online}\nentity_key_serialization_version: 3\n"
    )
    say(f"feast writes {CLIENTS:,} clients ({online})")
    script = FEAST.format(features=FEATURES, clients=CLIENTS)
    run(sys.executable, "-c", script, cwd=folder, env={**os.environ, "FEAST_USAGE": "False"})


def bodies(path: Path, each: int) -> None:
    import random

    numbers = random.Random(7)
    features = [f"paid:{name}" for name in FEATURES]
    with open(path, "w") as file:
        for _ in range(2000):
            clients = [numbers.randrange(CLIENTS) for _ in range(each)]
            file.write(json.dumps({"features": features, "entities": {"client": clients}}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target")) / "release"
    parser.add_argument("--binaries", type=Path, default=target, help="where karat and examples/ lie (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="of load a measurement (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=5000, help="requests a second in the open loop (default: %(default)s)")
    given = parser.parse_args()
    karat, open_loop = given.binaries / "karat", given.binaries / "examples" / "open_loop"
    for program in ("wrk", "redis-server"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing: apt-get install {program}")
    for binary in (karat, open_loop):
        if not binary.is_file():
            sys.exit(f"{binary} is missing: cargo build --release -p karat -p karat-server --bins --examples")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        port = free_port()
        redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--dir", work], stdout=subprocess.DEVNULL)
        try:
            measure(given, karat, open_loop, work, port)
        finally:
            redis.terminate()
            redis.wait()


def measure(given, karat: Path, open_loop: Path, work: Path, redis: int) -> None:
    generate(work / "payments.parquet")
    karat_project(karat, work / "karat-lmdb", work / "payments.parquet", "")
    karat_project(karat, work / "karat-redis", work / "payments.parquet", f"stores: {{online: 'redis://127.0.0.1:{redis}/0'}}\n")
    feast_repository(work / "feast-sqlite", "{type: sqlite, path: online.db}")
    feast_repository(work / "feast-redis", f"{{type: redis, connection_string: '127.0.0.1:{redis},db=1'}}")
    sets = {1: work / "one.txt", 100: work / "hundred.txt"}
    for each, path in sets.items():
        bodies(path, each)
    busy = work / "busy.txt"
    features = [f"paid:{name}" for name in FEATURES]
    busy.write_text(json.dumps({"features": features, "entities": {"client": [CLIENTS]}}) + "\n")

    def start(who: str) -> Server:
        port = free_port()
        if who.startswith("karat"):
            return Server(who, [karat, "serve", "--port", port], "/health/ready", work / who, port)
        feast = Path(sys.executable).parent / "feast"
        return Server(who, [feast, "serve", "--host", "127.0.0.1", "--port", port, "--no-access-log"], "/health", work / who, port)

    found: dict = {}

    def note(what: str, who: str, value: float) -> None:
        found.setdefault(what, {}).setdefault(who, []).append(value)

    names = ["karat-lmdb", "karat-redis", "feast-sqlite", "feast-redis"]
    for number in range(given.rounds):
        say(f"round {number + 1} of {given.rounds}")
        for who in names:
            server = start(who)
            check(server)
            for each, path in sets.items():
                label = "1 client" if each == 1 else f"{each} clients"
                measured = wrk(server, READ, path, 8, given.seconds)
                note(f"CPU us a request, {label}", who, measured["cpu_us"])
                note(f"p50 us, {label}", who, measured["p50_us"])
            if who.startswith("karat"):
                measured = wrk(server, READ, busy, 1, given.seconds)
                note(f"p50 us, a client of {BUSY:,} events", who, measured["p50_us"])
                loop = json.loads(run(open_loop, f"127.0.0.1:{server.port}", READ, given.rate, given.seconds, sets[1]))
                if loop["not_200"] or loop["answered"] != loop["sent"]:
                    say(f"open loop: {loop}")
                note(f"p99 us, {given.rate} a second, open loop, 1 client", who, loop["p99_us"])
            note("VmRSS after load, MB", who, server.resident())
            server.stop()
    report(found, given, names)


def check(server: Server) -> None:
    """It has what is asked for."""
    asked = {"features": [f"paid:{name}" for name in FEATURES], "entities": {"client": [0, CLIENTS - 1]}}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{READ}", json.dumps(asked).encode(), {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=30))
    columns = {name: result["values"] for name, result in zip(answer["metadata"]["feature_names"], answer["results"])}
    if any(None in columns[name] for name in FEATURES if name != "recent"):
        sys.exit(f"{server.name} misses values: {answer}")


def report(found: dict, given, names: list) -> None:
    print(f"\nmedian of {given.rounds} (least to greatest), {given.seconds} s each, 8 connections, {os.cpu_count()} cores\n")
    print(f"| what | {' | '.join(names)} | Feast / Karat, SQLite to LMDB and Redis to Redis |")
    print("|---" * (len(names) + 2) + "|")
    for what, by in found.items():
        cells = [spread(by[who]) if who in by else "" for who in names]
        pairs = [("feast-sqlite", "karat-lmdb"), ("feast-redis", "karat-redis")]
        ratios = [f"{statistics.median(by[peer]) / statistics.median(by[own]):,.0f}" for peer, own in pairs if peer in by]
        print(f"| {what} | {' | '.join(cells)} | {', '.join(ratios)} |")


if __name__ == "__main__":
    main()
