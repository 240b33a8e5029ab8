"""Final models in detail: each on the images it may be judged by, alone and together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import f1_score, log_loss

from modiste.errors import StoreError
from modiste.evaluate.intervals import wilson
from modiste.evaluate.per_class import per_class
from modiste.report import confusions, ensembles, stress
from modiste.report.blocks import Paragraph, Table
from modiste.report.context import gather
from modiste.report.quality import Answered, quality
from modiste.runs.run import Epoch, Run
from modiste.search.answers import Answers
from modiste.search.study import Study
from modiste.spec.study import StudySpec
from tests.report_fixture import errors_arrays, make_look, make_study
from tests.unit.report.conftest import Written

WIDE, DEEP = "The wide one", "The deep one"


def spec(**changes: object) -> StudySpec:
    stages = [
        {
            "name": "wide",
            "title": WIDE,
            "model.params.hidden": [64],
            "repeats": 3,
        },
        {"name": "deep", "title": DEEP, "model.params.hidden": [32, 32], "repeats": 2},
        {"name": "chosen", "title": "Our choice", "model.params.hidden": [32, 32], "repeats": 2},
    ]
    return StudySpec.parse(
        {
            "name": "finals",
            "data": {"num_val": 400},
            "model": {"family": "mlp"},
            "stages": [
                {
                    "name": stage["name"],
                    "title": stage["title"],
                    "final": True,
                    "repeats": stage["repeats"],
                    "points": [
                        {"label": "it", "model.params.hidden": stage["model.params.hidden"]}
                    ],
                }
                for stage in stages
            ],
            **changes,
        }
    )


def stress_arrays(num: int = 40) -> dict[str, np.ndarray]:
    right_RN = np.ones((3, num), bool)
    right_RN[2, :10] = False
    return {
        "right_RN": right_RN,
        "names": np.array(["shift", "blur"]),
        "amounts": np.array([1.0, 0.5]),
        "units": np.array(["pixels", "pixels"]),
        "image_ids": np.arange(num),
    }


@pytest.fixture(scope="module", name="finals")
def _finals(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Three final stages, two of them with the same runs; the test set was opened for the first."""
    folder = tmp_path_factory.mktemp("finals")
    study = make_study(folder, spec=spec(), num_val=400)
    make_look(study, ["wide"])
    (folder / "figures").mkdir()
    for stage in study.stages()[:2]:
        name = stage.rows[0].runs[0].fingerprint[:16]
        np.savez(folder / "figures" / f"errors-{name}.npz", **errors_arrays(12))
        np.savez(folder / "figures" / f"stress-{name}.npz", **stress_arrays())
    return Written.of(Study(folder))


def logits_of(written: Written, stage: str, part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Of every seed at the last epoch, and the right classes."""
    runs = written.study.stage(stage).rows[0].runs
    if part == "validation":
        saved = [run.predictions for run in runs]
    else:
        (look,) = (written.study.folder / "final").iterdir()
        saved = [np.load(look / f"predictions-{run.fingerprint[:16]}.npz") for run in runs]
    return [each["logits_last_NK"] for each in saved], saved[0]["labels"]


def test_every_final_model_is_described_once_on_the_images_of_a_look_or_on_validation_images(
    finals: Written,
) -> None:
    text = " ".join(finals.page.by_id("final").text.split())
    assert f"Described below on the test images of a look: {WIDE}." in text
    assert f"Described below on validation images, for want of a look: {DEEP}." in text
    assert f"Our choice is, run for run, {DEEP}; it is described once." in text
    for stage, part, total in (("wide", "test", 500), ("deep", "validation", 400)):
        for kind in ("table-confusion", "table-rates", "table-classes", "table-quality"):
            caption = finals.page.by_id(f"{kind}-{stage}").all("figcaption")[0].text
            assert f"({part} images, last epoch, seed 0)" in caption
        matrix = finals.page.table(f"table-confusion-{stage}")
        assert sum(int(cell) for row in matrix for cell in row[1:]) == total
        assert finals.page.by_id(f"figure-quality-{stage}").all("figcaption")
        assert finals.page.by_id(f"figure-errors-{stage}").all("img")
    ids = [e.attributes.get("id") for e in finals.page.elements]
    assert "table-quality-chosen" not in ids


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("kind", ["few errors", "a right class ruled out"])
def test_what_these_images_cannot_tell_is_a_dash_that_is_explained(part: str, kind: str) -> None:
    chance = np.random.default_rng(0)
    labels_N = chance.integers(0, 3, 200)
    logits_NK = chance.normal(0, 1, (200, 3)) + 2 * np.eye(3)[labels_N]
    if kind == "few errors":
        logits_NK = 9 * np.eye(3)[labels_N]
        logits_NK[:2] = -logits_NK[:2]
    else:
        logits_NK[0, labels_N[0]] = -np.inf
    answered = Answered("x", logits_NK, labels_N, part, "here", logits_NK, labels_N, "show")
    words, table, _ = quality(answered)
    assert isinstance(words, Paragraph)
    assert isinstance(table, Table)
    rows = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in table.rows}
    loss = rows["cross-entropy, nats"]
    assert loss[1] == loss[3] == "–"
    assert (loss[0] == "inf") == (kind != "few errors") == (rows["Brier score, 0 to 2"][1] != "–")
    assert "inf" not in str(words.words)
    assert any("– in place of an interval: fewer than 5" in str(note) for note in table.notes)


def test_the_prose_says_which_one_run_its_numbers_are_of(finals: Written) -> None:
    text = " ".join(finals.page.by_id("final").text.split())
    (logits, *_), labels = logits_of(finals, "wide", "test")
    wrong = int((logits.argmax(axis=1) != labels).sum())
    assert (
        "Its run with seed 0 (the first of its 3, whatever its figures), with the weights of the "
        f"last epoch, gets {wrong} of 500 test images wrong" in text
    )
    assert "(the first of its 2, whatever its figures)" in text


def test_confusions_stand_as_counts_and_as_rates(finals: Written) -> None:
    (logits, *_), labels = logits_of(finals, "wide", "test")
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    shown = finals.page.table("table-confusion-wide")
    assert [[int(cell) for cell in row[1:]] for row in shown] == counts.tolist()
    rates = finals.page.table("table-rates-wide")
    wanted = 100 * counts / counts.sum(axis=1, keepdims=True)
    assert [row[1:] for row in rates] == [[f"{share:.1f}" for share in row] for row in wanted]


def test_each_class_has_recall_precision_and_f1_with_their_intervals(finals: Written) -> None:
    (logits, *_), labels = logits_of(finals, "deep", "validation")
    predicted = logits.argmax(axis=1)
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (labels, predicted), 1)
    f1 = f1_score(labels, predicted, average=None)
    for k, row in enumerate(finals.page.table("table-classes-deep")):
        own, images, answered = counts[k, k], counts[k].sum(), counts[:, k].sum()
        assert row[1:4] == [str(images), str(answered), str(own)]
        for at, (right, total) in ((4, (own, images)), (6, (own, answered))):
            low, high = wilson(int(right), int(total))
            assert row[at : at + 2] == [f"{right / total:.4f}", f"{low:.4f}–{high:.4f}"]
        figure = per_class(counts)[k].f1
        assert figure is not None
        low, high = figure.interval
        assert row[8:10] == [f"{f1[k]:.4f}", f"{low:.4f}–{high:.4f}"]


def test_the_seeds_of_each_model_and_all_models_are_evaluated_together(finals: Written) -> None:
    first, single, _, _, everything, _ = finals.page.table("table-together")
    wide, labels = logits_of(finals, "wide", "test")
    shares = np.mean([softmax(each.astype(float), axis=1) for each in wide], axis=0)
    right = shares.argmax(axis=1) == labels
    low, high = wilson(int(right.sum()), 500)
    accuracy = f"{right.mean():.4f} {low:.4f}–{high:.4f}"
    assert first[:4] == [f"{WIDE}, 3 seeds", "test", "3", accuracy]
    assert first[4].startswith(f"{log_loss(labels, shares):.4f} ")
    # The best single one by validation, not by the test images.
    runs = finals.study.stage("wide").rows[0].runs
    scores = [run.metrics["last"]["val"] for run in runs]
    best = min(range(3), key=lambda i: (-scores[i]["correct"], scores[i]["loss"]))
    assert single[:3] == [f"{WIDE}, seed {best} the best single one", "test", "1"]
    alone = wide[best].argmax(axis=1) == labels
    assert single[3].startswith(f"{alone.mean():.4f} ")
    gain = 100 * (right.mean() - alone.mean())
    assert float(first[7].split()[0].replace("−", "-")) == pytest.approx(gain, abs=0.005)
    # Only some were shown test images: all together answer validation images.
    assert everything[:3] == ["all 2 final models, 5 runs", "validation", "5"]
    five = [
        each for stage in ("wide", "deep") for each in logits_of(finals, stage, "validation")[0]
    ]
    labels = logits_of(finals, "deep", "validation")[1]
    shares = np.mean([softmax(each.astype(float), axis=1) for each in five], axis=0)
    assert everything[3].startswith(f"{(shares.argmax(axis=1) == labels).mean():.4f} ")
    commands = [
        line.text for line in finals.page.by_id("table-together").all("p", class_="command")
    ]
    assert commands == [
        f"modiste evaluate . --together --stages {stages}"
        for stages in ("wide", "deep", "wide,deep")
    ]
    assert "```sh\n" + "\n".join(commands) + "\n```" in finals.markdown


def test_who_has_no_part_in_the_ensembles_is_named_with_the_reason(tmp_path: Path) -> None:
    study = make_study(tmp_path, spec=spec(), num_val=400)
    run = study.stage("wide").rows[0].runs[1]
    answers = {
        f"{what}_{epoch}_RN": np.zeros((1, 400), kind)
        for epoch in ("best", "last")
        for what, kind in (("classes", np.uint8), ("probabilities", np.float16))
    }
    kept = {key: run.predictions[key] for key in ("labels", "image_ids")}
    (run.folder / "predictions-val.npz").unlink()
    (tmp_path / "wide").mkdir()
    np.savez(
        tmp_path / "wide" / "predictions.npz",
        fingerprints_R=np.array([run.fingerprint]),
        labels_N=kept["labels"],
        image_ids_N=kept["image_ids"],
        **answers,
    )
    groups, left_out = ensembles.grouped(gather(Study(tmp_path)))
    assert [group.label for group in groups] == [f"{DEEP}, 2 seeds"]
    assert left_out == [f"{WIDE} (its logits were not kept)"]


def test_models_with_other_images_to_choose_by_have_no_best_single_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path, spec=spec(), num_val=400)
    make_look(study, ["wide", "deep"])
    answers = Study.answers
    groups, left_out = ensembles.grouped(gather(Study(tmp_path)))
    assert [(group.part, len(group.runs)) for group in groups] == [("test", n) for n in (3, 2, 5)]
    assert not left_out
    shallow = {run.fingerprint for run in study.stage("wide").rows[0].runs}

    def of_others(self: Study, run: Run, epoch: Epoch) -> Answers:
        """As where one stage has a number of validation images of its own."""
        given = answers(self, run, epoch)
        is_wide = run.fingerprint in shallow
        return given if is_wide else given._replace(image_ids_N=given.image_ids_N + 1)

    monkeypatch.setattr(Study, "answers", of_others)
    groups, left_out = ensembles.grouped(gather(Study(tmp_path)))
    # All five answered the same test images; but `modiste evaluate --together` refuses them.
    assert [(group.part, len(group.runs)) for group in groups] == [("test", 3), ("test", 2)]
    assert left_out == ["all 2 final models, 5 runs (they did not answer the same images)"]


def test_the_best_single_one_is_that_of_the_highest_accuracy() -> None:
    few, many = (
        SimpleNamespace(
            metrics={"last": {"val": {"correct": right, "accuracy": right / total, "loss": 0.3}}}
        )
        for right, total in ((95, 100), (180, 200))
    )
    runs: list[Any] = [many, few]
    assert ensembles.best_single(runs, "last") == 1


def test_images_made_worse_stand_side_by_side_for_all_final_models(finals: Written) -> None:
    table = finals.page.by_id("table-stress")
    assert [th.text for th in table.all("th", class_="group")] == [WIDE, DEEP]
    rows = finals.page.table("table-stress")
    assert [row[:2] for row in rows] == [
        ["as they are", ""],
        ["shift", "1 pixel"],
        ["blur", "0.5 pixels"],
    ]
    low, high = wilson(30, 40)
    assert rows[2][2] == rows[2][4] == f"0.7500 {low:.4f}–{high:.4f}"
    assert rows[2][3].startswith("+25.00 ")
    assert "None of these models saw changed images" in finals.page.root.text


def test_models_under_different_changes_stand_in_different_tables(tmp_path: Path) -> None:
    study = make_study(tmp_path, spec=spec(), num_val=400)
    (tmp_path / "figures").mkdir()
    for stage, num in (("wide", 40), ("deep", 60)):
        name = study.stage(stage).rows[0].runs[0].fingerprint[:16]
        np.savez(tmp_path / "figures" / f"stress-{name}.npz", **stress_arrays(num))
    blocks = stress.stressed(gather(Study(tmp_path)))
    assert [getattr(block, "ident", "") for block in blocks] == [
        *("stress", "", "table-stress", "table-stress1"),
    ]


def test_a_damaged_file_of_worse_images_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"stress-{'a' * 16}.npz"
    np.savez(path, right_RN=np.ones((2, 3), bool))
    with pytest.raises(StoreError, match=f"{path.name}: its arrays do not belong together"):
        stress.read(tmp_path, "a" * 64, "x")
    assert stress.read(tmp_path, "b" * 64, "x") is None


def test_errors_unfold_the_probabilities_of_all_ten_classes(finals: Written) -> None:
    item = finals.page.by_id("figure-errors-deep").all("li")[0]
    (more,) = item.all("details")
    lines = [span.text for span in more.all("span")]
    chances = [line for line in lines if re.search(r"(< 0\.01|\d\.\d\d)$", line)]
    assert len(chances) == 10
    assert chances[0].endswith("0.99")


def test_many_classes_get_their_commonest_confusions_in_the_place_of_a_matrix(
    tmp_path: Path,
) -> None:
    names = [f"class {number}" for number in range(40)]
    context = gather(make_study(tmp_path, spec=spec(), num_val=400, class_names=names))
    tables = {
        block.ident: block
        for block in confusions.detail(context, *context.detailed[0])
        if isinstance(block, Table)
    }
    assert set(tables) == {"table-quality-wide", "table-confusion-wide", "table-classes-wide"}
    numbers = [int(row.cells[2].text) for row in tables["table-confusion-wide"].rows]
    assert 0 < len(numbers) <= 30
    assert numbers == sorted(numbers, reverse=True)
    assert len(tables["table-classes-wide"].rows) == 40


def test_what_the_look_showed_is_read_again_without_a_reason(finals: Written) -> None:
    (look,) = (finals.study.folder / "final").iterdir()
    reason = json.loads((look / "look.json").read_text())["reason"]
    commands = [line.text for line in finals.page.by_id("final").all("p", class_="command")]
    assert any(command.startswith("modiste evaluate . ") for command in commands)
    assert not any(reason in command or "--reason" in command for command in commands)
