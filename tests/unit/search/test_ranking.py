"""Which row of a stage wins, and who takes it over."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modiste.search.row import Row
from modiste.search.study import Stage, Study
from modiste.spec.study import StageSpec
from tests import small
from tests.driving import Script, Watched, drive, make


def a_run(correct: int, parameters: int = 100, status: str = "finished", best: int = 0) -> Any:
    measured = {
        epoch: {"val": {"correct": count, "total": 30, "accuracy": count / 30, "loss": 1.0}}
        for epoch, count in (("last", correct), ("best", best))
    }
    metrics = {"status": status, **(measured if status == "finished" else {})}
    return SimpleNamespace(metrics=metrics, layers={"parameters": {"total": parameters}})


def row(label: str, *runs: Any, num_specs: int = 0, is_chosen: bool = True) -> Row:
    specs: Any = tuple(range(num_specs or len(runs)))
    return Row(label, {}, specs, tuple(map(str, specs)), is_chosen, runs)


def ranked(*rows: Row, epoch: Any = "last") -> list[str]:
    stage = Stage(StageSpec(name="one"), rows)
    return [row.label for row in stage.ranked(epoch)]


def test_more_right_answers_come_first() -> None:
    rows = row("a", a_run(20)), row("b", a_run(22)), row("c", a_run(21))
    assert ranked(*rows) == ["b", "c", "a"]


def test_equal_counts_go_to_fewer_parameters_then_to_the_earlier_point() -> None:
    rows = [row("a", a_run(20, 300)), row("b", a_run(20, 200)), row("c", a_run(20, 200))]
    assert ranked(*rows) == ["b", "c", "a"]
    assert ranked(*reversed(rows)) == ["c", "b", "a"]
    # One right answer more outweighs any number of parameters.
    assert ranked(row("small", a_run(20, 1)), row("large", a_run(21, 10**9)))[0] == "large"


def test_the_epoch_that_ranks_is_a_choice() -> None:
    rows = row("a", a_run(20, best=25)), row("b", a_run(22, best=23))
    assert ranked(*rows) == ["b", "a"]
    assert ranked(*rows, epoch="best") == ["a", "b"]


@pytest.mark.parametrize("status", ["diverged", "out_of_memory", "failed"])
def test_what_did_not_finish_ranks_below_the_worst_that_did(status: str) -> None:
    rows = row("a", a_run(0, 1, status)), row("b", a_run(0, 10**9)), row("c", a_run(1))
    assert ranked(*rows) == ["c", "b", "a"]


def test_seeds_count_by_their_mean_and_one_that_diverged_counts_for_all() -> None:
    rows = [
        row("a", a_run(30), a_run(10)),
        row("b", a_run(21), a_run(21)),
        row("c", a_run(30), a_run(0, status="diverged")),
    ]
    assert ranked(*rows) == ["b", "a", "c"]


def test_rows_that_are_not_done_or_not_chosen_have_no_rank() -> None:
    rows = [
        row("half", a_run(30), num_specs=2),
        row("none", num_specs=1),
        row("hidden", a_run(30), is_chosen=False),
        row("a", a_run(3)),
    ]
    assert ranked(*rows) == ["a"]
    stage = Stage(StageSpec(name="one"), tuple(rows))
    assert not stage.is_done
    assert stage.chosen == [rows[0], rows[1], rows[3]]


# --- who takes it over ----------------------------------------------------------------------------

# The second of two rates is the better one by far: the first hardly moves the weights.
RATES = {"train.optimizer.learning_rate": [1.0e-9, 0.05]}
FINALS = {
    "data": {"name": "idx", "num_val": 30},
    "train": {"epochs": 6, "batch_size": 30, "optimizer": "adam"},
}


def test_a_stage_begins_with_the_winner_of_another(tmp_path: Path, script: Script) -> None:
    values = small.study(
        **{**FINALS, "train": {"epochs": 6, "batch_size": 30, "optimizer": {"name": "adam"}}},
        stages=[{"name": "rates", "grid": RATES}, {"name": "last", "from": ["rates"]}],
    )
    study = make(tmp_path / "study", values)
    assert study.stages()[1].waits_for == ("rates",)
    assert study.stages()[1].rows == ()
    assert drive(study)
    stages = study.stages()
    best = study.winner(stages[0])
    assert best is not None
    assert best.label == "learning_rate=0.05"
    assert stages[1].rows[0].specs[0].train.optimizer.learning_rate == 0.05
    # Nothing else differs, so it is the same work, and was not done twice.
    assert stages[1].rows[0].fingerprints == best.fingerprints
    assert len(set(script.begun)) == len(script.begun) == 2


def test_what_a_winner_took_over_itself_is_handed_on(tmp_path: Path, script: Script) -> None:
    values = small.study(
        data=FINALS["data"],
        train={"epochs": 6, "batch_size": 30, "optimizer": {"name": "adam"}},
        stages=[
            {"name": "rates", "grid": RATES},
            {"name": "sizes", "from": ["rates"], "grid": {"model.params.hidden": [[5], [6]]}},
            {"name": "more", "from": ["sizes"], "train": {"label_smoothing": 0.1}},
            {"name": "last", "from": ["more"], "repeats": 2},
        ],
    )
    study = make(tmp_path / "study", values)
    assert drive(study)
    rates, sizes, more, last = study.stages()
    best = study.winner(sizes)
    assert best is not None
    assert study.winner(rates) is not None
    for stage in (more, last):
        spec = stage.rows[0].specs[0]
        assert spec.train.optimizer.learning_rate == 0.05
        assert list(spec.model.params.to_dict()["hidden"]) == best.settings["model.params.hidden"]
    # Only settings of points are handed on; what a stage sets for itself stays there.
    assert more.rows[0].specs[0].train.label_smoothing == 0.1
    assert last.rows[0].specs[0].train.label_smoothing == 0.0
    assert [spec.seed for spec in last.rows[0].specs] == [0, 1]


def test_asking_for_a_stage_runs_what_it_needs_and_nothing_else(
    tmp_path: Path, script: Script
) -> None:
    values = small.study(
        data=FINALS["data"],
        train={"epochs": 1, "optimizer": {"name": "adam"}},
        stages=[
            {"name": "rates", "grid": RATES},
            {"name": "other", "model": {"params": {"hidden": [7]}}},
            {"name": "last", "from": ["rates"], "train": {"epochs": 2}},
        ],
    )
    study = make(tmp_path / "study", values)
    assert drive(study, stages=["last"])
    rates, other, last = study.stages()
    assert (rates.is_done, other.is_done, last.is_done) == (True, False, True)
    assert len(set(script.begun)) == 3
    assert drive(study)
    assert Study(study.folder).stages()[1].is_done
    assert len(set(script.begun)) == 4


@pytest.mark.slow  # child processes
def test_a_stage_whose_every_run_broke_has_no_winner_and_hands_nothing_on(tmp_path: Path) -> None:
    too_fast = {"name": "sgd", "learning_rate": 1.0e30}
    values = small.study(data={"name": "idx", "num_val": small.NUM_VAL})
    values["stages"][0]["train"] = {"optimizer": too_fast}
    study, watched = make(tmp_path / "s", values), Watched()
    assert drive(study, watched)
    grid, final = Study(study.folder).stages()
    assert {run.metrics["status"] for row in grid.rows for run in row.runs} == {"diverged"}
    assert study.winner(grid) is None
    assert final.waits_for == ("grid",)
    assert watched.notes == ["final: not run, because no row of grid came to a good end."]
