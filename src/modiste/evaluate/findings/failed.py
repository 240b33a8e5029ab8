"""M006: the process that computed the run died, again and again."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts


def _look(run: RunFacts) -> str:
    return run.reason or "no reason is known" if run.status == "failed" else ""


FINDINGS.add(
    "M006",
    Check(
        "M006",
        "failed",
        "The process that computed the run died several times with no checkpoint between; the run "
        "was given up and ranks below every finite one.",
        "It says nothing of its settings: the machine ended it, and a table without it is not "
        "the table that was planned.",
        "Look at the reason and at the machine's memory; move the run folder away to try again.",
        _look,
    ),
)
