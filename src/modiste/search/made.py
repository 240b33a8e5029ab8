"""The points of a study's stages, each made once.

A study is asked for its stages again after every run of a search, and they are the same each time
until an earlier stage hands on something else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from modiste.search.row import Row
from modiste.spec.run import RunSpec
from modiste.spec.settings import Settings
from modiste.spec.study import Found, Override, Point, StageSpec, StudySpec, points


@dataclass(slots=True)
class Printed:
    """A point with the fingerprints of its runs, and its row as it was last."""

    point: Point
    fingerprints: tuple[str, ...]
    row: Row | None = None


@dataclass
class _OfStage:
    """What was made of a stage, for what earlier stages had found by then.

    Attributes:
        given: Its points, where it does not search.
        chosen: Those of a search, by their settings.
        listed: The same as they were asked for last, by number of their compared values.
        cut: These again, stopped early, by the fingerprints of the whole and where.
    """

    found: str
    given: tuple[Printed, ...] | None = None
    chosen: dict[str, Printed] = field(default_factory=dict)
    listed: dict[int, tuple[list[Settings], list[Printed]]] = field(default_factory=dict)
    cut: dict[tuple[tuple[str, ...], int], Printed] = field(default_factory=dict)


class Made:
    """Makes points, and keeps of each stage those that go with what was found last.

    Args:
        study: Whose stages.
        profile: Whose points.
        seed: Of every point.
        overrides: Over everything in the study.
        fingerprint: Of a run.
    """

    def __init__(
        self,
        study: StudySpec,
        profile: str,
        seed: int,
        overrides: Sequence[Override],
        fingerprint: Callable[[RunSpec], str],
    ) -> None:
        self._study, self._profile = study, profile
        self._seed, self._overrides = seed, overrides
        self._fingerprint = fingerprint
        self._stages: dict[str, _OfStage] = {}

    def given(self, stage: StageSpec, found: Mapping[str, Found]) -> tuple[Printed, ...]:
        """The points of a stage that does not search.

        Args:
            stage: Which.
            found: What the stages that it needs have found, or are taken to find; others may be
                among them.
        """
        kept = self._of(stage, found)
        if kept.given is None:
            kept.given = tuple(map(self._printed, self._points(stage, found)))
        return kept.given

    def chosen(
        self,
        stage: StageSpec,
        found: Mapping[str, Found],
        group: int,
        compared: Settings,
        tuned: Sequence[Settings],
    ) -> list[Printed]:
        """The points of a search, given what it has chosen; see `given`.

        Args:
            stage: Which.
            found: What the stages that it needs have found.
            group: Number of these compared values.
            compared: Values of what is compared.
            tuned: Values of what is tuned, of each point.
        """
        kept = self._of(stage, found)
        before, answer = kept.listed.get(group, ([], []))
        # Asked after every run, of hundreds. The very same: 1 and 1.0 are equal, and two points.
        if len(before) == len(tuned) and all(map(operator.is_, before, tuned)):
            return answer
        settings = [{**compared, **point} for point in tuned]
        names = list(map(repr, settings))
        new = {name: settings[n] for n, name in enumerate(names) if name not in kept.chosen}
        if new:
            made = self._points(stage, found, list(new.values()))
            kept.chosen.update(zip(new, map(self._printed, made), strict=True))
        answer = [kept.chosen[name] for name in names]
        kept.listed[group] = list(tuned), answer
        return answer

    def cut(self, stage: StageSpec, found: Mapping[str, Found], row: Row, until: int) -> Printed:
        """A point of a search, stopped after so many epochs; see `given`."""
        kept = self._of(stage, found).cut
        name = row.fingerprints, until
        if name not in kept:
            specs = tuple(spec.cut(until) for spec in row.specs)
            kept[name] = self._printed(Point(row.label, row.settings, specs, row.is_chosen))
        return kept[name]

    def _of(self, stage: StageSpec, found: Mapping[str, Found]) -> _OfStage:
        words = repr([found[name] for name in self._study.needs(stage)])
        kept = self._stages.get(stage.name)
        if kept is None or kept.found != words:
            kept = self._stages[stage.name] = _OfStage(words)
        return kept

    def _points(
        self,
        stage: StageSpec,
        found: Mapping[str, Found],
        chosen: Sequence[Settings] | None = None,
    ) -> list[Point]:
        given = self._study, stage, self._profile, self._seed, found, self._overrides
        return points(*given, chosen)

    def _printed(self, point: Point) -> Printed:
        return Printed(point, tuple(map(self._fingerprint, point.specs)))
