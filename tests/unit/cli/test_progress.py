"""What a person sees of a study that goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from modiste.cli import progress
from modiste.cli.progress import Display
from tests import small
from tests.driving import Script, drive, make

VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 2, "batch_size": 30},
    stages=[
        {"name": "grid", "grid": {"model.params.hidden": [[3], [4]]}},
        {
            "name": "odd",
            "model": {"params": {"hidden": [8, 8]}},
            "points": [
                {"label": "größer [/bold] 👗", "train.batch_size": 20},
                {"label": "too fast", "train.optimizer": {"name": "sgd", "learning_rate": 1e30}},
            ],
        },
        {"name": "left-out", "profiles": {"full": {"skip": "too long"}}},
        {"name": "final", "from": ["grid"], "repeats": 2, "train": {"epochs": 3}},
    ],
)


@pytest.fixture(params=[True, False], ids=["a terminal", "a file"])
def screen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Console:
    """What stderr is; everything that was written to it can be read."""
    is_terminal: bool = request.param
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: console)

    class Eager(Live):
        """Draws every change, where the real one draws four in a second."""

        def update(self, renderable: Any, *, refresh: bool = False) -> None:
            super().update(renderable, refresh=True)

    monkeypatch.setattr(progress, "Live", Eager)
    return console


def test_every_run_and_every_mishap_gets_a_line(
    screen: Console, tmp_path: Path, script: Script
) -> None:
    deaths = iter([True])
    script.dies = lambda _: next(deaths, False)
    study = make(tmp_path / "study", VALUES)
    with Display() as display:
        assert drive(study, display)
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    assert "grid: hidden=[3]: validation accuracy 0." in text
    # Words of a study file are shown as they are, never read as commands to the terminal.
    assert "odd: größer [/bold] 👗: validation accuracy 0." in text
    assert "odd: too fast: diverged (" in text
    assert "seed 1: validation accuracy 0." in text
    assert "ended by SIGKILL" in text
    if screen.is_terminal:
        for words in ("best so far", "time left", "2 of 2", "waits for grid"):
            assert words in text
        assert "left-out" not in text
    else:
        assert "\x1b" not in text
        assert text.splitlines()[0] == "Runs to do: 4."


def test_a_study_that_goes_on_says_how_much_is_done(
    screen: Console, tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", VALUES)
    assert not drive(study, should_stop=lambda: len(script.tasks) > 14)
    num_done = len(list((study.folder / "runs").iterdir()))
    assert num_done >= 1
    with Display() as display:
        assert drive(make(study.folder, VALUES), display)
    assert isinstance(screen.file, io.StringIO)
    if not screen.is_terminal:
        first = screen.file.getvalue().splitlines()[0]
        assert first.startswith(f"{num_done} of ")
        assert first.endswith(" runs are finished already.")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3_599, "1 h 00 min"), (9_000, "2 h 30 min")],
)
def test_durations_are_words(seconds: float, words: str) -> None:
    assert progress._duration(seconds) == words
