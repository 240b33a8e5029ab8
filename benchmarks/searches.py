"""The same slice of the MLP grid through modiste and its peers: how long until it is ranked.

    python -m benchmarks.searches [--peers talos,keras_tuner] [--epochs 3] [--threads 2]
                                  [--hidden 256,512,256-128,512-256] [--dropout 0.2,0.3]
                                  [--repeats 1] [--data DIR] [--json FILE]

Fashion-MNIST, 48,000 images to train on and 12,000 to validate on, the same for all; batches of
128, Adam at 0.001, the same number of epochs, no early stopping; validation accuracy ranks. Each
engine is a process of its own on the same cores, used as its documentation says:

    modiste              a study, one thread to a training, as many trainings at once as cores
    talos                Talos 2, `Scan`: one training at a time on all cores
    keras_tuner          `GridSearch`: one training at a time on all cores
    keras_tuner_workers  the same by its guide to distributed tuning: a chief, a worker for a core

They take turns if it is repeated, and medians are told at the end. Of each:

    to the ranking  seconds from the command until the engine knows its ranking: imports, images
                    and all. modiste goes on to write its report; `with all` is when the command
                    has ended.
    start-up        the part of it before the first training began
    in training     the sum over all trainings: around `model.fit`, or what our runs say. Both
                    validate after each epoch; compiling the graph in `fit`, and KerasTuner's
                    weights of the best epoch, are part of it.
    engine          what each trial costs beside its training, in seconds of every core used:
                    (to the ranking - in training / trainings at once) / trials; then the same
                    without start-up. A core that idles while the last training ends is part of it.

Talos and modiste rank by the last epoch, KerasTuner by the best. The peers come with the extra
'searches' (pip install '.[searches]'); one whose library is missing is left out by name.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.engines import NAMES, Job, Report, Slice, engine
from benchmarks.installed import is_here, versions
from modiste.cores import num_cores
from modiste.data.load import divide
from modiste.data.source import open_source
from modiste.runs.environment import environment
from modiste.spec.run import DataSpec

PACKAGES = ("torch", "talos", "keras-tuner", "keras", "tensorflow-cpu", "tensorflow", "numpy")


@dataclass(frozen=True)
class Cost:
    """What a search took; the words of the module say what each is.

    Attributes:
        seconds: To the ranking.
        all_seconds: Until the command had ended.
        training_seconds: Of all trainings together.
        lanes: Trainings side by side.
        first: The point that was ranked first.
        val_accuracy: Of it.
    """

    engine: str
    trials: int
    seconds: float
    all_seconds: float
    startup_seconds: float
    training_seconds: float
    lanes: int
    first: str
    val_accuracy: float

    @property
    def engine_seconds(self) -> float:
        """Of a trial, in seconds of every core used."""
        return (self.seconds - self.training_seconds / self.lanes) / self.trials

    @property
    def running_seconds(self) -> float:
        """The same without start-up."""
        return self.engine_seconds - self.startup_seconds / self.trials

    @property
    def words(self) -> str:
        """For people."""
        return (
            f"{self.engine}: {self.seconds:.1f} s to the ranking of {self.trials} trials "
            f"({self.all_seconds:.1f} s with all), start-up {self.startup_seconds:.1f} s, in "
            f"training {self.training_seconds:.1f} s, {self.lanes} at once; engine "
            f"{self.engine_seconds:.2f} s a trial, {self.running_seconds:.2f} s without start-up; "
            f"first: {self.first} ({self.val_accuracy:.4f})"
        )


def cost_of(
    name: str, line: str, num_trials: int, *, began: float, seconds: float, all_seconds: float
) -> Cost:
    """What an engine's answer comes to.

    Args:
        name: Of the engine.
        line: What it said, JSON.
        num_trials: That were asked for.
        began: When its command was given, in seconds since 1970.
        seconds: From then until it answered.
        all_seconds: From then until it ended.

    Raises:
        RuntimeError: If it ranked more or fewer trials, or does not know how long one trained.
    """
    report = Report.parse(json.loads(line))
    if len(report.trials) != num_trials:
        raise RuntimeError(f"{name}: {len(report.trials)} trials ranked, {num_trials} asked for")
    times = [trial.seconds for trial in report.trials if trial.seconds is not None]
    if len(times) != num_trials:
        raise RuntimeError(f"{name}: knows how long {len(times)} of {num_trials} trials trained")
    return Cost(
        engine=name,
        trials=num_trials,
        seconds=seconds,
        all_seconds=all_seconds,
        startup_seconds=report.began - began,
        training_seconds=sum(times),
        lanes=report.lanes,
        first=report.trials[0].words,
        val_accuracy=report.trials[0].val_accuracy,
    )


def measure(name: str, job: Job) -> Cost:
    """Run one engine in a process of its own."""
    given = {**os.environ, **engine(name).ENVIRONMENT}
    command = [sys.executable, "-m", "benchmarks.engines", name, json.dumps(job.to_dict())]
    with tempfile.TemporaryFile("w+") as errors:
        since_1970, began = time.time(), time.perf_counter()
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=given
        )
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            seconds = time.perf_counter() - began
            child.communicate()
        finally:
            child.kill()
        all_seconds = time.perf_counter() - began
        if child.returncode or not line:
            errors.seek(0)
            raise RuntimeError(f"{name}: status {child.returncode}: {errors.read()[-3000:]}")
    return cost_of(
        name,
        line,
        job.slice.num_trials,
        began=since_1970,
        seconds=seconds,
        all_seconds=all_seconds,
    )


def save_images(folder: Path, data: Path | None) -> None:
    """The images that modiste trains and validates on by its own reading, as arrays."""
    spec = DataSpec(name="fashion-mnist", num_val=12_000)
    images = divide(open_source(spec, data).load_train(), spec)
    for part, chosen in (("train", images.train), ("val", images.val)):
        np.save(folder / f"x_{part}.npy", chosen.images_NCHW[:, 0])
        np.save(folder / f"y_{part}.npy", chosen.labels_N.astype(np.int32))


def medians(costs: Sequence[Cost]) -> Mapping[str, float]:
    """Of one engine's turns."""
    names = ("seconds", "all_seconds", "startup_seconds", "training_seconds")
    computed = ("engine_seconds", "running_seconds")
    return {
        name: statistics.median(getattr(cost, name) for cost in costs)
        for name in (*names, *computed)
    }


def table(found: Mapping[str, Sequence[Cost]]) -> str:
    """A line for each engine, medians over its turns; Markdown."""
    head = (
        "engine", "trials", "to the ranking", "with all", "start-up", "in training", "at once",
        "engine, a trial", "without start-up", "first",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 2) + "|---|"]
    for name, costs in found.items():
        of = medians(costs)
        cells = [
            name,
            str(costs[0].trials),
            *(f"{of[key]:.1f} s" for key in list(of)[:4]),
            str(costs[0].lanes),
            f"{of['engine_seconds']:.2f} s",
            f"{of['running_seconds']:.2f} s",
            "; ".join(dict.fromkeys(cost.first for cost in costs)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def available(names: Sequence[str]) -> list[str]:
    """Those engines whose libraries are here; the others are named."""
    for name in names:
        if name not in NAMES:
            raise SystemExit(f"--peers: {name} is none of {', '.join(NAMES[1:])}")
    return [name for name in names if is_here(name, engine(name).NEEDS, "searches")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default=",".join(NAMES[1:]), help=f"of: {', '.join(NAMES[1:])}")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=num_cores(), help="cores for each engine")
    parser.add_argument("--hidden", default="256,512,256-128,512-256", help="shapes")
    parser.add_argument("--dropout", default="0.2,0.3", help="rates")
    parser.add_argument("--repeats", type=int, default=1, help="turns of each engine")
    parser.add_argument("--data", type=Path, help="where Fashion-MNIST lies; looked for if not")
    parser.add_argument("--json", type=Path)
    return parser


def slice_of(hidden: str, dropout: str, epochs: int) -> Slice:
    """The part of the grid that the options speak of.

    Example:
        >>> slice_of("256,512-256", "0.2", 3).hidden
        ((256,), (512, 256))
    """
    shapes = tuple(tuple(map(int, shape.split("-"))) for shape in hidden.split(","))
    return Slice(shapes, tuple(map(float, dropout.split(","))), epochs)


def main() -> None:
    """Measure all engines in turn; a line for each turn, and a table."""
    given = _parser().parse_args()
    part = slice_of(given.hidden, given.dropout, given.epochs)
    names = available(["modiste", *filter(None, given.peers.split(","))])
    found: dict[str, list[Cost]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="modiste-searches-") as images:
        save_images(Path(images), given.data)
        for _ in range(given.repeats):
            for name in names:
                with tempfile.TemporaryDirectory(prefix="modiste-searches-") as folder:
                    data = str(given.data) if given.data else None
                    cost = measure(name, Job(part, images, folder, given.threads, data))
                found[name].append(cost)
                print(cost.words, flush=True)
    print(f"\n{table(found)}")
    if given.json is not None:
        value = {
            "schema": 1,
            "command": f"python -m benchmarks.searches {' '.join(sys.argv[1:])}",
            "environment": environment(),
            "versions": versions(PACKAGES),
            "load": os.getloadavg()[0],
            "slice": asdict(part),
            "medians": {name: medians(costs) for name, costs in found.items()},
            "turns": {name: [asdict(cost) for cost in costs] for name, costs in found.items()},
        }
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
