"""What fresh seeds say: only what their numbers show, and only of what the search put first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modiste.evaluate.contrast import Contrast, Pooled
from modiste.report.confirmed import _called, _curse, confirmed, overtuning, searched
from modiste.report.context import gather
from modiste.spec.run import RunSpec
from modiste.spec.study import StudySpec
from tests import report_fixture
from tests.report_fixture import Invented, make_study


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


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.0001, 0.004, ", the winner’s curse"),
        (-0.0014, 0.0017, ", no more than chance explains, so no winner’s curse is shown"),
        (-0.0017, 0.0014, ", no more than chance explains, so no winner’s curse is shown"),
        (-0.004, -0.0001, ", no winner’s curse"),
        (None, None, ", and whether that is the winner’s curse or chance is not known"),
    ],
)
def test_the_winners_curse_is_named_only_where_its_interval_shows_it(
    low: float | None, high: float | None, words: str
) -> None:
    middle = 0.001 if low is None or high is None else (low + high) / 2
    assert _called(Contrast(0.91 + middle, 0.91, None, None, low, high)) == words


def test_no_other_row_takes_the_place_of_a_first_one_that_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = report_fixture.invent
    spec = StudySpec.parse(
        {
            "name": "searched",
            "data": {"num_val": 500},
            "model": {"family": "mlp"},
            "stages": [
                {"name": "grid", "grid": {"model.params.hidden": [[64], [128], [512]]}},
                {"name": "again", "confirm": {"top": 2, "seeds": 2}},
            ],
        }
    )
    first = (
        make_study(tmp_path, spec=spec, num_val=500, stages=["grid"])
        .stage("grid")
        .ranked("last")[0]
    )

    def invent(spec: RunSpec, *, is_diverging: bool = False) -> Invented:
        is_first = spec.model == first.specs[0].model
        return plain(spec, is_diverging=is_diverging or (is_first and spec.seed == 102))

    monkeypatch.setattr(report_fixture, "invent", invent)
    context = gather(make_study(tmp_path, spec=spec, num_val=500, stages=["again"]))
    stage = context.stage("again")
    assert stage.stage.is_done
    assert [row.label for row in stage.ranked][1] == stage.rows[0].label  # it broke, so it is last
    assert overtuning(context, stage) is None
    text = "".join(getattr(part, "text", str(part)) for part in confirmed(context, stage))
    assert "In the mean of the 1 point that ended well these are" in text
    assert text.endswith(
        f"The one that stood first in the search, {stage.rows[0].label}, came to no good end here: "
        "1 of its 2 runs broke off (diverged). So whether the search was overtuned is not known."
    )


@pytest.mark.parametrize("folds", [{"folds": 5}, {}])
def test_figures_of_folds_are_not_set_against_those_of_the_whole(
    tmp_path: Path, folds: dict[str, int]
) -> None:
    spec = StudySpec.parse(
        {
            "name": "folded",
            "data": {"num_val": 500},
            "model": {"family": "mlp"},
            "stages": [
                {"name": "cv", **folds, "grid": {"model.params.hidden": [[64], [128], [512]]}},
                {"name": "fresh", "confirm": {"top": 2, "seeds": 2}},
            ],
        }
    )
    context = gather(make_study(tmp_path, spec=spec, num_val=500))
    stage = context.stage("fresh")
    text = "".join(getattr(part, "text", str(part)) for part in confirmed(context, stage))
    is_compared = not folds
    assert ("search less confirmed is" in text) == is_compared
    assert ("The images are the same" in text) == is_compared
    assert ("did not see and answer the same images" in text) == bool(folds)
    assert bool(searched(context, stage)) == is_compared
    assert (overtuning(context, stage) is not None) == is_compared
