"""Results from Python: what a run holds, runs side by side, and two studies side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from modiste.api.given import each_folder, each_name
from modiste.api.places import run_of
from modiste.errors import DataError, SpecError, StoreError, need_path
from modiste.evaluate.finding import facts, findings
from modiste.interval import standard_error, wilson
from modiste.runs import files
from modiste.runs.run import EPOCHS, Run
from modiste.search.study import Study
from modiste.search.table import Table
from modiste.search.versus import versus

# Of a finished run, what `compare` says.
_FIGURES = ("val_accuracy", "val_loss", "val_accuracy_best", "standard_error", "low", "high")


def show(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Everything that a run folder says of its run, and whether its files are what was written.

    Args:
        folder: A run folder, or a model folder in its study.

    Returns:
        ``run`` (the folder), ``data`` (what the set is called), ``fingerprint``, ``status``,
        ``reason``, ``epochs``, ``seconds``, ``figures`` (of the best and the last epoch, on
        training and validation images), ``spec``, ``parameters``, ``flops``, ``environment``,
        ``history``, ``findings`` and ``files``: for each, its size and whether it is ``whole``,
        ``dropped`` (and why), or ``changed`` (and how).

    Raises:
        StoreError: If it is no run folder, or what it says of itself is damaged.
    """
    run = run_of(need_path(folder, "folder"))
    metrics = run.metrics
    return {
        "schema": 1,
        "run": str(run.folder),
        "data": run.data_name,
        "fingerprint": run.fingerprint,
        "status": metrics["status"],
        "reason": metrics["reason"],
        "epochs": metrics["epochs"],
        "seconds": metrics["seconds"],
        "figures": {epoch: _figures(metrics[epoch]) for epoch in EPOCHS if epoch in metrics},
        "spec": run.spec.to_dict(),
        "parameters": run.layers["parameters"]["total"],
        "flops": run.layers["flops_forward"],
        "environment": run.environment,
        "history": run.history,
        "findings": [asdict(finding) for finding in findings(facts(run))],
        "files": {name: _file(run, name) for name in sorted(_names(run))},
    }


def compare(
    runs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    names: str | Iterable[str] = (),
) -> Table:
    """Runs beside each other, the best last-epoch validation accuracy first.

    Args:
        runs: Runs, or their folders; all of the same validation images.
        names: What to call each, in their order; the beginnings of their fingerprints if not given.

    Returns:
        One mapping for each run, which print as a table: name, status, parameters, epochs,
        seconds, ``num_val`` (validation images), val_accuracy and val_loss at the last epoch,
        val_accuracy_best at the epoch of the lowest loss, and of the last what the number of images
        leaves open: ``low`` to ``high`` is Wilson's 95 % interval, standard_error its rough
        measure, which is 0 where no answer is wrong, or none right. Runs that did not finish, as
        one that diverged, come last; figures that there are not are None.

    Raises:
        StoreError: If one is no run folder, or cannot be read.
        SpecError: If there are names, and not one for each run.
        DataError: If they did not answer the same images; says which.
    """
    found = [run_of(Path(place)) for place in each_folder(runs, "runs")]
    called = each_name(names, "names") or [run.fingerprint[:8] for run in found]
    if len(called) != len(found):
        raise SpecError(f"names: {len(called)} for {len(found)} run(s); expected one for each.")
    _need_same_images(found)
    rows = []
    for name, run in zip(called, found, strict=True):
        metrics = run.metrics
        row: dict[str, Any] = {
            "name": name,
            "status": metrics["status"],
            "parameters": run.layers["parameters"]["total"],
            "epochs": metrics["epochs"],
            "seconds": metrics["seconds"],
            "num_val": metrics["num_val"],
            **dict.fromkeys(_FIGURES),
        }
        if metrics["status"] == "finished":
            last = metrics["last"]["val"]
            low, high = wilson(last["correct"], last["total"])
            row |= {
                "val_accuracy": last["accuracy"],
                "val_loss": last["loss"],
                "val_accuracy_best": metrics["best"]["val"]["accuracy"],
                "standard_error": standard_error(last["accuracy"], last["total"]),
                "low": low,
                "high": high,
            }
        rows.append(row)
    return Table(
        sorted(rows, key=lambda row: (row["val_accuracy"] is None, -(row["val_accuracy"] or 0.0)))
    )


def compare_studies(one: str | os.PathLike[str], two: str | os.PathLike[str]) -> dict[str, Any]:
    """Two studies side by side: the points that both have finished, and their rankings.

    Args:
        one: A study folder.
        two: Another.

    Returns:
        ``differs`` (what of seed, profile, data and versions is not the same), and for each stage
        that both have: ``points`` in the order of the first (``val_accuracy`` in each, the
        ``difference``, its 95 % interval ``low`` to ``high``, and ``same_runs``), Kendall's
        ``tau`` of the two rankings with its interval, and both ``winners``.

    Raises:
        StoreError: If one of them is no study folder, or cannot be read.
    """
    found = versus(Study.open(need_path(one, "one")), Study.open(need_path(two, "two")))
    return {
        "schema": 1,
        "studies": [os.fspath(one), os.fspath(two)],
        "differs": {key: list(pair) for key, pair in found.differs.items()},
        "stages": [
            {
                "name": stage.name,
                "winners": list(stage.winners),
                "only": list(stage.num_alone),
                "tau": stage.agreement and stage.agreement.tau,
                "tau_low": stage.agreement and stage.agreement.low,
                "tau_high": stage.agreement and stage.agreement.high,
                "points": [
                    {
                        "point": pair.label,
                        "val_accuracy": [pair.contrast.one, pair.contrast.two],
                        "difference": pair.contrast.difference,
                        "low": pair.contrast.low,
                        "high": pair.contrast.high,
                        "same_runs": pair.same,
                    }
                    for pair in stage.pairs
                ],
            }
            for stage in found.stages
        ],
        "only": [list(names) for names in found.only],
    }


def _need_same_images(runs: Sequence[Run]) -> None:
    """That all runs answered the same validation images."""
    for run in runs[1:]:
        first, data = runs[0], run.metrics["data_digest"]
        if data != first.metrics["data_digest"]:
            raise DataError(
                f"{run.folder}: was trained on other images ({run.data_name}) than {first.folder} "
                f"({first.data_name}). Accuracies on different images say nothing of each other: "
                "compare the runs of each data set alone."
            )
        if not _has_same_val(run, first):
            raise DataError(
                f"{run.folder}: answered other validation images than {first.folder}; they were "
                "divided in another way, or by folds. Compare the runs of each division alone."
            )


def _has_same_val(one: Run, two: Run) -> bool:
    """Of the same data: whether both divide them alike, or answered the same all the same."""
    without = {"name", "scaling", "num_train"}  # which leave the validation part as it is
    if one.spec.data.model_dump(exclude=without) == two.spec.data.model_dump(exclude=without):
        return True
    if not (one.has_predictions and two.has_predictions):
        return False
    return np.array_equal(one.predictions["image_ids"], two.predictions["image_ids"])


def _figures(measured: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"epoch": measured["epoch"]}
    for part in ("train", "val", "held"):
        if part in measured:
            values = measured[part]
            low, high = wilson(values["correct"], values["total"])
            answer[part] = {**values, "low": low, "high": high}
    return answer


def _names(run: Run) -> list[str]:
    return list(files.read_manifest(run.folder)["files"])


def _file(run: Run, name: str) -> dict[str, Any]:
    entry = files.read_manifest(run.folder)["files"][name]
    size = {"bytes": entry["bytes"]}
    if entry.get("dropped"):
        return {**size, "state": "dropped", "why": entry["dropped"].removeprefix("dropped: ")}
    try:
        files.read_checked(run.folder, name)
    except StoreError as error:
        return {**size, "state": "changed", "why": str(error)}
    return {**size, "state": "whole", "why": ""}
