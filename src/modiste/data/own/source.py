"""A `Source` of images of your own: found, looked at, divided, decoded."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from modiste.data import places
from modiste.data.own import apart, facts
from modiste.data.own.division import Division, divide
from modiste.data.own.division import seal as sealed
from modiste.data.own.listing import Listing
from modiste.data.own.names import called, shown
from modiste.data.own.propose import propose
from modiste.data.own.stock import Seen, Stock, decoded, take_stock
from modiste.data.source import Part, Source, Tell, silent
from modiste.data.types import ImageSet, Role
from modiste.errors import DataError
from modiste.spec.run import DataSpec

Lister = Callable[[Path], Listing]
_FILES = ("csv", "npz")
# What a run on images that were handed over as arrays lacks.
_IN_MEMORY = (
    " Images that modiste.from_arrays took lie in no file: save them with np.savez('all.npz', "
    "images=images, labels=labels), and name that one."
)


def own_source(kind: str, list_images: Lister, path: Path | None) -> Source:
    """The source of that kind.

    Args:
        kind: As in a study file: ``folder``, ``csv``, ``npz``.
        list_images: Finds what a path holds.
        path: That the user named; the variable for data may name it instead.
    """
    return adapted(kind, list_images, path, DataSpec(name=kind), silent)


def adapted(
    kind: str, list_images: Lister, path: Path | None, spec: DataSpec, tell: Tell
) -> Source:
    """The same, as a spec wants it. Nothing is opened before it is asked for."""

    @functools.cache
    def looked() -> Stock:
        return stock(tell)

    @functools.cache
    def division() -> Division:
        return divide(looked(), spec)

    def stock(tell: Tell) -> Stock:
        return take_stock(list_images(named(kind, path)), tell)

    def where(part: Part) -> Path:
        place = named(kind, path)
        if part == "test":
            _check_test(division())
        return place

    def load_part(part: Part) -> ImageSet:
        found = division()
        if part == "test":
            _check_test(found)
            return _images(found, found.test, "test", tell)
        return images_of(found, tell)

    def seal() -> str:
        found = division()
        if spec.test_share is None or found.record is not None:
            return ""
        where = shown(apart.place(found.stock.listing.path))
        trouble = sealed(found, spec.test_share)
        division.cache_clear()  # it is of what was written from now on
        return trouble or f"Which images are the sealed test part stands in {where} from now on."

    place = places.named_folder(path)
    return Source(
        name=kind,
        where=where,
        load_part=load_part,
        adapt=lambda other, tell: adapted(kind, list_images, path, other, tell),
        facts=lambda: facts.of_division(division()),
        stock=stock,
        propose=lambda said, tell: propose(stock(tell), said),
        seal=seal,
        own_name=called(place[0]) if place else "",
    )


def named(kind: str, path: Path | None) -> Path:
    """The path that the user named.

    Raises:
        DataError: If none was named.
    """
    found = places.named_folder(path)
    if found is None:
        raise DataError(
            f"the data source {kind!r} needs a {'file' if kind in _FILES else 'folder'}: name it "
            f"in the study (data.path), with --data (`data_folder=` in Python), or with "
            f"{places.DATA_VARIABLE}.{_IN_MEMORY if kind == 'npz' else ''}"
        )
    return found[0]


def _check_test(found: Division) -> None:
    """Whether there is a test part, and all of it; said before a look at it is counted."""
    path = shown(found.stock.listing.path)
    if not found.test:
        raise DataError(
            f"{path}: has no test part. data.test_share splits one off, such as 0.2 of each class; "
            "`modiste init` writes it."
        )
    if found.num_gone:
        raise DataError(
            f"{path}: {found.num_gone:,} of {found.num_gone + len(found.test):,} pictures of the "
            "sealed test part are no longer there. Put them back: a test on the rest is another."
        )


def images_of(found: Division, tell: Tell = silent) -> ImageSet:
    """All images that may be trained on, those of a validation part that came with them last."""
    both = (*found.train, *found.val)
    return _images(found, both, "train", tell, num_val=len(found.val))


def _images(
    found: Division, chosen: Sequence[Seen], role: Role, tell: Tell, num_val: int = 0
) -> ImageSet:
    labels_N = np.array([one.item.label for one in chosen], np.int64)
    return ImageSet(
        images_NCHW=decoded(found.stock, chosen, found.rule, tell, is_kept=role != "test"),
        labels_N=labels_N,
        class_names=found.stock.listing.class_names,
        ids_N=np.arange(len(labels_N), dtype=np.int64),
        role=role,
        num_given_val=num_val,
        name=called(found.stock.listing.path),
    )
