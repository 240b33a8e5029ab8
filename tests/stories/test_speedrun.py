"""A recipe is raced on validation images, and looked at on test images once."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modiste.recipes import laps
from modiste.recipes.files import open_recipe
from modiste.recipes.kept import KeptLaps
from modiste.runs.environment import environment
from modiste.spec.run import RunSpec
from tests import small
from tests.command_line import Cli
from tests.own_images import CLASSES, write_classes

RECIPE: dict[str, Any] = {"title": "tiny", "goal": 0.5, "final_num_val": 10, "run": small.RUN}
# Too short to be right of all images, so that runs differ.
SHORT = {**small.RUN, "train": {"epochs": 1, "batch_size": 100}}


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return path


def test_runs_take_turns_with_three_divisions(cli: Cli, file: Path, synthetic_folder: Path) -> None:
    file.write_text(yaml.safe_dump({**RECIPE, "run": SHORT}))
    answer = cli(
        "speedrun", file, "--runs", "4", "--data", synthetic_folder, "--no-keras", "--json"
    )
    assert answer.status == 0, answer.err
    found = answer.json
    assert found["part"] == "validation"
    assert found["num_train"] == 600 - small.NUM_VAL
    assert [(run["seed"], run["split_seed"]) for run in found["runs"]] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 0),
    ]
    figures = [run["correct"] / run["total"] for run in found["runs"]]
    assert found["accuracy"]["mean"] == pytest.approx(sum(figures) / 4)
    assert found["accuracy"]["low"] < found["accuracy"]["mean"] < found["accuracy"]["high"]
    assert found["reached"] is (found["accuracy"]["mean"] >= 0.5)
    assert found["seconds"]["least"] <= found["seconds"]["median"] <= found["seconds"]["most"]
    assert (found["keras_epoch_seconds"], found["keras_epochs"]) == ([], None)
    assert not (Path.cwd() / "runs").exists()


def test_one_run_has_no_interval_and_says_so_to_people(
    cli: Cli, file: Path, synthetic_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modiste.api.speedrun.keras_epoch_seconds", lambda threads: 100.0 * threads)
    answer = cli("speedrun", file, "--runs", "1", "--data", synthetic_folder)
    assert answer.status == 0, answer.err
    assert "mean of 1 run\n" in answer.out
    assert "of one epoch of the reference CNN in Keras (100 s, from parts of it)" in answer.out


def test_a_look_is_counted_once_and_its_seeds_follow_from_the_file(
    cli: Cli, file: Path, synthetic_folder: Path
) -> None:
    words = [
        *("speedrun", file, "--runs", "2", "--final", "--data", synthetic_folder, "--no-keras"),
        *("--log", "looks.csv", "--json"),
    ]
    refused = cli(*words)
    assert refused.status == 2
    assert "--reason" in refused.err
    answer = cli(*words, "--reason", "is it so?")
    assert answer.status == 0, answer.err
    found = answer.json
    assert (found["part"], found["looks"], found["num_train"]) == ("test", 1, 590)
    assert [run["seed"] for run in found["runs"]] == open_recipe(str(file)).seeds(2)
    assert all(run["total"] == 200 for run in found["runs"])

    again = cli(*words, "--reason", "once more").json
    assert (again["looks"], again["opened_at"]) == (1, found["opened_at"])
    assert [run["correct"] for run in again["runs"]] == [run["correct"] for run in found["runs"]]

    with Path("looks.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["reason"] for row in rows] == ["is it so?"]
    assert rows[0]["sha256"] == found["sha256"]
    assert float(rows[0]["accuracy"]) == pytest.approx(found["accuracy"]["mean"], abs=1e-5)


def test_a_recipe_is_looked_at_once_however_it_is_asked_for(
    cli: Cli, file: Path, synthetic_folder: Path, tmp_path: Path
) -> None:
    words = ["speedrun", file, "--final", "--data", synthetic_folder, "--no-keras", "--json"]
    log = ["--log", tmp_path / "looks.csv", "--reason", "is it so?"]
    first = cli(*words, *log, "--runs", "2")
    assert first.status == 0, first.err
    # Asked again: what was found, times and all; nothing is trained.
    assert cli(*words, *log, "--runs", "2").json == first.json
    folder = next((tmp_path / "runs" / "speedruns").iterdir())
    for _ in range(2):  # with what was found, and with the look alone
        more = cli(*words, *log, "--runs", "3")
        assert more.status == 2
        assert "was looked at on" in more.err
        assert "with 2 runs" in more.err
        (folder / "speedrun.json").unlink(missing_ok=True)
    for some in (log, log[2:]):  # the list tells, or else the ledger
        for runs in ("2", "3"):
            elsewhere = cli(*words, *some, "--runs", runs, "--out", tmp_path / "elsewhere")
            assert elsewhere.status == 2
            place = "looks.csv" if some is log else "jsonl"
            assert f"{place}: this recipe was looked at on" in elsewhere.err
            assert not (tmp_path / "elsewhere").exists()


def test_the_folder_of_another_look_is_refused(
    cli: Cli, file: Path, synthetic_folder: Path, tmp_path: Path
) -> None:
    words = ["--final", "--data", synthetic_folder, "--no-keras", "--runs", "1", "--json"]
    words += ["--out", tmp_path / "one", "--reason", "is it so?"]
    assert cli("speedrun", file, *words).status == 0
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text("utf-8") + "# another\n", "utf-8")
    refused = cli("speedrun", other, *words)
    assert refused.status == 2
    assert "holds the look at another recipe" in refused.err


def test_a_look_that_was_interrupted_trains_what_was_left_and_nothing_twice(
    cli: Cli, file: Path, synthetic_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [
        *("speedrun", file, "--runs", "3", "--final", "--reason", "is it so?"),
        *("--data", synthetic_folder, "--no-keras", "--json"),
    ]
    seeds, one_lap = open_recipe(str(file)).seeds(3), laps._lap
    trained: list[int] = []
    ends_before: list[int] = [seeds[2]]

    def _watched(spec: RunSpec, *rest: Any) -> laps.Lap:
        if spec.seed in ends_before:
            raise KeyboardInterrupt
        trained.append(spec.seed)
        return one_lap(spec, *rest)

    monkeypatch.setattr(laps, "_lap", _watched)
    assert cli(*words).status != 0
    assert trained == seeds[:2]

    trained.clear()
    ends_before.clear()
    found = cli(*words).json
    assert trained == seeds[2:]
    assert found["looks"] == 1
    assert [run["seed"] for run in found["runs"]] == seeds
    kept = [json.loads(path.read_text())["seconds"] for path in Path("runs").rglob("laps/*.json")]
    assert sorted(kept) == sorted(run["seconds"] for run in found["runs"])


def test_laps_of_another_machine_are_run_again(
    tmp_path: Path, synthetic_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RunSpec.parse(small.RUN)
    (lap,) = laps.run_laps([spec], small.images())
    keep = KeptLaps(tmp_path)
    keep.put(lap)
    found = keep.get(spec, lap.run.fingerprint)
    assert found is not None
    assert (found.seconds, found.num_right, found.num_val) == (
        lap.seconds,
        lap.num_right,
        lap.num_val,
    )
    other = {**environment(), "cpu": "another"}
    monkeypatch.setattr("modiste.recipes.kept.environment", lambda: other)
    assert keep.get(spec, lap.run.fingerprint) is None


@pytest.mark.parametrize("option", ["--out", "--log"])
def test_what_belongs_to_a_look_is_refused_without_one(
    cli: Cli, file: Path, option: str, tmp_path: Path
) -> None:
    answer = cli("speedrun", file, option, tmp_path / "here")
    assert answer.status == 2
    assert f"{option} belongs to --final" in answer.err


def test_images_of_ones_own_become_what_the_recipe_says(tmp_path: Path, cli: Cli) -> None:
    write_classes(tmp_path / "set", per_class=20)
    own = {"decode": {"size": [10, 10], "channels": 1}, "test_share": 0.2}
    run = {**small.RUN, "data": {"name": "folder", "num_val": 9, **own}}
    recipe = tmp_path / "own.yaml"
    recipe.write_text(yaml.safe_dump({**RECIPE, "run": run}), encoding="utf-8")
    answer = cli(
        *("speedrun", recipe, "--runs", "1", "--data", tmp_path / "set", "--no-keras", "--json")
    )
    assert answer.status == 0, answer.err
    assert answer.json["data"] == "set"
    assert answer.json["parameters"] == 101 * 12 + 13 * len(CLASSES)


def test_the_answers_are_those_of_the_weights_that_count(synthetic_folder: Path) -> None:
    values = {**small.RUN, "train": {**small.RUN["train"], "averaging": {"decay": 0.5}}}
    images = small.images()
    spec = RunSpec.parse(values)
    (lap,) = laps.run_laps([spec], images)
    last = lap.run.metrics["last"]["val"]
    assert (lap.num_right, lap.num_val) == (last["correct"], last["total"])


def test_a_net_larger_than_promised_is_refused_before_training(
    cli: Cli, file: Path, synthetic_folder: Path
) -> None:
    words = ["speedrun", file, "--runs", "1", "--data", synthetic_folder, "--no-keras", "--json"]
    exact = cli(*words).json["parameters"]
    file.write_text(yaml.safe_dump({**RECIPE, "max_parameters": exact}))
    found = cli(*words).json
    assert (found["parameters"], found["max_parameters"]) == (exact, exact)
    file.write_text(yaml.safe_dump({**RECIPE, "max_parameters": exact - 1}))
    refused = cli(*words)
    assert refused.status == 2
    assert f"max_parameters: its net has {exact:,} parameters" in refused.err


def test_what_diverges_is_no_lap(cli: Cli, file: Path, synthetic_folder: Path) -> None:
    bad = yaml.safe_load(file.read_text())
    bad["run"]["train"]["optimizer"] = {"name": "sgd", "learning_rate": 1e30}
    file.write_text(yaml.safe_dump(bad))
    answer = cli("speedrun", file, "--data", synthetic_folder, "--no-keras")
    assert answer.status == 2
    assert "seed 0: diverged" in answer.err
