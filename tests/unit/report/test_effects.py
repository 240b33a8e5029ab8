"""What each choice is worth is worked out on full grids alone, from the means of their points."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from modiste.report.context import Context, gather
from modiste.report.effects import Effect, effects
from modiste.spec.study import StudySpec
from tests.report_fixture import make_study

GRID: dict[str, Any] = {
    "name": "grid",
    "grid": {
        "model.params.hidden": [[64], [96], [64, 32]],
        "model.params.dropout": [0.1, 0.3],
        "train.optimizer": [{"name": "adam"}, {"name": "sgd", "learning_rate": 0.01}],
    },
}


def gathered(folder: Path, *stages: dict[str, Any], **more: Any) -> Context:
    values = {"name": "s", "data": {"num_val": 500}, "model": {"family": "mlp"}, "stages": stages}
    return gather(make_study(folder, spec=StudySpec.parse(values), num_val=500, **more))


def one(found: list[Effect], key: str, value: str) -> Effect:
    (match,) = [effect for effect in found if (effect.key, effect.value) == (key, value)]
    return match


def test_each_value_is_set_against_all_others_of_its_key(tmp_path: Path) -> None:
    context = gathered(tmp_path, GRID)
    stage = context.stage("grid")
    found = effects(context, stage)
    assert {effect.key for effect in found} == {
        "model.params.hidden",
        "model.params.dropout",
        "train.optimizer",
        "number of hidden layers",
    }
    effect = one(found, "train.optimizer", "adam")
    accuracies = {
        name: fmean(
            row.mean("last", "val", "accuracy") or 0.0
            for row in stage.rows
            if row.row.specs[0].train.optimizer.name == name
        )
        for name in ("adam", "sgd")
    }
    assert effect.num_points == 6
    assert effect.contrast.one == pytest.approx(accuracies["adam"])
    assert effect.contrast.difference == pytest.approx(accuracies["adam"] - accuracies["sgd"])
    deep = one(found, "number of hidden layers", "2")
    assert deep.num_points == 4
    assert deep.contrast.difference == pytest.approx(
        one(found, "model.params.hidden", "[64, 32]").contrast.difference
    )


def test_opposite_values_of_a_pair_mirror_each_other(tmp_path: Path) -> None:
    context = gathered(tmp_path, GRID)
    found = effects(context, context.stage("grid"))
    low, high = (one(found, "model.params.dropout", value).contrast for value in ("0.1", "0.3"))
    assert low.difference == pytest.approx(-high.difference)
    assert (low.low, low.high) == pytest.approx((-high.high, -high.low))


@pytest.mark.parametrize(
    "stage",
    [
        {"name": "grid", "grid": {"model.params.hidden": [[64], [96]]}},
        {
            "name": "grid",
            "points": [
                {"model.params.hidden": [64], "model.params.dropout": 0.1},
                {"model.params.hidden": [64], "model.params.dropout": 0.2},
                {"model.params.hidden": [96], "model.params.dropout": 0.1},
            ],
        },
    ],
    ids=["one key", "a corner is missing"],
)
def test_what_is_no_full_grid_has_none(stage: dict[str, Any], tmp_path: Path) -> None:
    context = gathered(tmp_path, stage)
    assert effects(context, context.stage("grid")) == []


def test_a_grid_that_is_not_finished_or_broke_has_none(tmp_path: Path) -> None:
    unfinished = gathered(tmp_path / "a", GRID, stages=[])
    assert effects(unfinished, unfinished.stage("grid")) == []
    label = "hidden=[64], dropout=0.1, adam"
    broken = gathered(tmp_path / "b", GRID, diverging=[label])
    assert any(row.broken for row in broken.stage("grid").rows)
    assert effects(broken, broken.stage("grid")) == []
