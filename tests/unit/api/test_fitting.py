"""Load, look, fit, compare from Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import modiste
from modiste.api.study import collect_results
from modiste.data.load import TrainingData, divide
from modiste.data.types import ImageSet
from modiste.errors import DataError, ResumeError, SealError, SpecError
from modiste.interval import wilson
from modiste.report.data_figures import first_images
from modiste.search.study import Study
from modiste.spec.files import read_study
from modiste.spec.run import DataSpec
from tests import small
from tests.driving import Script, drive, make
from tests.synthetic import write_idx

MLP = {"family": "mlp", "params": {"hidden": [6]}}


@pytest.fixture
def data(synthetic_folder: Path) -> TrainingData:
    return modiste.load("idx", folder=synthetic_folder, num_val=100)


def test_data_are_loaded_and_divided_without_the_test_part(data: TrainingData) -> None:
    assert (len(data.train), len(data.val)) == (500, 100)
    assert (data.train.role, data.val.role) == ("train", "val")
    assert data.val.counts() == [10] * 10
    assert not hasattr(data, "test")


def test_data_print_as_a_line(data: TrainingData, synthetic_folder: Path) -> None:
    sorts = "of 28 x 28 pixels, grey, in 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)"
    parts = "500 to train on, 100 to validate"
    assert repr(data) == (
        f"TrainingData({data.name!r}: images {sorts}; {parts}; digest {data.digest[:12]}...)"
    )
    assert repr(small.images()) == f"ImageSet('small squares', train: 120 images {sorts})"
    held = divide(small.images(), DataSpec(name="idx", num_val=20, folds=3))
    assert "60 to train on, 20 to validate, 40 held out; digest" in repr(held)


@pytest.mark.parametrize(
    ("name", "more", "error", "said"),
    [
        ("idxx", {}, SpecError, "Did you mean 'idx'"),
        ("idx", {"num_val": 0}, SpecError, r"data\.num_val"),
        ("idx", {"num_val": 10_000}, SpecError, r"data\.num_val: 10,000 of 600"),
        ("idx", {"num_val": 100, "scaling": "log"}, SpecError, r"data\.scaling"),
        ("idx", {"num_val": 100, "num_train": 3}, SpecError, r"data\.num_train: 3 of the 500"),
        ("idx", {"folder": "none"}, DataError, "none"),
    ],
)
def test_what_cannot_be_loaded_says_why(
    name: str, more: dict[str, Any], error: Any, said: str, synthetic_folder: Path
) -> None:
    with pytest.raises(error, match=said):
        modiste.load(name, **{"folder": synthetic_folder, **more})


def test_figures_of_data_are_titled_by_what_these_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []

    def titled(images: ImageSet, name: str) -> Figure:
        titles.append(name)
        return first_images(images, name)

    monkeypatch.setattr("modiste.report.data_figures.first_images", titled)
    data = modiste.load("idx", folder=write_idx(tmp_path / "shoes"), num_val=100)
    modiste.look(data, tmp_path / "figures")
    assert titles == ["shoes"]


def test_fewer_training_images_keep_the_shares_and_the_validation_images(
    data: TrainingData, synthetic_folder: Path
) -> None:
    fewer = modiste.load("idx", folder=synthetic_folder, num_val=100, num_train=50)
    assert fewer.train.counts() == [5] * 10
    assert fewer.val.ids_N.tolist() == data.val.ids_N.tolist()
    assert set(fewer.train.ids_N.tolist()) <= set(data.train.ids_N.tolist())
    assert fewer.digest == data.digest


def test_a_model_is_fitted_once_and_found_the_next_time(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = modiste.fit(data, MLP, {"epochs": 2}, folder=tmp_path)
    assert run.metrics["status"] == "finished"
    assert run.metrics["epochs"] == 2
    monkeypatch.setattr("modiste.api.fitting.Worker", None)
    again = modiste.fit(data, MLP, {"epochs": 2}, folder=tmp_path)
    assert again.folder == run.folder
    with pytest.raises(TypeError):
        modiste.fit(data, MLP, {"epochs": 3}, folder=tmp_path)


def test_a_fit_that_wanted_for_memory_is_tried_again_the_next_time(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("modiste.train.work.Session", scarce)
        first = modiste.fit(data, MLP, {"epochs": 1}, folder=tmp_path)
        assert first.metrics["status"] == "out_of_memory"
    again = modiste.fit(data, MLP, {"epochs": 1}, folder=tmp_path)
    assert (again.folder, again.metrics["status"]) == (first.folder, "finished")


def test_a_fit_that_makes_no_sense_names_the_key(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"train\.epohs.*'epochs'"):
        modiste.fit(data, MLP, {"epohs": 2}, folder=tmp_path)
    for train, meant in (
        ({"learning_rate": 0.1}, r"train\.learning_rate: .*'train\.optimizer\.learning_rate'"),
        ({"patience": 3}, r"train\.patience: .*'train\.early_stopping\.patience'"),
    ):
        with pytest.raises(SpecError, match=meant):
            modiste.fit(data, MLP, train, folder=tmp_path)
    with pytest.raises(SpecError, match=r"model\.hidden: .*'model\.params\.hidden'"):
        modiste.fit(data, {"family": "mlp", "hidden": [6]}, folder=tmp_path)
    with pytest.raises(SpecError, match=r"^learning_rate: .*'train\.optimizer\.learning_rate'"):
        modiste.fit_many(data, MLP, [{"learning_rate": 0.1}], folder=tmp_path)
    with pytest.raises(SpecError, match=r"preset: 'tf'"):
        modiste.fit(data, MLP, preset="tf", folder=tmp_path)
    assert not list(tmp_path.glob("*/manifest.json"))


def test_many_runs_at_once_are_those_that_one_by_one_would_be(
    data: TrainingData, tmp_path: Path
) -> None:
    train = {"epochs": 3, "batch_size": 50}
    rate = {"train.optimizer.learning_rate": 0.001}  # which it is anyway
    points = [{"seed": 1, **rate}, {"seed": 2, "model.params.hidden": [6]}]
    many = modiste.fit_many(data, MLP, points, train, folder=tmp_path / "many")
    for point, run in zip(points, many, strict=True):
        alone = modiste.fit(data, MLP, train, seed=int(str(point["seed"])), folder=tmp_path / "one")
        assert run.fingerprint == alone.fingerprint
        assert run.environment["population"] == 2
        for key in ("epochs", "updates", "status", "reason"):
            assert run.metrics[key] == alone.metrics[key]
        # 30 updates in float32, each sum in another order.
        for row, other in zip(run.history, alone.history, strict=True):
            assert row["val_loss"] == pytest.approx(other["val_loss"], rel=1e-4)
        one, two = (found.predictions["logits_last_NK"] for found in (run, alone))
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-3)
    again = modiste.fit_many(data, MLP, points, train, folder=tmp_path / "many")
    assert [run.folder for run in again] == [run.folder for run in many]


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 38 GiB")],
    ids=str,
)
def test_many_runs_that_want_for_memory_say_so_and_are_tried_again_the_next_time(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def scarce(*_: object) -> None:
        raise error

    points = [{"seed": seed} for seed in range(3)]
    modiste.fit_many(data, MLP, points[:1], {"epochs": 1}, folder=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("modiste.train.population.Population", scarce)
        runs = modiste.fit_many(data, MLP, points, {"epochs": 1}, folder=tmp_path)
    assert [run.metrics["status"] for run in runs] == ["finished", *["out_of_memory"] * 2]
    said = "2 runs at once want for memory, and fewer take less: "
    assert runs[1].metrics["reason"] == said + (str(error) or "MemoryError")
    again = modiste.fit_many(data, MLP, points, {"epochs": 1}, folder=tmp_path)
    assert [run.metrics["status"] for run in again] == ["finished"] * 3


def test_any_other_error_of_many_runs_is_raised(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr("modiste.train.population.Population", broken)
    with pytest.raises(RuntimeError, match="something else"):
        modiste.fit_many(data, MLP, [{"seed": 1}], {"epochs": 1}, folder=tmp_path)


def test_many_runs_end_where_they_are_cut(data: TrainingData, tmp_path: Path) -> None:
    train = {"epochs": 9, "until": 2, "batch_size": 50}
    (run,) = modiste.fit_many(data, MLP, [{"seed": 1}], train, folder=tmp_path)
    assert run.metrics["epochs"] == 2


@pytest.mark.parametrize(
    "point", [{"data.split_seed": 1}, {"threads": 2}, {"kernels": "fused"}], ids=str
)
def test_many_runs_say_what_they_were_computed_with(
    data: TrainingData, tmp_path: Path, point: dict[str, Any]
) -> None:
    with pytest.raises(SpecError, match="of the data that is given, on one device, with equal"):
        modiste.fit_many(data, MLP, [{"seed": 1}, point], folder=tmp_path)
    assert list(tmp_path.glob("*/manifest.json")) == []


def test_runs_are_compared_best_first_and_what_diverged_last(
    data: TrainingData, tmp_path: Path
) -> None:
    wild = {"optimizer": {"name": "sgd", "learning_rate": 1e30}, "epochs": 2}
    deep = {"family": "mlp", "params": {"hidden": [6, 6]}}
    runs = [
        modiste.fit(data, deep, wild, folder=tmp_path),
        modiste.fit(data, MLP, {"epochs": 1}, folder=tmp_path),
        modiste.fit(data, MLP, {"epochs": 8}, folder=tmp_path),
    ]
    rows = modiste.compare(runs, ["wild", "short", "long"])
    assert [row["name"] for row in rows] == ["long", "short", "wild"]
    assert [row["status"] for row in rows] == ["finished", "finished", "diverged"]
    assert rows[2]["val_accuracy"] is rows[2]["low"] is None
    assert repr(rows).splitlines()[0].split()[:3] == ["name", "status", "parameters"]
    assert rows[:2].to_frame()["name"].tolist() == ["long", "short"]
    share = rows[0]["val_accuracy"]
    assert rows[0]["standard_error"] == pytest.approx((share * (1 - share) / 100) ** 0.5)
    assert [row["num_val"] for row in rows] == [100, 100, 100]
    assert (rows[0]["low"], rows[0]["high"]) == wilson(round(100 * share), 100)
    assert [row["name"] for row in modiste.compare(runs[1:2])] == [runs[1].fingerprint[:8]]
    assert modiste.compare([]) == []


def test_names_of_compared_runs_are_one_for_each(data: TrainingData, tmp_path: Path) -> None:
    runs = [modiste.fit(data, MLP, {"epochs": 1}, seed=seed, folder=tmp_path) for seed in (0, 1)]
    assert modiste.compare(runs[0], "mlp")[0]["name"] == "mlp"
    for names in ("mlp", ["one"], ["one", "two", "three"]):
        with pytest.raises(SpecError, match=r"names: \d for 2 run\(s\)"):
            modiste.compare(runs, names)


def test_runs_are_compared_on_the_same_images_alone(
    data: TrainingData, tmp_path: Path, synthetic_folder: Path
) -> None:
    def fit(data: TrainingData) -> modiste.Run:
        return modiste.fit(data, MLP, {"epochs": 1}, folder=tmp_path)

    run = fit(data)
    given: dict[str, Any] = {"folder": synthetic_folder, "num_val": 100}
    alike = fit(modiste.load("idx", **given, scaling="standard", num_train=100))
    assert len(modiste.compare([run, alike])) == 2
    other = fit(modiste.load("idx", **given, split_seed=1))
    with pytest.raises(DataError, match=f"{other.folder.name}: answered other validation images"):
        modiste.compare([run, alike, other])
    shoes = fit(modiste.load("idx", folder=write_idx(tmp_path / "shoes", seed=5), num_val=100))
    with pytest.raises(DataError, match=r"was trained on other images \(shoes\) than"):
        modiste.compare([run, shoes])


def test_the_same_validation_part_is_the_same_whatever_the_seed_of_the_division(
    tmp_path: Path,
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    labels = np.arange(60) % 2
    one, two = (
        modiste.from_arrays(
            pixels[:40],
            labels[:40],
            val=(pixels[40:], labels[40:]),
            test_share=0.2,
            split_seed=seed,
        )
        for seed in (0, 1)
    )
    runs = [modiste.fit(data, MLP, {"epochs": 1}, folder=tmp_path) for data in (one, two)]
    assert runs[0].fingerprint != runs[1].fingerprint
    assert len(modiste.compare(runs)) == 2


def test_a_study_is_run_and_read_from_python(
    study_file: Path, synthetic_folder: Path, tmp_path: Path, script: Script
) -> None:
    study, is_finished = modiste.run_study(
        study_file,
        out=tmp_path / "out",
        data_folder=synthetic_folder,
        stages=(name for name in ["grid"]),
        settings=["grid:train.epochs=1"],
    )
    assert is_finished
    grid, final = Study(study.folder).stages()
    assert (grid.is_done, final.is_done) == (True, False)
    value = modiste.evaluate(study.folder, stages=["grid"])
    assert value["part"] == "validation"
    with pytest.raises(SealError, match="--final"):
        modiste.evaluate(study.folder, reason="to see")
    assert modiste.write_report(study).name == "report.html"


def test_a_study_its_model_and_its_run_say_alike_what_validation_images_chose(
    study_file: Path, synthetic_folder: Path, tmp_path: Path, script: Script
) -> None:
    study, _ = modiste.run_study(study_file, out=tmp_path / "out", data_folder=synthetic_folder)
    grid, final = study.stages()
    (run,) = final.rows[0].runs
    best, other = (row.runs[0] for row in grid.ranked("last"))
    picked = (
        "Validation images chose which models of the study to keep: their figures lean to the "
        "bright side."
    )
    for folder in (study.folder, study.folder / "models" / "final", run.folder, best.folder):
        assert modiste.evaluate(folder)["notes"][0] == picked
    card = (study.folder / "models" / "final" / "README.md").read_text("utf-8")
    assert "The validation images chose which models of the study to keep, so" in card
    assert modiste.evaluate(study.folder, stages=["grid"])["notes"][0] == picked
    assert modiste.evaluate(other.folder)["notes"][0].startswith("Validation images chose the best")


def test_a_run_of_several_stages_was_picked_where_one_of_them_picked_it(
    tmp_path: Path, script: Script
) -> None:
    stages: list[dict[str, Any]] = [
        {"name": "alone", "points": [{"model.params.hidden": [8]}]},
        {"name": "grid", "grid": {"model.params.hidden": [[8], [16]]}},
        {"name": "final", "final": True, "from": ["grid"]},
    ]
    study = make(tmp_path / "out", small.study(stages=stages))
    assert drive(study)
    alone, grid, final = study.stages()
    (run,) = final.rows[0].runs
    found = modiste.evaluate(run.folder)
    assert run.fingerprint in [each.fingerprint for row in grid.rows for each in row.runs]
    assert "which models of the study to keep" in found["notes"][0]
    # It is named after what it ended as.
    assert found["runs"][0]["label"] == "final"
    (first,) = alone.rows[0].runs
    is_kept = first.fingerprint == run.fingerprint
    note = modiste.evaluate(first.folder)["notes"][0]
    assert ("which models of the study to keep" in note) == is_kept
    assert modiste.evaluate(study.folder, stages=["alone"])["notes"][0] == note


def test_the_test_set_asks_for_its_reason_before_its_files(
    study_file: Path, synthetic_folder: Path, tmp_path: Path, script: Script
) -> None:
    study, _ = modiste.run_study(study_file, out=tmp_path / "out", data_folder=synthetic_folder)
    for folder in (study.folder, study.folder / "models" / "final"):
        with pytest.raises(SealError, match=r"stated reason\. Opened 0 time\(s\) so far"):
            modiste.evaluate(folder, final=True, data_folder=tmp_path / "nowhere")
    given: dict[str, Any] = {"final": True, "data_folder": synthetic_folder}
    found = modiste.evaluate(study.folder, reason="to see", **given)
    again = modiste.evaluate(study.folder, **given)  # what is stored needs none
    assert again["runs"] == found["runs"]


def test_stages_are_those_of_a_study_and_one_may_be_named_alone(
    study_file: Path, synthetic_folder: Path, tmp_path: Path, script: Script
) -> None:
    study, _ = modiste.run_study(study_file, out=tmp_path / "out", data_folder=synthetic_folder)
    one = modiste.evaluate(study.folder, stages="grid")
    assert one.to_dict() == modiste.evaluate(study.folder, stages=["grid"]).to_dict()
    with pytest.raises(SpecError, match="no stage is named 'gridd'"):
        modiste.evaluate(study.folder, stages="gridd")
    with pytest.raises(SpecError, match="stages: expected one name or several, got 3"):
        modiste.evaluate(study.folder, stages=3)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"--stages nope: .*final is no study"):
        modiste.evaluate(study.folder / "models" / "final", stages=["nope"])


def test_a_dictionary_is_written_as_the_study_file_once_it_was_accepted(
    tmp_path: Path, synthetic_folder: Path, script: Script
) -> None:
    given: dict[str, Any] = {"out": tmp_path / "out", "data_folder": synthetic_folder}
    one = small.study(stages=[{"name": "grid", "grid": {"model.params.hidden": [[8], [16]]}}])
    assert modiste.run_study(one, **given)[1]
    path = tmp_path / "out" / "tiny.yaml"
    before = path.read_bytes()
    other = small.study(stages=[{"name": "grid", "grid": {"model.params.hidden": [[4]]}}])
    with pytest.raises(ResumeError, match="no place for any more"):
        modiste.run_study(other, **given)
    assert path.read_bytes() == before
    more = small.study(stages=[*one["stages"], {"name": "best", "from": ["grid"]}])
    assert modiste.run_study(more, **given)[1]
    spec, _ = read_study(path)
    assert [stage.name for stage in spec.stages] == ["grid", "best"]


def test_a_path_in_a_dictionary_is_seen_from_a_study_folder_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    np.savez("all.npz", images=pixels, labels=np.arange(60) % 2)
    values = small.study(
        data={"name": "npz", "path": "../all.npz", "test_share": 0.2, "num_val": 9},
        stages=[{"name": "one"}],
    )
    assert modiste.run_study(values, out="new", num_workers="here")[1]
    values["data"]["path"] = "../none.npz"
    with pytest.raises(DataError, match=rf"no such file or folder, .*\({tmp_path}/none\.npz\)"):
        modiste.run_study(values, out="newer", num_workers="here")
    assert not Path("newer").exists()


def test_a_study_may_lie_in_a_folder_whose_name_is_no_text(
    tmp_path: Path, synthetic_folder: Path
) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9")
    given: dict[str, Any] = {"out": place / "out", "data_folder": synthetic_folder}
    study, is_finished = modiste.run_study(small.study(), num_workers="here", **given)
    assert is_finished
    assert "caf\\udce9" in (study.folder / "report.md").read_text("utf-8")
    collect_results(study, place / "results")
    assert (place / "results" / "report.html").is_file()


def test_fresh_seeds_are_those_of_the_seed_that_is_asked_for(
    tmp_path: Path, synthetic_folder: Path
) -> None:
    stages = [
        {"name": "grid", "points": [{"seed": 200}, {"seed": 201}]},
        {"name": "again", "confirm": {"top": 1, "seeds": 2}},
    ]
    file = small.write_study(tmp_path / "tiny.yaml", small.study(stages=stages))
    out = tmp_path / "out"
    with pytest.raises(SpecError, match=r"are 200 to 201, and with 200 .*other seeds"):
        modiste.run_study(file, out=out, data_folder=synthetic_folder, seed=99)
    assert not out.exists()


@pytest.mark.parametrize("seed", [-1, 1.5, True, "3"])
def test_what_is_no_seed_is_refused_before_anything_is_written(
    seed: Any, study_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"--seed .*: expected a whole number from 0 up"):
        modiste.run_study(study_file, out=tmp_path / "out", seed=seed)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", ["rya", "2", 0, -1, 1.5, True, np.int64(0)])
def test_what_is_no_number_of_workers_is_refused(
    given: Any, study_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="expected a number from 1 up, here or ray"):
        modiste.run_study(study_file, out=tmp_path / "out", num_workers=given)
    assert not (tmp_path / "out").exists()


def test_a_study_that_runs_nothing_in_a_profile_says_so(
    tmp_path: Path, synthetic_folder: Path
) -> None:
    stages = [{"name": "one", "profiles": {"quick": {"skip": "too long"}}}]
    file = small.write_study(tmp_path / "idle.yaml", small.study(stages=stages))
    with pytest.raises(SpecError, match="every stage is skipped"):
        modiste.run_study(file, out=tmp_path / "out", data_folder=synthetic_folder)
