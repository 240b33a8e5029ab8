"""A data set with planted faults, audited by the command: all are found, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from modiste.api.study import run_study
from modiste.evaluate.intervals import wilson
from modiste.runs.ledger import Ledger
from tests import small
from tests.command_line import Cli
from tests.planted import NUM_VAL, Planted, write_planted
from tests.synthetic import write_idx

pytestmark = pytest.mark.slow
NONE = {"exact": 0, "mirrored": 0, "near": 0, "near mirrored": 0}
REASON = "are test images in the training part?"


@pytest.fixture(scope="module", name="planted")
def _planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(name="words")
def _words(planted: Planted, tmp_path: Path) -> list[str | Path]:
    return ["audit", "idx", "--data", planted.folder, "--out", tmp_path / "out"]


@pytest.fixture(scope="module", name="study")
def _study(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of the faulty images."""
    folder = tmp_path_factory.mktemp("study")
    file = small.write_study(folder / "tiny.yaml", small.STUDY)
    run_study(file, profile="full", data_folder=planted.folder, out=folder / "out")
    return folder / "out"


def test_planted_faults_are_found_and_written_down(
    words: list[str | Path], planted: Planted, study: Path, tmp_path: Path, cli: Cli
) -> None:
    answer = cli(*words, "--study", study)
    assert answer.status == 0, answer.err
    assert "Validation images with a duplicate in training: 4 of 100 (4.00 %); 0 of" in answer.out
    assert "The test set stays closed." in answer.out
    found: dict[str, Any] = json.loads((tmp_path / "out" / "audit.json").read_bytes())
    duplicates = found["duplicates"]
    assert duplicates["num_pairs"]["across"] == dict.fromkeys(NONE, 1)
    assert duplicates["num_pairs"]["train"] == {**NONE, "exact": 1}
    assert duplicates["num_pairs"]["val"] == NONE
    across = {p["kind"]: set(p["ids"]) for p in duplicates["pairs"] if p["parts"] != ["train"] * 2}
    assert across == {kind: set(pair) for kind, pair in planted.pairs.items()}
    leaked = {val for val, _ in planted.pairs.values()}
    assert set(duplicates["val_with_duplicate_in_train"]["ids"]) == leaked
    conflict = next(p for p in duplicates["pairs"] if p["parts"] == ["train"] * 2)
    assert set(conflict["ids"]) == set(planted.conflict)
    assert conflict["labels"] in (["6", "8"], ["8", "6"])
    # Of two equal images with different labels one is wrong, too; and where a class is a place,
    # a mirrored image belongs to another.
    mirrored = {val for kind, (val, _) in planted.pairs.items() if "mirrored" in kind}
    wrong = {*planted.flipped, *planted.conflict, *mirrored}
    suspects = [image["id"] for image in found["suspects"]["images"]]
    assert set(suspects) <= wrong
    assert len(set(suspects) & set(planted.flipped)) >= 4
    for model in found["models"]:
        assert model["num_images"] == 100
        assert model["without"]["duplicates"]["removed"] == 4
        assert model["on_duplicates"]["count"] == 4
    assert [model["name"].split(":")[0] for model in found["models"]] == ["grid", "final"]
    page = (tmp_path / "out" / "audit.html").read_text("utf-8")
    text = (tmp_path / "out" / "audit.md").read_text("utf-8")
    assert page.count("data:image/png;base64,") >= 10
    assert "http" not in page.replace("http-equiv", "")
    for said in ("The test set was not opened for this audit.", "grid: ", "near mirrored"):
        assert said in page
        assert said in text
    assert "(Drawn in audit.html.)" in text
    assert "figure-conflicts" in page
    assert not (study / "audit").exists()  # it was told to go elsewhere


def test_the_same_audit_gives_the_same_bytes(
    words: list[str | Path], tmp_path: Path, cli: Cli
) -> None:
    def written() -> dict[str, bytes]:
        assert cli(*words, "--num-val", NUM_VAL).status == 0
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    first = written()
    assert set(first) == {"audit.json", "across.npz", "audit.html", "audit.md"}
    assert written() == first


def test_a_comparison_with_test_images_is_counted_apart_and_the_report_says_so(
    words: list[str | Path], tmp_path: Path, planted: Planted, cli: Cli
) -> None:
    more = ("--num-val", NUM_VAL, "--with-test", "--reason", REASON)
    answer = cli(*words, *map(str, more), "--json")
    assert answer.status == 0, answer.err
    test = answer.json["test"]
    assert test["num_images"] == 200
    assert test["in_either"] == {**NONE, **planted.num_test}
    assert [(e["kind"], e["reason"]) for e in test["openings"]] == [("comparison", REASON)]
    ledger = Ledger(answer.json["data_digest"])
    assert ledger.count() == 0
    assert [entry["kind"] for entry in ledger.chain().entries] == ["comparison", "result"]
    # Nothing of the answer is about one test image, its label, or how well anything does on it.
    assert set(test) == {
        *("num_images", "with_train", "with_val", "within", "in_train", "in_val", "in_either"),
        *("reason", "openings"),
    }
    page = (tmp_path / "out" / "audit.html").read_text("utf-8")
    assert "The test set was opened for this audit" in page
    assert REASON in page
    assert "It is no look" in page


def test_a_study_keeps_its_audit_shows_it_and_hands_it_on(
    planted: Planted, study: Path, tmp_path: Path, cli: Cli
) -> None:
    own = Path(shutil.copytree(study, tmp_path / "own"))
    answer = cli("audit", "idx", "--data", planted.folder, "--study", own)
    assert answer.status == 0, answer.err
    names = {"audit.json", "across.npz", "audit.html", "audit.md"}
    assert {path.name for path in (own / "audit").iterdir()} == names
    page = (own / "report.html").read_text("utf-8")
    text = (own / "report.md").read_text("utf-8")
    low = 100 * wilson(4, 100).low
    assert f"Of 100 validation images, **4** (4.00 %; 95 % interval {low:.2f} to" in text
    found = json.loads((own / "audit" / "audit.json").read_bytes())
    final = next(model for model in found["models"] if model["name"].startswith("final"))
    worth = final["without"]["duplicates"]
    start = f"| final | 1 | {final['accuracy']:.4f} | {worth['accuracy']:.4f} |"
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    gallery = page.partition('id="figure-across"')[2].partition("</figure>")[0]
    assert gallery.count("<img") == 4
    for val, train in planted.pairs.values():
        assert f"validation {val}</span><span>training {train}<" in gallery
    # Written again, it says the same; collected, too.
    assert cli("report", own).status == 0
    assert (own / "report.md").read_text("utf-8") == text
    assert cli("collect", own, "--to", tmp_path / "small").status == 0
    assert {path.name for path in (tmp_path / "small" / "audit").iterdir()} == names
    assert line in (tmp_path / "small" / "report.md").read_text("utf-8")


def test_a_run_folder_will_do_in_the_place_of_a_study(
    words: list[str | Path], study: Path, cli: Cli
) -> None:
    run = min((study / "runs").iterdir())
    answer = cli(*words, "--study", run, "--json")
    assert answer.status == 0, answer.err
    assert [model["name"] for model in answer.json["models"]] == [run.name]
    assert answer.json["num_val"] == 100


# --- what cannot work -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--with-test"], "needs a stated reason: --reason TEXT"),
        (["--with-test", "--reason", "  "], "needs a stated reason"),
        (["--reason", "why not"], "--reason belongs to --with-test"),
        (["--closeness", "1.5"], "closeness: expected a proportion between 0 and 1, got 1.5"),
        (["--num-val", "5000"], "data.num_val: 5,000 of 600 images"),
        (["--num-val", "595"], "data.num_val: 595 of 600 images"),
        (["--study", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_refused_before_anything_is_looked_at(
    words: list[str | Path], more: list[str], said: str, tmp_path: Path, cli: Cli
) -> None:
    answer = cli(*words, *more)
    assert answer.status == 2, answer.err
    assert said in answer.err
    assert "looking for duplicates" not in answer.err
    assert answer.out == ""
    assert not (tmp_path / ".home" / "ledger").exists()


def test_an_unknown_data_set_is_named_with_those_there_are_and_leaves_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("audit", "fashion-mnis")
    assert answer.status == 2
    assert "Did you mean 'fashion-mnist'?" in answer.err
    assert not (tmp_path / "runs").exists()


def test_a_study_keeps_its_own_division_and_its_own_images(
    words: list[str | Path], study: Path, tmp_path: Path, cli: Cli
) -> None:
    answer = cli(*words, "--study", study, "--num-val", "50")
    assert answer.status == 2
    assert "--num-val 50: the models of --study were trained with data.num_val 100" in answer.err
    other = write_idx(tmp_path / "other", seed=9)
    answer = cli("audit", "idx", "--data", other, "--study", study, "--out", tmp_path / "out")
    assert answer.status == 2
    assert "its models were trained on other images" in answer.err
