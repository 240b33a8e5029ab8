"""A stage that searches: the same leaderboard whatever happens on the way to it."""

from __future__ import annotations

import functools
import itertools
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modiste.api.study import write_report
from modiste.errors import ResumeError, SpecError, StoreError
from modiste.search import latency, trial_log
from modiste.search.asked import asked_for
from modiste.search.choosing import told_of
from modiste.search.plan import disk_of, forecast
from modiste.search.stopwatch import seconds_for_one
from modiste.search.study import Stage, Study
from modiste.search.survey import survey
from modiste.spec.search import SearchSpec
from modiste.train.machine import put_back
from modiste.train.task import Task
from modiste.train.work import Worker
from tests import small
from tests.driving import Script, Watched, drive, make, results

RATE = "train.optimizer.learning_rate"
TUNE: dict[str, Any] = {
    "model.params.hidden": [[4], [6], [8]],
    RATE: {"low": 0.001, "high": 0.1, "log": True},
}
LEARNS: dict[str, Any] = {"name": "tpe", "startup": 4, "lag": 3}


def values(stages: list[dict[str, Any]] | None = None, **search: Any) -> dict[str, Any]:
    """A study of one stage that searches, nine trials if nothing else is said."""
    given = {"method": "random", "trials": 9, "tune": TUNE, **search}
    stage = {"name": "s", "model": {"family": "mlp"}, "search": given}
    return small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 9, "batch_size": 30, "optimizer": {"name": "adam"}},
        stages=[stage, *(stages or [])],
    )


HALVED = values(method=LEARNS, halving={"name": "successive", "first_epochs": 1, "factor": 3})


def searched(study: Study) -> Stage:
    return Study(study.folder).stages()[0]


def board(study: Study) -> list[tuple[str, int | None, float]]:
    """The leaderboard: label, how far, accuracy."""
    rows = searched(study).ranked("last")
    return [(row.label, row.until, row.mean("last", "val", "accuracy")) for row in rows]


def everything(study: Study) -> Any:
    log = json.loads((study.folder / "trials" / "s.json").read_text())
    runs = sorted(path.name for path in (study.folder / "runs").iterdir())
    return log, runs, board(study), results(study)


@functools.cache
def in_one_piece(folder: Path) -> Any:
    study = make(folder, HALVED)
    assert drive(study, slice_seconds=math.inf)
    return everything(study)


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Any:
    found = in_one_piece(tmp_path_factory.getbasetemp() / "searched")
    script.tasks.clear()
    return found


# --- halving --------------------------------------------------------------------------------------


def test_each_rung_lets_the_best_third_up_and_goes_on_from_the_last(
    tmp_path: Path, script: Script, undisturbed: Any
) -> None:
    study = make(tmp_path / "study", HALVED)
    assert drive(study, slice_seconds=math.inf)
    stage = searched(study)
    assert stage.is_done
    rungs = [[trial.rungs[k] for trial in stage.trials if len(trial.rungs) > k] for k in range(3)]
    assert [(len(rows), rows[0].until) for rows in rungs] == [(9, 1), (3, 3), (1, None)]
    for below, above in itertools.pairwise(rungs):
        worst = min(row.mean("last", "val", "correct") for row in below if _is_in(row, above))
        others = [row.mean("last", "val", "correct") for row in below if not _is_in(row, above)]
        assert worst >= max(others)
    # 9 trials for 1 epoch, 3 for 2 more, 1 for 6 more: not one epoch is trained twice.
    begun = [task for task in script.tasks if task.checkpoint is None]
    assert len(begun) == 9
    assert len(script.tasks) == 9 + 3 + 1
    # What is over leaves no checkpoint behind.
    assert {path.name for path in (study.folder / "work").iterdir()} == {"lock", "data"}


def _is_in(row: Any, rows: list[Any]) -> bool:
    return any(row.label == other.label for other in rows)


def test_the_winner_has_the_bits_of_a_run_that_was_never_cut(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", HALVED)
    assert drive(study, slice_seconds=0.0)
    row = searched(study).ranked("last")[0]
    data = small.data(row.specs[0])
    task = Task(row.specs[0], row.fingerprints[0], None, math.inf)
    record = Worker(lambda _: data).work(task).record
    assert record is not None
    run = row.runs[0]
    assert run.fingerprint == record.fingerprint
    for name, array in run.weights("last").items():
        assert np.array_equal(array, record.weights[f"last/{name}"])
    assert np.array_equal(run.predictions["logits_last_NK"], record.predictions["logits_last_NK"])
    with pytest.raises(StoreError, match="it was cut after epoch 1, as the beginning"):
        searched(study).lower[0].runs[0].weights("last")


def test_brackets_compete_on_their_own(tmp_path: Path, script: Script) -> None:
    given = values(halving={"name": "hyperband", "first_epochs": 1, "num_brackets": 2})
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    found = {}
    for trial in searched(study).trials:
        found.setdefault(trial.bracket, []).append([row.until for row in trial.rungs])
    assert [len(trials) for trials in found.values()] == [3, 2, 3, 1]
    assert sorted(found[0]) == [[1], [1], [1, None]]
    assert found[1] == [[None], [None]]


def test_what_learns_is_told_what_all_had_after_the_shortest_rung(
    tmp_path: Path, script: Script
) -> None:
    given = values(
        method=LEARNS, halving={"name": "hyperband", "first_epochs": 1, "num_brackets": 2}
    )
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    stage = searched(study)
    search = stage.spec.searched("full")
    assert search is not None
    told = told_of(study, search, stage.trials)
    assert len(told) == 9
    for trial, result in zip(stage.trials, told, strict=True):
        history = trial.row.runs[0].history
        assert result.values == (history[0]["val_accuracy"],)


def test_where_the_best_epoch_ranks_it_is_told_that_of_the_first_rung(
    tmp_path: Path, script: Script
) -> None:
    # Rates at which some nets get worse after their first epoch.
    given = values(
        trials=14,
        tune={**TUNE, RATE: {"low": 0.5, "high": 60.0, "log": True}},
        halving={"name": "hyperband", "first_epochs": 3, "num_brackets": 2},
    )
    given["train"]["optimizer"] = {"name": "sgd"}
    study = make(tmp_path / "study", {**given, "rank_epoch": "best"})
    assert drive(study, slice_seconds=math.inf)
    stage = searched(study)
    search = stage.spec.searched("full")
    assert search is not None
    others = 0
    for trial, result in zip(stage.trials, told_of(study, search, stage.trials), strict=True):
        seen = trial.rungs[0].runs[0].history[:3]
        best = min(seen, key=lambda line: line["val_loss"])
        assert result.values == (best["val_accuracy"],)
        others += trial.rungs[0].until is None and best["val_accuracy"] != seen[-1]["val_accuracy"]
    assert others, "no trial tells the two apart"


# --- the same every time --------------------------------------------------------------------------


@pytest.mark.parametrize("num_workers", [1, 3])
def test_the_number_of_workers_changes_nothing(
    num_workers: int, tmp_path: Path, script: Script, undisturbed: Any
) -> None:
    study = make(tmp_path / "study", HALVED)
    assert drive(study, slice_seconds=math.inf, num_workers=num_workers)
    assert everything(study) == undisturbed


@pytest.mark.parametrize("after", [1, 4, 8, 10, 11])
def test_a_stop_anywhere_loses_nothing(
    after: int, tmp_path: Path, script: Script, undisturbed: Any
) -> None:
    study = make(tmp_path / "study", HALVED)
    stopped = drive(study, slice_seconds=math.inf, should_stop=lambda: len(script.tasks) > after)
    assert not stopped
    again = make(study.folder, HALVED)
    assert drive(again, slice_seconds=math.inf)
    assert everything(again) == undisturbed
    assert len({task.fingerprint for task in script.tasks}) == 13


@pytest.mark.parametrize("lost", ["trials", "work"])
def test_what_is_lost_beside_the_run_folders_is_made_again(
    lost: str, tmp_path: Path, script: Script, undisturbed: Any
) -> None:
    study = make(tmp_path / "study", HALVED)
    drive(study, slice_seconds=math.inf, should_stop=lambda: len(script.tasks) > 10)
    shutil.rmtree(study.folder / lost)
    again = make(study.folder, HALVED)
    assert drive(again, slice_seconds=math.inf)
    assert everything(again) == undisturbed


def test_a_run_folder_that_is_gone_is_made_again(
    tmp_path: Path, script: Script, undisturbed: Any
) -> None:
    study = make(tmp_path / "study", HALVED)
    assert drive(study, slice_seconds=math.inf)
    row = searched(study).trials[0].rungs[0]
    shutil.rmtree(study.run_folder(row.fingerprints[0]))
    assert not searched(study).is_done
    assert drive(make(study.folder, HALVED), slice_seconds=math.inf)
    assert everything(study) == undisturbed


def test_a_trial_that_diverges_is_told_as_the_worst_goes_no_further_and_ranks_last(
    tmp_path: Path, script: Script
) -> None:
    given = values(
        method=LEARNS,
        tune={RATE: [0.01, 0.02, 0.03, 1e25], "model.params.hidden": [[4], [6]]},
        trials=8,
        halving={"name": "successive", "first_epochs": 1, "factor": 2},
    )
    given["train"]["optimizer"] = {"name": "sgd"}
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    stage = searched(study)
    broken = [t for t in stage.trials if t.row.settings[RATE] == 1e25]
    assert broken
    assert all(len(t.rungs) == 1 and t.row.runs[0].metrics["status"] == "diverged" for t in broken)
    labels = [row.label for row in stage.ranked("last")]
    assert set(labels[-len(broken) :]) == {trial.row.label for trial in broken}
    search = stage.spec.searched("full")
    assert search is not None
    told = told_of(study, search, stage.trials)
    assert [t.values is None for t in told] == [t in broken for t in stage.trials]


def test_a_point_that_fits_no_image_is_a_row_that_failed_and_the_search_goes_on(
    tmp_path: Path, script: Script
) -> None:
    # Five layers with taps of 7 x 7 fit no image of ours.
    given = values(
        trials=4,
        tune={"model.params.filters": [[2], [2] * 5], "model.params.kernel": [7, 3]},
        halving={"name": "successive", "first_epochs": 1, "factor": 2},
        goals=["accuracy", "flops", "latency"],
    )
    params = {"padding": "valid", "pooling": "none"}
    given["stages"][0]["model"] = {"family": "cnn", "params": params}
    study = make(tmp_path / "study", given)
    before = planned(study)
    assert [(len(before.todo), len(before.misfits))] == [(3, 1)]
    line = forecast(before, {}, 2).stages[0]
    assert (line.num_runs, line.num_finished, line.num_todo) == (4, 0, 3)
    assert drive(study, slice_seconds=math.inf)
    *good, bad = searched(study).ranked("last")
    assert len(good) == 3
    assert bad.label == "filters=[2, 2, 2, 2, 2], kernel=7"
    assert bad.runs[0].metrics["status"] == "failed"
    assert "does not fit" in bad.runs[0].metrics["reason"]
    assert bad.runs[0].fingerprint not in {task.fingerprint for task in script.tasks}
    num_tasks = len(script.tasks)
    assert drive(Study(study.folder), slice_seconds=math.inf)
    assert len(script.tasks) == num_tasks
    assert write_report(Study(study.folder)).is_file()


def test_a_model_fitted_in_one_go_that_fits_no_image_is_a_row_that_failed_too(
    tmp_path: Path, script: Script
) -> None:
    tune = {"model.params.cell": [4, 14], "model.params.block": [3, 1]}
    given = values(trials=4, tune=tune)
    given["stages"][0]["model"] = {"family": "svm", "params": {"features": "hog"}}
    study = make(tmp_path / "study", given)
    assert len(planned(study).misfits) == 1
    assert drive(study, slice_seconds=math.inf)
    statuses = [row.runs[0].metrics["status"] for row in searched(study).ranked("last")]
    assert statuses == ["finished"] * 3 + ["failed"]


def test_one_that_asks_for_more_images_than_there_are_is_a_row_that_failed(
    tmp_path: Path, script: Script
) -> None:
    given = values(method="grid", trials=3, tune={"model.params.neighbours": [1, 5_000, 3]})
    given["stages"][0]["model"] = {"family": "knn"}
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    rows = searched(study).ranked("last")
    assert [row.runs[0].metrics["status"] for row in rows] == ["finished"] * 2 + ["failed"]
    assert "only 90 images to train on" in rows[-1].runs[0].metrics["reason"]


# --- what may change between two calls ------------------------------------------------------------


def test_more_trials_leave_those_before_them_alone(tmp_path: Path, script: Script) -> None:
    few = make(tmp_path / "study", values(method=LEARNS, trials=6))
    assert drive(few, slice_seconds=math.inf)
    before = [trial.row.label for trial in searched(few).trials]
    num_tasks = len(script.tasks)
    more = make(tmp_path / "study", values(method=LEARNS, trials=9))
    assert drive(more, slice_seconds=math.inf)
    after = [trial.row.label for trial in searched(more).trials]
    assert after[:6] == before
    assert len(after) == 9
    assert len(script.tasks) == num_tasks + 3


def test_another_space_is_refused_and_its_key_named(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values(trials=3))
    assert drive(study, slice_seconds=math.inf)
    tune = {**TUNE, RATE: {"low": 0.001, "high": 0.5, "log": True}}
    with pytest.raises(ResumeError) as error:
        make(tmp_path / "study", values(trials=3, tune=tune))
    assert "3 of s" in str(error.value)
    assert f"Changed: stages[s].search.tune.{RATE}.high (0.1 there, 0.5 now). " in str(error.value)
    with pytest.raises(ResumeError, match=r"3 of s\. Changed: threads \(1 there, 2 now\)\. "):
        make(tmp_path / "study", {**values(trials=3), "threads": 2})


def test_another_number_of_trials_is_named_where_it_moves_the_rungs(
    tmp_path: Path, script: Script
) -> None:
    halving: dict[str, Any] = {"name": "successive", "first_epochs": 1, "factor": 2}
    study = make(tmp_path / "study", values(trials=4, halving=halving))
    assert drive(study, slice_seconds=math.inf)
    with pytest.raises(ResumeError) as error:
        make(tmp_path / "study", values(trials=8, halving=halving))
    assert "Changed: stages[s].search.trials (4 there, 8 now). With `halving`" in str(error.value)
    assert "bracket: " in str(error.value)
    assert "Put `trials` back" in str(error.value)
    # What it advises is so.
    halving["bracket"] = 4
    for trials in (4, 8):
        study = make(tmp_path / "grows", values(trials=trials, halving=halving))
        assert drive(study, slice_seconds=math.inf)


def test_fewer_trials_than_have_ended_are_named(tmp_path: Path, script: Script) -> None:
    assert drive(make(tmp_path / "study", values(trials=3)), slice_seconds=math.inf)
    with pytest.raises(ResumeError, match=r"1 of s\. Changed: .*trials \(3 there, 2 now\)\. Put"):
        make(tmp_path / "study", values(trials=2))


def test_before_anything_has_ended_the_space_may_still_change(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", values(trials=3))
    drive(study, slice_seconds=math.inf, should_stop=lambda: True)
    other = make(tmp_path / "study", values(trials=3, method={"name": "random", "seed": 5}))
    assert drive(other, slice_seconds=math.inf)
    assert len(searched(other).trials) == 3


def test_a_damaged_list_of_points_is_named_with_the_way_out(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values(trials=3))
    assert drive(study, slice_seconds=math.inf)
    path = study.folder / "trials" / "s.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"trials/s\.json: damaged.* can be deleted"):
        searched(study)


# --- what is compared -----------------------------------------------------------------------------


def test_every_compared_value_gets_the_same_budget_and_the_same_points(
    tmp_path: Path, script: Script
) -> None:
    confirm = {"name": "c", "confirm": {"top": 2, "seeds": 1}}
    given = values(
        [confirm],
        trials=4,
        compare={"model.params.dropout": [0.0, 0.5]},
        halving={"name": "successive", "first_epochs": 2, "factor": 2},
    )
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    stage = searched(study)
    groups = [[t for t in stage.trials if t.group == g] for g in (0, 1)]
    tuned = [
        [{k: v for k, v in t.row.settings.items() if k in TUNE} for t in group] for group in groups
    ]
    assert tuned[0] == tuned[1]
    assert [sorted(len(t.rungs) for t in group) for group in groups] == [[1, 1, 2, 3]] * 2
    rates = {t.row.settings["model.params.dropout"] for t in groups[1]}
    assert rates == {0.5}
    confirmed = Study(study.folder).stages()[1]
    dropouts = [row.settings["model.params.dropout"] for row in confirmed.rows]
    assert sorted(dropouts) == [0.0, 0.0, 0.5, 0.5]


@pytest.mark.parametrize("kept", [[0.5], [0.3, 0.5]])
def test_a_profile_may_run_some_of_the_compared_values(
    kept: list[float], tmp_path: Path, script: Script
) -> None:
    given = values(trials=1, compare={"model.params.dropout": [0.0, 0.3, 0.5]})
    only = [{"model.params.dropout": value} for value in kept]
    given["stages"][0]["profiles"] = {"full": {"only": only}}
    study = make(tmp_path / "study", given)
    assert len(planned(study).todo) == len(kept)
    assert drive(study, slice_seconds=math.inf)
    rows = searched(study).ranked("last")
    assert sorted(row.settings["model.params.dropout"] for row in rows) == kept


def test_a_profile_may_run_no_compared_value_that_there_is_not(tmp_path: Path) -> None:
    given = values(trials=1, compare={"model.params.dropout": [0.0, 0.3]})
    given["stages"][0]["profiles"] = {"full": {"only": [{"model.params.dropout": 0.4}]}}
    with pytest.raises(SpecError, match=r"only .*0\.4.* names no point"):
        make(tmp_path / "study", given)


def test_repeats_rank_by_the_mean_and_keep_every_seed(tmp_path: Path, script: Script) -> None:
    given = values(trials=3, halving={"name": "successive", "first_epochs": 1, "factor": 3})
    given["stages"][0]["repeats"] = 3
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    stage = searched(study)
    assert [len(row.runs) for row in stage.rows] == [3, 3, 3]
    below = {row.label: row for row in stage.lower} | {r.label: r for r in stage.rows if r.until}
    means = {label: row.mean("last", "val", "correct") for label, row in below.items()}
    assert means[stage.ranked("last")[0].label] == max(means.values())
    seeds = [run.spec.seed for run in stage.rows[0].runs]
    assert seeds == [0, 1, 2]


def test_a_latency_is_measured_once_and_kept(tmp_path: Path, script: Script) -> None:
    given = values(
        method={"name": "nsga2", "startup": 4, "population": 4, "lag": 2},
        goals=["accuracy", "parameters", "latency"],
        trials=6,
    )
    study = make(tmp_path / "study", given)
    assert drive(study, slice_seconds=math.inf)
    times = latency.read(study.folder)
    nets = {latency.net_of(row.runs[0]) for row in searched(study).rows}
    assert set(times) == nets
    assert all(0 < seconds < 1 for seconds in times.values())
    before = (study.folder / latency.FILE).read_bytes()
    assert drive(make(study.folder, given), slice_seconds=math.inf)
    assert (study.folder / latency.FILE).read_bytes() == before


def test_who_measures_a_latency_computes_afterwards_as_before() -> None:
    layers = {"input_shape": [28, 28, 1], "class_names": list("0123456789")}
    with put_back():
        torch.set_num_threads(3)
        assert 0 < seconds_for_one(small.run_spec(), layers) < 1
        assert torch.get_num_threads() == 3


# --- what a plan says -----------------------------------------------------------------------------


def planned(study: Study) -> Any:
    return survey(study, small.images(), asked_for(study.spec))


def epochs_planned(study: Study) -> int:
    return sum(trial.spec.train.last_epoch - trial.begun for trial in planned(study).todo)


def test_a_plan_counts_the_epochs_that_halving_will_train(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", HALVED)
    # Six end after 1 epoch, two after 3, one after 9.
    assert epochs_planned(study) == 6 + 2 * 3 + 9
    assert planned(study).parts[0].is_guessed
    drive(study, slice_seconds=math.inf, should_stop=lambda: len(script.tasks) > 10)
    trained = 9 * 1 + 2  # the nine first epochs, and one trial that was let up
    assert epochs_planned(study) == 6 + 2 * 3 + 9 - trained
    assert drive(study, slice_seconds=math.inf)
    assert epochs_planned(study) == 0
    line = forecast(planned(study), {}, 2).stages[0]
    assert (line.num_runs, line.num_finished, line.num_todo) == (9, 9, 0)


def test_a_plan_knows_the_points_that_wait_for_nothing(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values())
    expected = {trial.fingerprint for trial in planned(study).todo}
    assert not planned(study).parts[0].is_guessed
    assert not (study.folder / "trials").exists()
    assert drive(study, slice_seconds=math.inf)
    assert {task.fingerprint for task in script.tasks} == expected


def test_a_plan_counts_checkpoints_that_wait_on_the_disk(tmp_path: Path, script: Script) -> None:
    plain, halved = make(tmp_path / "a", values()), make(tmp_path / "b", HALVED)
    parts = [disk_of(planned(study), 1, 0) for study in (plain, halved)]
    assert parts[1].peak - parts[1].end > parts[0].peak - parts[0].end


def test_the_points_of_the_list_belong_to_the_search_that_chose_them(tmp_path: Path) -> None:
    search = SearchSpec.parse({"method": "random", "trials": 3, "tune": {"a.b": [1, 2, 3, 4]}})
    base = {"model.family": "mlp", "model.params.hidden": [8]}
    trial_log.write(tmp_path, "s", search, base, [[{"a.b": 2}, {"a.b": 1}]])
    assert trial_log.read(tmp_path, "s", search, base) == [[{"a.b": 2}, {"a.b": 1}]]
    fewer = SearchSpec.parse({**search.to_dict(), "trials_per_value": 1})
    assert trial_log.read(tmp_path, "s", fewer, base) == [[{"a.b": 2}]]
    other = SearchSpec.parse({**search.to_dict(), "method": {"name": "random", "seed": 1}})
    assert trial_log.read(tmp_path, "s", other, base) == [[]]


def test_a_search_whose_base_has_changed_learns_anew(tmp_path: Path, script: Script) -> None:
    def grown(*sizes: int) -> dict[str, Any]:
        given = values(method=LEARNS, trials=8, tune={RATE: TUNE[RATE]})
        grid = {"model.params.hidden": [[size] for size in sizes]}
        shape = {"name": "shape", "model": {"family": "mlp"}, "grid": grid}
        search = {**given["stages"][0], "from": ["shape"]}
        del search["model"]
        return {**given, "stages": [shape, search]}

    def found(study: Study) -> Any:
        log = json.loads((study.folder / "trials" / "s.json").read_text())
        rows = Study(study.folder).stage("s").ranked("last")
        return log, [(row.label, row.mean("last", "val", "accuracy")) for row in rows]

    study = make(tmp_path / "study", grown(1))
    assert drive(study, slice_seconds=math.inf)
    before, _ = found(study)
    study = make(tmp_path / "study", grown(1, 16))
    assert drive(study, slice_seconds=math.inf)
    whole = make(tmp_path / "whole", grown(1, 16))
    assert drive(whole, slice_seconds=math.inf)
    assert found(study) == found(whole)
    # It was no accident: on the other base it had come to other points.
    assert found(study)[0]["base"] == {**before["base"], "model.params.hidden": [16]}
    assert found(study)[0]["groups"] != before["groups"]


def test_somebody_who_watches_hears_of_every_rung(tmp_path: Path, script: Script) -> None:
    study, watched = make(tmp_path / "study", HALVED), Watched()
    assert drive(study, watched, slice_seconds=math.inf)
    assert len(watched.labels) == 13
