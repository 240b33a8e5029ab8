"""Where an answer goes: an output that is full, closed or short of letters is no bug of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command_line import COMMAND, Answer, new_place

FULL = Path("/dev/full")


def ask(root: Path, *words: str | Path, to: str = "", letters: str = "utf-8") -> Answer:
    """The command with its stdout sent elsewhere, which a shell does as a person would."""
    place = new_place(root)
    script = place.root / "command.py"
    script.write_text(COMMAND, "utf-8")
    done = subprocess.run(
        ["bash", "-c", f'"$@" {to}', "-", sys.executable, script, *map(str, words)],
        cwd=place.root,
        env={**place.variables(), "PYTHONIOENCODING": letters},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(letters), done.stderr.decode(letters))


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """Two classes of six images in a folder whose name no English keyboard has."""
    folder = tmp_path / "größe-犬"
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8)
        path = folder / "ab"[number % 2] / f"ñ{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_output_is_said_with_status_2(tmp_path: Path) -> None:
    answer = ask(tmp_path, "--version", to=f"> {FULL}")
    assert answer.status == 2
    assert answer.err.startswith("modiste: the output: cannot be written (No space left on device)")
    assert "bug" not in answer.err
    assert "Exception ignored" not in answer.err


def test_a_reader_that_leaves_early_is_no_trouble(tmp_path: Path) -> None:
    answer = ask(tmp_path, "--help", to="| true; exit ${PIPESTATUS[0]}")
    assert (answer.status, answer.err) == (0, "")


@pytest.mark.parametrize("letters", ["ascii", "latin-1"])
def test_letters_that_the_output_lacks_are_escaped(
    tmp_path: Path, dogs: Path, letters: str
) -> None:
    answer = ask(tmp_path, "data", "scan", dogs, letters=letters)
    assert answer.status == 0, answer.err
    assert "\\u72ac" in answer.out
    found = ask(tmp_path, "data", "scan", dogs, "--json", letters=letters)
    assert found.status == 0, found.err
    assert json.loads(found.out)["name"] == dogs.name


def test_an_error_about_them_is_still_said(tmp_path: Path) -> None:
    answer = ask(tmp_path, "data", "scan", "nowhere-犬", letters="ascii")
    assert answer.status == 2
    assert "nowhere-\\u72ac" in answer.err
