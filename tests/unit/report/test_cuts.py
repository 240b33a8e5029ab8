"""What was cut of a study is said point by point, whatever a profile makes equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modiste.report.context import Context, gather
from modiste.report.cuts import Cut, all_cut
from modiste.spec.study import Override, StudySpec
from tests.report_fixture import make_study
from tests.unit.report.conftest import Written

SHORT = Override("", "train.epochs", 1)
AGAIN = {"name": "again", "confirm": {"top": 2, "seeds": 1}}


def cut_short(folder: Path, grid: dict[str, list[Any]], **more: Any) -> Context:
    """A study of a grid, two of whose points are confirmed, with every training cut."""
    stages = [{"name": "grid", "model": {"family": "mlp"}, "grid": grid}, AGAIN]
    spec = StudySpec.parse({"name": "plain", "stages": stages, **more.pop("spec", {})})
    return gather(make_study(folder / "study", spec=spec, num_val=200, **more))


def test_points_that_a_cut_makes_equal_are_confirmed_once_and_reported(tmp_path: Path) -> None:
    context = cut_short(tmp_path, {"train.epochs": [10, 30]}, overrides=[SHORT])
    assert len(context.stage("again").rows) == 1
    first = context.stage("grid").ranked[0].row.settings["train.epochs"]
    cut = context.cuts["again"]
    assert cut.changed == {"train.epochs": (str(first), "1")}
    assert (cut.num_run, cut.num_points) == (1, 2)
    assert "1 of 2 points" in Written.of(context.study).markdown


def test_points_that_a_profile_makes_equal_are_confirmed_once(tmp_path: Path) -> None:
    quick = {"profiles": {"quick": {"train.epochs": 1}}}
    context = cut_short(tmp_path, {"train.epochs": [10, 30]}, spec=quick, profile="quick")
    assert len(context.stage("again").rows) == 1
    assert set(context.cuts["again"].changed) == {"train.epochs"}


def test_each_confirmed_point_is_set_against_itself_in_the_full_profile(tmp_path: Path) -> None:
    grid = {"model.params.hidden": [[64], [512]], "train.epochs": [10, 30]}
    context = cut_short(tmp_path, grid, overrides=[SHORT])
    hidden = [row.row.settings["model.params.hidden"] for row in context.stage("again").rows]
    assert sorted(hidden) == [[64], [512]]  # and the full profile would confirm one of them twice
    cut = context.cuts["again"]
    assert set(cut.changed) == {"train.epochs"}
    assert (cut.num_run, cut.num_points) == (2, 2)


def test_epochs_that_were_cut_from_several_limits_are_said(tmp_path: Path) -> None:
    context = cut_short(tmp_path, {"train.epochs": [10, 30]}, overrides=[SHORT])
    assert all_cut({"grid": context.cuts["grid"]}) == "at most 1 epochs instead of 10 and 30"


def test_epochs_that_are_no_number_are_among_the_other_values() -> None:
    cut = Cut({"train.epochs": ("none", "3"), "model.family": ("knn", "mlp")}, 1, 1, 1, 1)
    whole = Cut({"train.epochs": ("300", "3")}, 1, 1, 1, 1)
    assert all_cut({"one": cut, "two": whole}) == (
        "at most 3 epochs instead of 300 and other values of model.family and train.epochs"
    )
