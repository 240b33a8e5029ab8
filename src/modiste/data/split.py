"""How training images are divided into those that fit and those that choose.

For each class the images are shuffled by a generator of their own, and the first of them become
the validation part. So a split depends on the labels, the number of validation images and the
seed alone, and one with more validation images contains one with fewer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modiste import seeds
from modiste.atomic import write_whole
from modiste.data.types import ImageSet, LabelsN
from modiste.errors import DataError, SpecError

SCHEMA = "modiste.split/1"
_MIN_PER_CLASS = 3  # one to validate on, and two, of which augmentation or k-fold may need both


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in the training part, each in one of two sets, both in ascending order.

    Order means nothing here: training shuffles by a generator of its own.
    """

    train_indices: LabelsN
    val_indices: LabelsN
    split_seed: int

    def __post_init__(self) -> None:
        both = np.concatenate([self.train_indices, self.val_indices])
        if not len(self.train_indices) or not len(self.val_indices):
            raise DataError("a split needs training and validation images; one set is empty.")
        if both.min() < 0 or len(np.unique(both)) < len(both):
            raise DataError("a split uses each position once; this one repeats some.")
        if any((np.diff(part) <= 0).any() for part in (self.train_indices, self.val_indices)):
            raise DataError("the positions of a split stand in ascending order; these do not.")

    @property
    def digest(self) -> str:
        """SHA-256 of both sets of positions; equal digest, equal division of the same images."""
        sha = hashlib.sha256()
        for part in (self.train_indices, self.val_indices):
            sha.update(f"{len(part)}:".encode() + np.ascontiguousarray(part, "<i8").tobytes())
        return sha.hexdigest()

    def apply(self, images: ImageSet) -> tuple[ImageSet, ImageSet]:
        """The training and the validation images, roles `train` and `val`.

        Raises:
            DataError: If the split is of a larger set than this.
        """
        last = max(int(self.train_indices[-1]), int(self.val_indices[-1]))
        if last >= len(images):
            raise DataError(
                f"the split uses position {last:,}, but there are {len(images):,} images: it "
                "belongs to another data set."
            )
        return images.take(self.train_indices, "train"), images.take(self.val_indices, "val")

    def save(self, path: Path) -> None:
        """Write it as JSON: both lists of positions, the seed, the digest."""
        content = {
            "schema": SCHEMA,
            "split_seed": self.split_seed,
            "digest": self.digest,
            "num_train": len(self.train_indices),
            "num_val": len(self.val_indices),
            "train_indices": self.train_indices.tolist(),
            "val_indices": self.val_indices.tolist(),
        }
        write_whole(path, (json.dumps(content, separators=(",", ":")) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote.

        Raises:
            DataError: If it is missing, damaged, or no longer what was saved.
        """
        try:
            content: Any = json.loads(path.read_bytes())
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
        except ValueError:  # JSON and UTF-8 errors derive from it
            raise DataError(f"{path}: damaged: not JSON text.") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise DataError(f"{path}: not a split; expected schema {SCHEMA!r}.")
        try:
            train, val = (_indices(content[f"{part}_indices"]) for part in ("train", "val"))
            split = cls(train, val, int(content["split_seed"]))
        except KeyError as error:
            raise DataError(f"{path}: damaged: no key {error}.") from None
        except (TypeError, ValueError, OverflowError):
            raise DataError(f"{path}: damaged: positions or seed are no whole numbers.") from None
        except DataError as error:
            raise DataError(f"{path}: damaged: {error}") from None
        if split.digest != content.get("digest"):
            raise DataError(f"{path}: damaged: its digest does not match its positions.")
        return split


def _indices(values: object) -> LabelsN:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise TypeError
    return np.array(values, np.int64)


def stratified(labels_N: LabelsN, num_val: int, split_seed: int) -> Split:
    """Divide so that every class has its share of the validation images.

    A class's share is `num_val` times its part of all images, rounded so that the sum is right
    (largest remainders first, then lower labels), at least 1 and at most all but 1. Of 60,000
    images in ten equal classes, 12,000 are 1,200 of each.

    Args:
        labels_N: Labels of the training part.
        num_val: Validation images.
        split_seed: Another seed draws other images.

    Raises:
        SpecError: If so many, or so few, validation images cannot be had.
        DataError: If a class has fewer than 3 images.

    Example:
        >>> split = stratified(np.repeat(np.arange(3), 10), num_val=6, split_seed=0)
        >>> len(split.train_indices), len(split.val_indices)
        (24, 6)
    """
    if split_seed < 0:
        raise SpecError(f"data.split_seed: {split_seed} is below 0.")
    counts_K = np.bincount(labels_N)
    scarce = np.flatnonzero(counts_K < _MIN_PER_CLASS)
    if not len(labels_N) or len(scarce):
        which = f"class {scarce[0]} has {counts_K[scarce[0]]} image(s)" if len(scarce) else "none"
        raise DataError(
            f"a stratified split needs {_MIN_PER_CLASS} images of each class; {which}. Leave the "
            "class out (labels without gaps), or add images."
        )
    shares_K = _shares(counts_K, num_val)
    is_val = np.zeros(len(labels_N), bool)
    for label, share in enumerate(shares_K):
        order = seeds.generator(split_seed, "split", label).permutation(counts_K[label])
        is_val[np.flatnonzero(labels_N == label)[order[:share]]] = True
    return Split(np.flatnonzero(~is_val), np.flatnonzero(is_val), split_seed)


def _shares(counts_K: LabelsN, num_val: int) -> list[int]:
    num_images, num_classes = int(counts_K.sum()), len(counts_K)
    if not num_classes <= num_val <= num_images - num_classes:
        raise SpecError(
            f"data.num_val: {num_val:,} of {num_images:,} images in {num_classes} classes; each "
            f"class needs one to validate on and one to train on: {num_classes:,} to "
            f"{num_images - num_classes:,}."
        )
    counts = [int(count) for count in counts_K]
    shares = [min(max(count * num_val // num_images, 1), count - 1) for count in counts]
    # What is owed to a class, times num_images: whole numbers, so ties are ties everywhere.
    while (left := num_val - sum(shares)) != 0:
        owed = [c * num_val - s * num_images for c, s in zip(counts, shares, strict=True)]
        if left > 0:
            free = [k for k in range(num_classes) if shares[k] < counts[k] - 1]
            shares[max(free, key=lambda k: (owed[k], -k))] += 1
        else:
            free = [k for k in range(num_classes) if shares[k] > 1]
            shares[min(free, key=lambda k: (owed[k], -k))] -= 1
    return shares
