"""Images of one's own, from files to a measured model: by two commands, and one counted look."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import modiste
from modiste.artifact.folder import open_folder
from modiste.data.own import apart
from modiste.data.own.stock import take_stock
from modiste.data.own.walk import list_folder
from modiste.runs.run import Run
from modiste.search.study import Study
from tests import small
from tests.command_line import Answer, Cli, Place, new_place
from tests.own_images import write_classes, write_flags, write_parts
from tests.serving import running
from tests.synthetic import draw

pytestmark = pytest.mark.slow

# What the digits of scikit-learn have to reach on their test part, of 359 images.
GOOD = 0.985


def write_digits(root: Path) -> Path:
    """scikit-learn's 1,797 handwritten digits as PNG files of 8 x 8 pixels, a folder for each."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = root / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.rint(image * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")
    return root


@dataclass(frozen=True)
class Digits:
    """The digits after `init` and `study`; their test images were away while it ran."""

    place: Place
    init: Answer
    study: Answer


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    place = new_place(tmp_path_factory.mktemp("place"))
    folder = write_digits(place.root / "digits")
    # No time at all: the smallest plan, a third of the epochs that would do.
    init = place.ask("init", "digits", "--minutes", "0.01", "--json")
    assert init.status == 0, init.err
    sealed = apart.load(folder)
    assert sealed is not None
    stock = take_stock(list_folder(folder))
    tests = [s.item for s in stock.seen if s.look and apart.picture(s.look.pixels) in sealed.sealed]
    for item in tests:
        away = place.root / "away" / item.name
        away.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / item.name, away)
    # So few epochs want larger steps.
    rate = ("--set", "train.optimizer={name: adam, learning_rate: 0.003}")
    study = place.ask("study", "digits.yaml", *rate, "--json")
    assert study.status == 0, study.err
    for item in tests:
        shutil.move(place.root / "away" / item.name, folder / item.name)
    return Digits(place, init, study)


def test_a_folder_of_digits_becomes_a_study(digits: Digits) -> None:
    found = digits.init.json
    assert found["file"] == "digits.yaml"
    assert found["sealed"] == f"digits/{apart.NAME}"
    assert found["data"]["num_seen"] == 1_797
    assert sum(found["data"]["parts"]["train"]) == 1_438
    assert sum(found["data"]["parts"]["test"]) == 359
    assert found["data"]["copies"] == []


def test_the_study_ran_without_its_test_images_and_kept_nothing_of_them(digits: Digits) -> None:
    stages = {stage["name"]: stage for stage in digits.study.json["stages"]}
    assert list(stages) == ["no-network", "nets", "augmentation", "final"]
    assert all(stage["done"] == stage["points"] for stage in stages.values())
    run = next(iter(Study(digits.place.root / "runs" / "digits-quick").folder.glob("runs/*")))
    assert Run(run).metrics["num_train"] + Run(run).metrics["num_val"] == 1_438
    assert not (digits.place.root / "ledger").exists()


def test_one_counted_look_finds_the_digits_well_read(
    digits: Digits, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digits.place.root)
    why = ("--reason", "are they well read?")
    answer = cli("evaluate", "runs/digits-quick", "--final", *why, "--json")
    assert answer.status == 0, answer.err
    found = answer.json
    assert (found["part"], found["num_images"], found["looks"]) == ("test", 359, 1)
    assert min(run["last"]["accuracy"] for run in found["runs"]) >= GOOD


def test_the_report_says_what_the_set_is_and_what_was_split_off(digits: Digits) -> None:
    folder = digits.place.root / "runs" / "digits-quick"
    text = (folder / "report.md").read_text("utf-8")
    for words in (
        "The images come from `digits`, read as folder",
        "The set came without a test part, so 359 images were split off",
        "and sealed on 20",
        "Of them 359 were not there when this was written.",
        "Every image becomes 8 × 8 pixels of grey.",
        "each of 1,438 files was looked at before any training",
        "| size, in pixels | 8 × 8 | 1,438 |",
        "| data.test\\_share | 0.2 |",
        "What needs no network",
    ):
        assert words in text, words
    assert str(digits.place.root) not in text
    kept = "\n".join(path.read_text("utf-8") for path in folder.glob("runs/*/spec.json"))
    assert str(digits.place.root) not in kept


def test_colours_on_a_clear_ground_go_from_files_to_a_served_model(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    write_flags(place.root / "flags")

    def ask(*words: str) -> Answer:
        answer = place.ask(*words)
        assert answer.status == 0, answer.err
        return answer

    found = ask("init", "flags", "--minutes", "0.01", "--json").json
    assert found["data"]["modes"] == {"RGBA": 72}
    faster = ("--set", "train.optimizer={name: adam, learning_rate: 0.01}", "--workers", "here")
    study = ask("study", "flags.yaml", *faster, "--set", "train.epochs=8")
    assert study.err.splitlines()[-3:] == [
        "Next, when nothing is left to choose:",
        "  modiste evaluate runs/flags-quick --final --reason <WHY>",
        "  modiste serve runs/flags-quick/exported/final",
    ]
    shipped = "runs/flags-quick/exported/final"
    digest = open_folder(place.root / shipped).digest[:16]
    assert f"{shipped}: exported, digest {digest}; " in study.err
    why = ("--reason", "are colours told apart?")
    look = ask("evaluate", "runs/flags-quick", "--final", *why, "--json").json
    digest = open_folder(place.root / shipped).digest[:16]
    assert f"exported, digest {digest}; " in look["notes"][-1]
    ask("verify", shipped, "--digest", digest)
    certificate = json.loads((place.root / shipped / "certificate.json").read_bytes())
    assert certificate["parity"]["flips"] == 0
    assert certificate["test"]["measured"]["reason"] == "are colours told apart?"
    wanted = {f"flags/{name}/0.png": name for name in ("red", "green", "blue")}
    said = ask("predict", shipped, *wanted, "--json").json["predictions"]
    assert [one["class"] for one in said] == list(wanted.values())
    with running(place.root / shipped, tmp_path / "server") as server:
        body = (place.root / "flags" / "green" / "0.png").read_bytes()
        answer = server.ask("POST", "/predict", body=body)
        assert (answer.status, answer.json["predictions"][0]["class"]) == (200, "green")


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """A study of the synthetic squares, as PNG files of two sizes, three classes of them."""
    images, labels = draw(600, seed=3)
    for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
        if label < 3:
            folder = tmp_path / "squares" / "abc"[label]
            folder.mkdir(parents=True, exist_ok=True)
            size = (28, 28) if number % 2 else (42, 28)
            Image.fromarray(pixels).resize(size).save(folder / f"{number}.png")
    values = small.study(
        data={
            "name": "folder",
            "path": "squares",
            "decode": {"size": [14, 14], "channels": 1, "sizing": "fit"},
            "test_share": 0.2,
            "num_val": 30,
        },
        train={"epochs": 4, "batch_size": 16, "class_weights": "balanced"},
        stages=[{"name": "final", "final": True, "model": {"family": "mlp"}}],
    )
    return small.write_study(tmp_path / "squares.yaml", values)


def test_whatever_is_asked_of_a_run_later_finds_its_images(
    squares: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("study", "squares.yaml", "--out", "out", "--json")
    assert answer.status == 0, answer.err
    run = next((tmp_path / "out" / "runs").iterdir())
    reason = ("--final", "--reason", "to see whether it is found")
    answer = cli("evaluate", run, *reason, "--json")
    assert answer.status == 0, answer.err
    assert answer.json["num_images"] == 36
    assert Run(run).data_name == "squares"
    model = Path("out", "models", "final")
    assert json.loads((model / "config.json").read_bytes())["data_name"] == "squares"
    assert "| data | squares, digest" in (model / "README.md").read_text("utf-8")
    answer = cli("reproduce", run, "--out", "again")
    assert answer.status == 0, answer.err
    assert "identical" in answer.out
    facts = json.loads((tmp_path / "out" / "data.json").read_text("utf-8"))
    assert facts["num_sizes"] == 2
    assert len(facts["images"]) == 144
    text = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "fit: scaled as a whole until it fits inside, the rest filled" in text
    assert "balanced: each class counts the same in the loss" in text
    # From elsewhere the folder is not where the study file says, and can be named.
    monkeypatch.chdir(tmp_path / "out")
    assert cli("evaluate", run, *reason).status == 0, "what a look stored needs no images"
    shutil.rmtree("final")
    assert cli("evaluate", run, "--final", "--reason", "elsewhere").status == 2
    answer = cli("evaluate", run, *reason, "--data", tmp_path / "squares", "--json")
    assert answer.status == 0, answer.err
    # Other images under the same path are noticed.
    next((tmp_path / "squares" / "a").iterdir()).unlink()
    answer = cli("study", squares, "--out", tmp_path / "out")
    assert answer.status == 2
    assert "differs in: data_digest" in answer.err


def test_a_set_of_parts_can_be_shown_audited_and_loaded_by_its_path(
    tmp_path: Path, cli: Cli
) -> None:
    root = write_parts(tmp_path / "pets")
    answer = cli("data", "show", root, "--out", tmp_path / "figures", "--json")
    assert answer.status == 0, answer.err
    assert (answer.json["name"], answer.json["val"]) == ("pets", [5, 5, 5])
    answer = cli("audit", root, "--out", tmp_path / "audit", "--json")
    assert answer.status == 0, answer.err
    assert (answer.json["num_train"], answer.json["num_val"]) == (15, 15)
    data = modiste.load(str(root))
    run = modiste.fit(
        data, {"family": "mlp"}, {"epochs": 1, "batch_size": 8}, folder=tmp_path / "fits"
    )
    assert (run.metrics["num_val"], run.data_name) == (15, "pets")
    shown = cli("show", run.folder)
    assert f"trained on pets; fingerprint {run.fingerprint}" in shown.out


def test_a_scan_tells_what_is_there(tmp_path: Path, cli: Cli) -> None:
    root = write_classes(tmp_path / "pets", 6)
    answer = cli("data", "scan", root)
    assert answer.status == 0, answer.err
    assert "pets: 18 files of 3 classes, found as folder" in answer.out
    assert "formats: 18 PNG; modes: 18 L" in answer.out
    assert "sizes: all 8 × 8 pixels" in answer.out
    assert answer.out.splitlines()[-1].split() == ["cat", "5", "1"]


def test_the_command_that_init_says_can_be_typed(tmp_path: Path) -> None:
    place = new_place(tmp_path)
    write_classes(place.root / "my pets", per_class=12)
    answer = place.ask("init", "my pets", "--minutes", "1", "--out", "my study.yaml")
    assert answer.status == 0, answer.err
    words = shlex.split(answer.out.splitlines()[-1])
    assert words == ["modiste", "study", "my study.yaml"]
    assert (place.root / words[2]).is_file()
