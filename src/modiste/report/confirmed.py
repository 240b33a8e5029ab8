"""What fresh seeds made of the figures that a search chose by, and of its choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from modiste.evaluate.contrast import Contrast
from modiste.evaluate.curse import winners_curse
from modiste.evaluate.study_finding import Chosen
from modiste.report.blocks import Inline
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import plural, points, proportion, size
from modiste.report.prose import stage_ref
from modiste.report.ties import ends_of


def searched(context: Context, stage: StageFacts) -> dict[str, float]:
    """For a stage that confirms another: what its points had reached there, by label."""
    origin = context.study.spec.confirmed_by(stage.stage.spec)
    if origin is None:
        return {}
    found = {
        row.row.label: row.mean(context.epoch, "val", "accuracy")
        for row in context.stage(origin.name).rows
        if row.row.until is None  # a beginning is no figure to confirm
    }
    return {label: accuracy for label, accuracy in found.items() if accuracy is not None}


def confirmed(context: Context, stage: StageFacts) -> list[Inline]:
    """What fresh seeds made of the figures that a search chose by, and of its winner."""
    before = searched(context, stage)
    rows = [
        row
        for row in stage.ranked
        if row.runs and not row.broken and row.row.is_done and row.row.label in before
    ]
    if not rows:
        return []
    found, num_points = _curse(context, rows, before)
    origin = context.study.spec.confirmed_by(stage.stage.spec)
    assert origin is not None
    name = "the winner’s curse" if found.difference > 0 else "no winner’s curse"
    part = "" if stage.stage.is_done else f" of the {plural(len(rows), 'point')} finished so far"
    words: list[Inline] = [
        "The points were chosen for their figures in ",
        stage_ref(context, origin.name),
        (
            f". In the mean{part} these are {proportion(found.one)} in the search and "
            f"{proportion(found.two)} on fresh seeds: search less confirmed is "
            f"{points(found.difference)} points{ends_of(found)}, paired over "
            f"{plural(num_points, 'point')}, {name}. The images are the same, so this is the luck "
            "of the seeds alone; that of the images is in both figures. "
        ),
    ]
    chosen = overtuning(context, stage)
    if chosen is None:
        return words
    place = next(n for n, row in enumerate(rows, start=1) if row.label == chosen.label)
    words.append(
        f"The one that stood first in the search, {chosen.label}, is number {place} of "
        f"{len(rows)} here ({proportion(chosen.confirmed)} against {proportion(chosen.searched)})"
    )
    if place == 1:
        return [*words, ": no overtuning."]
    beyond = (
        "no more than chance explains, so no overtuning is shown"
        if chosen.may_be_best
        else "more than chance explains: the search was overtuned (M013)"
    )
    return [*words, f", {size(chosen.behind)} points behind {chosen.best}, {beyond}."]


def _curse(
    context: Context, rows: Sequence[RowFacts], before: Mapping[str, float]
) -> tuple[Contrast, int]:
    """The winner's curse, and over how many points.

    Searches of several seeds may pick the same one: its fresh trainings are the same then, and
    count once.
    """
    picked: dict[tuple[str, ...], list[RowFacts]] = {}
    for row in rows:
        picked.setdefault(tuple(run.fingerprint for run in row.runs), []).append(row)
    firsts = [same[0] for same in picked.values()]
    found = winners_curse(
        [fmean(before[row.row.label] for row in same) for same in picked.values()],
        [row.values(context.epoch, "val", "accuracy") for row in firsts],
        [row.seeds for row in firsts],
    )
    return found, len(firsts)


def overtuning(context: Context, stage: StageFacts) -> Chosen | None:
    """What became of the row that a search put first; none before all confirming runs are done."""
    before = searched(context, stage)
    ranked = [row for row in stage.ranked if row.standing is not None and row.row.label in before]
    if not ranked or not stage.stage.is_done:
        return None
    # Points come as the search handed them on, its first one first.
    first = next(row for row in stage.rows if row in ranked)
    assert first.standing is not None
    return Chosen(
        first.label,
        before[first.row.label],
        first.mean(context.epoch, "val", "accuracy") or 0.0,
        ranked[0].label,
        first.standing.difference,
        may_be_best=first.standing.may_be_best,
    )
