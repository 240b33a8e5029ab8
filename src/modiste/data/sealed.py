"""The test set, behind a seal: the only code that asks a source for the part "test".

Import rules forbid this module to everything but `modiste.final` and what stands above it, and a
source opens its test part for a key that is made here alone. So neither training nor search can
reach a test image, not even by mistake.
"""

from __future__ import annotations

from typing import Protocol

from modiste.counts import Count
from modiste.data.key import Key
from modiste.data.source import Source
from modiste.data.types import ImageSet
from modiste.errors import SealError, without_reason


class Ledger(Protocol):
    """Where looks at one test set are written down, kept by the layers above."""

    def count(self) -> Count:
        """Openings so far; unknown if it cannot say (it was shortened, edited or lost)."""

    def record(self, reason: str) -> str:
        """Write a look down, durably, before it happens; returns a mark of the new entry.

        Raises:
            SealError: If it cannot be written. The seal then stays closed.
        """


class SealedTest:
    """A test set that opens for a stated reason only, and writes each opening down first.

    Args:
        source: The data set.
        ledger: Where openings are recorded. Without one there is no `SealedTest`.
    """

    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger

    @property
    def looks(self) -> Count:
        """Openings so far, or unknown where the ledger cannot say."""
        return self._ledger.count()

    def open(self, reason: str) -> ImageSet:
        """The test images, role `test`.

        First the files are looked for, so that missing ones cost no look. Then the look is
        recorded. Only then are they decoded: a crash on the way leaves a counted look that showed
        nothing, never an uncounted one that did.

        Args:
            reason: What the look is for, in words; it stands in the ledger for good.

        Raises:
            SealError: If there is no reason, or the ledger kept no entry.
            DataError: If the test files are missing or damaged.
        """
        before = self._ledger.count()
        if not reason.strip():
            raise SealError(without_reason(self._source.title, before))
        self._source.where("test")
        entry = self._ledger.record(reason.strip())
        after = self._ledger.count()
        has_grown = not isinstance(before, int) or (isinstance(after, int) and after > before)
        if not entry or not has_grown:
            raise SealError(
                f"the test set of {self._source.title!r} stays closed: its ledger did not keep the "
                f"entry (looks before: {before}, after: {after})."
            )
        return self._source.load_test(Key(self._source.name, entry))
