"""What cannot work says so: one clear message on stderr, status 2, and never a traceback."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modiste.data import fetch
from modiste.data.published import source
from modiste.data.source import SOURCES
from modiste.data.sources.fashion_mnist import FASHION_MNIST
from modiste.errors import DataError
from modiste.runs.run import write_run
from modiste.train.task import Task
from modiste.train.work import Worker
from tests import small
from tests.command_line import Answer, Cli
from tests.driving import make
from tests.synthetic import write_idx

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "studies" / "fashion-mnist.yaml"


def assert_refused(answer: Answer, *said: str) -> None:
    assert answer.status == 2, answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    assert "bug of ours" not in answer.err
    for words in said:
        assert words in answer.err


@pytest.fixture
def words(study_file: Path, synthetic_folder: Path, tmp_path: Path) -> list[str | Path]:
    """A study that would run."""
    return ["study", study_file, "--data", synthetic_folder, "--out", tmp_path / "out"]


# --- data -----------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Fashion-MNIST, without its hosts, and without apt."""

    def no_apt(_package: str, _folder: Path) -> Path:
        raise DataError("apt-get is not on this machine")

    def no_host(*_: Any, **__: Any) -> None:
        raise DataError("no answer within 5 seconds")

    monkeypatch.setattr(fetch, "unpack_debian_package", no_apt)
    monkeypatch.setattr(fetch, "download", no_host)
    facts = dataclasses.replace(FASHION_MNIST, debian_folder=tmp_path / "debian")
    monkeypatch.setitem(SOURCES._entries, "fashion-mnist", lambda folder: source(facts, folder))


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("verb", ["study", "data show"])
def test_no_data_anywhere_says_what_was_tried_and_what_would_do(
    verb: str, tmp_path: Path, cli: Cli
) -> None:
    SOURCES.names()
    out = ("--out", tmp_path / "out")
    answer = (
        cli("study", REFERENCE, *out)
        if verb == "study"
        else cli("data", "show", "fashion-mnist", *out)
    )
    assert_refused(
        answer,
        "'fashion-mnist' is not to be had. Tried, in this order:",
        "1. a folder of yours: none is named (MODISTE_DATA is not set)",
        "2. the cache",
        f"3. Debian's folder {tmp_path / 'debian'}",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com: no answer within 5 seconds",
        "apt-get download dataset-fashion-mnist: apt-get is not on this machine",
        "To place it by hand",
        "train-images-idx3-ubyte.gz",
        "MODISTE_DATA=FOLDER",
    )


def test_a_folder_without_the_files_is_named_with_what_it_lacks(
    words: list[Any], tmp_path: Path, cli: Cli
) -> None:
    for folder in (tmp_path / "none", tmp_path):
        words[3] = folder
        assert_refused(cli(*words), str(folder), "train-images-idx3-ubyte")
    assert_refused(
        cli("study", REFERENCE, "--data", tmp_path, "--out", tmp_path / "out"),
        f"{tmp_path}, named as the data folder: lacks train-images-idx3-ubyte.gz",
    )


def test_a_truncated_file_is_named_as_such(
    words: list[Any], synthetic_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    for path in synthetic_folder.iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(content[:-100] if "images" in path.name else content)
    words[3] = folder
    assert_refused(cli(*words), "train-images-idx3-ubyte.gz")


def test_another_data_set_in_the_place_of_fashion_mnist_is_refused(
    synthetic_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    answer = cli("study", REFERENCE, "--data", synthetic_folder, "--out", tmp_path / "out")
    assert_refused(answer, "holds 600 ", "expected 60,000")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("data.num_val=600", "data.num_val: 600 of 600 images"),
        ("data.num_val=9", "data.num_val: 9 of 600 images"),
        ("data.num_train=9", "data.num_train: 9 of the 500 images"),
        ("data.num_train=495", "data.num_train: 495 of the 500 images"),
        ("data.name=idxx", "Did you mean 'idx'?"),
        ("grid:data.name=fashion-mnist", "a study is of one data set"),
    ],
)
def test_a_division_that_cannot_be_is_said_before_anything_runs(
    setting: str, said: str, words: list[Any], tmp_path: Path, cli: Cli
) -> None:
    assert_refused(cli(*words, "--set", setting), said)
    assert not (tmp_path / "out" / "runs").exists()


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--set", "train.epohs=3"], "Did you mean 'epochs'?"),
        (["--set", "model.params.hiden=[3]"], "Did you mean 'hidden'?"),
        (["--set", "model.family=mpl"], "Did you mean 'mlp'?"),
        (["--set", "train.optimizer=adma"], "Did you mean 'adam'?"),
        (["--set", "gird:train.epochs=3"], "Did you mean 'grid'?"),
        (["--set", "train.epochs"], "--set train.epochs: expected [STAGE:]KEY=VALUE"),
        (["--set", "train.epochs=nan"], "train.epochs"),
        (["--set", "train.optimizer={name: adam, learning_rate: .nan}"], "finite"),
        (["--set", "train.optimizer=sgd", "--set", "train.label_smoothing=1e999"], "finite"),
        (["--set", "train.epochs=yes"], "truth values"),
        (["--set", "seed.x=3"], "seed"),
        (["--stages", "fnal"], "Did you mean 'final'?"),
        (["--stages", "grid,,gird"], "Did you mean 'grid'?"),
        (["--stages", " , "], "--stages  , : expected names"),
        (["--stages", ""], "expected names"),
        (["--profile", "quik"], "--profile quik: expected quick or full"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "one"], "--seed"),
        (["--workers", "0"], "--workers"),
        (["--profle", "quick"], "--profile"),
        (["--set", "model.family=cnn", "--set", "model.params.filters=[]"], "filters"),
        (
            ["--set", "model.family=cnn", "--set", "model.params={num_layers: 20, filters: 8}"],
            "the limit is 8,192",
        ),
        (
            [
                *["--set", "model.family=cnn"],
                *["--set", "model.params={filters: [2, 2, 2], padding: valid, kernel: 7}"],
            ],
            "does not fit into",
        ),
        (["--set", "model.family=cnn"], "'model.family' would undo 'model.params.hidden'"),
        (["--set", "grid:model={family: cnn}"], "'model' would undo 'model.params.hidden'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_word_that_makes_no_sense_is_answered_with_what_was_meant(
    more: list[str], said: str, words: list[Any], tmp_path: Path, cli: Cli
) -> None:
    assert_refused(cli(*words, *more), said)
    assert not (tmp_path / "out" / "runs").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["mpl"], "no model family is named 'mpl'. Did you mean 'mlp'?"),
        (["mlp", "--set", "hiden=[3]"], "model.params.hiden: no such key. Did you mean 'hidden'?"),
        (["mlp", "--set", "hidden=many"], "model.params.hidden"),
        (["mlp", "--set", "hidden"], "--set hidden"),
        (["mlp", "--shape", "28"], "--shape 28: expected HxWxC"),
        (["mlp", "--shape", "0x28x1"], "--shape 0x28x1"),
        (["mlp", "--shape=-1x28x1"], "--shape -1x28x1"),
        (["cnn", "--set", "kernel=4"], "model.params.kernel"),
        (["cnn", "--set", "padding=valid", "--shape", "2x2x1"], "does not fit into 2"),
        ([], "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_net_that_is_none_is_described_as_such(more: list[str], said: str, cli: Cli) -> None:
    assert_refused(cli("describe", *more), said)


def test_a_misspelt_verb_is_answered_with_the_nearest(cli: Cli) -> None:
    assert_refused(cli("studdy", "x.yaml"), "'studdy'", "study")
    assert_refused(cli("data", "shwo"), "'shwo'")


def test_a_study_file_that_is_none_is_named(tmp_path: Path, cli: Cli) -> None:
    assert_refused(cli("study", tmp_path / "none.yaml"), "none.yaml: there is no such file")
    assert_refused(
        cli("study", tmp_path), f"a folder, and no study file. `modiste init {tmp_path}`"
    )
    (tmp_path / "image.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    assert_refused(cli("study", tmp_path / "image.yaml"), "image.yaml: cannot be read")
    path = small.write_study(tmp_path / "mine.yaml", small.study(stages=[{"nme": "one"}]))
    assert_refused(cli("study", path), f"{path}: stages[0].nme: no such key. Did you mean 'name'?")


# --- places ---------------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_is_found_out_first(
    words: list[Any], tmp_path: Path, cli: Cli
) -> None:
    (tmp_path / "plain").write_bytes(b"")
    for out in (tmp_path / "plain", tmp_path / "plain" / "below", Path("/proc/none")):
        words[5] = out
        assert_refused(cli(*words), f"{out}: cannot be written", "choose another folder")
        # `data show` as well, which writes figures.
        show = ("data", "show", "idx", "--data", words[3], "--num-val", "100", "--out", out)
        assert_refused(cli(*show), "cannot be written")


def test_a_folder_of_something_else_stays_as_it_is(
    words: list[Any], tmp_path: Path, cli: Cli
) -> None:
    mine = tmp_path / "mine"
    (mine / "models" / "final").mkdir(parents=True)
    for name in ("report.html", "models/final/w.bin"):
        (mine / name).write_text("mine")
    before = sorted(path for path in mine.rglob("*"))
    words[5] = mine
    assert_refused(cli(*words), f"{mine}: holds no study, but something else", "--out DIR")
    words[5] = tmp_path / "out"
    assert cli(*words).status == 0
    collected = cli("collect", tmp_path / "out", "--to", mine)
    assert_refused(collected, "holds no study, but something else (models, report.html)", "--to")
    assert sorted(path for path in mine.rglob("*")) == before
    assert (mine / "report.html").read_text() == "mine"
    # A drawing has a folder of its own as well.
    drawn = cli("frontier", tmp_path / "out", "--out", mine / "report.html")
    assert_refused(drawn, "report.html: cannot be written")


def test_a_record_of_the_data_that_is_damaged_is_named(tmp_path: Path, cli: Cli) -> None:
    study = make(tmp_path / "study", small.study(stages=[{"name": "one"}]))
    (study.folder / "data.json").write_text("{}")
    assert_refused(cli("report", study.folder), "data.json: not what it should be", "Move it away")


def test_a_look_that_could_not_be_kept_is_not_taken(
    words: list[Any], synthetic_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    assert cli(*words).status == 0
    final = tmp_path / "out" / "final"
    final.write_text("in the way")
    look = ("evaluate", tmp_path / "out", "--final", "--reason", "so", "--data", synthetic_folder)
    assert cli(*look).status == 2
    final.unlink()
    answer = cli(*look, "--json")
    assert answer.status == 0, answer.err
    assert answer.json["looks"] == 1
    (stored,) = final.iterdir()
    (stored / "look.json").unlink()
    for again in (look[:2], look):
        assert_refused(cli(*again), "look.json")


def test_a_reader_who_has_had_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "modiste", "leaderboard", str(ROOT / "results/fashion-mnist")]
    given, taken = subprocess.PIPE, subprocess.PIPE
    with subprocess.Popen(command, stdout=given, stderr=taken, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert "modiste: " not in process.stderr.read()


def test_columns_that_are_parted_by_something_else_are_said(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "t.csv").write_text("round_epochs;val_accuracy;lr\n10;0.75;0.1\n")
    assert_refused(cli("import", tmp_path / "t.csv"), "parted by semicolons", "commas")


def test_a_gpu_that_is_not_there_is_found_out_before_anything_is_written(
    tmp_path: Path, synthetic_folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    file = small.write_study(tmp_path / "tiny.yaml", small.STUDY)
    words = [
        *("study", file, "--out", tmp_path / "out", "--data", synthetic_folder),
        *("--stages", "grid", "--workers", "here"),
    ]
    refused = cli(*words, "--set", "device=cuda")
    assert_refused(refused, "device: cuda, but torch finds no such GPU here")
    assert not (tmp_path / "out" / "study.json").exists()  # so the mended words are no other study
    assert cli(*words).status == 0


@pytest.mark.parametrize("verb", ["report", "evaluate"])
def test_a_folder_that_is_no_study_is_named(verb: str, tmp_path: Path, cli: Cli) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert_refused(cli(verb, folder), str(folder))


def test_a_ledger_that_cannot_be_written_keeps_the_test_set_closed(
    run_folder: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").write_bytes(b"")
    data = write_idx(tmp_path / "data", num_train=small.NUM_IMAGES)  # what the run learnt from
    monkeypatch.setenv("MODISTE_LEDGER", str(tmp_path / "plain" / "ledger"))
    answer = cli("evaluate", run_folder, "--final", "--reason", "to see", "--data", data)
    assert_refused(answer, "the test set stays closed", "MODISTE_LEDGER")


# --- images ---------------------------------------------------------------------------------------


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run, which can predict."""
    data, spec = small.data(), small.run_spec({"train.epochs": 1})
    task = Task(spec, spec.fingerprint(data.digest), None, float("inf"))
    record = Worker(lambda _: data).work(task).record
    assert record is not None
    write_run(record, tmp_path / "runs" / "one")
    return tmp_path / "runs" / "one"


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>no image</html>", b"\x89PNG\r\n\x1a\n", b"just words", bytes(1000)],
    ids=["empty", "a web page", "a cut PNG", "words", "zeros"],
)
def test_an_image_that_is_none_is_named(
    content: bytes, run_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    path = tmp_path / "größe.png"
    path.write_bytes(content)
    assert_refused(cli("predict", run_folder, path), str(path))
    # One among others spoils no other, and none is answered half.
    Image.new("L", (28, 28), 7).save(tmp_path / "good.png")
    assert_refused(cli("predict", run_folder, tmp_path / "good.png", path, "--json"), str(path))


def test_an_image_that_is_not_there_or_a_folder_is_named(
    run_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    assert_refused(cli("predict", run_folder, tmp_path / "none.png"), "none.png")
    assert_refused(cli("predict", run_folder, tmp_path), str(tmp_path))
    assert_refused(cli("predict", run_folder), "IMAGE")
    assert_refused(cli("predict", run_folder, ""), "an empty name")


def test_a_run_that_diverged_cannot_predict_and_says_why(tmp_path: Path, cli: Cli) -> None:
    data = small.data()
    spec = small.run_spec({"train.optimizer": {"name": "sgd", "learning_rate": 1e30}})
    task = Task(spec, spec.fingerprint(data.digest), None, float("inf"))
    record = Worker(lambda _: data).work(task).record
    assert record is not None
    write_run(record, tmp_path / "run")
    Image.new("L", (28, 28), 7).save(tmp_path / "good.png")
    assert_refused(cli("predict", tmp_path / "run", tmp_path / "good.png"), "no weights: diverged")
    answer = cli("evaluate", tmp_path / "run", "--json")
    assert answer.status == 0
    assert "diverged" in answer.json["notes"][0]


def test_a_study_without_final_stages_says_how_to_name_some(tmp_path: Path, cli: Cli) -> None:
    make(tmp_path / "study", small.study(stages=[{"name": "one"}]))
    assert_refused(cli("evaluate", tmp_path / "study"), "marked `final: true`", "--stages")
    answer = cli("evaluate", tmp_path / "study", "--stages", "one")
    assert_refused(answer, "not finished yet: ")


@pytest.mark.parametrize("form", ["table", "csv", "markdown", "latex"])
def test_a_leaderboard_without_rows_says_why(form: str, tmp_path: Path, cli: Cli) -> None:
    stages = [
        *small.STUDY["stages"],
        {"name": "more", "profiles": {"quick": {"skip": "it takes an hour"}}},
    ]
    make(tmp_path / "study", small.study(stages=stages), profile="quick")
    for words, said in (
        (("--stage", "final"), "final: waits for grid\n"),
        (("--stage", "more"), "more: skipped: it takes an hour\n"),
        (("--stage", "grid", "--top", "1"), "grid: nothing is finished yet\n"),
    ):
        answer = cli("leaderboard", tmp_path / "study", *words, "--format", form)
        assert (answer.status, answer.out, answer.err) == (0, "", said)
    answer = cli("leaderboard", tmp_path / "study", "--format", form)
    assert "hidden=[8]" in answer.out
    assert answer.err == "final: waits for grid\nmore: skipped: it takes an hour\n"


def test_a_model_that_is_none_is_named(tmp_path: Path, cli: Cli) -> None:
    Image.new("L", (28, 28), 7).save(tmp_path / "good.png")
    for folder in (tmp_path, tmp_path / "none"):
        answer = cli("predict", folder, tmp_path / "good.png")
        assert_refused(answer, f"{folder}: neither a model folder", "nor a run folder")


# --- mistakes of ours -----------------------------------------------------------------------------


def test_a_mistake_of_ours_is_called_one_and_leaves_with_1(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("modiste.models.layers.table", broken)
    answer = cli("describe", "mlp")
    assert answer.status == 1
    assert "this is a bug of ours, not yours: ZeroDivisionError: by nothing" in answer.err
    assert "Traceback" not in answer.err
    assert "--debug" in answer.err


def test_debug_shows_where_it_came_from(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODISTE_DEBUG", "")  # put back afterwards
    answer = cli("--debug", "describe", "mpl")
    assert answer.status == 2
    assert "Traceback" in answer.err
    assert "Did you mean 'mlp'?" in answer.err
