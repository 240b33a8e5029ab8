"""Reports of studies that nobody thought of: whatever was trained, a report can be written."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import SpecError
from modiste.report.blocks import Figure, Paragraph, SectionText, Table
from modiste.report.context import gather
from modiste.report.folds import scored
from modiste.report.html import apart
from modiste.report.searching import Searched
from modiste.report.ties import between
from modiste.search.study import Study
from modiste.spec.files import read_study
from modiste.spec.study import StudySpec
from tests import small
from tests.driving import Script, drive, make
from tests.report_fixture import make_study
from tests.unit.report.conftest import Written

WIDTHS = {"model.params.hidden": [[64], [72], [80], [96]]}
MODEL = {"family": "mlp", "params": {"hidden": [6]}}
GRID = {"stages": ["grid"]}


def written(folder: Path, *stages: dict[str, Any], **more: Any) -> Written:
    """The report of an invented study of these stages."""
    published = more.pop("published", None)
    values = {
        "name": "odd",
        "data": {"num_val": 200},
        "model": {"family": "mlp"},
        "train": {"epochs": 3},
        "stages": stages,
        **more,
    }
    spec = StudySpec.parse(values)
    return Written.of(make_study(folder, spec=spec, published=published, num_val=200))


def test_stages_may_be_named_as_anything_in_a_report_is(tmp_path: Path) -> None:
    names = ["summary", "fixed", "by-stage", "time", "environment", "x", "layers-x"]
    stages = [{"name": name, "final": name == "x", "grid": WIDTHS} for name in names]
    page = written(tmp_path / "study", *stages).page
    for name in names:
        # Only what would be taken for another block has a name that is not its own.
        ident = "table-x" if name == "x" else f"table-{name}-stage"
        assert len(page.table(ident)) == len(WIDTHS["model.params.hidden"]), name
        assert page.by_id(f"figure-{name}").text
    idents = [each.attributes["id"] for each in page.elements if "id" in each.attributes]
    assert [name for name in set(idents) if idents.count(name) > 1] == []


def test_a_block_that_gives_way_takes_no_name_of_another() -> None:
    own = [Table("table-x", ["own"], [], [], gives_way=True), Figure("figure-x", ["own"], [])]
    own += [Table(f"table-{name}", ["own"], [], [], gives_way=True) for name in ("y-stage", "y")]
    others = [Table("table-y", ["fixed"], [], []), Paragraph(["no name"])]
    sections = apart([SectionText("A", "a", "", own), SectionText("B", "b", "1", others)])
    names = [getattr(block, "ident", "") for section in sections for block in section.blocks]
    assert names == [
        *("table-x", "figure-x", "table-y-stage", "table-y-stage-stage"),
        *("table-y", ""),
    ]


def trained(folder: Path, *stages: dict[str, Any], **more: Any) -> Written:
    """The report of a small study of these stages that was really run."""
    published = more.pop("published", None)
    values = small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 2, "batch_size": 30},
        stages=[*stages],
        **{"model": MODEL, **more},
    )
    study = make(folder, values, published=published)
    assert drive(study, slice_seconds=math.inf)
    return Written.of(Study.open(folder))


def searched(folder: Path, **search: Any) -> tuple[Written, Searched]:
    """The same of a search, and what it was written from."""
    model = search.pop("model", MODEL)
    found = trained(folder, {"name": "search", "search": search}, model=model)
    (read,) = gather(found.study).searches
    return found, read


def test_a_key_that_no_trial_sets_is_not_drawn(tmp_path: Path, script: Script) -> None:
    optimizers = [{"name": "sgd"}, {"name": "adam"}]
    momentum = {"low": 0.0, "high": 0.9, "when": {"train.optimizer": {"name": "sgd"}}}
    tune = {
        "train.optimizer": optimizers,
        "train.optimizer.momentum": momentum,
        "model.params.dropout": {"low": 0.0, "high": 0.5},
    }
    method = {"name": "random", "seed": 0}
    found, read = searched(tmp_path / "study", trials=3, method=method, tune=tune)
    assert {each.settings["train.optimizer"]["name"] for each in read.tried} == {"adam"}
    assert [axis.key for axis in read.axes] == ["train.optimizer", "model.params.dropout"]
    assert "momentum" not in found.page.by_id("figure-slices-search").text


def test_halving_of_what_has_no_epochs_saves_none(tmp_path: Path, script: Script) -> None:
    tune = {"model.params.C": {"low": 0.1, "high": 10.0, "log": True}}
    halving = {"name": "successive", "first_epochs": 1, "factor": 2}
    found, _ = searched(
        tmp_path / "study",
        model={"family": "svm"},
        method={"name": "random", "seed": 0},
        trials=4,
        tune=tune,
        halving=halving,
    )
    assert "Halving trained 4 of them to the end.\n" in found.markdown


@pytest.mark.parametrize("data", [{"num_val": 40}, {"split_seed": 1}])
def test_rows_that_answered_other_images_are_not_paired(
    tmp_path: Path, script: Script, data: dict[str, Any]
) -> None:
    stages = [{"name": "one"}, {"name": "other", "model": {"family": "majority"}, "data": data}]
    found = trained(tmp_path / "study", *stages)
    context = gather(found.study)
    one, other = (context.stage(name).rows[0] for name in ("one", "other"))
    assert one.standing is not None
    assert other.standing is not None
    assert between(context, one, other) is None
    assert between(context, one, one) is not None
    assert "points behind (95 % interval" in found.page.by_id("summary").text


def test_two_nets_of_one_stage_have_a_layer_table_each(tmp_path: Path) -> None:
    counts = {64: 50_890, 128: 101_770}
    rows = [
        {"settings": {"model.params.hidden": [width]}, "parameters": {"total": total}}
        for width, total in counts.items()
    ]
    stages = [{"name": "x", "grid": {"model.params.hidden": [[64], [128]]}}, {"name": "x-2"}]
    published = {"schema": 1, "stages": {"x": {"rows": rows}}}
    page = written(tmp_path / "study", *stages, published=published).page
    for ident, total in zip(("table-layers-x", "table-layers-x.2"), counts.values(), strict=True):
        assert f"{total:,}" in page.by_id(ident).text.replace("\u202f", ",")


def claimed(**test: Any) -> dict[str, Any]:
    """A file of published figures with one claim."""
    groups = {"one": {"name": "one", "stages": ["search"]}, "two": {"name": "two", **GRID}}
    return {
        "schema": 1,
        "claims": [{"id": "c1", "says": "So.", "tests": [{"expect": "more", **groups, **test}]}],
    }


def test_a_claim_of_a_stage_that_is_not_there_is_refused(tmp_path: Path) -> None:
    other = small.write_study(
        tmp_path / "figures.yaml",
        claimed(figure="gap", one={"name": "one", "stages": ["final", "gird"]}),
    )
    path = small.write_study(tmp_path / "mine.yaml", small.study(published=other.name))
    with pytest.raises(SpecError) as error:
        read_study(path)
    assert str(error.value) == (
        f"{other}.claims[0].tests[0].one.stages[1]: no stage is named 'gird'. "
        "Did you mean 'grid'? Known: final, grid."
    )


def test_a_gap_is_not_known_of_what_halving_cut(tmp_path: Path, script: Script) -> None:
    rates = [0.01, 0.02, 0.03, 0.04]
    search = {
        "method": "grid",
        "tune": {"train.optimizer.learning_rate": rates},
        "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
    }
    stages = [{"name": "search", "search": search}, {"name": "grid"}]
    found = trained(tmp_path / "study", *stages, published=claimed(figure="gap"))
    (cells,) = found.page.table("table-claim-tests")
    assert cells[4] == "not known of every point"


def test_what_halving_cut_is_not_judged_by_its_folds(tmp_path: Path, script: Script) -> None:
    search = {
        "method": "grid",
        "tune": {"train.optimizer.learning_rate": [0.01, 0.02, 0.03, 0.04]},
        "halving": {"name": "successive", "first_epochs": 1, "factor": 2},
    }
    stage = {"name": "search", "search": search, "folds": 3}
    found = trained(tmp_path / "study", stage)
    context = gather(found.study)
    (facts,) = context.stages
    assert [row.row.until for row in facts.ranked] == [None, None, 1, 1]
    rows = scored(context, facts)
    assert {each.row.label for each in rows} == {row.label for row in facts.ranked[:2]}
    assert len(found.page.table("table-folds-search")) == 2


def test_compared_values_that_are_cross_validated_are_paired_by_training(
    tmp_path: Path, script: Script
) -> None:
    search = {
        "method": "grid",
        "compare": {"model.params.dropout": [0.0, 0.5]},
        "tune": {"train.optimizer.learning_rate": [0.01, 0.02]},
    }
    found = trained(tmp_path / "study", {"name": "search", "search": search, "folds": 3})
    _, behind = found.page.table("table-compared-search")
    assert " to " in behind[-1]
    text = found.page.by_id("table-compared-search").text
    assert "intervals cover the choice of training and validation images and what chance" in text
    assert "images only" not in text


VARIED: list[dict[str, Any]] = [
    {"grid": {key: values}}
    for key, values in {
        "train.optimizer.learning_rate": [0.01, 0.02],
        "train.optimizer": ["sgd", {"name": "adam", "learning_rate": 0.01}],
        "train.optimizer.name": ["sgd", "adam"],
        "train.schedule": [{"name": "constant"}, {"name": "one_cycle"}],
        "train.batch_size": [64, 128],
        "train.epochs": [2, 3],
        "train.augment": [[], [{"name": "mirror"}]],
        "train.early_stopping": [None, {"patience": 3}],
        "train.averaging": [None, {"decay": 0.99}],
        "train.label_smoothing": [0.0, 0.1],
        "train.precision": ["float32", "bfloat16"],
        "train.max_seconds": [None, 5.0],
        "model.family": ["mlp", "cnn", "knn"],
        "model.params.hidden": [[], [8], [8, 4]],
        "model.params.dropout": [0.0, 0.2],
        "data.scaling": ["unit", "raw"],
        "data.num_train": [None, 400],
        "threads": [1, 2],
        "kernels": ["torch", "fused"],
        "preset": ["keras", "torch"],
        "seed": [0, 1],
    }.items()
]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [{}, *VARIED], ids=str)
def test_a_study_that_varies_one_thing_and_says_little_else_has_its_report(
    stage: dict[str, Any], tmp_path: Path
) -> None:
    has_weights = "model.family" not in stage.get("grid", {})
    stages = [{"name": "one", "final": has_weights, "repeats": 2, **stage}]
    values = {"name": "odd", "model": {"family": "mlp"}, "stages": stages}
    study = make_study(tmp_path / "study", spec=StudySpec.parse(values), num_val=200)
    assert Written.of(study).page.by_id("table-one").text
