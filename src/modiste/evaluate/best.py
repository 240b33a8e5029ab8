"""Which of several models may be the best one, and what it would take to tell two apart."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modiste.errors import DataError, SpecError
from modiste.evaluate.contrast import UNMOVED, Pooled, Seeds
from modiste.evaluate.distributions import coin_tail, normal_quantile
from modiste.evaluate.doubt import Doubt, error_of, half_width, of_images, tail
from modiste.evaluate.intervals import BoolsSN, Interval, wilson
from modiste.interval import LEVEL

# How often what is said to be needed is to show a difference that is there.
_POWER = 0.8
# More than this is no advice.
_TOO_MANY = 1_000_000


@dataclass(frozen=True)
class Standing:
    """How a model stands beside the one with the most right answers.

    Attributes:
        difference: Accuracy of the first less that of this one; 0 for the first.
        standard_error: Of that difference; 0 for the first. It covers the images and, where the
            spread of both is known, the seeds.
        p_value: One-sided, that a model as good as the first would come out so far behind it,
            times the number of other models (Bonferroni), at most 1; 1 for the first.
        may_be_best: Whether it cannot be told from the best.
    """

    difference: float
    standard_error: float
    p_value: float
    may_be_best: bool


@dataclass(frozen=True)
class Needed:
    """What would separate two models, were the difference seen the true one.

    Each number is above what there is already.

    Attributes:
        seeds: Of each model, on the images that there are; none if no number would do.
        images: With the seeds that there are; none if no number would do.
        both: Seeds of each model and images, each leaving half of the doubt; none if it would
            take too many.
    """

    seeds: int | None
    images: int | None
    both: tuple[int, int] | None


def mcnemar(one_N: np.ndarray, two_N: np.ndarray) -> float:
    """One-sided mid-p value of McNemar's test that the first is no better than the second.

    Args:
        one_N: Right or wrong, for each image.
        two_N: The same for the other model and the same images.

    Source:
        Q. McNemar, Psychometrika 12 (1947) 153-157, doi:10.1007/BF02295996; the mid-p form:
        M. W. Fagerland, S. Lydersen, P. Laake, BMC Med. Res. Methodol. 13 (2013) 91,
        doi:10.1186/1471-2288-13-91, which finds it closest to its level.

    Example:
        >>> one, two = np.array([1, 1, 1, 1, 0], bool), np.array([0, 0, 0, 0, 1], bool)
        >>> f"{mcnemar(one, two):.4f}"
        '0.1094'
    """
    if one_N.shape != two_N.shape:
        raise DataError(f"{one_N.shape} answers cannot be paired with {two_N.shape}.")
    only_one, only_two = int((one_N & ~two_N).sum()), int((two_N & ~one_N).sum())
    total = only_one + only_two
    if not total:
        return 0.5
    return (coin_tail(only_one, total) + coin_tail(only_one - 1, total)) / 2


def standings(
    models: Sequence[BoolsSN],
    seeds: Seeds | Sequence[Seeds] = None,
    level: float = LEVEL,
) -> list[Standing]:
    """Every model beside the one with the most right answers; those that may be best.

    Whichever model is truly best, it is among those marked with a probability of at least
    `level`: it is left out only if some other one beats it by a test at (1 - level) / (k - 1), and
    there are k - 1 others. This holds although the first was picked by looking.

    Where it is not known of both models how much a seed moves them, the test covers images alone:
    McNemar's for one seed each. Where it is known, the test covers both doubts: the seeds'
    variance over the number of seeds, and the images' paired variance less what of it is in that
    of the seeds (`Pooled.scatter`), each by Student's quantile of its own (`doubt.half_width`).
    It never tells apart what images alone do not.

    Args:
        models: Of each, right or wrong for each seed and image; all answered the same images.
        seeds: Variance of an accuracy between seeds, from `contrast.pooled`: one for all models,
            or one for each; `contrast.UNMOVED` for what comes out the same for each seed.
        level: As a proportion.

    Returns:
        One for each model, in the order given.

    Raises:
        DataError: If the models did not answer the same number of images, or there is none.
        SpecError: If the level makes no sense, or a model has several seeds and no spread.

    Source:
        Subset selection: S. S. Gupta, Technometrics 7 (1965) 225-245,
        doi:10.1080/00401706.1965.10490251; the bound is Bonferroni's.
    """
    if not models or any(model.shape[1] != models[0].shape[1] for model in models):
        raise DataError("the models must all have answered the same images, and there must be one.")
    if not 0 < level < 1:
        raise SpecError(f"level: expected a proportion such as 0.95, got {level}.")
    each = [seeds] * len(models) if seeds is None or isinstance(seeds, Pooled) else list(seeds)
    if len(each) != len(models):
        raise SpecError(f"{len(models)} models and {len(each)} spreads between seeds.")
    if any(own is None and len(model) > 1 for model, own in zip(models, each, strict=True)):
        raise SpecError("several seeds were given, and no spread between them: see `pooled`.")
    top = max(range(len(models)), key=lambda index: models[index].mean())
    others = max(1, len(models) - 1)
    answer = []
    for index in range(len(models)):
        if index == top:
            answer.append(Standing(0.0, 0.0, 1.0, may_be_best=True))
            continue
        pair = (models[top], each[top]), (models[index], each[index])
        difference, error, p_value = _behind(*pair)
        p_value = min(1.0, p_value * others)
        answer.append(Standing(difference, error, p_value, may_be_best=p_value > 1 - level))
    return answer


def _behind(
    first: tuple[BoolsSN, Seeds], second: tuple[BoolsSN, Seeds]
) -> tuple[float, float, float]:
    """How far the second lies behind, the standard error of that, and its one-sided p value."""
    (one_SN, one), (two_SN, two) = first, second
    by_image_N = one_SN.mean(axis=0) - two_SN.mean(axis=0)
    difference = float(by_image_N.mean())
    known = [] if one is None or two is None else [(one, len(one_SN)), (two, len(two_SN))]
    by_seed = [seeds.of_mean(1 / num_seeds) for seeds, num_seeds in known]
    scatter = sum(seeds.scatter / num_seeds for seeds, num_seeds in known)
    doubts = [of_images(by_image_N, 1.0, scatter), *by_seed]
    # Seeds can only add to what images alone leave open; of one seed each, that is known exactly.
    if len(one_SN) == len(two_SN) == 1:
        p_value = mcnemar(one_SN[0], two_SN[0])
    else:
        p_value = tail(difference, [of_images(by_image_N, 1.0)])
    if known:
        p_value = max(p_value, tail(difference, doubts))
    return difference, error_of(doubts), p_value


def needed(
    one_SN: BoolsSN,
    two_SN: BoolsSN,
    seeds: Pooled,
    two_seeds: Pooled | None = None,
    *,
    others: int = 1,
    level: float = LEVEL,
) -> Needed:
    """How many seeds, or images, would tell two models apart, if what was seen is the truth.

    By the test of `standings`, at the same level and among as many models, with a chance of 80 %:
    on images and seeds together, and on images alone, which seeds that are added make surer as
    well. One of the two is varied, the other kept. Seeds that are added also tell more of how far
    seeds lie apart; images that are added also leave less of what differs by image and seed. A
    model that no seed moves needs none: numbers of seeds are those of the other.

    Args:
        one_SN: Right or wrong, for each seed and image.
        two_SN: The same of the other model.
        seeds: Variance of an accuracy between seeds; `contrast.UNMOVED` as in `standings`.
        two_seeds: That of the second model; the same, if not given.
        others: Models that the first was compared with, this one among them.
        level: As a proportion, of all those comparisons together.

    Example:
        >>> chance = np.random.default_rng(0)
        >>> one, two = chance.random((1, 4000)) < 0.91, chance.random((1, 4000)) < 0.90
        >>> alone, among_50 = (needed(one, two, Pooled(1e-6, 10), others=n) for n in (1, 49))
        >>> 4000 < alone.images < among_50.images
        True
    """
    by_image_N = one_SN.mean(axis=0) - two_SN.mean(axis=0)
    difference, num_images = abs(float(by_image_N.mean())), len(by_image_N)
    sides = (seeds, len(one_SN)), (two_seeds or seeds, len(two_SN))
    scatter = sum(own.scatter / num_seeds for own, num_seeds in sides)
    per_image, unreduced = (
        of_images(by_image_N, 1.0, less).variance * num_images for less in (scatter, 0.0)
    )
    by_seed = sum(own.variance for own, _ in sides)

    def shows(num_seeds: int | None, images: int) -> bool:
        counted = [(own, had, num_seeds or had) for own, had in sides]
        gone = sum(own.scatter * (1 / had - 1 / number) for own, had, number in counted)
        alone = [Doubt(max(per_image, unreduced - gone) / images, images - 1)]
        together = [
            Doubt(per_image / images, images - 1),
            *(
                _on(own, num_images, images).of_mean(1 / number, number - had)
                for own, had, number in counted
            ),
        ]
        tails = ((1 - level) / others, 1 - _POWER)
        return difference > 0 and all(
            difference >= sum(half_width(doubts, tail) for tail in tails)
            for doubts in (alone, together)
        )

    def images_beside(num_seeds: int) -> int:
        return max(num_images + 1, math.ceil(num_seeds * per_image / by_seed))

    moved = [had for own, had in sides if own != UNMOVED]
    if not moved:
        return Needed(None, _least(num_images + 1, lambda number: shows(None, number)), None)
    # With more of one model than of the other there is more even if that one gets none.
    fewest = max(*moved, min(moved) + 1)
    half = None
    if by_seed:
        half = _least(fewest, lambda number: shows(number, images_beside(number)))
    both = None if half is None else (half, images_beside(half))
    return Needed(
        seeds=_least(fewest, lambda number: shows(number, num_images)),
        images=_least(num_images + 1, lambda number: shows(None, number)),
        both=None if both is None or both[1] > _TOO_MANY else both,
    )


def _on(seeds: Pooled, had: int, images: int) -> Pooled:
    """A variance between seeds that is known on some images, as it would be on others."""
    of_images_alone = min(seeds.scatter / had, seeds.variance)
    rest = seeds.variance - of_images_alone
    return seeds._replace(variance=rest + of_images_alone * had / images)


def accuracy_interval(
    right_SN: BoolsSN, seeds: Pooled | None = None, level: float = LEVEL
) -> Interval:
    """Interval for the accuracy that a model of this kind reaches.

    Without `seeds` it covers the choice of images, not that of seeds. With them it covers both,
    added as independent.

    It holds the accuracies p that lie no further from what was seen than
    ``(seen - p)^2 <= z^2 r p (1 - p) / N + t^2 v / S``, with N images, S seeds, v the variance of
    an accuracy between seeds, and r how far the seeds' answers hang together: 1 if wholly, 1 / S
    if not at all; z is the normal quantile, t Student's of the degrees of freedom behind v. With
    v, r is less by what v has of it, the images' scatter between seeds over S; and no end lies
    nearer than without v. For one seed and no v that is Wilson's interval; like his it has a
    width where every answer was right.

    Args:
        right_SN: Right or wrong, for each seed and image.
        seeds: Variance of an accuracy between seeds, from `contrast.pooled`.
        level: As a proportion.

    Example:
        >>> low, high = accuracy_interval(np.arange(1000).reshape(1, -1) < 910, Pooled(4e-6, 8))
        >>> f"{low:.4f} {high:.4f}"
        '0.8901 0.9268'

    Source:
        E. B. Wilson, JASA 22 (1927) 209-212; for answers that hang together, an effective number
        of them: E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998) 193-201.
    """
    num_seeds, num_images = right_SN.shape
    if seeds is None and num_seeds == 1:
        return wilson(int(right_SN.sum()), num_images, level)
    alone = _interval(right_SN, None, level)
    if seeds is None:
        return alone
    both = _interval(right_SN, seeds, level)
    return Interval(min(alone.low, both.low), max(alone.high, both.high))


def _interval(right_SN: BoolsSN, seeds: Pooled | None, level: float) -> Interval:
    num_seeds, num_images = right_SN.shape
    by_image_N = right_SN.mean(axis=0)
    seen = float(by_image_N.mean())
    apart = seen * (1 - seen)
    together, by_seeds = 1.0, 0.0
    if apart and num_images > 1:
        scatter = 0.0 if seeds is None else seeds.scatter / num_seeds
        together = max(0.0, float(by_image_N.var(ddof=1)) - scatter) / apart
    if seeds is not None:
        by_seeds = half_width([seeds.of_mean(1 / num_seeds)], (1 - level) / 2)
    share = normal_quantile((1 + level) / 2) ** 2 * together / num_images
    middle = (seen + share / 2) / (1 + share)
    ends = (seen**2 - by_seeds**2) / (1 + share)  # their product
    half = math.sqrt(max(0.0, middle**2 - ends))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _least(fewest: int, is_enough: Callable[[int], bool]) -> int | None:
    """The least number from `fewest` on that is enough, as all above it are; none if too many."""
    numbers = range(fewest, _TOO_MANY + 1)
    found = bisect_left(numbers, True, key=is_enough)
    return numbers[found] if found < len(numbers) else None
