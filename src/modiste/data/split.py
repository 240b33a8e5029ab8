"""How training images are divided into those that fit and those that choose.

For each class the images are shuffled by a generator of their own, and the first of them become
the validation part. So a split depends on the labels, the number of validation images and the
seed alone, and one with more validation images contains one with fewer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modiste import seeds
from modiste.atomic import write_whole
from modiste.data.types import ImageSet, LabelsN
from modiste.errors import DataError, SpecError

SCHEMA = "modiste.split/1"
# One to validate on, and two to learn from, of which augmentation or k-fold may need both.
MIN_PER_CLASS = 3


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in the training part, each in one set, all in ascending order.

    Order means nothing here: training shuffles by a generator of its own.

    Attributes:
        train_indices: To fit.
        val_indices: To choose by, and to stop by.
        split_seed: Of the division.
        held_indices: A fold that neither may use; empty without cross-validation.
    """

    train_indices: LabelsN
    val_indices: LabelsN
    split_seed: int
    held_indices: LabelsN = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        both = np.concatenate([self.train_indices, self.val_indices, self.held_indices])
        if not len(self.train_indices) or not len(self.val_indices):
            raise DataError("a split needs training and validation images; one set is empty.")
        if both.min() < 0 or len(np.unique(both)) < len(both):
            raise DataError("a split uses each position once; this one repeats some.")
        if any((np.diff(part) <= 0).any() for part in self._parts):
            raise DataError("the positions of a split stand in ascending order; these do not.")

    @property
    def _parts(self) -> list[LabelsN]:
        held = [self.held_indices] if len(self.held_indices) else []
        return [self.train_indices, self.val_indices, *held]

    @property
    def digest(self) -> str:
        """SHA-256 of the sets of positions; equal digest, equal division of the same images."""
        sha = hashlib.sha256()
        for part in self._parts:
            sha.update(f"{len(part)}:".encode() + np.ascontiguousarray(part, "<i8").tobytes())
        return sha.hexdigest()

    def apply(self, images: ImageSet) -> tuple[ImageSet, ImageSet]:
        """The training and the validation images, roles `train` and `val`.

        Raises:
            DataError: If the split is of a larger set than this.
        """
        last = max(int(part[-1]) for part in self._parts)
        if last >= len(images):
            raise DataError(
                f"the split uses position {last:,}, but there are {len(images):,} images: it "
                "belongs to another data set."
            )
        return images.take(self.train_indices, "train"), images.take(self.val_indices, "val")

    def save(self, path: Path) -> None:
        """Write it as JSON: the lists of positions, the seed, the digest."""
        content = {
            "schema": SCHEMA,
            "split_seed": self.split_seed,
            "digest": self.digest,
            "num_train": len(self.train_indices),
            "num_val": len(self.val_indices),
            "train_indices": self.train_indices.tolist(),
            "val_indices": self.val_indices.tolist(),
            "held_indices": self.held_indices.tolist(),
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
            held = _indices(content.get("held_indices", []))
            split = cls(train, val, int(content["split_seed"]), held)
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
    scarce = np.flatnonzero(counts_K < MIN_PER_CLASS)
    if not len(labels_N) or len(scarce):
        which = f"class {scarce[0]} has {counts_K[scarce[0]]} image(s)" if len(scarce) else "none"
        raise DataError(
            f"a stratified split needs {MIN_PER_CLASS} images of each class; {which}. Leave the "
            "class out (labels without gaps), or add images."
        )
    shares_K = _shares(counts_K, num_val)
    is_val = np.zeros(len(labels_N), bool)
    for label, share in enumerate(shares_K):
        order = seeds.generator(split_seed, "split", label).permutation(counts_K[label])
        is_val[np.flatnonzero(labels_N == label)[order[:share]]] = True
    return Split(np.flatnonzero(~is_val), np.flatnonzero(is_val), split_seed)


def held_out(labels_N: LabelsN, folds: int, fold: int, split_seed: int) -> LabelsN:
    """The positions of one of several folds, each with its share of every class.

    Each class is shuffled by a generator of its own and dealt out in turn, so that folds differ
    by one image of a class at most, and together hold every image once.

    Args:
        labels_N: Labels of the training part.
        folds: How many there are.
        fold: Which of them, from 0.
        split_seed: Another seed deals otherwise.

    Raises:
        SpecError: If a fold could not have an image of each class.

    Example:
        >>> held_out(np.repeat(np.arange(2), 6), folds=3, fold=0, split_seed=0).size
        4
    """
    counts_K = np.bincount(labels_N)
    if not 2 <= folds <= counts_K.min():
        raise SpecError(
            f"data.folds: {folds}; every fold needs an image of each class, and the smallest class "
            f"has {counts_K.min()}: expected 2 to {counts_K.min()}."
        )
    if not 0 <= fold < folds:
        raise SpecError(f"data.fold: {fold} of {folds} folds; expected 0 to {folds - 1}.")
    is_held = np.zeros(len(labels_N), bool)
    for label, count in enumerate(counts_K):
        order = seeds.generator(split_seed, "fold", label).permutation(count)
        is_held[np.flatnonzero(labels_N == label)[order[fold::folds]]] = True
    return np.flatnonzero(is_held)


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
