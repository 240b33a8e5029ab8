"""What an image says on one seed and not on another is counted once: among the seeds.

Simulated nets whose truth is known. An image is right if its difficulty, what the seed is worth and
what both together add stay below a threshold, all normal; so the accuracy over all seeds and images
is a share of the normal distribution.
"""

from __future__ import annotations

import numpy as np
import pytest

from modiste.evaluate.best import accuracy_interval, standings
from modiste.evaluate.contrast import Pooled, contrast, image_scatter, pooled
from modiste.evaluate.distributions import normal_share

NUM_IMAGES, NUM_TRIALS = 2_000, 400
SKILL = 1.3
# How far a seed moves all images together, and each by itself.
KINDS = {
    "seeds move images": (0.0, 0.5),
    "seeds move accuracies": (0.06, 0.05),
    "both": (0.03, 0.4),
}
# Three standard errors of a share of 0.95, and of a standard deviation, over so many trials.
SHARE_OFF = 3 * (0.95 * 0.05 / NUM_TRIALS) ** 0.5
DEVIATION_OFF = 3 / (2 * NUM_TRIALS) ** 0.5


class Nets:
    """Draws points that are all as good, on one set of images."""

    def __init__(self, kind: str, chance: np.random.Generator) -> None:
        self.together, self.each = KINDS[kind]
        self.chance = chance
        self.hard_N = self._normal(NUM_IMAGES)

    def _normal(self, *shape: int) -> np.ndarray:
        return self.chance.standard_normal(shape, np.float32)

    def point(self, num_seeds: int) -> np.ndarray:
        shared_S1 = self.together * self._normal(num_seeds, 1)
        own_SN = self.each * self._normal(num_seeds, NUM_IMAGES)
        return self.hard_N + shared_S1 + own_SN < SKILL

    def points(self, num_points: int, num_seeds: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """So many, and five that were repeated: they themselves where they were."""
        points = [self.point(num_seeds) for _ in range(num_points)]
        if num_seeds > 1:
            return points, [*points, *(self.point(num_seeds) for _ in range(5 - num_points))]
        return points, [self.point(3) for _ in range(5)]


def spread(points: list[np.ndarray]) -> Pooled:
    accuracies = [point.mean(axis=1).tolist() for point in points]
    found = pooled(accuracies, 1 / NUM_IMAGES, [image_scatter(point) for point in points])
    assert found is not None
    return found


@pytest.mark.parametrize("num_seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_as_large_as_figures_scatter_and_intervals_cover(
    kind: str, num_seeds: int
) -> None:
    chance = np.random.default_rng([num_seeds, *kind.encode()])
    truth = normal_share(SKILL / (1 + KINDS[kind][0] ** 2 + KINDS[kind][1] ** 2) ** 0.5)
    differences, squares, twice, hits, hits_of_one = [], [], [], 0, 0
    for _ in range(NUM_TRIALS):
        (one, two), repeated = Nets(kind, chance).points(2, num_seeds)
        seeds = spread(repeated)
        found, before = (
            contrast(
                [one.mean(axis=1).tolist()],
                [two.mean(axis=1).tolist()],
                own,
                one.mean(axis=0) - two.mean(axis=0),
            )
            for own in (seeds, seeds._replace(scatter=0.0))
        )
        assert found.seed_error is not None
        assert found.image_error is not None
        assert before.image_error is not None
        differences.append(found.difference)
        squares.append(found.seed_error**2 + found.image_error**2)
        twice.append(found.seed_error**2 + before.image_error**2)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0 <= found.high
        low, high = accuracy_interval(one, seeds)
        hits_of_one += low <= truth <= high
    scatter = np.std(differences)
    assert np.mean(squares) ** 0.5 == pytest.approx(scatter, rel=DEVIATION_OFF)
    # Banerjee's intervals cover at least what they say.
    assert hits / NUM_TRIALS >= 0.95 - SHARE_OFF
    assert hits_of_one / NUM_TRIALS >= 0.95 - SHARE_OFF
    if kind == "seeds move images":  # half of each variance was in both
        assert np.mean(twice) ** 0.5 == pytest.approx(2**0.5 * scatter, rel=DEVIATION_OFF)


@pytest.mark.parametrize("num_seeds", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_of_equal_nets_each_stays_in_the_set_as_often_as_promised(
    kind: str, num_seeds: int
) -> None:
    chance = np.random.default_rng([num_seeds, *kind.encode()])
    lost = 0
    for _ in range(NUM_TRIALS // 2):
        models, repeated = Nets(kind, chance).points(5, num_seeds)
        lost += not standings(models, spread(repeated))[0].may_be_best
    assert lost / (NUM_TRIALS // 2) <= 0.05 + 3 * (0.05 * 0.95 / (NUM_TRIALS // 2)) ** 0.5
