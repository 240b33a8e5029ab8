"""Any folder with four IDX files under the names of MNIST: a set of your own, or a small one.

The class names stand in `classes.txt` beside them, one on a line; without it they are the labels
as words: ``0``, ``1`` and so on. Nothing is known of such a set, so its digest is only recorded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from modiste.data import idx, places
from modiste.data.source import SOURCES, Part, Source
from modiste.data.types import ImageSet
from modiste.errors import DataError

_NAMES: dict[Part, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@SOURCES.register("idx")
def idx_folder(folder: Path | None = None) -> Source:
    """The IDX files in `folder`, or in the one that the variable for data folders names."""

    def where(part: Part) -> Path:
        named = places.named_folder(folder)
        if named is None:
            raise DataError(
                "the data source 'idx' needs a folder: name it in the study (data.folder) or with "
                f"{places.DATA_VARIABLE}=FOLDER."
            )
        for name in _NAMES[part]:
            _located(named[0], name)
        return named[0]

    def load_part(part: Part) -> ImageSet:
        return _read(where(part), part)

    return Source(name="idx", where=where, load_part=load_part)


def _located(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DataError(f"{folder}: no file {name}.gz or {name} is in this folder.")


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
    if len(set(names)) < max(len(names), 1):
        raise DataError(f"{path}: expected one class name on a line, each only once.")
    return names
