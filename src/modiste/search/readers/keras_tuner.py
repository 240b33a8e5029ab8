"""KerasTuner: a project folder, with `oracle.json` and `trial_*/trial.json`.

A trial's score is the mean over ``executions_per_trial`` trainings, each taken at the epoch where
the objective was best. Neither that number nor the single values are kept, nor the objective's
name: it is the metric whose value is the score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modiste.errors import SpecError
from modiste.evaluate.study_finding import Space
from modiste.search.imported import Imported, ImportedRow, ScoredOn, Status, read_json_object
from modiste.search.reader import (
    READERS,
    Reader,
    Stated,
    choose_metric,
    direction_of,
    finite,
    plain,
)

_NOTE = (
    "KerasTuner does not record how many trainings it averaged for a trial (executions_per_trial)."
)
_STATUS: Mapping[str, Status] = {
    "COMPLETED": "finished",
    "STOPPED": "pruned",
    "INVALID": "failed",
    "FAILED": "failed",
}


def _project(path: Path) -> Path | None:
    """The folder that holds `oracle.json`: this one, or the only one in it."""
    if (path / "oracle.json").is_file():
        return path
    found = [file.parent for file in sorted(path.glob("*/oracle.json"))] if path.is_dir() else []
    return found[0] if len(found) == 1 else None


def _can_read(path: Path) -> bool:
    return _project(path) is not None


def _read(path: Path, asked: Stated) -> Imported:
    project = _project(path)
    assert project is not None
    oracle = read_json_object(project / "oracle.json")
    trials = [read_json_object(file) for file in sorted(project.glob("trial_*/trial.json"))]
    if not trials:
        raise SpecError(f"{project}: holds no trial (trial_*/trial.json).")
    known = [name for trial in trials for name in _metrics(trial)]
    metric = choose_metric(asked.metric or _objective(trials), known, str(project))
    part = _part(metric)
    times = oracle.get("run_times") or {}
    rows = tuple(_row(trial, metric, part, times) for trial in trials)
    direction = next(
        (m[metric].get("direction") for t in trials if metric in (m := _metrics(t))), None
    )
    return Imported(
        tool="KerasTuner",
        source=project.name,
        figure=metric,
        direction=asked.direction
        or (direction if direction in ("max", "min") else None)
        or direction_of(metric),
        epoch="best" if metric == _objective(trials) else None,
        scored_on=part,
        rows=rows,
        space=_space(oracle.get("hyperparameters", {}).get("space", [])),
        notes=(_NOTE,),
    )


def _metrics(trial: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (trial.get("metrics") or {}).get("metrics") or {}
    return found


def _part(metric: str) -> ScoredOn | None:
    if metric.startswith("val_"):
        return "validation"
    return "training" if metric in ("loss", "accuracy", "acc") else None


def _figures(trial: Mapping[str, Any]) -> dict[str, float]:
    """The newest observation of each metric; its values are one for each reported training."""
    figures = {}
    for name, metric in _metrics(trial).items():
        observations = metric.get("observations") or [{}]
        values = [finite(value) for value in observations[-1].get("value") or []]
        if values and None not in values:
            figures[name] = sum(value or 0.0 for value in values) / len(values)
    return figures


def _objective(trials: Sequence[Mapping[str, Any]]) -> str | None:
    """The metric whose value is every trial's score; one of validation images before others."""
    scored = [(finite(trial.get("score")), _figures(trial)) for trial in trials]
    scored = [(score, figures) for score, figures in scored if score is not None]
    if not scored:
        return None
    names = [
        name
        for name in scored[0][1]
        if all(name in f and math.isclose(f[name], s or 0.0, rel_tol=1e-6) for s, f in scored)
    ]
    return min(names, key=lambda name: (not name.startswith("val_"), name), default=None)


def _row(
    trial: Mapping[str, Any], metric: str, part: ScoredOn | None, times: Mapping[str, Any]
) -> ImportedRow:
    name = str(trial.get("trial_id"))
    figures = _figures(trial)
    values = dict(trial.get("hyperparameters", {}).get("values", {}))
    epochs = finite(values.get("tuner/epochs"))
    status = _STATUS.get(str(trial.get("status")), "unfinished")
    step = finite(trial.get("best_step"))
    where = "" if step is None else f" (epoch {int(step) + 1})"
    limit = "" if epochs is None else f", of at most {int(epochs)} epochs"
    images = "images that chose the epoch" if part == "validation" else "images unknown"
    return ImportedRow(
        label=f"trial {name}",
        settings={k: plain(value) for k, value in values.items() if not k.startswith("tuner/")},
        status=status if status != "finished" or metric in figures else "failed",
        figure=figures.get(metric),
        figures=figures,
        epochs=None,
        seconds=finite(times.get(name)),
        seeds=None,
        evidence=(
            f"mean over an unknown number of trainings of each one's best epoch{where}{limit}, "
            f"on {images}"
        ),
    )


def _space(parts: Sequence[Mapping[str, Any]]) -> dict[str, Space]:
    found = {}
    for part in parts:
        config = part.get("config", {})
        name = str(config.get("name"))
        if part.get("class_name") in ("Int", "Float"):
            low, high = finite(config.get("min_value")), finite(config.get("max_value"))
            sampling = config.get("sampling")
            # Of `reverse_log`, whose values crowd at the upper end, nothing is said.
            if sampling != "reverse_log":
                found[name] = Space(low=low, high=high, log=sampling == "log")
        elif part.get("class_name") == "Choice":
            found[name] = Space(values=tuple(map(plain, config.get("values", []))))
    return found


READERS.add(
    "keras-tuner",
    Reader("a KerasTuner project folder (it holds oracle.json)", _can_read, _read),
)
