"""Speedruns: how accurate a frozen recipe is, and how long it takes."""

from __future__ import annotations

import csv
import io
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modiste.api.devices import need_devices
from modiste.api.study import look_at_runs
from modiste.atomic import write_whole
from modiste.counts import UNKNOWN
from modiste.data.source import open_source
from modiste.data.types import ImageSet
from modiste.errors import SealError, SpecError
from modiste.evaluate.intervals import mean_interval, seed_spread
from modiste.final.stored import Candidate, stored
from modiste.models.layers import describe
from modiste.recipes.files import RecipeFile, open_recipe
from modiste.recipes.kept import KeptLaps
from modiste.recipes.keras_epoch import keras_epoch_seconds
from modiste.recipes.laps import Lap, run_laps
from modiste.report.numbers import plural
from modiste.runs import files
from modiste.runs.environment import environment
from modiste.runs.ledger import Ledger
from modiste.search.stopwatch import seconds_for_one
from modiste.spec.run import RunSpec
from modiste.train.loop import Tick
from modiste.train.machine import put_back

NUM_SPLITS = 3
# What a look found, in its folder.
KEPT = "speedrun.json"
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
    out: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
    with_keras: bool = True,
    data_folder: str | os.PathLike[str] | None = None,
    tell: Tell = lambda lap, laps, what: None,
) -> dict[str, Any]:
    """Train a recipe several times, and say how accurate it is and how long it took.

    Without `final` every figure is of validation images: run i has seed i, and the divisions of
    three split seeds take turns. With it the seeds follow from the recipe's file, nearly all
    images are trained on, and the test set is opened once for all runs together. Each of its runs
    is kept as it finishes: interrupted, the same words go on with the next. A recipe that was
    looked at is neither looked at nor timed again: what was found is the answer.

    Args:
        name: Of a recipe that comes with modiste, or the path of one.
        runs: How many trainings.
        final: Open the test set, once and counted.
        reason: What that look is for.
        out: Where the runs of a look and the look itself go; ``runs/speedruns/NAME-SHA`` if not
            given.
        log: A CSV file that gets one line for the look, whatever came out.
        with_keras: Measure Keras's epoch of the reference CNN too, before and after.
        data_folder: Where the recipe's data lie; looked for if not given.
        tell: Told of each run, of how many, and how it stands.

    Returns:
        ``data``, ``parameters``, ``flops`` (forward, of one image), ``latency`` (seconds for one
        image on one thread), ``part``, ``accuracy`` (mean over the runs, standard deviation, 95 %
        interval), ``seconds`` (median, least, most), ``runs``, ``goal``, ``max_parameters``, and
        whether the goal was ``reached``; ``keras_epoch_seconds`` (each measurement; empty without
        Keras) and ``keras_epochs``, the median of the seconds as a multiple of their mean.

    Raises:
        SpecError: If there is no such recipe, something in it makes no sense, or its net is larger
            than it promises.
        SealError: For the test set without a reason, or if the recipe was looked at with other
            runs.
        DataError: If a run diverges, or the images cannot be had.
    """
    _check_words(final=final, reason=reason, runs=runs, out=out, log=log)
    recipe = open_recipe(name)
    need_devices([recipe.recipe.run.device])
    place = Path(data_folder) if data_folder is not None else None
    images = open_source(recipe.recipe.run.data, place).load_train()
    _check_size(recipe, images)
    seeds = recipe.seeds(runs) if final else list(range(runs))
    specs = [
        recipe.recipe.lap(seed, 0 if final else index % NUM_SPLITS, is_final=final)
        for index, seed in enumerate(seeds)
    ]
    if not final:
        return _race(recipe, specs, images, tell, None, with_keras=with_keras)[0]
    folder = Path(out) if out else Path("runs/speedruns") / f"{recipe.name}-{recipe.sha256[:12]}"
    kept = folder / KEPT
    if kept.is_file():
        found = files.read_json(kept)
        _need_same(found, recipe, seeds, folder)
    else:
        names = {spec.fingerprint(images.digest) for spec in specs}
        _need_first(recipe, names, folder, log, Ledger(images.digest))
        keep = KeptLaps(folder)
        found, laps = _race(recipe, specs, images, tell, keep, with_keras=with_keras)
        found |= _look(recipe, laps, keep, reason, folder, place)
        files.write_json(kept, found)
    if log is not None:
        _write_line(Path(log), found)
    return found


def _check_words(
    *,
    final: bool,
    reason: str,
    runs: int,
    out: str | os.PathLike[str] | None,
    log: str | os.PathLike[str] | None,
) -> None:
    if reason and not final:
        raise SealError(
            "--reason belongs to --final (`final=True` in Python): without it the test set stays "
            "closed."
        )
    if final and not reason.strip():
        raise SealError(
            "--final opens the test set, and needs a --reason for it (`reason=` in Python)."
        )
    for option, value in (("--out", out), ("--log", log)):
        if value is not None and not final:
            raise SpecError(
                f"{option} belongs to --final (`final=True` in Python): without it nothing is kept."
            )
    if runs < 1:
        raise SpecError(f"--runs {runs}: expected at least one.")


def _check_size(recipe: RecipeFile, images: ImageSet) -> None:
    most, net = recipe.recipe.max_parameters, recipe.recipe.run.model.net
    found = describe(net, images.shape_CHW, images.num_classes)["parameters"]["total"]
    if most is not None and found > most:
        raise SpecError(
            f"{recipe.path}: max_parameters: its net has {found:,} parameters, batch norm's moving "
            f"statistics counted, and at most {most:,} were promised: a narrower net, or another "
            "promise."
        )


def _need_same(
    found: Mapping[str, Any], recipe: RecipeFile, seeds: Sequence[int], folder: Path
) -> None:
    """That what is kept is the look at these very runs."""
    if found["sha256"] != recipe.sha256:
        raise SealError(
            f"{folder}: holds the look at another recipe, {found['recipe']}, or at this one before "
            "it was changed. Name another folder with --out."
        )
    if [run["seed"] for run in found["runs"]] != list(seeds):
        raise _was_looked_at(folder, found)


def _was_looked_at(folder: Path, look: Mapping[str, Any]) -> SealError:
    return SealError(
        f"{folder}: this recipe was looked at on {look['opened_at']}, with "
        f"{plural(len(look['runs']), 'run')}. One look for each recipe: change it for another."
    )


def _need_first(
    recipe: RecipeFile,
    fingerprints: set[str],
    folder: Path,
    log: str | os.PathLike[str] | None,
    ledger: Ledger,
) -> None:
    """That no other runs of this very recipe were looked at, as folder, list and ledger tell."""
    for look in stored(folder / "final").values():
        if {row["fingerprint"] for row in look["runs"]} != fingerprints:
            raise _was_looked_at(folder, look)
    known = [(log, row["opened_at"]) for row in _lines_of(log) if row["sha256"] == recipe.sha256]
    if not folder.exists():  # else it is the folder of a look that was interrupted
        entries = ledger.entries()
        known += [
            (ledger.path, entry["at"])
            for entry in (() if entries == UNKNOWN else entries)
            if fingerprints.intersection(entry.get("runs", ()))
        ]
    for place, opened_at in known:
        raise SealError(
            f"{place}: this recipe was looked at on {opened_at}, and its folder is not "
            f"{folder}. One look for each recipe: name its folder with --out, or change the "
            "recipe for another."
        )


def _race(
    recipe: RecipeFile,
    specs: Sequence[RunSpec],
    images: ImageSet,
    tell: Tell,
    kept: KeptLaps | None,
    *,
    with_keras: bool,
) -> tuple[dict[str, Any], list[Lap]]:
    """All laps, with Keras before and after them."""
    threads, num = recipe.recipe.run.threads, len(specs)
    epochs = [_keras(threads, tell, num)] if with_keras else []
    with put_back():
        laps = _laps(specs, images, tell, kept)
        if with_keras and epochs[0] is not None:
            epochs.append(_keras(threads, tell, num))
        found = _summary(recipe, laps, [epoch for epoch in epochs if epoch is not None])
    return found, laps


def _laps(
    specs: Sequence[RunSpec], images: ImageSet, tell: Tell, kept: KeptLaps | None
) -> list[Lap]:
    """In the order of the specs; those that are kept already are not run."""
    done: dict[int, Lap] = {}
    if kept is not None:
        found = [kept.get(spec, spec.fingerprint(images.digest)) for spec in specs]
        done = {index: lap for index, lap in enumerate(found) if lap is not None}
    left = [index for index in range(len(specs)) if index not in done]

    def say(lap: int, tick: Tick) -> None:
        tell(left[lap], len(specs), f"{tick.phase} {tick.done} of {tick.total}")

    laps = run_laps([specs[index] for index in left], images, say)
    for index, lap in zip(left, laps, strict=True):
        done[index] = lap
        if kept is not None:
            kept.put(lap)
    return [done[index] for index in range(len(specs))]


def _keras(threads: int, tell: Tell, runs: int) -> float | None:
    tell(0, runs, "measuring a part of Keras's epoch")
    return keras_epoch_seconds(threads)


def _summary(recipe: RecipeFile, laps: Sequence[Lap], epochs: Sequence[float]) -> dict[str, Any]:
    first = laps[0].run
    seconds = [lap.seconds for lap in laps]
    median = statistics.median(seconds)
    return {
        "schema": 2,
        "recipe": recipe.name,
        "title": recipe.recipe.title,
        "sha256": recipe.sha256,
        "data": first.metrics["data_name"],
        "goal": recipe.recipe.goal,
        "max_parameters": recipe.recipe.max_parameters,
        "part": "validation",
        "num_train": first.metrics["num_train"],
        "parameters": first.layers["parameters"]["total"],
        "flops": first.layers["flops_forward"],
        "latency": seconds_for_one(laps[0].spec, first.layers),
        "epochs": laps[0].spec.train.epochs,
        **_accuracy([lap.accuracy for lap in laps], recipe.recipe.goal),
        "seconds": {"median": median, "least": min(seconds), "most": max(seconds)},
        "keras_epoch_seconds": list(epochs),
        "keras_epochs": median / statistics.fmean(epochs) if epochs else None,
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
        "gpu": first.environment.get("gpu"),
        "environment": environment(),
    }


def _accuracy(figures: Sequence[float], goal: float) -> dict[str, Any]:
    """Mean over the runs, with Student's interval for it; one run alone has none."""
    spread = seed_spread(figures)
    low, high = mean_interval(spread) or (None, None)
    return {
        "accuracy": {
            "mean": spread.mean,
            "standard_deviation": spread.standard_deviation,
            "low": low,
            "high": high,
        },
        "reached": spread.mean >= goal,
    }


def _look(
    recipe: RecipeFile,
    laps: Sequence[Lap],
    kept: KeptLaps,
    reason: str,
    folder: Path,
    place: Path | None,
) -> dict[str, Any]:
    """Open the test set once for all laps; what it said replaces what validation images did."""
    candidates = [Candidate(recipe.name, f"seed {lap.spec.seed}", kept.run(lap)) for lap in laps]
    found = look_at_runs(candidates, reason, folder / "final", place)
    look = stored(found.parent)[found]
    said = {row["fingerprint"]: row["last"] for row in look["runs"]}
    rows = [said[lap.run.fingerprint] for lap in laps]
    return {
        "part": "test",
        "looks": look["looks"],
        "opened_at": look["opened_at"],
        "reason": look["reason"],
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


def _lines_of(log: str | os.PathLike[str] | None) -> list[dict[str, str]]:
    """What stands in the list of looks; nothing where there is none yet."""
    if log is None or not Path(log).is_file():
        return []
    with Path(log).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _write_line(path: Path, found: Mapping[str, Any]) -> None:
    """Add a look to the list of all looks, unless it stands there; it stands there for good."""
    rows = _lines_of(path)
    key = found["sha256"], found["opened_at"]
    if any((row["sha256"], row["opened_at"]) == key for row in rows):
        return
    accuracy, here = found["accuracy"], found["environment"]
    values = {
        **{key: found[key] for key in ("opened_at", "recipe", "sha256", "num_train", "looks")},
        "runs": len(found["runs"]),
        "accuracy": f"{accuracy['mean']:.5f}",
        **{
            key: "" if accuracy[key] is None else f"{accuracy[key]:.5f}"
            for key in ("standard_deviation", "low", "high")
        },
        "goal": found["goal"],
        "reached": "yes" if found["reached"] else "no",
        "seconds": f"{found['seconds']['median']:.1f}",
        "commit": here.get("git_commit") or "",
        "processor": found.get("gpu") or here["cpu"],
        "reason": " ".join(found["reason"].split()),
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, LOOK_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows([*rows, values])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text.getvalue().encode())
