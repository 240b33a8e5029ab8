"""M005: the run asked for more memory than there is."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts


def _look(run: RunFacts) -> str:
    return run.reason or "out of memory" if run.status == "out_of_memory" else ""


FINDINGS.add(
    "M005",
    Check(
        "M005",
        "ran out of memory",
        "The run was ended because memory ran out; it ranks below every finite one.",
        "It says nothing of its settings but that this machine is too small for them.",
        "A smaller batch or net, fewer runs at once, or a machine with more memory.",
        _look,
    ),
)
