"""Two groups of runs compared in one figure, with all the doubt that seeds and images leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.errors import SpecError
from modiste.evaluate.distributions import f_tail
from modiste.evaluate.doubt import Doubt, error_of, half_width, of_images
from modiste.interval import LEVEL

Expectation = Literal["more", "less", "same", "not_less", "not_more"]
ClaimVerdict = Literal["holds", "fails", "undecided"]


class Pooled(NamedTuple):
    """Variance between seeds of one point, pooled over points.

    Attributes:
        variance: Between seeds.
        degrees: Of freedom, behind it.
        scatter: Of accuracies on the same images: how far an image's answer varies between seeds,
            in the mean over the images; see `image_scatter`. It is in the variance, over the
            number of images, and so leaves the doubt of images wherever both are counted. 0 where
            it is not known, and of all other figures: nothing leaves it then.
    """

    variance: float
    degrees: int
    scatter: float = 0.0

    def of_mean(self, share: float, added: int = 0) -> Doubt:
        """What it adds to the doubt of a figure.

        Args:
            share: Of the variance that enters it: 1 / S of a mean over S seeds.
            added: Seeds that are to be added to those behind it: each is a degree of freedom more.
        """
        return Doubt(self.variance * share, self.degrees + added)


# Of what comes out the same for each seed, such as a model that is fitted in one go.
UNMOVED = Pooled(0.0, 1)

Seeds = Pooled | None


@dataclass(frozen=True)
class Contrast:
    """The mean of one group less that of another.

    Attributes:
        one, two: Means of the groups: over points, and within a point over its seeds.
        seed_error: Standard error from the choice of seeds; none where it cannot be known.
        image_error: From the choice of images, less what `seed_error` has of it; none for a figure
            that no images were kept for.
        low, high: 95 % interval of the difference; none where neither error is known.
    """

    one: float
    two: float
    seed_error: float | None
    image_error: float | None
    low: float | None
    high: float | None

    @property
    def difference(self) -> float:
        return self.one - self.two


def pooled(
    points: Sequence[Sequence[float]], step: float = 0.0, scatters: Sequence[float] | None = None
) -> Pooled | None:
    """Variance between seeds, from every point that has two or more; none if no point has.

    Figures that lie on steps, as accuracies of N images do and numbers of epochs, may be equal
    though what is behind them is not: the variance is at least that of what a step hides.

    Args:
        points: One figure of each seed, for each point.
        step: Between two neighbouring figures, such as 1 / N; 0 if they lie on none.
        scatters: Of accuracies on the same images, the `image_scatter` of each point.

    Raises:
        SpecError: If there are more or fewer scatters than points.

    Example:
        >>> pooled([[1.0, 3.0], [5.0, 5.0], [7.0]])
        Pooled(variance=1.0, degrees=2, scatter=0.0)
        >>> pooled([[5.0, 5.0]], step=1.0).variance == 1 / 12  # of what is even over one step
        True
    """
    each = [0.0] * len(points) if scatters is None else scatters
    if len(each) != len(points):
        raise SpecError(f"{len(points)} points and {len(each)} scatters of their images.")
    repeated = [(values, own) for values, own in zip(points, each, strict=True) if len(values) > 1]
    if not repeated:
        return None
    squares = sum(_squares(values) for values, _ in repeated)
    degrees = sum(len(values) - 1 for values, _ in repeated)
    scatter = math.fsum(own * (len(values) - 1) for values, own in repeated) / degrees
    return Pooled(max(squares / degrees, step**2 / 12), degrees, scatter)


def image_scatter(right_SN: npt.NDArray[np.bool_]) -> float:
    """How far an image's answer varies between seeds, in the mean over the images.

    An image that is right with the chance p on each seed adds p (1 - p). The accuracy of one seed
    varies by that over the number of images, although no seed be better than another.

    Args:
        right_SN: Right or wrong, for each seed and image, of two seeds or more.

    Example:
        >>> image_scatter(np.array([[True, True, False, True], [True, False, False, True]]))
        0.125
    """
    return float(right_SN.var(axis=0, ddof=1).mean())


def _squares(values: Sequence[float]) -> float:
    """Sum of squared distances from the mean; exactly 0 of equal values.

    A mean of equal floats may lie beside them by a last bit, and `alike` asks for 0.
    """
    return float(np.var(values) * len(values)) if min(values) < max(values) else 0.0


def alike(points: Sequence[Sequence[float]], level: float = 0.01) -> list[bool]:
    """Which points scatter over their seeds as the others do, so that one variance fits them.

    The point whose variance is least like that of the others leaves if an F test at ``level``,
    divided by the number of points (Bonferroni), says that it scatters more; then the same again.
    Points that scatter less stay: they make the common variance smaller, but the accuracies that
    this is for are counts, and a few seeds with equal counts are nothing rare.

    Args:
        points: One figure of each seed, for each point; those with one seed always stay.
        level: Chance that any point of a homogeneous group is sent away.

    Source:
        Repeated use of the two-sample F test; the idea of one outlying variance is W. G.
        Cochran's, Annals of Eugenics 11 (1941) 47-52, doi:10.1111/j.1469-1809.1941.tb02271.x.

    Example:
        >>> alike([[0.90, 0.91], [0.91, 0.92, 0.91], [0.30, 0.90], [0.5]])
        [True, True, False, True]
    """
    stays = [True] * len(points)
    repeated = [index for index, values in enumerate(points) if len(values) > 1]
    while len(repeated) > 1:
        p_values = []
        for index in repeated:
            rest = pooled([points[other] for other in repeated if other != index])
            own = pooled([points[index]])
            assert rest is not None
            assert own is not None
            # Where all others have equal counts on every seed, they are no measure of anything.
            ratio = own.variance / rest.variance if rest.variance else 0.0
            p_values.append(f_tail(ratio, own.degrees, rest.degrees))
        least = min(range(len(repeated)), key=lambda at: p_values[at])
        if p_values[least] * len(repeated) >= level:
            break
        stays[repeated.pop(least)] = False
    return stays


def contrast(
    one: Sequence[Sequence[float]],
    two: Sequence[Sequence[float]],
    seeds: Seeds | Sequence[Seeds],
    image_differences_N: npt.NDArray[np.float64] | None = None,
    level: float = LEVEL,
    weights: Sequence[float] | None = None,
    image_shares: Sequence[npt.NDArray[np.float64]] = (),
) -> Contrast:
    """Compare two groups of points.

    Each group's mean is over its points, each point counting once however many seeds it has. Two
    doubts are added as independent: that of seeds, and that of images, paired where all answered
    the same ones. What an image says on one seed and not on another is in both, and counts among
    the seeds (`Pooled.scatter`). The interval is Banerjee's, by Student's quantile of each
    (`doubt.half_width`), and never narrower than that of the images alone.
    The points themselves are taken as they are: nothing is said of points that were not run.

    Args:
        one: One figure of each seed, for each point of the first group.
        two: The same for the second.
        seeds: Variance between seeds, from `pooled`: one for all points, or one for each, those
            of `one` first. None where it is not known: if of any point, the interval covers images
            alone.
        image_differences_N: For an accuracy, or what one is in: for each image, the first group's
            share of right answers less the second's, averaged as the figures are.
        level: Confidence, as a proportion.
        weights: Of each point within its group, those of `one` first; equal if not given. Those
            of a group add up to 1.
        image_shares: For an accuracy on other images in each group: for each image of the first,
            that group's share of right answers, and the same of the second; taken as independent.

    Raises:
        SpecError: If a group is empty, there are more or fewer spreads or weights than points, or
            images are both paired and not.

    Example:
        >>> found = contrast([[0.91, 0.92]], [[0.90]], Pooled(1e-4, 8))
        >>> f"{found.difference:.3f} ({found.low:.3f} to {found.high:.3f})"
        '0.015 (-0.013 to 0.043)'
    """
    if not all(group and all(group) for group in (one, two)):
        raise SpecError("a contrast needs at least one run on each side.")
    points = [*one, *two]
    each = [seeds] * len(points) if seeds is None or isinstance(seeds, Pooled) else list(seeds)
    if weights is None:
        weights = [1 / len(one)] * len(one) + [1 / len(two)] * len(two)
    if not len(each) == len(weights) == len(points):
        raise SpecError(f"{len(points)} points, {len(each)} spreads and {len(weights)} weights.")
    means = [
        weight * float(np.mean(values)) for weight, values in zip(weights, points, strict=True)
    ]
    first, second = math.fsum(means[: len(one)]), math.fsum(means[len(one) :])
    by_seed = [
        own.of_mean(weight**2 / len(values))
        for values, own, weight in zip(points, each, weights, strict=True)
        if own is not None
    ]
    is_known = len(by_seed) == len(points)
    alone = _image_parts(image_differences_N, image_shares, [0.0] * len(points), len(one))
    by_image, ways = alone, [alone] if alone else []
    if is_known:
        scatters = [
            weight**2 * own.scatter / len(values)
            for values, own, weight in zip(points, each, weights, strict=True)
            if own is not None
        ]
        by_image = _image_parts(image_differences_N, image_shares, scatters, len(one))
        ways.append([*by_seed, *by_image])
    half = max((half_width(doubts, (1 - level) / 2) for doubts in ways), default=None)
    middle = first - second
    return Contrast(
        first,
        second,
        seed_error=error_of(by_seed) if is_known else None,
        image_error=error_of(by_image) if by_image else None,
        low=None if half is None else middle - half,
        high=None if half is None else middle + half,
    )


def _image_parts(
    differences_N: npt.NDArray[np.float64] | None,
    shares: Sequence[npt.NDArray[np.float64]],
    scatters: Sequence[float],
    num_first: int,
) -> list[Doubt]:
    """What the choice of images adds, less what of each point is counted among its seeds."""
    if differences_N is None:
        groups = math.fsum(scatters[:num_first]), math.fsum(scatters[num_first:])
        return [
            of_images(shares_N, 0.5, own) for shares_N, own in zip(shares, groups, strict=False)
        ]
    if shares:
        raise SpecError("images are the same for both groups, or others; not both.")
    return [of_images(differences_N, 1.0, math.fsum(scatters))]


def judge(found: Contrast, expected: Expectation, margin: float = 0.0) -> ClaimVerdict:
    """Whether a contrast bears out what was expected of it.

    Only an interval that lies wholly on one side decides. ``same`` holds if it lies within the
    margin on both sides of 0, ``not_less`` if it lies above minus the margin.

    Args:
        found: From `contrast`.
        expected: Of the first group against the second.
        margin: What still counts as the same, in the units of the figure.

    Example:
        >>> judge(Contrast(0.92, 0.91, None, 0.002, 0.006, 0.014), "more")
        'holds'
    """
    low, high = found.low, found.high
    if low is None or high is None:
        return "undecided"
    limits = {
        "more": (0.0, math.inf),
        "less": (-math.inf, 0.0),
        "same": (-margin, margin),
        "not_less": (-margin, math.inf),
        "not_more": (-math.inf, margin),
    }
    least, most = limits[expected]
    if low > least and high < most:
        return "holds"
    return "fails" if high < least or low > most else "undecided"


def joint_verdict(verdicts: Sequence[ClaimVerdict]) -> ClaimVerdict:
    """Of several tests of one claim: it holds if all hold, and fails if any fails."""
    if "fails" in verdicts:
        return "fails"
    return "holds" if verdicts and all(verdict == "holds" for verdict in verdicts) else "undecided"
