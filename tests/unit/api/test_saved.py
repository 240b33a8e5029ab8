"""A fitted `ImageClassifier` on disk: read by itself, by `modiste predict` and by `evaluate`."""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import NotFittedError
from typer.testing import CliRunner

import modiste
from modiste import ImageClassifier
from modiste.cli.main import app
from modiste.errors import DataError, InputError, ModisteError, StoreError
from modiste.runs import files


def rows_of_light(labels: Any = ("cat", "dog")) -> tuple[Any, Any]:
    """60 images of 6 x 5, uint8; which row is bright tells the class."""
    chance = np.random.default_rng(0)
    y = np.arange(60) % len(labels)
    X = chance.integers(0, 60, (60, 6, 5), np.uint8)
    X[np.arange(60), y] += 180
    return X, np.array(labels)[y]


def rewrite(folder: Path, name: str, values: Any) -> None:
    """Another content of a JSON file, as if it had been written so."""
    content = files.to_json(values)
    (folder / name).write_bytes(content)
    manifest = files.read_manifest(folder)
    manifest["files"][name]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_bytes(files.sealed(manifest))


@pytest.fixture(scope="module")
def fitted() -> ImageClassifier:
    return ImageClassifier("cnn", {"filters": [4]}, epochs=12, batch_size=16).fit(*rows_of_light())


@pytest.mark.parametrize(
    "labels",
    [("cat", "dog"), (3, 17), (1.0, 2.0), (False, True)],
    ids=["words", "ints", "floats", "truth"],
)
def test_what_is_saved_answers_as_before(tmp_path: Path, labels: Any) -> None:
    X, y = rows_of_light(labels)
    net = ImageClassifier("mlp", {"hidden": (4,)}, epochs=3, random_state=None).fit(X, y)
    again = ImageClassifier.load(net.save(tmp_path / "net"))
    assert again.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    assert again.predict(X).tolist() == net.predict(X).tolist()
    assert again.classes_.dtype == net.classes_.dtype
    assert again.history_ == net.history_
    assert again.validation_.logits_NK.tobytes() == net.validation_.logits_NK.tobytes()
    names = ("image_shape_", "n_features_in_", "class_names_", "epoch_")
    assert all(getattr(again, name) == getattr(net, name) for name in names)
    # What is loaded can be saved, and be fitted again to the same bits.
    twice = ImageClassifier.load(again.save(tmp_path / "twice"))
    assert twice.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    assert again.fit(X, y).predict_proba(X).tobytes() == net.predict_proba(X).tobytes()


def test_parameters_come_back_as_they_were(tmp_path: Path) -> None:
    X, y = rows_of_light()
    shift = ("shift", {"name": "mirror", "probability": 0.3})
    named = ["one", "two"]
    net = ImageClassifier("mlp", {"hidden": (4,)}, epochs=1, augment=shift, class_names=named)
    for each in (net, ImageClassifier("mlp", {"hidden": [4]}, epochs=1)):
        again = ImageClassifier.load(each.fit(X, y).save(tmp_path / "net"))
        assert again.get_params() == each.get_params()


def test_a_pickle_that_is_mapped_into_memory_answers_as_before(tmp_path: Path) -> None:
    X, y = rows_of_light()
    joblib = importlib.import_module("joblib")
    net = ImageClassifier("mlp", {"hidden": (4,)}, epochs=1).fit(X, y)
    joblib.dump(net, tmp_path / "net.joblib")
    again = joblib.load(tmp_path / "net.joblib", mmap_mode="r")  # a warning is an error here
    assert again.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()


def test_names_of_columns_are_kept(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(np.random.default_rng(0).random((30, 3)), columns=["a", "b", "c"])
    net = ImageClassifier(epochs=1).fit(table, [0, 1] * 15)
    again = ImageClassifier.load(net.save(tmp_path / "net"))
    assert again.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(InputError, match="feature names should match"):
        again.predict(table[["b", "a", "c"]])


def test_the_command_line_predicts_and_evaluates_it(
    fitted: ImageClassifier, tmp_path: Path
) -> None:
    X, _ = rows_of_light()
    folder = fitted.save(tmp_path / "net")
    Image.fromarray(X[1]).save(tmp_path / "dog.png")
    answer = CliRunner().invoke(app, ["predict", str(folder), str(tmp_path / "dog.png"), "--json"])
    (said,) = json.loads(answer.stdout)["predictions"]
    assert said["class"] == "dog"
    shares = dict(zip(fitted.classes_, fitted.predict_proba(X[1:2])[0], strict=True))
    assert said["probabilities"] == pytest.approx(shares)
    answer = CliRunner().invoke(app, ["evaluate", str(folder), "--json"])
    found = json.loads(answer.stdout)
    assert found["num_images"] == len(fitted.validation_) == 6
    assert found["runs"][0]["last"]["accuracy"] == fitted.history_["val_accuracy"][-1]
    assert modiste.evaluate(folder).to_dict() == found


def test_no_test_set_is_behind_it(
    fitted: ImageClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = fitted.save(tmp_path / "net")
    for ask in (
        lambda: modiste.evaluate(folder, final=True, reason="to see"),
        lambda: modiste.reproduce(folder),
    ):
        with pytest.raises(DataError, match="handed over as arrays"):
            ask()
    assert not Path("runs").exists()  # where a run would have gone
    assert not (tmp_path / ".home" / "ledger").exists()


def test_who_exports_a_classifier_is_told_how_to_train_on_a_file(
    fitted: ImageClassifier, tmp_path: Path
) -> None:
    folder = fitted.save(tmp_path / "net")
    with pytest.raises(DataError, match=r"np\.savez\('all\.npz'.*modiste\.load\('all\.npz'\)"):
        modiste.export_model(folder, tmp_path / "away")


def test_a_classifier_is_exported_with_proof_on_the_images_it_held_back(
    fitted: ImageClassifier, tmp_path: Path
) -> None:
    X, y = rows_of_light()
    there = ImageClassifier.load(fitted.save(tmp_path / "net"))
    found = there.export(tmp_path / "away", X, y, licence="mit")
    assert found["certificate"]["parity"]["flips"] == 0
    assert found["certificate"]["parity"]["images"] == len(fitted.validation_.labels_N)
    assert modiste.verify_export(tmp_path / "away", found["digest"])
    model = modiste.load_artifact(tmp_path / "away")
    assert list(model.class_names) == ["cat", "dog"]
    answers = model.probabilities(X[:, np.newaxis])
    np.testing.assert_allclose(answers, fitted.predict_proba(X), atol=1e-5)
    assert "license: mit" in (tmp_path / "away" / "README.md").read_text("utf-8")
    # It was never measured on a test set, and says so.
    assert json.loads((tmp_path / "away" / "config.json").read_text())["test"]["measured"] is None


def test_other_images_than_those_of_fit_prove_no_export(
    fitted: ImageClassifier, tmp_path: Path
) -> None:
    X, y = rows_of_light()
    other = X.copy()
    other[0, 0, 0] ^= 1
    for images, labels in ((other, y), (X[::-1], y[::-1]), (X[:50], y[:50]), (X, y[::-1])):
        with pytest.raises(InputError, match="X and y are not those of fit"):
            fitted.export(tmp_path / "away", images, labels)
    with pytest.raises(InputError, match="inconsistent numbers of samples"):
        fitted.export(tmp_path / "away", X, y[:50])
    with pytest.raises(InputError, match="'cow', which is none of the 2 classes"):
        fitted.export(tmp_path / "away", X, np.where(y == "cat", "cow", y))
    with pytest.raises(NotFittedError):
        ImageClassifier().export(tmp_path / "away", X, y)
    assert not (tmp_path / "away").exists()
    (tmp_path / "away").mkdir()
    with pytest.raises(StoreError, match="an export is written once"):
        fitted.export(tmp_path / "away", X, y)


def test_what_no_image_file_can_hold_is_not_exported(tmp_path: Path) -> None:
    X, y = rows_of_light()
    floats = ImageClassifier(epochs=1).fit(X / 255.0, y)
    with pytest.raises(InputError, match=r"fitted on float64.*Fit it on X as uint8"):
        floats.export(tmp_path / "away", X / 255.0, y)
    rows = X.reshape(len(X), -1)
    with pytest.raises(DataError, match="was fitted on rows of 30 numbers"):
        ImageClassifier(epochs=1).fit(rows, y).export(tmp_path / "away", rows, y)
    assert not (tmp_path / "away").exists()


def test_who_exports_a_run_on_arrays_is_told_to_save_them_and_then_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = rows_of_light()
    run = modiste.fit(modiste.from_arrays(X, y), "mlp", {"epochs": 1}, folder="runs")
    with pytest.raises(DataError, match=r"modiste\.from_arrays.*np\.savez\('all\.npz', images="):
        modiste.export_model(run, "away")
    np.savez("all.npz", images=X, labels=y)
    modiste.export_model(run, "away", data_folder="all.npz")
    assert Path("away", "model.onnx").is_file()


def test_a_net_of_floats_refuses_image_files(tmp_path: Path) -> None:
    X, y = rows_of_light()
    folder = ImageClassifier(epochs=1).fit(X / 255, y).save(tmp_path / "net")
    Image.fromarray(X[0]).save(tmp_path / "cat.png")
    answer = CliRunner().invoke(app, ["predict", str(folder), str(tmp_path / "cat.png")])
    assert isinstance(answer.exception, DataError)
    assert "trained on arrays of float64" in str(answer.exception)
    assert "fitted on arrays of float64" in (folder / "README.md").read_text("utf-8")


def test_rows_that_are_no_squares_take_no_image_files_unless_their_shape_is_said(
    tmp_path: Path,
) -> None:
    X, y = rows_of_light()
    Image.fromarray(X[0]).save(tmp_path / "cat.png")
    rows = X.reshape(len(X), -1)
    flat = ImageClassifier(epochs=1).fit(rows, y).save(tmp_path / "flat")
    answer = CliRunner().invoke(app, ["predict", str(flat), str(tmp_path / "cat.png")])
    assert isinstance(answer.exception, DataError)
    assert "was fitted on rows of 30 numbers" in str(answer.exception)
    assert ImageClassifier.load(flat).predict(rows).shape == (60,)
    again = ImageClassifier.load(flat).save(tmp_path / "again")  # it is remembered
    answer = CliRunner().invoke(app, ["predict", str(again), str(tmp_path / "cat.png")])
    assert isinstance(answer.exception, DataError)
    said = ImageClassifier(epochs=1, image_shape=(6, 5)).fit(rows, y).save(tmp_path / "said")
    answer = CliRunner().invoke(app, ["predict", str(said), str(tmp_path / "cat.png")])
    assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("kind", ["int64", "uint16", "bool"])
def test_other_kinds_of_whole_numbers_answer_for_bytes_or_say_why_not(kind: str) -> None:
    X, y = rows_of_light()
    learnt = (X > 100) if kind == "bool" else X.astype(kind)
    net = ImageClassifier(epochs=2, random_state=0).fit(learnt, y)
    if kind == "bool":
        assert net.predict((X > 100).astype(np.uint8)).shape == (60,)
    else:
        assert (net.predict(X) == net.predict(learnt)).all()
    bytes_net = ImageClassifier(epochs=1).fit(X, y)
    with pytest.raises(InputError, match="X holds truth values"):
        bytes_net.predict(X > 100)


def test_what_numbers_it_learnt_from_is_kept(tmp_path: Path) -> None:
    X, y = rows_of_light()
    net = ImageClassifier("mlp", epochs=1).fit(X / 255, y)
    folder = net.save(tmp_path / "net")
    for again in (ImageClassifier.load(folder), copy.deepcopy(net)):
        with pytest.raises(InputError, match=r"whole numbers, 0 to \d+ \(int64\), .* fitted on fl"):
            again.predict(X.astype(int))
    # A model of before that was kept answers as it did.
    described = json.loads((folder / "classifier.json").read_text("utf-8"))
    del described["limits"]
    rewrite(folder, "classifier.json", described)
    assert ImageClassifier.load(folder).predict(X.astype(int)).shape == (60,)


def test_a_model_is_replaced_and_nothing_else_is(fitted: ImageClassifier, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "net")
    X, y = rows_of_light((1, 2))
    ImageClassifier("mlp", epochs=1).fit(X, y).save(folder)
    assert ImageClassifier.load(folder).classes_.tolist() == [1, 2]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(StoreError, match="is there and holds no classifier"):
        fitted.save(mine)
    with pytest.raises(StoreError, match="cannot be written"):
        fitted.save(mine / "letter.txt" / "net")
    assert {path.name for path in tmp_path.iterdir()} - {".home"} == {"mine", "net"}


@pytest.mark.parametrize("name", ["config.json", "classifier.json"])
def test_a_folder_of_somebody_elses_is_left_alone_whatever_its_files_are_called(
    fitted: ImageClassifier, tmp_path: Path, name: str
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / name).write_text('{"my": "app"}', encoding="utf-8")
    (mine / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(StoreError, match="is there and holds no classifier"):
        fitted.save(mine)
    assert {path.name for path in mine.iterdir()} == {name, "thesis.txt"}


def test_what_was_put_beside_a_classifier_is_not_lost_with_it(
    fitted: ImageClassifier, tmp_path: Path
) -> None:
    folder = fitted.save(tmp_path / "net")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StoreError, match=r"it holds notes\.txt, which would be lost"):
        fitted.save(folder)
    assert (folder / "notes.txt").read_text("utf-8") == "mine"
    ImageClassifier.load(folder)
    (folder / "notes.txt").unlink()
    (tmp_path / "latest").symlink_to(folder)
    fitted.save(tmp_path / "latest")
    assert (tmp_path / "latest").is_symlink()
    ImageClassifier.load(folder)


def test_what_was_changed_on_disk_is_noticed(fitted: ImageClassifier, tmp_path: Path) -> None:
    for name in ("classifier.json", "model.safetensors", "run/history.csv"):
        folder = fitted.save(tmp_path / "net")
        path = folder / name
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(StoreError, match="not what was written"):
            ImageClassifier.load(folder)
    with pytest.raises(StoreError, match=r"holds no classifier\.json"):
        ImageClassifier.load(tmp_path)


def test_what_cannot_be_saved_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError) as caught:
        ImageClassifier().save(tmp_path / "net")
    assert isinstance(caught.value, ModisteError)
    X, y = rows_of_light()
    dates = np.array(["2026-01-01", "2026-01-02"], "datetime64[D]").astype(object)
    net = ImageClassifier(epochs=1).fit(X, (y == "dog").astype(int))
    net.classes_ = dates
    with pytest.raises(InputError, match="cannot be written as JSON"):
        net.save(tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_no_pickle_lies_in_the_folder(fitted: ImageClassifier, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "net")
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds == {".json", ".csv", ".npz", ".safetensors", ".md"}
    with np.load(folder / "run" / "predictions-val.npz", allow_pickle=False) as arrays:
        assert len(arrays["labels"]) == 6
