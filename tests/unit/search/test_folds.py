"""Cross-validation trains again for each fold, and no fold sees the images it is judged on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from modiste.api.study import winners
from modiste.cli.main import app
from modiste.data.load import divide
from modiste.data.split import Split, held_out
from modiste.errors import SpecError, StoreError
from modiste.evaluate.crossval import cross_validated
from modiste.report import write as report
from modiste.report.context import gather
from modiste.report.folds import held, nested, scored
from modiste.report.numbers import bound
from modiste.runs.files import read_npz
from modiste.search.collect import collect
from modiste.search.leaderboard import status
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
        for spec, run in zip(row.specs, row.runs, strict=True):
            saved = run.predictions
            split = Split.load(
                study.folder / f"split-20-{spec.data.split_seed}-fold-{spec.data.fold}-of-3.json"
            )
            assert split.held_indices.tolist() == saved["held_ids"].tolist()
            assert split.val_indices.tolist() == saved["image_ids"].tolist()
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
    assert found.interval == cross_validated(by_hand, share, small.NUM_IMAGES)
    text = report.write(study).with_suffix(".md").read_text("utf-8")
    assert "Cross-validation: 6 trainings of each point (2 × 3 folds)" in text
    assert f"{fmean(held(stage.ranked[0], 'last')):.4f}" in text
    assert "choosing included (nested)" in text


def test_folds_are_never_called_seeds(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    context = gather(study)
    stage = context.stage("cv")
    assert not any(row.standing or row.interval or row.spread for row in stage.rows)
    assert stage.rows[0].name_of(stage.rows[0].runs[4]) == "hidden\u00a0[4], seed 1, fold 1"
    text = report.write(study).with_suffix(".md").read_text("utf-8")
    body = text.partition("## 3 ")[2].partition("## 4 ")[0]
    said = [
        word
        for line in body.splitlines()
        for word in re.findall(r"[^.;:|,]*\bseeds?\b[^.;:|,]*", line)
        if "no seeds" not in word and not re.search(r"--seed|seed [01]$", word)
    ]
    # How to read the tables is said for all stages.
    assert [word.strip() for word in said] == ["that of seeds"], said
    assert "All 2 points were run, 2 × 3 folds each." in body
    assert "would take about" not in body  # no power by images or seeds
    assert "may be the best one" not in body
    assert "fold 0" in body
    assert "M007" not in body
    assert "cross-validated over 2 × 3 folds" in text


def test_tables_tell_folds_from_seeds_and_say_what_they_are_for(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    best, *_ = ranked = study.stage("cv").ranked("last")
    assert status(replace(best, runs=best.runs[:2])) == "2 of 6 trainings finished"
    first, *_ = table = study.table("cv")
    assert [(line["seeds"], line["trainings"]) for line in table] == [(None, 6)] * 2
    assert first["deviation"] is first["low"] is first["high"] is None
    scores = [run.metrics["last"]["held"]["accuracy"] for run in best.runs]
    assert first["held_accuracy"] == fmean(scores)
    assert (first["held_low"], first["held_high"]) == cross_validated(
        scores, 40 / 60, num_images=120
    )
    each = study.table("cv", each_seed=True)
    dealt = [(seed, fold) for seed in range(2) for fold in range(3)]
    assert [(line["seed"], line["fold"]) for line in each] == dealt * 2
    assert [line["held_accuracy"] for line in each[:6]] == scores
    assert not {"seeds", "trainings", "held_low"} & set(each.columns)
    frame = study.to_frame()
    ours = frame[frame["row"] == ranked[0].label]
    assert list(zip(ours["seed"], ours["fold"], strict=True)) == dealt
    assert ours["held_accuracy_last"].tolist() == scores
    shown = CliRunner().invoke(app, ["leaderboard", str(study.folder)]).stdout
    assert "held-out accuracy" in shown
    assert "seeds" not in shown
    assert f"{first['held_accuracy']:.4f}" in shown
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", study._repr_html_())
    assert cells[-1] == "–"  # folds have no interval of that kind


def test_points_are_told_apart_by_their_folds(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", VALUES)
    drive(study)
    context = gather(study)
    rows = scored(context, context.stage("cv"))
    assert rows[0].mean >= rows[1].mean
    behind = [a - b for a, b in zip(*(row.accuracies for row in rows), strict=True)]
    share = 40 / 60
    error = (variance(behind) * (1 / 6 + share)) ** 0.5
    assert rows[1].standing is not None
    assert rows[1].standing.standard_error == pytest.approx(error)
    half = stats.t.ppf(0.975, 5) * error
    mean = fmean(behind)
    text = report.write(study).with_suffix(".md").read_text("utf-8")
    assert f"| {bound(-mean - half)} to {bound(-mean + half)} |" in text


def test_what_was_trained_for_folds_is_no_final_model(tmp_path: Path, script: Script) -> None:
    with pytest.raises(SpecError, match=r"stages\[cv\]\.final: true, but .* `from: \[cv\]`"):
        make(tmp_path / "f", {**VALUES, "stages": [{**STAGE, "final": True}]})
    study = make(tmp_path / "s", VALUES)
    drive(study)
    with pytest.raises(SpecError, match=r"--stages cv: its trainings are those of cross-valid"):
        winners(study, ["cv"])


def test_out_of_fold_answers_are_collected(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "s", {**VALUES, "stages": [{**STAGE, "folds": 7}]})  # unequal folds
    drive(study)
    collect(study, tmp_path / "small")
    there = Study(tmp_path / "small")
    for row, other in zip(study.stages()[0].rows, there.stages()[0].rows, strict=True):
        for run, kept in zip(row.runs, other.runs, strict=True):
            assert not kept.has_predictions
            for epoch in ("best", "last"):
                one, two = study.held_answers(run, epoch), there.held_answers(kept, epoch)
                assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
        ids = np.concatenate([there.held_answers(run, "last").image_ids_N for run in other.runs])
        assert sorted(ids.tolist()) == list(range(small.NUM_IMAGES))
    collect(there, tmp_path / "again")
    first, second = (
        read_npz((tmp_path / name / "cv" / "predictions.npz").read_bytes())
        for name in ("small", "again")
    )
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_run_without_folds_has_no_held_out_answers(tmp_path: Path, script: Script) -> None:
    plain = {"name": "cv", "grid": {"model.params.hidden": [[4]]}}
    study = make(tmp_path / "s", {**VALUES, "stages": [plain]})
    drive(study)
    (run,) = study.stages()[0].rows[0].runs
    with pytest.raises(StoreError, match="no fold was held out from this run"):
        study.held_answers(run, "last")
    collect(study, tmp_path / "small")
    there = Study(tmp_path / "small")
    with pytest.raises(StoreError, match="answers for a held-out fold were not kept"):
        there.held_answers(there.stages()[0].rows[0].runs[0], "last")


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
