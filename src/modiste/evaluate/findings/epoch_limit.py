"""M003: the limit ended the run, not its own stopping rule."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts


def _look(run: RunFacts) -> str:
    if run.status != "finished" or len(run.history) < run.epoch_limit:
        return ""
    # A rule that fires in the very last epoch ended the run all the same, and so did a plan.
    if "early stopping" in run.reason or run.ends_at_limit:
        return ""
    return f"ended by the limit of {run.epoch_limit} epochs"


FINDINGS.add(
    "M003",
    Check(
        "M003",
        "hit the epoch limit",
        "The run was ended by its limit of epochs before early stopping could end it. Where a "
        "schedule comes to its end there, such as one_cycle, the limit is the plan.",
        "How long a run was allowed to train is then part of its figures: a setting that "
        "learns more slowly looks worse than it is.",
        "Raise train.epochs; a profile that cuts epochs makes every run end so.",
        _look,
    ),
)
