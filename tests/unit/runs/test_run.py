"""A run folder gives back what the run left behind, and notices when it changes."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from modiste.errors import SpecError, StoreError
from modiste.runs import files
from modiste.runs.run import COLUMNS, Run, RunRecord, write_run
from modiste.train.task import Task
from modiste.train.work import Worker
from tests import small


@functools.cache
def record() -> RunRecord:
    data, spec = small.data(), small.run_spec({"train.epochs": 2})
    task = Task(spec, spec.fingerprint(data.digest), None, float("inf"))
    found = Worker(lambda _: data).work(task).record
    assert found is not None
    return found


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_run(record(), tmp_path / "run")
    return Run(tmp_path / "run")


def test_everything_comes_back_as_it_was(run: Run) -> None:
    wanted = record()
    assert run.fingerprint == wanted.fingerprint
    assert run.spec.to_dict() == wanted.spec
    assert (run.metrics, run.layers) == (wanted.metrics, wanted.layers)
    assert run.environment == wanted.environment
    assert [row["epoch"] for row in run.history] == [1, 2]
    for ours, theirs in zip(run.history, wanted.history, strict=True):
        assert tuple(ours) == COLUMNS
        # Floats are written so that they come back bit for bit; only seconds are rounded.
        assert {k: v for k, v in ours.items() if k != "seconds"} == {
            k: v for k, v in theirs.items() if k != "seconds"
        }
        assert ours["seconds"] == pytest.approx(theirs["seconds"], abs=0.0005)
    for name, array in wanted.predictions.items():
        assert np.array_equal(run.predictions[name], array)
    for epoch in ("best", "last"):
        for name, array in run.weights(epoch).items():  # type: ignore[arg-type]
            assert np.array_equal(wanted.weights[f"{epoch}/{name}"], array)


def test_a_folder_may_be_named_by_a_word(run: Run) -> None:
    assert Run(str(run.folder)).metrics == run.metrics


def test_the_folder_can_be_read_without_us(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "spec.json",
        "environment.json",
        "history.csv",
        "predictions-val.npz",
        "metrics.json",
        "layers.json",
        "model.safetensors",
        "manifest.json",
    }
    for path in run.folder.glob("*.json"):
        assert "schema" in json.loads(path.read_text("utf-8")), path.name
    header = (run.folder / "history.csv").read_text("utf-8").splitlines()[0]
    assert header == "epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate,seconds"
    with np.load(run.folder / "predictions-val.npz", allow_pickle=False) as arrays:
        assert arrays["logits_last_NK"].dtype == np.float32
        assert set(arrays.files) == {"logits_best_NK", "logits_last_NK", "labels", "image_ids"}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("spec.json", "spec"),
        ("environment.json", "environment"),
        ("history.csv", "history"),
        ("predictions-val.npz", "predictions"),
        ("metrics.json", "metrics"),
        ("layers.json", "layers"),
    ],
)
def test_a_flipped_bit_in_any_file_is_noticed_when_it_is_asked_for(
    name: str, what: str, run: Run
) -> None:
    content = bytearray((run.folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run.folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}: .* not what was written"):
        getattr(run, what)


def test_a_flipped_bit_in_the_weights_is_noticed(run: Run) -> None:
    path = run.folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not what was written"):
        run.weights("best")


def test_two_hundred_flips_and_cuts_anywhere_are_all_found(run: Run) -> None:
    chance = np.random.default_rng(0)
    paths = sorted(run.folder.iterdir())
    assert len(paths) == 8
    assert run.folder / "environment.json" in paths
    for number in range(200):
        # The manifest, which watches over the others, as often as they.
        path = paths[number % len(paths)]
        content = path.read_bytes()
        place = int(chance.integers(len(content)))
        changed = bytearray(content)
        changed[place] ^= 1 << int(chance.integers(8))
        path.write_bytes(changed if number % 4 else content[:place])
        with pytest.raises(StoreError, match=f"{path.name}: "):
            files.check_folder(run.folder)
        path.write_bytes(content)
        files.check_folder(run.folder)


def test_any_flip_in_a_manifest_is_found(run: Run) -> None:
    path = run.folder / "manifest.json"
    missed = []
    with path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(path.read_bytes()):
            for bit in range(8):
                file.seek(place)
                file.write(bytes([byte ^ 1 << bit]))
                if "manifest.json: " not in refusal(run.folder):
                    missed.append((place, bit))
            file.seek(place)
            file.write(bytes([byte]))
    assert missed == []
    assert refusal(run.folder) == ""


def refusal(folder: Path) -> str:
    """Why a folder's manifest is not read; empty where it is."""
    try:
        files.read_manifest(folder)
    except StoreError as error:
        return str(error)
    return ""


def test_a_manifest_from_before_they_were_sealed_is_read(run: Run) -> None:
    path = run.folder / "manifest.json"
    value = json.loads(path.read_bytes())
    del value["sha256"]
    path.write_bytes(files.to_json({**value, "schema": 1}))
    files.check_folder(run.folder)
    run.drop_weights("dropped: for the test")
    assert json.loads(path.read_bytes())["schema"] == 1
    del value["files"]["history.csv"]["sha256"]
    path.write_bytes(files.to_json({**value, "schema": 1}))
    with pytest.raises(StoreError, match=r"manifest\.json: is not what was written"):
        assert Run(run.folder).history == []


def test_dropping_weights_keeps_all_the_rest(run: Run) -> None:
    assert run.has_weights
    run.drop_weights("dropped: not among the best of its stage")
    assert not run.has_weights
    again = Run(run.folder)
    with pytest.raises(StoreError, match="not among the best"):
        again.weights("last")
    assert again.metrics == record().metrics
    assert len(again.predictions["logits_best_NK"]) == small.NUM_VAL
    again.drop_weights("another reason")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="no run folder"):
            Run(place)


def test_a_run_that_computed_nothing_is_a_folder_as_well(tmp_path: Path) -> None:
    empty = dataclasses.replace(record(), history=[], predictions={}, weights={})
    write_run(empty, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.history == []
    assert not run.has_weights
    with pytest.raises(StoreError, match="knows no such file"):
        run.weights("best")


def test_a_run_that_diverged_says_why_it_has_no_weights(tmp_path: Path) -> None:
    metrics = {**record().metrics, "status": "diverged", "reason": "too fast"}
    write_run(dataclasses.replace(record(), metrics=metrics, weights={}), tmp_path / "run")
    with pytest.raises(StoreError, match=r"no weights: diverged \(too fast\)"):
        Run(tmp_path / "run").weights("last")


def test_a_model_folder_is_no_run_and_names_the_one_it_came_from(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "runs" / run.fingerprint[:16]
    place.parent.mkdir()
    run.folder.rename(place)
    model = tmp_path / "models" / "final"
    content = {"config.json": files.to_json({"fingerprint": run.fingerprint})}
    manifest = files.sealed({"schema": 2, "files": files.entries(content)})
    files.write_folder(model, content, manifest)
    with pytest.raises(StoreError, match=rf"no run folder \(it is a model folder; .* is {place}\)"):
        Run(model)
    place.rename(tmp_path / "gone")
    with pytest.raises(StoreError, match=f"its run has the fingerprint {run.fingerprint[:16]}"):
        Run(model)
    (model / "config.json").unlink()
    with pytest.raises(StoreError, match=r"no run folder \(it holds no spec\.json\)"):
        Run(model)


def test_a_run_that_lost_its_spec_is_a_damaged_run(run: Run) -> None:
    (run.folder / "spec.json").unlink()
    with pytest.raises(StoreError, match=r"spec\.json"):
        _ = Run(run.folder).spec


def test_an_epoch_that_there_is_not_is_refused(run: Run) -> None:
    with pytest.raises(SpecError, match=r"no epoch is named 'bst'\. Did you mean 'best'"):
        run.weights("bst")  # type: ignore[arg-type]
