"""Everything one says about a model's answers, each figure with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.evaluate.bootstrap import bootstraps
from modiste.evaluate.intervals import Interval, macro_f1_interval, wilson
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


# Wrong answers below which resampling knows nothing of loss and Brier score: a few images make up
# most of the mean, and none of them may be in the sample.
FEWEST_WRONG = 5


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval for the choice of images; none where these cannot tell it."""

    value: float
    interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: ``value``, none if infinite, and ``interval``, none if not known."""
        return {
            "value": self.value if math.isfinite(self.value) else None,
            "interval": None if self.interval is None else list(self.interval),
        }


@dataclass(frozen=True)
class Summary:
    """What `summarise` found.

    Attributes:
        accuracy: Share of right answers; Wilson's interval.
        top_two: Share where the right class is among the two highest; Wilson's interval.
        macro_f1: Mean of the F1 of the classes that occur or were answered. Where one of them has
            no error or no hit, the interval also spans that of `macro_f1_interval`.
        loss: Mean cross-entropy, nats; infinite if a right class was given a probability of 0.
            Without an interval then, and where fewer than five answers are wrong.
        brier: Mean Brier score, 0 to 2. Without an interval where fewer than five are wrong.
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

    Raises:
        DataError: If there are no images, or a row of logits is no answer: see `probabilities`.
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
        occur_B = np.maximum((whole_BK > 0).sum(axis=1), 1)
        return np.asarray(np.nansum(f1_of(right_BK, whole_BK), axis=1) / occur_B, np.float64)

    def mean(sums_BM: Floats) -> Floats:
        return np.asarray(sums_BM[:, 0] / num_images, np.float64)

    losses_N, briers_N = losses(logits_NK, labels_N), briers(shares_NK, labels_N)
    is_right_N = shares_NK.argmax(axis=1) == labels_N
    questions = {"macro_f1": (parts_NM, macro)}
    if np.sum(~is_right_N) >= FEWEST_WRONG:
        questions["brier"] = (briers_N[:, np.newaxis], mean)
        if np.isfinite(losses_N).all():
            questions["loss"] = (losses_N[:, np.newaxis], mean)
    found = bootstraps([*questions.values()], num_resamples=num_resamples)
    drawn = dict(zip(questions, found, strict=True))
    accuracy = _share(is_right_N)
    calibrated = calibration(shares_NK.max(axis=1), is_right_N)
    total_M = parts_NM.sum(axis=0)
    return Summary(
        accuracy=accuracy,
        top_two=_share(in_top(logits_NK, labels_N)),
        macro_f1=Figure(
            float(macro(total_M[np.newaxis])[0]),
            _spanned(drawn["macro_f1"], total_M.astype(np.int64), accuracy),
        ),
        loss=Figure(float(losses_N.mean()), drawn.get("loss")),
        brier=Figure(float(briers_N.mean()), drawn.get("brier")),
        calibration_error=Figure(calibrated.error, calibrated.interval),
        calibration=calibrated,
    )


def _spanned(drawn: Interval, total_M: npt.NDArray[np.int64], accuracy: Figure) -> Interval:
    """Of macro F1: with what resampling cannot know, where a class has no error or no hit."""
    right_K, whole_K = np.split(total_M, 2)
    occurs_K = whole_K > 0
    if not (occurs_K & ((right_K == 0) | (2 * right_K == whole_K))).any():
        return drawn
    spans = [drawn, macro_f1_interval(right_K, whole_K)]
    # Of right answers alone, or wrong ones alone, it is no surer than the accuracy.
    if accuracy.interval is not None and accuracy.value in (0, 1):
        spans.append(accuracy.interval)
    return Interval(min(each.low for each in spans), max(each.high for each in spans))


def _share(is_right_N: npt.NDArray[np.bool_]) -> Figure:
    right, total = int(is_right_N.sum()), len(is_right_N)
    return Figure(right / total, wilson(right, total))
