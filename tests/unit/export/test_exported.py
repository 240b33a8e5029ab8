"""Exporting a trained net: nothing is written unless it answers as before; the card says how."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from onnx import ModelProto

import modiste
from modiste.api.exporting import export_model
from modiste.artifact import extra
from modiste.artifact.describe import onnx_of
from modiste.artifact.folder import data_name
from modiste.counts import UNKNOWN
from modiste.data.decode import decode
from modiste.errors import ArtifactError, DataError, InstallError, SpecError, StoreError
from modiste.evaluate.intervals import wilson
from modiste.evaluate.metrics import probabilities
from modiste.export import certificate, exported
from modiste.export.card import escape
from modiste.export.certificate import compare
from modiste.export.exported import need_new
from modiste.export.model import card as model_card
from modiste.export.model import load_model, save_model
from modiste.runs import files
from modiste.runs.ledger import Ledger, Looked, Tally
from modiste.runs.run import Run, write_run
from modiste.train.task import Task
from modiste.train.work import Worker
from tests import own_images, small
from tests.shipping import NOBODY_LOOKED, Shipped, entry, ship
from tests.synthetic import write_idx

MLP = {"train.epochs": 4, "data.scaling": "standard"}


@pytest.fixture(scope="module", name="shipped")
def _shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    return ship(tmp_path_factory.mktemp("mlp"), MLP, int8=True)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "_LEAST_SECONDS", 0.0)


def read(shipped: Shipped, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shipped.folder / name).read_bytes())
    return found


def card_of(shipped: Shipped) -> str:
    return (shipped.folder / "README.md").read_text("utf-8")


def test_a_card_says_how_the_images_were_divided(shipped: Shipped, tmp_path: Path) -> None:
    assert "to choose by (split seed 0, the same share of every class)" in card_of(shipped)
    data = modiste.load("folder", folder=own_images.write_parts(tmp_path / "pets"))
    model = {"family": "mlp", "params": {"hidden": [4]}}
    run = modiste.fit(data, model, {"epochs": 1}, folder=tmp_path / "runs")
    export_model(run.folder, tmp_path / "out", data_folder=tmp_path / "pets")
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "to choose by (the validation part that the set came with)" in text
    assert "split seed" not in text


# --- the proof ------------------------------------------------------------------------------------


def test_the_certificate_counts_every_validation_image(shipped: Shipped) -> None:
    parity = read(shipped, "certificate.json")["parity"]
    assert parity["images"] == small.NUM_VAL
    assert parity["flips"] == 0
    # Two layers of float32; see the contract of exported nets.
    assert 0 <= parity["largest_difference"] < 5e-5
    right = Run(shipped.run).metrics["last"]["val"]["correct"]
    assert parity["correct_before"] == parity["correct_after"] == right


def test_its_hashes_and_sizes_are_those_of_the_files(shipped: Shipped) -> None:
    listed = read(shipped, "certificate.json")["files"]
    assert set(listed) >= {"model.onnx", "model.safetensors", "config.json", "README.md"}
    for name, listed_entry in listed.items():
        assert listed_entry["bytes"] == (shipped.folder / name).stat().st_size


def test_times_are_of_one_thread_and_say_how_often_they_were_taken(shipped: Shipped) -> None:
    found = read(shipped, "certificate.json")["latency"]
    assert set(found) == {"model.onnx", "model-int8.onnx"}
    for times in found.values():
        assert times["threads"] == 1
        assert 0 < times["single_ms"]["median"] <= times["single_ms"]["p95"]
        assert times["single_runs"] >= 20
        assert times["batch_ms_per_image"] > 0


def test_8_bits_say_what_they_change_and_are_smaller(shipped: Shipped) -> None:
    found = read(shipped, "certificate.json")
    change = found["int8"]
    assert change["images"] == small.NUM_VAL
    assert 1e-6 < change["largest_difference"] < 0.5  # not the same model, and not another one
    moved = change["correct_after"] - change["correct_before"]
    assert change["accuracy_change"]["mean"] == pytest.approx(moved / small.NUM_VAL)
    assert found["files"]["model-int8.onnx"]["bytes"] < found["files"]["model.onnx"]["bytes"] / 2


def wrong(model: ModelProto) -> ModelProto:
    """The same net with its answers in another order."""
    bias = next(t for t in model.graph.initializer if t.name == "dense_1.bias")
    values = np.frombuffer(bias.raw_data, np.float32) + 9 * np.eye(10, dtype=np.float32)[3]
    bias.raw_data = values.astype(np.float32).tobytes()
    return model


def test_one_other_answer_and_nothing_is_written(
    shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported, "onnx_of", lambda *arguments: wrong(onnx_of(*arguments)))
    with pytest.raises(ArtifactError, match=r"answers \d+ of 30 validation images otherwise"):
        export_model(shipped.run, tmp_path / "out", data_folder=shipped.data)
    assert not (tmp_path / "out").exists()


def test_a_flip_and_a_shift_are_both_refused_and_a_rounding_is_not() -> None:
    before, labels = np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([0, 1])
    flipped = np.array([[0.4999, 0.5001], [0.3, 0.7]])
    compare(before, before + 1e-6, labels).check("x")
    with pytest.raises(ArtifactError, match="answers 1 of 2 validation images otherwise"):
        compare(before, flipped, labels).check("x")
    with pytest.raises(ArtifactError, match=r"answers 0 of 2.*0\.01, allowed 0\.001"):
        compare(before, before + 0.01, labels).check("x")
    with pytest.raises(ArtifactError, match="nan"):
        compare(before, before * np.nan, labels).check("x")


def test_golden_images_have_the_probabilities_of_pytorch(shipped: Shipped) -> None:
    found = read(shipped, "golden/golden.json")
    model = load_model(shipped.run)
    temperature = read(shipped, "config.json")["temperature"]
    rule = modiste.load_artifact(shipped.folder).rule
    assert [row["label"] for row in found["images"]] == sorted(small.data().val.class_names)
    for row in found["images"]:
        pixels = decode(shipped.folder / row["file"], rule)[np.newaxis]
        logits = model.predictor.logits(pixels).astype(np.float64)
        expected = probabilities(logits / temperature)[0]
        assert row["probabilities"] == pytest.approx(expected.tolist(), abs=5e-5)


def test_images_need_not_leave_with_the_model(shipped: Shipped, tmp_path: Path) -> None:
    export_model(shipped.run, tmp_path / "out", golden="noise", data_folder=shipped.data)
    found = json.loads((tmp_path / "out" / "golden" / "golden.json").read_bytes())
    assert found["origin"] == "noise, drawn at random"
    assert {row["label"] for row in found["images"]} == {None}
    assert dict(modiste.verify_export(tmp_path / "out"))["golden images"].startswith("8 get")


# --- where it comes from --------------------------------------------------------------------------


def test_the_best_epoch_can_be_asked_for(shipped: Shipped, tmp_path: Path) -> None:
    found = export_model(shipped.run, tmp_path / "out", epoch="best", data_folder=shipped.data)
    run = Run(shipped.run)
    parity = found["certificate"]["parity"]
    assert parity["correct_after"] == run.metrics["best"]["val"]["correct"]
    assert json.loads((tmp_path / "out" / "config.json").read_bytes())["epoch"] == "best"


def test_a_model_folder_gives_the_same_graph_as_its_run(shipped: Shipped, tmp_path: Path) -> None:
    save_model(Run(shipped.run), "last", tmp_path / "model", "a card", NOBODY_LOOKED)
    export_model(tmp_path / "model", tmp_path / "out", data_folder=shipped.data)
    assert (tmp_path / "out" / "model.onnx").read_bytes() == (
        shipped.folder / "model.onnx"
    ).read_bytes()
    with pytest.raises(SpecError, match=r"--epoch best: .* the weights of the last epoch alone"):
        export_model(tmp_path / "model", tmp_path / "two", epoch="best", data_folder=shipped.data)


def test_a_model_from_before_temperatures_gets_one(shipped: Shipped, tmp_path: Path) -> None:
    save_model(Run(shipped.run), "last", tmp_path / "model", "a card", NOBODY_LOOKED)
    config = json.loads((tmp_path / "model" / "config.json").read_bytes())
    del config["temperature"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_bytes())
    manifest["files"]["config.json"] = entry(tmp_path / "model" / "config.json")
    (tmp_path / "model" / "manifest.json").write_bytes(files.resealed(manifest))
    export_model(tmp_path / "model", tmp_path / "out", data_folder=shipped.data)
    found = json.loads((tmp_path / "out" / "config.json").read_bytes())
    assert found["temperature"] == read(shipped, "config.json")["temperature"] != 1.0


def test_validation_images_that_were_all_answered_rightly_give_no_temperature(
    tmp_path: Path,
) -> None:
    shipped = ship(tmp_path, {**MLP, "train.epochs": 30})
    val = Run(shipped.run).metrics["last"]["val"]
    assert val["correct"] == val["total"]
    assert read(shipped, "config.json")["temperature"] == 1.0
    figures = shipped.found["certificate"]["figures"]
    assert figures["after_temperature"] == figures["before_temperature"]
    assert "Logits are not divided by a temperature" in card_of(shipped)
    # Of loss and Brier score right answers alone tell no interval, and the card says so.
    assert figures["before_temperature"]["loss"]["interval"] is None
    assert "(-) in place of an interval: fewer than 5 answers are wrong" in card_of(shipped)
    # A model that is saved says the same.
    save_model(Run(shipped.run), "last", tmp_path / "model", "a card", NOBODY_LOOKED)
    assert json.loads((tmp_path / "model" / "config.json").read_bytes())["temperature"] == 1.0
    assert "| temperature | 1, as validation" in model_card(
        Run(shipped.run), "last", "a title", NOBODY_LOOKED
    )


def test_data_are_called_by_their_own_name_and_in_older_folders_by_their_source(
    shipped: Shipped, tmp_path: Path
) -> None:
    run = Run(shipped.run)
    assert "mlp on small squares, seed 0" in run._repr_html_()
    save_model(run, "last", tmp_path / "model", "a card", NOBODY_LOOKED)
    for folder in (tmp_path / "model", shipped.folder):
        config = json.loads((folder / "config.json").read_bytes())
        assert data_name(config) == config["data_name"] == "small squares"
    del config["data_name"]
    assert data_name(config) == "idx"
    # A name is whatever somebody called a folder.
    run.metrics["data_name"] = "<b>|pets"
    assert r"| data | \<b\>\|pets, digest" in model_card(run, "last", "a title", NOBODY_LOOKED)
    assert "mlp on &lt;b&gt;|pets" in run._repr_html_()
    del run.metrics["data_name"]
    assert "mlp on idx, seed 0" in run._repr_html_()
    assert "| data | idx, digest" in model_card(run, "last", "a title", NOBODY_LOOKED)


def test_a_card_says_all_that_validation_images_chose(shipped: Shipped) -> None:
    run = Run(shipped.run)
    kept = "which models of the study to keep"
    for epoch, chosen in (("best", f"which epoch is the best and {kept}"), ("last", kept)):
        text = model_card(run, epoch, "a title", NOBODY_LOOKED, kept)
        assert f"The validation images chose {chosen}, so their figure leans" in text
    assert "chose" not in model_card(run, "last", "a title", NOBODY_LOOKED)


def spoil_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize(
    "damage",
    [
        spoil_weights,
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{}"),
        lambda folder: (folder / "manifest.json").unlink(),
    ],
    ids=["weights", "no weights", "manifest", "no manifest"],
)
def test_a_damaged_model_is_written_again_and_a_whole_one_is_not(
    damage: Callable[[Path], object], shipped: Shipped, tmp_path: Path
) -> None:
    def save() -> None:
        save_model(Run(shipped.run), "last", folder, "a card", NOBODY_LOOKED)

    folder = tmp_path / "model"
    save()
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    before = folder.stat().st_ino
    save()
    assert folder.stat().st_ino == before
    damage(folder)
    with pytest.raises(StoreError):
        load_model(folder)
    save()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_an_exported_folder_is_a_model_folder_too(shipped: Shipped) -> None:
    images = small.data().val.images_NCHW[:5]
    torch_says = load_model(shipped.folder).probabilities(images)
    onnx_says = modiste.load_artifact(shipped.folder).probabilities(images)
    assert np.abs(torch_says - onnx_says).max() < 5e-5


def test_other_data_than_it_was_trained_on_proves_nothing(shipped: Shipped, tmp_path: Path) -> None:
    other = write_idx(tmp_path / "other", num_train=small.NUM_IMAGES, seed=5)
    with pytest.raises(DataError, match="holds other images than those that this model"):
        export_model(shipped.run, tmp_path / "out", data_folder=other)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_never_overwritten(shipped: Shipped, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for target in (shipped.folder, tmp_path / "file"):
        with pytest.raises(StoreError, match="there is something of that name"):
            export_model(shipped.run, target, data_folder=shipped.data)


def test_where_nothing_can_be_written_that_is_said_before_anything_is_computed(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"nothing can be written in .*file\. Name another"):
        need_new(tmp_path / "file" / "deep" / "out")
    need_new(tmp_path / "new" / "deep" / "out")


def test_words_that_mean_nothing_are_refused(shipped: Shipped, tmp_path: Path) -> None:
    for options, said in (
        ({"golden": "test"}, "expected validation or noise"),
        ({"epoch": "first"}, "expected best or last"),
        ({"licence": " "}, "expected a name, such as mit"),
    ):
        with pytest.raises(SpecError, match=said):
            export_model(shipped.run, tmp_path / "out", data_folder=shipped.data, **options)  # type: ignore[arg-type]


def test_a_model_that_is_no_net_has_nothing_to_export(tmp_path: Path) -> None:
    data = small.data()
    spec = small.run_spec({"model": {"family": "majority"}})
    record = Worker(lambda _: data).work(Task(spec, "f" * 64, None, float("inf"))).record
    assert record is not None
    write_run(record, tmp_path / "run")
    with pytest.raises(SpecError, match="fitted in one go and is no net"):
        export_model(tmp_path / "run", tmp_path / "out")


@pytest.mark.parametrize("epoch", [None, "best"])
def test_a_run_that_diverged_has_nothing_to_export(tmp_path: Path, epoch: str | None) -> None:
    data = small.data()
    spec = small.run_spec({"train.optimizer": {"name": "sgd", "learning_rate": 1e30}})
    record = Worker(lambda _: data).work(Task(spec, "f" * 64, None, float("inf"))).record
    assert record is not None
    write_run(record, tmp_path / "run")
    with pytest.raises(StoreError, match=r"this run has no weights: diverged \("):
        export_model(tmp_path / "run", tmp_path / "out", epoch=epoch)
    assert not (tmp_path / "out").exists()


def test_the_certificate_counts_which_classes_are_taken_for_which(shipped: Shipped) -> None:
    figures = read(shipped, "certificate.json")["figures"]
    counts = np.array(figures["confusion"])
    assert counts.sum() == figures["images"]
    assert counts.trace() / counts.sum() == figures["accuracy"]["value"]
    # A row for each right class, as the shares found of it say.
    assert counts.sum(axis=1).tolist() == [row["images"] for row in figures["recall"]]
    found = [row["value"] for row in figures["recall"]]
    assert (counts.diagonal() / counts.sum(axis=1)).tolist() == pytest.approx(found)


def test_of_more_classes_than_a_page_shows_there_is_no_table() -> None:
    labels_N = np.arange(101)
    assert "confusion" in certificate.figures(np.eye(100), 1.0, labels_N[:100])
    assert "confusion" not in certificate.figures(np.eye(101), 1.0, labels_N)


def test_without_the_extra_it_says_what_to_install(
    shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extra.PACKAGES, "export", ("onnx_that_nobody_has",))
    with pytest.raises(InstallError, match=r"modiste export needs onnx_that_nobody_has"):
        export_model(shipped.run, tmp_path / "out")
    with pytest.raises(InstallError, match=r"pip install 'modiste\[export\]'"):
        modiste.verify_export(shipped.folder)
    with pytest.raises(InstallError, match="an exported model needs"):
        modiste.load_artifact(shipped.folder)


# --- the card -------------------------------------------------------------------------------------


def test_the_head_of_the_card_is_what_the_hub_reads(shipped: Shipped) -> None:
    text = card_of(shipped)
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["pipeline_tag"] == "image-classification"
    assert head["license"] == "unknown"
    assert head["model-index"][0]["name"] == "mlp on small squares"
    assert "\n# mlp on small squares\n" in text
    (result,) = head["model-index"][0]["results"]
    assert result["dataset"] == {
        "type": "small-squares",
        "name": "small squares",
        "split": "validation",
    }
    assert "datasets" not in head
    assert result["metrics"][0]["value"] == pytest.approx(
        read(shipped, "certificate.json")["figures"]["accuracy"]["value"], abs=5e-5
    )


def test_the_card_states_what_can_be_believed(shipped: Shipped) -> None:
    text, found = card_of(shipped), read(shipped, "certificate.json")
    accuracy = found["figures"]["accuracy"]
    low, high = accuracy["interval"]
    digest = Run(shipped.run).metrics["data_digest"][:16]
    for words in (
        f"| accuracy | {accuracy['value']:.4f} | {low:.4f} to {high:.4f} |",
        "On the 30 validation images",
        "## Limits",
        "It knows its classes and no other",
        "were not measured",
        "One training, one split.",
        f"| data | small squares, digest `{digest}` |",
        f"`{Run(shipped.run).fingerprint}`",
        "90 images to fit, 30 to stop and to choose by",
        "It was not opened for this model. Looks at this test set so far",
        "0 other answers",
        "`model-int8.onnx` is not the same model",
        "calibration error (ECE)",
        f"Logits are divided by {found['figures']['temperature']:g}",
        "None was stated. Ask whoever exported it",
        "of the same inverted",
    ):
        assert words in text


def test_the_card_is_plain_markdown_whatever_the_names_are(shipped: Shipped) -> None:
    assert escape("=cmd()|<img onerror=x>\n# b") == r"=cmd()\|\<img onerror=x\> \# b"
    lines = card_of(shipped).splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) > 20
    assert all(re.fullmatch(r"\|( [^|]* \|)+", line) for line in tables)


def test_the_code_of_the_card_runs_as_it_stands(shipped: Shipped, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", card_of(shipped), re.DOTALL)
    folder = shutil.copytree(shipped.folder, tmp_path / "taken")
    answer = subprocess.run(
        [sys.executable, "-c", code + "print(probabilities.argmax(), float(probabilities.sum()))"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    number, total = answer.stdout.split()
    expected: NDArray[np.float64] = np.array(
        read(shipped, "golden/golden.json")["images"][0]["probabilities"]
    )
    assert int(number) == int(expected.argmax())
    assert float(total) == pytest.approx(1.0, abs=1e-6)


def test_looks_at_the_test_set_travel_with_the_model(shipped: Shipped, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(shipped.run, study / "runs" / "one")
    run = Run(study / "runs" / "one")
    ledger = Ledger(run.metrics["data_digest"], folder=study / "ledger")
    head = ledger.append("look", {"reason": "to | see", "runs": [run.fingerprint]})
    score = {"loss": 0.5, "accuracy": 0.75, "correct": 150, "total": 200}
    row = {
        "stage": "",
        "label": "one",
        "seed": 0,
        "fingerprint": run.fingerprint,
        "best": score,
        "last": score,
    }
    look = {"reason": "to | see", **ledger.tally().to_dict(), "runs": [row]}
    files.write_folder(study / "final" / "x", {"look.json": files.to_json(look)})
    found = export_model(run.folder, tmp_path / "out", data_folder=shipped.data)
    test = found["certificate"]["test"]
    assert (test["looks"], test["ledger_head"]) == (1, head)
    assert test["measured"]["correct"] == 150
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    low, high = wilson(150, 200)
    assert f"Accuracy 0.7500 ({low:.4f} to {high:.4f}) on 200 images" in text
    assert r"Stated reason of that look: to \| see." in text
    assert "Looks at this test set so far, by its ledger: 1. The ledger is that of whoever" in text
    assert f"entries: 1; head: `{head}`." in text
    config = json.loads((tmp_path / "out" / "config.json").read_bytes())
    assert config["test"] == test
    # A ledger that was shortened is no ledger any more.
    ledger.path.write_bytes(b"")
    found = export_model(run.folder, tmp_path / "two", data_folder=shipped.data)
    assert found["certificate"]["test"]["looks"] == UNKNOWN
    text = (tmp_path / "two" / "README.md").read_text("utf-8")
    trouble = "entries that its head speaks of are not there"
    assert f"Test looks unknown: the ledger does not add up ({trouble})." in text


def test_a_model_on_its_own_says_what_was_known_when_it_was_written(
    shipped: Shipped, tmp_path: Path
) -> None:
    measured = {"accuracy": 0.5, "interval": [0.4, 0.6], "total": 90, "reason": "to see"}
    known = Looked(Tally(3, 1, "ab" * 32, 9), measured)
    save_model(Run(shipped.run), "last", tmp_path / "far" / "away" / "model", "a card", known)
    found = export_model(
        tmp_path / "far" / "away" / "model", tmp_path / "out", data_folder=shipped.data
    )
    assert Looked.of(found["certificate"]["test"]) == known
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "by its ledger: 3. Comparisons with other images, which give no accuracy: 1." in text
    assert "ab" * 32 in text
