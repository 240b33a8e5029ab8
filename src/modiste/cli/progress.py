"""How a study goes on, shown to a person: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from modiste.runs.run import Run
from modiste.search.study import Row, Stage
from modiste.train.work import Progress


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) asks to stop and save; the second one stops at once.

    So does the first, as long as nobody has asked whether to stop: while data are fetched, there
    is nothing to save, and nobody to hear it.
    """
    asked, is_heard = threading.Event(), threading.Event()

    def should_stop() -> bool:
        is_heard.set()
        return asked.is_set()

    def ask(number: int, frame: object) -> None:
        if asked.is_set() or not is_heard.is_set():
            raise KeyboardInterrupt
        asked.set()
        print("\nmodiste: saving what is under way ...", file=sys.stderr, flush=True)

    old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield should_stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class Display:
    """A watcher that shows what it is told."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._stages: Sequence[Stage] = ()
        self._under_way: dict[str, Progress] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def planned(self, stages: Sequence[Stage]) -> None:
        is_first = not self._stages
        self._stages = stages
        if is_first and self._live is None:
            total, done = _count(stages)
            self._line(
                f"{done} of {total} runs are finished already." if done else f"Runs to do: {total}."
            )
        self._refresh()

    def progress(self, progress: Progress) -> None:
        self._under_way[progress.fingerprint] = progress
        self._refresh()

    def finished(self, stage: Stage, row: Row, run: Run) -> None:
        self._under_way.pop(run.fingerprint, None)
        metrics = run.metrics
        text = f"{stage.spec.name}: {row.label}"
        if len(row.specs) > 1:
            text += f", seed {run.spec.seed}"
        if metrics["status"] == "finished":
            text += (
                f": validation accuracy {metrics['last']['val']['accuracy']:.4f} after "
                f"{metrics['epochs']} epochs, {_duration(metrics['seconds'])}"
            )
        else:
            text += f": {metrics['status']} ({metrics['reason']})"
        self._line(text)
        self._refresh()

    def note(self, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        (self._live.console if self._live else self._console).print(
            text, highlight=False, markup=False, soft_wrap=True
        )

    def _refresh(self) -> None:
        if self._live is None:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("stage", "done", "best so far", "validation accuracy", "time left"):
            table.add_column(name, justify="left" if name in ("stage", "best so far") else "right")
        for stage in self._stages:
            if stage.skipped and not stage.chosen:
                continue
            # As text: brackets in a label are no commands to the terminal.
            table.add_row(*map(Text, self._cells(stage)))
        lines = [Text(_describe(progress), style="dim") for progress in self._under_way.values()]
        self._live.update(Group(table, *lines))

    def _cells(self, stage: Stage) -> tuple[str, ...]:
        if stage.waits_for:
            return stage.spec.name, "", f"waits for {', '.join(stage.waits_for)}", "", ""
        specs = [spec for row in stage.chosen for spec in row.specs]
        done = sum(len(row.runs) for row in stage.chosen)
        ranked = stage.ranked("last")
        best = f"{ranked[0].mean('last', 'val', 'accuracy'):.4f}" if ranked else ""
        left = self._seconds_left(stage)
        return (
            stage.spec.name,
            f"{done} of {len(specs)}",
            ranked[0].label if ranked else "",
            best,
            "" if left is None else _duration(left),
        )

    def _seconds_left(self, stage: Stage) -> float | None:
        """From what finished runs of the stage took; None before the first, or after the last."""
        runs = [run for row in stage.chosen for run in row.runs]
        missing = sum(len(row.specs) - len(row.runs) for row in stage.chosen)
        if not runs or not missing:
            return None
        mean = fmean(float(run.metrics["seconds"]) for run in runs)
        return mean * missing / max(1, len(self._under_way))


def _count(stages: Sequence[Stage]) -> tuple[int, int]:
    total: set[str] = set()
    done: set[str] = set()
    for stage in stages:
        for row in stage.chosen:
            total.update(row.fingerprints)
            done.update(run.fingerprint for run in row.runs)
    return len(total), len(done)


def _describe(progress: Progress) -> str:
    text = f"  {progress.fingerprint[:8]}: epoch {progress.epoch + 1} of {progress.epochs}, "
    text += f"{progress.phase} {progress.done}/{progress.total}"
    if progress.val_accuracy is not None:
        text += f", validation accuracy {progress.val_accuracy:.4f}"
    return text


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
