"""What a study consists of, read from its folder and from what is not there yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modiste.data.load import divide
from modiste.search.asked import Asked, asked_for
from modiste.search.study import Study
from modiste.search.survey import Survey, survey
from modiste.spec.files import parse_override
from modiste.spec.study import Override
from tests import small
from tests.driving import Script, drive, make

VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 2, "batch_size": 30},
    stages=[
        {"name": "grid", "grid": {"model.params.hidden": [[3], [4], [5]]}, "keep_weights": 1},
        {"name": "twin", "points": [{"model.params.hidden": [4]}, {"model.params.hidden": [6]}]},
        {"name": "skipped", "profiles": {"full": {"skip": "too long"}}},
        {"name": "best", "from": ["grid"], "train": {"epochs": 3}, "repeats": 2, "final": True},
        {"name": "again", "confirm": {"stage": "grid", "top": 2, "seeds": 2}},
    ],
)
PUBLISHED = {
    "stages": {
        "grid": {"rows": [{"settings": {"model.params.hidden": [4]}, "epochs": 45}]},
        "twin": {"rows": [{"settings": {"model.params.hidden": [6]}, "epochs_about": 60}]},
    }
}


def of(study: Study, asked: Asked | None = None) -> Survey:
    return survey(study, small.images(), asked or asked_for(study.spec))


def hidden(found: Survey, stage: str) -> list[tuple[tuple[int, ...], int]]:
    """Hidden units and seed of each run of a stage."""
    part = next(part for part in found.parts if part.name == stage)
    specs = [found.runs[name].spec for name in part.fingerprints]
    return [(spec.model.params.to_dict()["hidden"][0], spec.seed) for spec in specs]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make(tmp_path / "s", VALUES, published=PUBLISHED, is_written=False)


def test_a_study_that_is_not_there_is_surveyed_and_stays_away(study: Study) -> None:
    found = of(study)
    assert [part.name for part in found.parts] == ["grid", "twin", "best", "again"]
    assert not study.folder.exists()
    assert len(found.todo) == len(found.asked) == 3 + 1 + 2 + 4
    grid = found.parts[0]
    assert (grid.keep_weights, grid.is_final, grid.is_guessed) == (1, False, False)


def test_the_first_points_stand_for_the_best(study: Study) -> None:
    found = of(study)
    assert [(part.name, part.is_guessed, part.needs) for part in found.parts[2:]] == [
        ("best", True, ("grid",)),
        ("again", True, ("grid",)),
    ]
    assert hidden(found, "best") == [(3, 0), (3, 1)]
    assert hidden(found, "again") == [(3, 101), (3, 102), (4, 101), (4, 102)]


def test_each_run_is_one_trial_with_its_images_and_what_was_published(study: Study) -> None:
    found = of(study)
    shared = next(trial for trial in found.asked if trial.published_epochs == 45)
    assert shared.stage == "grid"
    assert shared.fingerprint in found.parts[1].fingerprints
    assert (shared.num_train, shared.num_val, shared.num_classes) == (90, 30, 10)
    assert [trial.published_epochs for trial in found.asked].count(60) == 1


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_a_fold_that_is_held_out_is_not_trained_on(folds: int, tmp_path: Path) -> None:
    stage = {"name": "folds", "folds": folds, "model": {"params": {"hidden": [3]}}}
    study = make(tmp_path / "s", small.study(data=VALUES["data"], stages=[stage]), is_written=False)
    for trial in of(study).asked:
        really = divide(small.images(), trial.spec.data)
        # Folds differ by an image of each class at most.
        assert abs(trial.num_train - len(really.train)) <= trial.num_classes


def test_what_is_finished_is_known_by_its_folder(study: Study, script: Script) -> None:
    study = make(study.folder, VALUES)
    drive(study, stages=["grid"])
    found = of(study)
    finished = [trial for trial in found.asked if trial.done is not None]
    assert [trial.stage for trial in finished] == ["grid"] * 3
    winner = study.hands_on(study.stage("grid"))
    assert winner is not None
    first = winner.winner["model.params.hidden"][0]
    assert hidden(found, "best") == [(first, 0), (first, 1)]
    assert not any(part.is_guessed for part in found.parts)
    for trial in finished:
        assert trial.done is not None
        run = study.find_run(trial.fingerprint)
        assert run is not None
        assert (trial.done.epochs, trial.done.is_good, trial.done.is_from_here) == (2, True, True)
        assert trial.done.seconds == run.metrics["seconds"]
        on_disk = sum(path.stat().st_size for path in run.folder.iterdir())
        assert trial.done.kept_bytes + trial.done.weights_bytes == on_disk
        assert (trial.done.weights_bytes > 0) == run.has_weights


def test_stages_are_asked_for_with_those_that_they_need(study: Study) -> None:
    found = of(study, asked_for(study.spec, ["best"]))
    assert [part.name for part in found.parts] == ["grid", "best"]
    # The others may still tell something.
    assert len(found.runs) > len(found.asked) == 3 + 2


def test_only_some_points_leave_out_what_needs_them_all(study: Study, script: Script) -> None:
    only = [parse_override("grid:model.params.hidden=[4]", "--only")]
    found = of(study, asked_for(study.spec, None, only))
    assert hidden(found, "grid") == [(4, 0)]
    assert [part.name for part in found.parts] == ["grid", "twin"]
    assert found.left == ("best", "again")
    # When the others are finished, the rest is not left any more.
    written = make(study.folder, VALUES)
    drive(written, stages=["grid"])
    assert of(written, asked_for(study.spec, None, only)).left == ()


def test_what_confirms_a_part_of_a_stage_is_not_left_for_want_of_the_rest(tmp_path: Path) -> None:
    hidden = "model.params.hidden"
    grid = {"name": "grid", "grid": {hidden: [[4], [5], [6]]}}
    again = {"name": "again", "confirm": {"top": 1, "seeds": 2, "among": {hidden: [5]}}}
    last = {"name": "last", "final": True, "from": ["again"]}
    study = make(tmp_path / "s", small.study(stages=[grid, again, last]))
    for asked, left in (
        (asked_for(study.spec, ["last"]), ()),
        (asked_for(study.spec, None, [Override("grid", hidden, [5])]), ()),
        (asked_for(study.spec, None, [Override("grid", hidden, [4])]), ("again", "last")),
    ):
        found = of(study, asked)
        assert found.left == left
        assert [len(part.rows) for part in found.parts] == ([1] if left else [1, 1, 1])
