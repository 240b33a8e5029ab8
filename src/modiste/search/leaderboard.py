"""The leaderboard of a study: every row with its figures, its doubt, and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from modiste.evaluate.crossval import cross_validated
from modiste.runs.run import Epoch, Run
from modiste.search import latency
from modiste.search.goals import front_of
from modiste.search.held import held_share, num_held
from modiste.search.row import Row
from modiste.search.standing import Stood, is_folded, seed_spreads, spread_for, standing
from modiste.search.table import Table
from modiste.spec.settings import Settings

if TYPE_CHECKING:
    from modiste.search.study import Stage, Study

# Columns that there are always, and `on_front` of several goals; what the points set comes after.
COLUMNS = (
    *("stage", "rank", "may_be_best", "on_front", "point", "status", "seeds", "trainings"),
    *("val_accuracy", "deviation", "low", "high", "held_accuracy", "held_low", "held_high"),
    *("val_loss", "epochs", "parameters", "flops", "latency", "seconds", "fingerprint"),
)
# The line of a single run has not these.
OF_SEVERAL = (
    *("on_front", "seeds", "trainings", "deviation"),
    *("low", "high", "held_low", "held_high"),
)
EACH_COLUMNS = (
    *("stage", "rank", "seed", "fold"),
    *(name for name in COLUMNS[3:] if name not in OF_SEVERAL),
)


def leaderboard(study: Study, stage: str | None = None, *, each_seed: bool = False) -> Table:
    """Finished rows, best first within each stage; then those that are not finished.

    Args:
        study: The folder.
        stage: One stage; all of them, if not given.
        each_seed: A line for each run, not for each row.

    Returns:
        A line for each row with ``stage``, ``rank``, ``may_be_best`` (with 95 % confidence the
        truly best row is among those marked; what halving cut before the first ranks below it for
        its length, and is compared with none), ``on_front`` (only where a search has several goals:
        trained to the end, and no other such row beats it in all of them), ``point``, ``status``,
        ``seeds``, ``trainings`` (of cross-validation, in place of seeds), ``val_accuracy`` (mean
        over these, at the epoch that ranks), ``deviation`` (between seeds), ``low`` and ``high``
        (95 % interval, see decision 0012), ``held_accuracy`` (mean over the folds that were held
        out) with ``held_low`` and ``held_high`` (95 %, corrected for the images that trainings
        share), ``val_loss``,
        ``epochs``, ``parameters``, ``flops``, ``latency`` (seconds for one image, where a search
        measured it), ``seconds``, ``fingerprint`` (of the first run), and the settings of the
        point, each under its full key. A line for each run has its ``seed`` and ``fold``, and
        nothing that is said of several. What there is not is None.

    Raises:
        SpecError: If the study has no stage of that name.
        StoreError: If a run cannot be read, or is not what was written.
    """
    if stage is not None:
        study.spec.stage(stage)
    stages = study.stages()
    spreads = seed_spreads(stages, study.spec.rank_epoch, studies=[study])
    table, has_front = Table(), False
    for each in stages:
        if stage in (None, each.spec.name):
            seeds = spread_for(each, spreads)
            stood = standing(each, study.spec.rank_epoch, study.answers, seeds)
            best = front_of(study, each)
            has_front |= best is not None
            table += _lines(study, each, stood, best, each_seed=each_seed)
    keys = dict.fromkeys([*(EACH_COLUMNS if each_seed else COLUMNS), *table.columns])
    return table.only([key for key in keys if key != "on_front" or has_front])


def _lines(
    study: Study,
    stage: Stage,
    stood: dict[int, Stood],
    best: Sequence[Row] | None,
    *,
    each_seed: bool,
) -> list[dict[str, Any]]:
    ranked = stage.ranked(study.spec.rank_epoch)
    others = [row for row in stage.rows if row.is_chosen and all(row is not r for r in ranked)]
    times = latency.read(study.folder)
    lines = []
    for number, row in enumerate([*ranked, *others], start=1):
        rank = number if number <= len(ranked) else None
        head = {"stage": stage.spec.name, "rank": rank}
        if each_seed:
            lines += [
                {**head, **_run(study, row, place, times), **_plain(row.settings)}
                for place in range(len(row.specs))
            ]
            continue
        found = stood.get(id(row))
        lines.append(
            {
                **head,
                "may_be_best": bool(found and found.standing and found.standing.may_be_best),
                "on_front": None if best is None else any(row is other for other in best),
                **_row(study, row, found, times),
                **_plain(row.settings),
            }
        )
    return lines


def _row(study: Study, row: Row, stood: Stood | None, times: dict[str, float]) -> dict[str, Any]:
    epoch = study.spec.rank_epoch
    good = [run for run in row.runs if run.metrics["status"] == "finished"]
    accuracies = [run.metrics[epoch]["val"]["accuracy"] for run in good]
    losses = [run.metrics[epoch]["val"]["loss"] for run in good]
    # Folds are no seeds: what differs between their trainings is the images.
    has_folds = is_folded(row)
    return {
        "point": row.label,
        "status": status(row),
        "seeds": None if has_folds else len(good),
        "trainings": len(good) if has_folds else None,
        "val_accuracy": fmean(accuracies) if accuracies else None,
        "deviation": stdev(accuracies) if len(accuracies) > 1 and not has_folds else None,
        "low": stood.interval.low if stood and stood.interval else None,
        "high": stood.interval.high if stood and stood.interval else None,
        **_held(row, good, epoch),
        "val_loss": fmean(losses) if losses and None not in losses else None,
        "epochs": fmean(run.metrics["epochs"] for run in good) if good else None,
        **_model(row.runs, times),
        "seconds": fmean(run.metrics["seconds"] for run in good) if good else None,
        "fingerprint": row.fingerprints[0],
    }


def _run(study: Study, row: Row, place: int, times: dict[str, float]) -> dict[str, Any]:
    run = next((r for r in row.runs if r.fingerprint == row.fingerprints[place]), None)
    part = Row(
        row.label,
        row.settings,
        (row.specs[place],),
        (row.fingerprints[place],),
        row.is_chosen,
        (run,) if run else (),
        row.until,
    )
    spec = row.specs[place]
    fold = spec.data.fold if is_folded(row) else None
    line = {"seed": spec.seed, "fold": fold, **_row(study, part, None, times)}
    return {key: value for key, value in line.items() if key not in OF_SEVERAL}


def _held(row: Row, good: Sequence[Run], epoch: Epoch) -> dict[str, float | None]:
    """Mean accuracy on the folds that were held out; its interval once all of them were."""
    held = [run.metrics[epoch]["held"] for run in good] if is_folded(row) else []
    accuracies = [float(each["accuracy"]) for each in held]
    low = high = None
    if len(held) == len(row.specs) > 1:
        low, high = cross_validated(accuracies, held_share(good), num_held(good))
    return {
        "held_accuracy": fmean(accuracies) if accuracies else None,
        "held_low": low,
        "held_high": high,
    }


def _model(runs: Sequence[Run], times: dict[str, float]) -> dict[str, Any]:
    if not runs:
        return {"parameters": None, "flops": None, "latency": None}
    run = runs[0]
    return {
        # Of one that is fitted in one go they are not known before it is.
        "parameters": run.layers["parameters"]["total"] or None,
        "flops": run.layers["flops_forward"],
        "latency": times.get(latency.net_of(run)) if times else None,
    }


def status(row: Row) -> str:
    """How a row stands, in a few words: ``finished``, or what it lacks."""
    broken = {str(run.metrics["status"]) for run in row.runs} - {"finished"}
    if broken:
        return " and ".join(sorted(broken)).replace("_", " ")
    if not row.is_done:
        what = "trainings" if is_folded(row) else "seeds"
        done = f"{len(row.runs)} of {len(row.specs)} {what} finished"
        return done if row.runs else "not finished"
    return "finished" if row.until is None else f"cut after epoch {row.until}"


def _plain(settings: Settings) -> dict[str, Any]:
    """Settings under keys that no column of ours has."""
    return {key if "." in key else f"set.{key}": value for key, value in settings.items()}
