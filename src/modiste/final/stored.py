"""Looks at the test set that lie in a folder: where each is, and what it showed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modiste.runs import files
from modiste.runs.run import Run


@dataclass(frozen=True)
class Candidate:
    """A run that is to be measured, and where it comes from."""

    stage: str
    label: str
    run: Run


def folder_of(candidates: Sequence[Candidate], folder: Path) -> Path:
    """Where a look at this list is stored, or would be: named after the list."""
    runs = "".join(sorted(candidate.run.fingerprint for candidate in candidates))
    return folder / hashlib.sha256(runs.encode()).hexdigest()[:16]


def is_stored(folder: Path) -> bool:
    """Whether a look lies there, whole."""
    return (folder / "manifest.json").is_file()


def known_heads(folder: Path) -> list[str]:
    """Ledger heads that stand in the looks stored in a folder."""
    return [str(value["ledger_head"]) for value in stored(folder).values()]


def stored(folder: Path) -> dict[Path, dict[str, Any]]:
    """Every look stored in a folder, by its own folder: what `look.json` holds.

    Raises:
        StoreError: If one is not what was written.
    """
    return {
        path.parent: json.loads(files.read_checked(path.parent, "look.json"))
        for path in sorted(folder.glob("[!.]*/manifest.json"))
    }
