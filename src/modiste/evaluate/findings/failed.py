"""M006: the run was given up: its process died again and again, or there is no such model."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts


def _look(run: RunFacts) -> str:
    return run.reason or "no reason is known" if run.status == "failed" else ""


FINDINGS.add(
    "M006",
    Check(
        "M006",
        "failed",
        "The run was given up, and ranks below every finite one: the process that computed it died "
        "several times with no checkpoint between, or a search came to settings that make no model "
        "for these images.",
        "A table without it is not the table that was planned. Where a process died, that says "
        "nothing of the settings: the machine ended it.",
        "Look at the reason. Where a process died, look at the machine's memory, and move the run "
        "folder away to try again; where there is no such model, keep the search away from the "
        "combination with `when`.",
        _look,
    ),
)
