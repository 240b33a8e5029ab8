"""Time of one training step, modiste against its peers, each side in a process of its own.

The two take turns, block of steps by block of steps, so that both see the same machine; what is
quoted is the median of the ratios of neighbouring blocks. Each peer first runs at every setting of
its list, which is printed, and is measured at the fastest; so is modiste.

    python -m benchmarks.contest [--nets "CNN 32"] [--peers pytorch,jax] [--threads 2] [--json FILE]

The file keeps what was measured of other nets before, net by net, each with its time and machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from benchmarks.floor import floor_of, machine_rates
from benchmarks.installed import is_here, versions
from benchmarks.nets import NETS, Net
from benchmarks.peers import NAMES, Setting, peer
from modiste.cores import num_cores
from modiste.runs.environment import environment

PACKAGES = ("torch", "tensorflow-cpu", "keras", "jax", "skorch", "numpy")
# Blocks at each setting to find the fastest, and pairs of blocks to compare at it.
TRIED, PAIRS = 4, 15


class Side:
    """A peer at one setting, ready to run; ends with its context."""

    def __init__(self, name: str, net: Net, setting: Setting) -> None:
        self.name, self.setting = name, setting
        self._net = net
        given = {**os.environ, **setting.get("environment", {})}
        given["OMP_NUM_THREADS"] = str(setting["threads"])
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=given,
        )
        self._tell(peer=name, net=net.name, setting=dict(setting))

    def seconds(self, steps: int) -> float:
        """How long so many steps take."""
        return float(self._tell(steps=steps)["seconds"])

    def _tell(self, **values: Any) -> dict[str, Any]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(values) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            assert self._child.stderr is not None
            raise RuntimeError(f"{self.name} {self.setting}: {self._child.stderr.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()

    @property
    def words(self) -> str:
        """The setting, for people."""
        shown = {k: v for k, v in self.setting.items() if k not in ("environment", "threads")}
        return ", ".join(f"{key} {value}" for key, value in shown.items()) or "as it is"


def fastest(name: str, net: Net, threads: int) -> tuple[Setting, dict[str, float]]:
    """The best setting of a peer, and milliseconds a step at each."""
    tried: dict[str, float] = {}
    best: tuple[float, Setting] | None = None
    for setting in peer(name).settings(net, threads):
        with Side(name, net, setting) as side:
            block = min(side.seconds(net.block) for _ in range(TRIED)) / net.block
            tried[side.words] = round(block * 1e3, 3)
        if best is None or block < best[0]:
            best = (block, setting)
    assert best is not None
    return best[1], tried


def compare(ours: Side, theirs: Side, net: Net, pairs: int) -> dict[str, Any]:
    """Paired blocks of both sides; ratios are theirs over ours."""
    times = [(ours.seconds(net.block), theirs.seconds(net.block)) for _ in range(pairs)]
    ratios = sorted(theirs / mine for mine, theirs in times)
    return {
        "peer": theirs.name,
        "setting": theirs.words,
        "peer_ms": statistics.median(b for _, b in times) / net.block * 1e3,
        "ours_ms": statistics.median(a for a, _ in times) / net.block * 1e3,
        "ratio": statistics.median(ratios),
        "ratio_quartiles": [ratios[len(ratios) // 4], ratios[3 * len(ratios) // 4]],
        "pairs": pairs,
        "steps_each": net.block,
    }


def measure(net: Net, peers: Sequence[str], threads: int, pairs: int) -> dict[str, Any]:
    """One net against every peer, beside the floor that the machine sets."""
    setting, tried = fastest("modiste", net, threads)
    row: dict[str, Any] = {
        "net": net.name,
        "batch_size": net.batch_size,
        "threads": threads,
        "settings_ms": {"modiste": tried},
        "peers": [],
    }
    with ExitStack() as stack:
        ours = stack.enter_context(Side("modiste", net, setting))
        row["ours"] = ours.words
        for name in peers:
            best, tried = fastest(name, net, threads)
            row["settings_ms"][name] = tried
            with Side(name, net, best) as theirs:
                found = compare(ours, theirs, net, pairs)
            row["peers"].append(found)
            low, high = found["ratio_quartiles"]
            print(
                f"{net.name:18} batch {net.batch_size}: modiste ({ours.words}) "
                f"{found['ours_ms']:8.2f} ms, {name} ({found['setting']}) {found['peer_ms']:8.2f} "
                f"ms, ratio {found['ratio']:.2f} [{low:.2f}, {high:.2f}], n = {pairs}",
                flush=True,
            )
        rates = machine_rates(threads)
        mine = statistics.median(ours.seconds(net.block) for _ in range(5)) / net.block
    row["floor"] = floor_of(net, mine, rates)
    row["measured"] = {
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
        "command": f"python -m benchmarks.contest {' '.join(sys.argv[1:])}",
        "environment": environment(),
        "versions": versions(PACKAGES),
    }
    floor = row["floor"]
    print(
        f"{net.name:18} GEMM rate {rates.gemm / 1e9:.0f} GFLOP/s, memory {rates.memory / 1e9:.0f} "
        f"GB/s: floor {floor['floor_ms']:.2f} ms, {floor['share_of_gemm']:.0%} of the GEMM rate",
        flush=True,
    )
    return row


def keep(file: Path, row: Mapping[str, Any]) -> None:
    """Put what was measured of a net in the place of what was known of it."""
    rows = json.loads(file.read_text("utf-8"))["rows"] if file.exists() else []
    by_name = {known["net"]: known for known in rows} | {row["net"]: row}
    ordered = [by_name[net.name] for net in NETS if net.name in by_name]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"schema": 2, "rows": ordered}, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Measure every net against every peer, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--nets", default="", help="only those whose name holds this")
    parser.add_argument("--peers", default=",".join(name for name in NAMES if name != "modiste"))
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    peers = [name for name in options.peers.split(",") if is_here(name, peer(name).NEEDS, "peers")]
    nets = [net for net in NETS if options.nets in net.name]
    for net in nets:
        row = measure(net, peers, options.threads, options.pairs)
        if options.json:
            keep(options.json, row)


if __name__ == "__main__":
    main()
