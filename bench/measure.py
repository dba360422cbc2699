"""What the benches share: processes watched from outside, load, and figures with their spread."""

import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(*command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def child(command: list, cwd: Path) -> tuple:
    """CPU seconds, wall seconds and peak memory in MiB of a command that ends; what it says is in `log.txt`."""
    started = time.monotonic()
    with open(cwd / "log.txt", "ab") as log:
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))[:120]}… failed; its output is in {cwd / 'log.txt'}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024


def apart(make, *arguments) -> None:
    """Makes something in a process of its own: a command that is measured begins as a copy of this one, and its peak memory with it."""
    making = multiprocessing.Process(target=make, args=arguments)
    making.start()
    making.join()
    if making.exitcode:
        sys.exit(f"{make.__name__} failed")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A process that answers, watched from outside."""

    def __init__(self, name: str, command: list, ready: str, cwd: Path, port: int):
        self.name, self.port = name, port
        # Of processes that work for it and are not its children.
        self.beside: list[int] = []
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "KARAT_LOG": "error"},
        )
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{name} ended by itself")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=5)
                break
            except urllib.error.HTTPError as error:
                if error.code in (404, 405):
                    break
            except OSError:
                pass
            if time.perf_counter() - begun > 120:
                sys.exit(f"{name} is not ready after two minutes")
            time.sleep(0.0005)
        self.start_up = time.perf_counter() - begun

    def processes(self) -> list:
        """It, what works for it, and their workers."""
        family = [self.process.pid, *self.beside]
        for pid in family:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                family.extend(int(child) for child in task.read_text().split())
        return family

    def cpu(self) -> float:
        """Seconds of user and system time so far, those of workers that were replaced meanwhile included."""
        used = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += sum(int(field) for field in fields[11:15])
        return used / TICKS

    def resident(self) -> float:
        """MB"""
        lines = (line for pid in self.processes() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1000

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Postgres:
    """A PostgreSQL cluster in a folder, with a user `karat` who needs no password; Debian's programs, and their account for root."""

    def __init__(self, folder: Path):
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not programs:
            sys.exit("no PostgreSQL in /usr/lib/postgresql: scripts/setup tests installs it")
        self.programs, self.data, self.port = programs[-1], folder / "cluster", free_port()
        self.data.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            run("chown", "postgres", self.data)
            for parent in self.data.resolve().parents:
                parent.chmod(parent.stat().st_mode | 0o011)
        if not (self.data / "PG_VERSION").exists():
            self._run("initdb", "-D", self.data, "-A", "trust", "-U", "karat", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-p {self.port} -k {self.data} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-D", self.data, "-o", options, "-l", self.data / "log", "-w", "start")
        self.pid = int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def _run(self, program: str, *arguments) -> None:
        account = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        # The server keeps what pg_ctl writes to: nobody waits for its end.
        done = subprocess.run([*account, str(self.programs / program), *map(str, arguments)], cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"{program} failed: see {self.data / 'log'}")

    def database(self, name: str, scheme: str = "postgres") -> str:
        """The URI of a database, made where there is none."""
        at = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "karat"]
        there = run(self.programs / "psql", *at, "-At", "-c", f"SELECT 1 FROM pg_database WHERE datname = '{name}'", "postgres")
        if not there.strip():
            run(self.programs / "createdb", *at, name)
        return f"{scheme}://karat@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")


def wrk(server: Server, path: str, bodies: Path, connections: int, seconds: int, also: str = "") -> dict:
    """Requests as fast as they are answered, and what they cost the server. `also` goes into each body, at its end."""
    script = HERE / "post.lua"
    url = f"http://127.0.0.1:{server.port}{path}"
    before = server.cpu()
    shown = run("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script, url, "--", bodies, also)
    used = server.cpu() - before
    figures = json.loads(shown[shown.index("JSON ") + 5 :].splitlines()[0])
    if figures["wrong"]:
        say(f"{server.name}: {figures['wrong']} answers were not 200")
    return {
        "requests": figures["requests"],
        "cpu_us": used * 1e6 / max(figures["requests"], 1),
        "rate": figures["requests"] / figures["seconds"],
        "p50_us": figures["p50_us"],
        "p99_us": figures["p99_us"],
    }


def spread(values: list) -> str:
    middle = statistics.median(values)
    digits = 0 if middle >= 100 else 1
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
