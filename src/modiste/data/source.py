"""What a data set is before it is read: where its parts lie and how to decode them.

A new data set is one new file in `modiste.data.sources`; it registers a function that takes the
folder a user named, or none, and returns a `Source`.

Example:
    >>> source = SOURCES.get("fashion-mnist")(None)     # touches no disk and no network
    >>> source.class_names[0], sum(source.test_counts_K)
    ('T-shirt/top', 10000)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modiste.data.key import Key
from modiste.data.types import ImageSet
from modiste.errors import SealError, SpecError
from modiste.spec.registry import Registry
from modiste.spec.run import DataSpec

if TYPE_CHECKING:
    from modiste.data.own.stock import Stock

Part = Literal["train", "test"]
# Told how many images were looked at, of how many.
Tell = Callable[[int, int], None]
# Keys of a data spec that speak of images nobody knows beforehand.
OWN_KEYS = ("decode", "test_share", "skip_bad", "keep_duplicates")
Loader = Callable[[Part], ImageSet]


class Locked:
    """A loader that gives the part "train" to anybody, and "test" for a key alone.

    Args:
        name: Of the source.
        load: Decodes a part.
    """

    def __init__(self, name: str, load: Loader) -> None:
        self._name = name
        self._load = load

    def __call__(self, part: Part) -> ImageSet:
        if part != "train":
            raise SealError(
                f"the part {part!r} of {self._name!r} is sealed: training and choosing have the "
                "part 'train' alone. `modiste evaluate --final` opens the other, for a stated "
                "reason, and counts it."
            )
        return self._load(part)

    def named(self, name: str) -> Locked:
        """The same for a source of that name."""
        return Locked(name, self._load)

    def open(self, key: object) -> ImageSet:
        """The part "test".

        Raises:
            SealError: If it is the key of another source, of no entry in a ledger, or no key.
        """
        if isinstance(key, Key) and key.source == self._name and key.entry:
            return self._load("test")
        raise SealError(f"the test part of {self._name!r} does not open for {key!r}.")


@dataclass(frozen=True)
class Source:
    """A data set that nobody has opened yet.

    Ordinary code calls `load_train`, which neither reads nor needs the files of the part
    "test". That part opens for a key, which `modiste.data.sealed` alone makes.

    Attributes:
        name: As in a study file: ``fashion-mnist``.
        where: The folder in which a part lies; may fetch it first, never decodes it.
        load_part: Decode and check one part. Ids are positions in the part, from 0. It is locked
            as soon as the source is made: asked for "test" it raises `SealError`.
        class_names: Names in the order of the labels, where they are known without reading.
        test_counts_K: Test images of each class as the publisher declares them, or None.
        is_published: Its arrays are checked by digests that stand in our code; any other source
            could hold anything.
        adapt: Of images of your own: the source as a data spec wants it. None where the images
            are what they are, and a spec has nothing to say about them.
        facts: What a report tells of the set, as JSON values; reads the images, if need be.
        stock: Looks at every image of all parts, whatever a spec makes of them.
        propose: Fills in what a spec has to say of the images, given the keys that are settled.
        seal: Writes down which images are a test part that is split off, if nobody has yet; says
            so, or why it cannot be, in a line. Whoever trains does that first.
        own_name: What people call the set, where the name stands for a kind of source.
    """

    name: str
    where: Callable[[Part], Path]
    load_part: Loader
    class_names: tuple[str, ...] | None = None
    test_counts_K: tuple[int, ...] | None = None
    is_published: bool = False
    adapt: Callable[[DataSpec, Tell], Source] | None = None
    facts: Callable[[], dict[str, Any]] | None = None
    stock: Callable[[Tell], Stock] | None = None
    propose: Callable[[Mapping[str, Any], Tell], DataSpec] | None = None
    seal: Callable[[], str] = lambda: ""
    own_name: str = ""

    @property
    def title(self) -> str:
        """What the set is called where people read it."""
        return self.own_name or self.name

    def __post_init__(self) -> None:
        load = self.load_part
        locked = load.named(self.name) if isinstance(load, Locked) else Locked(self.name, load)
        object.__setattr__(self, "load_part", locked)

    def load_train(self) -> ImageSet:
        """All images that may be trained on, role `train`.

        Raises:
            DataError: If they are missing, damaged, or not what they say they are.
        """
        return self.load_part("train")

    def load_test(self, key: Key) -> ImageSet:
        """The test images, role `test`, for the key that the seal has made.

        Raises:
            SealError: For anything else.
            DataError: If they are missing, damaged, or not what they say they are.
        """
        locked = self.load_part
        assert isinstance(locked, Locked)
        return locked.open(key)


SOURCES: Registry[Callable[[Path | None], Source]] = Registry("data source", "modiste.data.sources")


def says_nothing_of_images(spec: DataSpec) -> bool:
    """Whether a spec leaves images as they are."""
    return not any(getattr(spec, key) for key in OWN_KEYS)


def silent(done: int, total: int) -> None:
    """Tells nobody how far something has come."""


def open_source(spec: DataSpec, path: Path | None, tell: Tell = silent) -> Source:
    """The source that a spec speaks of; opens nothing yet.

    Args:
        spec: Names it, and says what its images become.
        path: Where it lies; looked for if not given.
        tell: Told how many images were looked at, where that takes its time.

    Raises:
        SpecError: If no source has that name, or the spec says what the source leaves no choice in.
    """
    source = SOURCES.get(spec.name)(path)
    if source.adapt is not None:
        return source.adapt(spec, tell)
    for key in OWN_KEYS:
        if getattr(spec, key):
            raise SpecError(
                f"data.{key}: has no meaning for the data source {spec.name!r}, whose images and "
                "parts are known; take it out."
            )
    return source
