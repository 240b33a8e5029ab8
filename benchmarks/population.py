"""How long many models trained as one take, beside the same models one after another.

    python -m benchmarks.population [--members 16] [--device cuda] [--epochs 1] [--no-alone]
                                    [--json FILE]

What is trained is the study's final MLP on Fashion-MNIST, on as many seeds as there are members.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from modiste.api.fitting import load
from modiste.cores import num_cores
from modiste.data.load import TrainingData
from modiste.runs.environment import environment
from modiste.spec.run import RunSpec
from modiste.train.loop import to_end
from modiste.train.population import run_population
from modiste.train.session import Session

PAIRS = 3


def specs(
    data: TrainingData, members: int, epochs: int, device: str, threads: int
) -> list[RunSpec]:
    """The study's final MLP on so many seeds."""
    return [
        RunSpec.parse(
            {
                "data": data.spec,
                "model": {"family": "mlp", "params": {"hidden": [768], "dropout": 0.3}},
                "train": {"epochs": epochs, "batch_size": 256},
                "seed": seed,
                "device": device,
                "threads": threads,
            }
        )
        for seed in range(members)
    ]


def seconds_as_one(runs: list[RunSpec], data: TrainingData) -> tuple[float, float]:
    """All of them as one: from nets to records, and of that until the last is trained."""
    began = time.perf_counter()
    trained = 0.0
    num_left = runs[0].train.epochs
    for tick in run_population(runs, data):
        if num_left and tick.phase == "infer" and tick.done == tick.total:
            num_left -= 1
            trained = time.perf_counter() - began
    return time.perf_counter() - began, trained


def seconds_alone(runs: list[RunSpec], data: TrainingData) -> float:
    """Each by itself, one after another."""
    began = time.perf_counter()
    for spec in runs:
        session = Session(spec, data)
        for _ in session.advance():
            pass
        to_end(session.finish())
    return time.perf_counter() - began


def main() -> None:
    """Measure both in turns, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=num_cores())
    parser.add_argument("--no-alone", action="store_true", help="as one, once, and no more")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = load("fashion-mnist")
    runs = specs(data, options.members, options.epochs, options.device, options.threads)
    if options.no_alone:
        whole, trained = seconds_as_one(runs, data)
        print(
            f"{options.members} members, {options.epochs} epoch(s), {options.device}: trained in "
            f"{trained:.1f} s, their records in {whole:.1f} s, n = 1"
        )
        return
    pairs = [(seconds_as_one(runs, data)[0], seconds_alone(runs, data)) for _ in range(PAIRS)]
    found: dict[str, Any] = {
        "schema": 1,
        "members": options.members,
        "epochs": options.epochs,
        "device": options.device,
        "as_one_seconds": statistics.median(one for one, _ in pairs),
        "alone_seconds": statistics.median(alone for _, alone in pairs),
        "ratio": statistics.median(alone / one for one, alone in pairs),
        "pairs": PAIRS,
        "environment": environment(),
    }
    print(
        f"{options.members} members, {options.epochs} epoch(s), {options.device}: as one "
        f"{found['as_one_seconds']:.1f} s, alone {found['alone_seconds']:.1f} s, ratio "
        f"{found['ratio']:.2f}, n = {PAIRS}"
    )
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
