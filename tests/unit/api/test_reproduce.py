"""A run trained again from its record: what is compared, what is said, what it leaves behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import modiste
from modiste.data.load import TrainingData
from modiste.errors import DataError, Interrupted, SpecError, StoreError
from modiste.runs import files
from modiste.runs.environment import environment
from modiste.runs.run import Run, RunRecord, write_run
from modiste.search.collect import collect, lighter
from modiste.search.study import Study
from modiste.spec.run import RunSpec
from modiste.train import work
from modiste.train.machine import put_back
from modiste.train.task import Progress, Task
from modiste.train.work import Worker
from tests import small
from tests.driving import Script
from tests.synthetic import write_idx

TRAIN: dict[str, Any] = {"epochs": 3, "batch_size": 50}
MLP: dict[str, Any] = {"family": "mlp", "params": {"hidden": [8], "dropout": 0.2}}
CNN: dict[str, Any] = {"family": "cnn", "params": {"filters": [3, 4], "dropout": 0.2}}


@pytest.fixture(scope="module")
def data(synthetic_folder: Path) -> TrainingData:
    return modiste.load("idx", folder=synthetic_folder, num_val=100)


@pytest.fixture
def at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is told, and wishes are asked for, after every update, however fast."""
    monkeypatch.setattr(work, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(work, "TELL_SECONDS", 0.0)


@pytest.fixture
def again(synthetic_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Reproduces a run, and gives the answer."""

    def reproduce(folder: Path, **more: Any) -> dict[str, Any]:
        given = {"data_folder": synthetic_folder, "out": tmp_path / "again", **more}
        answer = modiste.reproduce(folder, **given)
        assert answer is not None
        json.dumps(answer, allow_nan=False)
        return answer

    return reproduce


def trained(data: TrainingData, changes: Callable[[RunRecord], RunRecord], folder: Path) -> Run:
    """A run, written as if something else had come out or been at work."""
    spec = RunSpec.parse({"data": data.spec, "model": MLP, "train": TRAIN})
    task = Task(spec, spec.fingerprint(data.digest), None, float("inf"))
    record = Worker(lambda _: data).work(task).record
    assert record is not None
    write_run(changes(record), folder)
    return Run(folder)


def shifted(record: RunRecord) -> RunRecord:
    """With one figure that is not the same in its last digits, and logits to match."""
    history = [dict(row) for row in record.history]
    history[1]["val_loss"] += 1e-9
    predictions = {**record.predictions}
    for name in ("logits_best_NK", "logits_last_NK"):
        predictions[name] = predictions[name] + np.float32(1e-6)
    return replace(record, history=history, predictions=predictions)


# --- the verdict ---


@pytest.mark.parametrize("model", [MLP, CNN], ids=["mlp", "cnn"])
def test_the_same_machine_gives_the_same_bits(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]], model: dict[str, Any]
) -> None:
    run = modiste.fit(data, model, TRAIN, folder=tmp_path / "runs")
    answer = again(run.folder)
    assert (answer["verdict"], answer["cause"], answer["changes"]) == ("identical", None, [])
    parts = answer["parts"]
    assert set(parts) == {"history", "end", "figures", "logits", "weights"}
    assert parts["history"]["num_compared"] == 3
    assert parts["figures"]["num_compared"] == 16  # two epochs, two parts, four figures
    assert parts["logits"]["num_values"] == 2 * 100 * 10
    assert parts["weights"]["num_values"] > 0
    assert [row["difference"] for row in answer["accuracies"]] == [0, 0]


def test_the_process_that_asks_computes_afterwards_as_before(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, TRAIN, folder=tmp_path / "runs")
    assert run.spec.threads == 1
    with put_back():
        torch.set_num_threads(3)
        again(run.folder, epochs=1)
        assert torch.get_num_threads() == 3


def test_logits_that_were_collected_in_16_bits_are_compared_as_such(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    def collected(record: RunRecord) -> RunRecord:
        saved = files.to_npz(record.predictions)
        return replace(record, predictions=files.read_npz(lighter(saved, "last")))

    run = trained(data, collected, tmp_path / "run")
    assert run.predictions["logits_best_NK"].dtype == np.float16
    answer = again(run.folder)
    assert answer["verdict"] == "identical"
    assert answer["parts"]["logits"]["num_values"] == 2 * 100 * 10


def test_what_differs_in_the_last_digits_is_within_noise_and_shown(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = trained(data, shifted, tmp_path / "run")
    answer = again(run.folder)
    assert answer["verdict"] == "within noise"
    first = answer["parts"]["history"]["first"]
    assert (first["epoch"], first["column"]) == (2, "val_loss")
    assert answer["parts"]["logits"]["num_different"] > 0
    assert answer["parts"]["weights"]["is_identical"]
    assert all(row["is_within"] and row["is_paired"] for row in answer["accuracies"])
    # Nothing is known to differ: that is said, with what it may mean.
    assert answer["cause"] is None
    assert any("Please report it" in note for note in answer["notes"])


def test_answers_that_chance_cannot_explain_are_different(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    def wrong(record: RunRecord) -> RunRecord:
        # The true class is ruled out everywhere, and a later one is put in its place.
        logits = {n: a for n, a in record.predictions.items() if n.startswith("logits")}
        bad_NK = np.eye(10, dtype=np.float32)[(record.predictions["labels"] + 1) % 10]
        return replace(record, predictions={**record.predictions, **dict.fromkeys(logits, bad_NK)})

    answer = again(trained(data, wrong, tmp_path / "run").folder)
    assert answer["verdict"] == "different"
    assert any("images alone" in note for note in answer["notes"])


def test_a_run_that_diverged_diverges_again(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    wild = {**TRAIN, "optimizer": {"name": "sgd", "learning_rate": 1e30}}
    run = modiste.fit(data, {"family": "mlp", "params": {"hidden": [6, 6]}}, wild, folder=tmp_path)
    assert run.metrics["status"] == "diverged"
    answer = again(run.folder)
    assert answer["verdict"] == "identical"
    assert "diverged" in answer["parts"]["end"]["here"]


def test_a_run_that_ends_in_another_way_is_different(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    def diverged(record: RunRecord) -> RunRecord:
        return replace(record, metrics={**record.metrics, "status": "diverged"}, weights={})

    answer = again(trained(data, diverged, tmp_path / "run").folder)
    assert answer["verdict"] == "different"
    assert not answer["parts"]["end"]["is_identical"]


def test_a_model_that_is_fitted_in_one_go_has_no_history_and_is_compared_by_its_answers(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, {"family": "majority"}, folder=tmp_path / "runs")
    answer = again(run.folder)
    assert answer["verdict"] == "identical"
    assert set(answer["parts"]) == {"end", "figures", "logits"}
    with pytest.raises(SpecError, match="no epoch to compare"):
        again(run.folder, epochs=1)


# --- causes ---


def test_another_version_is_found_to_be_the_cause(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    def older(record: RunRecord) -> RunRecord:
        packages = {**record.environment["packages"], "torch": "2.9.0+cpu"}
        return replace(
            shifted(record), environment={**record.environment, "packages": packages, "cpu": "old"}
        )

    answer = again(trained(data, older, tmp_path / "run").folder)
    assert (answer["verdict"], answer["cause"]) == ("within noise", "version")
    torch = environment()["packages"]["torch"]
    assert answer["changes"][0] == {
        "name": "torch", "kind": "version", "recorded": "2.9.0+cpu", "here": torch
    }  # fmt: skip
    assert [change["kind"] for change in answer["changes"]] == ["version", "processor"]
    assert "another version" in answer["because"]


def test_another_number_of_threads_is_found_to_be_the_cause(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = trained(data, shifted, tmp_path / "run")
    answer = again(run.folder, threads=2)
    assert answer["cause"] == "threads"
    assert [(c["recorded"], c["here"]) for c in answer["changes"]] == [(1, 2)]
    assert Run(Path(answer["reproduced"])).spec.threads == 2


def test_other_images_are_found_to_be_the_cause_and_are_not_paired(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, TRAIN, folder=tmp_path / "runs")
    other = write_idx(tmp_path / "other", seed=7)
    answer = again(run.folder, data_folder=other)
    assert answer["verdict"] != "identical"
    assert answer["cause"] == "data"
    assert answer["changes"][0]["recorded"] == data.digest
    assert [row["is_paired"] for row in answer["accuracies"]] == [False, False]


def test_what_differs_without_effect_is_listed_and_is_no_cause(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    def elsewhere(record: RunRecord) -> RunRecord:
        return replace(record, environment={**record.environment, "cpu": "another"})

    answer = again(trained(data, elsewhere, tmp_path / "run").folder)
    assert (answer["verdict"], answer["cause"]) == ("identical", None)
    assert [change["name"] for change in answer["changes"]] == ["processor"]


# --- the first epochs only ---


@pytest.mark.usefixtures("at_every_tick")
def test_the_first_epochs_are_compared_without_training_the_rest(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, {**TRAIN, "epochs": 40}, folder=tmp_path / "runs")
    seen: list[Progress] = []
    answer = again(run.folder, epochs=2, tell=seen.append)
    assert (answer["verdict"], answer["epochs"]) == ("identical", 2)
    assert answer["parts"]["history"]["num_compared"] == 2
    assert [row["epoch"] for row in answer["accuracies"]] == ["epoch 2"]
    assert max(progress.epoch for progress in seen) == 2
    assert answer["reproduced"] is None
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["work"]
    assert not list((tmp_path / "again").rglob("*.safetensors"))


@pytest.mark.usefixtures("at_every_tick")
def test_first_epochs_that_differ_say_where(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = trained(data, shifted, tmp_path / "run")
    assert again(run.folder, epochs=1)["verdict"] == "identical"
    answer = again(run.folder, epochs=2)
    assert answer["verdict"] == "within noise"
    assert answer["parts"]["history"]["first"]["epoch"] == 2


def test_as_many_epochs_as_there_are_is_the_whole_run(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, TRAIN, folder=tmp_path / "runs")
    answer = again(run.folder, epochs=3)
    assert answer["epochs"] is None
    assert "logits" in answer["parts"]
    with pytest.raises(SpecError, match="--epochs 0: expected 1 or more"):
        again(run.folder, epochs=0)


# --- what it leaves behind ---


def test_each_time_is_a_run_of_its_own_and_the_record_is_only_read(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, TRAIN, folder=tmp_path / "runs")
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    answers = [again(run.folder), again(run.folder)]
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    name = run.fingerprint[:16]
    folders = [Path(answer["reproduced"]) for answer in answers]
    assert [folder.name for folder in folders] == [name, f"{name}-2"]
    for folder, answer in zip(folders, answers, strict=True):
        assert Run(folder).fingerprint == run.fingerprint
        assert files.read_json(folder.with_suffix(".json")) == answer


@pytest.mark.usefixtures("at_every_tick")
def test_stopped_half_way_it_goes_on_from_there(
    data: TrainingData, synthetic_folder: Path, tmp_path: Path
) -> None:
    run = modiste.fit(data, MLP, {**TRAIN, "epochs": 12}, folder=tmp_path / "runs")
    seen: list[Progress] = []

    def reproduce(should_stop: Callable[[], bool]) -> dict[str, Any]:
        return modiste.reproduce(
            run.folder,
            out=tmp_path / "again",
            data_folder=synthetic_folder,
            tell=seen.append,
            should_stop=should_stop,
            slice_seconds=0.0,
        )

    with pytest.raises(Interrupted, match="goes on"):
        reproduce(lambda: bool(seen) and seen[-1].epoch >= 5)
    assert not list((tmp_path / "again").glob("*/manifest.json"))
    stopped_at = seen[-1].epoch
    seen.clear()
    answer = reproduce(lambda: False)
    assert answer["verdict"] == "identical"
    assert seen[0].epoch >= stopped_at >= 5
    assert not list((tmp_path / "again" / "work").rglob("*.safetensors"))


# --- in a study ---


def studied(file: Path, folder: Path, tmp_path: Path, settings: list[str] | None = None) -> Study:
    study, is_finished = modiste.run_study(
        file, out=tmp_path / "study", data_folder=folder, settings=settings or []
    )
    assert is_finished
    return study


@pytest.mark.parametrize(
    ("changed", "num_known"),
    [
        ({"repeats": 4}, 4),
        # Two points that may be compared (decision 0042) tell what neither tells alone.
        ({"repeats": 3, "grid": {"model.params.hidden": [[8], [9]]}}, 6),
    ],
    ids=["of this point", "of comparable points"],
)
def test_other_seeds_count_as_noise(
    tmp_path: Path,
    synthetic_folder: Path,
    script: Script,
    again: Callable[..., dict[str, Any]],
    changed: dict[str, Any],
    num_known: int,
) -> None:
    stages = [{"name": "seeds", "train": {"epochs": 1}, **changed}]
    model = {"family": "mlp", "params": {"hidden": [8]}}
    file = small.write_study(tmp_path / "s.yaml", small.study(stages=stages, model=model))
    study = studied(file, synthetic_folder, tmp_path)
    runs = study.stage("seeds").rows[0].runs
    answer = again(runs[1].folder)
    assert answer["verdict"] == "identical"
    assert {row["num_seeds"] for row in answer["accuracies"]} == {num_known}
    assert all(row["seed_error"] is not None for row in answer["accuracies"])


def test_three_seeds_of_a_point_are_too_few_to_count_as_noise(
    tmp_path: Path, synthetic_folder: Path, script: Script, again: Callable[..., dict[str, Any]]
) -> None:
    stages = [{"name": "seeds", "repeats": 3, "train": {"epochs": 1}}]
    file = small.write_study(tmp_path / "s.yaml", small.study(stages=stages))
    study = studied(file, synthetic_folder, tmp_path)
    answer = again(study.stage("seeds").rows[0].runs[1].folder)
    assert all(row["seed_error"] is None for row in answer["accuracies"])


def test_a_model_folder_and_a_collected_run_are_found_and_compared_by_what_was_kept(
    tmp_path: Path,
    synthetic_folder: Path,
    study_file: Path,
    script: Script,
    again: Callable[..., dict[str, Any]],
) -> None:
    study = studied(study_file, synthetic_folder, tmp_path)
    answer = again(study.folder / "models" / "final")
    assert answer["verdict"] == "identical"
    assert Path(answer["run"]).parent == study.folder / "runs"

    collect(study, tmp_path / "collected")
    there = Study(tmp_path / "collected")
    plain = next(run for run in there.stage("grid").rows[0].runs)
    assert not plain.has_predictions
    answer = again(plain.folder)
    assert answer["verdict"] == "identical"
    assert "answers" in answer["parts"]
    assert "logits" not in answer["parts"]
    assert sum("dropped" in note for note in answer["notes"]) == 2
    assert all(row["is_paired"] for row in answer["accuracies"])

    (tmp_path / "collected" / "grid" / "predictions.npz").unlink()
    answer = again(plain.folder)
    assert answer["verdict"] == "identical"
    assert "answers" not in answer["parts"]
    assert any("neither logits nor answers" in note for note in answer["notes"])

    with pytest.raises(StoreError, match=r"a study; name one of its models or runs"):
        again(study.folder)


# --- what cannot be reproduced ---


def test_a_record_that_was_changed_is_noticed(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, TRAIN, folder=tmp_path / "runs")
    path = run.folder / "history.csv"
    path.write_text(path.read_text("utf-8").replace("0.", "1.", 1), "utf-8")
    with pytest.raises(StoreError, match=r"history\.csv.*not what was written"):
        again(run.folder)


@pytest.mark.parametrize("status", ["failed", "out_of_memory"])
def test_a_run_without_numbers_says_so(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]], status: str
) -> None:
    def broke(record: RunRecord) -> RunRecord:
        return replace(record, metrics={**record.metrics, "status": status, "reason": "no luck"})

    run = trained(data, broke, tmp_path / "run")
    with pytest.raises(StoreError, match=rf"no numbers that could come out again: {status} \(no l"):
        again(run.folder)


def test_a_spec_of_another_version_is_named(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    def newer(record: RunRecord) -> RunRecord:
        return replace(record, spec={**record.spec, "warp": 9})

    run = trained(data, newer, tmp_path / "run")
    with pytest.raises(SpecError, match=r"spec\.json\.warp: no such key"):
        again(run.folder)


def test_data_that_cannot_be_had_and_folders_that_are_no_run_are_named(
    data: TrainingData, tmp_path: Path, again: Callable[..., dict[str, Any]]
) -> None:
    run = modiste.fit(data, MLP, TRAIN, folder=tmp_path / "runs")
    with pytest.raises(DataError):
        again(run.folder, data_folder=tmp_path / "nowhere")
    with pytest.raises(StoreError, match="neither a model folder"):
        again(tmp_path)


def test_a_gpu_that_is_not_here_is_named_with_the_remedy(
    data: TrainingData,
    tmp_path: Path,
    again: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def on_gpu(record: RunRecord) -> RunRecord:
        return replace(
            shifted(record),
            spec={**record.spec, "device": "cuda"},
            environment={**record.environment, "device": "cuda", "gpu": "NVIDIA H200"},
        )

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run = trained(data, on_gpu, tmp_path / "run")
    with pytest.raises(SpecError, match="--device cpu"):
        again(run.folder)
    answer = again(run.folder, device="cpu")
    assert answer["cause"] == "device"
    shutil.rmtree(tmp_path / "again")
