"""BCa bootstrap intervals for any figure that is worked out from sums over images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError
from modiste.evaluate.distributions import normal_quantile, normal_share
from modiste.evaluate.intervals import Interval
from modiste.interval import LEVEL
from modiste.seeds import generator

Floats = npt.NDArray[np.float64]
# That an image is in a sample 256 times has a chance of less than one in 10 to the 500th.
Counts = npt.NDArray[np.uint8]
# From B x M sums of features to B figures.
Statistic = Callable[[Floats], Floats]
NUM_RESAMPLES = 2_000
# Of counts at once, so that memory does not grow with the number of resamples.
_BLOCK = 250
# Of counts that are kept: those of 10,000 images take 20 million.
_KEPT_BYTES = 32 << 20


def bootstrap(
    features_NM: Floats,
    figure: Statistic,
    level: float = LEVEL,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """BCa interval of a figure for the choice of images.

    Images are drawn with replacement; the figure is worked out from the sums of their features.
    Bias-corrected and accelerated: the interval stays right where the figure is skewed or its
    estimate leans to one side. It covers the images alone, not the seeds.

    Args:
        features_NM: M numbers for each image, such as its loss; or a 1 in the cell of the
            confusion matrix that it falls into.
        figure: From B x M sums to B figures; each sum is over as many images as there are.
        level: As a proportion.
        num_resamples: Drawn samples.
        seed: Of the drawing.

    Returns:
        The ends, in the figure's own units; both are its value where no resample differs.

    Raises:
        DataError: If there are no images.

    Source:
        B. Efron, J. Am. Stat. Assoc. 82 (1987) 171-185, doi:10.1080/01621459.1987.10478410.

    Example:
        >>> losses = np.arange(100.0)[:, np.newaxis]
        >>> low, high = bootstrap(losses, lambda sums: sums[:, 0] / 100)
        >>> 42 < low < 46 and 53 < high < 57
        True
    """
    return bootstraps([(features_NM, figure)], level, num_resamples, seed)[0]


def bootstraps(
    questions: Sequence[tuple[Floats, Statistic]],
    level: float = LEVEL,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """`bootstrap` of several figures of the same images, from the same samples.

    Each interval is the one that `bootstrap` gives; drawing, which takes longest, is done once.

    Args:
        questions: Features and figure, as `bootstrap` takes them.
        level: As a proportion.
        num_resamples: Drawn samples.
        seed: Of the drawing.

    Returns:
        An interval for each question.

    Raises:
        DataError: If there are no images.
    """
    questions = [(np.asarray(features_NM, np.float64), figure) for features_NM, figure in questions]
    num_images = len(questions[0][0])
    if not num_images:
        raise DataError("no images to draw from.")
    drawn: list[list[Floats]] = [[] for _ in questions]
    for counts_BN in _counts(num_images, num_resamples, seed):
        for parts, (features_NM, figure) in zip(drawn, questions, strict=True):
            parts.append(figure(counts_BN @ features_NM))
    scale = num_images / max(1, num_images - 1)
    intervals = []
    for parts, (features_NM, figure) in zip(drawn, questions, strict=True):
        total_M = features_NM.sum(axis=0)
        observed = float(figure(total_M[np.newaxis])[0])
        left_out_N = figure((total_M - features_NM) * scale)
        intervals.append(_bca(observed, np.concatenate(parts), left_out_N, level))
    return intervals


def _counts(num_images: int, num_resamples: int, seed: int) -> Iterator[Floats]:
    """How often each image is in each sample, some samples at a time."""
    is_kept = num_images * num_resamples <= _KEPT_BYTES
    which = num_images, num_resamples, seed
    blocks: Iterable[Counts] = _kept(*which) if is_kept else _draw(*which)
    for counts_BN in blocks:
        yield counts_BN.astype(np.float64)


@functools.lru_cache(maxsize=1)
def _kept(num_images: int, num_resamples: int, seed: int) -> list[Counts]:
    """The samples that were drawn last: the next model is asked about as many images."""
    return list(_draw(num_images, num_resamples, seed))


def _draw(num_images: int, num_resamples: int, seed: int) -> Iterator[Counts]:
    chance = generator(seed, "bootstrap")
    for start in range(0, num_resamples, _BLOCK):
        counts_BN = np.empty((min(_BLOCK, num_resamples - start), num_images), np.uint8)
        for row_N in counts_BN:
            drawn_N = chance.integers(0, num_images, num_images)
            row_N[:] = np.bincount(drawn_N, minlength=num_images)
        yield counts_BN


def _bca(observed: float, drawn_B: Floats, left_out_N: Floats, level: float) -> Interval:
    if np.ptp(drawn_B) == 0:
        return Interval(observed, observed)
    below = (np.sum(drawn_B < observed) + 0.5 * np.sum(drawn_B == observed)) / len(drawn_B)
    bias = normal_quantile(float(np.clip(below, 1 / len(drawn_B), 1 - 1 / len(drawn_B))))
    apart_N = left_out_N.mean() - left_out_N
    spread = float(np.sum(apart_N**2))
    acceleration = float(np.sum(apart_N**3)) / (6 * spread**1.5) if spread else 0.0
    ends = []
    for share in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + normal_quantile(share)
        ends.append(normal_share(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(drawn_B, ends)
    return Interval(float(low), float(high))
