"""A study that has to end in time: it closes what it can, and keeps time for what comes after."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import SpecError, StoreError
from modiste.final.look import look
from modiste.final.stored import Candidate
from modiste.report import write as report
from modiste.runs.files import write_json
from modiste.runs.ledger import Ledger
from modiste.runs.run import Run
from modiste.search import budget
from modiste.search.asked import asked_for
from modiste.search.budget import Budget, left_out
from modiste.search.closing import budget_of, closed_stages, reopen
from modiste.search.driver import Driver
from modiste.search.plan import Time
from modiste.search.study import Stage, Study
from modiste.search.survey import survey, with_guesses
from modiste.spec.duration import seconds_in
from tests import small
from tests.driving import Script, Watched, drive, make, results

RATE = "train.optimizer.learning_rate"
SEARCH: dict[str, Any] = {
    "name": "s",
    "search": {
        "method": "random",
        "trials": 40,
        "tune": {RATE: {"low": 0.001, "high": 0.1, "log": True}},
    },
}
CONFIRM = {"name": "c", "confirm": {"stage": "s", "top": 2, "seeds": 2}}
FINAL = {"name": "f", "final": True, "from": ["c"]}


def values(*stages: dict[str, Any]) -> dict[str, Any]:
    return small.study(
        data={"name": "idx", "num_val": 30},
        model={"family": "mlp", "params": {"hidden": [4]}},
        train={"epochs": 1, "batch_size": 90, "optimizer": {"name": "adam"}},
        stages=list(stages),
    )


@pytest.fixture(autouse=True)
def a_run_takes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as anybody can tell; and the estimate is made anew each time."""
    monkeypatch.setattr(budget, "time_of", lambda *_: Time(1.0, 1.0))
    monkeypatch.setattr(budget, "STALE_SECONDS", -1.0)
    monkeypatch.setattr(budget, "SECONDS_PER_RUN", 0.0)
    monkeypatch.setattr(budget, "CLOSING_SECONDS", 0.0)
    # So that short times leave room for more than a report.
    monkeypatch.setattr(budget, "REPORT_SHARE", 0.25)


def within(
    study: Study,
    script: Script,
    seconds: float,
    watched: Watched | None = None,
    stages: list[str] | None = None,
    slowness: float = 1.0,
    **more: Any,
) -> bool:
    """Drive a study on one worker and a clock that goes on by a second with each run."""
    begun = len(script.tasks)
    clock = Budget(seconds, seconds, lambda: float(len(script.tasks) - begun), slowness)
    images, told = small.images(), watched or Watched()
    driver = Driver(study, images, 1, told, slice_seconds=math.inf, budget=clock, **more)
    return driver.run(stages)


def stages(study: Study) -> dict[str, Stage]:
    return {stage.spec.name: stage for stage in Study.open(study.folder).stages()}


# --- what is closed, and when ---------------------------------------------------------------------


def test_a_search_is_closed_in_time_for_what_comes_after_it(tmp_path: Path, script: Script) -> None:
    study, watched = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL)), Watched()
    assert within(study, script, 30, watched)
    found = stages(study)
    assert closed_stages(study.folder) == {"s"}
    assert budget_of(study.folder, "s") == 30
    # A quarter of so short a time is kept for the report, and a second and a quarter for each of
    # the four runs that confirm; the final one is a run of the search.
    num_done = sum(row.is_done for row in found["s"].rows)
    assert num_done == pytest.approx(30 - 7.5 - 5, abs=1)
    assert found["c"].is_done
    assert found["f"].is_done
    assert len(script.tasks) == num_done + 4 <= 30 - 7.5
    # The best of what it found by then are confirmed, and the best of these is final.
    best = found["s"].ranked("last")
    assert [row.label for row in found["c"].rows] == [row.label for row in best[:2]]
    winner = found["c"].ranked("last")[0]
    assert (
        found["f"].rows[0].specs[0].to_dict()["train"]["optimizer"]["learning_rate"]
        == (winner.settings[RATE])
    )
    assert f"{40 - num_done} of 40 points" in left_out(found["s"])
    assert any("closed by the budget of time; it leaves out" in note for note in watched.notes)


def test_time_is_kept_for_the_best_points_so_far_and_not_for_the_first_ones(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL))
    assert not drive(study, slice_seconds=math.inf, should_stop=lambda: len(script.tasks) == 8)
    rows = stages(study)["s"].rows
    best = [row.label for row in stages(study)["s"].ranked("last")[:2]]
    assert best != [row.label for row in rows[:2]]
    guessed = {stage.spec.name: stage for stage in with_guesses(Study.open(study.folder))}
    assert [row.label for row in guessed["c"].rows] == best
    # Of which the first stands for the one that will be final.
    (final,) = guessed["f"].rows
    assert final.specs[0].train.optimizer == guessed["c"].rows[0].specs[0].train.optimizer


def test_time_is_kept_for_an_export_as_well(tmp_path: Path) -> None:
    seconds = []
    for more in ({}, {"export": True}):
        spec = values(SEARCH, CONFIRM, {**FINAL, **more})
        study = make(tmp_path / f"study-{len(more)}", spec)
        found = survey(study, small.images(), asked_for(study.spec, None))
        seconds.append(budget._report_seconds(found, 2.0))
    assert seconds[1] - seconds[0] == 2.0 * budget.EXPORT_SECONDS


def test_time_is_kept_for_a_report_that_grows_with_what_is_found(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two estimates as well: many short runs end meanwhile."""
    monkeypatch.setattr(budget, "STALE_SECONDS", 12.0)
    monkeypatch.setattr(budget, "STALE_SHARE", 1.0)
    monkeypatch.setattr(budget, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(budget, "SECONDS_PER_RUN", 0.5)
    monkeypatch.setattr(budget, "REPORT_SHARE", 0.5)
    many = {**SEARCH, "search": {**SEARCH["search"], "trials": 100}}
    study = make(tmp_path / "study", values(many, CONFIRM, FINAL))
    assert within(study, script, 60)
    found = stages(study)
    num_done = sum(row.is_done for row in found["s"].rows)
    # A run takes a second and half a second of the report; for four that confirm seven are kept.
    assert num_done == pytest.approx((60 - 7) / 1.5, abs=1.5)
    assert found["c"].is_done
    assert len(script.tasks) + 0.5 * len(script.tasks) <= 60


def test_a_stage_of_which_a_part_is_asked_for_is_not_closed_for_the_rest(
    tmp_path: Path, script: Script
) -> None:
    hidden = "model.params.hidden"
    grid = {"name": "g", "grid": {hidden: [[4], [5]], RATE: [0.01, 0.02, 0.03]}}
    confirm = {"name": "c", "confirm": {"top": 2, "seeds": 2, "among": {hidden: [4]}}}
    study, watched = make(tmp_path / "study", values(grid, confirm, SEARCH)), Watched()
    assert within(study, script, 40, watched, stages=["c", "s"])
    # The search has all the time that is left, and is what is closed.
    assert len(script.tasks) == pytest.approx(40 - 10, abs=1)
    assert [row.is_done for row in stages(study)["g"].rows].count(True) == 3
    assert closed_stages(study.folder) == {"s"}
    assert [note.partition(":")[0] for note in watched.notes if "closed" in note] == ["s"]


def test_time_is_kept_for_closing_a_search(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "CLOSING_SECONDS", 4.0)
    study = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL))
    assert within(study, script, 30, slowness=0.5)
    num_done = sum(row.is_done for row in stages(study)["s"].rows)
    assert num_done == pytest.approx(30 - 7.5 - 5 - 2, abs=1)


def test_when_the_time_is_over_everything_is_closed(tmp_path: Path, script: Script) -> None:
    study, watched = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL)), Watched()
    assert within(study, script, 2, watched)
    found = stages(study)
    assert len(script.tasks) == 2
    assert closed_stages(study.folder) == {"s", "c"}
    assert [note.partition(":")[0] for note in watched.notes] == ["s", "c"]
    # Without a confirmed winner, that of the search goes on: it was trained already.
    assert found["f"].is_done
    assert study.winner(found["f"]) is not None


def test_a_study_with_time_enough_leaves_out_nothing(tmp_path: Path, script: Script) -> None:
    plain = make(tmp_path / "plain", values(SEARCH, CONFIRM, FINAL))
    assert drive(plain, slice_seconds=math.inf)
    study = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL))
    assert within(study, script, 1000)
    assert closed_stages(study.folder) == set()
    assert results(study) == results(plain)


def test_searches_share_the_time(tmp_path: Path, script: Script) -> None:
    other = {**SEARCH, "name": "t", "model": {"params": {"hidden": [6]}}}
    study = make(tmp_path / "study", values(SEARCH, other))
    assert within(study, script, 40)
    found = stages(study)
    done = [sum(row.is_done for row in found[name].rows) for name in "st"]
    assert done == pytest.approx([15, 15], abs=1)


def test_a_grid_can_be_closed_as_well_and_a_single_point_cannot(
    tmp_path: Path, script: Script
) -> None:
    grid = {"name": "g", "grid": {RATE: [0.001 * n for n in range(1, 31)]}}
    single = {"name": "one", "model": {"params": {"hidden": [3]}}, "repeats": 3}
    study = make(tmp_path / "study", values(grid, single))
    assert within(study, script, 20)
    found = stages(study)
    assert closed_stages(study.folder) == {"g"}
    assert found["one"].is_done
    assert study.winner(found["g"]) is not None


def test_halving_is_closed_where_it_stands(tmp_path: Path, script: Script) -> None:
    search = {
        **SEARCH["search"],
        "halving": {"name": "successive", "first_epochs": 1, "bracket": 4},
    }
    given = values({**SEARCH, "search": search}, CONFIRM, FINAL)
    given["train"]["epochs"] = 3
    study = make(tmp_path / "study", given)
    assert within(study, script, 30)
    best = stages(study)["s"].ranked("last")
    # Brackets come one after the other, so that some points were trained to the end.
    assert best[0].until is None
    assert stages(study)["f"].is_done


@pytest.mark.parametrize("seconds", [13, 14, 15, 16])
def test_who_was_let_up_and_has_not_come_to_the_next_rung_still_counts(
    tmp_path: Path, script: Script, seconds: int
) -> None:
    halving = {"name": "successive", "first_epochs": 1, "factor": 3}
    search = {**SEARCH["search"], "trials": 9, "halving": halving}
    given = values({**SEARCH, "search": search}, {"name": "f", "from": ["s"]})
    given["train"]["epochs"] = 9
    study = make(tmp_path / "study", given)
    assert within(study, script, seconds)
    stage = stages(study)["s"]
    assert stage.is_closed
    assert not stage.is_done
    ended = [[rung for rung in trial.rungs if rung.is_done][-1] for trial in stage.trials]
    longest = max(row.until for row in ended if row.until is not None)
    far = [row for row in ended if row.until == longest]
    best = max(far, key=lambda row: row.mean("last", "val", "correct"))
    winner = study.winner(stage)
    assert winner is not None
    assert winner.mean("last", "val", "correct") == best.mean("last", "val", "correct")
    assert winner.until == longest
    assert len(stage.ranked("last")) == len(stage.trials) == 9
    assert stages(study)["f"].is_done
    # And the next time it goes on as if nothing had closed it.
    again = make(study.folder, given)
    assert drive(again, slice_seconds=math.inf)
    plain = make(tmp_path / "plain", given)
    assert drive(plain, slice_seconds=math.inf)
    assert results(again) == results(plain)


# --- afterwards -----------------------------------------------------------------------------------


def test_the_next_time_it_goes_on_from_there(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL))
    assert within(study, script, 20)
    before = len(script.tasks)
    again = make(study.folder, values(SEARCH, CONFIRM, FINAL))
    assert within(again, script, 30)
    done = sum(row.is_done for row in stages(study)["s"].rows)
    assert done > before - 4
    last = make(study.folder, values(SEARCH, CONFIRM, FINAL))
    assert drive(last, slice_seconds=math.inf)
    assert closed_stages(study.folder) == set()
    plain = make(tmp_path / "plain", values(SEARCH, CONFIRM, FINAL))
    assert drive(plain, slice_seconds=math.inf)
    assert results(study) == results(plain)
    begun = [task.fingerprint for task in script.tasks[: len(script.tasks) // 2]]
    assert len(begun) == len(set(begun))


def test_what_is_not_asked_for_stays_closed(tmp_path: Path, script: Script) -> None:
    other = {**SEARCH, "name": "t", "model": {"params": {"hidden": [6]}}}
    given = values(SEARCH, CONFIRM, other)
    study = make(tmp_path / "study", given)
    assert within(study, script, 30)
    assert closed_stages(study.folder) == {"s", "t"}
    confirmed = [row.label for row in stages(study)["c"].rows]
    again = make(study.folder, given)
    # With another budget, and with none.
    assert within(again, script, 12, stages=["t"])
    assert closed_stages(study.folder) == {"s", "t"}
    assert [budget_of(study.folder, name) for name in "stc"] == [30, 12, None]
    assert drive(again, stages=["t"], slice_seconds=math.inf)
    found = stages(study)
    assert closed_stages(study.folder) == {"s"}
    assert found["t"].is_done
    assert [row.label for row in found["c"].rows] == confirmed
    assert found["c"].is_done
    report.write(Study.open(study.folder))
    text = " ".join((study.folder / "report.md").read_text("utf-8").split())
    assert text.count("A budget of 30 s closed it") == 1


def test_a_budget_that_was_written_down_before_it_was_told_by_stage_is_read(
    tmp_path: Path,
) -> None:
    write_json(tmp_path / "budget.json", {"schema": 1, "seconds": 20.0, "closed": ["s", "t"]})
    assert closed_stages(tmp_path) == {"s", "t"}
    assert budget_of(tmp_path, "t") == 20.0
    reopen(tmp_path, ["s", "c"])
    assert closed_stages(tmp_path) == {"t"}
    reopen(tmp_path, ["t"])
    assert not (tmp_path / "budget.json").exists()


def test_somebody_who_stops_it_is_heard(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values(SEARCH))
    assert not within(study, script, 100, should_stop=lambda: len(script.tasks) > 3)


def test_the_report_says_what_was_left_out(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL))
    assert within(study, script, 20)
    report.write(Study.open(study.folder))
    text = " ".join((study.folder / "report.md").read_text("utf-8").split())
    assert "closed by the budget: s" in text
    assert "A budget of 20 s closed it: what it had found by then counts. It leaves out " in text


def test_a_final_search_of_which_nothing_came_to_its_end_has_no_model_and_says_so(
    tmp_path: Path, script: Script
) -> None:
    halving = {"name": "successive", "first_epochs": 1}
    given = values({**SEARCH, "final": True, "search": {**SEARCH["search"], "halving": halving}})
    given["train"]["epochs"] = 9
    study, watched = make(tmp_path / "study", given), Watched()
    assert within(study, script, 4, watched)
    study = Study.open(study.folder)
    best = study.winner(stages(study)["s"])
    assert best is not None
    words = "ends without a model: none of its points was trained to the end."
    assert f"s: {words} Run again, it goes on from there." in watched.notes
    report.write(study)
    text = " ".join((study.folder / "report.md").read_text("utf-8").split())
    assert f"It {words}" in text
    assert "without a model: s" in text
    refused = measuring_is_refused(study, best.runs[0])
    assert "it cannot be measured: it was cut after epoch 1, " in refused
    assert "run its study again: it goes on from there" in refused
    assert "keep_weights" not in refused


def test_who_measures_what_has_lost_its_weights_hears_why(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", values({**FINAL, "from": []}))
    assert drive(study, slice_seconds=math.inf)
    run = stages(study)["f"].rows[0].runs[0]
    run.drop_weights("dropped: for the test")
    assert "it has no weights any more (for the test)." in measuring_is_refused(study, run)


def test_who_measures_what_diverged_hears_of_that(tmp_path: Path, script: Script) -> None:
    optimizer = {"name": "sgd", "learning_rate": 1e25}
    stage = {"name": "b", "train": {"optimizer": optimizer, "epochs": 1}}
    study = make(tmp_path / "study", values(stage))
    assert drive(study, slice_seconds=math.inf)
    refused = measuring_is_refused(study, stages(study)["b"].rows[0].runs[0])
    assert "it cannot be measured: diverged (" in refused
    assert "gone" not in refused


def measuring_is_refused(study: Study, run: Run) -> str:
    """What is said before the seal is opened."""
    no_source: Any = None
    ledger = Ledger(study.data_digest)
    with pytest.raises(StoreError) as error:
        look(no_source, [Candidate("s", "a", run)], "to see", ledger, study.folder / "final")
    assert not ledger.path.exists()
    return str(error.value)


# --- the report -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("slowness", "kept"), [(0.5, 10), (1.0, 20), (1.2, 24), (3.0, 30)])
def test_time_for_the_report_is_kept_as_drawing_takes_here_and_half_of_all_at_most(
    slowness: float, kept: int, tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "REPORT_SHARE", 0.5)
    long = {**SEARCH, "search": {**SEARCH["search"], "trials": 60}}
    study = make(tmp_path / "study", values(long, CONFIRM, FINAL))
    assert within(study, script, 60, slowness=slowness)
    num_done = sum(row.is_done for row in stages(study)["s"].rows)
    assert num_done == pytest.approx(60 - kept - 5, abs=1)


def test_time_is_kept_for_reporting_on_the_runs_there_are_and_not_on_all_that_may_come(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "REPORT_SHARE", 1.0)
    monkeypatch.setattr(budget, "SECONDS_PER_RUN", 1.0)
    study = make(tmp_path / "study", values(SEARCH, CONFIRM, FINAL))
    assert within(study, script, 60)
    # Of each run that is done, another second is for reporting on it; of those that confirm, too.
    num_done = sum(row.is_done for row in stages(study)["s"].rows)
    assert num_done == pytest.approx((60 - 20 - 5 - 4) / 2, abs=1)
    assert len(script.tasks) + 20 + len(script.tasks) <= 60


def test_a_budget_that_holds_no_report_says_what_it_will_take_and_what_would_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "REPORT_SHARE", 0.5)
    assert Budget(40, 40).warning == ""
    assert Budget(3_600, 3_600, slowness=4).warning == ""
    said = Budget(20, 20, slowness=1.5).warning
    assert "A budget of 20 s is too short to be kept" in said
    assert "take about 30 s here" in said
    assert "It will take about 40 s; 60 s would be kept." in said


# --- durations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("20m", 1200), ("1h", 3600), ("1h 5m 2s", 3902), ("90S", 90)]
)
def test_a_duration_has_units(text: str, seconds: float) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize("text", ["", "20", "m", "0m", "20 minutes", "-5m", "1.5h"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(SpecError, match="expected a duration with units, such as 20m"):
        seconds_in(text)
