"""What the report says of studies with an odd end: best epochs, broken points, single points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modiste.report import looks
from modiste.report.context import gather
from modiste.spec.study import StudySpec
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


RATES = [1.0e20, 1.0e25]
GRID = {"name": "rates", "title": "Rates", "grid": {"train.optimizer.learning_rate": RATES}}
FINAL = {"name": "last", "title": "The last", "from": ["rates"]}
LABELS = ["learning_rate=1e+20", "learning_rate=1e+25"]


def test_a_stage_whose_points_all_diverged_decides_nothing(tmp_path: Path) -> None:
    text = made(tmp_path, GRID, FINAL, diverging=LABELS).markdown
    assert "Decided:" not in text
    assert "Every point broke off (diverged), so nothing goes on to *The last*." in text
    assert "No training has ended well, so there is no answer." in text
    assert (
        "All 2 points are finished (1 stage still waiting), none of which ended well, and the "
        "test set was not opened." in text
    )


def test_a_final_stage_whose_points_all_diverged_has_no_best_one(tmp_path: Path) -> None:
    written = made(tmp_path, GRID, diverging=LABELS)
    (line,) = written.page.table("table-summary")
    assert line[0].endswith("every point broke off: diverged")
    assert set(line[1:]) == {"–"}


def test_a_point_that_diverged_is_not_said_to_have_ended_well(tmp_path: Path) -> None:
    written = made(tmp_path, GRID, FINAL, diverging=LABELS[1:])
    assert "All 3 points are finished, 2 of which ended well, 1 seed each" in lead_of(written)
    assert r"Decided: **learning\_rate 1e+20** goes on to *The last*" in written.markdown
