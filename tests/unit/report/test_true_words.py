"""What the report says of studies with an odd end: best epochs, broken points, single points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modiste.evaluate.best import accuracy_interval
from modiste.evaluate.intervals import wilson
from modiste.report import answer, looks
from modiste.report.context import gather
from modiste.search.standing import is_right, seed_spreads
from modiste.spec.run import RunSpec
from modiste.spec.study import StudySpec
from tests import report_fixture
from tests.report_fixture import make_look, make_study
from tests.unit.report.conftest import Written


def parsed(*stages: dict[str, Any], **more: Any) -> StudySpec:
    values = {"name": "s", "data": {"num_val": 500}, "model": {"family": "mlp"}, "stages": stages}
    return StudySpec.parse({**values, **more})


def made(folder: Path, *stages: dict[str, Any], **more: Any) -> Written:
    return Written.of(make_study(folder, spec=parsed(*stages), num_val=500, **more))


def lead_of(written: Written) -> str:
    return written.markdown.split("## In short")[1].split("**Table 1.**")[0]


def test_the_first_table_is_of_the_epoch_that_ranks_where_nothing_was_published(
    tmp_path: Path,
) -> None:
    spec = parsed({"name": "only", "grid": {"train.epochs": [20, 40]}}, rank_epoch="best")
    study = make_study(tmp_path, spec=spec, num_val=500)
    make_look(study, ["only"])
    written = Written.of(study)
    context = gather(study)
    ((_, row),) = context.finals
    assert row is not None
    best, last = (row.mean(epoch, "val", "accuracy") for epoch in ("best", "last"))
    (tested,) = looks.scores(context.looks, row.row.fingerprints, "best")
    (other,) = looks.scores(context.looks, row.row.fingerprints, "last")
    assert (best, tested.accuracy) != (last, other.accuracy)  # or this says nothing
    heads = [th.text for th in written.page.by_id("table-summary").all("th")]
    assert "validation accuracy, best epoch" in heads
    (line,) = written.page.table("table-summary")
    assert (line[2], line[4]) == (f"{tested.accuracy:.4f}", f"{best:.4f}")
    assert row.interval is not None
    assert line[5] == f"{row.interval.low:.4f}–{row.interval.high:.4f}"
    assert f"with an accuracy of **{best:.4f}**" in lead_of(written)


def test_an_interval_beside_published_figures_has_the_spread_of_their_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = report_fixture._history

    def apart(spec: RunSpec, *given: Any) -> list[dict[str, Any]]:
        """Seeds lie far apart at the last epoch alone."""
        rows = plain(spec, *given)
        if rows:
            rows[-1]["val_accuracy"] -= 0.02 * spec.seed
        return rows

    monkeypatch.setattr(report_fixture, "_history", apart)
    net = {"name": "net", "final": True, "train": {"epochs": 40}, "repeats": 5}
    spec = parsed(net, {"name": "none", "model": {"family": "svm"}}, rank_epoch="best")
    row = {"settings": {"model.family": "mlp"}, "val_accuracy": 0.9}
    tested = {"settings": {"model.family": "svm"}, "test_accuracy": 0.9}
    stages = {"net": {"rows": [row]}, "none": {"rows": [tested]}}
    published = {"schema": 1, "epoch": "last", "stages": stages}
    study = make_study(tmp_path, spec=spec, published=published, num_val=500)
    written = Written.of(study)
    trained, fitted = (stage.rows[0] for stage in study.stages())
    right_SN = is_right([study.answers(run, "last") for run in trained.runs])
    of_last, of_best = (
        accuracy_interval(right_SN, spread.pooled)
        for epoch in ("last", "best")
        if (spread := seed_spreads(study.stages(), epoch, studies=[study]).of("net", trained))
    )
    assert f"{of_last.low:.4f}" != f"{of_best.low:.4f}"  # or this says nothing
    score = fitted.runs[0].metrics["last"]["val"]
    alone = wilson(score["correct"], score["total"])  # as in the table of its stage
    lines = written.page.table("table-summary")
    heads = [th.text for th in written.page.by_id("table-summary").all("th")]
    assert "validation accuracy, last epoch" in heads
    ends = [f"{low:.4f}–{high:.4f}" for low, high in (of_last, alone)]
    assert [cell for line in lines for cell in line if "–" in cell[1:-1]] == ends
    assert "belong to the last epoch, and are worked out as those of section" in (
        written.page.by_id("summary").text
    )


RATES = [1.0e20, 1.0e25]
GRID = {"name": "rates", "title": "Rates", "grid": {"train.optimizer.learning_rate": RATES}}
FINAL = {"name": "last", "title": "The last", "from": ["rates"]}
LABELS = ["learning_rate=1e+20", "learning_rate=1e+25"]


def test_a_stage_whose_points_all_diverged_decides_nothing(tmp_path: Path) -> None:
    text = made(tmp_path, GRID, FINAL, diverging=LABELS).markdown
    assert "Decided:" not in text
    assert "No point ended well (diverged), so nothing goes on to *The last*." in text
    assert "No training has ended well, so there is no answer." in text
    assert (
        "All 2 points are finished (1 stage still waiting), none of which ended well, and the "
        "test set was not opened." in text
    )


def test_a_final_stage_whose_points_all_diverged_has_no_best_one(tmp_path: Path) -> None:
    written = made(tmp_path, GRID, diverging=LABELS)
    (line,) = written.page.table("table-summary")
    assert line[0].endswith("no point ended well: diverged")
    assert set(line[1:]) == {"–"}


def test_a_point_that_diverged_is_not_said_to_have_ended_well(tmp_path: Path) -> None:
    written = made(tmp_path, GRID, FINAL, diverging=LABELS[1:])
    assert "All 3 points are finished, 2 of which ended well, 1 seed each" in lead_of(written)
    assert r"Decided: **learning\_rate 1e+20** goes on to *The last*" in written.markdown


def test_the_winner_of_a_search_goes_on_in_the_place_of_its_skipped_confirmation(
    tmp_path: Path,
) -> None:
    grid = {"name": "grid", "grid": {"model.params.hidden": [[16], [32]]}}
    again = {"name": "again", "confirm": {"top": 1}, "profiles": {"quick": {"skip": "long"}}}
    text = made(
        tmp_path, grid, again, {"name": "last", "from": ["again"]}, profile="quick"
    ).markdown
    assert "Nothing is decided" not in text
    assert "In its place the winner of *grid* goes on to *last*." in text


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ({}, "The study’s one point is finished, with 1 seed, and the test set was not opened."),
        ({"repeats": 3}, "The study’s one point is finished, with 3 seeds, and the test set was"),
        ({"folds": 4}, "The study’s one point is finished, cross-validated over 4 folds, and the"),
    ],
)
def test_a_study_of_one_point_does_not_speak_of_all(
    tmp_path: Path, stage: dict[str, Any], words: str
) -> None:
    study = make_study(tmp_path, spec=parsed({"name": "only", **stage}), num_val=500)
    (text,) = answer.evidence(gather(study))
    assert words in str(text)


def test_one_point_that_diverged_did_not_end_well(tmp_path: Path) -> None:
    only = {"name": "only", "points": [{"label": "it"}]}
    text = lead_of(made(tmp_path, only, diverging=["it"]))
    assert "The study’s one point did not end well, and the test set was not opened." in text


def test_one_point_before_a_stage_that_waits_is_the_first(tmp_path: Path) -> None:
    first = {"name": "first", "points": [{"label": "it"}]}
    text = lead_of(made(tmp_path, first, {"name": "next", "from": ["first"]}, diverging=["it"]))
    assert "The first point did not end well (1 stage still waiting), and the test set" in text


def test_a_final_stage_that_the_profile_skips_is_not_unfinished(tmp_path: Path) -> None:
    grid = {"model.params.hidden": [[16], [32]]}
    last = {"name": "last", "final": True, "grid": grid, "profiles": {"quick": {"skip": "long"}}}
    written = made(tmp_path, {"name": "first"}, last, profile="quick")
    (line,) = written.page.table("table-summary")
    assert line[0] == "last not run in this profile"


@pytest.mark.parametrize(
    ("num_wrong", "words"),
    [
        (0, "No class was taken for another (validation images, last epoch, seed 0)."),
        (1, "The only confusion (validation images, last epoch, seed 0)."),
    ],
)
def test_few_confusions_of_many_classes_are_counted_as_one_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_wrong: int, words: str
) -> None:
    how = report_fixture.Invented(1 - num_wrong / 500, epochs=40)
    monkeypatch.setattr(report_fixture, "invent", lambda *_, **__: how)
    written = made(tmp_path, {"name": "only"}, class_names=[f"class {k}" for k in range(40)])
    assert words in written.markdown
    assert "commonest confusions" not in written.markdown
    assert ("1 error, 100 % of all" in written.markdown) == (num_wrong == 1)


def test_a_row_without_an_error_is_in_some_doubt_beside_published_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = report_fixture.Invented(1.0, epochs=40)
    monkeypatch.setattr(report_fixture, "invent", lambda *_, **__: how)
    rows = [{"settings": {"model.family": "mlp"}, "val_accuracy": 0.995}]
    published = {"schema": 1, "stages": {"only": {"rows": rows}}}
    study = make_study(tmp_path, spec=parsed({"name": "only"}), published=published, num_val=100)
    text = Written.of(study).markdown
    assert "**1.0000** (standard error 0.50 points, images only" in text
    assert (
        "The difference to the published validation accuracy is +0.50 points, within two standard "
        "errors of such a difference (1.41 points; two sets of validation images"
    ) in text
    assert "Of 1 published row run so far, 1 came out within two standard errors" in text
