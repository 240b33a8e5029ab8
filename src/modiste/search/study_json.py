"""What `study.json` must hold for a folder to be a study's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modiste.errors import StoreError, lacks
from modiste.runs import files

SCHEMA = 1
KEYS = {"file", "out", "profile", "seed", "data_digest", "versions", "overrides", "spec"}


def checked(folder: Path, value: dict[str, Any] | None = None) -> dict[str, Any]:
    """What stands in the `study.json` of a folder, or is to stand there.

    Args:
        folder: Of the study.
        value: What it holds; read if not given.

    Raises:
        StoreError: If there is none, or it is not what this version writes.
    """
    path = folder / "study.json"
    if value is None:
        if not path.is_file():
            why = lacks(folder, "no study.json")
            raise StoreError(f"{folder}: no study folder ({why}).")
        value = files.read_json(path)
    if value.get("schema") != SCHEMA:
        raise StoreError(f"{path}: schema {value.get('schema')}, not {SCHEMA}.")
    missing = sorted(KEYS - set(value))
    if missing:
        raise StoreError(
            f"{path}: has no {', '.join(missing)}: written by an older version, or damaged. Move "
            "the folder away and run the study again."
        )
    return value
