"""What a person sees of a study that goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.live import Live
from typer.testing import CliRunner

from modiste.cli import progress
from modiste.cli.main import app
from modiste.cli.output import duration
from modiste.cli.progress import Display, UnderWay, seconds_left, seen
from modiste.cli.verbs import predict
from modiste.train.task import Progress
from tests import small
from tests.driving import Script, drive, make
from tests.own_images import write_classes

VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 2, "batch_size": 30},
    stages=[
        {"name": "grid", "grid": {"model.params.hidden": [[3], [4]]}},
        {
            "name": "odd",
            "model": {"params": {"hidden": [8, 8]}},
            "points": [
                {"label": "größer [/bold] 👗", "train.batch_size": 20, "train.epochs": 1},
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
    assert " after 1 epoch, 0 s" in text
    assert " after 2 epochs, 0 s" in text
    assert "odd: too fast: diverged (" in text
    assert "seed 1: validation accuracy 0." in text
    assert "ended by SIGKILL" in text
    if screen.is_terminal:
        for words in ("best so far", "time left", "2 of 2", "waits for grid"):
            assert words in text
        assert "left-out" not in text
    else:
        assert "\x1b" not in text
        assert text.splitlines()[0] == "Runs to do: 4, and those of final, which wait for others."


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
        assert " runs are finished already, and those of final, which wait for others." in first


def test_a_scan_shows_a_bar_on_a_terminal_and_nothing_elsewhere(
    screen: Console, tmp_path: Path
) -> None:
    write_classes(tmp_path / "pets", 4)
    answer = CliRunner().invoke(app, ["data", "scan", str(tmp_path / "pets"), "--json"])
    assert answer.exit_code == 0, answer.output
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    if screen.is_terminal:
        assert "looking at images" in text
        assert "12/12" in text
    else:
        assert text == ""


@pytest.mark.parametrize("is_terminal", [True, False], ids=["a terminal", "a file"])
def test_predict_shows_a_bar_on_a_terminal_and_answers_beside_it(
    is_terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    monkeypatch.setattr(predict, "_load", lambda folder, is_int8: SimpleNamespace(class_names=()))
    monkeypatch.setattr(
        "modiste.artifact.classify.classify", lambda model, paths, is_skipping: list(paths)
    )
    monkeypatch.setattr(
        "modiste.cli.answers.print_object", lambda paths, names, model: typer.echo(len(paths))
    )
    write_classes(tmp_path / "pets", 4)
    answer = CliRunner().invoke(app, ["predict", "model", str(tmp_path / "pets"), "--json"])
    assert (answer.exit_code, answer.stdout) == (0, "12\n"), answer.output
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert ("images" in text and "100%" in text) if is_terminal else text == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3_599, "1 h 00 min"), (9_000, "2 h 30 min")],
)
def test_durations_are_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# --- the time that is left ------------------------------------------------------------------------

FINISHED = [{"seconds": 90.0, "epochs": 45}, {"seconds": 110.0, "epochs": 55}]


def at(position: float, limit: int = 300) -> Progress:
    """What a worker says that has done so many epochs."""
    epoch, part = divmod(position, 1)
    return Progress("f" * 64, int(epoch), limit, "train", round(100 * part), 100, None)


def watched(start: float, end: float, seconds: float, limit: int = 300) -> UnderWay:
    """A run that went from one position to another in so many seconds."""
    return seen(at(end, limit), seconds, seen(at(start, limit), 0.0, None))


def test_nothing_left_or_nothing_known_is_no_time() -> None:
    assert seconds_left(FINISHED, [], num_missing=0, num_workers=0) is None
    assert seconds_left([], [], num_missing=5, num_workers=2) is None
    # One look at a run tells no pace.
    assert seconds_left([], [seen(at(3), 0.0, None)], num_missing=1, num_workers=1) is None


def test_runs_that_wait_take_as_long_as_the_finished_ones() -> None:
    # 100 seconds each; 6 of them on two workers.
    assert seconds_left(FINISHED, [], num_missing=6, num_workers=2) == pytest.approx(300)


def test_a_run_under_way_counts_for_what_is_left_of_it_at_its_own_pace() -> None:
    # Ten epochs in 80 seconds; the finished ones had 50, so 30 more are expected: 240 seconds.
    slow = watched(10, 20, seconds=80)
    assert seconds_left(FINISHED, [slow], num_missing=1, num_workers=2) == pytest.approx(240)
    # And one that waits is now expected to take the mean of 90, 110 and 50 x 8 seconds: 200, on
    # two workers (240 + 200) / 2, which is less than the run under way needs by itself.
    assert seconds_left(FINISHED, [slow], num_missing=2, num_workers=2) == pytest.approx(240)
    assert seconds_left(FINISHED, [slow], num_missing=2, num_workers=1) == pytest.approx(440)


def test_a_run_just_begun_is_expected_to_go_on_as_the_finished_ones_did() -> None:
    # 200 seconds over 100 epochs: 2 seconds each, 50 of them.
    begun = seen(at(0), 7.0, None)
    assert seconds_left(FINISHED, [begun], num_missing=1, num_workers=1) == pytest.approx(100)


def test_with_nothing_finished_every_run_may_go_to_its_limit() -> None:
    run = watched(0, 5, seconds=10, limit=20)
    assert seconds_left([], [run], num_missing=1, num_workers=1) == pytest.approx(30)
    assert seconds_left([], [run], num_missing=3, num_workers=1) == pytest.approx(30 + 2 * 40)


def test_a_run_beyond_what_was_expected_may_end_after_any_epoch() -> None:
    run = watched(50, 60, seconds=20)
    assert seconds_left(FINISHED, [run], num_missing=1, num_workers=1) == pytest.approx(2)


def test_a_run_that_a_crash_set_back_is_timed_anew() -> None:
    ahead = watched(0, 10, seconds=100)
    back = seen(at(8), 130.0, ahead)
    assert back.seconds_per_epoch is None
    assert seen(at(9), 135.0, back).seconds_per_epoch == pytest.approx(5)


def test_a_run_that_only_infers_any_more_is_in_its_last_epoch_and_takes_no_time() -> None:
    last = Progress("f" * 64, 20, 20, "infer", 3, 8, 0.9)
    run = seen(last, 40.0, watched(10, 20, seconds=30, limit=20))
    assert seconds_left([], [run], num_missing=1, num_workers=1) == pytest.approx(0)
    assert "epoch 20 of 20, infer 3/8, validation accuracy 0.9000" in progress._describe(last)
