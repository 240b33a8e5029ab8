"""What the data are while they pass through: images in memory, and how they are divided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError

Role = Literal["train", "val", "test"]
ImagesNCHW = npt.NDArray[np.uint8]
LabelsN = npt.NDArray[np.int64]


# A line shall stay readable.
_MOST_NAMES = 10


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Labelled images in memory.

    Attributes:
        images_NCHW: uint8, C is 1 or 3; float32 where somebody handed over arrays that are no
            bytes, as `ImageClassifier` allows.
        labels_N: int64, 0 to K - 1.
        class_names: K names.
        ids_N: int64, each image's position in its source part; stays with it through splits.
        role: What these images are for. `train` fits, `val` chooses, `test` is sealed.
        num_given_val: The last so many came as the set's own validation part.
        name: What people call the set: as it was published, or as its folder or file is called;
            empty where nobody said.
    """

    images_NCHW: npt.NDArray[Any]
    labels_N: LabelsN
    class_names: tuple[str, ...]
    ids_N: LabelsN
    role: Role
    num_given_val: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        n = len(self.labels_N)
        if self.images_NCHW.ndim != 4 or len(self.images_NCHW) != n or len(self.ids_N) != n:
            raise DataError(
                f"{self.role}: images of shape {self.images_NCHW.shape} do not belong to "
                f"{n} labels and {len(self.ids_N)} ids; expected N x C x H x W with equal N."
            )
        if self.images_NCHW.dtype not in (np.uint8, np.float32):
            raise DataError(
                f"{self.role}: images of {self.images_NCHW.dtype}; expected uint8 or float32."
            )
        if n and not 0 <= int(self.labels_N.min()) <= int(self.labels_N.max()) < self.num_classes:
            raise DataError(
                f"{self.role}: labels run from {self.labels_N.min()} to {self.labels_N.max()}, "
                f"but there are {self.num_classes} classes, 0 to {self.num_classes - 1}."
            )

    def __len__(self) -> int:
        return len(self.labels_N)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"ImageSet({name}{self.role}: {len(self):,} images {self.sorts})"

    @property
    def sorts(self) -> str:
        """Of what size and in which classes the images are, in words."""
        channels, height, width = self.shape_CHW
        colour = "grey" if channels == 1 else "in colour"
        names = ", ".join(self.class_names[:_MOST_NAMES])
        more = ", ..." if self.num_classes > _MOST_NAMES else ""
        return (
            f"of {height} x {width} pixels, {colour}, in {self.num_classes} classes ({names}{more})"
        )

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def shape_CHW(self) -> tuple[int, int, int]:
        _, channels, height, width = self.images_NCHW.shape
        return channels, height, width

    @cached_property
    def digest(self) -> str:
        """`digest` of these images and labels, computed once; nobody may change them after."""
        return digest(self.images_NCHW, self.labels_N, self.num_given_val)

    def counts(self) -> list[int]:
        """Images of each class, in the order of `class_names`."""
        return [int(n) for n in np.bincount(self.labels_N, minlength=self.num_classes)]

    def take(self, indices: LabelsN, role: Role) -> ImageSet:
        """The images at these positions, in this order, for that role."""
        return ImageSet(
            np.ascontiguousarray(self.images_NCHW[indices]),
            self.labels_N[indices],
            self.class_names,
            self.ids_N[indices],
            role,
            name=self.name,
        )


def digest(images_NCHW: npt.NDArray[Any], labels_N: LabelsN, num_given_val: int = 0) -> str:
    """SHA-256 of the decoded pixels and labels with their shapes, in hexadecimal.

    Mirrors pack the same arrays into different files, so files are never compared. Where a set
    came with a validation part, its size is hashed as well.
    """
    sha = hashlib.sha256()
    dtype = "<f4" if images_NCHW.dtype == np.float32 else "u1"
    if dtype != "u1":  # bytes went first, and keep the digests that they have
        sha.update(dtype.encode())
    for array in (
        np.ascontiguousarray(images_NCHW, dtype),
        np.ascontiguousarray(labels_N, "<i8"),
    ):
        sha.update(repr(array.shape).encode())
        sha.update(array.tobytes())
    if num_given_val:
        sha.update(f"validation {num_given_val}".encode())
    return sha.hexdigest()
