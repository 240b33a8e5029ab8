"""Arrays become a list of images: from a `.npz` file, from IDX files, or from memory.

Of a `.npz` these names are known, PART being train, val (or valid) and test:

    x_PART, y_PART                    Keras
    PART_images, PART_labels          MedMNIST
    images_PART, labels_PART
    images, labels; X, y; x, y; data, target      of a set that nobody has divided

Images are N x H x W or N x H x W x C (or N x C x H x W) with 1, 3 or 4 channels, of uint8, uint16
or bool; labels are whole numbers or words, one for each image. `class_names` names classes 0 to
K - 1; without it, the labels are the names.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import numpy as np
import numpy.typing as npt

from modiste.data import sniff
from modiste.data.own import names
from modiste.data.own.listing import (
    PLACES,
    Content,
    Item,
    Listing,
    Place,
    check_classes,
    check_numbers,
)
from modiste.data.own.names import shown
from modiste.data.own.walk import PART_NAMES
from modiste.errors import DataError

Array = npt.NDArray[Any]

# As much as an IDX file may hold.
MAX_BYTES = 1 << 30
# What pandas puts where nothing is known.
_NO_LABEL = ("NAType", "NaTType")
CLASS_NAMES = ("class_names", "classes", "label_names", "target_names")
_WHOLE = (("images", "labels"), ("X", "y"), ("x", "y"), ("data", "target"), ("arr_0", "arr_1"))
_WHAT = "images as N x H x W or N x H x W x C, with 1, 3 or 4 channels"


@dataclass(frozen=True)
class Arrays:
    """A part, as it was given.

    Attributes:
        images_name, labels_name: What messages call them.
    """

    images: Array
    labels: Array
    images_name: str = "images"
    labels_name: str = "labels"


def list_arrays(
    kind: str, path: Path, parts: Mapping[Place, Arrays], class_names: Sequence[str] | None
) -> Listing:
    """The images of arrays, one for each row.

    Args:
        kind: Of source.
        path: Where they come from, for messages.
        parts: Arrays by part; `train` at least.
        class_names: Of labels 0 to K - 1; the labels themselves if not given.

    Raises:
        DataError: If arrays do not belong together, or labels are out of range.
    """
    images = {part: _images(path, given) for part, given in parts.items()}
    labels = {part: _labels(path, given) for part, given in parts.items()}
    for part, found in labels.items():
        if found.dtype == bool:  # numbers of classes that have names, or the names themselves
            labels[part] = found.astype(np.str_ if class_names is None else np.int64)
    known = _class_names(path, parts, labels, class_names)
    check_classes(path, known)
    label_of = {name: label for label, name in enumerate(known)}
    items = []
    for part in PLACES:
        if part not in parts:
            continue
        rows = labels[part].tolist()
        for row, label in enumerate(rows):
            number = int(label) if class_names is not None else label_of[str(label)]
            items.append(Item(part, number, f"{parts[part].images_name}[{row}]", row))

    def read(item: Item) -> Content:
        assert isinstance(item.at, int)
        return np.ascontiguousarray(images[item.part][item.at])

    return Listing(kind, path, known, items, read, is_ordered=True, unit="row")


def list_npz(path: Path) -> Listing:
    """The images of a `.npz` file.

    Raises:
        DataError: If it is none, claims more than it may hold, or has no arrays of known names.
    """
    with _Npz(path) as npz:
        pairs = _pairs(npz.names)
        if "train" not in pairs:
            raise DataError(
                f"{shown(path)}: holds {', '.join(map(shown, npz.names)) or 'nothing'}; expected "
                "x_train and y_train, or images and labels."
            )
        _need_whole(path, npz.names, pairs)
        parts = {
            part: Arrays(npz.read(images), npz.read(labels), images, labels)
            for part, (images, labels) in pairs.items()
        }
        named = [name for name in CLASS_NAMES if name in npz.names]
        class_names = npz.read(named[0]) if named else None
    if class_names is None:
        return list_arrays("npz", path, parts, None)
    if class_names.ndim != 1 or class_names.dtype.kind != "U":
        raise DataError(f"{shown(path)}: {named[0]}: expected words, one for each class.")
    return list_arrays("npz", path, parts, class_names.tolist())


def _need_whole(path: Path, found: Sequence[str], pairs: Mapping[Place, tuple[str, str]]) -> None:
    """Refuse half a part: who brought it along would believe that it is used."""
    for part in PART_NAMES:
        for pair in _named(part) if part not in pairs else ():
            here = [name for name in pair if name in found]
            if here:
                (lacking,) = set(pair) - set(here)
                raise DataError(
                    f"{shown(path)}: holds {shown(here[0])} and no {lacking} (there are "
                    f"{', '.join(map(shown, found))}). A part is images with their labels: add "
                    "them, or leave it out."
                )


def _named(part: Place) -> list[tuple[str, str]]:
    """What images and labels of a part may be called."""
    return [
        pair
        for word in PART_NAMES[part]
        for pair in (
            (f"x_{word}", f"y_{word}"),
            (f"X_{word}", f"y_{word}"),
            (f"{word}_images", f"{word}_labels"),
            (f"images_{word}", f"labels_{word}"),
        )
    ]


def _pairs(found: Sequence[str]) -> dict[Place, tuple[str, str]]:
    """By part, the names of its images and its labels."""
    answer: dict[Place, tuple[str, str]] = {}
    for part in PART_NAMES:
        for pair in _named(part):
            if set(pair) <= set(found):
                answer.setdefault(part, pair)
    for pair in _WHOLE:
        if "train" not in answer and set(pair) <= set(found):
            answer["train"] = pair
    return answer


def _images(path: Path, given: Arrays) -> Array:
    """N x H x W or N x H x W x C, uint8 or uint16, with 3 or 4 channels where there are any."""
    images, where = given.images, f"{shown(path)}: {given.images_name}"
    if images.dtype.kind == "f":
        raise DataError(
            f"{where}: numbers of type {images.dtype}, whose range nobody knows. Give uint8, such "
            "as (255 * images).round().astype('uint8') for numbers from 0 to 1."
        )
    if images.dtype == bool:
        images = images.astype(np.uint8) * 255
    if images.dtype.kind == "u" and images.dtype.itemsize == 2:
        images = images.astype(np.uint16)  # in the order of bytes of this machine
    if images.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{where}: numbers of type {images.dtype}; expected uint8 or uint16.")
    shape = " x ".join(f"{side:,}" for side in images.shape)
    if images.ndim == 4 and images.shape[3] not in (1, 3, 4) and images.shape[1] in (1, 3, 4):
        images = images.transpose(0, 2, 3, 1)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3, 4)):
        raise DataError(f"{where}: {shape or 'one number'}; expected {_WHAT}.")
    if images.size == 0 or max(images.shape[1:3]) > 4096:
        raise DataError(f"{where}: {shape}; expected images of 1 to 4,096 pixels a side.")
    return images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images


def _labels(path: Path, given: Arrays) -> Array:
    labels, where = _unboxed(given.labels), f"{shown(path)}: {given.labels_name}"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        raise DataError(
            f"{where}: {labels.shape[1]} numbers for each image; expected one label. Of one-hot "
            "labels, take .argmax(axis=1)."
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iuUb":
        shape = " x ".join(f"{side:,}" for side in labels.shape)
        raise DataError(
            f"{where}: {shape or 'one'} of type {labels.dtype}; expected a whole number or a word "
            "for each image."
        )
    if len(labels) != len(given.images):
        raise DataError(
            f"{where}: {len(labels):,} labels for {len(given.images):,} images; each needs one."
        )
    return labels


def missing(labels: Any) -> int | None:
    """The row of the first label that is None, NaN or pandas's word for either; none if all are.

    Args:
        labels: As they were handed over: an array of numbers or words has no such.

    Example:
        >>> missing(["cat", float("nan"), "dog"]), missing(["cat", "dog"]), missing(np.arange(3))
        (1, None, None)
    """
    dtype = getattr(labels, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return None
    if (dtype is None and not isinstance(labels, list | tuple)) or np.ndim(labels) == 0:
        return None
    for row, label in enumerate(labels):
        is_nan = isinstance(label, float | np.floating) and np.isnan(label)
        if label is None or is_nan or type(label).__name__ in _NO_LABEL:
            return row
    return None


def _unboxed(labels: Array) -> Array:
    """Words and whole numbers that came as Python objects, as a column of pandas hands them out."""
    if labels.dtype.kind not in "OT":
        return labels
    if labels.size and all(isinstance(one, bool | np.bool_) for one in labels.flat):
        return labels.astype(bool)
    for kind, dtype in ((str, np.str_), (int | np.integer, np.int64)):
        if all(isinstance(one, kind) and not isinstance(one, bool) for one in labels.flat):
            return labels.astype(dtype)
    return labels


def _class_names(
    path: Path,
    parts: Mapping[Place, Arrays],
    labels: Mapping[Place, Array],
    given: Sequence[str] | None,
) -> tuple[str, ...]:
    if given is not None:
        for part, found in labels.items():
            where = f"{shown(path)}: {parts[part].labels_name}"
            if found.dtype.kind == "U":
                raise DataError(f"{where}: words, and class_names beside them; drop one of both.")
            wrong = np.flatnonzero((found < 0) | (found >= len(given)))
            if wrong.size:
                raise DataError(
                    f"{where}[{wrong[0]}]: the label {found[wrong[0]]} is out of range: there are "
                    f"{len(given)} class names, for 0 to {len(given) - 1}."
                )
        return tuple(str(name) for name in given)
    of_train = {str(label) for label in np.unique(labels["train"]).tolist()}
    for part, found in labels.items():
        unknown = sorted({str(label) for label in np.unique(found).tolist()} - of_train)
        if unknown:
            raise DataError(
                f"{shown(path)}: {parts[part].labels_name}: the class '{shown(unknown[0])}' has no "
                "image in the train part. Every class needs images to learn it from."
            )
    if labels["train"].dtype.kind in "iu":
        check_numbers(f"{shown(path)}: {parts['train'].labels_name}", of_train)
        return tuple(str(label) for label in np.unique(labels["train"]).tolist())
    return names.in_order(of_train)


def seems(path: Path) -> str:
    """What lies at a path, in words."""
    try:
        with path.open("rb") as file:
            return sniff.seems(file.read(sniff.HEAD_BYTES))
    except OSError:
        return "a folder" if path.is_dir() else "nothing that can be opened"


class _Npz:
    """A `.npz` file, whose members are read only as far as they may be.

    A header is a claim made by a stranger: it is checked before memory is taken, and no pickle
    is opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise DataError(f"{shown(path)}: no such file.") from None
        except (zipfile.BadZipFile, OSError, ValueError):
            words = seems(path)
            words = "one that is cut off or damaged" if words == "a ZIP archive" else words
            raise DataError(
                f"{shown(path)}: no .npz file that can be read: it seems to be {words}."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        return [name.removesuffix(".npy") for name in self._zip.namelist()]

    def read(self, name: str) -> Array:
        """One array.

        Raises:
            DataError: If it is damaged, too large, or no plain array.
        """
        where = f"{shown(self._path)}: {shown(name)}"
        try:
            info = self._zip.getinfo(f"{name}.npy")
            if info.file_size > MAX_BYTES:
                raise DataError(
                    f"{where}: {info.file_size:,} bytes when unpacked; the limit is {MAX_BYTES:,}."
                )
            with self._zip.open(info) as member:
                return _read_npy(cast("BinaryIO", member), info.file_size)
        except KeyError:
            raise DataError(f"{where}: no such array.") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"{where}: damaged ({error}). Save it again.") from None
        except (NotImplementedError, RuntimeError):
            raise DataError(f"{where}: packed in a way that is not read here.") from None
        except ValueError as error:
            if "pickle" in str(error) or "Object" in str(error):
                raise DataError(
                    f"{where}: Python objects, which are not opened: they can run code. Save plain "
                    "numbers or words."
                ) from None
            raise DataError(f"{where}: no array that can be read ({error}).") from None


def _read_npy(member: BinaryIO, num_bytes: int) -> Array:
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(member)
    elif version == (2, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(member)
    else:
        raise ValueError(f"version {version} of the format")
    if dtype.hasobject:
        raise ValueError("Object arrays")
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if claimed != num_bytes - member.tell():
        raise ValueError(f"its header claims {claimed:,} bytes, which are not there")
    content = member.read(claimed)
    if len(content) != claimed or member.read(1):
        raise ValueError(f"its header claims {claimed:,} bytes, and others follow")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
