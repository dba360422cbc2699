#!/usr/bin/env python3
"""Decisions over HTTP, with reasons and without, for `scripts/release`: decisions.py KARAT PROJECT.

Serves the project's endpoint `credit-risk`, asks for each of some thousand clients, one after the other and several at
once, then for many in a request until the log has filled a segment, and stops the server as an operator would.
"""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

CLIENTS = 4000
CONNECTIONS = 8
TOGETHER = 200
# A segment of the log has 32 MiB, a decision some 300 bytes.
DECISIONS = 150_000


def main() -> None:
    karat, project = sys.argv[1:]
    ask = f"SELECT DISTINCT client_id FROM loans ORDER BY client_id % 1009, client_id LIMIT {CLIENTS}"
    found = subprocess.run([karat, "query", ask, "--limit", "0", "--format", "json"], cwd=project, check=True, capture_output=True)
    keys = [row["client_id"] for row in json.loads(found.stdout)["rows"]]
    command = [karat, "serve", "--port", "0", "--format", "json"]
    quiet = os.environ | {"KARAT_LOG": "error"}
    with subprocess.Popen(command, cwd=project, env=quiet, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = "".join(iter(server.stdout.readline, "}\n")) + "}"
            address = json.loads(said)["url"].removeprefix("http://")
            single = [{"key": key, "reasons": reasons} for key in keys for reasons in ("none", "all")]
            decide(address, single)
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                list(pool.map(lambda part: decide(address, single[part::CONNECTIONS]), range(CONNECTIONS)))
            many = [{"keys": keys[start : start + TOGETHER], "reasons": "none"} for start in range(0, len(keys), TOGETHER)]
            decide(address, many * (DECISIONS // len(keys)))
        finally:
            server.send_signal(signal.SIGTERM)


def decide(address: str, bodies: list) -> None:
    connection = HTTPConnection(address)
    for body in bodies:
        connection.request("POST", "/v1/endpoints/credit-risk/predict", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            sys.exit(f"{response.status}: {answer.decode()}")


if __name__ == "__main__":
    main()
