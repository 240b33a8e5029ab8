"""A study folder belongs to one study and one driver at a time, and says so."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import ResumeError, SpecError, StoreError
from modiste.runs.files import read_json
from modiste.search.study import Study
from modiste.search.work_folder import Lock
from modiste.spec.run import versions_here
from modiste.spec.study import Override
from tests import small
from tests.driving import Script, Watched, drive, make

STAGES: list[dict[str, Any]] = [
    {"name": "grid", "grid": {"model.params.hidden": [[3], [4]]}},
    {"name": "final", "from": ["grid"], "final": True},
]
VALUES = small.study(data={"name": "idx", "num_val": 30}, train={"epochs": 1}, stages=STAGES)


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(VALUES), **changes}


def with_grid(**changes: Any) -> dict[str, Any]:
    return changed(stages=[{**STAGES[0], **changes}, STAGES[1]])


# --- one study ------------------------------------------------------------------------------------


def test_the_same_study_is_opened_again(tmp_path: Path) -> None:
    one = make(tmp_path / "s", VALUES, overrides=[Override("", "train.epochs", 2)])
    before = (tmp_path / "s" / "study.json").stat().st_mtime_ns
    two = make(tmp_path / "s", VALUES, overrides=[Override("", "train.epochs", 2)])
    assert two.spec == one.spec
    assert two.overrides == one.overrides
    assert (tmp_path / "s" / "study.json").stat().st_mtime_ns == before


def test_a_study_is_read_from_its_folder_alone(tmp_path: Path) -> None:
    made = make(tmp_path / "s", VALUES, profile="quick", seed=5, file="a/study.yaml")
    read = Study(tmp_path / "s")
    assert (read.profile, read.seed, read.file) == ("quick", 5, "a/study.yaml")
    assert read.spec == made.spec
    assert [stage.rows for stage in read.stages()] == [stage.rows for stage in made.stages()]


@pytest.mark.parametrize(
    ("values", "more", "named"),
    [
        (VALUES, {"profile": "quick"}, "profile (full there, quick now)"),
        (VALUES, {"seed": 1}, "seed (0 there, 1 now)"),
        (VALUES, {"data_digest": "e" * 64}, "eeeeeeeeeeee... now)"),
        (
            VALUES,
            {"overrides": [Override("grid", "train.epochs", 2)]},
            "overrides (none there, grid:train.epochs=2 now)",
        ),
        (changed(name="other"), {}, "name (tiny there, other now)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_study_in_the_folder_is_refused_and_what_differs_is_named(
    values: dict[str, Any], more: dict[str, Any], named: str, tmp_path: Path
) -> None:
    make(tmp_path / "s", VALUES)
    before = (tmp_path / "s" / "study.json").read_bytes()
    with pytest.raises(ResumeError, match=re.escape(named)) as error:
        make(tmp_path / "s", values, **more)
    assert "--out DIR" in str(error.value)
    assert (tmp_path / "s" / "study.json").read_bytes() == before


@pytest.mark.parametrize("name", ["torch", "numerics_version"])
def test_other_versions_are_refused_by_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "s", VALUES)
    was = versions_here()
    monkeypatch.setattr("modiste.search.study.versions_here", lambda: {**was, name: 99})
    said = f"differs in: versions.{name} ({was[name]} there, 99 now)."
    with pytest.raises(ResumeError, match=re.escape(said)):
        make(tmp_path / "s", VALUES)
    # Reading it goes on, with the versions it was made with.
    assert Study(tmp_path / "s").versions == dict(was)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (with_grid(grid={"model.params.hidden": [[5]]}), "[[5]] now). Put"),
        (changed(train={"epochs": 3}), "2 of grid. Changed: train.epochs (1 there, 3 now). "),
        (
            changed(data={**VALUES["data"], "num_val": 20}),
            "2 of grid. Changed: data.num_val (30 there, 20 now). ",
        ),
        (
            with_grid(grid={"model.params.hidden": [[3], [5]]}),
            "1 of grid. Changed: stages[grid].grid.model.params.hidden ([[3], [4]] there, ",
        ),
        (
            with_grid(data={"split_seed": 7}),
            "2 of grid. Changed: stages[grid].data.split_seed (none there, 7 now). ",
        ),
        (
            changed(stages=[{"name": "other"}]),
            "1 of final, 1 of grid. Changed: stages[final] (a stage there, none now); stages[grid]",
        ),
        (
            with_grid(threads=2, train={"batch_size": 8, "epochs": 2}, repeats=2),
            "stages[grid].train.batch_size (none there, 8 now); and 1 more. ",
        ),
        (
            with_grid(grid={"model.params.hidden": [[5], *([n] for n in range(10, 40))]}),
            "[17], [18], [19], [20], [21], [2... now). ",
        ),
    ],
    ids=[
        "both points",
        "every run",
        "images",
        "one point",
        "one stage",
        "no stage",
        "much",
        "long",
    ],
)
def test_a_change_that_would_orphan_finished_runs_is_refused(
    values: dict[str, Any], said: str, tmp_path: Path
) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    before = (tmp_path / "s" / "study.json").read_bytes()
    with pytest.raises(ResumeError, match=re.escape(said)):
        make(tmp_path / "s", values)
    assert (tmp_path / "s" / "study.json").read_bytes() == before


def test_what_moved_is_named_of_the_stage_before_where_nothing_else_has_changed(
    tmp_path: Path,
) -> None:
    values = changed(stages=[STAGES[0], {**STAGES[1], "train": {"epochs": 2}}])
    study = make(tmp_path / "s", values)
    drive(study)
    first, second = study.stages()[0].ranked("last")
    only = {"full": {"only": [second.settings]}}
    other = {**values, "stages": [{**STAGES[0], "profiles": only}, values["stages"][1]]}
    with pytest.raises(ResumeError, match=r"1 of final\. Changed: stages\[grid\]\.profiles\.full"):
        make(tmp_path / "s", other)
    assert first.settings != second.settings


def test_a_grid_may_grow_and_only_its_new_points_are_run(tmp_path: Path) -> None:
    drive(make(tmp_path / "s", VALUES))
    watched = Watched()
    grown = make(tmp_path / "s", with_grid(grid={"model.params.hidden": [[3], [4], [5]]}))
    drive(grown, watched)
    assert watched.labels[0] == "hidden=[5]"
    assert len(watched.labels) <= 2  # and the final one, if the grid has another winner now
    assert all(row.is_done for stage in grown.stages() for row in stage.rows)


def test_what_nobody_has_run_may_change_freely(tmp_path: Path) -> None:
    make(tmp_path / "s", VALUES)
    assert make(tmp_path / "s", changed(train={"epochs": 2})).spec.train == {"epochs": 2}


def test_another_epoch_may_rank_what_is_finished(tmp_path: Path) -> None:
    drive(make(tmp_path / "s", VALUES))
    assert make(tmp_path / "s", changed(rank_epoch="best")).spec.rank_epoch == "best"


def test_a_stage_may_be_added(tmp_path: Path) -> None:
    make(tmp_path / "s", VALUES)
    more = make(tmp_path / "s", changed(stages=[*STAGES, {**STAGES[0], "name": "more"}]))
    assert [stage.spec.name for stage in more.stages()][-1] == "more"


def test_nothing_changes_under_the_hands_of_another_process(tmp_path: Path) -> None:
    make(tmp_path / "s", VALUES)
    before = (tmp_path / "s" / "study.json").read_bytes()
    with Lock(tmp_path / "s" / "work" / "lock"):
        make(tmp_path / "s", VALUES)  # the very same may be opened
        with pytest.raises(StoreError, match="is being worked on"):
            make(tmp_path / "s", changed(title="Better words"))
    assert (tmp_path / "s" / "study.json").read_bytes() == before


def test_words_may_change_freely(tmp_path: Path) -> None:
    make(tmp_path / "s", VALUES)
    other = with_grid(title="A better title", about="Better words.")
    study = make(tmp_path / "s", {**other, "title": "Whole"}, file="b/study.yaml")
    assert study.spec.title == "Whole"
    assert Study(tmp_path / "s").spec.stages[0].title == "A better title"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b'{"schema": 1', "cannot be read"),
        (b"[]", "expected a JSON object"),
        (b'{"schema": 99}', "schema 99, not 1"),
        (b"{}", "schema None, not 1"),
    ],
    ids=["empty", "cut", "a list", "a newer one", "no schema"],
)
def test_a_damaged_study_is_refused_in_words(content: bytes, said: str, tmp_path: Path) -> None:
    make(tmp_path / "s", VALUES)
    (tmp_path / "s" / "study.json").write_bytes(content)
    with pytest.raises(StoreError, match=said):
        Study(tmp_path / "s")


def test_a_stored_study_that_makes_no_sense_names_the_file_and_the_key(tmp_path: Path) -> None:
    make(tmp_path / "s", VALUES)
    path = tmp_path / "s" / "study.json"
    value = read_json(path)
    value["spec"]["stages"][0]["gird"] = 3
    path.write_text(json.dumps(value))
    with pytest.raises(SpecError, match=r"study\.json.*gird"):
        Study(tmp_path / "s")


@pytest.mark.parametrize("name", ["", "none"])
def test_a_folder_without_a_study_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no study folder"):
        Study(tmp_path / name)


def test_a_stage_that_there_is_not_is_answered_with_the_nearest(tmp_path: Path) -> None:
    study = make(tmp_path / "s", VALUES)
    with pytest.raises(SpecError, match="Did you mean 'grid'"):
        study.stage("gird")
    with pytest.raises(SpecError, match="Did you mean 'grid'"):
        drive(study, stages=["gird"])


def test_a_study_can_be_moved_and_goes_on(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", VALUES)
    assert not drive(study, should_stop=lambda: len(script.tasks) > 1)
    (tmp_path / "s").rename(tmp_path / "größer und weiter")
    script.tasks.clear()
    moved = make(tmp_path / "größer und weiter", VALUES)
    assert drive(moved)
    assert script.tasks[0].checkpoint is not None


# --- one driver -----------------------------------------------------------------------------------


def test_a_lock_names_its_holder_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "study" / "work" / "lock"
    with Lock(path):
        with pytest.raises(StoreError) as error:
            Lock(path)
        assert f"process {os.getpid()} on {os.uname().nodename}" in str(error.value)
        assert str(tmp_path / "study") in str(error.value)
        assert "--out DIR" in str(error.value)
    with Lock(path):
        pass


def test_a_lock_left_by_a_process_that_died_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "work" / "lock"
    path.parent.mkdir()
    path.write_text("process 1 on another-machine, and much else\n")
    with Lock(path):
        text = path.read_text()
        assert text == f"process {os.getpid()} on {os.uname().nodename}\n"


def test_a_lock_that_cannot_be_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written"):
        Lock(tmp_path / "plain" / "lock")


def test_a_second_driver_is_refused_while_the_first_goes_on(tmp_path: Path, script: Script) -> None:
    study, refused = make(tmp_path / "s", VALUES), []

    def meddle() -> bool:
        if not refused:
            with pytest.raises(StoreError, match=f"being worked on by process {os.getpid()}"):
                drive(make(tmp_path / "s", VALUES))
            refused.append(True)
        return False

    assert drive(study, should_stop=meddle)
    assert refused
    assert all(stage.is_done for stage in Study(tmp_path / "s").stages())
