"""Everything one says about a model's answers, each figure with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modiste.evaluate.bootstrap import bootstraps
from modiste.evaluate.intervals import Interval, wilson
from modiste.evaluate.metrics import (
    FloatsNK,
    LabelsN,
    briers,
    f1_of,
    in_top,
    losses,
    probabilities,
)
from modiste.evaluate.miscalibration import Calibration, calibration

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval for the choice of images."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Summary:
    """What `summarise` found.

    Attributes:
        accuracy: Share of right answers; Wilson's interval.
        top_two: Share where the right class is among the two highest; Wilson's interval.
        macro_f1: Mean of the classes' F1; where no answer is wrong, with the accuracy's interval.
        loss: Mean cross-entropy, nats.
        brier: Mean Brier score, 0 to 2.
        calibration_error: ECE, bins of equal width; its interval is that of the error that
            endless images would show.
        calibration: More of that.
    """

    accuracy: Figure
    top_two: Figure
    macro_f1: Figure
    loss: Figure
    brier: Figure
    calibration_error: Figure
    calibration: Calibration


def summarise(logits_NK: FloatsNK, labels_N: LabelsN, num_resamples: int = 1_000) -> Summary:
    """All figures of one model on one set of images.

    Args:
        logits_NK: Or logarithms of probabilities.
        labels_N: The right classes.
        num_resamples: Of the BCa bootstrap, for macro F1, loss and Brier score.
    """
    shares_NK = probabilities(logits_NK)
    num_images, num_classes = shares_NK.shape
    # All that F1 needs of a confusion matrix, in 2 K numbers for each image and not K x K: what
    # was right of each class, and what is or was called of it.
    is_own_NK, is_called_NK = (
        np.eye(num_classes)[rows] for rows in (labels_N, shares_NK.argmax(axis=1))
    )
    parts_NM = np.concatenate([is_own_NK * is_called_NK, is_own_NK + is_called_NK], axis=1)

    def macro(sums_BM: Floats) -> Floats:
        right_BK, whole_BK = np.split(sums_BM, 2, axis=1)
        return np.asarray(np.nanmean(f1_of(right_BK, whole_BK), axis=-1), np.float64)

    def mean(sums_BM: Floats) -> Floats:
        return np.asarray(sums_BM[:, 0] / num_images, np.float64)

    questions = [
        (parts_NM, macro),
        (losses(logits_NK, labels_N)[:, np.newaxis], mean),
        (briers(shares_NK, labels_N)[:, np.newaxis], mean),
    ]
    macro_f1, loss, brier = (
        Figure(float(work_out(features_NM.sum(axis=0)[np.newaxis])[0]), interval)
        for (features_NM, work_out), interval in zip(
            questions, bootstraps(questions, num_resamples=num_resamples), strict=True
        )
    )
    is_right_N = shares_NK.argmax(axis=1) == labels_N
    accuracy = _share(is_right_N)
    if is_right_N.all():  # samples of right answers alone say nothing of wrong ones
        macro_f1 = Figure(macro_f1.value, accuracy.interval)
    calibrated = calibration(shares_NK.max(axis=1), is_right_N)
    return Summary(
        accuracy=accuracy,
        top_two=_share(in_top(logits_NK, labels_N)),
        macro_f1=macro_f1,
        loss=loss,
        brier=brier,
        calibration_error=Figure(calibrated.error, calibrated.interval),
        calibration=calibrated,
    )


def _share(is_right_N: npt.NDArray[np.bool_]) -> Figure:
    right, total = int(is_right_N.sum()), len(is_right_N)
    return Figure(right / total, wilson(right, total))
