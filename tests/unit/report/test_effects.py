"""What each choice is worth is worked out from points that agree in everything else."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from modiste.report.context import Context, gather
from modiste.report.effects import Effect, Effects, effects, factors
from modiste.report.effects_table import effects_table
from modiste.runs.run import Epoch, Run
from modiste.search.answers import Answers
from modiste.search.study import Study
from modiste.spec.run import RunSpec
from modiste.spec.study import StudySpec
from tests import report_fixture
from tests.report_fixture import make_study

GRID: dict[str, Any] = {
    "name": "grid",
    "repeats": 2,
    "grid": {
        "model.params.hidden": [[64], [96], [64, 32]],
        "model.params.dropout": [0.1, 0.3],
        "train.optimizer": [{"name": "adam"}, {"name": "sgd", "learning_rate": 0.01}],
    },
}


# Beyond its own interval here, and within one that allows for eleven of them.
DROPOUT = 0.008


def gathered(folder: Path, *stages: dict[str, Any], **more: Any) -> Context:
    values = {"name": "s", "data": {"num_val": 500}, "model": {"family": "mlp"}, "stages": stages}
    return gather(make_study(folder, spec=StudySpec.parse(values), num_val=500, **more))


def found(context: Context) -> Effects:
    answer = effects(context, context.stage("grid"))
    assert answer is not None
    return answer


def one(found: Effects, key: str, value: str) -> Effect:
    (match,) = [effect for effect in found.effects if (effect.key, effect.value) == (key, value)]
    return match


def accuracies(context: Context) -> dict[str, float]:
    rows = context.stage("grid").rows
    return {row.row.label: row.mean("last", "val", "accuracy") or 0.0 for row in rows}


def test_each_value_is_set_against_all_others_of_its_key(tmp_path: Path) -> None:
    context = gathered(tmp_path, GRID)
    given = found(context)
    assert given.is_whole
    assert not given.part
    assert list(dict.fromkeys(effect.key for effect in given.effects)) == [
        "hidden",
        "dropout",
        "optimizer",
        "number of hidden layers",
        "widest hidden layer",
    ]
    effect = one(given, "optimizer", "adam")
    means = [
        fmean(value for label, value in accuracies(context).items() if name in label)
        for name in ("adam", "sgd")
    ]
    assert (effect.num_points, effect.num_others, effect.num_settings) == (6, 6, 6)
    assert effect.contrast.one == pytest.approx(means[0])
    assert effect.contrast.difference == pytest.approx(means[0] - means[1])


def test_depth_and_width_are_compared_at_equal_width_and_depth(tmp_path: Path) -> None:
    context = gathered(tmp_path, GRID)
    given, known = found(context), accuracies(context)

    def gap(first: str, second: str) -> float:
        return fmean(
            known[f"hidden={first}, {rest}"] - known[f"hidden={second}, {rest}"]
            for rest in map(", ".join, product(
                ("dropout=0.1", "dropout=0.3"), ("adam", "sgd learning_rate=0.01")))
        )  # fmt: skip

    deep = one(given, "number of hidden layers", "2")
    assert (deep.num_points, deep.num_others) == (4, 4)  # [96] has no deeper net as wide
    assert deep.contrast.difference == pytest.approx(gap("[64, 32]", "[64]"))
    wide = one(given, "widest hidden layer", "96")
    assert (wide.num_points, wide.num_others) == (4, 4)  # [64, 32] has no wider one as deep
    assert wide.contrast.difference == pytest.approx(gap("[96]", "[64]"))


def test_opposite_values_of_a_pair_mirror_each_other(tmp_path: Path) -> None:
    given = found(gathered(tmp_path, GRID))
    low, high = (one(given, "dropout", value).contrast for value in ("0.1", "0.3"))
    assert low.difference == pytest.approx(-high.difference)
    assert (low.low, low.high) == pytest.approx((-(high.high or 0), -(high.low or 0)))


def test_what_is_bold_survives_the_number_of_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invent = report_fixture.invent

    def with_effects(spec: RunSpec, **more: Any) -> Any:
        """Of the optimizer a large one, and of dropout one that a single interval would show."""
        how = invent(spec, **more)
        params = spec.to_dict()["model"]["params"]
        gain = 0.04 * (spec.train.optimizer.name == "adam") + DROPOUT * (params["dropout"] == 0.1)
        return replace(how, accuracy=how.accuracy - 0.04 + gain)

    monkeypatch.setattr(report_fixture, "invent", with_effects)
    given = found(gathered(tmp_path, GRID))
    large, small = one(given, "optimizer", "adam"), one(given, "dropout", "0.1")
    assert large.leaves_out_0
    assert large.is_clear
    assert small.leaves_out_0
    assert not small.is_clear


def test_without_repeats_nothing_is_bold(tmp_path: Path) -> None:
    once = {**GRID, "repeats": 1}
    given = found(gathered(tmp_path, once))
    assert not any(effect.covers_seeds for effect in given.effects)
    assert not any(effect.is_clear or effect.leaves_out_0 for effect in given.effects)
    assert all(effect.contrast.low is not None for effect in given.effects)  # of images


def noted(context: Context) -> str:
    """The first note under the table."""
    table = effects_table(context, context.stage("grid"), found(context))
    return "".join(str(part) for part in table.notes[0])


def test_on_seeds_alone_nothing_is_bold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gathered(tmp_path / "two", GRID)
    assert found(whole).covers_images
    assert "Intervals cover seeds and images" in noted(whole)
    once = gathered(tmp_path / "one", {**GRID, "repeats": 1})
    assert "Intervals cover images only; the spread over seeds is not known" in noted(once)
    answers = Study.answers

    def of_some(self: Study, run: Run, epoch: Epoch) -> Answers:
        """As where one of the points kept fewer images to choose by."""
        given = answers(self, run, epoch)
        params = run.spec.to_dict()["model"]["params"]
        is_one = params["hidden"] == [96] and params["dropout"] == 0.1
        return Answers(*(each[:400] for each in given)) if is_one else given

    monkeypatch.setattr(Study, "answers", of_some)
    given = found(whole)
    assert not given.covers_images
    assert not any(effect.is_clear or effect.leaves_out_0 for effect in given.effects)
    ends = [
        (effect.contrast.low or 0.0) * (effect.contrast.high or 0.0) for effect in given.effects
    ]
    assert max(ends) > 0  # the seeds alone would have it of some
    assert "Intervals cover seeds only; the points answered different images" in noted(whole)
    assert "No intervals, and none is bold: the spread over seeds is not known" in noted(once)


def test_a_point_whose_seeds_are_not_known_takes_no_bold_from_what_it_has_no_part_in(
    tmp_path: Path,
) -> None:
    rate, batch, epochs = "model.params.dropout", "train.batch_size", "train.epochs"
    points = [
        {rate: 0.1, batch: 64, epochs: 20},
        {rate: 0.3, batch: 64, epochs: 20},
        {rate: 0.1, batch: 64, epochs: 30},
    ]
    again = {"name": "again", "train": {"epochs": 20}, "repeats": 3}  # of 30 epochs there is none
    context = gathered(tmp_path / "some", {"name": "grid", "points": points}, again)
    given = found(context)
    known = {effect.key: effect.covers_seeds for effect in given.effects}
    assert known == {"dropout": True, "epochs": False}
    assert "Intervals cover seeds and images, each for itself." in noted(context)
    table = effects_table(context, context.stage("grid"), given)
    marks = {row.cells[0].text: row.cells[-1].mark for row in table.rows}
    assert marks == {"dropout": "", "epochs": "‖"}
    assert any(str(note[0]).startswith("‖ Images only; of some of its") for note in table.notes)
    # One that agrees with no other point in all but one key has no part in any effect.
    points[2] = {rate: 0.5, batch: 128, epochs: 30}
    apart = gathered(tmp_path / "apart", {"name": "grid", "points": points}, again)
    assert [effect.key for effect in found(apart).effects] == ["dropout", "dropout"]
    assert "Intervals cover seeds and images, each for itself." in noted(apart)
    table = effects_table(apart, apart.stage("grid"), found(apart))
    assert not any("‖" in str(note) for note in table.notes)


def test_a_stage_that_varies_one_key_has_none_but_what_is_read_from_it(tmp_path: Path) -> None:
    plain = {"name": "grid", "grid": {"model.params.dropout": [0.1, 0.3]}}
    context = gathered(tmp_path / "a", plain)
    assert effects(context, context.stage("grid")) is None
    shapes = {"name": "grid", "grid": {"model.params.hidden": [[64], [96], [64, 64]]}}
    given = found(gathered(tmp_path / "b", shapes))
    assert {effect.key for effect in given.effects} == {
        "number of hidden layers",
        "widest hidden layer",
    }


POINTS = {
    "name": "grid",
    "points": [
        {"model.params.batch_norm": False, "model.params.dropout": 0.0},
        {"model.params.batch_norm": True, "model.params.dropout": 0.0},
        {"model.params.batch_norm": True, "model.params.dropout": 0.2},
    ],
    "model": {"family": "cnn", "params": {"num_layers": 1, "filters": 4}},
}


def test_batch_norm_is_compared_where_the_rest_is_equal_and_that_part_is_named(
    tmp_path: Path,
) -> None:
    context = gathered(tmp_path, POINTS)
    given = found(context)
    norm = one(given, "batch_norm", "yes")
    none, alone, _ = accuracies(context).values()
    assert (norm.num_points, norm.num_others) == (1, 1)
    assert norm.contrast.difference == pytest.approx(alone - none)
    assert given.part == {
        "batch_norm": "2 points (dropout 0)",
        "dropout": "2 points (batch_norm yes)",
    }


def test_of_a_grid_that_is_not_finished_a_balanced_part_is_taken_and_named(tmp_path: Path) -> None:
    values = {
        "name": "s",
        "data": {"num_val": 500},
        "model": {"family": "mlp"},
        "stages": [
            {
                "name": "grid",
                "grid": {
                    "model.params.hidden": [[64], [96], [128]],
                    "model.params.dropout": [0.1, 0.2, 0.3],
                },
            }
        ],
    }
    study = make_study(tmp_path, spec=StudySpec.parse(values), num_val=500)
    for label in ("hidden=[128], dropout=0.2", "hidden=[128], dropout=0.3"):
        (row,) = [row for row in study.stages()[0].rows if row.label == label]
        study.run_folder(row.fingerprints[0]).rename(tmp_path / label)
    context = gather(type(study)(tmp_path))
    given = found(context)
    assert (given.num_done, given.num_points) == (7, 9)
    # Over all three values of dropout where all are finished; [128] only beside 0.1.
    assert given.part["hidden"] == "6 points (dropout 0.1 or 0.2 or 0.3)"
    assert given.part["dropout"] == "6 points (hidden [64] or [96])"
    known = accuracies(context)
    wanted = fmean(
        known[f"hidden=[64], dropout={rate}"] - known[f"hidden=[96], dropout={rate}"]
        for rate in (0.1, 0.2, 0.3)
    )
    assert one(given, "hidden", "[64]").contrast.difference == pytest.approx(wanted)


def test_a_grid_with_nothing_finished_or_that_broke_has_none(tmp_path: Path) -> None:
    unfinished = gathered(tmp_path / "a", GRID, stages=[])
    assert effects(unfinished, unfinished.stage("grid")) is None
    label = "hidden=[64], dropout=0.1, adam"
    broken = gathered(tmp_path / "b", GRID, diverging=[label])
    assert any(row.broken for row in broken.stage("grid").rows)
    assert effects(broken, broken.stage("grid")) is None


def test_cross_validation_has_none(tmp_path: Path) -> None:
    context = gathered(tmp_path, {**GRID, "repeats": 1, "folds": 2}, stages=[])
    assert effects(context, context.stage("grid")) is None


def test_what_is_no_list_of_whole_numbers_has_nothing_to_be_read() -> None:
    assert factors([{"a": [0.5]}, {"a": [1, 2]}]) == []
    assert factors([{"a": "x"}, {"a": "y"}]) == []


def test_a_point_without_the_part_that_others_set_has_its_own_one(tmp_path: Path) -> None:
    sgd = {"train.optimizer": {"name": "sgd"}}
    points = [{"model.params.dropout": rate, **more} for rate in (0.1, 0.3) for more in ({}, sgd)]
    given = found(gathered(tmp_path, {"name": "grid", "points": points}))
    assert [e.value for e in given.effects if e.key == "optimizer"] == ["adam", "sgd"]


@pytest.mark.parametrize("key", ["model.params.filters", "model.params.blocks"])
def test_only_hidden_layers_are_called_layers(key: str) -> None:
    last = key.rpartition(".")[2]
    named = [factor.name for factor in factors([{key: [8]}, {key: [8, 16]}, {key: [4, 4]}])]
    assert named == [f"length of {last}", f"largest of {last}"]
