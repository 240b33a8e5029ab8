"""Optuna: an SQLite database, read as it is, without Optuna.

Checked against databases that Optuna 5.0 writes; its tables are those of every version since 3.0.
Distributions of older versions are read as well.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from modiste.errors import SpecError, unknown_name
from modiste.evaluate.study_finding import Space
from modiste.search.imported import Imported, ImportedRow, Status
from modiste.search.reader import READERS, Direction, Reader, Stated, finite, plain

_MAGIC = b"SQLite format 3\0"
_TABLES = {"studies", "study_directions", "trials", "trial_params", "trial_values"}
_STATUS: Mapping[str, Status] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True)
class _Objective:
    """One of the values that a trial returns."""

    number: int
    name: str
    direction: Direction


def _can_read(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def _read(path: Path, asked: Stated) -> Imported:
    try:
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as base:
            base.row_factory = sqlite3.Row
            return _study(base, path, asked)
    except sqlite3.Error as error:
        raise SpecError(f"{path}: cannot be read as a database of Optuna ({error}).") from None


def _study(base: sqlite3.Connection, path: Path, asked: Stated) -> Imported:
    tables = {row["name"] for row in base.execute("SELECT name FROM sqlite_master")}
    if missing := sorted(_TABLES - tables):
        raise SpecError(f"{path}: no database of Optuna (it has no table {', '.join(missing)}).")
    study, name = _choose_study(base, path, asked.study)
    objective = _choose_objective(base, path, study, asked.metric)
    trials = base.execute("SELECT * FROM trials WHERE study_id = ? ORDER BY trial_id", (study,))
    rows: list[ImportedRow] = []
    reported: list[tuple[float, list[float]]] = []
    space: dict[str, Space] = {}
    for number, trial in enumerate(trials.fetchall()):
        settings, allowed = _settings(base, trial["trial_id"])
        space |= allowed
        value = _objective_value(base, trial["trial_id"], objective)
        steps = _reported(base, trial["trial_id"]) if "trial_intermediate_values" in tables else []
        if trial["state"] == "COMPLETE" and value is not None and len(steps) > 1:
            reported.append((value, steps))
        rows.append(_row(trial, number, settings, value, objective, steps))
    epoch = _epoch(reported, objective.direction)
    return Imported(
        tool="Optuna",
        source=path.name,
        figure=objective.name,
        direction=asked.direction or objective.direction,
        epoch=epoch,
        scored_on="validation" if objective.name.startswith("val_") else None,
        rows=tuple(rows),
        space=space,
        notes=(f"Study {name!r}. {_NOTE}", *([_SEEN[epoch]] if epoch else [])),
    )


_NOTE = (
    "Optuna records what the user's function returned: which images it was measured on, at which "
    "epoch and with which seed, the database does not say."
)
_SEEN = {
    "best": "Every finished trial returned the best of the values that it had reported on its way.",
    "last": "Every finished trial returned the last of the values that it had reported on its way.",
}


def _choose_study(base: sqlite3.Connection, path: Path, asked: str | None) -> tuple[int, str]:
    found = {r["study_name"]: r["study_id"] for r in base.execute("SELECT * FROM studies")}
    if not found:
        raise SpecError(f"{path}: holds no study.")
    if asked is None and len(found) > 1:
        raise SpecError(f"{path}: which study? Name one with --study: {', '.join(found)}.")
    name = asked if asked is not None else next(iter(found))
    if name not in found:
        raise SpecError(f"--study {name}: {path}: {unknown_name('study', name, found)}")
    return int(found[name]), str(name)


def _choose_objective(
    base: sqlite3.Connection, path: Path, study: int, asked: str | None
) -> _Objective:
    rows = base.execute(
        "SELECT * FROM study_directions WHERE study_id = ? ORDER BY objective", (study,)
    ).fetchall()
    names = _metric_names(base, study)
    found = [
        _Objective(
            row["objective"],
            names[row["objective"]] if row["objective"] < len(names) else _plain_name(row, rows),
            "min" if row["direction"] == "MINIMIZE" else "max",
        )
        for row in rows
    ]
    known = [objective.name for objective in found]
    if asked is None and len(found) == 1:
        return found[0]
    if asked is None:
        raise SpecError(f"{path}: which objective? Name one with --metric: {', '.join(known)}.")
    if asked in known:
        return found[known.index(asked)]
    if len(found) == 1 and not names:  # it has no name of its own, so a person may give it one
        return _Objective(found[0].number, asked, found[0].direction)
    raise SpecError(f"--metric {asked}: {path}: {unknown_name('objective', asked, known)}")


def _plain_name(row: sqlite3.Row, rows: Sequence[sqlite3.Row]) -> str:
    return "objective value" if len(rows) == 1 else f"objective-{row['objective']}"


def _metric_names(base: sqlite3.Connection, study: int) -> list[str]:
    found = base.execute(
        "SELECT value_json FROM study_system_attributes WHERE study_id = ? AND key = ?",
        (study, "study:metric_names"),
    ).fetchone()
    names = json.loads(found["value_json"]) if found else []
    return [str(name) for name in names]


def _settings(base: sqlite3.Connection, trial: int) -> tuple[dict[str, Any], dict[str, Space]]:
    settings: dict[str, Any] = {}
    space: dict[str, Space] = {}
    rows = base.execute("SELECT * FROM trial_params WHERE trial_id = ? ORDER BY param_id", (trial,))
    for row in rows:
        name = str(row["param_name"])
        distribution = json.loads(row["distribution_json"])
        kind, attributes = str(distribution["name"]), distribution["attributes"]
        if kind == "CategoricalDistribution":
            choices = [plain(choice) for choice in attributes["choices"]]
            settings[name] = choices[int(row["param_value"])]
            space[name] = Space(values=tuple(choices))
            continue
        value = float(row["param_value"])
        settings[name] = int(value) if kind.startswith("Int") else value
        is_log = bool(attributes.get("log")) or "Log" in kind
        space[name] = Space(
            low=float(attributes["low"]), high=float(attributes["high"]), log=is_log
        )
    return settings, space


def _objective_value(base: sqlite3.Connection, trial: int, objective: _Objective) -> float | None:
    row = base.execute(
        "SELECT value FROM trial_values WHERE trial_id = ? AND objective = ?",
        (trial, objective.number),
    ).fetchone()
    return finite(row["value"]) if row else None  # infinite ones have no value there


def _reported(base: sqlite3.Connection, trial: int) -> list[float]:
    rows = base.execute(
        "SELECT * FROM trial_intermediate_values WHERE trial_id = ? ORDER BY step", (trial,)
    )
    values = (finite(row["intermediate_value"]) for row in rows)
    return [value for value in values if value is not None]


def _epoch(
    reported: Sequence[tuple[float, Sequence[float]]], direction: Direction
) -> Literal["best", "last"] | None:
    """What finished trials returned of the values they had reported, if all did alike."""
    best = max if direction == "max" else min
    if not reported:
        return None
    if all(value == steps[-1] for value, steps in reported):
        return "last"
    return "best" if all(value == best(steps) for value, steps in reported) else None


def _row(
    trial: sqlite3.Row,
    number: int,
    settings: dict[str, Any],
    value: float | None,
    objective: _Objective,
    steps: Sequence[float],
) -> ImportedRow:
    status = _STATUS.get(str(trial["state"]), "unfinished")
    if status == "finished" and value is None:
        status = "failed"
    evidence = "one value that the user's function returned; no predictions, so it pairs with none"
    if status == "pruned":
        evidence = f"ended early by the pruner after {len(steps)} reported values"
    elif status != "finished":
        evidence = "no value"
    return ImportedRow(
        label=f"trial {trial['number'] if trial['number'] is not None else number}",
        settings=settings,
        status=status,
        figure=value if status == "finished" else None,
        figures={} if value is None else {objective.name: value},
        seconds=_seconds(trial),
        evidence=evidence,
    )


def _seconds(trial: sqlite3.Row) -> float | None:
    times = [trial["datetime_start"], trial["datetime_complete"]]
    if None in times:
        return None
    began, ended = (datetime.fromisoformat(str(time)) for time in times)
    return (ended - began).total_seconds()


READERS.add("optuna", Reader("an SQLite database of Optuna", _can_read, _read))
