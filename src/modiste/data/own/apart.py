"""The test part of a set that came without one: split off, written down, and left alone.

Which pictures belong to it follows from the pictures alone, not from their names, their order or
where they lie: in each class those with the lowest digests, until its share is reached. Equal
pictures are on one side, whatever their classes. So everybody who has the same images has the same
test part, and needs nothing to find it.

Images that come or go would move the border, and what was trained on could become what is tested
on. So `modiste init`, or the first study without it, writes down which pictures are sealed and
which were not, beside the images: from then on that is the test part. Pictures that are in neither
list are refused until `init` has been run again; it gives each class its share of the new ones, and
moves none of the old.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modiste.atomic import write_whole
from modiste.data.own.listing import Listing
from modiste.data.own.names import shown
from modiste.errors import DataError

SCHEMA = "modiste.test-part/1"
NAME = "modiste-test.json"
MAX_BYTES = 256 << 20
ABOUT = (
    "Which pictures of this data set are its test part, by a digest of their pixels. Keep this "
    "file with the images: models are trained on none of them, and chosen by none. Written by "
    "`modiste init`, which also adds what comes later, or by the first study."
)
_DIGEST_LETTERS = 32


@dataclass(frozen=True)
class Record:
    """What was written down.

    Attributes:
        share: Of each class.
        sealed_at: When, in UTC.
        sealed: Pictures of the test part.
        others: Pictures that were there and are not of it.
    """

    share: float
    sealed_at: str
    sealed: frozenset[str]
    others: frozenset[str]


def picture(pixels: str) -> str:
    """A picture's mark, from the digest of its pixels; also what pictures are ordered by.

    A digest of its own, so that nobody can tell an image by it who has only heard of its digest.
    """
    return hashlib.sha256(f"modiste test part {pixels}".encode()).hexdigest()[:_DIGEST_LETTERS]


def split_off(
    pictures: Sequence[str], labels: Sequence[int], share: float, old: Record | None = None
) -> frozenset[str]:
    """The pictures of the test part.

    Args:
        pictures: Marks of all images, as `picture` gives them.
        labels: Of each.
        share: Of each class, rounded to the nearest; at least one picture.
        old: What was written down before; its pictures stay where they are.

    Example:
        >>> sorted(split_off(["d", "a", "c", "b"], [0, 0, 1, 1], share=0.5))
        ['a', 'b']
    """
    of_class: dict[int, set[str]] = defaultdict(set)
    for mark, label in zip(pictures, labels, strict=True):
        of_class[label].add(mark)
    sealed = set(old.sealed) if old else set()
    kept = old.others if old else frozenset()
    for label in sorted(of_class):
        marks = of_class[label]
        wanted = max(1, int(share * len(marks) + 0.5)) - len(marks & sealed)
        sealed |= set(sorted(marks - sealed - kept)[: max(0, wanted)])
    return frozenset(sealed)


def place(path: Path) -> Path:
    """Where the record of a set lies: in its folder, or beside its file."""
    return path / NAME if path.is_dir() else path.with_name(f"{path.name}.{NAME}")


def of(listing: Listing) -> Record | None:
    """The record of a set; none if none was written, as of images in memory.

    Raises:
        DataError: If it cannot be read, or is none.
    """
    return None if listing.is_in_memory else load(listing.path)


def load(path: Path) -> Record | None:
    """The record of the set at a path; none if none was written.

    Raises:
        DataError: If it cannot be read, or is none.
    """
    file = place(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"{shown(file)}: larger than {MAX_BYTES:,} bytes; no record is.")
        value: Any = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{shown(file)}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise _damaged(file) from None
    try:
        if value["schema"] != SCHEMA or not 0 < value["share"] <= 0.5:
            raise _damaged(file)
        sealed, others = (frozenset(map(str, value[key])) for key in ("sealed", "others"))
        return Record(float(value["share"]), str(value["sealed_at"]), sealed, others)
    except (KeyError, TypeError):
        raise _damaged(file) from None


def _damaged(file: Path) -> DataError:
    return DataError(
        f"{shown(file)}: no record of a test part, or a damaged one. Put the file back as it was "
        "(from a copy of the data set). Without it the test part cannot be told from the rest."
    )


def save(
    path: Path, share: float, sealed: Iterable[str], pictures: Iterable[str], old: Record | None
) -> Record:
    """Write down which pictures are sealed, for good.

    Args:
        path: Of the set.
        share: Of each class.
        sealed: The test part.
        pictures: All that are there.
        old: What was written down before; nothing of it is lost.

    Raises:
        OSError: If it cannot be written there.
    """
    marks = frozenset(sealed) | (old.sealed if old else frozenset())
    others = frozenset(pictures) | (old.others if old else frozenset())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found = Record(share, old.sealed_at if old else now, marks, others - marks)
    value = {
        "schema": SCHEMA,
        "about": ABOUT,
        "share": found.share,
        "sealed_at": found.sealed_at,
        "sealed": sorted(found.sealed),
        "others": sorted(found.others),
    }
    write_whole(place(path), (json.dumps(value, indent=1) + "\n").encode())
    return found
