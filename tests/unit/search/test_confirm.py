"""The best points of a stage again, on seeds that had no part in choosing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modiste.errors import SpecError
from modiste.report.context import gather
from modiste.search.study import Study
from modiste.spec.study import Override
from tests import small
from tests.driving import Script, Watched, drive, make

GRID: dict[str, Any] = {"name": "grid", "grid": {"model.params.hidden": [[3], [6], [9]]}}
CONFIRM: dict[str, Any] = {"name": "again", "confirm": {"top": 2, "seeds": 3}}
LATER: dict[str, Any] = {"name": "later", "from": ["again"], "final": True}


def study(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 2, "optimizer": {"name": "adam", "learning_rate": 0.01}},
        stages=list(stages),
        **more,
    )


def labels(study: Study, name: str) -> list[str]:
    return [row.label for row in study.stage(name).rows]


def test_the_best_points_are_trained_again_just_as_they_were_on_fresh_seeds(
    tmp_path: Path, script: Script
) -> None:
    made = make(tmp_path / "s", study(GRID, CONFIRM))
    assert made.stage("again").waits_for == ("grid",)
    drive(made)
    ranked = made.stage("grid").ranked("last")
    assert labels(made, "again") == [row.label for row in ranked[:2]]
    for row, origin in zip(made.stage("again").rows, ranked, strict=False):
        assert [spec.seed for spec in row.specs] == [101, 102, 103]
        before = origin.specs[0]
        assert all(spec.model_copy(update={"seed": before.seed}) == before for spec in row.specs)
        assert row.is_done


def test_their_seeds_move_with_that_of_the_study(tmp_path: Path, script: Script) -> None:
    made = make(tmp_path / "s", study(GRID, CONFIRM), seed=7)
    drive(made)
    assert [spec.seed for spec in made.stage("again").rows[0].specs] == [108, 109, 110]


SEEDS: dict[str, Any] = {
    "name": "grid",
    "search": {
        "method": "grid",
        "compare": {"seed": [3, 4]},
        "tune": {"model.params.hidden": [[3], [6]]},
    },
}


def test_searches_with_seeds_of_their_own_are_confirmed_on_the_same_fresh_ones(
    tmp_path: Path, script: Script
) -> None:
    again = {"name": "again", "confirm": {"top": 1, "seeds": 2}}
    made = make(tmp_path / "s", study(SEEDS, again, LATER))
    drive(made)
    assert [row.specs[0].seed for row in made.stage("grid").rows] == [3, 3, 4, 4]
    picked = made.stage("again").rows
    assert [row.settings["seed"] for row in picked] == [3, 4]
    assert [[spec.seed for spec in row.specs] for row in picked] == [[101, 102]] * 2
    # Which seed a winner was found with is no part of what was found.
    assert made.stage("later").rows[0].specs[0].seed == 0


@pytest.mark.parametrize("grid", [{"points": [{"seed": 4}, {"seed": 102}]}, {"repeats": 103}])
def test_a_seed_that_would_confirm_itself_is_refused_at_once(
    tmp_path: Path, grid: dict[str, Any]
) -> None:
    stages = {"name": "grid", **grid}, {**CONFIRM, "confirm": {"top": 1, "seeds": 2}}
    with pytest.raises(
        SpecError, match=r"\[again\].*are 101 to 102, and with 10[12] .*other seeds"
    ):
        make(tmp_path / "s", study(*stages))
    stages[1]["confirm"]["seeds"] = 1  # 101 alone
    if "points" in grid:
        make(tmp_path / "t", study(*stages))


def test_a_confirming_stage_is_told_no_seed(tmp_path: Path) -> None:
    message = r"\[again\].*none can be set.*seed of the study"
    with pytest.raises(SpecError, match=message):
        make(tmp_path / "s", study(GRID, {**CONFIRM, "profiles": {"full": {"set": {"seed": 5}}}}))
    with pytest.raises(SpecError, match=message):
        make(tmp_path / "s", study(GRID, CONFIRM), overrides=[Override("again", "seed", 5)])


def test_points_that_differ_in_their_seed_alone_are_confirmed_once(
    tmp_path: Path, script: Script
) -> None:
    grid = {"name": "grid", "grid": {"seed": [1, 2, 3], "model.params.hidden": [[3], [6]]}}
    made = make(tmp_path / "s", study(grid, {**CONFIRM, "confirm": {"top": 2, "seeds": 2}}))
    drive(made)
    shapes = [row.specs[0].model.params.to_dict()["hidden"] for row in made.stage("again").rows]
    assert sorted(shapes) == [[3], [6]]


def test_some_can_be_confirmed_by_the_seed_that_chose_them(tmp_path: Path, script: Script) -> None:
    confirm = {**CONFIRM, "confirm": {"top": 1, "seeds": 1, "among": {"seed": 4}}}
    made = make(tmp_path / "s", study(SEEDS, confirm))
    drive(made)
    assert [row.settings["seed"] for row in made.stage("again").rows] == [4]


def test_the_mean_of_the_fresh_seeds_decides_what_is_handed_on(
    tmp_path: Path, script: Script
) -> None:
    made = make(tmp_path / "s", study(GRID, CONFIRM, LATER))
    drive(made)
    best = made.winner(made.stage("again"))
    assert best is not None
    counts = [row.mean("last", "val", "correct") for row in made.stage("again").rows]
    assert best.mean("last", "val", "correct") == max(counts)
    handed = made.stage("later").rows[0].specs[0].model.params.to_dict()["hidden"]
    assert f"hidden={handed}" == best.label


def test_a_part_of_a_grid_is_confirmed_while_the_rest_was_never_run(
    tmp_path: Path, script: Script
) -> None:
    grid: dict[str, Any] = {
        "name": "grid",
        "grid": {"model.params.hidden": [[3], [6]], "model.params.dropout": [0.1, 0.2]},
    }
    among = {"model.params.dropout": 0.2}
    confirm = {**CONFIRM, "confirm": {"top": 1, "seeds": 2, "among": among}}
    made = make(tmp_path / "s", study(grid, confirm, LATER))
    only = [Override("grid", "model.params.dropout", 0.2)]
    drive(made, stages=["later"], only=only)
    assert [row.is_done for row in made.stage("grid").rows] == [False, True, False, True]
    (row,) = made.stage("again").rows
    assert row.is_done
    assert row.specs[0].model.params.to_dict()["dropout"] == 0.2
    assert made.stage("later").is_done
    # A report knows what was handed on as well, though the grid as a whole has no winner.
    assert all(facts.cut is not None for facts in gather(made).stages)


def test_to_confirm_a_part_of_a_grid_no_more_of_it_is_run(tmp_path: Path, script: Script) -> None:
    dropout = "model.params.dropout"
    grid: dict[str, Any] = {
        "name": "grid",
        "grid": {"model.params.hidden": [[3], [6]], dropout: [0.1, 0.2, 0.3]},
    }
    again = {"name": "again", "confirm": {"top": 1, "seeds": 2, "among": {dropout: 0.2}}}
    other = {
        "name": "other",
        "confirm": {"top": 1, "seeds": 1, "stage": "grid", "among": {dropout: 0.3}},
    }
    made = make(tmp_path / "s", study(grid, again, other, LATER))
    watched = Watched()
    drive(made, watched, stages=["later"])
    assert [row.is_done for row in made.stage("grid").rows] == [False, True, False] * 2
    assert made.stage("later").is_done
    assert watched.notes == [
        "grid: 2 of 6 points are finished; no stage that was asked for needs the others."
    ]
    assert [len(stage.chosen) for stage in watched.stages] == [2, 1, 1]
    drive(made, watched, stages=["again", "other"])
    assert [row.is_done for row in made.stage("grid").rows] == [False, True, True] * 2
    # What was finished before is shown as well, and so is the rest of it once that is asked for.
    assert [len(stage.chosen) for stage in watched.stages] == [4, 1, 1]
    drive(made, watched, stages=["again", "grid"])
    assert made.stage("grid").is_done
    assert [len(stage.chosen) for stage in watched.stages] == [6, 1]


def test_settings_and_profiles_of_the_stage_it_confirms_hold_here_too(
    tmp_path: Path, script: Script
) -> None:
    grid = {**GRID, "profiles": {"quick": {"set": {"train.epochs": 1}}}}
    overrides = [Override("grid", "train.batch_size", 30)]
    made = make(tmp_path / "s", study(grid, CONFIRM), profile="quick", overrides=overrides)
    drive(made)
    for row in made.stage("again").rows:
        assert {(spec.train.epochs, spec.train.batch_size) for spec in row.specs} == {(1, 30)}


def test_a_profile_that_skips_it_hands_on_the_winner_of_the_search(
    tmp_path: Path, script: Script
) -> None:
    confirm = {**CONFIRM, "profiles": {"quick": {"skip": "six trainings more"}}}
    made = make(tmp_path / "s", study(GRID, confirm, LATER), profile="quick")
    watched = Watched()
    drive(made, watched)
    assert not any(row.runs for row in made.stage("again").rows)
    best = made.winner(made.stage("grid"))
    assert best is not None
    assert made.stage("later").rows[0].fingerprints == best.fingerprints
    assert watched.notes == []


def test_a_profile_that_skips_it_hands_on_the_best_of_those_that_it_is_about(
    tmp_path: Path, script: Script
) -> None:
    dropout = "model.params.dropout"
    grid = {"name": "grid", "grid": {"model.params.hidden": [[3], [6]], dropout: [0.1, 0.2]}}
    made = make(tmp_path / "s", study(grid), profile="quick")
    drive(made)
    best = made.winner(made.stage("grid"))
    assert best is not None
    (other,) = {0.1, 0.2} - {best.settings[dropout]}
    confirm = {
        "name": "again",
        "confirm": {"top": 1, "seeds": 2, "stage": "grid", "among": {dropout: other}},
        "profiles": {"quick": {"skip": "two trainings more"}},
    }
    made = make(tmp_path / "s", study(grid, confirm, LATER), profile="quick")
    drive(made)
    (row,) = made.stage("later").rows
    assert row.is_done
    among = [row for row in made.stage("grid").ranked("last") if row.settings[dropout] == other]
    assert row.fingerprints == among[0].fingerprints


def test_it_takes_no_point_whose_run_broke(tmp_path: Path, script: Script) -> None:
    broken = {"label": "broken", "train.optimizer": {"name": "sgd", "learning_rate": 1e30}}
    deep = {"family": "mlp", "params": {"hidden": [8, 8]}}
    grid = {"name": "grid", "model": deep, "points": [broken, {"label": "whole"}]}
    made = make(tmp_path / "s", study(grid, CONFIRM))
    drive(made)
    assert labels(made, "again") == ["whole"]


@pytest.mark.parametrize("stage", [None, "grid"])
def test_it_confirms_the_stage_before_it_or_the_one_it_names(
    stage: str | None, tmp_path: Path, script: Script
) -> None:
    between = {"name": "between"} if stage else None
    named = {**CONFIRM, "confirm": {**CONFIRM["confirm"], "stage": stage}}
    stages = [GRID, *([between] if between else []), named]
    made = make(tmp_path / "s", study(*stages))
    drive(made, stages=["again"])
    assert len(labels(made, "again")) == 2
