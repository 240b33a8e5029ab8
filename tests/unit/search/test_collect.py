"""A collected study is small, and reads as the study it came from."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modiste.api.study import collect_results, write_report
from modiste.counts import Count
from modiste.errors import SealError, SpecError, StoreError
from modiste.report import write as report
from modiste.runs import files
from modiste.runs.files import read_npz
from modiste.runs.ledger import Ledger
from modiste.search.answers import Answers
from modiste.search.closing import close, reopen
from modiste.search.collect import collect, compact, lighter, summary
from modiste.search.driver import Driver
from modiste.search.here import Here
from modiste.search.study import Study
from tests import small
from tests.driving import Watched, drive, make
from tests.report_fixture import NO_LOOKS

pytestmark = pytest.mark.slow  # child processes

VALUES = small.study(data={"name": "idx", "num_val": small.NUM_VAL})


def markdown(path: Path) -> str:
    """The report's Markdown, without the padding of its tables."""
    return re.sub(" +", " ", path.with_suffix(".md").read_text("utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    made = make(tmp_path_factory.mktemp("study") / "s", VALUES)
    assert drive(made)
    return Study(made.folder)


def test_tables_and_compact_answers_say_what_the_runs_say(study: Study, tmp_path: Path) -> None:
    collect(study, tmp_path / "c")
    with (tmp_path / "c" / "grid" / "table.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    runs = [run for row in study.stage("grid").rows for run in row.runs]
    assert [line["fingerprint"] for line in lines] == [run.fingerprint for run in runs]
    for line, run in zip(lines, runs, strict=True):
        accuracy = run.metrics["last"]["val"]["accuracy"]
        assert float(line["last_val_accuracy"]) == pytest.approx(accuracy, abs=5e-7)  # 6 digits
    there = Study(tmp_path / "c")
    for run in (run for row in there.stage("grid").rows for run in row.runs):
        original = next(r for r in runs if r.fingerprint == run.fingerprint)
        for epoch in ("best", "last"):
            one, two = there.answers(run, epoch), study.answers(original, epoch)
            assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_figure_is_kept_as_the_report_takes_it(study: Study, tmp_path: Path) -> None:
    study = Study(Path(shutil.copytree(study.folder, tmp_path / "s")))
    figures = study.folder / "figures"
    figures.mkdir(exist_ok=True)
    for name in ("first-images.svg", "first-images.png", "by-hand.png"):
        (figures / name).write_bytes(b"a picture")
    collect(study, tmp_path / "c")
    kept = sorted(path.name for path in (tmp_path / "c" / "figures").iterdir())
    assert kept == ["by-hand.png", "first-images.svg"]


def test_labels_of_more_than_256_classes_are_kept() -> None:
    every = np.arange(300)
    said = Answers(every[::-1], every, every, np.zeros(300, np.float16))
    run: Any = SimpleNamespace(
        metrics={"status": "finished"},
        fingerprint="f",
        folder="f",
        layers={"class_names": [str(label) for label in range(300)]},
        spec=SimpleNamespace(data=SimpleNamespace(folds=2)),
    )
    study: Any = SimpleNamespace(
        has_answers=lambda _: True, answers=lambda *_: said, held_answers=lambda *_: said
    )
    kept = compact(study, [run])
    assert np.array_equal(kept["labels_N"], every)
    assert np.array_equal(kept["classes_last_RN"][0], every[::-1])
    assert np.array_equal(kept["held_labels_M"], every)
    assert np.array_equal(kept["held_classes_last_M"], every[::-1])


def test_bulk_is_left_out_and_said_to_be(study: Study, tmp_path: Path) -> None:
    collect(study, tmp_path / "c")
    there = Study(tmp_path / "c")
    plain = next(run for row in there.stage("grid").rows for run in row.runs)
    assert not plain.has_weights
    with pytest.raises(StoreError, match="not kept in the collected results"):
        plain.weights("last")
    final = there.stage("final").rows[0].runs[0]
    assert final.has_predictions


def test_the_epoch_that_does_not_count_is_kept_in_half_the_room(
    study: Study, tmp_path: Path
) -> None:
    original = study.stage("final").rows[0].runs[0].predictions
    collect(study, tmp_path / "c")
    collect(Study(tmp_path / "c"), tmp_path / "again")
    for folder in (tmp_path / "c", tmp_path / "again"):
        kept = Study(folder).stage("final").rows[0].runs[0].predictions
        assert np.array_equal(kept.pop("logits_last_NK"), original["logits_last_NK"])
        best_NK, wanted_NK = kept.pop("logits_best_NK"), original["logits_best_NK"]
        assert best_NK.dtype == np.float16
        assert np.allclose(best_NK, wanted_NK, rtol=2**-10, atol=1e-7)
        assert np.array_equal(best_NK.argmax(axis=1), wanted_NK.argmax(axis=1))
        assert all(np.array_equal(kept[name], original[name]) for name in kept)
        assert len(kept) == len(original) - 2


def test_two_classes_closer_than_16_bits_stay_in_their_order() -> None:
    logits_NK = np.array(
        [[1.0, 1.0001, 0.5], [1.0001, 1.0, 0.5], [-2.0, -5.0, -1.9999]], np.float32
    )
    saved = files.to_npz({"logits_best_NK": logits_NK, "logits_last_NK": logits_NK})
    kept = read_npz(lighter(saved, "last"))
    assert kept["logits_best_NK"].dtype == np.float16
    assert kept["logits_best_NK"].argmax(axis=1).tolist() == [1, 0, 2]
    assert np.allclose(kept["logits_best_NK"], logits_NK, rtol=2**-9)
    assert lighter(lighter(saved, "last"), "last") == lighter(saved, "last")


@pytest.mark.parametrize("row", [[0.0, 1e6], [0.0, np.nan], [-np.inf, 0.0]])
def test_what_16_bits_do_not_hold_stays_as_it_is(row: list[float]) -> None:
    logits_NK = np.array([row, [3.0, 2.0]], np.float32)
    saved = files.to_npz({"logits_best_NK": logits_NK, "logits_last_NK": logits_NK})
    kept = read_npz(lighter(saved, "last"))
    assert kept["logits_best_NK"].dtype == np.float32
    assert np.array_equal(kept["logits_best_NK"], logits_NK, equal_nan=True)


def test_a_run_that_turns_out_to_be_final_is_collected_again_with_its_logits(
    tmp_path: Path,
) -> None:
    stages = [{key: stage[key] for key in stage if key != "train"} for stage in VALUES["stages"]]
    growing = make(tmp_path / "s", {**VALUES, "stages": stages})
    assert Driver(growing, small.images(), 1, Watched(), start=Here).run(["grid"])
    collect(Study(growing.folder), tmp_path / "c")
    assert Driver(growing, small.images(), 1, Watched(), start=Here).run()
    collect(Study(growing.folder), tmp_path / "c")
    final = Study(tmp_path / "c").stage("final").rows[0].runs[0]
    assert len(final.predictions["labels"]) == small.NUM_VAL
    kept = [run for row in Study(tmp_path / "c").stage("grid").rows for run in row.runs]
    assert sorted(run.has_predictions for run in kept) == [False, True]


def test_a_final_stage_is_kept_as_all_others_where_it_is_to_be_light(
    study: Study, tmp_path: Path
) -> None:
    collect(study, tmp_path / "whole")
    collect(study, tmp_path / "light", light=["final"])
    kept = Study(tmp_path / "light").stage("final").rows[0].runs[0]
    assert not kept.has_predictions
    assert "not kept" in files.read_manifest(kept.folder)["files"]["predictions-val.npz"]["dropped"]
    assert not list((tmp_path / "light").rglob("model.safetensors"))
    for name in ("grid", "final"):
        one, two = (tmp_path / kind / name / "predictions.npz" for kind in ("whole", "light"))
        assert one.read_bytes() == two.read_bytes()
    # What a target has already it keeps, and it can be made whole later.
    collect(study, tmp_path / "whole", light=["final"])
    collect(study, tmp_path / "light")
    for kind in ("whole", "light"):
        assert Study(tmp_path / kind).stage("final").rows[0].runs[0].has_predictions
    with pytest.raises(SpecError, match=r"no stage is named 'finl'.*'final'"):
        collect(study, tmp_path / "c", light=["finl"])
    assert not (tmp_path / "c").exists()


def test_a_collected_study_gives_the_same_report_again(study: Study, tmp_path: Path) -> None:
    collect(study, tmp_path / "c")
    first = report.write(Study(tmp_path / "c"), NO_LOOKS).read_bytes()
    assert report.write(Study(tmp_path / "c"), NO_LOOKS).read_bytes() == first
    here = report.write(study, NO_LOOKS)
    assert here.with_suffix(".md").read_text("utf-8") == (tmp_path / "c" / "report.md").read_text(
        "utf-8"
    )


def test_a_smaller_profile_shows_what_the_full_one_found(study: Study, tmp_path: Path) -> None:
    skips = {"quick": {"skip": "too long"}}
    stages = [{**stage, "profiles": skips} for stage in VALUES["stages"]]
    values = {**VALUES, "stages": stages}
    found = summary(study)
    quick = make(tmp_path / "quick", values, profile="quick", committed=found)
    text = report.write(quick, NO_LOOKS).with_suffix(".md").read_text("utf-8")
    accuracy = found["grid"]["hidden=[8]"]["val_accuracy"][0]
    assert (
        f"full profile, committed: validation accuracy {accuracy:.4f}, last epoch, 1 seed" in text
    )
    alone = make(tmp_path / "alone", values, profile="quick")
    text = report.write(alone, NO_LOOKS).with_suffix(".md").read_text("utf-8")
    assert "not run in this profile" in text
    assert "committed" not in text


def test_collected_results_travel_with_the_ledger_they_were_counted_in(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger(study.data_digest).append("look", {"reason": "to see", "runs": []})
    collect_results(study, tmp_path / "c")
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "another machine"))
    assert "looks at it so far: 1" in markdown(write_report(Study(tmp_path / "c")))
    assert "looks at it so far: 0" in markdown(write_report(study))


def test_results_that_go_on_elsewhere_keep_the_answers_of_what_was_finished(
    study: Study, tmp_path: Path
) -> None:
    collect(study, tmp_path / "c")
    elsewhere = tmp_path / "another machine"
    shutil.copytree(tmp_path / "c", elsewhere)
    # One point is not finished there: it comes with logits, beside others that have none any more.
    first = study.stage("grid").rows[0].runs[0]
    shutil.rmtree(elsewhere / "runs" / first.folder.name)
    assert drive(Study(elsewhere))
    collect(Study(elsewhere), tmp_path / "again")
    for stage in ("grid", "final"):
        one, two = (
            read_npz((tmp_path / folder / stage / "predictions.npz").read_bytes())
            for folder in ("c", "again")
        )
        assert set(one) == set(two)
        assert all(np.array_equal(one[name], two[name]) for name in one)
    # Its seconds are those of another training; all else is the same.
    said = [
        re.sub(r"[\d.]+ s\b", "s", markdown(report.write(Study(tmp_path / folder), NO_LOOKS)))
        for folder in ("c", "again")
    ]
    assert said[0] == said[1]


def test_results_keep_the_looks_of_every_machine_they_come_from(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(reason: str) -> None:
        Ledger(study.data_digest).append("look", {"reason": reason, "runs": []})

    def looks(folder: Path) -> Count:
        return Ledger(study.data_digest, folder=folder / "ledger").count()

    look("on the first machine")
    collect_results(study, tmp_path / "c")
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "another machine"))
    shutil.copytree(tmp_path / "c", tmp_path / "study")
    collect_results(Study(tmp_path / "study"), tmp_path / "c2")
    assert looks(tmp_path / "c2") == 1, "one that goes further is not overwritten"
    look("apart from it")
    collect_results(study, tmp_path / "c")
    assert looks(tmp_path / "c") == 2
    assert "looks at it so far: 2" in markdown(tmp_path / "c" / "report.html")


def everything(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_stage_that_was_opened_again_is_not_closed_in_the_results(
    study: Study, tmp_path: Path
) -> None:
    close(study.folder, 20.0, ["grid"])
    try:
        collect(study, tmp_path / "c")
        assert Study(tmp_path / "c").stage("grid").is_closed
    finally:
        reopen(study.folder, ["grid"])
    collect(study, tmp_path / "c")
    assert not Study(tmp_path / "c").stage("grid").is_closed


@pytest.mark.parametrize("is_there", [True, False])
def test_what_cannot_be_collected_leaves_the_target_as_it_was(
    is_there: bool, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "c"
    if is_there:
        collect_results(study, target)
    damaged = Path(shutil.copytree(study.folder, tmp_path / "damaged"))
    # The last of all runs that are read, so that all the others were.
    last = Study(damaged).stage("final").rows[0].runs[0]
    path = last.folder / "predictions-val.npz"
    path.write_bytes(path.read_bytes()[:-1])
    Ledger(study.data_digest).append("look", {"reason": "to see", "runs": []})
    shutil.rmtree(target / "runs" / last.folder.name, ignore_errors=True)
    before = everything(target)
    with pytest.raises(StoreError, match="not what was written"):
        collect_results(Study(damaged), target)
    assert everything(target) == before
    (tmp_path / "plain").write_bytes(b"")
    monkeypatch.setattr("modiste.runs.ledger.ledger_folder", lambda: tmp_path / "plain" / "ledger")
    brought = Ledger(study.data_digest, folder=study.folder / "ledger")
    brought.path.parent.mkdir()
    try:
        brought.path.write_bytes(b'{"kind": "look"}')
        with pytest.raises(SealError, match="cannot be written"):
            collect_results(study, target)
    finally:
        shutil.rmtree(brought.path.parent)
    assert everything(target) == before
    assert target.exists() == is_there


def test_a_stored_look_that_was_changed_is_not_collected(study: Study, tmp_path: Path) -> None:
    source = Path(shutil.copytree(study.folder, tmp_path / "source"))
    files.write_folder(source / "final" / "x", {"look.json": b"{}"})
    (source / "final" / "x" / "look.json").write_bytes(b"[]")
    with pytest.raises(StoreError, match=r"look\.json: .* not what was written"):
        collect(Study(source), tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_study_is_not_collected_into_itself(study: Study) -> None:
    with pytest.raises(StoreError, match="the study itself"):
        collect(study, study.folder)
    with pytest.raises(StoreError, match="lies inside the study"):
        collect(study, study.folder / "results" / "here")
    assert not (study.folder / "results").exists()


@pytest.mark.parametrize(
    ("changes", "more", "said"),
    [
        ({"name": "other"}, {}, r"name \(tiny there, other now\)"),
        ({}, {"seed": 3}, r"seed \(0 there, 3 now\)"),
        ({}, {"profile": "quick"}, r"profile \(full there, quick now\)"),
        ({}, {"data_digest": "0" * 64}, r"data_digest \(.* there, 000000000000\.\.\. now\)"),
    ],
    ids=["name", "seed", "profile", "data"],
)
def test_the_results_of_another_study_are_not_written_over(
    changes: Any, more: Any, said: str, study: Study, tmp_path: Path
) -> None:
    collect(study, tmp_path / "c")
    before = everything(tmp_path / "c")
    other = make(tmp_path / "other", {**VALUES, **changes}, **more)
    with pytest.raises(StoreError, match=f"differs in: {said}. Name another folder with --to"):
        collect(other, tmp_path / "c")
    assert everything(tmp_path / "c") == before


def test_a_study_that_has_grown_is_collected_where_it_was(study: Study, tmp_path: Path) -> None:
    collect(study, tmp_path / "c")
    place = Path(shutil.copytree(study.folder, tmp_path / "grown"))
    stages = [*VALUES["stages"], {"name": "more", "points": [{"train.epochs": 1}]}]
    grown = make(place, {**VALUES, "stages": stages})
    assert drive(grown)
    assert tmp_path / "c" / "more" / "table.csv" in collect(grown, tmp_path / "c")
    assert Study(tmp_path / "c").stage("more").is_done
