"""Remarks about a choice and about the data come when they are due, and go when they are not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modiste.errors import StoreError
from modiste.evaluate.leaks import equal_across
from modiste.report import markdown
from modiste.report.blocks import SectionText
from modiste.report.choice import on_choice
from modiste.report.confirmed import confirmed
from modiste.report.context import gather
from modiste.report.html import Head
from modiste.report.kept_audit import duplicates
from modiste.report.leaks import exact_file, exact_record
from modiste.runs import files
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from tests import report_fixture
from tests.report_fixture import DIGEST, make_look, make_study

SPEC = StudySpec.parse(
    {
        "name": "searched",
        "data": {"num_val": 500},
        "model": {"family": "mlp"},
        "stages": [
            {"name": "grid", "grid": {"model.params.hidden": [[64], [72], [80]]}},
            {"name": "again", "confirm": {"top": 2, "seeds": 2}},
        ],
    }
)


def codes(study: Study, name: str = "grid") -> dict[str, str]:
    """What is remarked about the choice between the rows of a stage."""
    context = gather(study)
    found = on_choice(context, context.stage(name))
    return {remark.code: remark.about[0][1] for remark in found}


def about_data(study: Study) -> str:
    """What the section about the data says first."""
    context = gather(study)
    return markdown.render(Head("", "", ""), [SectionText("", "data", "1", duplicates(context))])


def test_what_was_trained_once_is_remarked_until_fresh_seeds_have_confirmed_it(
    tmp_path: Path,
) -> None:
    waiting = make_study(tmp_path / "a", spec=SPEC, num_val=500, stages=["grid"])
    assert "M007" in codes(waiting)
    done = make_study(tmp_path / "b", spec=SPEC, num_val=500)
    assert "M007" not in codes(done)
    row = done.stages()[1].rows[0]
    done.run_folder(row.fingerprints[0]).rename(tmp_path / "lost")
    half = Study(done.folder)
    assert "M007" in codes(half)
    context = gather(half)
    words = "".join(getattr(p, "text", str(p)) for p in confirmed(context, context.stage("again")))
    assert "of the 1 point finished so far" in words
    assert "overtuning" not in words  # not before all confirming runs are there


@pytest.mark.parametrize(
    ("finished_at", "wanted"),
    [
        ("2026-01-02T03:04:04+00:00", None),
        (
            "2026-02-01T00:00:00+00:00",
            "3 of 3 rows were trained after the test set had been opened for again",
        ),
        (None, "some rows may have been trained after the test set had been opened for again"),
    ],
)
def test_rows_trained_after_a_look_at_the_test_set_are_said_to_be(
    finished_at: str | None,
    wanted: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = report_fixture._environment

    def dated(spec: Any) -> dict[str, Any]:
        return {**plain(spec), **({"finished_at": finished_at} if finished_at else {})}

    monkeypatch.setattr(report_fixture, "_environment", dated)
    study = make_study(tmp_path, spec=SPEC, num_val=500)
    assert "M011" not in codes(study)
    make_look(study, ["again"])  # opened at 2026-01-02T03:04:05Z
    found = codes(study)
    assert ("M011" in found) == (wanted is not None)
    if wanted is not None:
        assert found["M011"].startswith(wanted)


def test_rows_that_halving_cut_are_not_counted_among_those_trained_after_a_look() -> None:
    def row(number: int, until: int | None, broken: list[Any]) -> Any:
        run = SimpleNamespace(
            environment={"finished_at": "2026-02-01T00:00:00+00:00"}, metrics={"num_val": 1000}
        )
        return SimpleNamespace(
            label=f"p{number}",
            row=SimpleNamespace(label=f"p{number}", until=until, settings={}),
            broken=broken,
            standing=None,
            rank=number,
            is_net=True,
            mean=lambda *_: 0.9,
            runs=[run],
        )

    rows = [row(1, None, []), row(2, None, []), *(row(n, 3, []) for n in range(3, 28))]
    rows.append(row(28, None, [SimpleNamespace()]))
    stage: Any = SimpleNamespace(
        name="search",
        ranked=rows,
        rows=rows,
        is_folded=False,
        covers_seeds=True,
        has_nets=True,
        stage=SimpleNamespace(spec=SimpleNamespace(search=None), is_done=True),
    )
    look = SimpleNamespace(
        opened_at="2026-01-01T00:00:00+00:00",
        runs=[SimpleNamespace(stage="final", fingerprint="f")],
    )
    spec = SimpleNamespace(confirmed_by=lambda _: None)
    context: Any = SimpleNamespace(
        looks=[look], epoch="last", stages=[], study=SimpleNamespace(spec=spec)
    )
    (found,) = [each for each in on_choice(context, stage) if each.code == "M011"]
    assert found.about[0][1].startswith("2 of 2 rows were trained after the test set had been")


def test_a_planted_leak_is_found_and_said(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    images = chance.integers(0, 256, (50, 1, 4, 4), np.uint8)
    train, val = images[:40], images[40:].copy()
    assert not equal_across(train, val).any()
    val[3], val[7] = train[11], train[11]
    assert np.flatnonzero(equal_across(train, val)).tolist() == [3, 7]
    val[3, 0, 0, 0] ^= 1  # one grey level of one pixel
    assert np.flatnonzero(equal_across(train, val)).tolist() == [7]
    study = make_study(tmp_path, spec=SPEC, num_val=500, stages=["grid"])
    unknown = "Whether validation images have duplicates among the training images was not looked"
    assert unknown in about_data(study)
    files.write_json(exact_file(study), exact_record(study, 2000, [], 500))
    assert "None of the 500 validation images equals a training image" in about_data(study)
    assert "Whether validation images have mirrored or near duplicates" in about_data(study)
    files.write_json(exact_file(study), exact_record(study, 2000, [17, 44], 500))
    assert "M014" in about_data(study)
    assert "2 of 500 validation images have an exact duplicate" in about_data(study)


def test_a_record_of_equal_images_that_is_none_is_named(tmp_path: Path) -> None:
    study = make_study(tmp_path, spec=SPEC, num_val=500, stages=["grid"])
    record = exact_record(study, 2000, [], 500)
    files.write_json(exact_file(study), {**record, "data_digest": "6" * 64})
    with pytest.raises(StoreError, match="is about other images"):
        about_data(study)
    files.write_json(exact_file(study), {"data_digest": DIGEST})
    with pytest.raises(StoreError, match=r"duplicates\.json: not what it should be"):
        about_data(study)
