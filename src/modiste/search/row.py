"""A point of a stage with the runs it has so far, and its place among others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from modiste.runs.run import Epoch, Run
from modiste.spec.run import RunSpec
from modiste.spec.settings import Settings


@dataclass(frozen=True)
class Row:
    """A point of a stage with the runs it has so far.

    Attributes:
        label, settings: Of the point.
        specs, fingerprints: One for each seed.
        is_chosen: Whether this profile runs it.
        runs: Finished ones, in the order of the seeds.
        until: Epochs after which its runs are cut; none if they go to their end.
    """

    label: str
    settings: Settings
    specs: tuple[RunSpec, ...]
    fingerprints: tuple[str, ...]
    is_chosen: bool
    runs: tuple[Run, ...]
    until: int | None = None

    @cached_property
    def is_done(self) -> bool:
        return len(self.runs) == len(self.specs)

    def mean(self, epoch: Epoch, part: str, figure: str) -> float:
        """Mean over the seeds, such as ``mean("last", "val", "accuracy")``.

        NaN if any run is missing or did not finish.
        """
        if not self.is_done or any(run.metrics["status"] != "finished" for run in self.runs):
            return float("nan")
        return fmean(run.metrics[epoch][part][figure] for run in self.runs)


def rank_key(row: Row, epoch: Epoch, position: int) -> tuple[float, int, int]:
    """What finished rows are sorted by, best first.

    More right answers among the validation images at that epoch, then fewer parameters, then the
    earlier point. Rows with a run that broke come last. Means of accuracies would not do: of equal
    counts one may be larger by its last bit.
    """
    share = row.mean(epoch, "val", "correct") / row.mean(epoch, "val", "total")
    parameters = row.runs[0].layers["parameters"]["total"]
    return (float("inf") if math.isnan(share) else -share, parameters, position)
