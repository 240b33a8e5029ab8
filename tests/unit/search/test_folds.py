"""Cross-validation trains again for each fold, and no fold sees the images it is judged on."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from modiste import report
from modiste.data.load import divide
from modiste.data.split import held_out
from modiste.errors import SpecError
from modiste.evaluate.crossval import cross_validated
from modiste.report.context import gather
from modiste.report.folds import held, nested
from modiste.search.collect import collect
from modiste.search.study import Study
from modiste.spec.run import DataSpec
from tests import small
from tests.driving import Script, drive, make

STAGE: dict[str, Any] = {"name": "cv", "grid": {"model.params.hidden": [[4], [9]]}, "folds": 3}
VALUES = small.study(
    data={"name": "idx", "num_val": 20},
    train={"epochs": 2, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    stages=[{**STAGE, "repeats": 2}],
)


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_every_image_is_held_out_once_and_each_class_has_its_share(folds: int) -> None:
    labels_N = np.random.default_rng(0).integers(0, 4, 201)
    parts = [held_out(labels_N, folds, fold, split_seed=5) for fold in range(folds)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(201))
    counts = np.array([np.bincount(labels_N[part], minlength=4) for part in parts])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert not np.array_equal(parts[0], held_out(labels_N, folds, 0, split_seed=6))


def test_a_fold_is_kept_from_training_validation_and_scaling() -> None:
    images = small.images()
    seen = []
    for fold in range(3):
        spec = DataSpec(name="idx", num_val=20, folds=3, fold=fold, scaling="standard")
        data = divide(images, spec)
        assert data.held is not None
        parts = [set(part.ids_N.tolist()) for part in (data.train, data.val, data.held)]
        assert not parts[0] & parts[1]
        assert not parts[2] & (parts[0] | parts[1])
        assert set.union(*parts) == set(images.ids_N.tolist())
        seen.append(data.preprocess.mean_C)
    assert len(set(seen)) == 3  # worked out without the fold


@pytest.mark.parametrize(("folds", "fold"), [(3, 3), (None, 1)])
def test_a_fold_that_there_is_not_is_refused(folds: int | None, fold: int) -> None:
    with pytest.raises(SpecError, match=f"fold: {fold}; there are folds 0 to"):
        DataSpec.parse({"folds": folds, "fold": fold}, "data")


def test_more_folds_than_images_of_a_class_are_refused() -> None:
    with pytest.raises(SpecError, match=r"data\.folds: 5; .* expected 2 to 3"):
        held_out(np.repeat(np.arange(3), 3), 5, 0, 0)


def test_each_point_is_trained_for_each_fold_and_each_repeat_deals_anew(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    for row in study.stage("cv").rows:
        dealt = [(spec.seed, spec.data.split_seed, spec.data.fold) for spec in row.specs]
        assert dealt == [(r, r, fold) for r in range(2) for fold in range(3)]
        for runs in (row.runs[:3], row.runs[3:]):
            ids = np.concatenate([run.predictions["held_ids"] for run in runs])
            assert sorted(ids.tolist()) == list(range(small.NUM_IMAGES))
        for run in row.runs:
            saved = run.predictions
            right = saved["held_logits_last_NK"].argmax(axis=1) == saved["held_labels"]
            assert run.metrics["last"]["held"]["correct"] == int(right.sum())


def test_the_report_tells_held_out_from_chosen_by(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    stage = gather(study).stage("cv")
    found = nested(stage.ranked, "last")
    assert found is not None
    assert len(found.accuracies) == 6
    assert sum(found.chosen.values()) == 6
    by_hand = []
    for runs in zip(*(row.runs for row in stage.ranked), strict=True):
        best = max(runs, key=lambda run: run.metrics["last"]["val"]["correct"])
        by_hand.append(best.metrics["last"]["held"]["accuracy"])
    assert list(found.accuracies) == by_hand
    share = 40 / 60  # of 120 images a third is held out, and 20 of the rest choose
    assert found.interval == cross_validated(by_hand, share)
    text = report.write(study).with_suffix(".md").read_text("utf-8")
    assert "Cross-validation: 6 trainings of each point" in text
    assert f"{fmean(held(stage.ranked[0], 'last')):.4f}" in text
    assert "choosing included (nested)" in text


def test_collected_results_say_the_same(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    collect(study, tmp_path / "small")
    texts = [
        report.write(each).with_suffix(".md").read_text("utf-8")
        for each in (study, Study(tmp_path / "small"))
    ]
    # The final model's probabilities are not kept; all that its stage says is.
    one, two = (text.partition("## 3 ")[2].partition("## 4 ")[0] for text in texts)
    assert one == two
    assert "held out" in one
