"""How far two rankings agree, and how often the interval of that holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modiste.evaluate import rank_agreement as module
from modiste.evaluate.rank_agreement import rank_agreement


def quick_tau(one_P: np.ndarray, two_P: np.ndarray) -> float | None:
    """Of few points, from all pairs: a tenth of the time that SciPy takes."""
    one, two = (np.sign(each_P[:, np.newaxis] - each_P).ravel() for each_P in (one_P, two_P))
    pairs = float((one @ one) * (two @ two))
    return float(one @ two) / math.sqrt(pairs) if pairs else None


@pytest.mark.parametrize(("tau", "num_points"), [(0.8, 6), (0.9, 8)])
def test_an_interval_that_is_given_holds_the_truth_as_often_as_it_says(
    tau: float, num_points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = np.random.default_rng(0)
    some, other = chance.integers(0, 5, (2, 9)).astype(float)
    assert rank_agreement(some.tolist(), other.tolist()).tau == pytest.approx(  # type: ignore[union-attr]
        quick_tau(some, other), abs=1e-12
    )
    monkeypatch.setattr(module, "_tau", quick_tau)
    slope = math.sin(math.pi * tau / 2)  # of normal figures with that tau (Greiner's relation)
    num_given, hits = 0, 0
    while num_given < 100:
        one = chance.standard_normal(num_points)
        two = slope * one + math.sqrt(1 - slope**2) * chance.standard_normal(num_points)
        found = rank_agreement(one.tolist(), two.tolist())
        assert found is not None
        if found.low is None or found.high is None:
            assert found.tau == pytest.approx(1.0)
            continue
        assert found.low < found.high
        num_given += 1
        hits += found.low <= tau <= found.high
    # Three standard errors of a share of 0.95 below it.
    assert hits / num_given >= 0.95 - 3 * (0.95 * 0.05 / num_given) ** 0.5


def test_orders_that_agree_wholly_have_no_interval_however_many_points_there_are() -> None:
    figures = [0.1 * n for n in range(12)]
    for other in (figures, figures[::-1], [figure**3 for figure in figures]):
        found = rank_agreement(figures, other)
        assert found is not None
        assert abs(found.tau) == pytest.approx(1.0)
        assert (found.low, found.high) == (None, None)
    ties = rank_agreement([1, 1, 2, 2, 3, 3, 4], [5, 5, 6, 6, 7, 7, 8])
    assert ties is not None
    assert (ties.low, ties.high) == (None, None)
    # One pair that disagrees is enough to doubt.
    swapped = rank_agreement(figures, [figures[1], figures[0], *figures[2:]])
    assert swapped is not None
    assert swapped.low is not None
    assert swapped.high is not None
    assert swapped.low < swapped.tau < swapped.high
