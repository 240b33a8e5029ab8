"""Remarks about a run: what a finding is, and where the checks that make them are found.

Each check is one file in `modiste.evaluate.findings`. A finding is no error: the run is a result
like any other, and somebody who reads it should know this about it. Checks that look at all rows of
a table together are of a second kind, in `modiste.evaluate.study_finding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modiste.evaluate.miscalibration import Calibration
from modiste.runs.run import Run
from modiste.spec.registry import Registry

History = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class RunFacts:
    """What the checks look at.

    Attributes:
        status, reason: How the run ended, as its `metrics.json` says.
        history: One mapping for each epoch; keys as in `modiste.runs.run.COLUMNS`.
        epoch_limit: The epochs it was allowed.
        calibration: How sure it is of its answers beside how often they are right; none of a
            model without probabilities, or where its answers were not kept.
        batch_norm_lag: Share of batch norm's moving figures that is still what they began with,
            after the last update; 0 without batch norm.
        ends_at_limit: Its learning rate was planned to come to its end with the last epoch, so that
            the limit is no cut.
    """

    status: str
    reason: str
    history: History
    epoch_limit: int
    calibration: Calibration | None = None
    batch_norm_lag: float = 0.0
    ends_at_limit: bool = False

    def column(self, name: str) -> list[float]:
        """One figure of every epoch, in order."""
        return [row[name] for row in self.history]

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, counted from 1; 0 without any epoch."""
        losses = self.column("val_loss")
        return losses.index(min(losses)) + 1 if losses else 0


@dataclass(frozen=True)
class Finding:
    """A coded remark.

    Attributes:
        code: Never changes its meaning: ``M001``.
        title: A few words.
        text: What was seen in this run, with its numbers.
        advice: What one could do about it.
    """

    code: str
    title: str
    text: str
    advice: str


@dataclass(frozen=True)
class Check:
    """One thing to look for in a run.

    Attributes:
        code, title, advice: Of the findings it makes.
        about: When it fires; for the docs.
        why: Why that matters; for the docs.
        look: What was seen, as a sentence with its numbers; empty if there is nothing to remark.
    """

    code: str
    title: str
    about: str
    why: str
    advice: str
    look: Callable[[RunFacts], str]


FINDINGS: Registry[Check] = Registry("finding", "modiste.evaluate.findings")


def facts(run: Run, found: Calibration | None = None) -> RunFacts:
    """What the checks look at, of a run folder.

    Args:
        run: The folder.
        found: Its calibration, from whoever has its answers.
    """
    return RunFacts(
        str(run.metrics["status"]),
        str(run.metrics.get("reason", "")),
        run.history,
        run.spec.train.epochs,
        found,
        _batch_norm_lag(run),
        run.spec.train.schedule.ends_at_limit,
    )


def _batch_norm_lag(run: Run) -> float:
    if not any(layer["name"].startswith("batch_norm") for layer in run.layers.get("layers", ())):
        return 0.0
    momentum = float(getattr(run.spec.model.params, "batch_norm_momentum", 0.0))
    return momentum ** int(run.metrics.get("updates", 0)) if run.history else 0.0


def findings(run: RunFacts) -> list[Finding]:
    """Everything that the checks remark about a run, in the order of their codes."""
    answer = []
    for code in FINDINGS.names():
        check = FINDINGS.get(code)
        if text := check.look(run):
            answer.append(Finding(check.code, check.title, text, check.advice))
    return answer
