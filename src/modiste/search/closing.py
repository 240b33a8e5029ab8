"""Which stages a budget of time has closed: `STUDY/budget.json`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from modiste.runs import files

FILE = "budget.json"
SCHEMA = 2


def closed_stages(study_folder: Path) -> frozenset[str]:
    """Names of the stages that were closed before their end; none of a study without a budget."""
    return frozenset(_closed(study_folder))


def close(study_folder: Path, seconds: float, names: Collection[str]) -> None:
    """Write down that a budget of so many seconds has closed these stages, too."""
    new = dict.fromkeys(sorted(names), seconds)
    _write(study_folder, {**new, **_closed(study_folder)})


def reopen(study_folder: Path, names: Collection[str]) -> None:
    """Forget that these stages were closed: they go on. Others stay as they are."""
    there = _closed(study_folder)
    left = {name: seconds for name, seconds in there.items() if name not in names}
    if left != there:
        _write(study_folder, left)


def budget_of(study_folder: Path, stage: str) -> float | None:
    """How many seconds the budget had that closed a stage; none of one that is open."""
    return _closed(study_folder).get(stage)


def _closed(study_folder: Path) -> dict[str, float]:
    """Seconds of the budget that closed a stage, by its name."""
    path = study_folder / FILE
    if not path.exists():
        return {}
    value = files.read_json(path)
    if value.get("schema") == 1:  # it had one budget, which closed them all
        return dict.fromkeys(value["closed"], float(value["seconds"]))
    return {name: float(seconds) for name, seconds in value["closed"].items()}


def _write(study_folder: Path, closed: dict[str, float]) -> None:
    path = study_folder / FILE
    if closed:
        files.write_json(path, {"schema": SCHEMA, "closed": closed})
    else:
        path.unlink(missing_ok=True)
