"""Which stages a budget of time has closed: `STUDY/budget.json`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from modiste.runs import files

FILE = "budget.json"
SCHEMA = 1


def closed_stages(study_folder: Path) -> frozenset[str]:
    """Names of the stages that were closed before their end; none of a study without a budget."""
    path = study_folder / FILE
    return frozenset(files.read_json(path)["closed"]) if path.exists() else frozenset()


def close(study_folder: Path, seconds: float, names: Collection[str]) -> None:
    """Write down which stages a budget of so many seconds has closed."""
    value = {"schema": SCHEMA, "seconds": seconds, "closed": sorted(names)}
    files.write_json(study_folder / FILE, value)


def reopen(study_folder: Path) -> None:
    """Forget which stages were closed: they go on."""
    (study_folder / FILE).unlink(missing_ok=True)


def budget_of(study_folder: Path) -> float | None:
    """How many seconds the last budget had; none of a study that ran without one."""
    path = study_folder / FILE
    return float(files.read_json(path)["seconds"]) if path.exists() else None
