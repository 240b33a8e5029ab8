"""The winner's curse, where several searches picked the same point."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from modiste.evaluate.contrast import Pooled
from modiste.report.confirmed import _curse


def row(label: str, *fingerprints: str, accuracies: tuple[float, ...] = (0.90, 0.91)) -> Any:
    return SimpleNamespace(
        row=SimpleNamespace(label=label),
        runs=[SimpleNamespace(fingerprint=each) for each in fingerprints],
        seeds=Pooled(1e-6, 8),
        values=lambda *_: list(accuracies),
    )


def test_trainings_that_two_searches_share_count_once() -> None:
    context: Any = SimpleNamespace(epoch="last")
    other = row("other", "c", "d", accuracies=(0.88, 0.89))
    one, same = row("seed=3, wide", "a", "b"), row("seed=4, wide", "a", "b")
    before = {"seed=3, wide": 0.92, "seed=4, wide": 0.94, "other": 0.90, "wide": 0.93}
    found, num_points = _curse(context, [one, other, same], before)
    wanted, num_different = _curse(context, [row("wide", "a", "b"), other], before)
    assert num_points == num_different == 2
    assert (found.one, found.two) == pytest.approx((0.915, 0.895))
    assert found == wanted
