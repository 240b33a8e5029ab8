"""Several models as one: the mean of their probabilities, and what it adds.

Letters: N images, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax, logsumexp

from modiste.errors import DataError
from modiste.evaluate.intervals import Difference, share_difference
from modiste.evaluate.metrics import FloatsNK, LabelsN, briers, losses, probabilities
from modiste.evaluate.summary import Summary, summarise


class Scores(NamedTuple):
    """What one model said of each image: right or wrong, its loss in nats, its Brier score."""

    right_N: npt.NDArray[np.float64]
    losses_N: npt.NDArray[np.float64]
    briers_N: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """Figures of the ensemble less those of what it is compared with, on the same images.

    A higher accuracy is better, and so are a lower loss and a lower Brier score. Standard errors
    are paired over the images, and cover those alone: the models are taken as they are. A loss
    that is infinite on either side has no difference: NaN.
    """

    accuracy: Difference
    loss: Difference
    brier: Difference


@dataclass(frozen=True)
class Ensemble:
    """What `evaluate_together` found.

    Attributes:
        figures: Of the ensemble, as of any model.
        best: Which of its members is the best single one.
        best_figures: Of that one.
        over_best: What the ensemble adds to it.
        over_mean: What it adds to one of its members in the mean.
    """

    figures: Summary
    best: int
    best_figures: Summary
    over_best: Gain
    over_mean: Gain


def together(members: Sequence[FloatsNK]) -> npt.NDArray[np.float64]:
    """Logarithms of the mean of the members' probabilities, N x K.

    They serve wherever logits do; softmax gives the mean back.

    Args:
        members: Logits of each, N x K, of the same images in the same order.

    Raises:
        DataError: If there is no member, or their shapes differ.

    Example:
        >>> one, two = np.log([[0.9, 0.1]]), np.log([[0.5, 0.5]])
        >>> probabilities(together([one, two])).round(4).tolist()
        [[0.7, 0.3]]
    """
    shapes = {member.shape for member in members}
    if len(shapes) != 1:
        raise DataError(
            f"answers of shapes {sorted(shapes)} cannot be averaged: one row for each image and "
            "one column for each class is needed of every model, and at least one model."
        )
    logs = [log_softmax(member.astype(np.float64), axis=1) for member in members]
    return np.asarray(logsumexp(np.stack(logs), axis=0) - math.log(len(logs)), np.float64)


def evaluate_together(members: Sequence[FloatsNK], labels_N: LabelsN, best: int) -> Ensemble:
    """The mean of the members' probabilities, evaluated like any model, beside the best of them.

    Args:
        members: Logits of each, of the same images in the same order.
        labels_N: The right classes.
        best: The member to compare with. Chosen by these very images it was lucky on them, and
            what the ensemble adds is then understated.

    Raises:
        DataError: If there is no member, their shapes differ, or there are no images.
    """
    logits_NK = together(members)
    if not len(labels_N) or len(labels_N) != len(logits_NK):
        raise DataError(f"{len(logits_NK)} answers do not belong to {len(labels_N)} labels.")
    scored = [_scores(member, labels_N) for member in members]
    mean = Scores(*(np.mean(figures, axis=0) for figures in zip(*scored, strict=True)))
    ours = _scores(logits_NK, labels_N)
    return Ensemble(
        figures=summarise(logits_NK, labels_N),
        best=best,
        best_figures=summarise(members[best], labels_N),
        over_best=_gain(ours, scored[best]),
        over_mean=_gain(ours, mean),
    )


def _scores(logits_NK: FloatsNK, labels_N: LabelsN) -> Scores:
    is_right_N = logits_NK.argmax(axis=1) == labels_N
    return Scores(
        is_right_N.astype(np.float64),
        losses(logits_NK, labels_N),
        briers(probabilities(logits_NK), labels_N),
    )


def _gain(ours: Scores, theirs: Scores) -> Gain:
    return Gain(
        share_difference(ours.right_N - theirs.right_N),
        _difference(ours.losses_N, theirs.losses_N),
        _difference(ours.briers_N, theirs.briers_N),
    )


def _difference(one_N: npt.NDArray[np.float64], two_N: npt.NDArray[np.float64]) -> Difference:
    if not (np.isfinite(one_N).all() and np.isfinite(two_N).all()):
        return Difference(math.nan, math.nan)
    by_image_N = one_N - two_N
    return Difference(
        float(by_image_N.mean()), float(by_image_N.std() / math.sqrt(len(by_image_N)))
    )
