"""Sentences that take a side take the one on which the interval lies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from modiste.evaluate.intervals import Difference
from modiste.interval import Interval, wilson
from modiste.report import answer
from modiste.report.ensembles import _between, _verdict
from modiste.report.markdown import code
from modiste.report.numbers import bound


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.00001, 0.004, "more than the choice of images explains"),
        (-0.00001, 0.004, "these images cannot tell the two apart"),
        (0.0, 0.0, "these images cannot tell the two apart"),
        (-0.004, 0.00001, "these images cannot tell the two apart"),
        (-0.004, -0.00001, "it loses right answers"),
    ],
)
def test_what_is_added_together_is_judged_by_the_side_of_its_interval(
    low: float, high: float, words: str
) -> None:
    found = Difference((low + high) / 2, 0.001, Interval(low, high))
    assert _verdict(found) == words
    # So that nobody reads "0.00 to" where the interval begins above 0.
    assert _between(found) == f"{bound(low)} to {bound(high)}"
    assert (bound(0.00001), bound(-0.00001), bound(None)) == ("+0.00", "−0.00", "–")


@pytest.mark.parametrize(
    ("published", "where"),
    [(0.9000, "inside"), (0.8943, "inside"), (0.8939, "outside"), (0.9061, "outside")],
)
def test_a_published_accuracy_lies_inside_our_interval_or_outside(
    published: float, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, high = wilson(9_000, 10_000)
    assert (0.8939 < low < 0.8943, 0.9057 < high < 0.9061) == (True, True)
    scores = [SimpleNamespace(accuracy=accuracy, total=10_000) for accuracy in (0.899, 0.901)]
    monkeypatch.setattr("modiste.report.answer.looks.scores", lambda *_: scores)
    row = SimpleNamespace(
        published=SimpleNamespace(test_accuracy=published),
        row=SimpleNamespace(fingerprints=("a", "b")),
        label="wide",
    )
    context: Any = SimpleNamespace(looks=(), published=SimpleNamespace(epoch="last"))
    stage: Any = SimpleNamespace(rows=[row], title="The final MLP")
    (sentence,) = answer._tested(context, stage)
    assert sentence.startswith("the final MLP reaches 0.9000 (mean of 2 seeds, ")
    assert sentence.endswith(f", the published {published:.4f} {where} it)")


def test_a_bar_in_a_code_span_is_a_bar_and_no_more() -> None:
    assert code("a | b") == "`a | b`"
    assert code("`a`") == "`` `a` ``"
