"""What a data set is before it is read: where its parts lie and how to decode them.

A new data set is one new file in `modiste.data.sources`; it registers a function that takes the
folder a user named, or none, and returns a `Source`.

Example:
    >>> source = SOURCES.get("fashion-mnist")(None)     # touches no disk and no network
    >>> source.class_names[0], sum(source.test_counts_K)
    ('T-shirt/top', 10000)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modiste.data.types import ImageSet
from modiste.spec.registry import Registry

Part = Literal["train", "test"]


@dataclass(frozen=True)
class Source:
    """A data set that nobody has opened yet.

    Ordinary code calls `load_train`, which neither reads nor needs the files of the part
    "test". `modiste.data.sealed` is the only code that asks for that part.

    Attributes:
        name: As in a study file: ``fashion-mnist``.
        where: The folder in which a part lies; may fetch it first, never decodes it.
        load_part: Decode and check one part. Ids are positions in the part, from 0.
        class_names: Names in the order of the labels, where they are known without reading.
        test_counts_K: Test images of each class as the publisher declares them, or None.
    """

    name: str
    where: Callable[[Part], Path]
    load_part: Callable[[Part], ImageSet]
    class_names: tuple[str, ...] | None = None
    test_counts_K: tuple[int, ...] | None = None

    def load_train(self) -> ImageSet:
        """All images that may be trained on, role `train`.

        Raises:
            DataError: If they are missing, damaged, or not what they say they are.
        """
        return self.load_part("train")


SOURCES: Registry[Callable[[Path | None], Source]] = Registry("data source", "modiste.data.sources")
