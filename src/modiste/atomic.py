"""Files that appear whole or not at all, also when the machine dies or two processes write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, then `place` it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(0o644)
        place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def place(temporary: Path, final: Path) -> None:
    """Move a finished file of the same file system to its name, durably; the last one stays."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Make a file's content, or the names inside a folder, survive a loss of power."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
