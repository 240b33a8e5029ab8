"""The figures behind a stage's table: each row's, and which rows cannot be told apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from modiste.evaluate.best import Standing
from modiste.evaluate.contrast import Seeds
from modiste.evaluate.doubt import error_of, of_accuracy
from modiste.evaluate.intervals import Interval
from modiste.report.cuts import Cut
from modiste.report.labels import short_labels
from modiste.report.numbers import plural, spread
from modiste.runs.run import Epoch, Run
from modiste.search.answers import Answers
from modiste.search.row import Row
from modiste.search.standing import SeedSpread, is_folded, seeds_of, standing
from modiste.search.study import Stage
from modiste.spec.parts import ModelFamily
from modiste.spec.published import PublishedRow


@dataclass(frozen=True)
class RowFacts:
    """A row with what is known about it.

    Attributes:
        row: Of the study.
        label: Short, for tables and sentences.
        published: The published row for it, if there is one.
        rank: 1 for the best of those that are finished; none for those that do not compete.
        standing: Beside the stage's first row; none for rows that do not compete, that broke, or
            that answered other validation images.
        interval: Of its accuracy at the epoch that ranks, at 95 %; none for rows that broke or
            are not finished.
        committed: Validation accuracies and epochs of the full profile, if they were collected.
        spread: How much a seed moves its accuracy; none if nobody knows, or no seed does.
    """

    row: Row
    label: str
    published: PublishedRow | None
    rank: int | None = None
    standing: Standing | None = None
    interval: Interval | None = None
    committed: Mapping[str, Sequence[float]] | None = None
    spread: SeedSpread | None = None

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
        """Not the first row, and not to be told from it."""
        standing = self.standing
        return standing is not None and standing.may_be_best and self.rank != 1

    @property
    def status(self) -> str:
        """Why there is no number, or not all of them, in a few words; empty if all is there."""
        row = self.row
        if self.broken:
            kinds = {str(run.metrics["status"]).replace("_", " ") for run in self.broken}
            return " and ".join(sorted(kinds))
        if row.is_done and row.until is not None:
            return f"cut after epoch {row.until}"
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
        """One figure of every run that has it, such as ``values("last", "val", "accuracy")``."""
        found = [run.metrics[epoch][part][figure] for run in self.runs]
        return [value for value in found if value is not None]

    def mean(self, epoch: Epoch, part: str, figure: str) -> float | None:
        """The mean of `values`; none without any."""
        return mean(self.values(epoch, part, figure))

    def ends(self, column: str) -> list[float]:
        """A column of the history at the last epoch, of every run that has epochs."""
        return [run.history[-1][column] for run in self.runs if run.history]

    def epochs(self, epoch: Epoch) -> list[int]:
        """Which epoch the best or the last one was, of every run that has epochs."""
        return [number for run in self.runs if (number := int(run.metrics[epoch]["epoch"]))]

    def standard_error(self, epoch: Epoch, part: str = "val") -> float | None:
        """Of the mean accuracy; it covers the images, which are the same for all seeds.

        Not 0 where all answers are right. None for folds, which answered different ones.
        """
        accuracy = self.mean(epoch, part, "accuracy")
        if accuracy is None or self.is_folded:
            return None
        return error_of([of_accuracy(accuracy, self.runs[0].metrics[epoch][part]["total"])])

    @property
    def seeds(self) -> Seeds:
        """How much a seed moves it, as the statistics take it."""
        return seeds_of(self.row, self.spread)

    @property
    def is_folded(self) -> bool:
        """Whether its trainings are those of cross-validation."""
        return is_folded(self.row)

    @property
    def trainings(self) -> str:
        """How often it was trained, in words: ``3 seeds``, ``5 folds``, ``2 × 5 folds``."""
        folds = self.row.specs[0].data.folds
        if folds is None:
            return plural(len(self.runs), "seed")
        if len(self.runs) % folds:
            return f"{len(self.runs)} of {len(self.row.specs)} trainings over {folds} folds"
        repeats = len(self.runs) // folds
        return f"{folds} folds" if repeats == 1 else f"{repeats} × {folds} folds"

    def name_of(self, run: Run) -> str:
        """A run of this row by what tells it from the others: its seed, or its fold."""
        data = run.spec.data
        if data.folds is None:
            return f"{self.label}, seed {run.spec.seed}" if len(self.row.specs) > 1 else self.label
        dealt = f", seed {run.spec.seed}" if len(self.row.specs) > data.folds else ""
        return f"{self.label}{dealt}, fold {data.fold}"

    @property
    def family(self) -> str:
        """Of its model."""
        return self.row.specs[0].model.family

    @property
    def is_net(self) -> bool:
        """Whether it is trained, in epochs, and not fitted in one go."""
        return all(isinstance(spec.model.params, ModelFamily) for spec in self.row.specs)

    @property
    def parameters(self) -> int | None:
        for run in self.row.runs:
            # Of one that is fitted in one go they are not known before it is.
            return int(run.layers["parameters"]["total"]) or None
        return None

    @property
    def seconds(self) -> float | None:
        """Of one training, in the mean."""
        return mean([run.metrics["seconds"] for run in self.runs])


@dataclass(frozen=True)
class StageFacts:
    """A stage with what is known about it.

    Attributes:
        stage: Of the study.
        rows: In the order of its points.
        cut: What the profile changed; none while the stage waits for another.
    """

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
    def has_nets(self) -> bool:
        return any(row.is_net for row in self.rows)

    @property
    def is_folded(self) -> bool:
        """Whether its trainings are those of cross-validation."""
        return self.stage.spec.folds is not None

    @property
    def covers_seeds(self) -> bool:
        """Whether intervals and ties cover the seeds of every row that has been trained."""
        rows = [row for row in self.rows if row.runs]
        return bool(rows) and all(row.seeds is not None for row in rows)

    @property
    def ranked(self) -> list[RowFacts]:
        """Rows that compete, best first."""
        rows = [row for row in self.rows if row.rank is not None]
        return sorted(rows, key=lambda row: row.rank or 0)

    @property
    def may_be_best(self) -> list[RowFacts]:
        """Rows that cannot be told from the best, best first; empty if nothing was compared."""
        return [row for row in self.ranked if row.standing and row.standing.may_be_best]

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
    spreads: Mapping[int, SeedSpread | None],
) -> StageFacts:
    """Everything about a stage; reads the predictions of the rows that compete."""
    ranked = stage.ranked(epoch)
    ranks = {id(row): number for number, row in enumerate(ranked, start=1)}
    stood = standing(stage, epoch, answers, spreads)
    rows = []
    for row, label in zip(stage.rows, short_labels(stage.rows), strict=True):
        rows.append(
            RowFacts(
                row,
                label,
                find(row),
                rank=ranks.get(id(row)),
                standing=stood[id(row)].standing if id(row) in stood else None,
                interval=stood[id(row)].interval if id(row) in stood else None,
                committed=committed.get(row.label),
                spread=spreads.get(id(row)),
            )
        )
    return StageFacts(stage, rows, cut)


def longest(ranked: Sequence[RowFacts]) -> list[RowFacts]:
    """Those that ended well and were trained as far as the first of them.

    What halving cut before stands below these for its length alone, and is compared with none.

    Args:
        ranked: Best first, as `StageFacts.ranked` has them.
    """
    good = [row for row in ranked if row.runs and not row.broken]
    return [row for row in good if row.row.until == good[0].row.until]


def mean(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return fmean(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Between seeds, with n - 1; none for a single one."""
    return stdev(values) if len(values) > 1 else None
