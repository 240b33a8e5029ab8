"""The figures behind a stage's table: each row's, and which rows cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

import numpy as np

from modiste.evaluate.intervals import BoolsSN, Difference, paired_difference, standard_error
from modiste.report.cuts import Cut
from modiste.report.labels import short_labels
from modiste.report.numbers import plural, spread
from modiste.runs.run import Epoch, Run
from modiste.search.study import Answers, Row, Stage
from modiste.spec.published import PublishedRow


@dataclass(frozen=True)
class RowFacts:
    """A row with what is known about it.

    Attributes:
        row: Of the study.
        label: Short, for tables and sentences.
        published: The published row for it, if there is one.
        rank: 1 for the best of those that are finished; none for those that do not compete.
        lead: Accuracy of the stage's first row less that of this one, on the same validation
            images; none for the first row, and for those that do not compete.
        committed: Validation accuracies and epochs of the full profile, if they were collected.
    """

    row: Row
    label: str
    published: PublishedRow | None
    rank: int | None = None
    lead: Difference | None = None
    committed: Mapping[str, Sequence[float]] | None = None

    @cached_property
    def runs(self) -> list[Run]:
        """Those that ended well."""
        return [run for run in self.row.runs if run.metrics["status"] == "finished"]

    @property
    def broken(self) -> list[Run]:
        """Those that diverged or ran out of memory."""
        return [run for run in self.row.runs if run.metrics["status"] != "finished"]

    @property
    def is_tied(self) -> bool:
        """Less than one standard error of the difference behind the first row."""
        lead = self.lead
        return lead is not None and (lead.mean < lead.standard_error or lead.mean == 0)

    @property
    def status(self) -> str:
        """Why there is no number, or not all of them, in a few words; empty if all is there."""
        row = self.row
        if self.broken:
            kinds = {str(run.metrics["status"]).replace("_", " ") for run in self.broken}
            return " and ".join(sorted(kinds))
        if row.is_done:
            return "" if row.is_chosen else "from another stage"
        if not row.is_chosen:
            return "not run in this profile" + self._elsewhere()
        if row.runs:
            return f"{len(row.runs)} of {len(row.specs)} seeds finished"
        return "not finished yet"

    def _elsewhere(self) -> str:
        """What the full profile found, where its results were committed."""
        if not self.committed:
            return ""
        accuracies = list(self.committed["val_accuracy"])
        figure = spread(mean(accuracies), deviation(accuracies))
        seeds = plural(len(accuracies), "seed")
        return f"; full profile, committed: validation accuracy {figure}, last epoch, {seeds}"

    def values(self, epoch: Epoch, part: str, figure: str) -> list[float]:
        """One figure of every run, such as ``values("last", "val", "accuracy")``."""
        return [run.metrics[epoch][part][figure] for run in self.runs]

    def mean(self, epoch: Epoch, part: str, figure: str) -> float | None:
        """The mean of `values`; none without any."""
        return mean(self.values(epoch, part, figure))

    def ends(self, column: str) -> list[float]:
        """A column of the history at the last epoch, of every run."""
        return [run.history[-1][column] for run in self.runs]

    def standard_error(self, epoch: Epoch, part: str = "val") -> float | None:
        """Of the mean accuracy; it covers the images, which are the same for all seeds."""
        accuracy = self.mean(epoch, part, "accuracy")
        if accuracy is None:
            return None
        return standard_error(accuracy, self.runs[0].metrics[epoch][part]["total"])

    @property
    def family(self) -> str:
        """Of its model."""
        return self.row.specs[0].model.family

    @property
    def parameters(self) -> int | None:
        for run in self.row.runs:
            return int(run.layers["parameters"]["total"])
        return None

    @property
    def seconds(self) -> float | None:
        """Of one training, in the mean."""
        return mean([run.metrics["seconds"] for run in self.runs])


@dataclass(frozen=True)
class StageFacts:
    """A stage with what is known about it; `cut` is none while it waits for another."""

    stage: Stage
    rows: Sequence[RowFacts]
    cut: Cut | None

    @property
    def name(self) -> str:
        return self.stage.spec.name

    @property
    def title(self) -> str:
        return self.stage.spec.title or self.name

    @property
    def ranked(self) -> list[RowFacts]:
        """Rows that compete, best first."""
        rows = [row for row in self.rows if row.rank is not None]
        return sorted(rows, key=lambda row: row.rank or 0)

    @property
    def in_order(self) -> list[RowFacts]:
        """Rows that compete, best first; then others with runs; then published ones; then all."""
        others = [row for row in self.rows if row.rank is None]

        def key(row: RowFacts) -> tuple[bool, float]:
            theirs = row.published.val_accuracy if row.published else None
            return not row.row.runs, -(theirs or 0.0)

        return self.ranked + sorted(others, key=key)

    @property
    def touches_runs(self) -> bool:
        """Whether its runs are others than those of the full profile."""
        return self.cut is not None and self.cut.touches_runs

    @property
    def seconds(self) -> float:
        """Of all its trainings together."""
        return float(sum(run.metrics["seconds"] for row in self.rows for run in row.row.runs))


def stage_facts(
    stage: Stage,
    cut: Cut | None,
    epoch: Epoch,
    find: Callable[[Row], PublishedRow | None],
    answers: Callable[[Run, Epoch], Answers],
    committed: Mapping[str, Any],
) -> StageFacts:
    """Everything about a stage; reads the predictions of the rows that compete."""
    ranked = stage.ranked(epoch)
    ranks = {id(row): number for number, row in enumerate(ranked, start=1)}
    first = ranked[0] if ranked else None
    rows = []
    for row, label in zip(stage.rows, short_labels(stage.rows), strict=True):
        lead = None
        if first is not None and row is not first and id(row) in ranks:
            lead = lead_over(first, row, epoch, answers)
        elsewhere = committed.get(row.label)
        rows.append(RowFacts(row, label, find(row), ranks.get(id(row)), lead, elsewhere))
    return StageFacts(stage, rows, cut)


def lead_over(
    one: Row, two: Row, epoch: Epoch, answers: Callable[[Run, Epoch], Answers]
) -> Difference | None:
    """Accuracy of one row less that of another, on validation images; none if either broke.

    Paired where both answered the same images; otherwise as of two independent samples.
    """
    if any(run.metrics["status"] != "finished" for row in (one, two) for run in row.runs):
        return None
    first, second = ([answers(run, epoch) for run in row.runs] for row in (one, two))
    ids = [found.image_ids_N for found in (*first, *second)]
    if all(np.array_equal(ids[0], other) for other in ids[1:]):
        return paired_difference(is_right(first), is_right(second))
    means = [row.mean(epoch, "val", "accuracy") for row in (one, two)]
    errors = [
        standard_error(value, row.runs[0].metrics[epoch]["val"]["total"])
        for value, row in zip(means, (one, two), strict=True)
    ]
    return Difference(means[0] - means[1], math.hypot(*errors))


def is_right(found: Sequence[Answers]) -> BoolsSN:
    """Which validation images each run of a row got right."""
    return np.stack([answers.classes_N == answers.labels_N for answers in found])


def mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return fmean(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Between seeds, with n - 1; none for a single one."""
    return stdev(values) if len(values) > 1 else None
