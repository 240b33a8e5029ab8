"""What scores on parts of the data say: folds that were trained for, and slices that were not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance

import numpy as np
import numpy.typing as npt

from modiste.errors import SpecError
from modiste.evaluate.best import Standing
from modiste.evaluate.distributions import t_quantile, t_tail
from modiste.evaluate.doubt import error_of, of_images
from modiste.evaluate.intervals import Interval
from modiste.interval import LEVEL, wilson_of

FloatsN = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Slices:
    """One trained model's accuracy on equal parts of one set of images.

    Attributes:
        accuracies: Of each part.
        mean: Equals the accuracy on the whole set.
        standard_deviation: Between the parts, with n - 1.
        expected: The standard deviation that parts of this size have by chance alone.
    """

    accuracies: tuple[float, ...]
    mean: float
    standard_deviation: float
    expected: float


def cross_validated(
    accuracies: Sequence[float], share_held_out: float, num_images: int, level: float = LEVEL
) -> Interval:
    """Interval for the mean accuracy over k-fold trainings, repeated or not.

    The trainings share images, so their scores hang together, and the plain variance over their
    number is too small: Nadeau and Bengio's correction adds the ratio of held-out to training
    images. No unbiased estimate of that variance exists (Bengio and Grandvalet 2004); this one is
    known to be a good and slightly wide one. It covers the choice of training and held-out images
    and of seeds.

    A few folds may score alike by chance, and all of them do where every answer is right. The
    images remain a sample, so the interval is never narrower than Wilson's on all of them.

    Args:
        accuracies: Of each training on the images held out from it.
        share_held_out: Held-out images over training images, 1 / (k - 1) where nothing else is
            set aside.
        num_images: Held out from any training; each counts once, however many repeats there are.
        level: As a proportion.

    Returns:
        Proportions: what Student's law leaves beyond 0 and 1 is cut off.

    Raises:
        SpecError: For fewer than two trainings.

    Source:
        C. Nadeau, Y. Bengio, Machine Learning 52 (2003) 239-281, doi:10.1023/A:1024068626366.

    Example:
        >>> low, high = cross_validated([0.90, 0.91, 0.92, 0.91, 0.91], 0.25, num_images=10_000)
        >>> f"{low:.4f} {high:.4f}"
        '0.8968 0.9232'
    """
    count = len(accuracies)
    if count < 2:
        raise SpecError("cross-validation needs the scores of two trainings at least.")
    mean = fmean(accuracies)
    half = _error(accuracies, share_held_out) * t_quantile((1 + level) / 2, count - 1)
    low, high = wilson_of(mean, num_images, level)
    return Interval(max(0.0, min(low, mean - half)), min(1.0, max(high, mean + half)))


def fold_difference(
    one: Sequence[float],
    two: Sequence[float],
    differences_N: FloatsN,
    share_held_out: float,
    level: float = LEVEL,
) -> Interval:
    """Interval for the mean accuracy of one point less that of another, over the same trainings.

    Paired by training, and corrected as in `cross_validated`; never narrower than what the images
    leave open, paired as well.

    Args:
        one: Of each training, its accuracy on the images that are left out of it.
        two: The same of the other point, in the same order.
        differences_N: For each of those images, the share of right answers of the first less that
            of the second.
        share_held_out: Images left out over training images.
        level: As a proportion.

    Raises:
        SpecError: For fewer than two trainings, or points with other numbers of them.
    """
    _need_pairs([one, two])
    behind = [first - second for first, second in zip(one, two, strict=True)]
    error = _paired_error(behind, differences_N, share_held_out)
    half = error * t_quantile((1 + level) / 2, len(behind) - 1)
    return Interval(fmean(behind) - half, fmean(behind) + half)


def fold_standings(
    scores: Sequence[Sequence[float]],
    right_PN: Sequence[FloatsN],
    share_held_out: float,
    level: float = LEVEL,
) -> list[Standing]:
    """Every point beside the one that stands first over the folds; those that may be best.

    The scores are paired by training: all points were fitted without the same fold. Their
    differences hang together as the scores do, so their error is corrected in the same way
    (`cross_validated`), and the test is Student's. As a few folds may differ alike by chance, the
    error is at least that of the images, paired. A point leaves the set of those that may be
    best only if the first beats it by a one-sided test at (1 - level) over the number of other
    points, as in `best.standings`.

    Args:
        scores: Of each point, the accuracy of each training on its held-out fold, in one order.
        right_PN: For each point and held-out image, the share of right answers; the images in one
            order.
        share_held_out: Held-out images over training images.
        level: As a proportion.

    Raises:
        SpecError: For fewer than two trainings, or points with other numbers of them.

    Source:
        C. Nadeau, Y. Bengio, Machine Learning 52 (2003) 239-281, section 3, the corrected
        resampled t-test, doi:10.1023/A:1024068626366; R. R. Bouckaert, E. Frank, PAKDD 2004,
        doi:10.1007/978-3-540-24775-3_3, use it for repeated k-fold cross-validation.

    Example:
        >>> right_PN = [(np.arange(300) < number).astype(float) for number in (273, 271)]
        >>> found = fold_standings([[0.90, 0.91, 0.92], [0.89, 0.91, 0.91]], right_PN, 0.5)
        >>> f"{found[1].difference:.4f} {found[1].p_value:.3f} {found[1].may_be_best}"
        '0.0067 0.183 True'
    """
    _need_pairs(scores)
    first = max(range(len(scores)), key=lambda index: fmean(scores[index]))
    others = max(1, len(scores) - 1)
    answer = []
    for index, own in enumerate(scores):
        if index == first:
            answer.append(Standing(0.0, 0.0, 1.0, may_be_best=True))
            continue
        behind = [one - two for one, two in zip(scores[first], own, strict=True)]
        error = _paired_error(behind, right_PN[first] - right_PN[index], share_held_out)
        p_value = min(1.0, t_tail(fmean(behind) / error, len(behind) - 1) * others)
        is_tied = p_value > 1 - level
        answer.append(Standing(fmean(behind), error, p_value, may_be_best=is_tied))
    return answer


def _need_pairs(scores: Sequence[Sequence[float]]) -> None:
    count = len(scores[0]) if scores else 0
    if count < 2 or any(len(own) != count for own in scores):
        raise SpecError("points are compared over the same two or more trainings of each.")


def _error(figures: Sequence[float], share_held_out: float) -> float:
    """Standard error of a mean over trainings that share images, by Nadeau and Bengio."""
    return math.sqrt(variance(figures) * (1 / len(figures) + share_held_out))


def _paired_error(behind: Sequence[float], differences_N: FloatsN, share_held_out: float) -> float:
    """Of a mean difference; at least that of the images."""
    return max(_error(behind, share_held_out), error_of([of_images(differences_N, 1.0)]))


def slices(right_N: npt.NDArray[np.bool_], count: int) -> Slices:
    """One model's accuracy on `count` parts of its images, in their order.

    This is no cross-validation: nothing is trained again, so the scatter says how much a set of
    that size scatters, which the binomial law knows already, and nothing of other training
    images or seeds.

    Args:
        right_N: Right or wrong, for each image.
        count: Parts; they differ by one image at most.

    Raises:
        SpecError: If there are fewer than two parts, or fewer images than parts.
    """
    if not 2 <= count <= len(right_N):
        raise SpecError(f"{count} slices of {len(right_N)} images: expected 2 to {len(right_N)}.")
    accuracies = tuple(float(part.mean()) for part in np.array_split(right_N, count))
    share = float(right_N.mean())
    expected = math.sqrt(share * (1 - share) / (len(right_N) / count))
    return Slices(accuracies, share, stdev(accuracies), expected)
