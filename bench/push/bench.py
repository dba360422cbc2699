"""How many rows a second a server takes, durably and read back at once. Standard library only."""

import argparse
import http.client
import json
import pathlib
import resource
import subprocess
import tempfile
import threading
import time

SOURCE = """kind: Source
name: payments
push: {{survives: {survives}}}
columns: {{id: int, client: int, at: timestamp, amount: float, late: bool}}
delivery: append
event_id: id
event_time: at
contract:
  - {{column: amount, check: range, min: 0, max: 1000000, action: fail}}
"""
VIEW = """kind: FeatureView
name: history
entity: client
source: payments
online_horizon: 60 days
features:
  n: {count: rows}
  total: {sum: amount}
  share: {share: late}
  recent: {count: rows, window: 30 days}
"""
CLIENTS = 100_000


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--survives", default="crash")
    parser.add_argument("--karat", default="target/release/karat")
    return parser.parse_args()


def project(folder, survives):
    for name in ("sources", "features", "entities"):
        (folder / name).mkdir()
    (folder / "karat.yaml").write_text("name: bench\n")
    (folder / "sources/payments.yaml").write_text(SOURCE.format(survives=survives))
    (folder / "features/history.yaml").write_text(VIEW)
    (folder / "entities/client.yaml").write_text("kind: Entity\nname: client\nkey: client\ntype: int\n")


def push(address, first, options, until, counts, times, errors):
    connection = http.client.HTTPConnection(address)
    headers = {"content-type": "application/json"}
    number = first
    while time.monotonic() < until:
        rows = [
            {"id": number + i, "client": (number + i) * 7919 % CLIENTS, "at": f"2022-01-{1 + (number + i) % 28:02}T10:00:00Z",
             "amount": 0.25 * ((number + i) % 400), "late": (number + i) % 9 == 0}
            for i in range(options.rows)
        ]
        begun = time.monotonic()
        connection.request("POST", "/v1/features/push", json.dumps({"source": "payments", "rows": rows}), headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or json.loads(body)["accepted"] != options.rows:
            errors.append(body)
            return
        times.append(time.monotonic() - begun)
        counts.append(options.rows)
        number += options.rows


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        project(folder, options.survives)
        server = subprocess.Popen([pathlib.Path(options.karat).resolve(), "serve", "--port", "0"], cwd=folder,
                                  stdout=subprocess.PIPE, text=True)
        try:
            address = server.stdout.readline().split("http://")[1].split(" ")[0]
            counts, times, errors = [], [], []
            begun = time.monotonic()
            threads = [
                threading.Thread(target=push, args=(address, i * 100_000_000, options, begun + options.seconds, counts, times, errors))
                for i in range(options.clients)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            taken = time.monotonic() - begun
            if errors:
                raise SystemExit(f"a push failed: {errors[0]}")
            connection = http.client.HTTPConnection(address)
            connection.request("GET", "/v1/features/history/0")
            read = json.loads(connection.getresponse().read())
        finally:
            server.terminate()
            server.wait()
        cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.sort()
        print(json.dumps({
            "rows a second": round(sum(counts) / taken),
            "requests": len(times),
            "p50 ms": round(1000 * times[len(times) // 2], 2),
            "p99 ms": round(1000 * times[len(times) * 99 // 100], 2),
            "server CPU us a row": round(1e6 * (cpu.ru_utime + cpu.ru_stime) / sum(counts), 2),
            "commit": read["commit"],
            "rows of client 0": read["features"]["n"],
        }, indent=1))


main()
