"""How long a step takes on a GPU: recorded and one by one, in float32 and bfloat16, fused or not.

    python -m benchmarks.gpu [--json FILE] [--seconds 1]

The nets are those of the reference study, on Fashion-MNIST; a step is a batch that is cut, scaled,
sent forward and back, and an update.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.nets import NETS, Net
from modiste.api.fitting import load
from modiste.data.load import TrainingData
from modiste.runs.environment import environment
from modiste.spec.run import RunSpec
from modiste.train import step
from modiste.train.loop import Tick
from modiste.train.machine import prepare
from modiste.train.session import Session

TURNS = 3
FIRST_STEPS = 20  # the recording, and what libraries load
STEPS_AT_ONCE = 20


class _OneByOne:
    """In place of `modiste.train.step.Recorded`: nothing is recorded."""

    def __init__(self, pass_through: step.Step, *_: object) -> None:
        self._pass = pass_through

    def __call__(self, *batch: Any) -> step.Passed:
        return self._pass(*batch)


def spec_of(net: Net, data: TrainingData, precision: str, kernels: str) -> RunSpec:
    """A run of it as the study trains it."""
    return RunSpec.parse(
        {
            "data": data.spec,
            "model": {"family": net.family, "params": dict(net.params)},
            "train": {"epochs": 10_000, "batch_size": net.batch_size, "precision": precision},
            "device": "cuda",
            "kernels": kernels,
        }
    )


def steps_of(spec: RunSpec, data: TrainingData, *, is_recorded: bool) -> Iterator[Tick]:
    """The updates of a run, its first ones taken."""
    session = Session(spec, data)
    with mock.patch.object(step, "Recorded", step.Recorded if is_recorded else _OneByOne):
        ticks = (tick for tick in session.advance() if tick.phase == "train")
        next(ticks)
    for _ in islice(ticks, FIRST_STEPS):
        pass
    return ticks


def seconds_for_one(ticks: Iterator[Tick], seconds: float) -> float:
    """Of a step, with what an epoch's end takes shared out; for about so long."""
    torch.cuda.synchronize()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        count += sum(1 for _ in islice(ticks, STEPS_AT_ONCE))
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / count


def gemm_rate(dtype: torch.dtype) -> float:
    """FLOP a second of the product behind the reference CNN's widest convolution."""
    rows, inner, columns = 256 * 49, 9 * 256, 512
    one = torch.randn(rows, inner, device="cuda", dtype=dtype)
    two = torch.randn(inner, columns, device="cuda", dtype=dtype)
    times = []
    for _ in range(30):
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        one @ two
        ended.record()
        torch.cuda.synchronize()
        times.append(begun.elapsed_time(ended) / 1e3)
    return 2 * rows * inner * columns / statistics.median(times[10:])


def measured(
    net: Net, data: TrainingData, precision: str, kernels: str, seconds: float
) -> dict[str, Any]:
    """Recorded and one by one, in turns."""
    spec = spec_of(net, data, precision, kernels)
    recorded, plain = (steps_of(spec, data, is_recorded=how) for how in (True, False))
    turns = [
        (seconds_for_one(recorded, seconds / TURNS), seconds_for_one(plain, seconds / TURNS))
        for _ in range(TURNS)
    ]
    one_step = statistics.median(one for one, _ in turns)
    flops = 3 * 2 * net.multiply_adds * 1e6 * net.batch_size
    return {
        "net": net.name,
        "precision": precision,
        "kernels": kernels,
        "batch_size": net.batch_size,
        "recorded_ms": one_step * 1e3,
        "one_by_one_ms": statistics.median(two for _, two in turns) * 1e3,
        "ratio": statistics.median(two / one for one, two in turns),
        "tflops": flops / one_step / 1e12,
    }


def main() -> None:
    """Measure all of them, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each net and way")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = load("fashion-mnist")
    prepare(threads=1, device="cuda")
    rates = {str(dtype): gemm_rate(dtype) for dtype in (torch.float32, torch.bfloat16)}
    print("GEMM, TFLOP/s:", {name: round(rate / 1e12, 1) for name, rate in rates.items()})
    rows = []
    for net in NETS:
        ways = [("float32", "torch"), ("bfloat16", "torch"), ("bfloat16", "fused")]
        for precision, kernels in ways[: 3 if net.family == "cnn" else 2]:
            row = measured(net, data, precision, kernels, options.seconds)
            rows.append(row)
            print(
                f"{row['net']}, {precision}, {kernels}: {row['recorded_ms']:.3f} ms recorded, "
                f"{row['one_by_one_ms']:.3f} ms one by one, ratio {row['ratio']:.2f}, "
                f"{row['tflops']:.1f} TFLOP/s",
                flush=True,
            )
    if options.json:
        found = {
            "schema": 1,
            "gpu": torch.cuda.get_device_name(),
            "gemm_flops": rates,
            "rows": rows,
            "turns": TURNS,
            "environment": environment(),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
