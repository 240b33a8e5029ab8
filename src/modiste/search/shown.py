"""A study as a DataFrame, and as a table in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modiste.runs.run import EPOCHS, Run
from modiste.search.row import Row
from modiste.search.standing import SeedSpread, is_folded, own_interval, seed_spreads
from modiste.tables import number, to_frame, to_html

if TYPE_CHECKING:
    import pandas as pd

    from modiste.search.study import Stage, Study

FACTS = (
    *("stage", "row", "seed", "fold"),
    *("fingerprint", "status", "epochs", "seconds", "parameters"),
    *(f"val_{figure}_{epoch}" for epoch in EPOCHS for figure in ("accuracy", "loss")),
    *(f"held_accuracy_{epoch}" for epoch in EPOCHS),
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
    epoch, stages = study.spec.rank_epoch, study.stages()
    spreads = seed_spreads(stages, epoch, studies=[study])
    rows = []
    for stage in stages:
        ranked = stage.ranked(epoch)
        done = sum(len(row.runs) for row in stage.chosen)
        wanted = sum(len(row.specs) for row in stage.chosen)
        waits = f"waits for {', '.join(stage.waits_for)}" if stage.waits_for else "–"
        figures = ("–", "–")
        if ranked:
            accuracy = ranked[0].mean(epoch, "val", "accuracy")
            spread = spreads.of(stage.spec.name, ranked[0])
            figures = (number(accuracy), _interval(study, ranked[0], spread))
        best = ranked[0].label if ranked else waits
        rows.append((stage.spec.name, best, f"{done} of {wanted}", *figures))
    head = (
        *("stage", "best so far", "runs"),
        *(f"validation accuracy, {epoch} epoch", "95 % interval"),
    )
    note = (
        "Mean over seeds or folds; the interval covers the choice of images, and that of seeds "
        f"where comparable points were repeated; folds have none of that kind. {study.folder}"
    )
    return to_html(f"{study.name}, profile {study.profile}", head, rows, note, text_columns=2)


def _interval(study: Study, row: Row, spread: SeedSpread | None) -> str:
    """As the leaderboard has it; a dash where there is none, or the answers were not kept."""
    if not all(study.has_answers(run) for run in row.runs):
        return "–"
    found = own_interval(row, study.spec.rank_epoch, study.answers, spread)
    return f"{number(found.low)} to {number(found.high)}" if found else "–"


def _set(row: Row) -> dict[str, Any]:
    return {f"set.{key}" if key in FACTS else key: value for key, value in row.settings.items()}


def _facts(stage: Stage, row: Row, run: Run) -> dict[str, Any]:
    metrics = run.metrics
    return {
        "stage": stage.spec.name,
        "row": row.label,
        "seed": run.spec.seed,
        "fold": run.spec.data.fold if is_folded(row) else None,
        "fingerprint": run.fingerprint,
        "status": metrics["status"],
        "epochs": metrics["epochs"],
        "seconds": metrics["seconds"],
        "parameters": run.layers["parameters"]["total"],
        **{
            f"val_{figure}_{epoch}": metrics[epoch]["val"][figure]
            for epoch in EPOCHS
            for figure in ("accuracy", "loss")
            if epoch in metrics
        },
        **{
            f"held_accuracy_{epoch}": metrics[epoch]["held"]["accuracy"]
            for epoch in EPOCHS
            if "held" in metrics.get(epoch, {})
        },
    }
