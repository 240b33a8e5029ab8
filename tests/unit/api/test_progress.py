"""The bar: HTML in a notebook, one line on a terminal, a line now and then in a log."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import modiste
from modiste import ImageClassifier
from modiste.api import progress
from modiste.api.progress import Bar, FitBar, looking
from modiste.data.load import TrainingData
from modiste.errors import ParameterError
from modiste.train.task import Progress
from tests import small
from tests.own_images import write_classes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Handle:
    def __init__(self, shown: list[str]) -> None:
        self.shown = shown

    def update(self, html: str) -> None:
        self.shown.append(html)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As much of IPython as a notebook's kernel has; what it was shown."""
    shown: list[str] = []
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")

    class Shell:
        kernel = object()

    def display(html: str, display_id: bool) -> Handle:
        assert display_id
        shown.append(html)
        return Handle(shown)

    ipython.get_ipython = Shell  # type: ignore[attr-defined]
    ipython.version_info = (9, 0)  # type: ignore[attr-defined]
    module.HTML, module.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


def show(bar: Bar) -> None:
    with bar:
        bar.show(0.0, "begun")
        bar.show(0.5, "half <b>")
        bar.show(1.0, "done")


def test_a_notebook_sees_one_bar_that_moves(notebook: list[str], capsys: Any) -> None:
    show(Bar("net"))
    assert len(notebook) == 3
    assert '<progress value="0.5000" max="1">' in notebook[1]
    assert "half &lt;b&gt;" in notebook[1]
    assert capsys.readouterr().err == ""


def test_a_terminal_sees_one_line_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    show(Bar("net"))
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert text.count("\r") == 3
    assert text.count("\n") == 1
    lines = text.strip("\r\n").split("\r")
    assert [line.count("█") for line in lines] == [0, 12, 24]
    # Each covers the one before it.
    assert len(lines[2]) == len(lines[1])


def test_a_log_hears_the_first_and_the_last(capsys: Any) -> None:
    show(Bar("net"))
    assert capsys.readouterr().err.splitlines() == ["net: begun", "net: done"]


def test_a_bar_that_is_not_wanted_says_nothing(capsys: Any, notebook: list[str]) -> None:
    show(Bar("net", is_shown=False))
    assert (capsys.readouterr().err, notebook) == ("", [])


def test_a_fit_tells_how_far_it_is(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    with FitBar("mlp") as bar:
        bar.tell(Progress("", 0, 4, "train", 1, 2, None))
        bar.tell(Progress("", 3, 4, "infer", 1, 2, 0.75))
        bar.tell(Progress("", 0, 0, "fit", 7, 0, None))
    assert capsys.readouterr().err.splitlines() == [
        "mlp: epoch 1 of at most 4",
        "mlp: epoch 4 of at most 4, validation accuracy 0.7500",
        "mlp: fitted in one go, 7 s so far",
    ]


def test_whoever_looks_at_images_sees_how_many_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", Terminal())
    folder = write_classes(tmp_path / "pets", per_class=12)
    modiste.scan(folder)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
    told: list[tuple[int, int]] = []
    total = modiste.scan(folder, verbose=True, tell=lambda *at: told.append(at))["num_seen"]
    assert told == [(number + 1, total) for number in range(total)]
    text = sys.stderr.getvalue()  # type: ignore[attr-defined]
    # It moves ten times a second at most, and always comes to its end.
    assert 1 <= text.count("\r") < total
    assert text.endswith(f"{'█' * 24}  {total} of {total}\n")
    for call in (
        lambda: modiste.load(folder, verbose=True),
        lambda: modiste.init_study(folder, minutes=0.01, probe_seconds=0, verbose=True),
    ):
        monkeypatch.setattr(sys, "stderr", Terminal())
        call()
        assert f"  {total} of {total}" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_set_that_needs_no_look_leaves_the_terminal_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with looking(lambda done, total: None, is_shown=True):
        pass
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_what_is_verbose_shows_a_bar_and_nothing_else_does(
    capsys: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modiste.train.work.TELL_SECONDS", 0.0)
    data: TrainingData = small.data()
    model = {"family": "mlp", "params": {"hidden": [3]}}
    X, y = np.arange(40.0).reshape(10, 4), np.arange(10) % 2
    modiste.fit(data, model, {"epochs": 1}, folder=tmp_path)
    ImageClassifier(epochs=2).fit(X, y)
    assert capsys.readouterr().err == ""
    run = modiste.fit(data, model, {"epochs": 2}, folder=tmp_path, verbose=True)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("mlp: epoch 1 of at most 2")
    accuracy = run.metrics["last"]["val"]["accuracy"]
    assert last == f"mlp: 2 epochs, 0 s, validation accuracy {accuracy:.4f}"
    ImageClassifier(epochs=1, verbose=True).fit(X, y)
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("ImageClassifier: epoch 1 of at most 1")
    assert last.startswith("ImageClassifier: 1 epoch, ")
    with pytest.raises(ParameterError):
        ImageClassifier("mlp", epochs=1, verbose=True, learning_rate=1e30).fit(X, y)
    assert "ImageClassifier: diverged: " in capsys.readouterr().err
