"""The parts of the report that can be wrong by themselves: cuts, labels, ties, SVG, looks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from modiste.errors import SpecError, StoreError
from modiste.evaluate.best import Standing
from modiste.evaluate.contrast import Pooled
from modiste.report import looks, prose, svg
from modiste.report.context import gather
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.section import SECTIONS
from modiste.search import published as publication
from modiste.search.row import Row
from modiste.search.study import Stage
from modiste.spec.files import read_study
from modiste.spec.study import StageSpec, points
from tests.report_fixture import STUDY_FILE
from tests.unit.report.conftest import Written

# --- Published figures ------------------------------------------------------------------------


def test_every_published_row_belongs_to_exactly_one_point_of_the_study() -> None:
    spec, values = read_study(STUDY_FILE)
    assert values is not None
    published = publication.read(values)
    assert set(published.stages) <= {stage.name for stage in spec.stages}
    for stage in spec.stages:
        found = published.stages.get(stage.name)
        if found is None:
            continue
        rows = [
            publication.find(published, stage.name, point.specs[0])
            for point in points(spec, stage, "full", 0, {})
        ]
        matched = [row for row in rows if row is not None]
        assert len(matched) == len(found.rows)
        assert {id(row) for row in matched} == {id(row) for row in found.rows}


def test_all_figures_of_the_publication_are_there() -> None:
    _, values = read_study(STUDY_FILE)
    assert values is not None
    published = publication.read(values)
    sizes = {name: len(stage.rows) for name, stage in published.stages.items()}
    assert sizes == {
        "no-network": 1,
        "mlp-baseline": 1,
        "mlp-capacity": 5,
        "mlp-grid": 10,
        "mlp-optimizers": 9,
        "mlp-final": 1,
        "cnn-baseline": 3,
        "cnn-depth": 3,
        "cnn-grid": 9,
        "cnn-final": 1,
    }
    for stage in published.stages.values():
        if stage.layers:
            (counted,) = (row.parameters for row in stage.rows if row.parameters)
            assert counted is not None
            assert sum(layer[2] for layer in stage.layers) == counted.total


def test_a_wrong_key_in_published_figures_is_named() -> None:
    with pytest.raises(SpecError, match=r"published\.stages\.x\.rows\[0\]\.val_acuracy"):
        publication.read({"schema": 1, "stages": {"x": {"rows": [{"val_acuracy": 0.9}]}}})


# --- Cuts, labels, commands -------------------------------------------------------------------


def test_a_full_run_is_cut_nowhere(full: Written) -> None:
    assert not any(cut.is_cut for cut in gather(full.study).cuts.values())


def test_a_quick_run_says_each_thing_that_was_cut(quick: Written) -> None:
    cuts = gather(quick.study).cuts
    assert cuts["mlp-grid"].text() == "at most 15 epochs instead of 300, and 3 of 30 points"
    assert cuts["mlp-final"].text() == "at most 15 epochs instead of 300, and 1 seed instead of 3"
    cut = "at most 8 epochs instead of 300, and 1 seed instead of 3"
    assert cuts["cnn-baseline"].text() == cut


def test_labels_say_what_tells_the_rows_apart(full: Written) -> None:
    context = gather(full.study)
    labels = [row.label.replace("\u00a0", " ") for row in context.stage("mlp-optimizers").rows]
    assert labels[:5] == [
        "batch_size 128, adam",
        "batch_size 128, nadam",
        "batch_size 128, sgd",
        "batch_size 128, sgd nesterov",
        "batch_size 128, adam amsgrad",
    ]
    assert len(set(labels)) == len(labels)
    assert context.stage("mlp-capacity").rows[0].label == "model_1_32"  # written by a person


# --- Ties -------------------------------------------------------------------------------------


def facts(label: str, rank: int, difference: float, p_value: float, size: int = 100) -> RowFacts:
    run = SimpleNamespace(metrics={"status": "finished"}, layers={"parameters": {"total": size}})
    standing = Standing(difference, 0.001, p_value, may_be_best=p_value > 0.05)
    row = Row(label, {}, (), (), is_chosen=True, runs=(run,))
    return RowFacts(row, label, None, rank, standing)


def said(rows: list[RowFacts], seeds: Pooled | None = None) -> str:
    stage = StageFacts(Stage(StageSpec(name="one"), ()), rows, None, seeds)
    return "".join(getattr(part, "text", str(part)) for part in prose.tie(None, stage, rows))


def test_a_clear_best_is_called_so_as_far_as_was_looked() -> None:
    rows = [facts("one", 1, 0.0, 1.0), facts("two", 2, 0.02, 0.001), facts("three", 3, 0.03, 0.0)]
    assert said(rows) == (
        "At 95\u00a0% confidence it is the best: every other point is behind by more than images "
        "explain; how much another seed would change, nobody has tried."
    )
    assert said(rows, Pooled(1e-6, 9)) == (
        "At 95\u00a0% confidence it is the best: every other point is behind by more than seeds "
        "and images explain."
    )
    assert "the other is behind" in said(rows[:2])


def test_of_those_that_may_be_best_the_cheapest_is_recommended() -> None:
    rows = [facts("big", 1, 0.0, 1.0, 900), facts("small", 2, 0.001, 0.3, 100),
            facts("middle", 3, 0.002, 0.2, 500), facts("tiny", 4, 0.03, 0.0, 1)]  # fmt: skip
    text = said(rows)
    assert "any of 3 of 4 points may be the best one (≈), as far as images can tell" in text
    assert "The cheapest of them is small, with 100 parameters." in text
    rows[0] = facts("big", 1, 0.0, 1.0, 50)
    assert "It is the cheapest of them, too." in said(rows)


def test_a_single_row_is_compared_with_nothing() -> None:
    assert said([facts("one", 1, 0.0, 1.0)]) == ""


def test_a_study_with_repeated_points_says_what_would_separate_the_first_two(
    confirmed: Written,
) -> None:
    context = gather(confirmed.study)
    stage = context.stage("grid")
    assert stage.seeds is not None
    assert stage.seeds.degrees == 3  # three points of the other stage, two seeds each
    text = " ".join(confirmed.page.root.text.split())
    assert "may be the best one (≈), as far as seeds and images can tell" in text
    assert "were that the truth" in text
    for row in stage.rows:
        assert row.interval is not None
        assert row.interval.low < row.mean("last", "val", "accuracy") < row.interval.high


# --- SVG --------------------------------------------------------------------------------------

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20" width="99" onload="x()">'


def test_a_drawing_loses_everything_that_acts_or_loads() -> None:
    text = svg.clean(
        f"{HEAD}<script>x()</script><style>*{{}}</style><foreignObject><p>x</p></foreignObject>"
        '<a href="https://example.com"><path d="M0 0"/></a><path d="M1 1" onclick="x()"/>'
        '<image href="https://example.com/x.png"/><use href="https://example.com#a"/>'
        '<rect style="fill: url(https://example.com)"/></svg>',
        "one",
    )
    assert text == (
        '<svg viewBox="0 0 10 20"><path d="M1 1" /><image /><use /><rect style="" /></svg>'
    )


def test_names_inside_get_a_prefix_and_unused_ones_go() -> None:
    text = svg.clean(
        f'{HEAD}<defs><clipPath id="c"><rect id="r"/></clipPath></defs>'
        '<g id="axes_1" clip-path="url(#c)"><use href="#r" /></g></svg>',
        "two",
    )
    assert 'id="two-c"' in text
    assert 'clip-path="url(#two-c)"' in text
    assert 'href="#two-r"' in text
    assert "axes_1" not in text


def test_colours_become_the_pages_and_text_its_font() -> None:
    text = svg.clean(
        f"{HEAD}<text style=\"font: 8px 'DejaVu Sans'; text-anchor: middle; fill: #010101\">a"
        "</text></svg>",
        "three",
    )
    assert 'style="font-size: 8px; text-anchor: middle; fill: var(--ink)"' in text


def test_small_scales_keep_their_digits() -> None:
    text = svg.clean(f'{HEAD}<g transform="translate(1.23456 0) scale(0.015625)"/></svg>', "four")
    assert "translate(1.2346 0) scale(0.015625)" in text


@pytest.mark.parametrize("text", ["no svg", "<html/>", "<svg/>"])
def test_what_is_no_svg_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="no SVG"):
        svg.clean(text, "five")


# --- Looks at the test set --------------------------------------------------------------------


def test_a_study_without_looks_has_none(tmp_path: Path) -> None:
    assert looks.read(tmp_path / "final") == []


def test_a_look_that_says_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "look.json").write_text(json.dumps({"schema": 1, "runs": [{"stage": "x"}]}))
    with pytest.raises(StoreError, match=r"a/look\.json"):
        looks.read(tmp_path)


def test_of_a_run_in_several_looks_the_first_counts(full: Written) -> None:
    (look,) = looks.read(full.study.folder / "final")
    name = look.runs[0].fingerprint
    later = looks.Look(
        look.folder, "again", "2027-01-01T00:00:00Z", 4,
        (looks.LookRun("mlp-final", "", 0, name, {"last": looks.Score(9.0, 0.1, 50, 500)}),), "",
    )  # fmt: skip
    assert looks.scores([look, later], [name], "last") == [look.runs[0].scores["last"]]


# --- Sections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECTIONS.names())
def test_every_section_can_be_written_from_any_study(name: str, every: dict[str, Written]) -> None:
    for written in every.values():
        blocks = SECTIONS.get(name).build(gather(written.study))
        assert isinstance(blocks, list)


def test_sections_stand_in_an_order_of_their_own() -> None:
    orders = [SECTIONS.get(name).order for name in SECTIONS.names()]
    assert len(set(orders)) == len(orders)
    assert np.min(orders) == SECTIONS.get("summary").order
