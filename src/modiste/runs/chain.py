"""The lines of a ledger, each chained to those before it by their SHA-256, as git chains commits.

Pure: what a ledger's two files hold is a `Chain`, and all that can be said of it is worked out
here. `modiste.runs.ledger` reads and writes.

Each line is a JSON object with `kind`, `at` and `previous`, the hash of the line that it goes on
from. The file beside it says which line came last, and how many there were then. Ledgers that were
counted apart are made one by an entry that goes on from both: `previous` and `joins`. What did not
add up when an entry was written stands in one of the kind `broken` before it: `why`, and as
`missing` the hashes of lines that may turn up with another ledger.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

EMPTY = "0" * 64
LOOK, COMPARISON, RESULT = "look", "comparison", "result"
# What a ledger says of itself.
JOINED, BROKEN = "joined", "broken"

CHANGED = "an entry was changed, removed, moved or put in"
NO_HEAD = "the file of its head is missing or cannot be read"
CUT = "entries that its head speaks of are not there"
WANTED = "results speak of entries that it does not hold"

Entry = dict[str, Any]


@dataclass(frozen=True)
class Chain:
    """What the two files of a ledger hold.

    Attributes:
        lines: Without their line breaks, oldest first.
        said: Head and count as the file beside them has it: empty if that cannot be read, None if
            there is no such file.
    """

    lines: tuple[bytes, ...] = ()
    said: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, lines: bytes | None, said: bytes | None) -> Chain:
        """From what the files hold; None for one that is not there.

        A last line without its end that is no entry was never written to its end: whatever it was
        to stand for did not happen. If it did, the head beside it says so.
        """
        found = (lines or b"").splitlines()
        if found and not (lines or b"").endswith(b"\n") and _entry(found[-1]) is None:
            del found[-1]
        try:
            value = None if said is None else json.loads(said)
        except ValueError:
            value = {}
        return cls(tuple(found), value if value is None or isinstance(value, dict) else {})

    @property
    def is_fresh(self) -> bool:
        """Whether nothing was ever written."""
        return not self.lines and self.said is None

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """Of each line."""
        return tuple(hashlib.sha256(line).hexdigest() for line in self.lines)

    @property
    def head(self) -> str:
        """Of the last line; zeros before the first."""
        return self.hashes[-1] if self.lines else EMPTY

    @cached_property
    def entries(self) -> list[Entry]:
        """Lines that can be read, whether or not all adds up; oldest first within each branch."""
        return [entry for line in self.lines if (entry := _entry(line)) is not None]

    @cached_property
    def damage(self) -> str:
        """What does not add up between the lines and the head beside them; empty if all does."""
        seen, ends = {EMPTY}, {EMPTY}
        for line, name in zip(self.lines, self.hashes, strict=True):
            parents = _parents(_entry(line))
            if not parents or not parents <= seen or name in seen:
                return CHANGED
            seen.add(name)
            ends = (ends - parents - {EMPTY}) | {name}
        if ends != {self.head}:
            return CHANGED
        if self.is_fresh:
            return ""
        if not self.said:
            return NO_HEAD
        head, count = self.said.get("head"), self.said.get("count")
        # More lines than the head speaks of: the machine stopped between the two, and no look is
        # left out. Fewer, or others: some are.
        if head not in seen or not isinstance(count, int) or count > len(self.lines):
            return CUT
        return ""

    @property
    def is_broken(self) -> bool:
        """Whether it is written down that it did not add up: that is for good."""
        return any(not mark.get("missing") for mark in self._marks)

    def trouble(self, known_heads: Sequence[str] = ()) -> str:
        """Why it cannot be said what was looked at; empty if it can.

        Args:
            known_heads: Hashes of lines that must be there, as results say that somebody holds.
        """
        if self.damage:
            return self.damage
        for mark in self._marks:
            missing = mark.get("missing")
            if not missing or self.lacks(missing):
                return f"on {str(mark.get('at'))[:10]}: {mark.get('why')}"
        return WANTED if self.lacks(known_heads) else ""

    def lacks(self, heads: Sequence[str]) -> list[str]:
        """Those of them that are not here."""
        return [head for head in dict.fromkeys(heads) if head not in (EMPTY, *self.hashes)]

    def unmarked(self, known_heads: Sequence[str] = ()) -> list[Entry]:
        """What is amiss and was not written down yet: what `broken` entries are to say of it."""
        found: list[Entry] = []
        if self.damage and not self.is_broken:
            found.append({"why": self.damage, "missing": []})
        known = {head for mark in self._marks for head in mark.get("missing", [])}
        if wanted := [head for head in self.lacks(known_heads) if head not in known]:
            found.append({"why": WANTED, "missing": wanted})
        return found

    def accounts_for(self, other: Chain) -> bool:
        """Whether everything is here that the other holds or speaks of, its damage included."""
        if not set(other.hashes) <= set(self.hashes):
            return False
        is_whole_here = (other.said or {}).get("head") in self.hashes
        return not other.damage or is_whole_here or self.is_broken

    def gains_by(self, other: Chain) -> bool:
        """Whether the other holds or speaks of anything that is not here, or is what this was."""
        is_mended = bool(self.damage) and not other.damage and other.accounts_for(self)
        return is_mended or not self.accounts_for(other)

    @property
    def _marks(self) -> list[Entry]:
        return [entry for entry in self.entries if entry["kind"] == BROKEN]


def to_line(entry: Mapping[str, Any]) -> bytes:
    """An entry as it is written, without its line break."""
    text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
    return text.encode(errors="backslashreplace")  # what is no text, as JSON escapes it


def _entry(line: bytes) -> Entry | None:
    """A line as an entry; None if it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("kind"), str) else None


def _parents(entry: Entry | None) -> set[str]:
    """Hashes of the lines that an entry goes on from; none if it does not say so."""
    names = [] if entry is None else [entry.get(key) for key in ("previous", "joins")]
    return {name for name in names if isinstance(name, str)}
