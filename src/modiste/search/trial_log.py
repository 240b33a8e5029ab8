"""The points that a search has chosen so far, on disk: `STUDY/trials/STAGE.json`.

A point is written down before it is trained, and stays. So whoever reads a study needs no sampler,
and no other version of one, nor another processor, can move a point that has results. Without the
file it is made again: the points follow from the search and from the run folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from modiste.errors import StoreError
from modiste.runs import files
from modiste.spec.search import SearchSpec
from modiste.spec.settings import Settings
from modiste.spec.space import identity

SCHEMA = 3  # 1 had no seal, 2 did not say what the stage had taken over
Chosen = list[list[Settings]]
# What may grow between two calls without moving a point: values to compare, and trials.
_MAY_GROW = ("compare", "trials_per_value")


def read(folder: Path, stage: str, search: SearchSpec, base: Settings) -> Chosen:
    """Points of each combination of compared values, in the order in which they were chosen.

    Args:
        folder: Of the study.
        stage: Its name.
        search: What it searches.
        base: What it took over from the stages before it.

    Returns:
        Nothing but empty lists if none was chosen yet, or if they belong to another search; or to
        another base, where they follow from what came of those before them.

    Raises:
        StoreError: If the file is damaged; says that it can be deleted.
    """
    value = _read(_path(folder, stage))
    if value is None or value["search"] != _kept(search) or not _stands_on(value, search, base):
        return [[] for _ in search.groups()]
    found = {identity(group["compare"]): group["points"] for group in value["groups"]}
    chosen = [list(found.get(identity(group), [])) for group in search.groups()]
    return [
        points[: search.num_trials(group)]
        for points, group in zip(chosen, search.groups(), strict=True)
    ]


def write(folder: Path, stage: str, search: SearchSpec, base: Settings, chosen: Chosen) -> None:
    """Replace the file in one step.

    Raises:
        StoreError: If it cannot be written.
    """
    groups = [
        {"compare": group, "points": points}
        for group, points in zip(search.groups(), chosen, strict=True)
    ]
    value = {"schema": SCHEMA, "search": _kept(search), "base": base, "groups": groups}
    files.write_bytes(_path(folder, stage), files.sealed(value))


def _stands_on(value: Mapping[str, Any], search: SearchSpec, base: Settings) -> bool:
    last = max(map(search.num_trials, search.groups())) - 1
    learns = search.method.num_needed(last) > 0
    return not learns or "base" not in value or identity(value["base"]) == identity(base)


def _kept(search: SearchSpec) -> dict[str, Any]:
    """What decides the points, as JSON gives it back."""
    return {key: value for key, value in search.to_dict().items() if key not in _MAY_GROW}


def _path(folder: Path, stage: str) -> Path:
    return folder / "trials" / f"{stage}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error}).") from None
    return _parsed(path, (found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=32)
def _parsed(path: Path, state: tuple[int, ...]) -> dict[str, Any]:
    """What a file holds, not to be changed: a study asks for it after every run.

    Args:
        path: The file, which `write` only ever replaces by another.
        state: What tells that other one from it.
    """
    try:
        value = files.read_sealed(path)
        is_ours = value["schema"] in (1, 2, SCHEMA) and isinstance(value["search"], dict)
        groups: Sequence[Mapping[str, Any]] = value["groups"]
        is_ours = is_ours and all(isinstance(group["points"], list) for group in groups)
        is_ours = is_ours and all(isinstance(group["compare"], dict) for group in groups)
    except (KeyError, TypeError, StoreError):
        is_ours = False
    if not is_ours:
        raise StoreError(
            f"{path}: damaged, or of another version. It can be deleted: the points are chosen "
            "again, and come out the same."
        )
    return value
