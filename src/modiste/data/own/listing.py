"""What a data set of your own consists of, before any image of it is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt

from modiste.data.own import names
from modiste.errors import DataError

Place = Literal["train", "val", "test"]
SHOWN_LETTERS = 60
PLACES: tuple[Place, ...] = ("train", "val", "test")
Content = bytes | npt.NDArray[Any]


@dataclass(frozen=True)
class Item:
    """One image, not opened yet.

    Attributes:
        part: Where the set puts it; ``train`` where it puts nothing anywhere.
        label: 0 to K - 1.
        name: As messages call it, and what items are ordered by.
        at: A path, or a position in an array.
        trouble: Why it cannot be used, if that is known without opening it.
    """

    part: Place
    label: int
    name: str
    at: Path | int
    trouble: str = ""


@dataclass(frozen=True)
class Listing:
    """A data set's images, listed.

    Attributes:
        kind: Of source: ``folder``, ``csv`` and so on.
        path: What the user named: a folder or a file; of images in memory, what messages call them.
        class_names: In the order of the labels.
        items: In an order that does not depend on the disk.
        read: Gives an item's content: the bytes of a file, or an array.
        is_ordered: Whether the order means something, as rows of a table do; else images are
            put into the order of their digests, which mixes the classes.
        passed_over: Numbers of what was seen and is no part of the set, by what it is.
        unit: What an item is called: ``file`` or ``row``.
        is_in_memory: Nothing lies at `path`, and nothing was written down there.
    """

    kind: str
    path: Path
    class_names: tuple[str, ...]
    items: Sequence[Item]
    read: Callable[[Item], Content]
    is_ordered: bool = False
    passed_over: Mapping[str, int] = field(default_factory=dict)
    unit: str = "file"
    is_in_memory: bool = False

    def has(self, part: Place) -> bool:
        """Whether the set came with that part."""
        return any(item.part == part for item in self.items)

    def counts(self, part: Place) -> list[int]:
        """Items of each class in a part."""
        found = Counter(item.label for item in self.items if item.part == part)
        return [found[label] for label in range(len(self.class_names))]


def check_classes(path: Path, class_names: Sequence[str]) -> None:
    """Refuse classes that cannot be told apart, are alone, or have hostile names.

    Raises:
        DataError: Names the class.
    """
    for name in class_names:
        if trouble := names.trouble_with_class(name):
            called = names.shown(name[:SHOWN_LETTERS]) + ("..." if name[SHOWN_LETTERS:] else "")
            raise DataError(f"{names.shown(path)}: the class '{called}': {trouble}. Rename it.")
    twice = [name for name, count in Counter(class_names).items() if count > 1]
    if twice:
        raise DataError(
            f"{names.shown(path)}: two classes are both called '{names.shown(twice[0])}'. Rename "
            "one, or put them together."
        )
    if pair := names.twins(set(class_names)):
        raise DataError(
            f"{names.shown(path)}: two classes are both called '{pair[0]}': one is written with "
            "composed letters, the other with accents on their own. Rename one, or put them "
            "together."
        )
    if len(class_names) < 2:
        only = f": '{class_names[0]}'" if class_names else ""
        raise DataError(
            f"{names.shown(path)}: {len(class_names)} class{'' if class_names else 'es'}{only}. "
            "To tell classes apart it takes two or more, each with images of its own."
        )


def check_numbers(where: str, labels: Collection[str]) -> None:
    """Refuse -1 beside the numbers of three classes or more: mostly nobody knows that class.

    Args:
        where: The labels stand, in words.
        labels: The different ones, as they are written.

    Raises:
        DataError: Says what would do.
    """
    last = len(labels) - 2
    if last >= 2 and set(labels) == {"-1", *map(str, range(last + 1))}:
        raise DataError(
            f"{where}: the label -1 beside 0 to {last}. If it means that nobody knows the class, "
            "leave these images out; if it is a class, give it a name: words in place of numbers."
        )
