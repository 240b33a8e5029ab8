"""The parts of the report that can be wrong by themselves: cuts, labels, ties, SVG, looks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from modiste.errors import SpecError, StoreError
from modiste.evaluate.best import Standing
from modiste.evaluate.contrast import Contrast, Pooled
from modiste.report import looks, svg, ties
from modiste.report.context import Context, gather
from modiste.report.effects import Effect, Effects
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.section import SECTIONS
from modiste.runs import files
from modiste.search import published as publication
from modiste.search.answers import Answers
from modiste.search.row import Row
from modiste.search.standing import SeedSpread
from modiste.search.study import Stage
from modiste.spec.files import read_study
from modiste.spec.study import StageSpec, points
from tests import small
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


NUM_IMAGES = 400


def facts(
    label: str,
    rank: int,
    difference: float,
    p_value: float,
    size: int = 100,
    seeds: Pooled | None = None,
) -> RowFacts:
    """A row with one training, whose answers are right but for the last few."""
    right = NUM_IMAGES - rank
    score = {"accuracy": right / NUM_IMAGES}
    run = SimpleNamespace(
        metrics={"status": "finished", "last": {"val": score}},
        layers={"parameters": {"total": size}},
        right_N=np.arange(NUM_IMAGES) < right,
    )
    standing = Standing(difference, 0.001, p_value, may_be_best=p_value > 0.05)
    row = Row(label, {}, (small.run_spec(),), ("",), is_chosen=True, runs=(run,))
    spread = None if seeds is None else SeedSpread(seeds, "stage", 3)
    return RowFacts(row, label, None, rank, standing, spread=spread)


def said(rows: list[RowFacts]) -> str:
    stage = StageFacts(Stage(StageSpec(name="one"), ()), rows, None)
    zeros_N = np.zeros(NUM_IMAGES, int)

    def answers(run: SimpleNamespace, epoch: str) -> Answers:
        classes_N = np.where(run.right_N, 0, 1)
        return Answers(classes_N, zeros_N.astype(np.float16), zeros_N, np.arange(NUM_IMAGES))

    context = SimpleNamespace(epoch="last", study=SimpleNamespace(answers=answers))
    return "".join(getattr(part, "text", str(part)) for part in ties.tie(context, stage, rows))


def test_a_clear_best_is_called_so_as_far_as_was_looked() -> None:
    standings = [("one", 1, 0.0, 1.0), ("two", 2, 0.02, 0.001), ("three", 3, 0.03, 0.0)]
    assert said([facts(*each) for each in standings]) == (
        "Every other training is behind by more than images explain, at 95\u00a0% confidence. "
        "Images only; the spread over seeds is not known, so which point is the best is not."
    )
    assert said([facts(*each, seeds=Pooled(1e-6, 9)) for each in standings]) == (
        "At 95\u00a0% confidence it is the best: every other point is behind by more than seeds "
        "and images explain."
    )
    assert "The other training is behind" in said([facts(*each) for each in standings[:2]])


def test_of_those_that_may_be_best_the_cheapest_is_recommended() -> None:
    seeds = Pooled(1e-6, 9)
    standings = [
        ("big", 1, 0.0, 1.0, 900),
        ("small", 2, 0.001, 0.3, 90),
        ("middle", 3, 0.002, 0.2, 500),
        ("tiny", 4, 0.03, 0.0, 1),
    ]
    rows = [facts(*each, seeds) for each in standings]
    text = said(rows)
    assert "any of 3 of 4 points may be the best one (≈), as far as seeds and images can" in text
    assert "The cheapest of them is small, with 90 parameters, 90\u00a0% fewer; against" in text
    assert "against the first that is −0.25 points (95\u00a0% interval " in text
    assert "The first was picked for its figure, so it is rather flattered by this." in text
    rows[0] = facts("big", 1, 0.0, 1.0, 50, seeds)
    assert "It is the cheapest of them, too." in said(rows)
    equal = [facts("one", 1, 0.0, 1.0, 70), facts("two", 2, 0.0, 0.6, 70)]
    assert "All of them have 70 parameters." in said(equal)


def test_rows_with_equal_counts_are_named_before_the_one_that_follows() -> None:
    seeds = Pooled(1e-6, 9)
    rows = [facts("one", 1, 0.0, 1.0, seeds=seeds), facts("two", 2, 0.0, 0.6, seeds=seeds),
            facts("three", 4, 0.0075, 0.2, seeds=seeds)]  # fmt: skip
    text = said(rows)
    assert " two has exactly as many right answers as the first. three follows 0.75 points" in text
    assert (
        "validation images to show it with a chance of 80\u00a0% (one-sided, at 5\u00a0%, all "
        "points allowed for)."
    ) in text
    pair = said([rows[0], rows[2]])
    assert "with a chance of 80\u00a0% (one-sided, at 5\u00a0%)." in pair


def test_what_is_said_to_be_needed_is_more_than_what_has_just_failed() -> None:
    seeds = Pooled(1e-9, 9)
    second = facts("second", 10, 9 / NUM_IMAGES, 0.12, seeds=seeds)
    others = [facts(f"other {rank}", rank, 0.1, 0.001, seeds=seeds) for rank in range(41, 139)]
    rows = [facts("first", 1, 0.0, 1.0, seeds=seeds), second, *others]
    text = said(rows)
    assert "any of 2 of 100 points may be the best" in text
    (number,) = re.findall(r"it would take about (\d+) validation images to show it", text)
    assert int(number) > NUM_IMAGES


def test_more_seeds_are_advised_of_nets_alone() -> None:
    def fitted(row: RowFacts) -> RowFacts:
        """As of a model that is fitted in one go."""
        spec = small.run_spec({"model": {"family": "knn"}})
        return replace(row, row=replace(row.row, specs=(spec,)), spread=None)

    seeds = Pooled(0.05**2, 9)
    first, second = (
        facts("one", 1, 0.0, 1.0, seeds=seeds),
        facts("two", 31, 0.075, 0.2, seeds=seeds),
    )
    numbers = []
    for rows, whose in (
        ([first, second], "each"),
        ([fitted(first), second], "two"),
        ([first, fitted(second)], "one"),
    ):
        found = re.findall(r"it would take about (\d+) seeds of (\w+) to show it", said(rows))
        assert [name for _, name in found] == [whose]
        numbers.append(int(found[0][0]))
    assert numbers[0] > numbers[1] == numbers[2]  # the other has no doubt of seeds
    third = facts("three", 4, 0.0075, 0.2)
    text = said([fitted(first), fitted(third)])
    assert re.search(r"it would take about [\d,]+ validation images to show it", text)
    assert "seeds of" not in text


def test_a_single_row_is_compared_with_nothing() -> None:
    assert said([facts("one", 1, 0.0, 1.0)]) == ""


def test_a_study_with_repeated_points_says_what_would_separate_the_first_two(
    confirmed: Written,
) -> None:
    context = gather(confirmed.study)
    stage = context.stage("grid")
    for row in stage.rows:
        assert row.spread is not None
        assert row.spread.basis == "family"
        assert row.spread.pooled.degrees == 3  # three points of the other stage, two seeds each
    text = " ".join(confirmed.page.root.text.split())
    assert "may be the best one (≈), as far as seeds and images can tell" in text
    assert "were that the truth" in text
    for row in stage.rows:
        assert row.interval is not None
        assert row.interval.low < row.mean("last", "val", "accuracy") < row.interval.high


def test_groups_that_differ_where_no_two_points_do_are_explained() -> None:
    seeds = Pooled(1e-6, 9)
    rows = [facts(str(rank), rank, 0.001, 0.9, seeds=seeds) for rank in range(1, 5)]
    stage = StageFacts(Stage(StageSpec(name="one"), ()), rows, None)

    def words(low: float, seed_error: float | None, is_clear: bool = True) -> str:
        found = Contrast(0.92, 0.91, seed_error, 0.0004, low, 0.02)
        effect = Effect("optimizer", "adam", 2, 2, 2, found, is_clear)
        given = Effects([effect], 4, 4, {})
        return "".join(
            getattr(part, "ident", str(part)) for part in ties.why_groups_differ(given, stage)
        )

    assert words(0.001, 0.0003) == (
        "That every point may be the best, and optimizer adam is better than the others ("
        "table-effects-one) is no contradiction: the difference of two points has a standard "
        "error of up to 0.10 points and must stand out among 3 comparisons; that of the mean over "
        "2 points from the mean over 2 has one of 0.05."
    )
    alone = words(0.001, 0.0003, is_clear=False)  # one of many, and not allowed for them all
    assert alone.startswith(
        "That every point may be the best, and, by an interval of its own, optimizer adam is better"
    )
    assert words(-0.001, 0.0003) == ""
    assert words(0.001, None) == ""  # on images only nothing is claimed
    rows[3] = facts("4", 4, 0.03, 0.001, seeds=seeds)  # now one of them is told apart
    assert words(0.001, 0.0003) == ""


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
    content = {"look.json": files.to_json({"schema": 1, "runs": [{"stage": "x"}]})}
    files.write_folder(tmp_path / "a", content)
    with pytest.raises(StoreError, match=r"a/look\.json: not what a look"):
        looks.read(tmp_path)


def test_a_look_that_was_changed_is_named(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "a", {"look.json": files.to_json({"looks": 3, "runs": []})})
    path = tmp_path / "a" / "look.json"
    path.write_bytes(path.read_bytes().replace(b"3", b"1"))
    with pytest.raises(StoreError, match=r"a/look\.json: .* not what was written"):
        looks.read(tmp_path)


def test_of_a_run_in_several_looks_the_first_counts(full: Written) -> None:
    (look,) = looks.read(full.study.folder / "final")
    name = look.runs[0].fingerprint
    later = looks.Look(
        look.folder, "again", "2027-01-01T00:00:00Z", look.tally,
        (looks.LookRun("mlp-final", "", 0, name, {"last": looks.Score(9.0, 0.1, 50, 500)}),),
    )  # fmt: skip
    assert looks.scores([look, later], [name], "last") == [look.runs[0].scores["last"]]


# --- Sections ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def contexts(every: dict[str, Written]) -> list[Context]:
    """What the sections of each study are written from."""
    return [gather(written.study) for written in every.values()]


@pytest.mark.parametrize("name", SECTIONS.names())
def test_every_section_can_be_written_from_any_study(name: str, contexts: list[Context]) -> None:
    for context in contexts:
        blocks = SECTIONS.get(name).build(context)
        assert isinstance(blocks, list)


def test_sections_stand_in_an_order_of_their_own() -> None:
    orders = [SECTIONS.get(name).order for name in SECTIONS.names()]
    assert len(set(orders)) == len(orders)
    assert np.min(orders) == SECTIONS.get("summary").order
