"""The audit that a study keeps, as its own report shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modiste.errors import StoreError
from modiste.evaluate.intervals import wilson
from modiste.evaluate.worth import beside_others, without
from modiste.report.audit_record import to_lines
from modiste.report.blocks import Gallery, Paragraph, Remarks, Table
from modiste.report.context import gather
from modiste.report.kept_audit import duplicates
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from tests.report_fixture import DIGEST, make_study

KINDS = ("exact", "mirrored", "near", "near mirrored")
NUM_VAL = 400
# Validation images of the invented runs have the ids 0, 5, 10 and so on.
LEAKS = [0, 15, 25, 100, 500]


def record(**changes: Any) -> dict[str, Any]:
    """As `modiste.report.audit_record.record` writes it, as far as it is read here."""
    pair = {"kind": "near", "distance": 0.01, "parts": ["train", "val"], "labels": ["Bag", "Bag"]}
    inside = {**pair, "parts": ["train", "train"], "ids": [1, 2]}
    return {
        "schema": 1,
        "data": "fashion-mnist",
        "data_digest": DIGEST,
        "split_seed": 0,
        "num_train": 1600,
        "num_val": NUM_VAL,
        "duplicates": {
            "closeness": 0.5,
            "num_pairs": {"across": {"exact": 1, "mirrored": 0, "near": 4, "near mirrored": 0}},
            "val_with_duplicate_in_train": {
                "count": len(LEAKS),
                "same_label": {"exact": 1, "mirrored": 0, "near": 3, "near mirrored": 0},
                "other_label": {"exact": 0, "mirrored": 0, "near": 1, "near mirrored": 0},
                "ids": LEAKS,
            },
            "pairs": [inside, {**pair, "ids": [7, 15]}, {**pair, "ids": [8, 25]}],
        },
        **changes,
    }


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = StudySpec.parse(
        {
            "name": "audited",
            "data": {"num_val": NUM_VAL},
            "model": {"family": "mlp"},
            "stages": [
                {"name": "one", "title": "The one", "final": True, "repeats": 2},
                {"name": "grid", "grid": {"model.params.hidden": [[16], [64]]}},
                {"name": "other", "title": "Another split", "final": True,
                 "data": {"num_val": NUM_VAL, "split_seed": 7}},
            ],
        }
    )  # fmt: skip
    return make_study(tmp_path_factory.mktemp("audited"), spec=spec, num_val=NUM_VAL).folder


@pytest.fixture(name="keep")
def _keep(folder: Path) -> Callable[..., list[Any]]:
    """Leave a record in the study, and build what the report says of it."""
    audit = folder / "audit"
    audit.mkdir(exist_ok=True)
    (audit / "across.npz").unlink(missing_ok=True)

    def build(arrays: dict[str, np.ndarray] | None = None, **changes: Any) -> list[Any]:
        (audit / "audit.json").write_text(json.dumps(record(**changes)))
        if arrays is not None:
            np.savez(audit / "across.npz", **arrays)
        return duplicates(gather(Study(folder)))

    return build


def said(blocks: list[Any]) -> str:
    paragraphs = [block for block in blocks if isinstance(block, Paragraph)]
    return "".join(getattr(w, "text", str(w)) for block in paragraphs for w in block.words)


def test_it_says_how_many_cross_the_split_and_how_that_was_found(keep: Callable[..., Any]) -> None:
    text = said(keep())
    low, high = (100 * end for end in wilson(5, NUM_VAL))
    assert f"Of 400 validation images, 5 (1.25 %; 95 % interval {low:.2f} to {high:.2f} %)" in text
    assert (
        "1 exact and 4 near, each by the closest that it has, 1 of them with another label" in text
    )
    assert "No pair across the split is mirrored or near mirrored." in text
    assert "at most 0.5 times as far from each other as either lies from its tenth" in text


def test_worth_is_that_of_the_models_in_the_tables_now(
    keep: Callable[..., Any], folder: Path
) -> None:
    (table,) = (block for block in keep() if isinstance(block, Table))
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for row in table.rows}
    study = Study(folder)
    runs = study.stage("one").rows[0].runs
    answers = [study.answers(run, "last") for run in runs]
    right_SN = np.stack([found.classes_N == found.labels_N for found in answers])
    leaks_N = np.isin(answers[0].image_ids_N, LEAKS)
    found, beside = (
        without(right_SN, leaks_N),
        beside_others(right_SN, leaks_N, answers[0].labels_N),
    )
    assert rows["The one"][1:4] == ["2", f"{right_SN.mean():.4f}", f"{found.accuracy:.4f}"]
    assert rows["The one"][6] == f"{beside.accuracy:.4f}"
    # The best net of the family stands beside, and each model once.
    assert len(rows) == len(table.rows) == 2
    assert table.command == f"modiste audit fashion-mnist --study {study.out}"
    # The finding says the most that any of them moves.
    (remarks,) = (block for block in keep() if isinstance(block, Remarks))
    (remark,) = remarks.remarks
    moved = max(abs(row.cells[4].value or 0.0) for row in table.rows)
    assert remark.code == "M014"
    assert remark.about[0][1] == (
        "5 of 400 validation images have an exact, mirrored or near duplicate among the training "
        f"images (1.25 %); without them no accuracy moves by more than {100 * moved:.2f} points"
    )


def test_models_that_saw_another_split_are_left_out_by_name(keep: Callable[..., Any]) -> None:
    (table,) = (block for block in keep() if isinstance(block, Table))
    notes = " ".join(str(word) for note in table.notes for word in note)
    assert "Validated on other images, so not here: Another split." in notes


def test_the_nearest_pairs_are_shown_with_the_validation_image_first(
    keep: Callable[..., Any],
) -> None:
    images = np.zeros((2, 2, 8, 8), np.uint8)
    images[:, 1] = 200
    blocks = keep({"images": images, "ids": np.array([[7, 15], [8, 25]])})
    (gallery,) = (block for block in blocks if isinstance(block, Gallery))
    assert [picture.lines for picture in gallery.pictures] == [
        ("Bag", "near, 0.010", "validation 15", "training 7"),
        ("Bag", "near, 0.010", "validation 25", "training 8"),
    ]
    assert "The nearest 2 of 2 pairs" in str(gallery.caption[0])


def test_pictures_of_other_pairs_are_refused(keep: Callable[..., Any]) -> None:
    images = np.zeros((1, 2, 8, 8), np.uint8)
    for arrays in (
        {"images": images, "ids": np.array([[7, 16]])},
        {"images": images.astype(float), "ids": np.array([[7, 15]])},
        {"images": images},
    ):
        with pytest.raises(StoreError, match=r"across\.npz: not the pairs of audit\.json"):
            keep(arrays)


def test_nothing_found_is_said_and_worth_nothing(keep: Callable[..., Any]) -> None:
    none = dict.fromkeys(KINDS, 0)
    value = record()["duplicates"]
    value["val_with_duplicate_in_train"] = {
        "count": 0, "same_label": none, "other_label": none, "ids": []
    }  # fmt: skip
    blocks = keep(duplicates={**value, "num_pairs": {"across": none}, "pairs": []})
    text = said(blocks)
    assert "None of 400 validation images has an exact, mirrored or near duplicate" in text
    assert "worth nothing to any accuracy here" in text
    assert not [block for block in blocks if isinstance(block, Remarks)]


def test_an_audit_of_other_images_is_refused_by_name(keep: Callable[..., Any]) -> None:
    with pytest.raises(StoreError, match="an audit of other images"):
        keep(data_digest="6" * 64)


@pytest.mark.parametrize("value", [{}, {"closeness": "half"}, None])
def test_a_record_that_is_none_is_named(keep: Callable[..., Any], value: Any) -> None:
    with pytest.raises(StoreError, match=r"audit\.json: not what an audit leaves"):
        keep(duplicates=value)


def test_a_study_that_keeps_no_audit_says_how_to_make_one(folder: Path) -> None:
    (folder / "audit" / "audit.json").unlink(missing_ok=True)
    study = Study(folder)
    text = said(duplicates(gather(study)))
    assert "was not looked into" in text
    assert f"modiste audit fashion-mnist --study {study.out}" in text


def test_images_that_lie_where_the_study_file_says_are_named_in_that_command(
    tmp_path: Path,
) -> None:
    spec = StudySpec.parse(
        {
            "name": "own",
            "data": {"num_val": NUM_VAL, "path": "pictures"},
            "model": {"family": "mlp"},
            "stages": [{"name": "one"}],
        }
    )
    study = make_study(tmp_path, spec=spec, num_val=NUM_VAL)
    place = Path(study.file).parent / "pictures"
    text = said(duplicates(gather(study)))
    assert f"modiste audit fashion-mnist --data {place} --study {study.out}" in text


def test_a_record_has_a_line_for_each_find_and_loses_nothing() -> None:
    text = to_lines(record(test=None, notes=[], nested=[[1], {"a": {}}], text='a "b"\n'))
    wanted = record(test=None, notes=[], nested=[[1], {"a": {}}], text='a "b"\n')
    assert json.loads(text) == wanted
    finds = [line for line in text.splitlines() if '"kind": "near"' in line]
    assert [json.loads(line.rstrip(",")) for line in finds] == wanted["duplicates"]["pairs"]
    assert f'"ids": {LEAKS}' in text
