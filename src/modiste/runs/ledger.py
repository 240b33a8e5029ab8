"""The ledger of looks at a test set: one file for each data set, each entry chained to the last.

It lies in the user's data folder (``~/.local/share/modiste/ledger``), or where the variable
``MODISTE_LEDGER`` says. Each line is one JSON object with the SHA-256 of the line before it; the
head and the count also stand in a file beside it and in everything that a look produced. So an
entry that was edited, removed or cut off is noticed, and the number of looks then reads "unknown".
Such a ledger can go on being written, and stays unknown: the next entry comes after a mark that
says what did not add up. Ledgers that were counted apart become one that holds the looks of both.

What it cannot prevent: somebody who deletes the whole folder, works on another machine or
account, or reads the test files with other software.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modiste.atomic import write_whole
from modiste.counts import UNKNOWN, Count, Unknown
from modiste.errors import SealError
from modiste.runs import files
from modiste.runs.chain import BROKEN, COMPARISON, EMPTY, JOINED, LOOK, Chain, Entry, to_line

LEDGER_VARIABLE = "MODISTE_LEDGER"


def ledger_folder() -> Path:
    """Where ledgers are kept."""
    if value := os.environ.get(LEDGER_VARIABLE):
        return Path(value).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/modiste/ledger"
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return home / "modiste" / "ledger"


@dataclass(frozen=True)
class Tally:
    """What a ledger says at one moment, as it stands in whatever a look produced.

    Attributes:
        looks: At the test set; unknown if the ledger does not add up.
        comparisons: Openings that counted duplicates and returned no accuracy; unknown likewise.
        head: SHA-256 of the last entry, zeros before the first: what the ledger is told by.
        num_entries: Lines of it.
        trouble: Why looks are unknown, in words; empty if they are known.
        lacks: Heads that stand in results and not in the ledger.
    """

    looks: Count
    comparisons: Count
    head: str
    num_entries: int
    trouble: str = ""
    lacks: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """For whoever reads a figure: how often the test set was opened."""
        if self.trouble:
            return f"Test looks unknown: {self.trouble}."
        words = f"Looks at this test set so far, by its ledger: {self.looks}."
        if self.comparisons:
            words += f" Comparisons with other images, which give no accuracy: {self.comparisons}."
        return words

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; `of` reads them."""
        return {
            "looks": self.looks,
            "comparisons": self.comparisons,
            "ledger_head": self.head,
            "ledger_entries": self.num_entries,
            "trouble": self.trouble,
            "ledger_lacks": list(self.lacks),
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Tally:
        """From what `to_dict` gave, before it went into a file."""

        def count(key: str) -> Count:
            found = value.get(key)
            return found if isinstance(found, int) else UNKNOWN

        return cls(
            count("looks"),
            count("comparisons"),
            str(value.get("ledger_head") or EMPTY),
            int(value.get("ledger_entries") or 0),
            str(value.get("trouble") or ""),
            tuple(value.get("ledger_lacks") or ()),
        )


# What is known of looks where no ledger was asked.
NOT_ASKED = Tally(UNKNOWN, UNKNOWN, EMPTY, 0, trouble="no ledger was asked")


@dataclass(frozen=True)
class Looked:
    """What is known of looks at the test set when something is made of a run: a model, an export.

    Attributes:
        tally: Of the ledger.
        measured: What the first look that included it said of this very model: ``accuracy``, its
            95 % ``interval``, ``loss``, ``correct``, ``total``, ``reason``, ``opened_at``; none if
            no look included it.
    """

    tally: Tally
    measured: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; `of` reads them."""
        measured = None if self.measured is None else dict(self.measured)
        return {**self.tally.to_dict(), "measured": measured}

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Looked:
        """From what `to_dict` gave, before it went into a file."""
        return cls(Tally.of(value), value.get("measured"))


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
        self._head_path = self.path.with_suffix(".head.json")
        self._known_heads = [head for head in known_heads if head and head != EMPTY]

    def chain(self) -> Chain:
        """What its files hold now; one that cannot be read does not add up."""
        try:
            return self._read()
        except OSError:
            return Chain(said={})

    def tally(self) -> Tally:
        """What it says now."""
        chain = self.chain()
        trouble = chain.trouble(self._known_heads)
        kinds = [entry["kind"] for entry in chain.entries]
        return Tally(
            looks=UNKNOWN if trouble else kinds.count(LOOK),
            comparisons=UNKNOWN if trouble else kinds.count(COMPARISON),
            head=chain.head,
            num_entries=len(chain.lines),
            trouble=f"the ledger does not add up ({trouble})" if trouble else "",
            lacks=tuple(chain.lacks(self._known_heads)),
        )

    def entries(self) -> list[Entry] | Unknown:
        """All entries, oldest first; unknown if the ledger does not add up."""
        chain = self.chain()
        if chain.trouble(self._known_heads):
            return UNKNOWN
        return sorted(chain.entries, key=lambda entry: str(entry.get("at")))

    def count(self) -> Count:
        """Looks so far; unknown if the ledger does not add up."""
        return self.tally().looks

    def at(self, head: str) -> str:
        """When the entry of that hash was written; empty if there is none."""
        chain = self.chain()
        lines = dict(zip(chain.hashes, chain.lines, strict=True))
        return str(json.loads(lines[head])["at"]) if head in lines else ""

    def copy_to(self, folder: Path) -> None:
        """Have results travel with the ledger they were counted in.

        A copy that is there is brought up to date. One that holds looks which this ledger knows
        nothing of keeps them.

        Raises:
            SealError: If it cannot be written.
        """
        Ledger(self._data_digest, folder=folder).take_over(self.path.parent)

    def take_over(self, folder: Path) -> None:
        """Go on from a copy that came with results from elsewhere, too.

        So looks that were counted on another machine stay counted. Where neither ledger continues
        the other, they were counted apart: an entry then joins them, after the entries of both.

        Raises:
            SealError: If it cannot be written.
        """
        there = Ledger(self._data_digest, folder=folder)
        if not self.chain().gains_by(there.chain()):
            return
        with self._writing():
            mine, theirs = self._read(), there._read()
            if not mine.gains_by(theirs):
                return
            if theirs.accounts_for(mine) and not theirs.unmarked():
                self._write(theirs.lines, is_first=mine.is_fresh)
                return
            here = set(mine.hashes)
            named = zip(theirs.lines, theirs.hashes, strict=True)
            lines = [*mine.lines, *(line for line, name in named if name not in here)]
            amiss = [(BROKEN, mark) for each in (mine, theirs) for mark in each.unmarked()]
            lines += _chained(mine.head, [*amiss, (JOINED, {"joins": theirs.head})])
            self._write(lines, is_first=mine.is_fresh)

    def append(self, kind: str, content: Mapping[str, Any]) -> str:
        """Write an entry down, durably; returns the new head.

        What does not add up so far is written down before it, so that it is not covered up.

        Raises:
            SealError: If it cannot be written.
        """
        with self._writing():
            chain = self._read()
            amiss = [(BROKEN, mark) for mark in chain.unmarked(self._known_heads)]
            lines = [*chain.lines, *_chained(chain.head, [*amiss, (kind, content)])]
            self._write(lines, is_first=chain.is_fresh)
        return Chain(tuple(lines)).head

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else on this account opens the test set meanwhile; waits for who does.

        Raises:
            SealError: If no lock can be had.
        """
        own = ledger_folder() / self.path.with_suffix(".look.lock").name
        with ExitStack() as held:
            with self._or_closed():
                own.parent.mkdir(parents=True, exist_ok=True)
                fcntl.flock(held.enter_context(own.open("a")), fcntl.LOCK_EX)
            yield

    def _read(self) -> Chain:
        return Chain.read(_content(self.path), _content(self._head_path))

    def _write(self, lines: Sequence[bytes], *, is_first: bool) -> None:
        """Put these in the place of all lines; in between, there are more than the head says."""
        if is_first:  # lines without any head would read as if theirs was lost
            self._write_head(EMPTY, 0)
        write_whole(self.path, b"".join(line + b"\n" for line in lines))
        self._write_head(Chain(tuple(lines)).head, len(lines))

    def _write_head(self, head: str, count: int) -> None:
        write_whole(self._head_path, files.to_json({"head": head, "count": count}))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone, and with one message for whatever stands in the way.

        The lock lies in the user's own place also for a copy elsewhere: results hold nothing but
        results, and who writes a copy writes on from the own one.
        """
        own = ledger_folder() / self.path.with_suffix(".lock").name
        with self._or_closed():
            own.parent.mkdir(parents=True, exist_ok=True)
            with own.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield

    @contextmanager
    def _or_closed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SealError(
                f"{error.filename or self.path}: the ledger of test looks cannot be written "
                f"({error.strerror}); the test set stays closed. {LEDGER_VARIABLE} names another "
                "folder for it."
            ) from None


def _content(path: Path) -> bytes | None:
    """What a file holds; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _chained(previous: str, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> list[bytes]:
    """Lines for these entries, kind and content of each, that go on from that head."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines: list[bytes] = []
    for kind, content in entries:
        lines.append(to_line({"kind": kind, "at": now, **content, "previous": previous}))
        previous = Chain((lines[-1],)).head
    return lines
