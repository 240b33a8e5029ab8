"""The folders that data are looked for in and kept in, and the variables that name them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modiste.data.own.names import shown
from modiste.errors import DataError

DATA_VARIABLE = "MODISTE_DATA"
CACHE_VARIABLE = "MODISTE_CACHE"


def named_folder(argument: Path | None) -> tuple[Path, str] | None:
    """The folder that the user named, and how: as an argument, or by the variable.

    Raises:
        DataError: If nobody could look whether it is there.
    """
    if argument is not None:
        return reachable(argument), "named as the data folder"
    if value := os.environ.get(DATA_VARIABLE):
        return reachable(Path(value)), f"named by {DATA_VARIABLE}"
    return None


def reachable(path: Path) -> Path:
    """A path that a user named, with ~ resolved; something need not be there.

    Raises:
        DataError: If nobody could look whether something is.
    """
    try:
        found = path.expanduser()
        found.exists()
    except RuntimeError:
        raise DataError(f"{shown(path)}: ~ is no home folder that this machine knows.") from None
    except OSError as error:  # a name that no disk takes, a folder that may not be entered
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror}).") from None
    return found


def cache_folder() -> Path:
    """Where fetched data are kept; it can be deleted at any time and is filled again."""
    if value := os.environ.get(CACHE_VARIABLE):
        return Path(value).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/modiste"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modiste"
