"""A bar that shows how far work has come: in a notebook, on a terminal, in a log.

A notebook gets HTML through IPython, which is there in every notebook; nothing else is needed.
A terminal gets one line that is written over. Anything else, such as a log file, gets a line now
and then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from modiste.data.source import Tell
    from modiste.runs.run import Run
    from modiste.search.row import Row
    from modiste.search.study import Stage
    from modiste.train.task import Progress

# How often a log hears, in seconds.
LOG_SECONDS = 30.0
# How often a bar of images moves: there are thousands of them in a second.
LOOK_SECONDS = 0.1
WIDTH = 24


class Bar:
    """How far something has come; a context, so that its last state stays and the line ends.

    Args:
        title: What it is.
        is_shown: If not, nothing is ever printed.
    """

    def __init__(self, title: str, *, is_shown: bool = True) -> None:
        self._title = title
        self._write = _writer() if is_shown else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._write is not None:
            self._write(None)

    def show(self, share: float, text: str) -> None:
        """Draw it anew.

        Args:
            share: Of the work that is done, 0 to 1.
            text: Beside the bar.
        """
        if self._write is not None:
            self._write(_State(self._title, min(max(share, 0.0), 1.0), text))


class _State:
    def __init__(self, title: str, share: float, text: str) -> None:
        self.title, self.share, self.text = title, share, text

    def line(self) -> str:
        full = round(WIDTH * self.share)
        return f"{self.title}  {'█' * full}{'░' * (WIDTH - full)}  {self.text}"

    def html(self) -> str:
        return (
            f'<div>{escape(self.title)} <progress value="{self.share:.4f}" max="1"></progress> '
            f"{escape(self.text)}</div>"
        )


Write = Callable[[_State | None], None]


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _writer() -> Write:
    if in_notebook():
        return _notebook_writer()
    return _terminal_writer() if sys.stderr.isatty() else _log_writer()


def _notebook_writer() -> Write:
    from IPython.display import HTML, display

    handles: list[Any] = []

    def write(state: _State | None) -> None:
        if state is None:
            return
        if handles:
            handles[0].update(HTML(state.html()))
        else:
            handles.append(display(HTML(state.html()), display_id=True))

    return write


def _terminal_writer() -> Write:
    longest = 0

    def write(state: _State | None) -> None:
        nonlocal longest
        if state is None:
            sys.stderr.write("\n" if longest else "")
            return
        line = state.line()
        longest = max(longest, len(line))
        sys.stderr.write(f"\r{line.ljust(longest)}")
        sys.stderr.flush()

    return write


def _log_writer() -> Write:
    told = -LOG_SECONDS
    last: _State | None = None

    def write(state: _State | None) -> None:
        nonlocal told, last
        now = time.monotonic()
        if state is not None and now - told < LOG_SECONDS:
            last = state
            return
        state, last = state or last, None
        if state is not None:
            told = now
            sys.stderr.write(f"{state.title}: {state.text}\n")

    return write


@contextmanager
def looking(tell: Tell, *, is_shown: bool) -> Iterator[Tell]:
    """A bar of images that are looked at, which appears with the first.

    Args:
        tell: Is told the same as the bar.
        is_shown: Whether there is a bar.

    Returns:
        What is to be told how many are done, of how many.
    """
    moved = 0.0
    with Bar("looking at images", is_shown=is_shown) as bar:

        def told(done: int, total: int) -> None:
            nonlocal moved
            tell(done, total)
            if done == total or time.monotonic() - moved >= LOOK_SECONDS:
                moved = time.monotonic()
                bar.show(done / total, f"{done:,} of {total:,}")

        yield told


class FitBar(Bar):
    """The bar of one run, told by its worker."""

    def tell(self, progress: Progress) -> None:
        """Show how the run stands."""
        if progress.phase == "fit":
            self.show(0.0, f"fitted in one go, {progress.done} s so far")
            return
        part = progress.done / progress.total if progress.phase == "train" else 0.0
        share = (progress.epoch + part) / progress.epochs
        epoch = min(progress.epoch + 1, progress.epochs)
        text = f"epoch {epoch} of at most {progress.epochs}"
        if progress.val_accuracy is not None:
            text += f", validation accuracy {progress.val_accuracy:.4f}"
        self.show(share, text)

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Show what the run came to.

        Args:
            metrics: Of its record.
        """
        text = f"{metrics['status']}: {metrics['reason']}"
        if metrics["status"] == "finished":
            epochs = metrics["epochs"]
            counted = f"{epochs} epoch{'' if epochs == 1 else 's'}, " if epochs else ""
            accuracy = metrics[metrics["restored"]]["val"]["accuracy"]
            text = f"{counted}{metrics['seconds']:.0f} s, validation accuracy {accuracy:.4f}"
        self.show(1.0, text)


class StudyBar(Bar):
    """The bar of a study: a watcher of its driver."""

    def __init__(self, title: str, *, is_shown: bool = True) -> None:
        super().__init__(title, is_shown=is_shown)
        self._done, self._total, self._text = 0, 0, ""

    def planned(self, stages: Sequence[Stage]) -> None:
        """Count what there is to do."""
        rows = [row for stage in stages for row in stage.chosen]
        self._total = len({name for row in rows for name in row.fingerprints})
        self._done = len({run.fingerprint for row in rows for run in row.runs})
        self._draw()

    def progress(self, progress: Progress) -> None:
        """A run under way changes no count, but the bar is seen to live."""
        self._draw()

    def finished(self, stage: Stage, row: Row, run: Run) -> None:
        """Say what the last run came to."""
        metrics = run.metrics
        said = (
            f"validation accuracy {metrics['last']['val']['accuracy']:.4f}"
            if metrics["status"] == "finished"
            else metrics["status"]
        )
        self._text = f"; last: {stage.spec.name}, {row.label}: {said}"
        self._draw()

    def note(self, text: str) -> None:
        """Something a person should know."""
        self._text = f"; {text}"
        self._draw()

    def _draw(self) -> None:
        share = self._done / self._total if self._total else 0.0
        self.show(share, f"{self._done} of {self._total} runs{self._text}")
