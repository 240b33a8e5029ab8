"""From a finished run to answers on a machine without torch, by the command line alone."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from modiste.artifact import extra
from tests import small
from tests.command_line import Answer, Cli
from tests.shipping import change, change_onnx, copy_of, train
from tests.synthetic import draw, write_idx

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("run"), {"train.epochs": 30})


@pytest.fixture(scope="module", name="data")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_idx(tmp_path_factory.mktemp("data"), num_train=small.NUM_IMAGES)


@pytest.fixture(scope="module", name="exported")
def _exported(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """By a command of its own, as somebody would do it."""
    target = tmp_path_factory.mktemp("exported") / "shipped"
    answer = modiste("export", run, "--to", target, "--data", data, "--licence", "mit")
    assert answer.status == 0, answer.err
    assert "30 validation images: 0 other answers than PyTorch's" in answer.out
    assert "modiste verify DIR --digest " in answer.out
    return target


@pytest.fixture(scope="module", name="pictures")
def _pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 200 images, some of them in folders inside; named by number and class."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    images_NHW, labels_N = draw(200, seed=11)
    for number, (image_HW, label) in enumerate(zip(images_NHW, labels_N, strict=True)):
        where = folder / "more" if number >= 150 else folder
        Image.fromarray(image_HW).save(where / f"{number:03d}-{label}.png")
    return folder


def modiste(*words: str | Path, without_torch: bool = False) -> Answer:
    """The command in a process of its own; without torch, whoever imports it gets an error."""
    code = "import sys\n"
    code += "sys.modules['torch'] = None\n" if without_torch else ""
    code += f"sys.argv = {['modiste', *map(str, words)]!r}\n"
    code += "from modiste.cli.main import run\nrun()"
    command = [sys.executable, "-W", "error", "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return Answer(found.returncode, found.stdout, found.stderr)


def refused(answer: Answer, *said: str) -> None:
    assert answer.status == 2, answer.err
    assert "Traceback" not in answer.err
    assert "bug of ours" not in answer.err
    for words in said:
        assert words in answer.err


# --- the way it is meant --------------------------------------------------------------------------


def test_whoever_receives_it_verifies_it_without_torch(exported: Path) -> None:
    answer = modiste("verify", exported, without_torch=True)
    assert (answer.status, answer.err) == (0, "")
    lines = answer.out.splitlines()
    names = ["digest", "files", "certificate", "graph", "config", "weights", "golden images"]
    assert [line.split(":")[0] for line in lines[:-1]] == [f"ok  {name}" for name in names]
    assert lines[-1].endswith("is what was exported, and answers here as it did there.")
    digest = lines[0].split()[2]
    found = modiste("verify", exported, "--digest", digest[:16], "--json", without_torch=True).json
    assert found["holds"] is True
    assert found["failed"] is None
    assert found["checks"][0] == {"name": "digest", "words": f"{digest}, as expected"}


def test_a_folder_of_images_is_answered_without_torch(exported: Path, pictures: Path) -> None:
    answer = modiste("predict", exported, pictures, "--json", without_torch=True)
    assert (answer.status, answer.err) == (0, "")
    rows = answer.json["predictions"]
    names = [Path(row["image"]).name for row in rows]
    assert names == sorted(names)
    assert len(names) == 200
    right = np.mean([row["class"] == name[4] for row, name in zip(rows, names, strict=True)])
    # Trained on 90 images: most others are right too; by chance it would be a tenth.
    assert right > 0.5
    # Four ranges learnt from 90 images: each of 200 lies beyond one of eight ends by chance in
    # some 8 / 91 of cases. Ten points more than that are five standard errors.
    assert np.mean([row["warning"] is not None for row in rows]) < 8 / 91 + 0.1


def test_torch_and_onnxruntime_say_the_same(
    run: Path, exported: Path, pictures: Path, cli: Cli
) -> None:
    by_torch, by_onnx = (
        cli("predict", model, pictures, "--json").json["predictions"] for model in (run, exported)
    )
    assert [row["image"] for row in by_torch] == [row["image"] for row in by_onnx]
    assert [row["class"] for row in by_torch] == [row["class"] for row in by_onnx]


def test_an_image_unlike_the_training_images_is_warned_of(
    exported: Path, pictures: Path, tmp_path: Path, cli: Cli
) -> None:
    first = next(iter(sorted(pictures.glob("*.png"))))
    with Image.open(first) as image:
        ImageOps.invert(image).save(tmp_path / "inverted.png")
    answer = cli("predict", exported, tmp_path / "inverted.png")
    assert answer.status == 0
    assert "warning: unlike the training images: border 2" in answer.out
    assert "inverted, it would be like them" in answer.out
    rows = csv.DictReader(
        io.StringIO(cli("predict", exported, tmp_path / "inverted.png", "--csv").out)
    )
    assert [row["warning"][:31] for row in rows] == ["unlike the training images: bor"]


def test_csv_has_a_row_for_each_image_and_a_column_for_each_class(
    exported: Path, pictures: Path, cli: Cli
) -> None:
    answer = cli("predict", exported, pictures, "--csv")
    assert answer.status == 0
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert len(rows) == 200
    for row in rows:
        shares = {name[2:-1]: float(share) for name, share in row.items() if name[:2] == "p("}
        assert sorted(shares) == [str(label) for label in range(10)]
        assert max(shares, key=lambda name: shares[name]) == row["class"]
        # Ten numbers rounded to six places.
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-5)


# --- what people give it --------------------------------------------------------------------------


HOSTILE = [
    "=cmd()|'x'!A1.png",
    "+1.png",
    "@SUM(A1).png",
    "-rf.png",
    "a\x1b[31mred.png",
    "\u202egnp",
]


def test_hostile_names_steer_neither_spreadsheet_nor_terminal(
    exported: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # so that a name begins the cell, and not its folder
    for name in HOSTILE:
        Image.new("L", (28, 28), 40).save(tmp_path / name, "PNG")
    paths = [Path(name) for name in HOSTILE]
    answer = cli("predict", exported, "--csv", "--", *paths)
    cells = [row[0] for row in csv.reader(io.StringIO(answer.out))][1:]
    assert len(cells) == len(HOSTILE)
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    plain = cli("predict", exported, "--", *paths)
    for text in (answer.out, plain.out):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert r"a\x1b[31mred.png" in text
    found = cli("predict", exported, "--json", "--", *paths).json["predictions"]
    assert [row["image"] for row in found] == HOSTILE
    missing = cli("predict", exported, "b\x1b[31mred.png")
    refused(missing, r"b\x1b[31mred.png: no such file")


def test_a_name_of_bytes_that_are_no_text_can_be_printed(
    exported: Path, tmp_path: Path, cli: Cli
) -> None:
    path = tmp_path / "gr\udcfc\udcdfe.png"
    Image.new("L", (28, 28), 40).save(path, "PNG")
    for option in ([], ["--csv"], ["--json"]):
        answer = cli("predict", exported, tmp_path, *option)
        assert answer.status == 0, answer.err
        assert "dcfc" in answer.out or "xfc" in answer.out


def test_a_bad_file_with_such_a_name_is_listed_as_well(
    exported: Path, tmp_path: Path, cli: Cli
) -> None:
    (tmp_path / "gr\udcfc.png").write_text("words")
    Image.new("L", (28, 28), 40).save(tmp_path / "a.png")
    answer = cli("predict", exported, tmp_path, "--json", "--skip-bad")
    assert answer.status == 0, answer.err
    (row,) = answer.json["skipped"]
    assert "xfc.png: no image" in row["reason"]


def test_a_file_that_is_none_ends_it_or_is_named(exported: Path, tmp_path: Path, cli: Cli) -> None:
    Image.new("L", (28, 28), 40).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("words")
    answer = cli("predict", exported, tmp_path, "--json")
    refused(answer, "b.png: no image")
    assert answer.out == ""
    answer = cli("predict", exported, tmp_path, "--json", "--skip-bad")
    assert answer.status == 0
    assert [Path(row["image"]).name for row in answer.json["predictions"]] == ["a.png"]
    assert [Path(row["image"]).name for row in answer.json["skipped"]] == ["b.png"]
    for option in ([], ["--csv"]):
        answer = cli("predict", exported, tmp_path, "--skip-bad", *option)
        assert answer.status == 0
        assert "left out:" in answer.err
        assert "b.png" in answer.err


def test_nothing_to_answer_and_too_much_asked_are_named(
    exported: Path, tmp_path: Path, cli: Cli, run: Path
) -> None:
    refused(cli("predict", exported, tmp_path), f"{tmp_path}: a folder without image files")
    refused(cli("predict", exported, tmp_path, "--json", "--csv"), "choose one")
    refused(cli("predict", exported, tmp_path, "--int8"), "exported without --int8")
    refused(cli("predict", run, tmp_path, "--int8"), "is no exported model")


# --- what others did to it ------------------------------------------------------------------------


def tampered(exported: Path, target: Path, how: str) -> Path:
    folder = copy_of(exported, target)
    if how == "a flipped bit":
        change(
            folder, "model.onnx", lambda c: c[:900] + bytes([c[900] ^ 1]) + c[901:], is_hidden=False
        )
    elif how == "a missing graph":
        (folder / "model.onnx").unlink()
    elif how == "numbers elsewhere":

        def elsewhere(model: Any) -> None:
            tensor = model.graph.initializer[1]
            tensor.data_location = 1
            tensor.external_data.add(key="location", value="../other")

        change_onnx(folder, elsewhere, is_hidden=True)
    return folder


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("a flipped bit", "model.onnx: not what was exported"),
        ("a missing graph", "model.onnx: not there"),
        ("numbers elsewhere", "in another file"),
    ],
)
def test_a_tampered_model_neither_verifies_nor_answers(
    how: str, said: str, exported: Path, pictures: Path, tmp_path: Path, cli: Cli
) -> None:
    folder = tampered(exported, tmp_path / "tampered", how)
    refused(cli("verify", folder), said)
    answer = cli("predict", folder, pictures)
    refused(answer, said)
    assert answer.out == ""
    answer = cli("verify", folder, "--json")
    refused(answer, said)
    assert answer.json["holds"] is False
    assert said in answer.json["failed"]


def test_the_digest_of_another_export_is_not_this_ones(exported: Path, cli: Cli) -> None:
    refused(cli("verify", exported, "--digest", "0" * 64), "its digest is", "Do not use it")


# --- exporting ------------------------------------------------------------------------------------


def test_a_study_names_its_models(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "models" / "best").mkdir(parents=True)
    (tmp_path / "study.json").write_text("{}")
    model = str(tmp_path / "models" / "best")
    for verb, *more in (("export", "--to", "out"), ("show",), ("predict", "x.png")):
        answer = cli(verb, tmp_path, *more)
        refused(answer, "a study; name one of its models", model, "modiste leaderboard")


def test_what_cannot_be_exported_is_named(
    run: Path, data: Path, exported: Path, tmp_path: Path, cli: Cli
) -> None:
    refused(cli("export", tmp_path, "--to", tmp_path / "out"), "neither a model folder")
    refused(cli("export", run, "--to", exported, "--data", data), "something of that name")
    refused(cli("export", run, "--to", tmp_path / "out", "--data", tmp_path), str(tmp_path))
    refused(cli("export", run, "--to", tmp_path / "out", "--epoch", "first"), "best or last")
    refused(cli("verify", run), "no exported model")


def test_json_of_an_export_is_its_certificate(
    run: Path, data: Path, tmp_path: Path, cli: Cli
) -> None:
    words = ("export", run, "--to", tmp_path / "out", "--data", data, "--golden", "noise", "--json")
    found = cli(*words).json
    written = json.loads((tmp_path / "out" / "certificate.json").read_bytes())
    assert found["certificate"] == written
    assert found["folder"] == str(tmp_path / "out")


def test_without_the_extra_each_verb_says_what_to_install(
    run: Path,
    exported: Path,
    pictures: Path,
    tmp_path: Path,
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(extra.PACKAGES, "export", ("onnx_that_nobody_has",))
    pip = "pip install 'modiste[export]'"
    refused(cli("export", run, "--to", tmp_path / "out"), "modiste export needs onnx_that", pip)
    refused(cli("verify", exported), pip)
    refused(cli("predict", exported, pictures), pip)
    assert cli("predict", run, pictures).status == 0  # torch answers, as it did
