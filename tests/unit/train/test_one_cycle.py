"""One cycle: up in a straight line, down in half a wave or in another line."""

from __future__ import annotations

import itertools

import pytest

from modiste.spec.parts import Moment
from modiste.train.schedules.one_cycle import OneCycle


def rates(schedule: OneCycle, updates: int = 100) -> list[float]:
    return [schedule.rate(2.0, {}, Moment(n, updates // 5, 5)) for n in range(updates + 1)]


def test_it_begins_peaks_and_ends_where_it_says() -> None:
    found = rates(OneCycle(warmup=0.25, start_share=0.1, end_share=0.05))
    assert found[0] == pytest.approx(0.2)
    assert max(found) == found[25] == pytest.approx(2.0)
    assert found[100] == pytest.approx(0.1)
    assert found[:26] == sorted(found[:26])
    assert found[25:] == sorted(found[25:], reverse=True)


def test_linear_is_a_triangle_and_a_cosine_is_half_way_down_in_the_middle() -> None:
    line = rates(OneCycle(warmup=0.5, start_share=0.0, shape="linear"))
    steps = [b - a for a, b in itertools.pairwise(line)]
    assert steps[:50] == pytest.approx([0.04] * 50)
    assert steps[50:] == pytest.approx([-0.04] * 50)
    wave = rates(OneCycle(warmup=0.0, end_share=0.0))
    assert (wave[0], wave[50]) == (pytest.approx(2.0), pytest.approx(1.0))
