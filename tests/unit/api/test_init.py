"""A study file is written for images of one's own: it can be read, explains itself, and seals."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modiste.api.data import scan
from modiste.api.init import init_study
from modiste.api.init_text import flow
from modiste.cli.main import app
from modiste.data.own import apart
from modiste.errors import DataError, SpecError, StoreError
from modiste.search.kinds import Pace
from modiste.search.probe import Probed
from modiste.spec.files import read_study, read_yaml
from modiste.spec.study import check
from tests.bad_images import write_idx_set
from tests.own_images import (
    picture,
    png_bytes,
    write_classes,
    write_npz,
    write_parts,
    write_table,
)


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder of our own, and a probe that answers at once."""
    monkeypatch.chdir(tmp_path)

    def probe(kinds, images, num_workers, seconds, *, is_here):
        return Probed({kind: Pace(1e-3, 1e-5) for kind in kinds}, 1.0, 1, 1, 0.0)

    monkeypatch.setattr("modiste.api.init.probe", probe)


def test_a_folder_becomes_a_study_that_can_be_run(tmp_path):
    write_classes(tmp_path / "pets", 20)
    begun = init_study("pets", minutes=5)
    assert begun.file == Path("pets.yaml")
    study, _ = read_study(begun.file)
    assert study.name == "pets"
    assert study.data_path == "pets"
    assert [stage.name for stage in study.stages] == ["no-network", "nets", "augmentation", "final"]
    spec = check(study, ("quick",))[0].specs[0].data
    assert spec.name == "folder"
    assert spec.decode is not None
    assert (spec.decode.size, spec.decode.channels, spec.test_share) == ((8, 8), 1, 0.2)
    # Of 60 images 12 test, and of the other 48 a fifth validates.
    assert spec.num_val == 9
    assert [stage.name for stage in study.stages if stage.is_exported] == ["final"]
    assert begun.draft.fits
    assert begun.facts["parts"]["test"] == [4, 4, 4]


def test_the_test_part_is_sealed_at_once(tmp_path):
    write_classes(tmp_path / "pets", 20)
    begun = init_study("pets")
    assert begun.sealed == Path("pets") / apart.NAME
    assert begun.facts["test"]["sealed_at"]
    assert len(json.loads(begun.sealed.read_text("utf-8"))["sealed"]) == 12
    assert scan("pets")["test"]["sealed_at"] == begun.facts["test"]["sealed_at"]


def test_who_is_stopped_before_there_is_a_plan_leaves_nothing_behind(tmp_path, monkeypatch):
    write_classes(tmp_path / "pets", 20)

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("modiste.api.init.probe", stopped)
    with pytest.raises(KeyboardInterrupt):
        init_study("pets")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pets"]
    assert not (tmp_path / "pets" / apart.NAME).exists()


def test_two_plans_for_one_data_set_are_two_studies(tmp_path):
    write_classes(tmp_path / "pets", 20)
    files = (None, "Longer plan.yaml", "a/pets.yaml", "pets/study.yaml")
    names = [read_study(init_study("pets", out=file).file)[0].name for file in files]
    assert names == ["pets", "pets-longer-plan", "pets", "pets-study"]


def test_images_that_come_later_get_their_share_and_move_no_other(tmp_path):
    root = write_classes(tmp_path / "pets", 20)
    init_study("pets")
    before = apart.load(root)
    for number in range(10):
        (root / "ant" / f"new{number}.png").write_bytes(png_bytes(picture(300 + number)))
    begun = init_study("pets", out="again.yaml")
    after = apart.load(root)
    assert before.sealed < after.sealed
    assert before.others < after.others
    assert after.sealed_at == before.sealed_at
    assert begun.facts["parts"]["test"] == [6, 4, 4]


@pytest.mark.parametrize("name", ["pets", "my pets"])
def test_what_is_said_to_be_run_after_images_came_can_be_run_as_it_is_said(name, tmp_path):
    root = write_classes(tmp_path / name, 20)
    init_study(name)
    (root / "ant" / "new.png").write_bytes(png_bytes(picture(300)))
    trouble = scan(name)["trouble"]
    (command,) = re.findall(r"Run `([^`]+)`", trouble)
    program, *words = shlex.split(command)
    assert (program, words[0]) == ("modiste", "init")
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert read_study(Path(words[words.index("--out") + 1]))
    assert scan(name)["trouble"] is None


@pytest.mark.parametrize("kind", ["table", "npz", "idx"])
def test_other_kinds_are_sealed_beside_their_file(kind, tmp_path):
    path = {
        "table": lambda: write_table(tmp_path / "set"),
        "npz": lambda: write_npz(tmp_path / "set" / "all.npz"),
        "idx": lambda: write_idx_set(tmp_path / "set"),
    }[kind]()
    begun = init_study(path, out="set.yaml")
    read_study(begun.file)
    name = apart.NAME if kind == "idx" else f"{path.name}.{apart.NAME}"
    assert begun.sealed == tmp_path / "set" / name
    assert sum(begun.facts["parts"]["test"]) in (3, 6)


def test_parts_that_are_there_are_named_as_such(tmp_path):
    write_parts(tmp_path / "pets")
    begun = init_study("pets")
    assert begun.sealed is None
    assert not (tmp_path / "pets" / apart.NAME).exists()
    text = begun.file.read_text("utf-8")
    assert "# to choose by: the validation part that the set came with" in text
    assert "test_share" not in text
    spec = check(read_study(begun.file)[0], ("quick",))[0].specs[0].data
    assert (spec.num_val, spec.test_share) == (15, None)


def test_the_file_says_why(tmp_path):
    root = write_classes(tmp_path / "pets", 40)
    write_classes(root, 5, ("dog",), start=900)
    text = init_study("pets").file.read_text("utf-8")
    for words in (
        "a mirrored b is",
        "# class_weights: balanced",
        "'ant' has 32 images",
        "'dog' has 4.",
        "The images came without a test part",
        "modiste study pets.yaml",
        "modiste evaluate runs/pets-quick --final",
    ):
        assert words in text, words
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "name", ["my pets", "it's: a #test", "yes", 'say "hi"', "Größe", "-x-", "1"]
)
def test_any_name_of_a_folder_can_be_read_again(name, tmp_path):
    write_classes(tmp_path / "data" / name)
    begun = init_study(tmp_path / "data" / name, out=tmp_path / "here" / "study.yaml")
    study, _ = read_study(begun.file)
    assert study.data_path == os.path.join("..", "data", name)  # noqa: PTH118 (as YAML has it)
    assert study.title == name
    assert read_yaml(begun.file)["data"]["path"] == study.data_path


def test_a_file_that_is_there_is_left_alone(tmp_path):
    write_classes(tmp_path / "pets")
    (tmp_path / "pets.yaml").write_text("mine")
    with pytest.raises(StoreError, match=r"pets\.yaml: is there already, and is left alone"):
        init_study("pets")
    assert (tmp_path / "pets.yaml").read_text() == "mine"
    assert not (tmp_path / "pets" / apart.NAME).exists()


def test_a_set_that_cannot_be_written_beside_is_said_to_be(tmp_path, monkeypatch):
    write_classes(tmp_path / "pets", 20)

    def full(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("modiste.data.own.apart.write_whole", full)
    begun = init_study("pets")
    assert begun.sealed is None
    assert "could not be written beside them (Read-only file system)" in begun.notes[0]
    read_study(begun.file)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"minutes": 0}, SpecError, "expected more than none"),
        ({"size": (0, 8)}, SpecError, r"data\.decode\.size"),
        ({"sizing": "fill"}, SpecError, r"data\.decode\.sizing: 'fill'"),
        ({"channels": 2}, SpecError, r"data\.decode\.channels"),
        ({"test_share": 0.9}, SpecError, r"data\.test_share"),
    ],
)
def test_what_makes_no_sense_is_named(given, error, words, tmp_path):
    write_classes(tmp_path / "pets")
    with pytest.raises(error, match=words):
        init_study("pets", **given)
    assert not (tmp_path / "pets.yaml").exists()


def test_a_test_part_and_a_share_for_another_is_a_question(tmp_path):
    write_parts(tmp_path / "pets")
    with pytest.raises(SpecError, match="came with a test part"):
        init_study("pets", test_share=0.2)


def test_bad_files_can_be_left_out(tmp_path):
    root = write_classes(tmp_path / "pets", 40)
    (root / "ant" / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="--skip-bad"):
        init_study("pets")
    begun = init_study("pets", skip_bad=True)
    assert "skip_bad: true" in begun.file.read_text("utf-8")
    assert [bad["name"] for bad in begun.facts["bad"]] == ["ant/bad.png"]


@pytest.mark.parametrize("value", ["a", "a b", "a: b", "yes", "1e3", "- x", "#", "{", "é", "", "~"])
def test_every_word_is_read_as_it_was_written(value, tmp_path):
    (tmp_path / "x.yaml").write_text(f"x: {flow([value, {'y': value}, 1, 0.5, [True]])}\n", "utf-8")
    assert read_yaml(tmp_path / "x.yaml")["x"] == [value, {"y": value}, 1, 0.5, [True]]


def test_more_than_one_size_is_brought_to_what_is_asked_for(tmp_path):
    write_classes(tmp_path / "pets", 10)
    write_classes(tmp_path / "pets", 10, ("dog",), start=500, side=13)
    begun = init_study("pets", size=(10, 12), sizing="crop", channels=3)
    spec = check(read_study(begun.file)[0], ("quick",))[0].specs[0].data
    assert spec.decode is not None
    assert (spec.decode.size, spec.decode.sizing, spec.decode.channels) == ((10, 12), "crop", 3)
    assert np.isfinite(begun.draft.seconds)


def test_a_plan_for_runs_in_one_process_is_made_from_the_command_line_as_well(
    tmp_path, monkeypatch
):
    write_classes(tmp_path / "pets", 20)
    asked = []

    def probe(kinds, images, num_workers, seconds, *, is_here):
        asked.append((num_workers, is_here))
        return Probed({kind: Pace(1e-3, 1e-5) for kind in kinds}, 1.0, 1, 1, 0.0)

    monkeypatch.setattr("modiste.api.init.probe", probe)
    for given, meant in (("here", (1, True)), ("2", (2, False))):
        words = ["init", "pets", "--out", f"{given}.yaml", "--workers", given, "--json"]
        answer = CliRunner().invoke(app, words)
        assert answer.exit_code == 0, answer.output
        assert json.loads(answer.stdout)["workers"] == meant[0]
        assert set(asked) == {meant}
        asked.clear()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("0", "--workers 0: expected a number from 1 up, here or ray."),
        ("ray", "--workers ray: the plan is for this machine"),
    ],
)
def test_workers_that_no_plan_can_be_made_for_are_named(given, said, tmp_path):
    write_classes(tmp_path / "pets", 20)
    error = CliRunner().invoke(app, ["init", "pets", "--workers", given]).exception
    assert isinstance(error, SpecError)
    assert said in str(error)
    assert not (tmp_path / "pets.yaml").exists()
