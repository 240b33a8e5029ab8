"""A data set by name or by path, and how it is divided where nobody says."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.api.arrays import need_colours
from modiste.api.given import need_source
from modiste.api.progress import looking
from modiste.data.load import TrainingData, divide, usual_num_val
from modiste.data.own import facts
from modiste.data.own.arrays import Arrays, list_arrays, missing
from modiste.data.own.division import divide as divide_own
from modiste.data.own.listing import Place
from modiste.data.own.propose import propose
from modiste.data.own.recognise import source_at
from modiste.data.own.source import images_of
from modiste.data.own.stock import take_stock
from modiste.data.source import SOURCES, Source, Tell, open_source, silent
from modiste.data.types import ImageSet
from modiste.errors import DataError, SpecError
from modiste.spec.run import DataSpec


@dataclass(frozen=True)
class OpenedData:
    """A data set, read, and how it is divided.

    Attributes:
        spec: With everything that was not said filled in.
        path: Where it lies, if that was named.
    """

    spec: DataSpec
    source: Source
    images: ImageSet
    path: Path | None

    @property
    def name(self) -> str:
        """What to call it: a set of your own by its folder or file."""
        return self.images.name or self.spec.name

    @property
    def test_counts_K(self) -> list[int] | None:
        """Test images of each class, as far as that is known without opening the part."""
        if self.source.facts is None:
            known = self.source.test_counts_K
            return None if known is None else list(known)
        counts: list[int] = self.source.facts()["parts"]["test"]
        return counts if any(counts) else None

    def divided(self) -> TrainingData:
        """What trains and what chooses."""
        return divide(self.images, self.spec)


def open_data(
    name: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    tell: Tell = silent,
    spec: DataSpec | None = None,
    **given: Any,
) -> OpenedData:
    """Read a data set.

    Args:
        name: Of a source, or the path of a folder or file of images.
        path: Where the source of that name lies.
        tell: Told how many images were looked at, of how many.
        spec: How they are divided, as something else was trained on them: nothing in it is filled
            in but the name of the source.
        given: Otherwise, keys of `data`. Those that are missing, or None, are filled in: of images
            of your own by looking at them, and `num_val` with the size of the validation part
            that the set came with, or with a fifth of its images.

    Raises:
        SpecError: If there is no such source, or what is given makes no sense.
        DataError: If the images cannot be had, or cannot be used.
    """
    kind, place = source_at(need_source(name), None if path is None else Path(path))
    if spec is not None:
        spec = spec.model_copy(update={"name": kind})
        source = open_source(spec, place, tell)
        return OpenedData(spec, source, source.load_train(), place)
    said = {key: value for key, value in given.items() if value is not None}
    spec = DataSpec.parse({"name": kind, **said}, "data")
    fill_in = SOURCES.get(kind)(place).propose
    if fill_in is not None:
        spec = fill_in(said, tell)
    source = open_source(spec, place, tell)
    images = source.load_train()
    if "num_val" not in said:
        spec = spec.model_copy(update={"num_val": usual_num_val(images)})
    return OpenedData(spec, source, images, place)


def scan(
    name: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    skip_bad: bool = False,
    keep_duplicates: bool = False,
    verbose: bool = False,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Look at every image of a set of your own once, and say what speaks against training on it.

    Args:
        name: The path of a folder or file of images, or a source.
        path: Where the source of that name lies.
        skip_bad: Let up to 1 % of unreadable images be left out.
        keep_duplicates: Let pictures lie in two parts.
        verbose: Show a bar, in a notebook as well.
        tell: Told how many images were looked at, of how many.

    Returns:
        Numbers of images by format, mode and size; what cannot be used, and why; ``trouble``, the
        error that a study of it would end with, or none.

    Raises:
        SpecError: If it is a set that is known by its digests, with nothing to find out.
        DataError: If it cannot be listed.
    """
    kind, place = source_at(need_source(name), None if path is None else Path(path))
    look = SOURCES.get(kind)(place).stock
    if look is None:
        raise SpecError(f"{name}: is checked by the digests that its publisher's files have.")
    with looking(tell, is_shown=verbose) as told:
        stock = look(told)
    said = {"skip_bad": skip_bad, "keep_duplicates": keep_duplicates}
    try:
        division = divide_own(stock, propose(stock, said))
    except (DataError, SpecError) as error:
        return {**facts.of_stock(stock), "trouble": str(error)}
    found = facts.of_division(division)
    del found["images"]
    return {**found, "trouble": None}


def from_arrays(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    val: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    num_val: int | None = None,
    **given: Any,
) -> TrainingData:
    """Images in memory, divided like any other set; a test part is split off and not handed out.

    Which images that are follows from the pictures alone: saved with ``np.savez("all.npz",
    images=images, labels=labels)`` they are the same for ``modiste.evaluate(RUN, final=True,
    reason=..., data_folder="all.npz")``, and for studies on that file.

    Args:
        images: N x H x W, or N x H x W x C with 1, 3 or 4 channels; uint8, uint16 or bool.
        labels: Whole numbers, words or truth values, one for each image.
        class_names: Of labels 0 to K - 1, in that order; the labels themselves if not given.
        val: Images of the same size and labels to validate on; drawn from the others if not given.
        num_val: How many of them, where they are drawn; a fifth if not given.
        given: Other keys of ``data``, such as ``test_share``, ``decode``, ``split_seed``.

    Raises:
        DataError: If they do not belong together, or speak against training.
        SpecError: If a key or the names make no sense.

    Example:
        >>> pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
        >>> data = from_arrays(pixels, np.arange(60) % 2)
        >>> len(data.train), len(data.val)
        (39, 9)
    """
    names = None if class_names is None else _names(class_names)
    parts: dict[Place, Arrays] = {"train": _arrays(images, labels, "images", "labels")}
    if val is not None:
        parts["val"] = _arrays(*_pair(val), "val[0]", "val[1]")
        _need_one_size(parts["train"], parts["val"], given)
    where = Path("arrays")
    listing = list_arrays("npz", where, parts, names)
    stock = take_stock(replace(listing, is_in_memory=True))
    spec = propose(stock, given)
    found = images_of(divide_own(stock, spec))
    number = usual_num_val(found) if num_val is None else num_val
    return divide(found, DataSpec.parse({**spec.model_dump(), "num_val": number}, "data"))


def _names(given: object) -> list[str]:
    """Class names in the order of the labels, which a mapping or a set does not have."""
    names = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise SpecError(
            f"class_names: {given!r}; expected words in a list, those of the labels 0, 1, 2 and so "
            "on in this order."
        )
    return list(names)


def _pair(given: object) -> tuple[Any, Any]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise SpecError("val: expected two things: images, and their labels.")
    return given[0], given[1]


def _arrays(images: Any, labels: Any, images_name: str, labels_name: str) -> Arrays:
    """As arrays, in which a label that is missing, or a palette's image, could not be told."""
    need_colours(images, images_name)
    row = missing(labels)
    if row is not None:
        raise DataError(f"{labels_name}[{row}]: the label is missing; leave such images out.")
    return Arrays(np.asarray(images), np.asarray(labels), images_name, labels_name)


def _need_one_size(train: Arrays, val: Arrays, given: Mapping[str, Any]) -> None:
    """That both parts hold images of one size, unless it is said what they become."""
    one, two = train.images.shape[1:3], val.images.shape[1:3]
    if one != two and given.get("decode") is None:
        raise DataError(
            f"val[0]: an array of shape {val.images.shape}, and images one of "
            f"{train.images.shape}: they differ in size. Say what both become, such as "
            "decode={'size': [32, 32], 'channels': 1, 'sizing': 'fit'}, if that is meant."
        )
