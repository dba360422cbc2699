#!/usr/bin/env python3
"""Karat's endpoint beside FastAPI + SQLite + scikit-learn, in one run: `bench/serving/run`.

Trains on the credit-risk example: Karat 100 trees of 31 leaves, the peer a forest of 100 trees on the same rows and
features. Both then answer the same clients from the same machine, one after the other, several times over.

Needs wrk, this Python's packages (requirements.txt), the example's data, and `karat`, `floor` and `open_loop` built:
    cargo build --release -p karat -p karat-server --bins --examples

CPU is the server process's user and system time from /proc over the answers it gave; wrk and the open loop run on the
same cores. The floor is axum with a handler that does nothing, on one thread.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

from measure import Server, free_port, run, say, spread, wrk

CACHE = Path(os.environ.get("KARAT_CACHE", Path.home() / ".cache" / "karat"))
PREDICT = "/v1/endpoints/credit-risk/predict"


def project(karat: Path, folder: Path) -> None:
    """The example with 100 trees of 31 leaves, trained and approved."""
    shutil.copytree(ROOT / "examples" / "credit-risk", folder, ignore=shutil.ignore_patterns(".karat"))
    model = folder / "models" / "credit_default.yaml"
    text = model.read_text()
    start = text.index("estimator:")
    end = text.index("threshold:")
    estimator = "estimator:\n  lightgbm: {learning_rate: 0.05, num_leaves: 31, rounds: 100, early_stopping: 0}\n"
    model.write_text(text[:start] + estimator + text[end:])
    endpoint = folder / "endpoints" / "credit-risk.yaml"
    text = endpoint.read_text().replace("reasons: 4\n", "reasons: {mode: on_request, most: 4}\n")
    endpoint.write_text(text)
    for command in (
        ["train", "credit_default"],
        ["models", "approve", "credit_default", "--as", "champion", "--why", "bench"],
        ["features", "materialize"],
        ["features", "training-set", "credit_default", "--output", "set.csv"],
    ):
        say("karat " + " ".join(command))
        run(karat, *command, cwd=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", CACHE / "target")) / "release"
    parser.add_argument("--binaries", type=Path, default=target, help="where karat and examples/ lie (default: %(default)s)")
    parser.add_argument("--work", type=Path, help="a folder to work in and keep; without it, a temporary one")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="of load a measurement (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=5000, help="requests a second in the open loop (default: %(default)s)")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    karat, floor, open_loop = given.binaries / "karat", given.binaries / "examples" / "floor", given.binaries / "examples" / "open_loop"
    for binary in (karat, floor, open_loop):
        if not binary.is_file():
            sys.exit(f"{binary} is missing: cargo build --release -p karat -p karat-server --bins --examples")
    with tempfile.TemporaryDirectory() as temporary:
        measure(given, karat, floor, open_loop, given.work or Path(temporary))


def measure(given, karat: Path, floor: Path, open_loop: Path, work: Path) -> None:
    folder, peer_folder = work / "project", work / "peer"
    if not (folder / "set.csv").is_file():
        work.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        project(karat, folder)
    if not (peer_folder / "bodies.txt").is_file():
        say("the peer trains")
        subprocess.run([sys.executable, HERE / "peer.py", "train", folder / "set.csv", peer_folder], check=True)
    bodies = peer_folder / "bodies.txt"

    def start_karat() -> Server:
        port = free_port()
        return Server("karat", [karat, "serve", "--port", port], "/health/ready", folder, port)

    def start_peer() -> Server:
        port = free_port()
        return Server("peer", [sys.executable, HERE / "peer.py", "serve", peer_folder, port], "/ready", peer_folder, port)

    def start_floor() -> Server:
        port = free_port()
        return Server("floor", [floor, port], "/", work, port)

    found: dict = {}

    def note(what: str, who: str, value: float) -> None:
        found.setdefault(what, {}).setdefault(who, []).append(value)

    for number in range(given.rounds):
        say(f"round {number + 1} of {given.rounds}")
        for who, start, path in (("floor", start_floor, "/"), ("karat", start_karat, PREDICT), ("peer", start_peer, "/predict")):
            server = start()
            note("start-up, exec to ready, ms", who, server.start_up * 1e3)
            answered = 0
            for connections in (1, 32):
                for reasons in ("none", "all") if who != "floor" else ("none",):
                    measured = wrk(server, path, bodies, connections, given.seconds, f', "reasons": "{reasons}"')
                    label = f"{connections} connection{'s' if connections > 1 else ''}, {'no reasons' if reasons == 'none' else 'four reasons'}"
                    note(f"CPU us a request, {label}", who, measured["cpu_us"])
                    note(f"p50 us, {label}", who, measured["p50_us"])
                    if answered < 10_000 <= answered + measured["requests"]:
                        note("VmRSS after 10,000 requests, MB", who, server.resident())
                    answered += measured["requests"]
            if who == "karat":
                address = f"127.0.0.1:{server.port}"
                loop = json.loads(run(open_loop, address, path, given.rate, given.seconds, bodies))
                if loop["not_200"] or loop["answered"] != loop["sent"]:
                    say(f"open loop: {loop}")
                note(f"p99 us, {given.rate} a second, open loop", who, loop["p99_us"])
                note(f"p50 us, {given.rate} a second, open loop", who, loop["p50_us"])
            note("VmRSS after load, MB", who, server.resident())
            server.stop()
    report(found, given)


def report(found: dict, given) -> None:
    print(f"\nmedian of {given.rounds} (least to greatest), {given.seconds} s each, {os.cpu_count()} cores\n")
    print("| what | axum, nothing done | karat | FastAPI + SQLite + scikit-learn | peer / karat |")
    print("|---|---|---|---|---|")
    for what, by in found.items():
        cells = [spread(by[who]) if who in by else "" for who in ("floor", "karat", "peer")]
        ratio = ""
        if "karat" in by and "peer" in by:
            ratio = f"{statistics.median(by['peer']) / statistics.median(by['karat']):,.0f}"
        print(f"| {what} | {' | '.join(cells)} | {ratio} |")


if __name__ == "__main__":
    main()
