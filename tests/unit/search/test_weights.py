"""A final model has its weights, whatever was dropped on the way to it; others go."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from modiste.runs import files
from modiste.runs.run import WEIGHTS, Run
from modiste.search.budget import Budget
from modiste.search.driver import Driver
from modiste.search.study import Study
from modiste.search.weights import DROPPED
from tests import small
from tests.driving import Script, Watched, drive, make

GRID: dict[str, Any] = {"name": "grid", "grid": {"model.params.hidden": [[2], [3], [4], [5]]}}
CONFIRM = {"name": "confirmed", "confirm": {"stage": "grid", "top": 4, "seeds": 2}}
FINAL = {"name": "final", "final": True, "from": ["confirmed"]}
# With this seed, fresh ones put another point first than the grid did.
SEED = 0


def values(*stages: dict[str, Any]) -> dict[str, Any]:
    return small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 1, "batch_size": 50},
        stages=list(stages),
    )


def driven(folder: Path, given: dict[str, Any], watched: Watched | None = None) -> Study:
    study = make(folder, given, seed=SEED)
    assert drive(study, watched, slice_seconds=math.inf)
    return Study(study.folder)


def winners(study: Study, stage: str = "final") -> list[Run]:
    best = study.winner(study.stage(stage))
    assert best is not None
    return list(best.runs)


@pytest.fixture
def finished(tmp_path: Path, script: Script) -> Study:
    """A study whose final model is a run of its grid, and not the best one there."""
    return driven(tmp_path / "study", values({**GRID, "keep_weights": 1}, CONFIRM, FINAL))


def test_a_grid_keeps_the_run_that_a_final_stage_takes_over_after_it_is_confirmed(
    finished: Study,
) -> None:
    best = finished.stage("grid").ranked("last")[0].runs[0]
    (final,) = winners(finished)
    assert final.fingerprint != best.fingerprint, "another seed is needed"
    grid = [row.runs[0] for row in finished.stage("grid").rows]
    assert final.fingerprint in {run.fingerprint for run in grid}
    # Now that all is decided, nobody asks for the others.
    kept = {run.fingerprint for run in grid if run.has_weights}
    assert kept == {best.fingerprint, final.fingerprint}
    assert final.weights("last")


def test_a_stage_that_is_left_for_another_time_may_still_ask(
    tmp_path: Path, script: Script
) -> None:
    given = values({**GRID, "keep_weights": 1}, CONFIRM, FINAL)
    study = make(tmp_path / "study", given, seed=SEED)
    assert drive(study, stages=["grid"], slice_seconds=math.inf)
    assert all(row.runs[0].has_weights for row in Study(study.folder).stage("grid").rows)
    assert winners(driven(study.folder, given))[0].has_weights
    assert len(script.begun) == len(set(script.begun))


def test_a_final_model_without_weights_is_trained_again_and_is_the_same(
    finished: Study, script: Script
) -> None:
    (run,) = winners(finished)
    names = [path.name for path in run.folder.iterdir()]
    before = {name: (run.folder / name).read_bytes() for name in names}
    run.drop_weights(DROPPED)
    script.tasks.clear()
    watched = Watched()
    again = driven(finished.folder, finished.spec.to_dict(), watched)
    assert [task.fingerprint for task in script.tasks] == [run.fingerprint]
    assert {name: (run.folder / name).read_bytes() for name in names} == before
    assert any("trained again" in note for note in watched.notes)
    files.check_folder(run.folder)
    driven(again.folder, again.spec.to_dict())
    assert len(script.tasks) == 1


def test_other_weights_than_those_that_were_dropped_are_not_taken(
    finished: Study, script: Script
) -> None:
    (run,) = winners(finished)
    run.drop_weights(DROPPED)
    manifest = files.read_manifest(run.folder)
    manifest["files"][WEIGHTS]["sha256"] = "0" * 64
    (run.folder / "manifest.json").write_bytes(files.resealed(manifest))
    watched, later = Watched(), Watched()
    script.tasks.clear()
    driven(finished.folder, finished.spec.to_dict(), watched)
    assert not run.has_weights
    assert any("did not come back (with another processor" in note for note in watched.notes)
    # Nobody tries for ever; and whoever asks hears why there is no model.
    driven(finished.folder, finished.spec.to_dict(), later)
    assert len(script.tasks) == 1
    (note,) = later.notes
    assert note == (
        "final: ends without a model: the weights of its winner were dropped, and training it "
        "again did not give them back."
    )


def test_a_training_for_weights_that_died_is_tried_again_another_time(
    finished: Study, script: Script
) -> None:
    (run,) = winners(finished)
    run.drop_weights(DROPPED)
    watched = Watched()
    script.dies = lambda _: True
    driven(finished.folder, finished.spec.to_dict(), watched)
    assert not run.has_weights
    assert any("its weights did not come back (the worker" in note for note in watched.notes)
    script.dies = lambda _: False
    driven(finished.folder, finished.spec.to_dict())
    assert run.has_weights


def test_a_training_for_weights_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, script: Script
) -> None:
    search = {"method": "grid", "tune": {"model.params.hidden": [[2], [3]]}}
    given = values({"name": "grid", "search": search}, FINAL | {"from": ["grid"]})
    given["train"]["epochs"] = 3
    study = driven(tmp_path / "study", given)
    (run,) = winners(study)
    run.drop_weights(DROPPED)
    script.tasks.clear()
    assert not drive(study, should_stop=lambda: len(script.tasks) > 1)
    assert not run.has_weights
    script.tasks.clear()
    driven(study.folder, given)
    assert script.tasks[0].checkpoint is not None
    assert run.has_weights


def test_a_budget_trains_nothing_again_and_says_so(finished: Study, script: Script) -> None:
    (run,) = winners(finished)
    run.drop_weights(DROPPED)
    script.tasks.clear()
    watched = Watched()
    budget = Budget(1000.0, 1000.0, lambda: 0.0)
    assert Driver(finished, small.images(), 1, watched, budget=budget).run()
    assert not script.tasks
    (note,) = watched.notes
    assert note == (
        "final: ends without a model: the weights of its winner were dropped. Without --budget "
        "it is trained again."
    )


@pytest.mark.parametrize("has_model", [True, False])
def test_of_collected_results_only_a_final_without_a_model_is_trained_again(
    has_model: bool, finished: Study, script: Script
) -> None:
    (run,) = winners(finished)
    run.drop_weights("not kept in the collected results")
    config = finished.folder / "models" / "final" / "config.json"
    name = run.fingerprint if has_model else "0" * 64
    files.write_json(config, {"fingerprint": name})
    script.tasks.clear()
    driven(finished.folder, finished.spec.to_dict())
    assert len(script.tasks) == (0 if has_model else 1)
    assert run.has_weights is not has_model


def test_a_point_that_a_budget_left_half_done_keeps_its_weights(
    tmp_path: Path, script: Script
) -> None:
    good = {"train.optimizer": {"name": "adam", "learning_rate": 0.03}, "train.epochs": 3}
    stage = {
        "name": "final",
        "final": True,
        "repeats": 2,
        "keep_weights": 1,
        "points": [
            {"label": "long", "train.epochs": 4, "train.optimizer.learning_rate": 1e-7},
            {"label": "good", **good},
        ],
    }
    study = make(tmp_path / "study", values(stage))
    budget = Budget(1000.0, 980.0, lambda: 0.0 if len(script.tasks) < 3 else 1e6)
    driver = Driver(study, small.images(), 1, Watched(), slice_seconds=math.inf, budget=budget)
    assert driver.run()
    long, half = Study(study.folder).stage("final").rows
    assert (len(long.runs), len(half.runs)) == (2, 1)
    assert half.runs[0].has_weights
    again = Study(study.folder)
    assert drive(again, slice_seconds=math.inf)
    won = Study(study.folder).winner(Study(study.folder).stage("final"))
    assert won is not None
    assert won.label == "good"
    assert [run.has_weights for run in won.runs] == [True, True]
    assert len(script.begun) == len(set(script.begun)) == 4
