"""Each point of a study is made once, and those that no longer count are let go."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from modiste.search.study import Study
from modiste.search.survey import with_guesses
from modiste.spec.run import RunSpec
from modiste.spec.study import Found, Point
from tests import small
from tests.driving import Script, drive, make

RATE = "train.optimizer.learning_rate"
VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 4, "batch_size": 30, "optimizer": {"name": "sgd"}},
    stages=[
        {"name": "grid", "grid": {"model.params.hidden": [[3], [4], [5]]}},
        {
            "name": "search",
            "from": ["grid"],
            "search": {
                "method": "random",
                "trials": 6,
                "tune": {RATE: {"low": 1e-3, "high": 1e-1, "log": True}},
                "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
            },
        },
        {"name": "again", "confirm": {"stage": "grid", "top": 2, "seeds": 2}},
    ],
)


def num_kept() -> int:
    gc.collect()
    return sum(type(each) in (Point, RunSpec) for each in gc.get_objects())


def test_a_study_that_is_asked_again_keeps_nothing_more(tmp_path: Path) -> None:
    study = make(tmp_path / "study", VALUES)
    study.stages()
    with_guesses(study)
    first = num_kept()
    for _ in range(3):
        study.stages()
        with_guesses(study)
    assert num_kept() == first


def test_points_that_go_with_what_is_found_no_more_are_let_go(tmp_path: Path) -> None:
    study = make(tmp_path / "study", VALUES)
    kept = [kept_for(study, width) for width in range(3, 8)]
    assert len(set(kept)) == 1


def test_what_was_found_decides_which_points_are_made(tmp_path: Path) -> None:
    study = make(tmp_path / "study", VALUES)
    for width in (3, 4, 3):
        (row,) = study.rows(study.spec.stage("again"), found(width))
        assert row.specs[0].model.params.to_dict()["hidden"] == [width]
        assert row.fingerprints == tuple(
            spec.fingerprint(study.data_digest, study.versions) for spec in row.specs
        )


def test_a_row_that_is_whole_is_made_once(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", VALUES)
    before = study.stages()[0].rows
    assert drive(study, stages=["grid"])
    one, two = study.stages()[0].rows, study.stages()[0].rows
    assert all(row.is_done for row in one)
    assert not any(row.is_done for row in before)
    assert all(first is second for first, second in zip(one, two, strict=True))


def kept_for(study: Study, width: int) -> int:
    study.rows(study.spec.stage("again"), found(width))
    study.climbed(study.spec.stage("search"), found(width), [[{RATE: 0.01}]], foresees=True)
    return num_kept()


def found(width: int) -> dict[str, Found]:
    return {"grid": Found(((f"hidden={width}", {"model.params.hidden": [width]}),))}
