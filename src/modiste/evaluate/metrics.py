"""What saved predictions say about a model: pure functions of NumPy arrays.

Letters: N images, K classes, S seeds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError

FloatsNK = npt.NDArray[np.floating]
FloatsK = npt.NDArray[np.float64]
LabelsN = npt.NDArray[np.integer]
CountsKK = npt.NDArray[np.int64]


def probabilities(logits_NK: FloatsNK) -> npt.NDArray[np.float64]:
    """Softmax of each row, computed in float64.

    Example:
        >>> probabilities(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    shifted = logits_NK.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
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
