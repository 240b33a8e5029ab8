"""Duplicates across the seal: how many test images are in the training part, and nothing else.

The test part is opened for it, its labels are not used, and what comes back is counts: no
accuracy, no image, no position. So it is no look at the test set, and the ledger does not count it
as one; it keeps an entry of its own kind, and one with the counts.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from modiste.counts import UNKNOWN, Count, Unknown
from modiste.data.sealed import SealedTest
from modiste.data.source import Source
from modiste.errors import DataError
from modiste.evaluate import audit as evaluate
from modiste.evaluate.audit import Audit, Comparison
from modiste.runs.chain import COMPARISON, LOOK, RESULT
from modiste.runs.ledger import Ledger


class ComparisonLedger:
    """The ledger as the seal sees it: an opening for a comparison is told from a look."""

    def __init__(self, ledger: Ledger, closeness: float) -> None:
        self._ledger = ledger
        self._closeness = closeness

    def count(self) -> Count:
        """Openings so far, for looks and for comparisons."""
        found = openings(self._ledger)
        return found if found == UNKNOWN else len(found)

    def record(self, reason: str) -> str:
        return self._ledger.append(COMPARISON, {"reason": reason, "closeness": self._closeness})


def compare(source: Source, audit: Audit, reason: str, ledger: Ledger) -> Comparison:
    """Open the seal, count duplicates, write the counts into the ledger, and forget the images.

    Args:
        source: Whose test part.
        audit: Of its training part; says what is compared, and what counts as near.
        reason: Stands in the ledger for good.
        ledger: Of this data set.

    Raises:
        SealError: Without a reason, or if the ledger cannot be written.
        DataError: If the test images cannot be had, or have another shape.
    """
    test = SealedTest(source, ComparisonLedger(ledger, audit.closeness)).open(reason)
    if test.shape_CHW != audit.images.shape_CHW:
        raise DataError(
            f"the test images of {source.name!r} have the shape {test.shape_CHW} (channels, "
            f"height, width), those to train on {audit.images.shape_CHW}: they cannot be compared."
        )
    found = evaluate.compare(audit, test.images_NCHW)
    ledger.append(RESULT, {"of": COMPARISON, "counts": asdict(found)})
    return found


def openings(ledger: Ledger) -> list[dict[str, Any]] | Unknown:
    """Looks and comparisons so far, oldest first: kind, time and reason; or unknown."""
    entries = ledger.entries()
    if entries == UNKNOWN:
        return UNKNOWN
    keys = ("kind", "at", "reason")
    return [{key: e.get(key) for key in keys} for e in entries if e["kind"] in (LOOK, COMPARISON)]
