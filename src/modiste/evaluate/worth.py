"""What some of the images are worth: accuracy with them and without, from saved answers.

Letters: N images, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modiste.evaluate.intervals import BoolsSN, wilson
from modiste.interval import wilson_of

BoolsN = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Worth:
    """Accuracies as proportions, with 95 % intervals; of the images only, not of the seeds.

    Attributes:
        removed, kept: Images.
        accuracy: Of the kept ones; none if nothing is kept.
        difference: That, less the accuracy on all images.
        low, high: Interval of the difference.
    """

    removed: int
    kept: int
    accuracy: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Beside:
    """Accuracy on some images, and on the others of the same classes.

    Attributes:
        count: Images of the first kind.
        accuracy: On them.
        others: On the others, each class weighted as among the first; none if a class has none.
        low, high: 95 % interval of `accuracy` less `others`.
    """

    count: int
    accuracy: float
    others: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Measured:
    """One model, with and without what an audit found among the images it was measured on.

    Attributes:
        name: Of the model.
        num_seeds: Runs; figures are their means.
        accuracy: On all images, with Wilson's 95 % interval in `low` and `high`.
        num_images: Those.
        without: By what is left out.
        on_duplicates: Images with a duplicate in training, beside others; none if there is none.
    """

    name: str
    num_seeds: int
    num_images: int
    accuracy: float
    low: float
    high: float
    without: dict[str, Worth]
    on_duplicates: Beside | None


def measure(
    name: str,
    right_SN: BoolsSN,
    labels_N: npt.NDArray[np.int64],
    found: Mapping[str, BoolsN],
    leaks_N: BoolsN,
) -> Measured:
    """Everything that is said of one model.

    Args:
        name: Of the model.
        right_SN: Right or wrong, for each seed and image.
        labels_N: As given.
        found: By name, the images that are left out.
        leaks_N: Images with a duplicate in training.
    """
    num_seeds, num_images = right_SN.shape
    accuracy = float(right_SN.mean())
    return Measured(
        name,
        num_seeds,
        num_images,
        accuracy,
        *wilson(round(accuracy * num_images), num_images),
        {key: without(right_SN, removed_N) for key, removed_N in found.items()},
        beside_others(right_SN, leaks_N, labels_N) if leaks_N.any() else None,
    )


def without(right_SN: BoolsSN, removed_N: BoolsN) -> Worth:
    """Accuracy on the images that are left, beside the accuracy on all.

    What is left is better than the whole by the share that was removed, times the difference
    between what is left and what was removed. All three are proportions with an interval of
    Wilson's, which are put together from their halves, as Newcombe does for a difference; so there
    is a width where every removed image was answered right.

    Args:
        right_SN: Right or wrong, for each seed and image.
        removed_N: The images to leave out.

    Source:
        R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10
        (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I); for a product, G. Y.
        Zou and A. Donner, Statistics in Medicine 27 (2008) 1693-1702, doi:10.1002/sim.3095.

    Example:
        >>> right = np.array([[True] * 90 + [False] * 10])
        >>> worth = without(right, np.arange(100) >= 95)
        >>> f"{worth.accuracy:.4f} {worth.difference:+.4f} ({worth.low:.4f} to {worth.high:.4f})"
        '0.9474 +0.0474 (0.0126 to 0.1059)'
    """
    right_N, kept_N = right_SN.mean(axis=0), ~removed_N
    kept = int(kept_N.sum())
    removed = len(kept_N) - kept
    if not kept:
        return Worth(removed, kept, None, None, None, None)
    rest = float(right_N[kept_N].mean())
    if not removed:
        return Worth(removed, kept, rest, 0.0, 0.0, 0.0)
    gone = float(right_N[removed_N].mean())
    share, difference = removed / len(kept_N), rest - gone
    of_rest = wilson(round(rest * kept), kept)
    of_gone = wilson(round(gone * removed), removed)
    of_share = wilson(removed, len(kept_N))
    down = math.hypot(max(rest - of_rest.low, 0.0), max(of_gone.high - gone, 0.0))
    up = math.hypot(max(of_rest.high - rest, 0.0), max(gone - of_gone.low, 0.0))
    toward, away = share - of_share.low, of_share.high - share  # from 0, for what is above it
    if difference < 0:
        toward, away = away, toward
    low = share * difference - math.hypot(share * down, difference * toward)
    high = share * difference + math.hypot(share * up, difference * away)
    return Worth(removed, kept, rest, share * difference, low, high)


def beside_others(right_SN: BoolsSN, chosen_N: BoolsN, labels_N: npt.NDArray[np.int64]) -> Beside:
    """Accuracy on chosen images beside that on the others of the same classes.

    Classes differ in how hard they are, and duplicates are not spread evenly over them; this
    takes the classes out of the comparison. What it cannot take out: images that look alike are
    easier than others of their class, even when none of them was seen in training.

    The accuracy on the others is a weighted one, and often of few images: where nearly all of a
    class have a duplicate, it hangs on those that are left. Wilson's interval, on the number of
    images that would leave as much doubt without weights, has a width where all of them are
    answered right. That number is the smaller of two: one from the weights alone, as if all
    classes were equally hard, and one from the variance of each class.

    Args:
        right_SN: Right or wrong, for each seed and image.
        chosen_N: At least one image.
        labels_N: Of all images.

    Source:
        For the interval, R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10
        (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I); for the effective
        number, E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998) 193-201, and from the
        weights alone L. Kish, Survey Sampling, 1965.

    Example:
        >>> right = np.array([[True, True, False, True, True, True]])
        >>> found = beside_others(right, np.arange(6) < 3, np.array([0, 1, 1, 0, 1, 1]))
        >>> f"{found.accuracy:.3f} beside {found.others:.3f}"
        '0.667 beside 1.000'
    """
    right_N = right_SN.mean(axis=0)
    count = int(chosen_N.sum())
    own = float(right_N[chosen_N].mean())
    num_classes = int(labels_N.max()) + 1
    weights_K = np.bincount(labels_N[chosen_N], minlength=num_classes) / count
    others_K = np.bincount(labels_N[~chosen_N], minlength=num_classes)
    if (others_K[weights_K > 0] == 0).any():
        return Beside(count, own, None, None, None)
    right_K = np.bincount(labels_N[~chosen_N], right_N[~chosen_N], minlength=num_classes)
    used = weights_K > 0
    shares = right_K[used] / others_K[used]
    others = min(1.0, float(weights_K[used] @ shares))
    parts = weights_K[used] ** 2 / others_K[used]
    by_weights, by_class = float(parts.sum()), float(parts @ (shares * (1 - shares)))
    of_one = others * (1 - others)  # variance of a single answer
    effective = min(1 / by_weights, of_one / by_class) if by_class else 1 / by_weights
    low, high = wilson(round(own * count), count)
    of_others, difference = wilson_of(others, effective), own - others
    return Beside(
        count,
        own,
        others,
        difference - math.hypot(max(own - low, 0.0), of_others.high - others),
        difference + math.hypot(max(high - own, 0.0), others - of_others.low),
    )
