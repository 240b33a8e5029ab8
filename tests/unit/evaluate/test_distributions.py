"""The quantiles and tails are those of `scipy.stats`, which is too slow to load."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from modiste.evaluate import distributions as ours


def close(wanted: float) -> Any:
    return pytest.approx(wanted, rel=1e-12, abs=1e-300)


SHARES = [1e-12, 0.025, 0.5, 0.8, 0.975, 1 - 1e-12]
VALUES = np.linspace(-30, 30, 121).tolist()


@pytest.mark.parametrize("degrees", [1, 2, 4.37, 29, 1e6, math.inf])
def test_students_t(degrees: float) -> None:
    for share in SHARES:
        assert ours.t_quantile(share, degrees) == close(stats.t.ppf(share, degrees))
    for value in VALUES:
        assert ours.t_tail(value, degrees) == close(stats.t.sf(value, degrees))


def test_the_normal_distribution() -> None:
    for share in SHARES:
        assert ours.normal_quantile(share) == close(stats.norm.ppf(share))
    for value in VALUES:
        assert ours.normal_share(value) == close(stats.norm.cdf(value))
        assert ours.normal_share(-value) == close(stats.norm.sf(value))


@pytest.mark.parametrize(("above", "below"), [(1, 1), (2, 30), (4, 145.5), (100, 3)])
def test_fishers_f(above: float, below: float) -> None:
    for value in (0.0, 1e-3, 0.5, 1.0, 3.7, 60.0):
        assert ours.f_tail(value, above, below) == close(stats.f.sf(value, above, below))


@pytest.mark.parametrize("tosses", [1, 2, 13, 400, 12_000])
def test_a_fair_coin(tosses: int) -> None:
    for heads in {-1, 0, 1, tosses // 3, tosses // 2, tosses - 1, tosses}:
        assert ours.coin_tail(heads, tosses) == close(stats.binom.sf(heads, tosses, 0.5))
