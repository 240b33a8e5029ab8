"""Any folder with four IDX files under the names of MNIST: a set of your own, or a small one.

The class names stand in `classes.txt` beside them, one on a line; without it they are the labels
as words: ``0``, ``1`` and so on. Nothing is known of such a set, so its digest is only recorded.

A spec that says what images become, or splits a test part off, makes a set of your own of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modiste.data import idx
from modiste.data.own import apart
from modiste.data.own.arrays import Arrays, list_arrays
from modiste.data.own.division import need_no_record
from modiste.data.own.listing import Listing, Place, check_classes
from modiste.data.own.names import called
from modiste.data.own.source import adapted, named
from modiste.data.own.stock import take_stock
from modiste.data.source import SOURCES, Part, Source, Tell, says_nothing_of_images
from modiste.data.types import ImageSet
from modiste.errors import DataError
from modiste.spec.run import DataSpec

_NAMES: dict[Part, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@SOURCES.register("idx")
def idx_folder(folder: Path | None = None) -> Source:
    """The IDX files in `folder`, or in the one that the variable for data folders names."""

    def where(part: Part) -> Path:
        place = named("idx", folder)
        for name in _NAMES[part]:
            _located(place, name)
        if part == "test":
            _need_one_size(place)
        return place

    def load_part(part: Part) -> ImageSet:
        place = where(part)
        need_no_record(place, has_test=holds_idx(place, "test"))
        return _read(place, part)

    def propose(said: Mapping[str, Any], tell: Tell) -> DataSpec:
        """As they are, but for a test part that was split off: that stays one."""
        place = named("idx", folder)
        record = None if holds_idx(place, "test") else apart.load(place)
        share = {} if record is None else {"test_share": record.share}
        return DataSpec.parse({"name": "idx", **share, **said}, "data")

    def adapt(spec: DataSpec, tell: Tell) -> Source:
        return plain if says_nothing_of_images(spec) else own(spec, tell)

    def own(spec: DataSpec, tell: Tell) -> Source:
        return adapted("idx", list_idx, folder, spec, tell)

    plain = Source(
        name="idx",
        where=where,
        load_part=load_part,
        adapt=adapt,
        stock=lambda tell: take_stock(list_idx(named("idx", folder)), tell),
        propose=propose,
    )
    return plain


def holds_idx(folder: Path, part: Part = "train") -> bool:
    """Whether a folder holds both IDX files of a part."""
    return all(
        (folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in _NAMES[part]
    )


def list_idx(folder: Path) -> Listing:
    """The images of the IDX files in a folder, one for each row.

    Raises:
        DataError: If one is missing or damaged, or labels are out of range.
    """
    parts: dict[Place, Arrays] = {}
    for part in ("train", "test"):
        if part == "train" or holds_idx(folder, part):
            images, labels = (_located(folder, name) for name in _NAMES[part])
            parts[part] = Arrays(
                idx.read(images, "images"),
                idx.read(labels, "labels").astype(np.int64),
                images.name,
                labels.name,
            )
    names = _class_names(folder) if (folder / "classes.txt").is_file() else None
    return list_arrays("idx", folder, parts, names)


def _located(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DataError(f"{folder}: no file {name}.gz or {name} is in this folder.")


def _need_one_size(folder: Path) -> None:
    """That test images have the size of those to train on, by what the files say they hold."""
    train, test = (idx.read_header(_located(folder, _NAMES[part][0])) for part in _NAMES)
    if train.shape[1:] != test.shape[1:]:
        sizes = [" x ".join(map(str, each.shape[1:])) for each in (test, train)]
        raise DataError(
            f"{folder}: its test images have {sizes[0]} pixels, those to train on {sizes[1]}: what "
            "was trained on these cannot answer them."
        )


def _read(folder: Path, part: Part) -> ImageSet:
    images_path, labels_path = (_located(folder, name) for name in _NAMES[part])
    images_NHW = idx.read(images_path, "images")
    labels_N = idx.read(labels_path, "labels").astype(np.int64)
    if len(images_NHW) != len(labels_N):
        raise DataError(
            f"{images_path} holds {len(images_NHW):,} images, {labels_path.name} holds "
            f"{len(labels_N):,} labels; each image needs one."
        )
    return ImageSet(
        images_NCHW=images_NHW[:, np.newaxis],
        labels_N=labels_N,
        class_names=_class_names(folder),
        ids_N=np.arange(len(labels_N), dtype=np.int64),
        role=part,
        name=called(folder),
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    path = folder / "classes.txt"
    if not path.is_file():
        labels_N = idx.read(_located(folder, _NAMES["train"][1]), "labels")
        return tuple(str(label) for label in range(int(labels_N.max()) + 1))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}.") from None
    names = tuple(line.strip() for line in lines if line.strip())
    check_classes(path, names)
    return names
