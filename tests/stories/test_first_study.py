"""From data to report, one look, and a model that is used; all on 600 synthetic images."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modiste.runs.run import Run
from modiste.search.study import Study
from tests import small
from tests.command_line import Answer, Cli, Place, new_place
from tests.synthetic import draw, write_idx

pytestmark = pytest.mark.slow  # child processes, and figures

VALUES: dict[str, Any] = small.study(
    title="Squares on noise",
    data={"name": "idx", "num_val": 100},
    train={"epochs": 12, "batch_size": 50, "optimizer": {"name": "adam", "learning_rate": 0.005}},
    stages=[
        {"name": "grid", "grid": {"model.params.hidden": [[8], [16]]}, "title": "How wide?"},
        {
            "name": "final",
            "final": True,
            "from": ["grid"],
            "repeats": 2,
            "title": "The best, twice",
        },
        {
            "name": "cnn",
            "final": True,
            "title": "A small CNN",
            "model": {"family": "cnn", "params": {"filters": [4, 8]}},
            "train": {"epochs": 4},
        },
    ],
)


@dataclass(frozen=True)
class Finished:
    """A study that was run once, for all tests here to read; the test files were deleted."""

    place: Place
    file: Path
    data: Path
    out: Path
    answer: Answer

    @property
    def words(self) -> tuple[str | Path, ...]:
        return ("study", self.file, "--data", self.data, "--out", self.out, "--json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    place = new_place(tmp_path_factory.mktemp("place"))
    data = write_idx(place.root / "data")
    for path in data.glob("t10k-*"):
        path.unlink()
    file = small.write_study(place.root / "squares.yaml", VALUES)
    found = Finished(place, file, data, place.root / "out", Answer(0, "", ""))
    answer = place.run(*found.words)
    assert answer.status == 0, answer.err
    return Finished(place, file, data, place.root / "out", answer)


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Path:
    """The study folder, to be changed; the ledger is that of the test."""
    return Path(shutil.copytree(finished.out, tmp_path / "copy"))


@pytest.fixture(scope="module")
def with_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same data with their test files."""
    return write_idx(tmp_path_factory.mktemp("data") / "idx")


# --- the study ------------------------------------------------------------------------------------


def test_a_whole_study_runs_with_the_test_files_deleted(finished: Finished) -> None:
    assert {path.name for path in finished.data.iterdir()} == {
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    }
    assert all(stage.is_done for stage in Study(finished.out).stages())
    assert (finished.out / "report.html").stat().st_size > 10_000
    assert not (finished.out / "final").exists()
    assert not (finished.place.root / "ledger").exists()


def test_the_answer_is_one_object_and_the_talk_goes_to_stderr(finished: Finished) -> None:
    value = finished.answer.json
    assert value["study"] == str(finished.out)
    assert value["profile"] == "quick"
    assert value["report"] == str(finished.out / "report.html")
    assert [(s["name"], s["done"], s["points"]) for s in value["stages"]] == [
        ("grid", 2, 2),
        ("final", 1, 1),
        ("cnn", 1, 1),
    ]
    for stage in value["stages"]:
        # A linear model can tell the classes apart, so every net here must have learnt it.
        assert stage["val_accuracy"] > 0.9
        assert stage["winner"]
    lines = finished.answer.err.splitlines()
    # The runs of `final` are known once `grid` has a winner.
    assert lines[0] == "Runs to do: 3, and those of final, which wait for others."
    assert sum("validation accuracy" in line for line in lines) == 4
    assert "Traceback" not in finished.answer.err
    assert "\x1b" not in finished.answer.err, "colours where there is no terminal"


def test_the_report_stands_for_itself(finished: Finished) -> None:
    html = (finished.out / "report.html").read_text("utf-8")
    markdown = (finished.out / "report.md").read_text("utf-8")
    for text in (html, markdown):
        assert "Squares on noise" in text
        for title in ("How wide?", "The best, twice", "A small CNN"):
            assert title in text
    assert len(html.encode()) < 5_000_000
    for word in ("<link", "@import", 'src="http', "fetch("):
        assert word not in html


def test_every_study_looks_for_images_that_both_train_and_choose(finished: Finished) -> None:
    found = json.loads((finished.out / "duplicates.json").read_text())
    assert found["val_with_exact_duplicate_in_train"] == []
    said = f"None of the {found['num_val']} validation images equals a training image"
    assert said in (finished.out / "report.md").read_text("utf-8")
    run = Study(finished.out).stages()[0].rows[0].runs[0]
    assert datetime.fromisoformat(run.environment["finished_at"]).tzinfo is not None


def test_the_same_command_again_repeats_nothing(finished: Finished) -> None:
    def state() -> dict[str, int]:
        places = ("runs", "stages", "models")
        found = [path for name in places for path in (finished.out / name).rglob("*")]
        return {str(p.relative_to(finished.out)): p.stat().st_mtime_ns for p in found}

    before = state()
    assert any(name.endswith("manifest.json") for name in before)
    again = finished.place.run(*finished.words)
    assert again.status == 0, again.err
    assert state() == before
    assert again.json == finished.answer.json
    assert again.err.splitlines()[0] == "4 of 4 runs are finished already."


def test_no_thing_of_ours_on_disk_is_a_pickle(finished: Finished) -> None:
    endings = {path.suffix for path in finished.out.rglob("*") if path.is_file()}
    known = {
        ".json",
        ".jsonl",
        ".csv",
        ".npz",
        ".npy",
        ".safetensors",
        ".html",
        ".md",
        ".svg",
        ".png",
    }
    assert endings <= known | {".txt", ""}
    for path in finished.out.rglob("*.np[yz]"):
        np.load(path, allow_pickle=False)


def test_a_report_is_written_again_from_the_folder_alone(copy: Path, cli: Cli) -> None:
    (copy / "report.html").unlink()
    answer = cli("report", copy)
    assert (answer.status, answer.out) == (0, f"{copy / 'report.html'}\n")
    assert (copy / "report.html").is_file()
    assert cli("report", copy, "--json").json == {"report": str(copy / "report.html")}


# --- how good it is -------------------------------------------------------------------------------


def test_evaluation_reads_what_validation_said(finished: Finished, cli: Cli) -> None:
    value = cli("evaluate", finished.out, "--json").json
    assert (value["part"], value["num_images"]) == ("validation", 100)
    assert [(row["label"], row["seed"]) for row in value["runs"]] == [
        ("final", 0),
        ("final", 1),
        ("cnn", 0),
    ]
    for row in value["runs"]:
        run = Run(finished.out / "runs" / row["fingerprint"][:16])
        for epoch in ("best", "last"):
            figures = row[epoch]
            low, high = figures["interval"]
            assert 0 <= low < figures["accuracy"] <= high <= 1
            assert figures["correct"] == run.metrics[epoch]["val"]["correct"]
    text = cli("evaluate", finished.out)
    assert text.status == 0
    assert "validation" in text.out.lower() + text.err.lower()


@pytest.mark.parametrize("what", ["models/cnn", "runs"])
def test_a_model_or_a_run_alone_can_be_evaluated(what: str, finished: Finished, cli: Cli) -> None:
    place = finished.out / what
    if what == "runs":
        place = min(place.iterdir())
    value = cli("evaluate", place, "--json").json
    assert value["part"] == "validation"
    assert len(value["runs"]) == 1


def test_the_test_set_opens_for_a_reason_and_is_counted_once(
    copy: Path, with_test: Path, cli: Cli
) -> None:
    words = ("evaluate", copy, "--final", "--data", with_test)
    for reason in ([], ["--reason", ""], ["--reason", "  "]):
        refused = cli(*words, *reason)
        assert refused.status == 2
        assert "opens only for a stated reason. Opened 0 time(s) so far." in refused.err
    first = cli(*words, "--reason", "the paper, table 1", "--json").json
    assert (first["part"], first["num_images"], first["looks"]) == ("test", 200, 1)
    assert first["reason"] == "the paper, table 1"
    assert len(first["runs"]) == 3
    assert all(row["last"]["accuracy"] > 0.9 for row in first["runs"])
    # The same frozen list again is no other look: what was stored is the answer.
    again = cli(*words, "--reason", "again", "--json").json
    assert {**again, "notes": first["notes"]} == first
    assert "nothing was opened or counted" in again["notes"][0]
    assert again["notes"][1] == "Reason: the paper, table 1"
    # Another list is.
    other = cli("evaluate", copy / "models" / "cnn", "--final", "--data", with_test)
    assert other.status == 2
    value = cli(
        *("evaluate", copy / "models" / "cnn", "--final", "--data", with_test),
        *("--reason", "the CNN alone", "--json"),
    ).json
    assert value["looks"] == 2
    report = (copy / "report.md").read_text("utf-8")
    assert "the paper, table 1" in report


def test_a_reason_without_a_look_is_a_mistake(finished: Finished, cli: Cli) -> None:
    answer = cli("evaluate", finished.out, "--reason", "to see")
    assert answer.status == 2
    assert "--final" in answer.err


def test_a_look_at_other_images_or_at_none_counts_for_nothing(
    copy: Path, finished: Finished, with_test: Path, tmp_path: Path, cli: Cli
) -> None:
    other = write_idx(tmp_path / "other", seed=5)
    words = ("evaluate", copy, "--final", "--reason", "to see", "--data")
    for folder, said in ((other, "other images"), (finished.data, "t10k-images")):
        answer = cli(*words, folder)
        assert answer.status == 2
        assert said in answer.err
        assert not (copy / "final").exists()
    assert cli(*words, with_test, "--json").json["looks"] == 1


# --- what it is for -------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> list[tuple[Path, int]]:
    """Images the model never saw, as PNG, with their classes."""
    images_NHW, labels_N = draw(20, seed=77)
    found = []
    for number, (image_HW, label) in enumerate(zip(images_NHW, labels_N, strict=True)):
        path = tmp_path / f"größe {number}.png"
        Image.fromarray(image_HW).save(path)
        found.append((path, int(label)))
    return found


@pytest.mark.parametrize("what", ["models/final", "models/cnn", "runs"])
def test_image_files_are_classified(
    what: str, finished: Finished, pictures: list[tuple[Path, int]], cli: Cli
) -> None:
    place = finished.out / what
    if what == "runs":
        place = next(run for run in sorted(place.iterdir()) if Run(run).has_weights)
    value = cli("predict", place, *(path for path, _ in pictures), "--json").json
    answers = value["predictions"]
    assert [answer["image"] for answer in answers] == [str(path) for path, _ in pictures]
    right = sum(a["class"] == str(label) for a, (_, label) in zip(answers, pictures, strict=True))
    # Above 0.9 on validation images of the same kind: fewer than 15 of 20 has a chance of 0.002.
    assert right >= 15
    for answer in answers:
        shares = answer["probabilities"]
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-9)
        assert max(shares, key=shares.get) == answer["class"]
        assert answer["probability"] == shares[answer["class"]]


def test_predictions_are_lines_for_people(
    finished: Finished, pictures: list[tuple[Path, int]], cli: Cli
) -> None:
    path, _ = pictures[0]
    answer = cli("predict", finished.out / "models" / "cnn", path)
    assert answer.status == 0
    assert answer.out.startswith(f"{path}: ")


def test_a_model_can_be_taken_anywhere_and_a_changed_one_is_refused(
    finished: Finished, pictures: list[tuple[Path, int]], tmp_path: Path, cli: Cli
) -> None:
    model = Path(shutil.copytree(finished.out / "models" / "cnn", tmp_path / "taken"))
    path, _ = pictures[0]
    here, there = (
        cli("predict", place, path, "--json").json["predictions"]
        for place in (finished.out / "models" / "cnn", model)
    )
    assert here == there
    assert {p.name for p in model.iterdir()} == {
        "model.safetensors",
        "config.json",
        "README.md",
        "manifest.json",
    }
    # It came from a study that is not here: it can predict, and says why it cannot be evaluated.
    answer = cli("evaluate", model)
    assert answer.status == 2
    assert "A model folder on its own can predict" in answer.err
    weights = bytearray((model / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (model / "model.safetensors").write_bytes(weights)
    answer = cli("predict", model, path)
    assert answer.status == 2
    assert "not what was written" in answer.err


def test_the_card_says_what_to_expect(finished: Finished) -> None:
    card = (finished.out / "models" / "final" / "README.md").read_text("utf-8")
    for words in (
        "The best, twice",
        "validation accuracy",
        "the test set was not opened",
        "seed 0",
    ):
        assert words in card


# --- looking --------------------------------------------------------------------------------------


def test_data_are_shown_without_opening_the_test_set(
    finished: Finished, tmp_path: Path, cli: Cli
) -> None:
    words = ("data", "show", "idx", "--data", finished.data, "--num-val", "100")
    value = cli(*words, "--out", tmp_path / "figures", "--json").json
    assert value["name"] == finished.data.name  # as people call it
    assert value["train"] == [50] * 10
    assert value["val"] == [10] * 10
    suffixes = {Path(path).suffix for path in value["figures"]}
    assert suffixes == {".png", ".svg"}
    assert all(Path(path).is_file() for path in value["figures"])
    answer = cli(*words, "--out", tmp_path / "figures")
    assert answer.status == 0
    assert "the test set stays closed" in answer.out


def test_a_net_is_described_as_json_and_as_a_table(cli: Cli) -> None:
    words = ("describe", "mlp", "--set", "hidden=[768]", "--set", "dropout=0.3")
    value = cli(*words, "--json").json
    assert value["parameters"] == {"total": 610_570, "trainable": 610_570}
    assert value["flops_forward"] == 1_219_584
    assert [row["name"] for row in value["layers"]][1] == "dense_0_768_relu"
    text = cli(*words).out
    assert "dense_0_768_relu" in text
    assert "610,570" in text
    other = cli("describe", "cnn", "--shape", "32x32x3", "--classes", "100", "--json").json
    assert other["input_shape"] == [32, 32, 3]
    assert other["layers"][-1]["output_shape"] == [100]
