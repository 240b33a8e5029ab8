"""The publication's claims, put to the runs of this study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.evaluate.contrast import ClaimVerdict, Contrast, contrast, joint_verdict, judge
from modiste.interval import LEVEL
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.runs.run import Epoch, Run
from modiste.search.standing import SeedSpreads, is_right, of_an_image, said_in, seeds_of
from modiste.spec.match import holds
from modiste.spec.published import Claim, ClaimTest, Group

# Figures that the accuracy on validation images is in.
_OF_IMAGES = ("val_accuracy", "gap")


@dataclass(frozen=True)
class Side:
    """A group as far as it was run: `stage` is none where no such stage has any points yet."""

    stage: StageFacts | None
    rows: Sequence[RowFacts]

    @property
    def done(self) -> list[RowFacts]:
        return [row for row in self.rows if row.runs]

    @property
    def num_runs(self) -> int:
        return sum(len(row.runs) for row in self.rows)

    @property
    def has_broken(self) -> bool:
        """Whether any of its runs diverged or ran out of memory."""
        return any(row.broken for row in self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether every run of it came to a good end, and none was cut to compare it with others.

        Half a group may be the better half, and the runs that survived of a point its lucky ones.
        """
        return bool(self.rows) and all(
            row.row.is_done and not row.broken and row.row.until is None for row in self.rows
        )


@dataclass(frozen=True)
class Published:
    """The same difference between published figures, and the rows behind each side of it."""

    difference: float
    num_rows: tuple[int, int]


@dataclass(frozen=True)
class TestAnswer:
    """What our runs say to one test.

    Attributes:
        found: None where a point that has run has no such figure, or a side has not run at all.
        num_without: Runs that came to a good end and have no such figure.
        allowed: The same with an interval that allows for all tests that decide claims.
    """

    test: ClaimTest
    one: Side
    two: Side
    found: Contrast | None
    published: Published | None
    num_without: int = 0
    allowed: Contrast | None = None

    @property
    def is_firm(self) -> bool:
        """Whether its verdict is the same where the number of tests is allowed for."""
        if self.verdict == "undecided" or self.allowed is None:
            return True
        return judge(self.allowed, self.test.expect, self.test.margin) == self.verdict

    @property
    def verdict(self) -> ClaimVerdict:
        """Undecided unless all runs are there and the interval covers all doubt that there is.

        Where nobody repeated a comparable point, nobody knows what another seed would have said.
        And the runs that got as far as the epoch of a figure are not all that set out.
        """
        is_covered = self.covers_seeds and self.covers_images
        is_whole = self.one.is_whole and self.two.is_whole and not self.num_without
        if self.found is None or not is_covered or not is_whole:
            return "undecided"
        return judge(self.found, self.test.expect, self.test.margin)

    @property
    def covers_seeds(self) -> bool:
        """Whether it is known how much another seed moves either side."""
        return self.found is not None and self.found.seed_error is not None

    @property
    def covers_images(self) -> bool:
        """Whether other images are allowed for, where the figure asks for that."""
        asks = self.test.figure in _OF_IMAGES
        return self.found is not None and (not asks or self.found.image_error is not None)

    @property
    def is_of_one_stage(self) -> bool:
        """Whether both sides come from one stage, and so were chosen and trained alike."""
        return self.one.stage is self.two.stage


@dataclass(frozen=True)
class ClaimAnswer:
    """What they say to a claim."""

    claim: Claim
    tests: Sequence[TestAnswer]
    verdict: ClaimVerdict

    @property
    def is_firm(self) -> bool:
        """Whether its verdict is the same where the number of tests is allowed for.

        It fails with one test that fails; it holds with all of them.
        """
        deciding = [found for found in self.tests if found.test.decides]
        if self.verdict == "fails":
            return any(found.is_firm for found in deciding if found.verdict == "fails")
        return self.verdict == "undecided" or all(found.is_firm for found in deciding)


def num_deciding(context: Context) -> int:
    """Tests that claims stand or fall with."""
    claims = context.published.claims
    return sum(test.decides for claim in claims for test in claim.tests)


def answer(context: Context) -> list[ClaimAnswer]:
    """Every claim, in order."""
    answers = []
    for claim in context.published.claims:
        tests = [_test(context, test) for test in claim.tests]
        deciding = [found.verdict for found in tests if found.test.decides]
        verdict: ClaimVerdict = "holds" if claim.because else joint_verdict(deciding)
        answers.append(ClaimAnswer(claim, tests, verdict))
    return answers


def _test(context: Context, test: ClaimTest) -> TestAnswer:
    one, two = _sides(context, test)
    value = _figure(test.figure, context.published.epoch)
    published = _published(context, test)
    first, second = ([_values(row.runs, value) for row in side.done] for side in (one, two))
    if not all(group and all(group) for group in (first, second)):
        return TestAnswer(test, one, two, None, published)
    stages = [stage.stage for stage in context.stages]
    asks_images = test.figure in _OF_IMAGES
    spreads = SeedSpreads(
        stages,
        value,
        step=lambda run: _step(test.figure, run),
        said=said_in([context.study], context.published.epoch) if asks_images else None,
    )
    seeds = [
        seeds_of(row.row, spreads.of(side.stage.name, row.row))
        for side in (one, two)
        if side.stage is not None
        for row in side.done
    ]
    # Of a gap, those of the accuracy that is taken off: it moves the gap by as much.
    images = _images(context, one, two) if asks_images else _Images()
    given = (first, second, seeds, images.differences_N)
    found = contrast(*given, image_shares=images.shares)
    level = 1 - (1 - LEVEL) / max(1, num_deciding(context))
    allowed = contrast(*given, level=level, image_shares=images.shares)
    num_without = one.num_runs + two.num_runs - sum(map(len, (*first, *second)))
    return TestAnswer(test, one, two, found, published, num_without, allowed)


def _sides(context: Context, test: ClaimTest) -> tuple[Side, Side]:
    """The points of both groups, from one stage wherever there is one that both groups name.

    Points of one stage were chosen and trained alike; a row of a search beside one that was
    selected and confirmed is no comparison. Of several common stages it is the first in which both
    sides are finished, or have runs, or have points. Groups that name no common stage each take
    the first of their own by the same order.
    """
    shared = [name for name in test.one.stages if name in test.two.stages]
    pairs = [(_side(context, test.one, name), _side(context, test.two, name)) for name in shared]
    if pairs:
        return max(pairs, key=lambda pair: min(_readiness(side) for side in pair))
    one, two = (
        max((_side(context, group, name) for name in group.stages), key=_readiness)
        for group in (test.one, test.two)
    )
    return one, two


def _side(context: Context, group: Group, name: str) -> Side:
    stage = context.stage(name)
    rows = [row for row in stage.rows if _belongs(row, group)]
    return Side(stage if rows else None, rows)


def _readiness(side: Side) -> int:
    """3 for a side that is finished, 2 for one with runs, 1 with points; the first one wins."""
    return 3 if side.is_whole else 2 if side.done else 1 if side.rows else 0


def _belongs(row: RowFacts, group: Group) -> bool:
    values = row.row.specs[0].to_dict()
    return any(holds(values, where) for where in group.where)


def _figure(name: str, epoch: Epoch) -> Callable[[Run], float | None]:
    """How a figure is read from a run; none where the run did not get so far."""
    if name.startswith("train_loss@"):
        at = int(name.partition("@")[2])
        return lambda run: run.history[at - 1]["train_loss"] if len(run.history) >= at else None
    if name == "gap":
        return lambda run: (
            run.metrics[epoch]["train"]["accuracy"] - run.metrics[epoch]["val"]["accuracy"]
            if "train" in run.metrics[epoch]
            else None
        )
    if name == "epochs":
        return lambda run: float(run.metrics["epochs"]) or None
    if name == "best_epoch":
        return lambda run: float(run.metrics["best"]["epoch"]) or None
    if name == "seconds_per_epoch":
        return lambda run: run.metrics["seconds"] / run.metrics["epochs"] if run.history else None
    part, _, figure = name.partition("_")
    return lambda run: run.metrics[epoch].get(part, {}).get(figure)


def _step(name: str, run: Run) -> float:
    """What lies between two neighbouring values of a figure; 0 if that is next to nothing."""
    if name in ("epochs", "best_epoch"):
        return 1.0
    if name == "train_accuracy":
        return float(1 / run.metrics["num_train"])
    return of_an_image(run) if name in _OF_IMAGES else 0.0


def _values(runs: Iterable[Run], value: Callable[[Run], float | None]) -> list[float]:
    return [found for run in runs if (found := value(run)) is not None]


class _Images(NamedTuple):
    """For each image the share of right answers, as `contrast` takes it.

    Attributes:
        differences_N: Of one side less that of the other, where both answered the same images.
        shares: Of each side, where each answered a set of its own.
    """

    differences_N: npt.NDArray[np.float64] | None = None
    shares: Sequence[npt.NDArray[np.float64]] = ()


def _images(context: Context, one: Side, two: Side) -> _Images:
    """Neither where the points of a side answered other images than one another.

    Where each side has images of its own, some may be in both: the difference is surer, then, than
    two independent sets make it.
    """
    epoch = context.published.epoch
    found = [
        [[context.study.answers(run, epoch) for run in row.runs] for row in side.done]
        for side in (one, two)
    ]
    ids = [[each.image_ids_N for row in side for each in row] for side in found]
    if not all(np.array_equal(own[0], other) for own in ids for other in own):
        return _Images()
    first_N, second_N = (
        np.stack([is_right(row).mean(axis=0) for row in side]).mean(axis=0) for side in found
    )
    if np.array_equal(ids[0][0], ids[1][0]):
        return _Images(first_N - second_N)
    return _Images(shares=(first_N, second_N))


def _published(context: Context, test: ClaimTest) -> Published | None:
    """The same difference between the published figures, both from one stage if there is one."""
    shared = [name for name in test.one.stages if name in test.two.stages]
    names = [(name, name) for name in shared] or [
        (one, two) for one in test.one.stages for two in test.two.stages
    ]
    for pair in names:
        one, two = (
            _published_figures(context, group, name, test.figure)
            for group, name in zip((test.one, test.two), pair, strict=True)
        )
        if one and two:
            return Published(fmean(one) - fmean(two), (len(one), len(two)))
    return None


def _published_figures(context: Context, group: Group, name: str, figure: str) -> list[float]:
    return [
        float(value)
        for row in context.stage(name).rows
        if _belongs(row, group) and row.published is not None
        if (value := getattr(row.published, figure, None)) is not None
    ]
