"""Whether a model's probabilities mean what they say, and one number that mends most of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError
from modiste.evaluate.metrics import FloatsN, FloatsNK, LabelsN, losses
from modiste.seeds import generator

NUM_BINS = 15
# A temperature outside of these is no calibration.
_COLDEST, _HOTTEST = 0.05, 20.0
# What fewer images say of it is noise.
_FEWEST_IMAGES = 20


class Reliability(NamedTuple):
    """Images in bins of confidence, the highest probability of each.

    Attributes:
        counts: Images in each bin.
        confidences: Mean confidence of each; NaN in an empty one.
        accuracies: Share of right answers of each; NaN in an empty one.
    """

    counts: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float64]
    accuracies: npt.NDArray[np.float64]


class Risk(NamedTuple):
    """Answering only what one is most sure of.

    Attributes:
        coverages: Share of the images that is answered, rising to 1.
        risks: Share of wrong answers among them.
    """

    coverages: npt.NDArray[np.float64]
    risks: npt.NDArray[np.float64]


def bins_of(confidences_N: FloatsN, num_bins: int = NUM_BINS) -> npt.NDArray[np.int64]:
    """Which bin of equal width from 0 to 1 each confidence falls into; 1 into the last."""
    return np.minimum((confidences_N * num_bins).astype(np.int64), num_bins - 1)


def reliability(shares_NK: FloatsNK, labels_N: LabelsN, num_bins: int = NUM_BINS) -> Reliability:
    """Confidence beside accuracy, in bins of equal width.

    Args:
        shares_NK: Probabilities.
        labels_N: The right classes.
        num_bins: From 0 to 1.

    Raises:
        DataError: If there are no images.
    """
    if not len(labels_N):
        raise DataError("no images to be confident about.")
    sums = bin_features(shares_NK, labels_N, num_bins).sum(axis=0).reshape(3, num_bins)
    with np.errstate(invalid="ignore"):
        return Reliability(sums[0].astype(np.int64), sums[1] / sums[0], sums[2] / sums[0])


def bin_features(
    shares_NK: FloatsNK, labels_N: LabelsN, num_bins: int = NUM_BINS
) -> npt.NDArray[np.float64]:
    """For each image, 3 x `num_bins` numbers: 1, its confidence, and 1 if right, in its bin."""
    confidences_N = shares_NK.max(axis=1)
    is_right_N = shares_NK.argmax(axis=1) == labels_N
    own_NB = np.eye(num_bins)[bins_of(confidences_N, num_bins)]
    values_N3 = np.stack([np.ones(len(labels_N)), confidences_N, is_right_N], axis=1)
    return np.asarray(
        (values_N3[:, :, np.newaxis] * own_NB[:, np.newaxis, :]).reshape(
            len(labels_N), 3 * num_bins
        )
    )


def temperature(logits_NK: FloatsNK, labels_N: LabelsN) -> float:
    """The number to divide logits by that makes these labels most likely; above 1 it cools pride.

    It changes no answer, only how sure they are.

    Raises:
        DataError: If there are no images, or the loss is infinite: a right class that was given a
            probability of 0 has it at every temperature.

    Source:
        C. Guo et al., ICML 2017, arXiv:1706.04599.
    """
    from scipy.optimize import minimize_scalar  # takes most of a second to load

    if not len(labels_N):
        raise DataError("no images to fit a temperature to.")
    if np.isinf(losses(logits_NK, labels_N)).any():
        raise DataError(
            "a right class was given a probability of 0, and no temperature makes that likelier. "
            "Leave such images out, or take these probabilities as they are."
        )

    def mean_loss(log_temperature: float) -> float:
        return float(losses(logits_NK / np.exp(log_temperature), labels_N).mean())

    bounds = (float(np.log(_COLDEST)), float(np.log(_HOTTEST)))
    found = minimize_scalar(mean_loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))


def settled_temperature(logits_NK: FloatsNK, labels_N: LabelsN) -> float:
    """The temperature that a model carries, to four digits; 1 where these images cannot tell it.

    Fewer than 20 cannot; nor can images that were all answered rightly: whatever makes a model
    surer of itself then looks better, without end. Nor can images of which one was given a
    probability of 0 for its right class: the loss is infinite whatever the temperature.

    Example:
        >>> settled_temperature(np.array([[1.0, 0.0]] * 30), np.zeros(30, np.int64))
        1.0
    """
    if len(labels_N) < _FEWEST_IMAGES or np.isinf(losses(logits_NK, labels_N)).any():
        return 1.0
    if (logits_NK.argmax(axis=1) == labels_N).all():
        return 1.0
    return round(temperature(logits_NK, labels_N), 4)


def tempered_logits(logits_NK: FloatsNK, labels_N: LabelsN, seed: int = 0) -> FloatsNK:
    """Logits of the same images after temperature, each half by the other's.

    So the gain is measured on images that had no part in fitting it.
    """
    order_N = generator(seed, "temperature").permutation(len(labels_N))
    halves = np.array_split(order_N, 2)
    answer = np.empty(logits_NK.shape, np.float64)
    for own, other in (halves, halves[::-1]):
        answer[own] = logits_NK[own] / settled_temperature(logits_NK[other], labels_N[other])
    return answer


def risk_coverage(shares_NK: FloatsNK, labels_N: LabelsN) -> Risk:
    """The share of wrong answers if only the surest are given, for every share of images.

    Source:
        R. El-Yaniv, Y. Wiener, J. Mach. Learn. Res. 11 (2010) 1605-1641.

    Example:
        >>> found = risk_coverage(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
        >>> found.coverages.tolist(), found.risks.tolist()
        ([0.5, 1.0], [0.0, 0.5])
    """
    order_N = np.argsort(-shares_NK.max(axis=1), kind="stable")
    is_wrong_N = (shares_NK.argmax(axis=1) != labels_N)[order_N]
    answered_N = np.arange(1, len(labels_N) + 1)
    return Risk(answered_N / len(labels_N), np.cumsum(is_wrong_N) / answered_N)
