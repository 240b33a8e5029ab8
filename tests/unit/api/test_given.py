"""One where several are meant, a run where its folder is, and whatever else is handed over."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modiste
from modiste.api.given import each_folder, each_name, each_override, need_workers
from modiste.data.load import TrainingData
from modiste.errors import ModisteError, SpecError, StoreError
from modiste.runs.run import Run
from modiste.search.study import Study
from modiste.spec.study import Override
from tests import small

MLP = {"family": "mlp", "params": {"hidden": [4]}}


@pytest.fixture(scope="module", name="arrays")
def _arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (120, 8, 8), np.uint8)
    file = tmp_path_factory.mktemp("arrays") / "all.npz"
    np.savez(file, images=images, labels=np.arange(120) % 3)
    return file


@pytest.fixture(scope="module", name="study")
def _study(arrays: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One without a share of its own for the test part, which none has been split off for."""
    values = small.study(
        data={"name": "npz", "num_val": 30},
        train={"epochs": 1},
        stages=[
            {"name": "grid", "grid": {"model.params.hidden": [[4], [8]]}},
            {"name": "final", "final": True, "from": ["grid"], "repeats": 2},
        ],
    )
    out = tmp_path_factory.mktemp("study") / "tiny"
    given: dict[str, Any] = {"out": out, "data_folder": arrays, "num_workers": "here"}
    modiste.run_study(values, stages="grid", only={"model.params.hidden": [4]}, **given)
    study, is_finished = modiste.run_study(values, **given)
    assert is_finished
    return study


@pytest.fixture(name="run")
def _run(study: Study) -> Any:
    return study.stage("final").rows[0].runs[0]


def test_one_alone_is_one_of_them() -> None:
    assert each_name("grid", "stages") == ["grid"]
    assert each_name((name for name in ("a", "b")), "stages") == ["a", "b"]
    assert each_folder(Path("a"), "runs") == [Path("a")]
    one = Override("", "train.epochs", 1)
    assert each_override("train.epochs=1", "settings", "--set") == [one]
    assert each_override(["train.epochs=1"], "settings", "--set") == [one]


def test_settings_may_be_keys_and_values() -> None:
    given = {"train.epochs": np.int64(1), "grid:model.params.hidden": (4, 8)}
    assert each_override(given, "settings", "--set") == [
        Override("", "train.epochs", 1),
        Override("grid", "model.params.hidden", [4, 8]),
    ]


@pytest.mark.parametrize("given", [[1], 3, {"grid": 1}, b"grid"])
def test_what_are_no_names_is_refused(given: Any) -> None:
    with pytest.raises(SpecError, match="stages: expected one name or several"):
        each_name(given, "stages")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({1: 2}, "settings: 1: expected a key"),
        ({"train.epochs=5": 2}, "expected a key"),
        ({"train.epochs": 1j}, "settings: train.epochs: expected what can stand in"),
        ({":": 2}, r"expected \[STAGE:\]KEY=VALUE"),
        ([1], "settings: expected one name or several"),
    ],
    ids=str,
)
def test_what_are_no_settings_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        each_override(given, "settings", "--set")


def test_a_number_of_workers_may_be_one_of_numpy() -> None:
    assert [need_workers(given, "here") for given in (np.int64(2), 1, "here", None)] == [
        *(2, 1),
        *("here", None),
    ]


@pytest.mark.parametrize("given", [0, True, np.int64(0), -1, 1.0, "2", "ray"])
def test_a_plan_is_for_as_many_workers_as_can_be(
    given: Any, arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (modiste.plan_study, modiste.init_study):
        with pytest.raises(SpecError, match=r"num_workers=.*: expected a number from 1 up or here"):
            call(arrays, num_workers=given)
    assert list(tmp_path.glob("*.yaml")) == []


def test_plans_are_made_without_a_worker_process(
    arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modiste.search.probe.Pool", None)
    plan = modiste.plan_study(
        small.study(data={"name": "npz", "num_val": 30}),
        out=tmp_path / "tiny",
        data_folder=arrays,
        num_workers="here",
        probe_seconds=0.1,
    )
    assert plan.forecast.num_workers == plan.num_processes == 1
    assert plan.probed is not None
    assert plan.probed.paces
    assert plan.memory_bytes == plan.probed.worker_bytes > 0
    alone = Path(shutil.copy(arrays, tmp_path))  # which gets the record of its test part beside it
    begun = modiste.init_study(
        alone, out=tmp_path / "x.yaml", minutes=1, num_workers="here", probe_seconds=0.1
    )
    assert begun.num_workers == 1


def test_a_run_and_a_study_go_where_their_folders_go(
    study: Any, run: Any, arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Run(run).folder == run.folder
    assert Study(study).folder == Study.open(study).folder == study.folder
    assert modiste.show(run)["run"] == str(run.folder)
    assert modiste.evaluate(run)["num_images"] == 30
    assert modiste.evaluate(study, stages="grid")["runs"][0]["label"] == "grid"
    assert modiste.together(study)["parts"]["validation"]["num_images"] == 30
    assert len(modiste.together(study.stage("final").rows[0].runs)["members"]) == 2
    assert modiste.compare_studies(study.folder, study)["studies"] == [str(study.folder)] * 2
    assert modiste.frontier(study)[1][0].name == "frontier.svg"
    assert modiste.write_report(study.folder).parent == study.folder
    assert modiste.compare(run) == modiste.compare([run.folder]) == modiste.compare((run,))
    found = modiste.reproduce(run, data_folder=arrays)
    assert found["verdict"] == "identical"


def test_a_study_is_audited_with_the_data_that_it_was_trained_on(study: Any, arrays: Path) -> None:
    found = modiste.audit(arrays, study=study)
    assert [model["name"].split(":")[0] for model in found["models"]] == ["grid", "final"]
    assert found["num_val"] == 30
    assert str(study.folder / "audit" / "audit.json") in found["files"]


def test_a_study_is_no_run(study: Any) -> None:
    for call in (modiste.show, modiste.compare, modiste.reproduce):
        with pytest.raises(StoreError, match=r"a study; name one of its models or runs"):
            call(study)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda images: modiste.fit(images, MLP), r"data: .* got ndarray\. modiste\.from_arrays"),
        (lambda _: modiste.fit("all.npz", MLP), r"got 'all\.npz'\. modiste\.load\('all\.npz'\)"),
        (lambda images: modiste.fit_many(images, MLP, []), r"data: .* got ndarray\. modiste"),
        (lambda images: modiste.look(images, "figures"), r"^data: .* got ndarray"),
        (modiste.load, r"got ndarray\. Images in memory"),
        (modiste.scan, "got ndarray"),
        (modiste.audit, "got ndarray"),
        (modiste.init_study, "got ndarray"),
        (lambda _: modiste.load(None), "got None"),
        (lambda _: modiste.run_study([{}]), "file: expected the path of a study file.* got list"),
        (lambda _: modiste.plan_study(None), "file: expected the path .* got NoneType"),
        (lambda _: modiste.together(3), "folders: expected one path or several, got 3"),
        (lambda _: modiste.compare([3]), r"runs: expected one path or several, got \[3\]"),
        (modiste.Run, "folder: expected a path, got ndarray"),
        (modiste.Study, "folder: expected a path, got ndarray"),
        (modiste.Study.open, "folder: expected a path, got ndarray"),
        (modiste.evaluate, "folder: expected a path, got ndarray"),
        (lambda _: modiste.evaluate(["one", "two"]), "folder: expected a path, got list"),
        (modiste.show, "folder: expected a path, got ndarray"),
        (modiste.write_report, "folder: expected a path, got ndarray"),
        (modiste.reproduce, "folder: expected a path, got ndarray"),
        (modiste.load_artifact, "folder: expected a path, got ndarray"),
        (modiste.verify_export, "folder: expected a path, got ndarray"),
        (modiste.import_study, "source: expected a path, got ndarray"),
        (lambda X: modiste.export_model(X, "to"), "folder: expected a path, got ndarray"),
        (lambda _: modiste.export_model("from", None), "to: expected a path, got NoneType"),
        (lambda _: modiste.compare_studies(None, "two"), "one: expected a path, got NoneType"),
        (modiste.ImageClassifier.load, "folder: expected a path, got ndarray"),
        (modiste.speedrun, "name: expected a path, got ndarray"),
        (lambda _: modiste.init_study("all.npz", size=8), "size: 8; expected height and width"),
    ],
)
def test_what_is_something_else_is_told_what_would_do(
    call: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModisteError, match=said):
        call(np.zeros((4, 8, 8), np.uint8))
    assert not (tmp_path / "runs").exists()


def test_a_family_may_be_named_alone(arrays: Path, tmp_path: Path) -> None:
    data: TrainingData = modiste.load(arrays)
    by_name = modiste.fit(data, "mlp", {"epochs": 1}, folder=tmp_path)
    assert by_name.spec.model.family == "mlp"
    (many,) = modiste.fit_many(data, "mlp", {"seed": 0}, {"epochs": 1}, folder=tmp_path)
    assert many.folder == by_name.folder
    wrong: list[tuple[Any, Any, str]] = [
        ("mpl", None, "Did you mean 'mlp'"),
        (["mlp"], None, "model: expected keys and values, got list"),
        ("mlp", "adam", "train: expected keys and values, got str"),
    ]
    for model, train, said in wrong:
        with pytest.raises(SpecError, match=said):
            modiste.fit(data, model, train, folder=tmp_path)
    with pytest.raises(SpecError, match="points: expected keys and values"):
        modiste.fit_many(data, "mlp", ["seed"], folder=tmp_path)  # type: ignore[list-item]
    with pytest.raises(SpecError, match="points: expected keys and values"):
        modiste.fit_many(data, "mlp", None, folder=tmp_path)  # type: ignore[arg-type]


def test_one_model_is_trained_on_the_device_that_is_asked_for(
    arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = modiste.load(arrays)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SpecError, match="torch finds no such GPU here"):
        modiste.fit(data, MLP, device="cuda", folder=tmp_path)
    with pytest.raises(SpecError, match="device: 'gpu' is none of the known words"):
        modiste.fit(data, MLP, device="gpu", folder=tmp_path)
