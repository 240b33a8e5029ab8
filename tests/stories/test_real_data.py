"""The reference study on a slice of the real data, every stage of it, without the test files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste.data import idx
from modiste.search.study import Study
from tests.command_line import Answer, Cli, new_place

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Finished:
    """The study that was run, what it said, and where the whole of the data lies."""

    out: Path
    answer: Answer
    data: Path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, fashion_mnist_folder: Path) -> Finished:
    place = new_place(tmp_path_factory.mktemp("real"))
    data = place.root / "train-only"
    data.mkdir()
    for path in fashion_mnist_folder.glob("train-*"):
        (data / path.name).symlink_to(path)
    answer = place.ask(
        *("study", ROOT / "studies" / "fashion-mnist.yaml", "--data", data),
        *("--set", "data.num_train=1000", "--set", "data.num_val=1000"),
        *("--set", "train.epochs=2", "--out", place.root / "out", "--json"),
    )
    assert answer.status == 0, answer.err
    return Finished(place.root / "out", answer, fashion_mnist_folder)


def test_every_stage_is_run_and_has_its_place_in_the_report(finished: Finished) -> None:
    study = Study(finished.out)
    markdown = (finished.out / "report.md").read_text("utf-8")
    num_runs = 0
    for stage in study.stages():
        assert stage.is_done
        assert stage.spec.title in markdown
        num_runs += sum(len(row.runs) for row in stage.chosen)
    assert num_runs >= 20
    assert (finished.out / "report.html").stat().st_size < 5_000_000
    assert not list(finished.out.glob("final/*"))


def test_what_was_learnt_is_more_than_chance(finished: Finished) -> None:
    for stage in Study(finished.out).stages():
        for row in stage.chosen:
            for run in row.runs:
                metrics = run.metrics
                assert metrics["status"] == "finished"
                assert (metrics["num_train"], metrics["num_val"]) == (1000, 1000)
                if not run.history:  # fitted in one go
                    val = metrics["last"]["val"]["accuracy"]
                    is_chance = run.spec.model.family == "majority"
                    assert val == 0.1 if is_chance else val > 0.5, row.label
                    continue
                # As seen in training: sixteen updates move the statistics of batch norm too
                # little for inference. Chance gives 0.1 on a thousand images, with a standard
                # error of 0.0095: 0.25 is fifteen of them above it.
                seen = run.history[-1]["train_accuracy"]
                assert seen > 0.25, (stage.spec.name, row.label)
    winners = {stage["name"]: stage["val_accuracy"] for stage in finished.answer.json["stages"]}
    assert winners["mlp-final"] > 0.5


def test_the_sealed_test_set_opens_once_for_the_final_models(finished: Finished, cli: Cli) -> None:
    value = cli(
        *("evaluate", finished.out, "--final", "--reason", "a test of ours"),
        *("--data", finished.data, "--json"),
    ).json
    assert (value["part"], value["num_images"], value["looks"]) == ("test", 10_000, 1)
    for row in value["runs"]:
        low, high = row["last"]["interval"]
        assert low < row["last"]["accuracy"] < high
        assert high - low < 0.021  # 1.96 x 2 x sqrt(0.25 / 10,000) = 0.0196 at the widest


def test_a_picture_of_the_training_set_is_classified(
    finished: Finished, tmp_path: Path, cli: Cli
) -> None:
    images = idx.read(finished.data / "train-images-idx3-ubyte.gz", "images")[:20]
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    words = ("predict", finished.out / "models" / "mlp-final", *paths, "--json")
    answers = cli(*words).json["predictions"]
    labels = idx.read(finished.data / "train-labels-idx1-ubyte.gz", "labels")[:20]
    names = list(answers[0]["probabilities"])
    assert names[9] == "Ankle boot"
    right = np.mean([a["class"] == names[k] for a, k in zip(answers, labels, strict=True)])
    assert right >= 0.3  # at an accuracy above 0.5, fewer than 6 of 20 has a chance below 0.02


def test_the_first_pictures_and_the_samples_per_class_are_drawn(
    finished: Finished, tmp_path: Path, cli: Cli
) -> None:
    value = cli(
        *("data", "show", "fashion-mnist", "--data", finished.data, "--out", tmp_path / "figures"),
        "--json",
    ).json
    assert value["train"] == [4_800] * 10
    assert value["val"] == [1_200] * 10
    assert len(value["figures"]) == 4
    assert all(Path(path).stat().st_size > 5_000 for path in value["figures"])
