"""The publication's claims, put to the runs of this study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modiste.evaluate.contrast import Contrast, Pooled, Verdict, contrast, judge, pooled, together
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts, mean
from modiste.runs.run import Epoch, Run
from modiste.search.standing import FEW_DEGREES, is_right
from modiste.spec.match import holds
from modiste.spec.published import Claim, ClaimTest, Group


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
    def is_whole(self) -> bool:
        return bool(self.rows) and all(row.row.is_done and row.runs for row in self.rows)


@dataclass(frozen=True)
class TestAnswer:
    """What our runs say to one test; `found` is none where a side has no runs."""

    test: ClaimTest
    one: Side
    two: Side
    found: Contrast | None
    published: float | None
    verdict: Verdict


@dataclass(frozen=True)
class ClaimAnswer:
    """What they say to a claim."""

    claim: Claim
    tests: Sequence[TestAnswer]
    verdict: Verdict


def answer(context: Context) -> list[ClaimAnswer]:
    """Every claim, in order."""
    answers = []
    for claim in context.published.claims:
        tests = [_test(context, test) for test in claim.tests]
        deciding = [found.verdict for found in tests if found.test.decides]
        verdict: Verdict = "holds" if claim.because else together(deciding)
        answers.append(ClaimAnswer(claim, tests, verdict))
    return answers


def _test(context: Context, test: ClaimTest) -> TestAnswer:
    one, two = _side(context, test.one), _side(context, test.two)
    value = _figure(test.figure, context.published.epoch)
    published = _published(context, test)
    first, second = ([_values(row.runs, value) for row in side.done] for side in (one, two))
    if not all(group and all(group) for group in (first, second)):
        return TestAnswer(test, one, two, None, published, "undecided")
    families = {row.family for side in (one, two) for row in side.done}
    seeds = _seeds(context, families, value)
    images_N = _images(context, one, two) if test.figure == "val_accuracy" else None
    found = contrast(first, second, seeds, images_N)
    # Without any repeated point nobody knows what another seed would have said; and half a group
    # may be the better half.
    can_decide = seeds is not None and one.is_whole and two.is_whole
    verdict = judge(found, test.expect, test.margin) if can_decide else "undecided"
    return TestAnswer(test, one, two, found, published, verdict)


def _side(context: Context, group: Group) -> Side:
    """The points of the first stage that has finished ones; else of the first that has any."""
    found = []
    for name in group.stages:
        stage = context.stage(name)
        rows = [row for row in stage.rows if _belongs(row, group)]
        found.append(Side(stage if rows else None, rows))
    best = [side for side in found if side.done] or [side for side in found if side.rows]
    return best[0] if best else found[0]


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
            if run.history
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


def _values(runs: Iterable[Run], value: Callable[[Run], float | None]) -> list[float]:
    return [found for run in runs if (found := value(run)) is not None]


def _seeds(
    context: Context, families: set[str], value: Callable[[Run], float | None]
) -> Pooled | None:
    """The spread over seeds of these families; of all, where they were hardly repeated."""
    rows = {r.row.fingerprints: r for stage in context.stages for r in stage.rows if r.is_net}
    alike = pooled([_values(row.runs, value) for row in rows.values() if row.family in families])
    if alike is not None and alike.degrees >= FEW_DEGREES:
        return alike
    return pooled([_values(row.runs, value) for row in rows.values()])


def _images(context: Context, one: Side, two: Side) -> npt.NDArray[np.float64] | None:
    """Share of right answers of one side less that of the other, image by image."""
    epoch = context.published.epoch
    shares, ids = [], []
    for side in (one, two):
        by_point = []
        for row in side.done:
            found = [context.study.answers(run, epoch) for run in row.runs]
            by_point.append(is_right(found).mean(axis=0))
            ids += [answers.image_ids_N for answers in found]
        shares.append(np.mean(by_point, axis=0))
    if not all(np.array_equal(ids[0], other) for other in ids[1:]):
        return None
    return np.asarray(shares[0] - shares[1], np.float64)


def _published(context: Context, test: ClaimTest) -> float | None:
    """The same difference between the published figures, where both sides have some."""
    sides = [_published_mean(context, group, test.figure) for group in (test.one, test.two)]
    return None if sides[0] is None or sides[1] is None else sides[0] - sides[1]


def _published_mean(context: Context, group: Group, figure: str) -> float | None:
    for name in group.stages:
        rows = [row for row in context.stage(name).rows if _belongs(row, group)]
        values = [
            float(value)
            for row in rows
            if row.published is not None
            and (value := getattr(row.published, figure, None)) is not None
        ]
        if values:
            return mean(values)
    return None
