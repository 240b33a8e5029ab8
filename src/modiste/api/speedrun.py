"""Speedruns: how accurate a frozen recipe is, and how long it takes."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy.stats import t as student

from modiste.api.data import open_data
from modiste.api.study import look_at_runs
from modiste.atomic import write_whole
from modiste.errors import SealError, SpecError
from modiste.final.look import Candidate, stored
from modiste.recipes.files import RecipeFile, open_recipe
from modiste.recipes.keras_epoch import keras_epoch_seconds
from modiste.recipes.laps import Lap, run_laps
from modiste.runs.environment import environment
from modiste.runs.run import Run, write_run
from modiste.search.stopwatch import seconds_for_one
from modiste.train.machine import put_back

NUM_SPLITS = 3
LEVEL = 0.95
LOOK_COLUMNS = (
    "opened_at",
    "recipe",
    "sha256",
    "runs",
    "num_train",
    "accuracy",
    "standard_deviation",
    "low",
    "high",
    "goal",
    "reached",
    "seconds",
    "looks",
    "commit",
    "processor",
    "reason",
)
Tell = Callable[[int, int, str], object]


def speedrun(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    name: str = "cnn",
    *,
    runs: int = 5,
    final: bool = False,
    reason: str = "",
    out: str | Path | None = None,
    log: str | Path | None = None,
    with_keras: bool = True,
    data_folder: str | Path | None = None,
    tell: Tell = lambda lap, laps, what: None,
) -> dict[str, Any]:
    """Train a recipe several times, and say how accurate it is and how long it took.

    Without `final` every figure is of validation images: run i has seed i, and the divisions of
    three split seeds take turns. With it the seeds follow from the recipe's file, nearly all
    images are trained on, and the test set is opened once for all runs together; a recipe that
    was looked at is not looked at again.

    Args:
        name: Of a recipe that comes with modiste, or the path of one.
        runs: How many trainings.
        final: Open the test set, once and counted.
        reason: What that look is for.
        out: Where the runs of a look and the look itself go; ``runs/speedruns/NAME-SHA`` if not
            given.
        log: A CSV file that gets one line for the look, whatever came out.
        with_keras: Measure Keras's epoch of the reference CNN too, before and after.
        data_folder: Where Fashion-MNIST lies; looked for if not given.
        tell: Told of each run, of how many, and how it stands.

    Returns:
        ``parameters``, ``flops`` (forward, of one image), ``latency`` (seconds for one image on one
        thread), ``part``, ``accuracy`` (mean over the runs, standard deviation, 95 % interval),
        ``seconds`` (median, least, most), ``runs``, ``goal`` and whether it was ``reached``, and
        ``keras_epoch_seconds`` (none without Keras) with ``keras_epochs``, the median as a multiple
        of it.

    Raises:
        SpecError: If there is no such recipe, or something in it makes no sense.
        SealError: For the test set without a reason.
        DataError: If a run diverges, or the images cannot be had.
    """
    if reason and not final:
        raise SealError("--reason belongs to --final: without it the test set stays closed.")
    if final and not reason.strip():
        raise SealError("--final opens the test set, and needs a --reason for it.")
    if runs < 1:
        raise SpecError(f"--runs {runs}: expected at least one.")
    recipe = open_recipe(name)
    opened = open_data(recipe.recipe.run.data.name, data_folder)
    seeds = recipe.seeds(runs) if final else list(range(runs))
    specs = [
        recipe.recipe.lap(seed, 0 if final else index % NUM_SPLITS, is_final=final)
        for index, seed in enumerate(seeds)
    ]
    threads = recipe.recipe.run.threads
    epochs = [_keras(threads, tell, runs)] if with_keras else []
    with put_back():
        laps = list(
            run_laps(
                specs,
                opened.images,
                lambda lap, tick: tell(lap, runs, f"{tick.phase} {tick.done} of {tick.total}"),
            )
        )
        if with_keras and epochs[0] is not None:
            epochs.append(_keras(threads, tell, runs))
        found = _summary(recipe, laps, [epoch for epoch in epochs if epoch is not None])
    if final:
        folder = (
            Path(out) if out else Path("runs/speedruns") / f"{recipe.name}-{recipe.sha256[:12]}"
        )
        found |= _look(recipe, laps, reason, folder, data_folder)
        if log is not None:
            _write_line(Path(log), recipe, found, reason)
    return found


def _keras(threads: int, tell: Tell, runs: int) -> float | None:
    tell(0, runs, "measuring a part of Keras's epoch")
    return keras_epoch_seconds(threads)


def _summary(recipe: RecipeFile, laps: Sequence[Lap], epochs: Sequence[float]) -> dict[str, Any]:
    first = laps[0].record
    seconds = [lap.seconds for lap in laps]
    keras = statistics.fmean(epochs) if epochs else None
    median = statistics.median(seconds)
    return {
        "schema": 1,
        "recipe": recipe.name,
        "title": recipe.recipe.title,
        "sha256": recipe.sha256,
        "goal": recipe.recipe.goal,
        "part": "validation",
        "num_train": first.metrics["num_train"],
        "parameters": first.layers["parameters"]["total"],
        "flops": first.layers["flops_forward"],
        "latency": seconds_for_one(laps[0].spec, first.layers),
        "epochs": laps[0].spec.train.epochs,
        **_accuracy([lap.accuracy for lap in laps], recipe.recipe.goal),
        "seconds": {"median": median, "least": min(seconds), "most": max(seconds)},
        "keras_epoch_seconds": keras,
        "keras_epochs": None if keras is None else median / keras,
        "runs": [
            {
                "seed": lap.spec.seed,
                "split_seed": lap.spec.data.split_seed,
                "accuracy": lap.accuracy,
                "correct": lap.num_right,
                "total": lap.num_val,
                "seconds": lap.seconds,
            }
            for lap in laps
        ],
        "threads": recipe.recipe.run.threads,
        "environment": environment(),
    }


def _accuracy(figures: Sequence[float], goal: float) -> dict[str, Any]:
    """Mean over the runs, with Student's interval for it; one run alone has none."""
    mean = statistics.fmean(figures)
    deviation = low = high = None
    if len(figures) > 1:
        deviation = statistics.stdev(figures)
        half = float(student.ppf((1 + LEVEL) / 2, len(figures) - 1)) * deviation
        half /= math.sqrt(len(figures))
        low, high = mean - half, mean + half
    return {
        "accuracy": {"mean": mean, "standard_deviation": deviation, "low": low, "high": high},
        "reached": mean >= goal,
    }


def _look(
    recipe: RecipeFile,
    laps: Sequence[Lap],
    reason: str,
    folder: Path,
    data_folder: str | Path | None,
) -> dict[str, Any]:
    """Open the test set once for all laps; what it said replaces what validation images did."""
    candidates = []
    for lap in laps:
        place = folder / "runs" / lap.record.fingerprint[:16]
        if not (place / "manifest.json").is_file():
            write_run(lap.record, place)
        candidates.append(Candidate(recipe.name, f"seed {lap.spec.seed}", Run(place)))
    found = look_at_runs(candidates, reason, folder / "final", data_folder)
    look = stored(found.parent)[found]
    said = {row["fingerprint"]: row["last"] for row in look["runs"]}
    rows = [said[lap.record.fingerprint] for lap in laps]
    return {
        "part": "test",
        "looks": look["looks"],
        "opened_at": look["opened_at"],
        **_accuracy([row["accuracy"] for row in rows], recipe.recipe.goal),
        "runs": [
            {
                "seed": lap.spec.seed,
                **{key: row[key] for key in ("accuracy", "correct", "total")},
                "seconds": lap.seconds,
            }
            for lap, row in zip(laps, rows, strict=True)
        ],
    }


def _write_line(path: Path, recipe: RecipeFile, found: Mapping[str, Any], reason: str) -> None:
    """Add a look to the list of all looks; it stands there for good."""
    here = found["environment"]
    values = {
        "opened_at": found["opened_at"],
        "recipe": recipe.name,
        "sha256": recipe.sha256,
        "runs": len(found["runs"]),
        "num_train": found["num_train"],
        "accuracy": f"{found['accuracy']['mean']:.5f}",
        **{
            key: "" if found["accuracy"][key] is None else f"{found['accuracy'][key]:.5f}"
            for key in ("standard_deviation", "low", "high")
        },
        "goal": recipe.recipe.goal,
        "reached": "yes" if found["reached"] else "no",
        "seconds": f"{found['seconds']['median']:.1f}",
        "looks": found["looks"],
        "commit": here.get("git_commit") or "",
        "processor": here["cpu"],
        "reason": " ".join(reason.split()),
    }
    text = path.read_text("utf-8") if path.is_file() else ""
    known = csv.DictReader(io.StringIO(text))
    if any(
        (row["sha256"], row["opened_at"]) == (recipe.sha256, found["opened_at"]) for row in known
    ):
        return  # the look was stored before, and nothing was opened
    lines = io.StringIO()
    writer = csv.DictWriter(lines, LOOK_COLUMNS, lineterminator="\n")
    if not text:
        writer.writeheader()
    writer.writerow(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (text + lines.getvalue()).encode())
