"""The synthetic images with known faults: what an audit has to find, and all that it may find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from modiste.data.split import stratified
from tests.synthetic import NUM_CLASSES, draw, idx_bytes, write_gzip

NUM_TRAIN, NUM_TEST, NUM_VAL = 600, 200, 100


@dataclass(frozen=True)
class Planted:
    """Ids of images, positions in the training part.

    Attributes:
        folder: The four files.
        pairs: By kind, (validation image, its duplicate in training).
        conflict: Two training images that are equal and have different labels.
        flipped: Images whose label was changed.
        num_test: By kind, test images that are duplicates of training images.
    """

    folder: Path
    pairs: dict[str, tuple[int, int]]
    conflict: tuple[int, int]
    flipped: list[int]
    num_test: dict[str, int]


def near_copy(image_HW: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
    """The same picture after a little noise, three grey levels wide."""
    noise = np.random.default_rng(seed).normal(0, 3, image_HW.shape)
    return np.clip(image_HW + noise, 0, 255).round().astype(np.uint8)


def write_planted(folder: Path) -> Planted:
    """Write the faulty set; classes have no symmetry, so nothing is mirrored by chance."""
    folder.mkdir(parents=True, exist_ok=True)
    images_NHW, labels_N = draw(NUM_TRAIN, seed=0)
    chance = np.random.default_rng(5)
    flipped = sorted(chance.choice(NUM_TRAIN, 6, replace=False).tolist())
    labels_N[flipped] = (labels_N[flipped] + chance.integers(1, NUM_CLASSES, 6)) % NUM_CLASSES
    split = stratified(labels_N.astype(np.int64), NUM_VAL, 0)
    free = [
        [int(i) for i in part if i not in flipped]
        for part in (split.val_indices, split.train_indices)
    ]
    pairs = {}
    for label, kind in enumerate(("exact", "mirrored", "near", "near mirrored")):
        val, train = (next(i for i in part if labels_N[i] == label) for part in free)
        image_HW = images_NHW[train] if "near" not in kind else near_copy(images_NHW[train], label)
        images_NHW[val] = image_HW[:, ::-1] if "mirrored" in kind else image_HW
        pairs[kind] = (val, train)
    one, other = (next(i for i in free[1] if labels_N[i] == label) for label in (6, 8))
    images_NHW[other] = images_NHW[one]
    tests_NHW, test_labels_N = draw(NUM_TEST, seed=1)
    tests_NHW[3] = images_NHW[free[1][200]]
    tests_NHW[50] = near_copy(images_NHW[free[1][201]], 9)
    for name, images, labels in (
        ("train", images_NHW, labels_N),
        ("t10k", tests_NHW, test_labels_N),
    ):
        write_gzip(folder / f"{name}-images-idx3-ubyte.gz", idx_bytes(images))
        write_gzip(folder / f"{name}-labels-idx1-ubyte.gz", idx_bytes(labels))
    return Planted(folder, pairs, (one, other), flipped, {"exact": 1, "near": 1})
