"""What `modiste plan` says of a plan; here the plans are invented."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modiste.api.plan import Plan
from modiste.cli.verbs.plan import lines, rows, summary
from modiste.search.plan import Disk, Forecast, StageForecast
from modiste.search.probe import Probed

GB = 10**9


def stage(name: str, **more: Any) -> StageForecast:
    given = {
        "num_runs": 3,
        "num_finished": 1,
        "num_todo": 2,
        "shared": {},
        "seconds": 3_600.0,
        "most_seconds": 9_000.0,
        "num_unknown": 0,
        "is_guessed": False,
    }
    return StageForecast(name, **{**given, **more})


def plan(*stages: StageForecast, **more: Any) -> Plan:
    forecast = Forecast(
        stages or (stage("grid"),),
        num_workers=2,
        seconds=4_000.0,
        most_seconds=90_000.0,
        epochs_from={"finished": 20, "published": 1},
        pace_from={"measured": 21},
    )
    given = {
        "folder": Path("runs/tiny-full"),
        "profile": "full",
        "forecast": forecast,
        "misfits": (),
        "left": (),
        "disk": Disk(now=0, end=10**8, peak=2 * GB),
        "free_bytes": 50 * GB,
        "num_processes": 2,
        "available_bytes": 8 * GB,
        "probed": Probed({}, 1.0, worker_bytes=GB // 2, driver_bytes=GB // 4, seconds=21.3),
        "alone_seconds": None,
    }
    return Plan(**{**given, **more})


def text(one: Plan) -> str:
    return "\n".join(lines(one))


def test_the_headline_is_the_expected_time_and_the_limit_stands_beside_it() -> None:
    assert (
        "Time: about 1 h 07 min with 2 workers, if each run stops when those most like it did "
        "(finished ones: 20, published ones: 1); at most 25 h 00 min, if each goes to its limit "
        "of epochs."
    ) in text(plan())


def test_memory_and_disk_are_told_with_what_there_is() -> None:
    said = text(plan())
    assert (
        "Memory: about 1.2 GB, 250 MB for the driver and 500 MB for each of 2 workers; 8.0 GB are "
        "free."
    ) in said
    assert (
        "Disk: at most 100 MB in runs/tiny-full at the end, and 2.0 GB before weights are dropped; "
        "0.0 MB are there, 50.0 GB are free."
    ) in said
    assert "WARNING" not in said
    assert "An estimate. Pace of runs: measured: 21." in said


def test_points_that_make_no_model_are_counted_and_the_first_is_named() -> None:
    said = text(plan(misfits=("s: a block does not fit.", "s: nor does another.")))
    assert "2 runs will fail at once, of points that make no model for these images: s: a b" in said
    assert "will fail" not in text(plan())


def test_what_does_not_fit_is_a_warning_with_a_remedy() -> None:
    said = text(plan(free_bytes=GB // 2, available_bytes=GB))
    assert "WARNING: the disk lacks 1.5 GB. Free some space, or choose another" in said
    assert "WARNING: memory lacks 250 MB. Close something, or take fewer workers" in said
    # What lies there already need not be found again.
    there = plan(free_bytes=GB // 2, disk=Disk(now=3 * GB // 2, end=GB, peak=2 * GB))
    assert "WARNING" not in text(there)
    # Where nobody tells how much memory is free, nothing is said of it.
    unknown = text(plan(available_bytes=None))
    assert "WARNING" not in unknown
    assert "each of 2 workers." in unknown


def test_the_table_has_a_line_for_each_stage_and_one_for_all() -> None:
    one = plan(
        stage("grid", num_runs=1_200),
        stage("best", is_guessed=True),
        stage("done", num_finished=3, num_todo=0, seconds=0.0, most_seconds=0.0),
        stage("svm", num_todo=3, num_unknown=3, seconds=0.0, most_seconds=0.0),
    )
    assert list(rows(one)) == [
        ("grid", "1,200", "1", "2", "1 h 00 min", "2 h 30 min"),
        ("best *", "3", "1", "2", "1 h 00 min", "2 h 30 min"),
        ("done", "3", "3", "0", "", ""),
        ("svm", "3", "1", "3", "?", "?"),
        ("all", "1,209", "6", "7", "2 h 00 min + ?", "5 h 00 min + ?"),
    ]
    said = text(one)
    assert "* waits for another stage" in said
    assert "Not counted: 3 runs (?)" in said


def test_shared_runs_and_stages_that_are_left_are_named() -> None:
    one = plan(stage("grid"), stage("rates", shared={"grid": 1}), left=("final",))
    said = text(one)
    assert "counted once, in the first stage that has it: rates has 1 run of grid." in said
    assert "final will not be run: a stage that it needs has points left." in said


def test_runs_that_all_go_to_their_limit_have_one_time() -> None:
    one = plan()
    one = replace(one, forecast=replace(one.forecast, epochs_from={"limit": 21}))
    assert "about 1 h 07 min with 2 workers; each run goes to its limit of epochs." in text(one)
    assert "at most 25 h" not in text(one)


def test_with_nothing_to_do_nothing_else_is_said() -> None:
    one = plan(stage("grid", num_finished=3, num_todo=0), probed=None)
    assert text(one).splitlines()[-1] == "Nothing is left to do."
    assert "Time:" not in text(one)


def test_a_time_that_nothing_tells_is_not_made_up() -> None:
    one = plan(stage("svm", num_unknown=2), probed=None)
    one = replace(one, forecast=replace(one.forecast, epochs_from={}, pace_from={}))
    assert "Time: nothing tells it before a run like these is finished." in text(one)
    assert "Memory" not in text(one)


def test_other_programs_and_workers_that_died_are_told() -> None:
    probed = Probed({}, 0.4, GB, GB, 20.0, broken=("cnn of 9 parameters: it ended",))
    said = text(plan(probed=probed, alone_seconds=1_600.0))
    assert "Other programs left the workers 40% of their cores meanwhile." in said
    assert "Alone on this machine, the study takes about 27 min." in said
    assert "cnn of 9 parameters: it ended" in said


@pytest.mark.parametrize("probed", [None, plan().probed], ids=["nothing to do", "probed"])
def test_the_same_is_one_json_object(probed: Probed | None) -> None:
    value = json.loads(json.dumps(summary(plan(probed=probed)), allow_nan=False))
    assert (value["seconds"], value["most_seconds"], value["workers"]) == (4_000, 90_000, 2)
    assert value["stages"][0]["to_do"] == 2
    assert value["disk"]["peak_bytes"] == 2 * GB
    assert value["disk"]["missing_bytes"] == 0
    assert value["memory"]["bytes"] == (0 if probed is None else 5 * GB // 4)
