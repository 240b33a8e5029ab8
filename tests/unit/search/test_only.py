"""Some points of a stage now, the others another time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import SpecError
from modiste.search.driver import Driver
from modiste.search.study import Study
from modiste.spec.files import parse_override
from tests import small
from tests.driving import Script, Watched, make, results

STAGES: list[dict[str, Any]] = [
    {"name": "grid", "grid": {"model.params.hidden": [[3], [4]], "model.params.dropout": [0, 0.5]}},
    {"name": "rates", "grid": {"train.optimizer.learning_rate": [0.01, 0.1]}},
    {"name": "final", "from": ["grid"], "final": True},
]
VALUES = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 1, "optimizer": {"name": "adam"}},
    stages=STAGES,
)


def drive_only(study: Study, *only: str, stages: list[str] | None = None) -> Watched:
    watched = Watched()
    parts = [parse_override(text, "--only") for text in only]
    assert Driver(study, small.images(), 2, watched, lambda: False, 0.0, parts).run(stages)
    return watched


def test_the_points_that_agree_are_run_and_the_others_wait(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", VALUES)
    watched = drive_only(study, "grid:model.params.hidden=[4]", stages=["grid"])
    assert sorted(watched.labels) == ["hidden=[4], dropout=0", "hidden=[4], dropout=0.5"]
    assert study.winner(study.stage("grid")) is None
    assert watched.notes == [
        "grid: 2 of 4 points are finished; --only left the others for another time."
    ]


def test_other_stages_are_run_whole_and_those_that_need_the_rest_wait(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "s", VALUES)
    watched = drive_only(study, "grid:model.params.hidden=[4]", "grid:model.params.dropout=0")
    assert len(watched.labels) == 3  # one of the grid, both rates
    assert "final: not run, because grid has points left." in watched.notes


def test_all_in_parts_is_the_same_as_all_at_once(tmp_path: Path, script: Script) -> None:
    parts, whole = make(tmp_path / "parts", VALUES), make(tmp_path / "whole", VALUES)
    drive_only(parts, "model.params.hidden=[4]", stages=["grid"])
    drive_only(parts, "grid:model.params.dropout=0")
    drive_only(parts)
    drive_only(whole)
    assert results(parts) == results(whole)


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("model.params.hiden=[4]", "no point of these stages has the key 'model.params.hiden'"),
        ("model.params.hidden=[5]", "agrees with no point. There are: hidden=[3], dropout=0; "),
        ("rates:model.params.hidden=[4]", "--only rates:model.params.hidden=[4]: agrees with no"),
    ],
)
def test_what_agrees_with_nothing_is_a_mistake(
    only: str, said: str, tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "s", VALUES)
    with pytest.raises(SpecError, match=re.escape(said)):
        drive_only(study, only)
    assert not script.tasks


SEARCH: dict[str, Any] = {
    "name": "search",
    "search": {
        "method": "random",
        "trials": 300,
        "tune": {
            "model.params.hidden": [[2], [3], [4], [5]],
            "train.optimizer.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
        },
    },
}


def test_points_of_a_search_that_are_left_for_another_time_hold_up_no_others(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "s", {**VALUES, "stages": [SEARCH]})
    watched = drive_only(study, "search:model.params.hidden=[4]")
    stage = study.stage("search")
    assert stage.num_to_come == 0
    meant = [row for row in stage.rows if row.settings["model.params.hidden"] == [4]]
    assert len(meant) > 64  # more than are ever chosen ahead
    assert all(row.is_done for row in meant)
    assert len(watched.labels) == len(meant)
    assert f"search: {len(meant)} of 300 points are finished" in watched.notes[0]


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("search:model.params.hiden=[4]", "no point of these stages has the key"),
        ("search:model.params.hidden=[7]", "agrees with no point"),
    ],
)
def test_a_slip_about_a_search_that_has_not_begun_is_said(
    tmp_path: Path, script: Script, only: str, said: str
) -> None:
    study = make(tmp_path / "s", {**VALUES, "stages": [SEARCH]})
    with pytest.raises(SpecError, match=said):
        drive_only(study, only)


def test_what_only_a_search_sets_can_be_asked_for_before_it_has_begun(
    tmp_path: Path, script: Script
) -> None:
    search = {**SEARCH["search"], "method": "tpe", "trials": 12}
    base = {"name": "base", "points": [{"label": "logistic", "model": {"family": "majority"}}]}
    given = {**VALUES, "stages": [base, {**SEARCH, "search": search}]}
    study = make(tmp_path / "s", given)
    drive_only(study, "model.params.hidden=[4]", stages=["search"])
    rows = study.stage("search").rows
    assert {row.is_done for row in rows if row.settings["model.params.hidden"] == [4]} == {True}
