"""Results from Python: what a run holds, runs side by side, and two studies side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modiste.api.places import run_of
from modiste.errors import StoreError
from modiste.evaluate.finding import facts, findings
from modiste.interval import wilson
from modiste.runs import files
from modiste.runs.run import EPOCHS, Run
from modiste.search.study import Study
from modiste.search.versus import versus


def show(folder: str | Path) -> dict[str, Any]:
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
    run = run_of(Path(folder))
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


def compare(runs: Iterable[Run], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """One mapping for each run, best last-epoch validation accuracy first.

    Keys: name, parameters, epochs, val_accuracy and val_loss at the last epoch, val_accuracy_best
    at the epoch of the lowest loss, standard_error (of the last, from the number of images),
    seconds. Runs that diverged come last, with no figures.
    """
    rows = []
    for index, run in enumerate(runs):
        metrics = run.metrics
        row: dict[str, Any] = {
            "name": names[index] if index < len(names) else run.fingerprint[:8],
            "parameters": run.layers["parameters"]["total"],
            "epochs": metrics["epochs"],
            "seconds": metrics["seconds"],
        }
        if metrics["status"] == "finished":
            last = metrics["last"]["val"]
            error = (last["accuracy"] * (1 - last["accuracy"]) / last["total"]) ** 0.5
            row |= {
                "val_accuracy": last["accuracy"],
                "val_loss": last["loss"],
                "val_accuracy_best": metrics["best"]["val"]["accuracy"],
                "standard_error": error,
            }
        rows.append(row)
    return sorted(rows, key=lambda row: -row.get("val_accuracy", -1.0))


def compare_studies(one: str | Path, two: str | Path) -> dict[str, Any]:
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
    found = versus(Study.open(one), Study.open(two))
    return {
        "schema": 1,
        "studies": [str(one), str(two)],
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
