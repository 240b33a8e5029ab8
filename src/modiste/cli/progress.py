"""How a study goes on, shown to a person: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from modiste.cli.output import duration
from modiste.report.numbers import listing, plural
from modiste.runs.run import Run
from modiste.search.row import Row
from modiste.search.study import Stage
from modiste.train.task import Progress

# The time left of a run under way is guessed from its own pace once it was watched for so long.
WATCHED_SECONDS = 2.0


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


@contextmanager
def looking() -> Iterator[Callable[[int, int], None]]:
    """A bar of images that were looked at, on a terminal; elsewhere nothing is shown."""
    console = Console(stderr=True)
    with Bar(
        TextColumn("looking at images"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("looking", total=None, visible=False)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield tell


class Display:
    """A watcher that shows what it is told."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._stages: Sequence[Stage] = ()
        self._under_way: dict[str, UnderWay] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def looked(self, done: int, total: int) -> None:
        """How many images of a set of your own were looked at."""
        if self._live is not None:
            self._live.update(Text(f"looking at images: {done:,} of {total:,}"))

    def planned(self, stages: Sequence[Stage]) -> None:
        is_first = not self._stages
        self._stages = stages
        if is_first and self._live is None:
            total, done = _count(stages)
            waiting = [s.spec.name for s in stages if s.waits_for and not s.skipped]
            more = f", and those of {listing(waiting)}, which wait for others" if waiting else ""
            self._line(
                f"{done} of {total} runs are finished already{more}."
                if done
                else f"Runs to do: {total}{more}."
            )
        self._refresh()

    def progress(self, progress: Progress) -> None:
        known = self._under_way.get(progress.fingerprint)
        self._under_way[progress.fingerprint] = seen(progress, time.monotonic(), known)
        self._refresh()

    def finished(self, stage: Stage, row: Row, run: Run) -> None:
        self._under_way.pop(run.fingerprint, None)
        metrics = run.metrics
        text = f"{stage.spec.name}: {row.label}"
        if len(row.specs) > 1:
            text += f", seed {run.spec.seed}"
        if metrics["status"] == "finished":
            epochs = f" after {plural(metrics['epochs'], 'epoch')}" if metrics["epochs"] else ""
            text += (
                f": validation accuracy {metrics['last']['val']['accuracy']:.4f}{epochs}, "
                f"{duration(metrics['seconds'])}"
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
        lines = [Text(_describe(run.progress), style="dim") for run in self._under_way.values()]
        self._live.update(Group(table, *lines))

    def _cells(self, stage: Stage) -> tuple[str, ...]:
        if stage.waits_for:
            return stage.spec.name, "", f"waits for {', '.join(stage.waits_for)}", "", ""
        runs = [run for row in stage.chosen for run in row.runs]
        missing = {name for row in stage.chosen for name in row.fingerprints}
        missing -= {run.fingerprint for run in runs}
        ranked = stage.ranked(stage.rank_epoch)
        left = seconds_left(
            [run.metrics for run in runs],
            [self._under_way[name] for name in missing if name in self._under_way],
            num_missing=len(missing),
            num_workers=len(self._under_way),
        )
        return (
            stage.spec.name,
            f"{len(runs)} of {sum(len(row.specs) for row in stage.chosen) + _to_come(stage)}",
            ranked[0].label if ranked else "",
            f"{ranked[0].mean(stage.rank_epoch, 'val', 'accuracy'):.4f}" if ranked else "",
            "" if left is None else ("" if runs else "at most ") + duration(left),
        )


@dataclass(frozen=True)
class UnderWay:
    """A run under way: how it stands now, and where it stood when it was first seen.

    Attributes:
        at: Epochs done, with the part of the one under way.
        clock: When that was, in seconds.
        first_at, first_clock: The same when it was first seen, or when a crash set it back.
    """

    progress: Progress
    at: float
    clock: float
    first_at: float
    first_clock: float

    @property
    def seconds_per_epoch(self) -> float | None:
        """Its pace, once it was watched for long enough."""
        watched, done = self.clock - self.first_clock, self.at - self.first_at
        return watched / done if watched >= WATCHED_SECONDS and done > 0 else None


def seen(progress: Progress, clock: float, known: UnderWay | None) -> UnderWay:
    """A run under way, given what was known of it before."""
    part = progress.done / progress.total if progress.phase == "train" else 1.0
    # After the last epoch comes inference, which counts as no epoch more.
    at = min(progress.epoch + part, progress.epochs)
    if known is None or at < known.at:
        return UnderWay(progress, at, clock, at, clock)
    return replace(known, progress=progress, at=at, clock=clock)


def seconds_left(
    finished: Sequence[Mapping[str, Any]],
    under_way: Sequence[UnderWay],
    num_missing: int,
    num_workers: int,
) -> float | None:
    """How long the runs of a stage that are not finished may take.

    A run under way goes on at its own pace, to as many epochs as the finished ones had, or to
    its limit while there are none; one that waits takes as long as the others on average.

    Args:
        finished: What the metrics of finished runs say.
        under_way: Runs of the stage that somebody works on.
        num_missing: Runs of the stage that are not finished, with those under way.
        num_workers: Runs under way in all stages.

    Returns:
        None where nothing is left, or nothing tells how long it takes.
    """
    took = [float(metrics["seconds"]) for metrics in finished]
    epochs = fmean(metrics["epochs"] for metrics in finished) if finished else None
    usual = fmean(took) / epochs if epochs else None
    left = []
    for run in under_way:
        pace = run.seconds_per_epoch or usual
        if pace is not None:
            limit = run.progress.epochs
            # One that has passed what was expected may stop after any epoch now.
            end = min(limit, max(epochs or limit, run.at + 1))
            left.append(pace * (end - run.at))
            took.append(pace * end)
    if not num_missing or not took:
        return None
    num_waiting = num_missing - len(left)
    work = sum(left) + num_waiting * fmean(took)
    return max([*left, work / max(1, num_workers)])


def _to_come(stage: Stage) -> int:
    """Runs of points that a search has not chosen yet."""
    each = len(stage.rows[0].specs) if stage.rows else stage.spec.repeats
    return stage.num_to_come * each


def _count(stages: Sequence[Stage]) -> tuple[int, int]:
    total: set[str] = set()
    done: set[str] = set()
    for stage in stages:
        for row in stage.chosen:
            total.update(row.fingerprints)
            done.update(run.fingerprint for run in row.runs)
    return len(total) + sum(map(_to_come, stages)), len(done)


def _describe(progress: Progress) -> str:
    if progress.phase == "fit":
        return f"  {progress.fingerprint[:8]}: fitted in one go, {duration(progress.done)} so far"
    epoch = min(progress.epoch + 1, progress.epochs)
    text = f"  {progress.fingerprint[:8]}: epoch {epoch} of {progress.epochs}, "
    text += f"{progress.phase} {progress.done}/{progress.total}"
    if progress.val_accuracy is not None:
        text += f", validation accuracy {progress.val_accuracy:.4f}"
    return text
