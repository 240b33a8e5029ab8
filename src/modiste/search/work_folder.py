"""Unfinished work of a study: checkpoints, two deep, and the lock of the one who drives."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import IO, Self

from modiste.errors import StoreError
from modiste.runs import files
from modiste.runs.run import Run


class WorkFolder:
    """`STUDY/work`: nothing in it is needed to read results.

    A checkpoint is a file named after its SHA-256; `checkpoints.json` names the last two, newest
    first. So a torn or changed one is noticed, and the one before it is taken.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, fingerprint: str, checkpoint: bytes, depth: int = 2) -> None:
        """Store the newest checkpoint of a run and forget all but so many, this one included."""
        folder = self._of(fingerprint)
        name = f"{hashlib.sha256(checkpoint).hexdigest()}.safetensors"
        files.write_bytes(folder / name, checkpoint)
        kept = [name, *(old for old in self._names(fingerprint) if old != name)][:depth]
        files.write_json(folder / "checkpoints.json", {"schema": 1, "newest_first": kept})
        for path in folder.glob("*.safetensors"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def load(self, fingerprint: str) -> bytes | None:
        """The newest checkpoint that is whole, or none."""
        for name in self._names(fingerprint):
            try:
                content = (self._of(fingerprint) / name).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(content).hexdigest() == name.removesuffix(".safetensors"):
                return content
        return None

    def forget(self, fingerprint: str) -> None:
        """Drop what a finished run no longer needs."""
        shutil.rmtree(self._of(fingerprint), ignore_errors=True)

    def forget_stored(self, runs: Path) -> None:
        """Drop what is left of runs that were stored: a driver may be killed before it forgets.

        One whose weights were dropped may be on its way to get them back.
        """
        for path in self.folder.glob("*/checkpoints.json"):
            if not (runs / path.parent.name).is_dir():
                continue
            run = Run(runs / path.parent.name)
            if run.has_weights or run.metrics["status"] != "finished":
                self.forget(run.folder.name)

    def _of(self, fingerprint: str) -> Path:
        return self.folder / fingerprint[:16]

    def _names(self, fingerprint: str) -> list[str]:
        try:
            value = files.read_json(self._of(fingerprint) / "checkpoints.json")
        except StoreError:
            return []
        return [str(name) for name in value.get("newest_first", [])]


class Lock:
    """The right to drive a study: one process at a time, given back even by one that is killed.

    Raises:
        StoreError: If another process holds it; names the process.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise files.cannot_write(path, error) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self._file.close()
                raise StoreError(
                    f"{path}: this file system keeps no locks ({error.strerror}), so that nobody "
                    "can tell whether another process works here. Choose a folder on another one "
                    "with --out DIR."
                ) from None
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            raise StoreError(
                f"{path.parent.parent} is being worked on by {holder}. Wait for it, stop it, or "
                "choose another folder with --out DIR."
            ) from None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"process {os.getpid()} on {os.uname().nodename}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
