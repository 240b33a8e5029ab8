"""A study as a DataFrame, and as a table in a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from modiste.interval import wilson
from modiste.runs.run import Run
from modiste.search.row import Row
from modiste.tables import number, to_frame, to_html

if TYPE_CHECKING:
    import pandas as pd

    from modiste.search.study import Stage, Study

FACTS = (
    *("stage", "row", "seed", "fingerprint", "status", "epochs", "seconds", "parameters"),
    *(f"val_{figure}_{epoch}" for epoch in ("best", "last") for figure in ("accuracy", "loss")),
)


def frame(study: Study) -> pd.DataFrame:
    """Every finished run as a row; see `Study.to_frame`.

    A setting that is called like a fact, as ``seed`` is, stands under ``set.seed``: ``seed`` is the
    run's own, which another repeat of the point has not.
    """
    rows = [
        {**_facts(stage, row, run), **_set(row)}
        for stage in study.stages()
        for row in stage.rows
        for run in row.runs
    ]
    return to_frame(rows, FACTS)


def html(study: Study) -> str:
    """Its stages, each with the best row so far."""
    epoch = study.spec.rank_epoch
    rows = []
    for stage in study.stages():
        ranked = stage.ranked(epoch)
        accuracy = ranked[0].mean(epoch, "val", "accuracy") if ranked else math.nan
        interval = "–"
        if not math.isnan(accuracy):
            total = ranked[0].runs[0].metrics[epoch]["val"]["total"]
            low, high = wilson(round(accuracy * total), total)
            interval = f"{number(low)} to {number(high)}"
        done = sum(len(row.runs) for row in stage.chosen)
        wanted = sum(len(row.specs) for row in stage.chosen)
        waits = f"waits for {', '.join(stage.waits_for)}" if stage.waits_for else "–"
        best = ranked[0].label if ranked else waits
        rows.append((stage.spec.name, best, f"{done} of {wanted}", number(accuracy), interval))
    head = (
        *("stage", "best so far", "runs"),
        *(f"validation accuracy, {epoch} epoch", "95 % interval"),
    )
    note = f"Mean over seeds; the interval covers the choice of images alone. {study.folder}"
    return to_html(f"{study.name}, profile {study.profile}", head, rows, note, text_columns=2)


def _set(row: Row) -> dict[str, Any]:
    return {f"set.{key}" if key in FACTS else key: value for key, value in row.settings.items()}


def _facts(stage: Stage, row: Row, run: Run) -> dict[str, Any]:
    metrics = run.metrics
    return {
        "stage": stage.spec.name,
        "row": row.label,
        "seed": run.spec.seed,
        "fingerprint": run.fingerprint,
        "status": metrics["status"],
        "epochs": metrics["epochs"],
        "seconds": metrics["seconds"],
        "parameters": run.layers["parameters"]["total"],
        **{
            f"val_{figure}_{epoch}": metrics[epoch]["val"][figure]
            for epoch in ("best", "last")
            for figure in ("accuracy", "loss")
            if epoch in metrics
        },
    }
