"""How much of a training step goes to nothing but itself: outside forward, backward and update.

Cutting batches, augmenting, counting, the loop: the loop is timed as it is, and forward with the
loss, backward with gathering gradients, and the optimizer's update are timed inside it.

    python -m benchmarks.outside [--nets "MLP 768"] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.nets import NETS, Net
from benchmarks.peers import peer
from modiste.cores import num_cores
from modiste.models.build import Network
from modiste.optim.rules.adam import Adam
from modiste.runs.environment import environment
from modiste.train import loop

BLOCKS = 9


class Clock:
    """Seconds spent in whatever it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same, timed."""

        def timed(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*args, **more)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def outside(net: Net, threads: int) -> dict[str, Any]:
    """The share of a net's step outside the three; the median over blocks of steps."""
    chosen = peer("modiste").settings(net, threads)[-1]
    clock = Clock()
    inside = [
        (Network, "__call__"),
        (Network, "gradients"),
        (loop, "cross_entropy"),
        (Adam, "update"),
    ]
    shares = []
    with torch.random.fork_rng():
        run = peer("modiste").build(net, chosen)
        run(net.block)
        patches = [
            mock.patch.object(place, name, clock.around(getattr(place, name)))
            for place, name in inside
        ]
        for patch in patches:
            patch.start()
        for _ in range(BLOCKS):
            clock.seconds = 0.0
            began = time.perf_counter()
            run(net.block)
            seconds = time.perf_counter() - began
            shares.append(1.0 - clock.seconds / seconds)
        for patch in patches:
            patch.stop()
    shares.sort()
    return {
        "net": net.name,
        "threads": threads,
        "kernels": chosen["kernels"],
        "outside": statistics.median(shares),
        "least": shares[0],
        "most": shares[-1],
        "blocks": BLOCKS,
    }


def main() -> None:
    """Measure every net, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--nets", default="", help="only those whose name holds this")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for net in NETS:
        if options.nets in net.name:
            rows.append(outside(net, options.threads))
            row = rows[-1]
            print(
                f"{row['net']:20} {row['outside']:.1%} of a step is outside forward, backward and "
                f"update ({row['least']:.1%} to {row['most']:.1%}, {row['blocks']} blocks)",
                flush=True,
            )
    if options.json:
        value = {"schema": 1, "environment": environment(), "rows": rows}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
