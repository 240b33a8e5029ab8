"""Which weights of a study stay on the disk, and which of those that went are trained again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modiste.runs import files
from modiste.runs.run import Run
from modiste.search.row import Row
from modiste.search.study import Stage, Study

# Why a study has dropped weights begins so; where results were collected, another reason stands.
_OURS = "dropped: "
DROPPED = f"{_OURS}not among the best of its stage"
GONE = f"{DROPPED}, and training it again did not give them back"


def needed(study: Study, stages: Sequence[Stage]) -> set[str]:
    """Fingerprints of the runs whose weights are asked for, or may be yet.

    Of a decided stage those are the best; of one that a budget closed also the points that were
    not finished, which may win when it goes on. As long as a stage waits or searches, its points
    may turn out to be any of those that it takes over, directly or through others.

    Args:
        study: Whose.
        stages: All of them, as they stand.
    """
    by_name = {stage.spec.name: stage for stage in stages}
    rows: list[Row] = []
    for stage in stages:
        num_kept = stage.spec.keep_weights
        if not stage.is_decided:
            rows += stage.rows
            is_open = bool(stage.waits_for) or stage.spec.search is not None
            if is_open and num_kept and not stage.skipped:
                rows += [row for origin in _origins(study, stage, by_name) for row in origin.rows]
            continue
        rows += stage.ranked(study.spec.rank_epoch)[:num_kept]
        if stage.is_closed and num_kept:
            rows += [row for row in stage.tops if not row.is_done]
    return {name for row in rows for name in row.fingerprints}


def _origins(study: Study, stage: Stage, by_name: Mapping[str, Stage]) -> list[Stage]:
    """The stages that one needs, directly or through others."""
    found: dict[str, Stage] = {}
    queue = list(study.spec.needs(stage.spec))
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = by_name[name]
            queue += study.spec.needs(found[name].spec)
    return list(found.values())


def missing(study: Study, stage: Stage) -> tuple[Row, list[Run]] | None:
    """The winner of a final stage, and its runs whose weights are to be had by training again.

    A point may be final that an earlier call, an earlier version or `collect` saw no use for. What
    was collected with its model needs no weights.

    Returns:
        None where there are no such runs.
    """
    best = study.winner(stage) if stage.spec.is_final and not stage.is_closed else None
    if best is None or best.until is not None:
        return None
    is_saved = _is_saved(study, stage, best.runs[0])
    runs = [
        run
        for run in best.runs
        if (why := run.why_no_weights) and why != GONE and (why.startswith(_OURS) or not is_saved)
    ]
    return (best, runs) if runs else None


def _is_saved(study: Study, stage: Stage, run: Run) -> bool:
    config = study.folder / "models" / stage.spec.name / "config.json"
    return config.is_file() and files.read_json(config).get("fingerprint") == run.fingerprint


def no_model(study: Study, stage: Stage) -> str:
    """Why a final stage that is decided ends without a model, as a clause; empty if it does not.

    Of results that were collected it says what it says of the study.
    """
    best = study.winner(stage) if stage.spec.is_final else None
    if best is None:
        return ""
    if best.until is not None:
        return "none of its points was trained to the end. Run again, it goes on from there"
    why = best.runs[0].why_no_weights
    if why == GONE:
        return (
            "the weights of its winner were dropped, and training it again did not give them back"
        )
    if why.startswith(_OURS):
        return "the weights of its winner were dropped. Without --budget it is trained again"
    return ""
