"""What saved predictions say about a model: pure functions of NumPy arrays.

Letters: N images, K classes, S seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError

FloatsNK = npt.NDArray[np.floating]
FloatsK = npt.NDArray[np.float64]
FloatsN = npt.NDArray[np.float64]
LabelsN = npt.NDArray[np.integer]
CountsKK = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def probabilities(logits_NK: FloatsNK) -> npt.NDArray[np.float64]:
    """Softmax of each row, computed in float64.

    Raises:
        DataError: If a row holds a NaN or infinity, or nothing but minus infinity, which is the
            logarithm of 0.

    Example:
        >>> probabilities(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    powers = np.exp(_shifted(logits_NK))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)


def accuracy(predicted_N: LabelsN, labels_N: LabelsN) -> float:
    """Share of right answers, a proportion.

    Example:
        >>> accuracy(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0]))
        0.75
    """
    _check(predicted_N, labels_N)
    return float(np.mean(predicted_N == labels_N))


def confusion(predicted_N: LabelsN, labels_N: LabelsN, num_classes: int) -> CountsKK:
    """Images of each true class (row) by the class they were taken for (column).

    Example:
        >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    _check(predicted_N, labels_N)
    outside = (min(int(predicted_N.min()), int(labels_N.min())) < 0) or (
        max(int(predicted_N.max()), int(labels_N.max())) >= num_classes
    )
    if outside:
        raise DataError(f"labels or predictions lie outside 0 to {num_classes - 1}.")
    cells = labels_N.astype(np.int64) * num_classes + predicted_N
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def recall(counts_KK: CountsKK) -> FloatsK:
    """Of the images of each class, the share that was found; NaN for a class without images.

    Example:
        >>> recall(np.array([[3, 1], [0, 0]])).tolist()
        [0.75, nan]
    """
    return _share(np.diag(counts_KK), counts_KK.sum(axis=1))


def precision(counts_KK: CountsKK) -> FloatsK:
    """Of the images taken for each class, the share that belong to it; NaN if none was.

    Example:
        >>> precision(np.array([[3, 1], [1, 1]])).tolist()
        [0.75, 0.5]
    """
    return _share(np.diag(counts_KK), counts_KK.sum(axis=0))


def f1(counts_KK: Numbers) -> FloatsK:
    """Harmonic mean of recall and precision of each class; 0 where nothing was right.

    NaN for a class that neither occurs nor was answered.

    Args:
        counts_KK: From `confusion`, or weights in their place; several, stacked before K x K,
            work as well.

    Example:
        >>> f1(np.array([[3, 1], [1, 1]])).tolist()
        [0.75, 0.5]
    """
    right = np.diagonal(counts_KK, axis1=-2, axis2=-1)
    return f1_of(right, counts_KK.sum(axis=-1) + counts_KK.sum(axis=-2))


def f1_of(right_K: npt.NDArray[Any], whole_K: npt.NDArray[Any]) -> FloatsK:
    """F1 from what was right of each class, and what is of it plus what was called so.

    Example:
        >>> f1_of(np.array([3, 0]), np.array([8, 0])).tolist()
        [0.75, nan]
    """
    shares = np.full(whole_K.shape, np.nan)
    np.divide(2 * right_K, whole_K, out=shares, where=whole_K > 0)
    return shares


def losses(logits_NK: FloatsNK, labels_N: LabelsN) -> FloatsN:
    """Cross-entropy of each image in nats: minus the logarithm of the right class's probability.

    It is infinite where that is 0.

    Raises:
        DataError: As `probabilities` does.

    Example:
        >>> losses(np.array([[0.0, 0.0]]), np.array([0])).round(4).tolist()
        [0.6931]
    """
    shifted = _shifted(logits_NK)
    own_N = shifted[np.arange(len(labels_N)), labels_N]
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - own_N, np.float64)


def briers(shares_NK: FloatsNK, labels_N: LabelsN) -> FloatsN:
    """Brier score of each image: squared distance of its probabilities from the truth, 0 to 2.

    Source:
        G. W. Brier, Monthly Weather Review 78 (1950) 1-3; the sum is over all classes.

    Example:
        >>> briers(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0])).tolist()
        [0.5, 0.0]
    """
    own_N = shares_NK[np.arange(len(labels_N)), labels_N]
    return np.asarray((shares_NK**2).sum(axis=1) - 2 * own_N + 1, np.float64)


def in_top(logits_NK: FloatsNK, labels_N: LabelsN, k: int = 2) -> npt.NDArray[np.bool_]:
    """Whether the right class is among the `k` highest scores of each image.

    Of equal scores the first is taken for the higher, as the answer is by `argmax`.

    Example:
        >>> in_top(np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), np.array([1, 2])).tolist()
        [True, False]
    """
    own_N1 = logits_NK[np.arange(len(labels_N)), labels_N][:, np.newaxis]
    is_before_NK = np.arange(logits_NK.shape[1]) < labels_N[:, np.newaxis]
    is_higher_NK = (logits_NK > own_N1) | ((logits_NK == own_N1) & is_before_NK)
    return np.asarray(is_higher_NK.sum(axis=1) < k)


def _shifted(logits_NK: FloatsNK) -> npt.NDArray[np.float64]:
    """Each row less its highest, so that no power is too large for a float."""
    shifted = logits_NK.astype(np.float64)
    highest_N1 = shifted.max(axis=1, keepdims=True)
    is_answer_N = np.isfinite(highest_N1[:, 0])
    if not is_answer_N.all():
        row = int(np.flatnonzero(~is_answer_N)[0])
        raise DataError(
            f"scores of image {row}: {', '.join(map(str, logits_NK[row, :5].tolist()))}, and no "
            "probabilities come of NaN, of infinity, or where every class has minus infinity. "
            "Expected numbers, or minus infinity for a class that is ruled out."
        )
    shifted -= highest_N1
    return shifted


def _share(part_K: npt.NDArray[np.int64], whole_K: npt.NDArray[np.int64]) -> FloatsK:
    shares = np.full(len(part_K), np.nan)
    np.divide(part_K, whole_K, out=shares, where=whole_K > 0)
    return shares


def _check(predicted_N: LabelsN, labels_N: LabelsN) -> None:
    if predicted_N.shape != labels_N.shape or predicted_N.ndim != 1 or not len(labels_N):
        raise DataError(
            f"{predicted_N.shape} predictions do not belong to {labels_N.shape} labels; "
            "one of each is needed for every image, and at least one image."
        )
