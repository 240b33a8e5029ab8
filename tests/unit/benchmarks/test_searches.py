"""What the benchmark of searches makes of what its engines say, without any of the peers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import searches
from benchmarks.engines import NAMES, Job, Report, Slice, Trial, engine, keras_tuner_workers
from benchmarks.engines import modiste as ours
from benchmarks.searches import cost_of, slice_of, table
from modiste.spec.files import read_study
from modiste.spec.study import StudySpec, check

ROOT = Path(__file__).parents[3]
SLICE = Slice(((256,), (512, 256)), (0.2, 0.3), epochs=3)


def report(*seconds: float | None, lanes: int = 2, began: float = 1010.0) -> Report:
    trials = (Trial((256,), number / 10, 0.9, value) for number, value in enumerate(seconds))
    return Report(began, lanes, tuple(trials))


def cost(told: Report, seconds: float = 60.0) -> searches.Cost:
    line = json.dumps(told.to_dict())
    asked = len(told.trials)
    return cost_of("talos", line, asked, began=1000.0, seconds=seconds, all_seconds=seconds + 5)


def test_what_a_trial_costs_beside_its_training_counts_every_core_used() -> None:
    found = cost(report(20.0, 30.0, 10.0, 20.0))
    # 80 seconds of training took 40 of the 60, two at once; 10 more were start-up.
    assert (found.training_seconds, found.startup_seconds, found.lanes) == (80.0, 10.0, 2)
    assert found.engine_seconds == 5.0
    assert found.running_seconds == 2.5
    assert cost(report(20.0, 30.0, lanes=1)).engine_seconds == 5.0


def test_a_line_tells_all_that_is_reported() -> None:
    assert cost(report(20.0, 30.0, 10.0, 20.0)).words == (
        "talos: 60.0 s to the ranking of 4 trials (65.0 s with all), start-up 10.0 s, in training "
        "80.0 s, 2 at once; engine 5.00 s a trial, 2.50 s without start-up; "
        "first: 256, dropout 0 (0.9000)"
    )


def test_the_table_has_medians_and_every_point_that_came_first() -> None:
    other = Report(1010.0, 2, (Trial((512, 256), 0.3, 0.91, 20.0), Trial((256,), 0.2, 0.9, 20.0)))
    turns = [cost(told, seconds) for told, seconds in ((report(20.0, 20.0), 30.0), (other, 50.0))]
    last = table({"talos": turns}).splitlines()[-1]
    assert last == (
        "| talos | 2 | 40.0 s | 45.0 s | 10.0 s | 40.0 s | 2 | 10.00 s | 5.00 s "
        "| 256, dropout 0; 512-256, dropout 0.3 |"
    )


def test_an_engine_that_lost_a_trial_or_its_time_is_no_result() -> None:
    line = json.dumps(report(20.0, 30.0).to_dict())
    with pytest.raises(RuntimeError, match="talos: 2 trials ranked, 4 asked for"):
        cost_of("talos", line, 4, began=0.0, seconds=1.0, all_seconds=1.0)
    with pytest.raises(RuntimeError, match="talos: knows how long 1 of 2 trials trained"):
        cost(report(20.0, None))


def test_a_job_arrives_as_it_was_sent() -> None:
    job = Job(SLICE, "images", "folder", 2, None)
    assert Job.parse(json.loads(json.dumps(job.to_dict()))) == job
    told = report(1.0, None)
    assert Report.parse(json.loads(json.dumps(told.to_dict()))) == told


def test_options_name_shapes_and_rates() -> None:
    assert slice_of("256,512-256", "0.2,0.3", 3) == SLICE
    assert SLICE.num_trials == 4


def test_workers_of_keras_tuner_know_the_times_of_one_another_s_trials() -> None:
    one, two = report(None, 30.0, began=1020.0), report(20.0, None)
    assert keras_tuner_workers.together([one, two], 2) == report(20.0, 30.0)


def test_an_engine_whose_library_is_missing_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"talos": None}
    monkeypatch.setattr("benchmarks.installed.find_spec", lambda name: gone.get(name, name))
    assert searches.available(NAMES) == ["modiste", "keras_tuner", "keras_tuner_workers"]
    assert capsys.readouterr().out == (
        "talos: left out, talos is not installed (the extra 'searches').\n"
    )
    with pytest.raises(SystemExit, match="--peers: hyperas is none of talos"):
        searches.available(["hyperas"])


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_is_named_with_its_libraries_before_any_is_loaded(name: str) -> None:
    found = engine(name)
    assert found.NEEDS
    assert callable(found.search)


def test_a_child_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    job = Job(SLICE, str(tmp_path / "nowhere"), str(tmp_path), 1)
    with pytest.raises(RuntimeError, match=r"(?s)^talos: status 1: .*Error"):
        searches.measure("talos", job)


def test_the_study_is_the_reference_study_s_grid_but_for_how_long_it_trains() -> None:
    part = slice_of("384,512-256", "0.2,0.3", 3)
    mine = check(StudySpec.parse(ours.study_of(part)), ("full",), [])
    reference, _ = read_study(ROOT / "studies" / "fashion-mnist.yaml")
    theirs = [spec for point in check(reference, ("full",), []) for spec in point.specs]

    def told(spec: Any) -> dict[str, Any]:
        value: dict[str, Any] = spec.to_dict()
        train = value.get("train", {})  # what needs no network has none
        length = ("epochs", "early_stopping", "schedule")
        return {**value, "train": {k: v for k, v in train.items() if k not in length}}

    known = [told(spec) for spec in theirs]
    specs = [spec for point in mine for spec in point.specs]
    assert len(specs) == part.num_trials
    for spec in specs:
        assert told(spec) in known
        assert spec.train.epochs == 3
        assert spec.train.early_stopping is None


def test_ours_tells_the_ranking_once_when_the_last_run_is_stored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ranked = report(20.0, 30.0, 10.0, 20.0).trials
    monkeypatch.setattr(ours, "ranking", lambda folder: ranked)
    heard: list[Report] = []
    clock = ours.Clock(Job(SLICE, "", "", 2), tmp_path, heard.append)
    clock.progress(None)
    for left in (3, 2, 1, 0):
        assert not heard
        clock.finished(None, None, None)
        assert len(heard) == (left == 0)
    assert (heard[0].lanes, heard[0].trials) == (2, ranked)
