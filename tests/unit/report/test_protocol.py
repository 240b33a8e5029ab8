"""What the protocol says that a study fixes and varies is what its runs were given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modiste.report.blocks import Table
from modiste.report.context import Context, gather
from modiste.report.sections import protocol
from modiste.spec.settings import flatten
from modiste.spec.study import Override, StudySpec
from tests.report_fixture import make_study

MLP = {"family": "mlp"}


def told(folder: Path, *stages: dict[str, Any], overrides: tuple[Override, ...] = ()) -> Context:
    """What is known of an invented study of these stages."""
    spec = StudySpec.parse({"name": "plain", "stages": stages})
    return gather(make_study(folder / "study", spec=spec, num_val=200, overrides=overrides))


def table(context: Context, name: str) -> Table:
    (found,) = [
        block
        for block in protocol.build(context)
        if isinstance(block, Table) and block.ident == name
    ]
    return found


def by_stage(context: Context) -> dict[str, tuple[str, str]]:
    """What each stage varies, and what it sets."""
    rows = [[str(cell.text) for cell in row.cells] for row in table(context, "table-by-stage").rows]
    return {row[0]: (row[3], row[4]) for row in rows}


def fixed(context: Context) -> dict[str, str]:
    rows = [[str(cell.text) for cell in row.cells] for row in table(context, "table-fixed").rows]
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize("key", ["optimizer", "schedule"])
def test_a_part_that_is_given_by_its_name_alone_is_said(tmp_path: Path, key: str) -> None:
    names = {"optimizer": ["sgd", "adam"], "schedule": ["one_cycle", "constant"]}[key]
    context = told(
        tmp_path,
        {"name": "one", "model": MLP, "grid": {f"train.{key}": names}},
        {"name": "two", "model": MLP, "points": [{f"train.{key}": names[0]}]},
    )
    assert by_stage(context) == {
        "one": (f"{key} {names[0]}, {names[1]}", "mlp"),
        "two": ("nothing", f"mlp; {key} {names[0]}"),
    }


@pytest.mark.parametrize(
    ("grid", "own"),
    [
        (
            {"model.family": ["mlp", "cnn", "knn"]},
            {"model.params.hidden", "model.params.filters", "model.params.neighbours"},
        ),
        (
            {"train.optimizer": ["adam", {"name": "sgd", "momentum": 0.9}]},
            {"train.optimizer.beta_1", "train.optimizer.momentum"},
        ),
    ],
    ids=["families", "optimizers"],
)
def test_what_only_some_points_have_is_not_fixed_throughout(
    tmp_path: Path, grid: dict[str, Any], own: set[str]
) -> None:
    context = told(tmp_path, {"name": "one", "model": MLP, "grid": grid})
    has = [row.row.specs[0].to_dict() for row in context.stages[0].rows]
    assert own <= {key for values in has for key in flatten(values)}
    assert not own & set(fixed(context))
    assert fixed(context)["train.batch_size"] == "128"


@pytest.mark.parametrize(
    ("points", "varied"),
    [
        (
            [{"train.early_stopping": None}, {"train.early_stopping": {"patience": 3}}],
            "early_stopping none, patience 3",
        ),
        (
            [
                {"train.early_stopping": None},
                {"train.early_stopping": {"patience": 3, "monitor": "val_accuracy"}},
            ],
            "early_stopping none | monitor val_accuracy, patience 3",
        ),
        ([{"train.averaging": None}, {"train.averaging": {}}], "averaging none, decay 0.999"),
        (
            [{"label": "plain"}, {"train.averaging.decay": 0.99}],
            "averaging none, decay 0.99",
        ),
    ],
    ids=["one key", "two keys", "defaults", "a key of what is not there"],
)
def test_a_part_that_some_points_do_without_is_varied(
    tmp_path: Path, points: list[dict[str, Any]], varied: str
) -> None:
    context = told(tmp_path, {"name": "one", "model": MLP, "points": points})
    assert by_stage(context) == {"one": (varied, "mlp")}
    (part,) = {".".join(key.split(".")[:2]) for point in points for key in point if "." in key}
    assert not [key for key in fixed(context) if key.startswith(part)]


def test_a_part_that_a_stage_has_throughout_is_said_key_by_key(tmp_path: Path) -> None:
    train = {"early_stopping": {"patience": 3}}
    context = told(
        tmp_path,
        {"name": "with", "model": MLP, "train": train},
        {"name": "without", "model": MLP},
    )
    assert by_stage(context)["with"] == ("nothing", "mlp; early_stopping.patience 3")


def test_assumed_keys_of_a_part_that_some_points_do_without_are_marked(tmp_path: Path) -> None:
    grid = {"train.early_stopping": [None, {"patience": 3}]}
    assumed = ["train.early_stopping.patience"]
    stage = {"name": "one", "model": MLP, "grid": grid, "assumed": assumed}
    assert by_stage(told(tmp_path, stage))["one"][0] == "early_stopping none, patience 3†"


@pytest.mark.parametrize(
    ("key", "values"),
    [("preset", ("keras", "torch")), ("threads", (1, 2)), ("kernels", ("torch", "fused"))],
)
def test_what_a_stage_says_of_its_runs_alone_is_said(
    tmp_path: Path, key: str, values: tuple[Any, Any]
) -> None:
    stages = [{"name": f"with-{value}", "model": MLP, key: value} for value in values]
    context = told(tmp_path, *stages)
    assert by_stage(context) == {
        f"with-{value}": ("nothing", f"mlp; {key} {value}") for value in values
    }


def test_a_confirming_stage_sets_what_the_stage_that_chose_sets(tmp_path: Path) -> None:
    context = told(
        tmp_path,
        {"name": "grid", "model": MLP, "preset": "torch", "train": {"batch_size": 64}},
        {"name": "again", "confirm": {"top": 1, "seeds": 1}},
        {"name": "other", "model": MLP},
    )
    said = by_stage(context)
    assert said["again"] == said["grid"] == ("nothing", "mlp; preset torch; batch_size 64")
    assert said["other"] == ("nothing", "mlp; preset keras")


@pytest.mark.parametrize(
    ("stages", "note"),
    [
        ([{}, {}], "The full profile allows 300 epochs; 1 were allowed here."),
        (
            [{}, {"train": {"epochs": 20}}],
            "Where that differs, the full profile allows 20 or 300 epochs; 1 were allowed here.",
        ),
        (
            [{}, {"train": {"epochs": 1}}],
            "Where that differs, the full profile allows 300 epochs; 1 were allowed here.",
        ),
        (
            [{"grid": {"train.epochs": [1, 30]}}],
            "Where that differs, the full profile allows 30 epochs; 1 were allowed here.",
        ),
    ],
    ids=["all of one limit", "two limits", "one as in full", "a point as in full"],
)
def test_what_the_full_profile_allows_is_said_of_every_stage(
    tmp_path: Path, stages: list[dict[str, Any]], note: str
) -> None:
    named = [{"name": f"stage-{n}", "model": MLP, **stage} for n, stage in enumerate(stages)]
    context = told(tmp_path, *named, overrides=(Override("", "train.epochs", 1),))
    assert table(context, "table-fixed").notes == [[note]]


def test_a_study_that_is_not_cut_says_nothing_of_other_limits(tmp_path: Path) -> None:
    assert not table(told(tmp_path, {"name": "one", "model": MLP}), "table-fixed").notes
