"""Which images of a fit are held back to choose by, however few there are."""

from __future__ import annotations

import numpy as np

from modiste import seeds
from modiste.data.split import MIN_PER_CLASS, Split, stratified
from modiste.data.types import LabelsN
from modiste.errors import InputError

# The loss of fewer images than this is noise: nothing is chosen by it. Ten answers of each of two
# classes tell an accuracy to about 10 points.
FEWEST_TO_CHOOSE_BY = 20


def hold_back(labels_N: LabelsN, share: float, seed: int) -> Split:
    """Divide so that about `share` of the images validate, and every class is trained on.

    1. Of classes with three images or more, about `share`, the same of each, and one at least.
    2. A class of one or two images is trained on alone: what is learnt of it, nobody checks.
    3. Where no class has three images, a single one validates, of a class that has two.

    Args:
        labels_N: 0 to K - 1, each at least once.
        share: Of the images, between 0 and 1.
        seed: Of the division.

    Raises:
        InputError: If every class has one image only.

    Example:
        >>> hold_back(np.repeat([0, 1], [8, 2]), 0.1, seed=0).val_indices.size
        1
    """
    counts_K = np.bincount(labels_N)
    able = np.flatnonzero(counts_K >= MIN_PER_CLASS)
    if not len(able):
        return _one_image(labels_N, counts_K, seed)
    places = np.flatnonzero(np.isin(labels_N, able))
    # Labels without gaps, as `stratified` asks for.
    within = stratified(
        np.searchsorted(able, labels_N[places]), num_held_back(len(places), len(able), share), seed
    )
    val_indices = places[within.val_indices]
    return Split(np.setdiff1d(np.arange(len(labels_N)), val_indices), val_indices, seed)


def num_held_back(num_images: int, num_classes: int, share: float) -> int:
    """How many images of so many validate: each class needs one here and one to train on."""
    return min(max(round(share * num_images), num_classes), num_images - num_classes)


def _one_image(labels_N: LabelsN, counts_K: LabelsN, seed: int) -> Split:
    if counts_K.max() < 2:
        raise InputError(
            f"y: each of the {len(counts_K)} classes has one image only, and none could be held "
            "back to validate by. Give two images of some class at least."
        )
    places = np.flatnonzero(labels_N == counts_K.argmax())
    held = places[[seeds.generator(seed, "split", 0).integers(len(places))]]
    return Split(np.setdiff1d(np.arange(len(labels_N)), held), held, seed)
