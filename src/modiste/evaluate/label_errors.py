"""Labels that are probably wrong: confident learning on out-of-fold probabilities.

A model that never saw an image says what it takes it for. Where it is as sure of another class as
it is, on average, of the images that bear that class's label, the label is suspect. A suspect is
no verdict: some images belong to two classes, and some are only hard for a small model.

Source:
    C. G. Northcutt, L. Jiang, I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
    Labels", JAIR 70 (2021) 1373-1411, doi:10.1613/jair.1.12125, equations 1 to 3.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from modiste import seeds
from modiste.data.types import LabelsN
from modiste.errors import DataError

if TYPE_CHECKING:
    from sklearn.neural_network import MLPClassifier

FloatsND = npt.NDArray[np.floating]
FloatsNK = npt.NDArray[np.float64]
FloatsK = npt.NDArray[np.float64]
BoolsN = npt.NDArray[np.bool_]
CountsKK = npt.NDArray[np.int64]

NUM_FOLDS = 5
# One hidden layer of 256, 20 epochs: 0.89 on Fashion-MNIST in six seconds a fold. Of the models
# tried it found most of the errors we had planted; see LOG.md, 2026-11-22.
_HIDDEN = (256,)
_BATCH_SIZE = 256
_EPOCHS = 20
_LEAST_STEPS = 500  # a few hundred images need more epochs
_L2 = 1e-3
_SPREAD = 10.0  # root of the summed variances that features are scaled to


@dataclass(frozen=True, eq=False)
class Suspects:
    """M images whose label is doubted, the most doubtful first.

    Attributes:
        positions_M: Which images.
        suggested_M: The class they were taken for.
        thresholds_K: How sure the model is, on average, of the images labelled with each class.
        joint_KK: Images by given label (row) and the class they confidently belong to (column);
            the suspects are those beside the diagonal. Images of no confident class are in none.
    """

    positions_M: LabelsN
    suggested_M: LabelsN
    thresholds_K: FloatsK
    joint_KK: CountsKK

    def __len__(self) -> int:
        return len(self.positions_M)


def suspects(probabilities_NK: FloatsNK, labels_N: LabelsN) -> Suspects:
    """Images that confidently belong to another class than their label's.

    They are ordered by the margin: the probability of the given label, less that of the class
    they were taken for.

    Args:
        probabilities_NK: Of a model that was not trained on the image of the row.
        labels_N: As given.

    Raises:
        DataError: If there is not one row for each label.

    Example:
        >>> chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]])
        >>> found = suspects(chances, np.array([0, 0, 1, 1, 1]))
        >>> found.positions_M.tolist(), found.suggested_M.tolist(), found.joint_KK.tolist()
        ([], [], [[1, 0], [0, 2]])
        >>> found = suspects(chances, np.array([0, 0, 1, 1, 0]))
        >>> found.positions_M.tolist(), found.suggested_M.tolist(), found.joint_KK.tolist()
        ([4, 3], [1, 0], [[2, 1], [1, 1]])
    """
    num_images, num_classes = probabilities_NK.shape
    if labels_N.shape != (num_images,) or not num_images:
        raise DataError(f"{num_images} rows of probabilities do not belong to {labels_N.shape}.")
    rows = np.arange(num_images)
    own_N = probabilities_NK[rows, labels_N]
    counts_K = np.bincount(labels_N, minlength=num_classes)
    sums_K = np.bincount(labels_N, own_N, minlength=num_classes)
    # A class without images, or that the model never thinks of, is nobody's confident class.
    thresholds_K = np.full(num_classes, np.inf)
    np.divide(sums_K, counts_K, out=thresholds_K, where=sums_K > 0)
    passing_NK = np.where(probabilities_NK >= thresholds_K, probabilities_NK, -1.0)
    taken_N = passing_NK.argmax(axis=1)
    is_sure_N = passing_NK[rows, taken_N] >= 0
    cells = (labels_N * num_classes + taken_N)[is_sure_N]
    joint_KK = np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    found = np.flatnonzero(is_sure_N & (taken_N != labels_N))
    margins = own_N[found] - probabilities_NK[found, taken_N[found]]
    found = found[np.argsort(margins, kind="stable")]
    return Suspects(found, taken_N[found], thresholds_K, joint_KK)


def out_of_fold(
    features_ND: FloatsND, labels_N: LabelsN, groups_N: LabelsN, num_classes: int, seed: int = 0
) -> FloatsNK:
    """Probabilities for each image from a small net that was trained on the other folds.

    Args:
        features_ND: Such as principal components; at least two images.
        labels_N: As given, and learnt as given.
        groups_N: Images of one group go into one fold: else a duplicate with the same wrong label
            would bear it out.
        num_classes: K.
        seed: Of the folds and the nets.

    Returns:
        N x K; a class that no other fold holds has the probability 0.

    Raises:
        DataError: If a fold leaves images of one class only to learn from.
    """
    folds_N = _folds(labels_N, groups_N, seed)
    spread = math.sqrt(float(features_ND.var(axis=0, dtype=np.float64).sum()))
    scaled_ND = (features_ND * (_SPREAD / spread if spread else 1.0)).astype(np.float32)
    answer = np.zeros((len(labels_N), num_classes))
    for fold in np.unique(folds_N):
        is_held_out = folds_N == fold
        if len(np.unique(labels_N[~is_held_out])) < 2:
            raise DataError(
                f"{len(labels_N):,} images, in {len(np.unique(groups_N)):,} groups (those taken "
                "for duplicates of one another are one group), are too few to learn from some "
                "what the others are: whatever fold of them is held out, images of two classes "
                "must be left. More images of each class would do, or a lower closeness "
                "(--closeness), which takes fewer for duplicates."
            )
        net = _fit(scaled_ND[~is_held_out], labels_N[~is_held_out], seed)
        answer[np.ix_(is_held_out, net.classes_)] = net.predict_proba(scaled_ND[is_held_out])
    return answer


def _folds(labels_N: LabelsN, groups_N: LabelsN, seed: int) -> LabelsN:
    """A fold for each image: groups dealt out in random order, class after class.

    A group counts for the class of its first image.
    """
    _, first, group_N = np.unique(groups_N, return_index=True, return_inverse=True)
    shuffled = seeds.generator(seed, "folds").permutation(len(first))
    order = shuffled[np.argsort(labels_N[first[shuffled]], kind="stable")]
    folds = np.empty(len(first), np.int64)
    folds[order] = np.arange(len(first)) % min(NUM_FOLDS, len(first))
    return np.asarray(folds[group_N], np.int64)


def _fit(features_ND: FloatsND, labels_N: LabelsN, seed: int) -> MLPClassifier:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    batch_size = min(_BATCH_SIZE, len(labels_N))
    steps_per_epoch = -(-len(labels_N) // batch_size)
    net = MLPClassifier(
        _HIDDEN,
        batch_size=batch_size,
        alpha=_L2,
        max_iter=max(_EPOCHS, -(-_LEAST_STEPS // steps_per_epoch)),
        random_state=seeds.derive(seed, "audit") % 2**32,
    )
    with warnings.catch_warnings():
        # It stops after a fixed number of epochs on purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return net.fit(features_ND, labels_N)
