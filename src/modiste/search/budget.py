"""A study that has to end in time: when to close which stage, and what was left out.

A stage with points of its own to try can be closed at any moment: what it has found by then is
taken for its result. What comes after it (confirming the best, the final models, the report)
cannot, so time is kept for that, as far as finished runs tell how long it takes. Time is no number
that comes out the same twice, and neither is the leaderboard of a study that was closed by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modiste.data.types import ImageSet
from modiste.search.asked import Asked
from modiste.search.kinds import pace_of
from modiste.search.plan import expected_epochs, paces_of_finished, time_of, until_the_end
from modiste.search.study import Stage, Study
from modiste.search.survey import Survey, survey

# Runs take longer than those like them did about as often as they take less.
CAUTION = 1.25
# The report of a study, where drawing is as fast as usual: loading what it takes, reading, drawing,
# writing; for each run; and for each image that a final model is shown again, made worse.
REPORT_SECONDS, SECONDS_PER_RUN, IMAGES_AGAIN = 20.0, 0.02, 40_000
# From closing a stage to the first run after it, where drawing is as fast as usual: what is under
# way is saved, and all is read again.
CLOSING_SECONDS = 2.0
# An export of a final model, beside answering every validation image twice.
EXPORT_SECONDS = 5.0
# Of a budget, the most that is kept for all that: what is reported on takes time, too.
REPORT_SHARE = 0.5
# Of a budget, what is left when the first thing is done.
BEGUN_SHARE = 0.98
# How old an estimate may get while runs go on, in seconds and as a share of the budget; and so many
# times as old as the time that it took, so that estimating takes no more than a twentieth.
STALE_SECONDS, STALE_SHARE, STALE_FACTOR = 15.0, 0.05, 20.0
# Points of a search that stand for those to come, should none have ended.
MOST_FORESEEN = 8


def left_out(stage: Stage) -> str:
    """What a budget left out of a stage that it closed, in a few words; empty if nothing."""
    begun = [t for t in stage.trials if not t.top.is_done and (len(t.rungs) > 1 or t.top.runs)]
    rows = [row for row in stage.tops if not row.is_done]
    total = len(stage.chosen) + stage.num_to_come
    num_untried = stage.num_to_come + len(rows) - len(begun)
    if stage.waits_for or num_untried == total:
        return "all of it"
    words = []
    if num_untried:
        words.append(f"{num_untried:,} of {total:,} points")
    if begun:
        words.append(f"the end of {len(begun):,} points that were begun")
    return " and ".join(words)


@dataclass(frozen=True)
class Budget:
    """So much time.

    Attributes:
        seconds: In all, for everything.
        ends_at: When it is over, as `now` counts.
        now: Seconds that only grow.
        slowness: How many times as long as usual drawing takes here and now.
    """

    seconds: float
    ends_at: float
    now: Callable[[], float] = time.monotonic
    slowness: float = 1.0

    @classmethod
    def of(cls, seconds: float) -> Budget:
        """One that begins now, or began a moment ago: loading the program takes time, too."""
        return cls(seconds, time.monotonic() + BEGUN_SHARE * seconds)

    @property
    def report_seconds(self) -> float:
        """How long the shortest of reports takes."""
        return self.slowness * REPORT_SECONDS

    @property
    def warning(self) -> str:
        """What a person should know before anything begins; empty if it can be kept."""
        report, most = self.report_seconds, REPORT_SHARE * self.seconds
        if report <= most:
            return ""
        return (
            f"A budget of {self.seconds:g} s is too short to be kept: final models, figures and "
            f"the report take about {report:.0f} s here, and at least half of the time goes to the "
            f"study itself. It will take about {self.seconds + report - most:.0f} s; "
            f"{report / REPORT_SHARE:.0f} s would be kept."
        )


class Clock:
    """Tells which stages have to close.

    Args:
        study: As it is on the disk.
        images: All that may be trained on.
        asked: What is to be run.
        budget: The time for it.
        num_workers: Threads in all.
    """

    def __init__(
        self,
        study: Study,
        images: ImageSet,
        asked: Asked,
        budget: Budget,
        num_workers: int,
    ) -> None:
        self._study = study
        self._images = images
        self._asked = asked
        self._ends_at = budget.ends_at
        self._now = budget.now
        self._num_workers = num_workers
        self._current: tuple[str, float] = ("", 0.0)
        self._slowness = budget.slowness
        self._most_for_report = REPORT_SHARE * budget.seconds
        self._stale_seconds = min(STALE_SECONDS, STALE_SHARE * budget.seconds)
        self._plans_at = float("-inf")
        # As estimated: what cannot be closed; and the report of as many runs as were finished then.
        self._seconds_after = 0.0
        self._report_seconds, self._num_reported = budget.report_seconds, 0

    def due(self, stages: Sequence[Stage]) -> frozenset[str]:
        """The stages that have to close now; none as long as there is time.

        In the end it is all that are open, those first that wait for no other: what begins with the
        winner of one that was closed may be there already. Before that it is the first one that
        searches, if what comes after it could not be done otherwise; one in which nothing has ended
        is not closed.

        Args:
            stages: As they stand.
        """
        stages = self._asked.seen(stages)
        open_ = [stage for stage in stages if not (stage.skipped or stage.is_decided)]
        report = self._seconds_of_report(stages)
        if self._now() >= self._ends_at - report:
            ready = [stage for stage in open_ if not stage.waits_for]
            return frozenset(stage.spec.name for stage in ready or open_)
        searching = [stage for stage in open_ if is_elastic(stage)]
        current = next((stage for stage in searching if not stage.waits_for), None)
        if current is None:
            return frozenset()
        if current.spec.name != self._current[0]:
            self._current = current.spec.name, self._now()
            self._plans_at = float("-inf")
        if self._now() >= self._plans_at:
            self._plan(stages)
            report = self._seconds_of_report(stages)
        begun = self._current[1]
        left = max(0.0, self._ends_at - report - self._seconds_after - begun)
        is_late = self._now() >= begun + left / len(searching)
        has_any = any(row.is_done for row in (*current.rows, *current.lower))
        return frozenset([current.spec.name]) if has_any and is_late else frozenset()

    def _plan(self, stages: Sequence[Stage]) -> None:
        """Work out how long it takes from the end of the search to that of everything."""
        began = self._now()
        found = survey(self._study, self._images, self._asked, most_foreseen=MOST_FORESEEN)
        left = self._left(found)
        self._seconds_after = CAUTION * until_the_end(found, left, self._num_workers)
        if left:
            more = CLOSING_SECONDS + SECONDS_PER_RUN * len(left)
            self._seconds_after += self._slowness * more
        self._report_seconds = _report_seconds(found, self._slowness)
        self._num_reported = _num_finished(stages)
        now = self._now()
        self._plans_at = now + max(self._stale_seconds, STALE_FACTOR * (now - began))

    def _seconds_of_report(self, stages: Sequence[Stage]) -> float:
        """How long it takes if everything is closed now: all that was found is reported on."""
        more = _num_finished(stages) - self._num_reported
        seconds = self._report_seconds + self._slowness * SECONDS_PER_RUN * more
        return min(seconds, self._most_for_report)

    def _left(self, found: Survey) -> dict[str, float]:
        """Seconds of each run that cannot be closed; the best so far stand for those to come."""
        runs = found.runs.values()
        paces = paces_of_finished(runs)
        epochs = expected_epochs(runs)
        spec = self._study.spec
        rigid = {
            name
            for part in found.parts
            if not is_elastic(Stage(spec.stage(part.name), ()))
            for name in part.fingerprints
        }
        return {
            run.fingerprint: expected.expected
            for run in found.todo
            if run.fingerprint in rigid
            and (expected := time_of(run, epochs[run.fingerprint].number, paces, runs))
        }


def is_elastic(stage: Stage) -> bool:
    """Whether a stage can be closed before its end: it has several points of its own."""
    spec = stage.spec
    return spec.search is not None or bool(spec.grid) or len(spec.points) > 1


def _num_finished(stages: Sequence[Stage]) -> int:
    return sum(len(row.runs) for stage in stages for row in (*stage.rows, *stage.lower))


def _report_seconds(found: Survey, slowness: float) -> float:
    """How long drawing and writing take, with final models shown worse images and exported."""
    num_done = sum(run.done is not None for run in found.runs.values())
    seconds = slowness * (REPORT_SECONDS + SECONDS_PER_RUN * num_done)
    paces = paces_of_finished(found.runs.values())
    for part in found.parts:
        runs = [found.runs[name] for name in part.fingerprints if part.is_final]
        known = [pace for t in runs if t.kind and (pace := pace_of(t.kind, paces))]
        num_images = IMAGES_AGAIN
        if runs and part.is_exported:
            seconds += slowness * EXPORT_SECONDS
            num_images += 2 * max(run.num_val for run in runs)
        seconds += num_images * max((pace.per_image_inferred for pace in known), default=0.0)
    return seconds
