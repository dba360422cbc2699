#!/usr/bin/env python3
"""Decisions over HTTP, with reasons and without, for `scripts/release`: decisions.py KARAT PROJECT.

Serves the project's endpoint `credit-risk`, asks for each of some thousand clients, one after the other and several at
once, then for many in a request until the log has filled a segment, and stops the server as an operator would.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from measure import Server, free_port, run

CLIENTS = 4000
CONNECTIONS = 8
TOGETHER = 200
# A segment of the log has 32 MiB, a decision some 300 bytes.
DECISIONS = 150_000


def main() -> None:
    karat, project = map(Path, sys.argv[1:])
    ask = f"SELECT DISTINCT client_id FROM loans ORDER BY client_id % 1009, client_id LIMIT {CLIENTS}"
    found = json.loads(run(karat, "query", ask, "--limit", "0", "--format", "json", cwd=project))
    keys = [row["client_id"] for row in found["rows"]]
    port = free_port()
    server = Server("karat", [karat, "serve", "--port", port], "/health/ready", project, port)
    try:
        single = [{"key": key, "reasons": reasons} for key in keys for reasons in ("none", "all")]
        decide(port, single)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda part: decide(port, single[part::CONNECTIONS]), range(CONNECTIONS)))
        many = [{"keys": keys[start : start + TOGETHER], "reasons": "none"} for start in range(0, len(keys), TOGETHER)]
        decide(port, many * (DECISIONS // len(keys)))
    finally:
        server.stop()


def decide(port: int, bodies: list) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", "/v1/endpoints/credit-risk/predict", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            sys.exit(f"{response.status}: {answer.decode()}")


if __name__ == "__main__":
    main()
