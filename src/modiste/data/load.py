"""From a data spec to the images that a run may see. There is no test part here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modiste.data.preprocess import Preprocess, fit
from modiste.data.source import SOURCES
from modiste.data.split import Split, stratified
from modiste.data.types import ImageSet
from modiste.errors import SpecError
from modiste.spec.run import DataSpec


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a run may see: `train` fits, `val` chooses.

    Attributes:
        spec: How they were divided.
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


def load_source(name: str, folder: Path | None) -> ImageSet:
    """All images of a source that may be trained on.

    Raises:
        SpecError: If no source has that name.
        DataError: If its images cannot be had.
    """
    return SOURCES.get(name)(folder).load_train()


def divide(images: ImageSet, spec: DataSpec, data_digest: str | None = None) -> TrainingData:
    """The images of a source divided and measured as a spec says.

    Args:
        images: All that may be trained on.
        spec: How they are divided.
        data_digest: Of `images`, where it is known.
    """
    split = stratified(images.labels_N, spec.num_val, spec.split_seed)
    if spec.num_train is not None and spec.num_train < len(split.train_indices):
        labels_N = images.labels_N[split.train_indices]
        least, most = images.num_classes, len(labels_N) - images.num_classes
        if not least <= spec.num_train <= most:
            raise SpecError(
                f"data.num_train: {spec.num_train:,} of the {len(labels_N):,} images that are left "
                f"to train on; expected {least:,} to {most:,}, or all of them."
            )
        rest = stratified(labels_N, spec.num_train, spec.split_seed)
        kept = split.train_indices[rest.val_indices]
        split = Split(kept, split.val_indices, spec.split_seed)
    train, val = split.apply(images)
    known = data_digest or images.digest
    preprocess = fit(train.images_NCHW, spec.scaling)
    return TrainingData(spec, train, val, known, split, preprocess, images)


def save_arrays(images: ImageSet, folder: Path) -> None:
    """Decoded arrays as files that several processes can map into memory without a copy each."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images.images_NCHW)
    np.save(folder / "labels.npy", images.labels_N)
    (folder / "classes.txt").write_text("\n".join(images.class_names), encoding="utf-8")


def map_arrays(folder: Path) -> ImageSet:
    """What `save_arrays` wrote, mapped: the pages are shared by all who map them."""
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    names = (folder / "classes.txt").read_text(encoding="utf-8").split("\n")
    return ImageSet(images, labels, tuple(names), np.arange(len(labels)), "train")
