"""The ledger of looks at a test set: one file for each data set, each entry chained to the last.

It lies in the user's data folder (``~/.local/share/modiste/ledger``), or where the variable
``MODISTE_LEDGER`` says. Each line is one JSON object with the SHA-256 of the line before it; the
head and the count also stand in a file beside it and in everything that a look produced. So an
entry that was edited, removed or cut off is noticed, and the number of looks then reads "unknown".
What it cannot prevent: somebody who deletes the whole folder, works on another machine or
account, or reads the test files with other software.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modiste.atomic import write_whole
from modiste.errors import SealError
from modiste.runs import files

LEDGER_VARIABLE = "MODISTE_LEDGER"
EMPTY = "0" * 64


def ledger_folder() -> Path:
    """Where ledgers are kept."""
    if value := os.environ.get(LEDGER_VARIABLE):
        return Path(value).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "modiste"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/modiste/ledger"
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return home / "modiste" / "ledger"


class Ledger:
    """The looks at the test set of one data set.

    Args:
        data_digest: Of the data set's training part, which names the set.
        known_heads: Heads that stand in results somebody holds; each must be in the chain.
        folder: Where it lies; the user's own place if not given.
    """

    def __init__(
        self, data_digest: str, known_heads: Sequence[str] = (), folder: Path | None = None
    ) -> None:
        self._data_digest = data_digest
        self.path = (folder or ledger_folder()) / f"{data_digest[:16]}.jsonl"
        self._seal_path = self.path.with_suffix(".head.json")
        self._known_heads = [head for head in known_heads if head]

    def entries(self) -> list[dict[str, Any]] | None:
        """All entries, oldest first; None if the ledger does not add up."""
        try:
            lines = self.path.read_bytes().splitlines()
            seal = json.loads(self._seal_path.read_bytes())
        except FileNotFoundError:
            is_fresh = not self.path.exists() and not self._seal_path.exists()
            return [] if is_fresh and not self._known_heads else None
        except (OSError, ValueError):
            return None
        found, heads = [], [EMPTY]
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                return None
            if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
                return None
            if entry.get("previous") != heads[-1]:
                return None
            heads.append(hashlib.sha256(line).hexdigest())
            found.append(entry)
        if seal != {"head": heads[-1], "count": len(found)}:
            return None
        return found if set(self._known_heads) <= set(heads) else None

    def count(self) -> int | None:
        """Looks so far; None if the ledger does not add up."""
        entries = self.entries()
        return None if entries is None else sum(entry["kind"] == "look" for entry in entries)

    def head(self) -> str:
        """SHA-256 of the last line, or zeros before the first."""
        try:
            lines = self.path.read_bytes().splitlines()
        except OSError:
            return EMPTY
        return hashlib.sha256(lines[-1]).hexdigest() if lines else EMPTY

    def copy_to(self, folder: Path) -> None:
        """Have results travel with the ledger they were counted in.

        A copy that is there is brought up to date; one that goes further is left as it is.

        Raises:
            SealError: If the copy and this ledger part: neither continues the other.
        """
        there = Ledger(self._data_digest, folder=folder)
        if len(self._of_one_history(there)) > len(there.content()):
            there.become(self)

    def take_over(self, folder: Path) -> None:
        """Go on from a copy that came with results from elsewhere, if it continues this ledger.

        So looks that were counted on another machine stay counted.

        Raises:
            SealError: If the copy and this ledger part: neither continues the other.
        """
        there = Ledger(self._data_digest, folder=folder)
        if len(self._of_one_history(there)) > len(self.content()):
            self.become(there)

    def content(self) -> bytes:
        """All of its lines; nothing, if there is none."""
        return self.path.read_bytes() if self.path.is_file() else b""

    def become(self, other: Ledger) -> None:
        """Take over another's lines and head, whole."""
        for mine, theirs in ((self.path, other.path), (self._seal_path, other._seal_path)):
            if theirs.is_file() and mine.resolve() != theirs.resolve():
                files.write_bytes(mine, theirs.read_bytes())

    def _of_one_history(self, other: Ledger) -> bytes:
        """The longer of the two, which has to begin with the other."""
        shorter, longer = sorted((self.content(), other.content()), key=len)
        if not longer.startswith(shorter):
            raise SealError(
                f"{self.path} and {other.path} hold different looks at the same test set: they "
                "were counted apart, and no order of them can be told. Keep one, and move the "
                "other away."
            )
        return longer

    def append(self, kind: str, content: Mapping[str, Any]) -> str:
        """Write an entry down, durably; returns the new head.

        Raises:
            SealError: If it cannot be written.
        """
        try:
            with self._locked():
                head, count = self.head(), self._num_lines()
                entry = {
                    "kind": kind,
                    "at": datetime.now(UTC).isoformat(timespec="seconds"),
                    **content,
                    "previous": head,
                }
                line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode()
                head = hashlib.sha256(line).hexdigest()
                with self._put_back_if_it_fails(), self.path.open("ab") as file:
                    file.write(line + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                    seal = files.to_json({"head": head, "count": count + 1})
                    write_whole(self._seal_path, seal)
        except OSError as error:
            raise SealError(
                f"{self.path}: the ledger of test looks cannot be written ({error.strerror}); "
                f"the test set stays closed. {LEDGER_VARIABLE} names another folder for it."
            ) from None
        return head

    def _num_lines(self) -> int:
        try:
            return len(self.path.read_bytes().splitlines())
        except FileNotFoundError:
            return 0

    @contextmanager
    def _put_back_if_it_fails(self) -> Iterator[None]:
        """An entry whose head could not be written never was: else the count is lost for good."""
        size = self.path.stat().st_size if self.path.exists() else None
        try:
            yield
        except BaseException:
            with suppress(OSError):
                if size is None:
                    self.path.unlink()
                else:
                    os.truncate(self.path, size)
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
