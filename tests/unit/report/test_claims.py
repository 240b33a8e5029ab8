"""Both sides of a claim come from one stage, and images alone decide nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from modiste.report import claims, markdown, ties
from modiste.report.blocks import Ref, SectionText
from modiste.report.claims import TestAnswer as Answer
from modiste.report.context import Context, gather
from modiste.report.html import Head
from modiste.report.sections.claims import build
from modiste.runs.run import Epoch, Run, RunRecord
from modiste.search.answers import Answers
from modiste.search.standing import is_right
from modiste.search.study import Study
from modiste.spec.run import RunSpec
from modiste.spec.study import StudySpec
from tests import report_fixture
from tests.report_fixture import Invented, make_study

WIDTHS = [[16], [64], [128], [512]]
STAGES: list[dict[str, Any]] = [
    {"name": "grid", "grid": {"model.params.hidden": WIDTHS}},
    {"name": "again", "confirm": {"stage": "grid", "top": 2, "seeds": 3}},
    {"name": "apart", "model": {"params": {"hidden": [16]}}, "repeats": 3},
]


def group(name: str, stages: list[str], *widths: int) -> dict[str, Any]:
    return {
        "name": name,
        "stages": stages,
        "where": [{"model.params.hidden": [width]} for width in widths],
    }


def asked(one: dict[str, Any], two: dict[str, Any], **more: Any) -> dict[str, Any]:
    test = {"figure": "val_accuracy", "one": one, "expect": "more", "two": two, **more}
    return {"schema": 1, "claims": [{"id": "c1", "says": "Wider is better.", "tests": [test]}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose runs are made once; what was published changes from test to test."""
    return tmp_path_factory.mktemp("claims") / "s"


def answered(
    folder: Path,
    published: dict[str, Any],
    stages: list[dict[str, Any]] | None = None,
    num_val: int = 2000,
) -> tuple[Context, Answer]:
    values = {
        "name": "s",
        "data": {"num_val": num_val},
        "model": {"family": "mlp"},
        "stages": stages or STAGES,
    }
    study = make_study(folder, spec=StudySpec.parse(values), published=published, num_val=num_val)
    context = gather(study)
    ((found,),) = [each.tests for each in claims.answer(context)]
    return context, found


def printed(context: Context) -> str:
    """The section of the claims, as Markdown."""
    return markdown.render(Head("", "", ""), [SectionText("", "claims", "1", build(context))])


def decided(context: Context) -> str:
    words = ties.decision(context, context.stage("grid"))
    return "".join(getattr(part, "text", str(part)) for part in words)


def test_a_row_of_the_search_is_not_set_beside_one_that_was_confirmed(folder: Path) -> None:
    published = asked(
        group("wide", ["again", "grid"], 512), group("narrow", ["again", "grid"], 16, 64)
    )
    context, found = answered(folder, published)
    labels = {row.row.label for row in context.stage("again").rows}
    assert "hidden=[512]" in labels
    assert "hidden=[16]" not in labels  # it was not among the best two
    assert found.one.stage is found.two.stage is context.stage("grid")
    assert (found.one.num_runs, found.two.num_runs) == (1, 2)
    assert found.is_of_one_stage


def test_where_both_sides_were_confirmed_the_first_stage_that_is_named_gives_both(
    folder: Path,
) -> None:
    published = asked(group("wide", ["again", "grid"], 512), group("less", ["again", "grid"], 128))
    context, found = answered(folder, published)
    assert found.one.stage is found.two.stage is context.stage("again")
    assert (found.one.num_runs, found.two.num_runs) == (3, 3)


def test_groups_that_name_no_common_stage_are_marked(folder: Path) -> None:
    published = asked(group("wide", ["grid"], 512), group("narrow", ["apart"], 16))
    context, found = answered(folder, published)
    assert not found.is_of_one_stage
    text = printed(context)
    assert "| 1 v 1§ |" in text
    assert "§ The groups stand in two stages" in text


def test_on_images_only_nothing_is_decided(folder: Path) -> None:
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 16))
    choice = {"taken": {"model.params.hidden": [16]}, "over": {"model.params.hidden": [512]}}
    published["stages"] = {"grid": {"choice": choice}}
    once = [STAGES[0]]
    context, alone = answered(folder.parent / "once", published, once)
    assert alone.found is not None
    assert alone.found.low is not None
    assert alone.found.low > 0  # the images alone would have it
    assert not alone.covers_seeds
    assert alone.verdict == "undecided"
    text = printed(context)
    assert "‖ Images only; the spread over seeds is not known, so nothing is decided." in text
    assert "as nobody knows how far a seed moves them, neither is preferred" in decided(context)
    _, known = answered(folder, published)
    assert known.covers_seeds
    assert known.verdict == "holds"


def test_what_survived_of_a_point_whose_seeds_diverged_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = report_fixture.invent

    def invent(spec: RunSpec, *, is_diverging: bool = False) -> Invented:
        is_wide = spec.to_dict()["model"]["params"]["hidden"] == [512]
        return plain(spec, is_diverging=is_diverging or (is_wide and spec.seed in broken))

    monkeypatch.setattr(report_fixture, "invent", invent)
    stages = [{"name": "grid", "grid": {"model.params.hidden": [[16], [512]]}, "repeats": 3}]
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 16))
    broken: set[int] = set()
    context, found = answered(tmp_path / "whole", published, stages)
    assert found.verdict == "holds"
    assert "¶" not in printed(context)
    broken = {1, 2}
    context, found = answered(tmp_path / "survivor", published, stages)
    assert found.found is not None
    assert found.found.low is not None
    assert found.found.low > 0  # the survivor alone would have it
    assert (found.one.num_runs, found.one.is_whole) == (1, False)
    assert found.verdict == "undecided"
    text = printed(context)
    assert "| 1 v 3¶ |" in text
    assert "¶ Some runs diverged or ran out of memory; what survived of a point decides" in text
    broken = {0, 1, 2}
    context, found = answered(tmp_path / "none", published, stages)
    assert found.verdict == "undecided"
    assert "| 0 v 3¶ | no run ended well |" in printed(context)


def test_published_rows_that_are_others_than_ours_are_counted(folder: Path) -> None:
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 16, 64))
    published["stages"] = {
        "grid": {
            "rows": [
                {"settings": {"model.params.hidden": [512]}, "val_accuracy": 0.91},
                {"settings": {"model.params.hidden": [64]}, "val_accuracy": 0.90},
            ]
        }
    }
    context, found = answered(folder, published)
    assert found.published is not None
    assert found.published.difference == pytest.approx(0.01)
    assert found.published.num_rows == (1, 1)
    text = printed(context)
    assert "| +1.00 (1 v 1 rows) |" in text  # beside 1 v 2 of ours


@pytest.mark.parametrize("taken", [16, 512])
def test_a_choice_of_the_publication_is_answered_as_a_computed_one(
    taken: int, folder: Path, tmp_path: Path
) -> None:
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 16))
    over = 528 - taken
    published["stages"] = {
        "grid": {
            "choice": {
                "taken": {"model.params.hidden": [taken]},
                "over": {"model.params.hidden": [over]},
            }
        }
    }
    context, _ = answered(tmp_path / "plain", published, [STAGES[0], STAGES[2]])
    known = {row.row.label: row for row in context.stage("grid").rows}
    gap = fmean(known[f"hidden=[{taken}]"].values("last", "val", "accuracy")) - fmean(
        known[f"hidden=[{over}]"].values("last", "val", "accuracy")
    )
    text = decided(context)
    assert f"The publication took hidden\u00a0[{taken}] over hidden\u00a0[{over}]." in text
    assert f"against that it has {'+' if gap > 0 else '−'}{abs(100 * gap):.2f} points" in text
    assert text.endswith("which is no tie: hidden\u00a0[512] is the better one.")
    # Where the table tells none of them apart, the reader learns why that is no contradiction.
    stage = context.stage("grid")
    rows = [
        replace(row, standing=row.standing and replace(row.standing, may_be_best=True))
        for row in stage.rows
    ]
    words = ties.decision(context, replace(stage, rows=rows))
    assert str(words[-1]).endswith(
        "asked about all 4 points at once, the table tells neither of the two from the best."
    )
    # A row that was compared with none, as where halving cut it, is not among those asked about.
    fewer = [replace(row, standing=None) if "64" in row.label else row for row in rows]
    words = ties.decision(context, replace(stage, rows=fewer))
    assert "asked about all 3 points at once" in str(words[-1])
    # Where one of them was trained again, what its fresh seeds say is what counts.
    context, _ = answered(folder, published)
    again = {row.row.label: row for row in context.stage("again").rows}
    first = {row.row.label: row for row in context.stage("grid").rows}
    assert set(again) == {"hidden=[512]", "hidden=[128]"}
    wide, narrow = again["hidden=[512]"], first["hidden=[16]"]
    means = [row.mean("last", "val", "accuracy") or 0.0 for row in (wide, narrow)]
    gap = means[0] - means[1] if taken == 512 else means[1] - means[0]
    text = decided(context)
    fresh = text.partition("by the seeds of this stage. On fresh ones (")[2]
    assert f"hidden\u00a0[512] has {means[0]:.4f}" in fresh
    assert f"{'+' if gap > 0 else '−'}{abs(100 * gap):.2f} points" in fresh
    assert fresh.endswith("which is no tie: hidden\u00a0[512] is the better one.")
    # And where a reader looks for the best of its family, they speak for it as well.
    ((stage, row),) = context.best_of_families
    assert (stage.name, row) == ("again", wide)
    assert f"(hidden\u00a0[16] was not trained again: {means[1]:.4f})" in fresh


def test_a_point_that_was_passed_over_is_not_the_best_since_fresh_seeds_humbled_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third of a search whose first two were flattered, which are all that was confirmed."""

    def invented(spec: RunSpec, **_: Any) -> Invented:
        place = [[512], [128], [64], [16]].index(list(spec.to_dict()["model"]["params"]["hidden"]))
        fresh = spec.seed > 100
        return Invented(0.886 - 0.002 * place - 0.02 * fresh, 12)

    monkeypatch.setattr(report_fixture, "invent", invented)
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 16))
    context, _ = answered(tmp_path / "flattered", published, STAGES[:2])
    ((stage, row),) = context.best_of_families
    assert (stage.name, row.row.label) == ("again", "hidden=[512]")


def test_a_choice_is_put_to_the_stage_that_has_both_on_fresh_seeds(tmp_path: Path) -> None:
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 128))
    published["stages"] = {
        "grid": {"choice": {"taken": {"model.params.hidden": [128]},
                            "over": {"model.params.hidden": [512]}}}
    }  # fmt: skip
    more = {"name": "more", "confirm": {"stage": "grid", "top": 2, "seeds": 3}}
    one = {"name": "one", "confirm": {"stage": "grid", "top": 1, "seeds": 2}}
    context, _ = answered(tmp_path / "two", published, [STAGES[0], one, more])
    words = ties.decision(context, context.stage("grid"))
    assert [part.ident for part in words if isinstance(part, Ref)] == ["stage-more"]
    assert "was not trained again" not in "".join(map(str, words))


def test_a_choice_between_equals_recommends_the_cheaper_one(folder: Path) -> None:
    published = asked(group("wide", ["grid"], 512), group("narrow", ["grid"], 16))
    published["stages"] = {
        "grid": {
            "choice": {
                "taken": {"model.params.hidden": [68]},
                "over": {"model.params.hidden": [72]},
            }
        }
    }
    stages = [{"name": "grid", "grid": {"model.params.hidden": [[68], [72]]}, "repeats": 3}]
    context = gather(
        make_study(
            folder.parent / "equals",
            spec=StudySpec.parse(
                {"name": "s", "data": {"num_val": 500}, "model": {"family": "mlp"},
                 "stages": stages}
            ),
            published={**published, "claims": []},
            num_val=500,
        )
    )  # fmt: skip
    assert build(context) == []
    assert (
        "a tie, in which the cheaper one is recommended, as it did: hidden\u00a0[68], with 54,070 "
        "parameters, 6\u00a0% fewer."
    ) in decided(context)


def some_kept_fewer(monkeypatch: pytest.MonkeyPatch, *widths: int) -> None:
    """As where these nets kept fewer images to choose by."""
    answers = Study.answers

    def of_some(self: Study, run: Run, epoch: Epoch) -> Answers:
        found = answers(self, run, epoch)
        (width,) = run.spec.to_dict()["model"]["params"]["hidden"]
        return Answers(*(each[:1500] for each in found)) if width in widths else found

    monkeypatch.setattr(Study, "answers", of_some)


def test_points_that_answered_other_images_are_not_compared_image_by_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = asked(group("wide", ["grid"], 128, 512), group("narrow", ["grid"], 16, 64))
    stages = [{**STAGES[0], "repeats": 2}]
    _, paired = answered(tmp_path / "s", published, stages)
    assert paired.verdict == "holds"
    some_kept_fewer(monkeypatch, 16)
    context, found = answered(tmp_path / "s", published, stages)
    assert found.found is not None
    assert found.found.image_error is None
    assert found.found.low is not None
    assert found.found.low > 0  # the seeds alone would have it
    assert (found.covers_seeds, found.covers_images, found.verdict) == (True, False, "undecided")
    text = printed(context)
    assert "† |" in text
    assert "† Seeds only: the points of a group answered different images, so nothing is" in text


def test_groups_with_images_of_their_own_have_the_doubt_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = asked(group("wide", ["grid"], 128, 512), group("narrow", ["grid"], 16, 64))
    some_kept_fewer(monkeypatch, 16, 64)
    context, found = answered(tmp_path / "s", published, [{**STAGES[0], "repeats": 2}])
    assert found.covers_images
    assert found.verdict == "undecided"  # with the same images it holds, and with seeds alone
    assert "†" not in printed(context)
    variances = []
    for side in (found.one, found.two):
        rows = [[context.study.answers(run, "last") for run in row.runs] for row in side.rows]
        shares_N = np.mean([is_right(row).mean(axis=0) for row in rows], axis=0)
        squares = ((shares_N - shares_N.mean()) ** 2).sum()
        # What an image says on one of two seeds is in the doubt of these; it is some of it.
        by_seed = sum(row.seeds.scatter / 2 for row in side.rows if row.seeds) / len(rows) ** 2
        assert 0 < by_seed < squares / len(shares_N)
        # And one image more, as far from the middle as an image can be.
        squares += 0.25 - by_seed * (len(shares_N) - 1)
        variances.append(squares / len(shares_N) ** 2)
    assert found.found is not None
    assert found.found.image_error == pytest.approx(sum(variances) ** 0.5)


def test_the_runs_that_got_as_far_as_an_epoch_do_not_speak_for_those_that_ended_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = report_fixture.invent

    def invent(spec: RunSpec, *, is_diverging: bool = False) -> Invented:
        is_short = spec.to_dict()["model"]["params"]["hidden"] == [512] and spec.seed in short
        found = plain(spec, is_diverging=is_diverging)
        return replace(found, epochs=12) if is_short else found

    monkeypatch.setattr(report_fixture, "invent", invent)
    stages = [{"name": "grid", "grid": {"model.params.hidden": [[16], [512]]}, "repeats": 3}]
    groups = group("wide", ["grid"], 512), group("narrow", ["grid"], 16)
    published = asked(*groups, figure="train_loss@20", expect="less")
    short: set[int] = set()
    context, found = answered(tmp_path / "all", published, stages)
    assert (found.num_without, found.verdict) == (0, "holds")
    assert "‡" not in printed(context)
    short = {2}
    context, found = answered(tmp_path / "survivors", published, stages)
    assert found.found is not None
    assert found.found.high is not None
    assert found.found.high < 0  # those that got so far would have it
    assert (found.num_without, found.verdict) == (1, "undecided")
    text = printed(context)
    assert "| 3 v 3‡ |" in text
    assert "‡ Some runs have no such figure, as where they ended before that epoch; those" in text


def with_equal_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training image right; of 100 validation images 90 by the wide nets, 89 by others."""

    def invent(spec: RunSpec, *, is_diverging: bool = False) -> Invented:
        is_wide = spec.to_dict()["model"]["params"]["hidden"] == [512]
        return Invented(0.9 if is_wide else 0.89, epochs=40)

    plain = report_fixture.invented_record

    def record(*given: Any) -> RunRecord:
        found = plain(*given)
        for epoch in ("best", "last"):
            found.metrics[epoch]["train"]["accuracy"] = 1.0
        return found

    monkeypatch.setattr(report_fixture, "invent", invent)
    monkeypatch.setattr(report_fixture, "invented_record", record)


EQUAL: list[dict[str, Any]] = [
    {"name": "grid", "grid": {"model.params.hidden": [[16], [512]]}, "repeats": 2}
]


def test_a_gap_has_the_doubt_of_the_images_that_its_accuracy_was_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_equal_counts(monkeypatch)
    groups = group("wide", ["grid"], 512), group("narrow", ["grid"], 16)
    gaps = asked(*groups, figure="gap", expect="less")
    context, found = answered(tmp_path / "gap", gaps, EQUAL, num_val=100)
    counts = [
        [run.metrics["last"]["val"]["correct"] for run in row.runs]
        for row in context.stage("grid").rows
    ]
    assert counts == [[89, 89], [90, 90]]  # one image apart, on each seed
    assert found.found is not None
    assert found.found.difference == pytest.approx(-0.01)
    assert found.verdict == "undecided"
    assert "† |" not in printed(context)
    _, accuracy = answered(tmp_path / "accuracy", asked(*groups), EQUAL, num_val=100)
    # All training images are right, so the gap is in as much doubt as the accuracy.
    assert accuracy.found is not None
    assert found.found.image_error == pytest.approx(accuracy.found.image_error)
    assert found.found.seed_error == pytest.approx(accuracy.found.seed_error)
    assert found.found.high == pytest.approx(-(accuracy.found.low or 0.0))


def test_a_gap_decides_nothing_where_the_points_of_a_group_answered_different_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = group("wide", ["grid"], 128, 512), group("narrow", ["grid"], 16, 64)
    stages = [{**STAGES[0], "repeats": 2}]
    some_kept_fewer(monkeypatch, 16)
    gaps = asked(*groups, figure="gap", expect="less")
    context, found = answered(tmp_path / "s", gaps, stages)
    assert (found.covers_seeds, found.covers_images, found.verdict) == (True, False, "undecided")
    assert "† Seeds only" in printed(context)


def test_equal_training_accuracies_on_every_seed_are_no_certainty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_equal_counts(monkeypatch)
    published = asked(
        group("wide", ["grid"], 512), group("narrow", ["grid"], 16), figure="train_accuracy"
    )
    _, found = answered(tmp_path / "s", published, EQUAL, num_val=100)
    # One of the 400 training images is a step, which hides a twelfth of its square on each seed.
    assert found.found is not None
    assert found.found.seed_error == pytest.approx((2 / 2 / 400**2 / 12) ** 0.5)
