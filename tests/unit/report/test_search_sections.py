"""What a report says of searches: how they went, what matters, what accuracy costs."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modiste.evaluate.importance import importances
from modiste.report import prose, searching
from modiste.report.blocks import Strong
from modiste.report.context import gather
from modiste.report.searching import Axis, spent
from modiste.report.section import SECTIONS
from modiste.search.goals import front
from modiste.search.study import Study
from modiste.spec.space import domain
from tests import small
from tests.driving import Script, drive, make
from tests.unit.report.conftest import Written

RATE = "train.optimizer.learning_rate"
STAGES: list[dict[str, Any]] = [
    {
        "name": "compared",
        "title": "Does dropout help?",
        "search": {
            "method": {"name": "quasi_random"},
            "trials": 9,
            "compare": {"model.params.dropout": [0.0, 0.5]},
            "tune": {
                "train.optimizer": [{"name": "adam"}, {"name": "sgd"}],
                "train.optimizer.momentum": {
                    "low": 0.0, "high": 0.9, "when": {"train.optimizer": {"name": "sgd"}},
                },
                RATE: {"low": 0.001, "high": 0.1, "log": True},
            },
            "halving": {"name": "successive", "first_epochs": 1, "factor": 3},
        },
    },
    {"name": "confirmed", "confirm": {"top": 1, "seeds": 2}},
    {
        "name": "front",
        "search": {
            "tune": {"model.params.hidden": [[2], [4], [8], [16]], RATE: [0.003, 0.01, 0.03]},
            "goals": ["accuracy", "parameters"],
        },
    },
]  # fmt: skip
VALUES = small.study(
    data={"name": "idx", "num_val": 30},
    model={"family": "mlp", "params": {"hidden": [6]}},
    train={"epochs": 5, "batch_size": 30, "optimizer": {"name": "adam"}},
    stages=STAGES,
)


@functools.cache
def _written(folder: Path) -> Written:
    study = make(folder, VALUES)
    assert drive(study, slice_seconds=math.inf)
    return Written.of(Study.open(folder))


@pytest.fixture
def written(tmp_path_factory: pytest.TempPathFactory, script: Script) -> Written:
    return _written(tmp_path_factory.getbasetemp() / "searches")


def test_each_rung_is_a_line_with_its_trials(written: Written) -> None:
    assert written.page.table("table-rungs-compared") == [
        ["1", "18", "18", "6"],
        ["3", "6", "6", "2"],
        ["to the end", "2", "2", "0"],
    ]
    # Of 18 trials: 12 end after 1 epoch, 4 after 3, 2 after 5.
    assert "Each epoch is trained once: 34 in all." in written.markdown
    trials = written.study.stages()[0].trials
    assert sum(map(spent, trials)) == 12 + 4 * 3 + 2 * 5
    assert "A search has chosen 18 points, 2 of which were trained to the end" in written.markdown
    assert "Points spread evenly (Sobol) (quasi\\_random, seed 0): 9 trials for each value of " in (
        written.markdown
    )


def test_rows_that_were_cut_say_so_and_are_tested_against_none_of_the_others(
    written: Written,
) -> None:
    facts = gather(written.study).stage("compared")
    assert [row.status for row in facts.ranked].count("cut after epoch 1") == 12
    assert all(row.standing is None for row in facts.ranked[2:])
    assert all(row.standing is not None for row in facts.ranked[:2])


def test_what_is_said_of_a_search_is_said_of_the_points_that_were_trained_equally_long(
    written: Written, quick: Written
) -> None:
    context = gather(written.study)
    stage = context.stage("compared")
    words = "".join(getattr(part, "text", str(part)) for part in prose.seen(context, stage))
    assert words.startswith(
        "The 2 points trained the longest are compared here; 16 were cut before, and whether any "
        "of them would come out better is not known. "
    )
    assert "has the lowest" not in words
    for row in stage.ranked[2:]:
        assert f"{row.label} would stand first" not in words
    limit = "Points that halving cut stand below those that it let go on, whatever their accuracy"
    assert limit in written.page.by_id("stages").text
    assert limit not in quick.page.by_id("stages").text
    rows = [row for row in stage.rows if row.row.until is not None or row is stage.ranked[0]]
    alone = prose.seen(context, replace(stage, rows=rows))
    assert alone[0] == Strong(stage.ranked[0].label)
    assert str(alone[1]).startswith(" alone was trained the longest; 16 were cut before, and")


def test_what_is_compared_stands_beside_the_best_of_each(written: Written) -> None:
    rows = written.page.table("table-compared-compared")
    assert {row[0] for row in rows} == {"dropout 0", "dropout 0.5"}
    assert [row[1] for row in rows] == ["9", "9"]
    assert float(rows[0][4]) >= float(rows[1][4])
    assert rows[0][5] == "–"
    assert " to " in rows[1][6]


def test_a_confirmed_point_is_compared_with_no_beginning(written: Written) -> None:
    page = written.page.by_id("table-confirmed").text
    assert "in the search" in page
    # Both are winners of their value, which were trained to the end.
    assert len(written.page.table("table-confirmed")) == 2


def test_the_keys_are_ranked_by_what_they_explain(written: Written) -> None:
    for name, keys in (
        ("compared", {"model.params.dropout", "train.optimizer", "train.optimizer.momentum", RATE}),
        ("front", {"model.params.hidden", RATE}),
    ):
        rows = written.page.table(f"table-importance-{name}")
        assert {row[0] for row in rows} == keys
        shares = [float(row[1]) for row in rows]
        assert shares == sorted(shares, reverse=True)
        for row in rows:
            low, high = map(float, row[2].split("–"))
            assert 0 <= low <= float(row[1]) <= high


def test_what_keys_explain_is_worked_out_once_for_all_sections(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(*given: Any) -> Any:
        asked.append(given)
        return importances(*given)

    monkeypatch.setattr(searching, "importances", counted)
    context = gather(written.study)
    for name in ("importance", "slices"):
        assert SECTIONS.get(name).build(context)
    assert len(asked) == len(context.searches) == 2


def test_the_front_holds_what_no_other_beats(written: Written) -> None:
    rows = written.page.table("table-pareto-front")
    found = [(float(row[1]), -float(row[2].replace(",", ""))) for row in rows]
    every = [
        (row.mean("last", "val", "accuracy"), -row.runs[0].layers["parameters"]["total"])
        for row in written.study.stages()[2].rows
    ]
    best = [values for values, is_best in zip(every, front(every), strict=True) if is_best]
    assert len(found) == len(best)
    for (accuracy, size), (true_accuracy, true_size) in zip(
        found, sorted(best, reverse=True), strict=True
    ):
        assert accuracy == pytest.approx(true_accuracy, abs=5e-5)
        assert size == true_size


def test_every_figure_is_drawn_and_told_in_words(written: Written) -> None:
    for name in (
        *("history-compared", "history-front", "parallel-compared", "parallel-front"),
        *("importance-compared", "slices-compared", "slices-front", "pareto-front", "workers"),
    ):
        figure = written.page.by_id(f"figure-{name}")
        drawings = [svg for panel in figure.all("div", class_="panel") for svg in panel.all("svg")]
        assert drawings
        for drawing in drawings:  # an axis alone has fewer
            assert len(drawing.all("path") + drawing.all("use") + drawing.all("text")) > 8
        assert len(figure.all("figcaption")) == 1
    assert len(written.page.by_id("figure-slices-compared").all("div", class_="panel")) == 4


def test_the_same_folder_gives_the_same_report(written: Written) -> None:
    again = Written.of(Study.open(written.study.folder))
    assert again.page.source == written.page.source
    assert again.markdown == written.markdown


def test_a_study_without_searches_has_none_of_it(quick: Written) -> None:
    for name in ("search", "parallel", "importance", "slices", "pareto", "workers"):
        assert f'id="{name}"' not in quick.page.source


def test_a_study_that_was_only_begun_can_be_read(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", VALUES)
    drive(study, slice_seconds=math.inf, should_stop=lambda: len(script.tasks) > 20)
    text = Written.of(Study.open(study.folder)).markdown
    assert "How the search went" in text


@pytest.mark.parametrize(
    ("value", "settings", "place"),
    [
        ([1, "x", [3]], "x", 0.5),
        ([[8] * length for length in range(1, 31)], [8], 1 / 60),  # more than can be written
        ({"low": 0.0, "high": 4.0}, 1.0, 0.25),
        ({"low": 0.001, "high": 0.1, "log": True}, 0.01, 0.5),
        ({"low": 1, "high": 4, "integer": True}, 1, 0.125),
        ({"low": 1, "high": 3, "num": 3}, 3.0, 5 / 6),
    ],
)
def test_a_place_along_a_key_is_as_likely_as_any_other(
    value: Any, settings: Any, place: float
) -> None:
    axis = Axis("a.b", domain(value, "a.b"))
    assert axis.place({"a.b": settings}) == pytest.approx(place)
    assert axis.place({}) is None
    ticks = axis.ticks()
    assert all(0 <= at <= 1 and text for at, text in ticks)
    assert len({at for at, _ in ticks}) == len(ticks) <= 10


def test_trials_are_compared_when_all_were_trained_equally_long(written: Written) -> None:
    (first, _) = gather(written.study).searches
    assert first.shortest == 1
    for each in first.tried:
        assert each.compared == each.trial.rungs[0].runs[0].history[0]["val_accuracy"]
        assert each.reached == each.trial.row.mean("last", "val", "accuracy")
