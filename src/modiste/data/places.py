"""The folders that data are looked for in and kept in, and the variables that name them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DATA_VARIABLE = "MODISTE_DATA"
CACHE_VARIABLE = "MODISTE_CACHE"


def named_folder(argument: Path | None) -> tuple[Path, str] | None:
    """The folder that the user named, and how: as an argument, or by the variable."""
    if argument is not None:
        return argument.expanduser(), "named as the data folder"
    if value := os.environ.get(DATA_VARIABLE):
        return Path(value).expanduser(), f"named by {DATA_VARIABLE}"
    return None


def cache_folder() -> Path:
    """Where fetched data are kept; it can be deleted at any time and is filled again."""
    if value := os.environ.get(CACHE_VARIABLE):
        return Path(value).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "modiste"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/modiste"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modiste"
