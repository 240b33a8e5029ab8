"""The example is run as it stands, on synthetic images: the public API is enough for a study."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.synthetic import write_idx

EXAMPLE = Path(__file__).parents[2] / "examples" / "reference_study.py"

pytestmark = pytest.mark.slow  # twelve small trainings, and figures


def test_the_example_runs_the_study_in_its_own_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_idx(tmp_path / "data")
    words = ["--data", "idx", "--folder", str(data), "--num-val", "100", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *words, "--out", str(tmp_path / "out")])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    first = capsys.readouterr().out
    order = ["training and", "Baseline", "Capacity", "Grid", "Convolution", "Final", "last epoch"]
    places = [first.index(word) for word in order]
    assert places == sorted(places)
    # Run again, it opens what it trained: the very same lines, seconds and all.
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out == first


def test_the_example_is_short_and_uses_public_names_only() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    assert "from modiste" not in text
    assert "import modiste.\n" not in text
