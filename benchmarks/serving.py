"""How many images a second `modiste serve` answers, how long each waits, and what memory it takes.

The server is pinned to one core and this process, which asks, to another; both are on loopback.
Every request is the same POST of one PNG of the model's own size; a connection asks again as soon
as it has its answer (a closed loop: what waits is counted, what stays away is not).

    python -m benchmarks.serving DIR... [--seconds 10] [--requests 100000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modiste.runs.environment import environment

CONNECTIONS = (1, 8, 32)
_WARM_SECONDS = 2.0
# Between two looks at the server's memory.
_REQUESTS_PER_LOOK = 5_000
_SERVER = "import os; os.sched_setaffinity(0, {%d}); from modiste.cli.main import run; run()"


@dataclass(frozen=True)
class Load:
    """What a number of connections got.

    Attributes:
        connections: At once.
        requests: Answered with 200; any other answer ends the benchmark.
        seconds: Of the clock.
        core_seconds: Of the server, in user mode and in the kernel.
        milliseconds: From sending a request to the end of its answer, by quantile.
    """

    connections: int
    requests: int
    seconds: float
    core_seconds: float
    milliseconds: dict[str, float]

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="for each number of connections"
    )
    parser.add_argument("--requests", type=int, default=100_000, help="for the memory; 0: none")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {asked.load_core})
    found = [
        measure(folder, asked.server_core, asked.seconds, asked.requests)
        for folder in asked.folders
    ]
    if asked.json:
        here = environment()
        kept = ("packages", "python", "cpu", "vector_instructions", "git_commit")
        result = {"schema": 1, "machine": {k: here[k] for k in kept}, "models": found}
        asked.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


def measure(folder: Path, core: int, seconds: float, num_requests: int) -> dict[str, Any]:
    image = (folder / "golden" / "000.png").read_bytes()
    process, port = _started(folder, core)
    try:
        _ask(port, image, 8, process.pid, seconds=_WARM_SECONDS)
        loads = [_ask(port, image, count, process.pid, seconds=seconds) for count in CONNECTIONS]
        for load in loads:
            print(_words(folder, load), flush=True)
        memory = _memory(port, image, process.pid, num_requests)
        print(f"{folder}: resident MB after each {_REQUESTS_PER_LOOK:,}: {memory}", flush=True)
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(30)
    if status:
        raise SystemExit(f"{folder}: the server ended with status {status}")
    return {
        "folder": folder.name,
        "request_bytes": len(image),
        "loads": [{**asdict(load), "per_second": round(load.per_second, 1)} for load in loads],
        "memory": {"requests_per_look": _REQUESTS_PER_LOOK, "resident_mb": memory},
    }


def _started(folder: Path, core: int) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-c", _SERVER % core, "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    if not line.startswith("serving "):
        raise SystemExit(line + process.stderr.read())
    return process, int(line.rsplit(":", 1)[1].split("/")[0])


def _words(folder: Path, load: Load) -> str:
    waits = ", ".join(f"{name} {value:.2f}" for name, value in load.milliseconds.items())
    return (
        f"{folder}: {load.connections:2} connections, {load.per_second:7.1f}/s, {waits} ms, "
        f"{1e3 * load.core_seconds / load.requests:.3f} core-ms each ({load.requests:,} requests)"
    )


def _memory(port: int, image: bytes, pid: int, num_requests: int) -> list[float]:
    """Resident megabytes of the server, before and after each lot of requests."""
    found = [_resident_mb(pid)]
    for _ in range(0, num_requests, _REQUESTS_PER_LOOK):
        _ask(port, image, 8, pid, requests=_REQUESTS_PER_LOOK)
        found.append(_resident_mb(pid))
    return found


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def _core_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- asking ---------------------------------------------------------------------------------------


class Connection:
    """One that asks, waits for the whole answer, and asks again."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request

    def ask(self) -> None:
        self._waiting, self._length = b"", -1
        self._begun = time.perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> float | None:
        """Seconds that the answer took; none while it is not whole."""
        part = self.socket.recv(65_536)
        if not part:
            raise SystemExit("the server closed a connection")
        self._waiting += part
        if self._length < 0 and (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            head = self._waiting[:end].lower()
            if not head.startswith(b"http/1.1 200 "):
                raise SystemExit(self._waiting.decode("utf-8", "replace"))
            self._length = end + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._waiting) != self._length:
            return None
        return time.perf_counter() - self._begun


def _ask(
    port: int,
    image: bytes,
    count: int,
    pid: int,
    seconds: float = float("inf"),
    requests: int = sys.maxsize,
) -> Load:
    """Ask over so many connections, for so long or so often."""
    head = f"POST /predict HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: image/png\r\n"
    request = f"{head}Content-Length: {len(image)}\r\n\r\n".encode() + image
    connections = [Connection(port, request) for _ in range(count)]
    waits: list[float] = []
    cores, begun = _core_seconds(pid), time.perf_counter()
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.ask()
        while len(waits) < requests and time.perf_counter() - begun < seconds:
            for key, _ in selector.select(1.0):
                if (wait := key.data.read()) is not None:
                    waits.append(wait)
                    key.data.ask()
    took, cores = time.perf_counter() - begun, _core_seconds(pid) - cores
    for connection in connections:
        connection.socket.close()
    return Load(count, len(waits), round(took, 3), round(cores, 3), _quantiles(waits))


def _quantiles(waits: Sequence[float]) -> dict[str, float]:
    wanted = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: round(1e3 * float(np.quantile(waits, q)), 3) for name, q in wanted.items()}


if __name__ == "__main__":
    main()
