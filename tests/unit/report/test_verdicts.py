"""Sentences that take a side take the one on which the interval lies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modiste.evaluate.contrast import Contrast, Pooled
from modiste.evaluate.intervals import Difference
from modiste.interval import Interval
from modiste.report import answer, claims, prose
from modiste.report.ensembles import _between, _verdict
from modiste.report.markdown import code
from modiste.report.numbers import bound
from modiste.report.sections.claims import _softly
from modiste.report.stress import Stressed, _turned_round


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
    assert (bound(0.00001), bound(-0.00001), bound(None)) == ("+0.001", "−0.001", "–")


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (0.9, "; the published 0.9000, on the same images, is as high"),
        (
            0.9024,
            (
                "; the published 0.9024, on the same images, is 0.24 points above, 2.0 times the "
                "standard error that seeds give that"
            ),
        ),
        (
            0.8988,
            (
                "; the published 0.8988, on the same images, is 0.12 points below, 1.0 times the "
                "standard error that seeds give that"
            ),
        ),
    ],
)
def test_a_published_test_accuracy_is_set_beside_ours_by_what_seeds_do(
    published: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images cannot part them: both were scored on the same."""

    def scores(_: Any, __: Any, epoch: str) -> list[Any]:
        found = (0.899, 0.9, 0.901) if epoch == "last" else (0.89, 0.89, 0.89)
        return [SimpleNamespace(accuracy=accuracy, total=10_000) for accuracy in found]

    monkeypatch.setattr("modiste.report.answer.looks.scores", scores)
    # Of one run beside the mean of three: the root of 4/3 variances is 0.0012.
    pooled = Pooled(0.0012**2 / (1 + 1 / 3), 10)
    monkeypatch.setattr("modiste.report.answer.seeds_of", lambda _, spread: spread)
    row = SimpleNamespace(
        published=SimpleNamespace(test_accuracy=published),
        row=SimpleNamespace(fingerprints=("a", "b", "c")),
        label="wide",
        is_net=True,
    )
    # Not that of the epoch that ranks: of the one whose figures are published.
    spreads = SimpleNamespace(of=lambda *_: pooled)
    context: Any = SimpleNamespace(
        looks=(), published=SimpleNamespace(epoch="last"), published_spreads=spreads
    )
    stage: Any = SimpleNamespace(rows=[row], title="The final MLP", name="final")
    (sentence,) = answer._tested(context, stage)
    start = "the final MLP reaches 0.9000 at the last epoch "
    assert sentence == f"{start}(mean of 3 seeds; 0.8900 at the best one){words}"


def test_where_nobody_knows_what_seeds_do_it_is_said() -> None:
    words = answer._beside_published(0.9, 0.89, None, 1)
    assert words.endswith("is 1.00 points above; how far a seed moves it is not known")


def row_of(ours: float, published: float) -> Any:
    return SimpleNamespace(
        published=SimpleNamespace(val_accuracy=published), mean=lambda *_: ours, broken=[]
    )


@pytest.mark.parametrize(
    ("order", "tau"), [((0, 1, 2, 3, 4), "+1.00"), ((4, 3, 2, 1, 0), "−1.00"), (None, "")]
)
def test_rows_that_agree_within_errors_are_also_asked_for_their_order(
    order: tuple[int, ...] | None, tau: str
) -> None:
    context: Any = SimpleNamespace(published=SimpleNamespace(epoch="last"))
    places = order or (0, 1, 2, 3)  # of fewer rows than five nothing is said
    rows = [row_of(0.9 + place / 1000, 0.9 + at / 1000) for at, place in enumerate(places)]
    stage: Any = SimpleNamespace(rows=rows)
    text = prose._same_order(context, stage)
    assert text.endswith(f"Kendall’s tau of ours with the published one is {tau}.") == bool(order)
    assert bool(text) == bool(order)


def test_a_model_that_bears_a_change_better_than_the_best_one_is_named() -> None:
    """Only where the choice of images does not explain it, and of each change the most of it."""
    chance = np.random.default_rng(0)

    def model(name: str, *shares: float) -> Stressed:
        rights = np.stack([chance.random(1_000) < share for share in shares])
        changes = (("noise", "0.1"), ("noise", "0.2"), ("blur", "1 pixel"), ("shift", "1 pixel"))
        return Stressed(name, rights, changes)

    one = model("wide", 0.95, 0.9, 0.4, 0.801, 0.9)
    two = model("narrow", 0.90, 0.4, 0.7, 0.8, 0.5)
    text = _turned_round([one, two])
    assert text.startswith(" On images as they are, wide is the best of these; it is not under ")
    assert "noise 0.2 (narrow, 0." in text
    assert "blur" not in text
    assert "shift" not in text
    assert _turned_round([one]) == ""
    # Where nobody can say which is the best on images as they are, no order turns round.
    even = Stressed("even", one.right_RN.copy(), one.changes)
    even.right_RN[2] = two.right_RN[2]
    assert "noise" not in _turned_round([one, even])


@pytest.mark.parametrize(("low", "is_firm"), [(0.001, True), (-0.0001, False)])
def test_an_answer_that_an_allowance_would_take_back_is_not_firm(low: float, is_firm: bool) -> None:
    side: Any = SimpleNamespace(is_whole=True)
    test: Any = SimpleNamespace(figure="val_accuracy", expect="more", margin=0.0, decides=True)
    found = Contrast(0.91, 0.90, 0.001, 0.001, 0.004, 0.016)
    allowed = Contrast(0.91, 0.90, 0.001, 0.001, low, 0.02)
    answered = claims.TestAnswer(test, side, side, found, None, allowed=allowed)
    assert (answered.verdict, answered.is_firm) == ("holds", is_firm)
    claim: Any = SimpleNamespace()
    assert claims.ClaimAnswer(claim, [answered], "holds").is_firm == is_firm
    assert claims.ClaimAnswer(claim, [answered], "undecided").is_firm
    # One test that fails is enough, whatever else is soft.
    against = Contrast(0.90, 0.91, 0.001, 0.001, -0.016, -0.004)
    fails = claims.TestAnswer(test, side, side, against, None, allowed=against)
    assert claims.ClaimAnswer(claim, [answered, fails], "fails").is_firm
    soft = claims.TestAnswer(test, side, side, against, None, allowed=allowed)
    assert not claims.ClaimAnswer(claim, [answered, soft], "fails").is_firm
    # The note stands under the table whose answers bear the mark.
    undecided = claims.ClaimAnswer(claim, [answered], "undecided")
    published = SimpleNamespace(claims=[SimpleNamespace(tests=[test])])
    context: Any = SimpleNamespace(published=published)
    assert _softly(context, [undecided]) == []
    assert bool(_softly(context, [answered])) == (not is_firm)


def test_a_bar_in_a_code_span_is_a_bar_and_no_more() -> None:
    assert code("a | b") == "`a | b`"
    assert code("`a`") == "`` `a` ``"
