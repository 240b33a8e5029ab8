"""How fast reports are written here: told by drawing a little."""

from __future__ import annotations

import time

import pytest

from modiste.report import pace


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.3])
def test_drawing_is_as_slow_as_a_panel_takes_and_the_first_one_does_not_count(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, drawn = [0.0], []

    def draw(*given: object) -> None:
        clock[0] += seconds if drawn else 7.0  # what is loaded for it
        drawn.append(given)

    monkeypatch.setattr(pace, "draw", draw)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    assert pace.slowness() == pytest.approx(seconds / pace.USUAL_SECONDS)


def test_a_panel_is_drawn_here_and_takes_time() -> None:
    assert 0 < pace.slowness() < 100
