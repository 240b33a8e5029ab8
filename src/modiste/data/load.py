"""From a data spec to the images that a run may see. There is no test part here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modiste.data.preprocess import Preprocess, fit
from modiste.data.split import Split, held_out, stratified
from modiste.data.types import ImageSet, LabelsN
from modiste.errors import SpecError
from modiste.spec.run import DataSpec


@dataclass(frozen=True, eq=False, repr=False)
class TrainingData:
    """What a run may see: `train` fits, `val` chooses, and `held` judges.

    Attributes:
        spec: How they were divided.
        held: The fold that neither fitting nor choosing may use; none without cross-validation.
        digest: Of all the decoded images and labels of the source's training part.
        split: Which of them are which.
        preprocess: How pixels become numbers; worked out on `train` alone.
        source_images: All images that may be trained on, undivided.
    """

    spec: DataSpec
    train: ImageSet
    val: ImageSet
    digest: str
    split: Split
    preprocess: Preprocess
    source_images: ImageSet
    held: ImageSet | None = None

    def __repr__(self) -> str:
        held = "" if self.held is None else f", {len(self.held):,} held out"
        parts = f"{len(self.train):,} to train on, {len(self.val):,} to validate{held}"
        return (
            f"TrainingData({self.name!r}: images {self.train.sorts}; {parts}; "
            f"digest {self.digest[:12]}...)"
        )

    @property
    def name(self) -> str:
        """What people call the set; the source that it came from where nobody knows."""
        return self.source_images.name or self.spec.name


def divide(images: ImageSet, spec: DataSpec, data_digest: str | None = None) -> TrainingData:
    """The images of a source divided and measured as a spec says.

    Args:
        images: All that may be trained on.
        spec: How they are divided.
        data_digest: Of `images`, where it is known.
    """
    split = _given(images, spec) if images.num_given_val else _drawn(images, spec)
    held = split.held_indices
    if spec.num_train is not None and spec.num_train < len(split.train_indices):
        labels_N = images.labels_N[split.train_indices]
        least, most = images.num_classes, len(labels_N) - images.num_classes
        if not least <= spec.num_train <= most:
            raise SpecError(
                f"data.num_train: {spec.num_train:,} of the {len(labels_N):,} images that are left "
                f"to train on; expected {least:,} to {most:,}, or all of them."
            )
        rest = stratified(labels_N, spec.num_train, spec.split_seed)
        fewer = split.train_indices[rest.val_indices]
        split = Split(fewer, split.val_indices, spec.split_seed, held)
    return arrange(images, spec, split, data_digest)


def arrange(
    images: ImageSet,
    spec: DataSpec,
    split: Split,
    data_digest: str | None = None,
    dtype: str | None = None,
) -> TrainingData:
    """Images in the parts that a split says, and what their training part measures.

    Args:
        images: All that may be trained on.
        spec: How they were divided.
        split: Which of them are which.
        data_digest: Of `images`, where it is known.
        dtype: What the pixels were before they came here, if not what they are.
    """
    train, val = split.apply(images)
    known = data_digest or images.digest
    preprocess = fit(train.images_NCHW, spec.scaling, dtype)
    held = split.held_indices
    judge = images.take(held, "val") if len(held) else None
    return TrainingData(spec, train, val, known, split, preprocess, images, judge)


def _drawn(images: ImageSet, spec: DataSpec) -> Split:
    """A validation part drawn by chance, each class with its share."""
    every = np.arange(len(images))
    held = every[:0]
    if spec.folds is not None:
        held = held_out(images.labels_N, spec.folds, spec.fold, spec.split_seed)
    kept = np.setdiff1d(every, held)
    return _within(stratified(images.labels_N[kept], spec.num_val, spec.split_seed), kept, held)


def _given(images: ImageSet, spec: DataSpec) -> Split:
    """The validation part that the set came with."""
    number = images.num_given_val
    if spec.num_val != number:
        raise SpecError(
            f"data.num_val: {spec.num_val:,}, but the set came with a validation part of "
            f"{number:,} images, which is used: say data.num_val: {number}."
        )
    if spec.folds is not None:
        raise SpecError(
            f"data.folds: {spec.folds}, but the set came with a validation part, which is used. "
            "Put its images into the training part to deal out folds."
        )
    every = np.arange(len(images))
    return Split(every[:-number], every[-number:], spec.split_seed)


def usual_num_val(images: ImageSet) -> int:
    """Images to validate on where nobody says how many: those that the set came with, or a fifth.

    Example:
        >>> usual_num_val(ImageSet(np.zeros((60, 1, 2, 2), np.uint8), np.arange(60) % 2,
        ...     ("a", "b"), np.arange(60), "train"))
        12
    """
    return images.num_given_val or max(images.num_classes, len(images) // 5)


def _within(split: Split, kept: LabelsN, held: LabelsN) -> Split:
    """A split of the images that are kept, by their positions among all."""
    return Split(kept[split.train_indices], kept[split.val_indices], split.split_seed, held)


def save_arrays(images: ImageSet, folder: Path) -> None:
    """Decoded arrays as files that several processes can map into memory without a copy each."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images.images_NCHW)
    np.save(folder / "labels.npy", images.labels_N)
    about = {
        "class_names": images.class_names,
        "num_given_val": images.num_given_val,
        "name": images.name,
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def map_arrays(folder: Path) -> ImageSet:
    """What `save_arrays` wrote, mapped: the pages are shared by all who map them."""
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    return ImageSet(
        images,
        labels,
        tuple(about["class_names"]),
        np.arange(len(labels)),
        "train",
        about["num_given_val"],
        about["name"],
    )
