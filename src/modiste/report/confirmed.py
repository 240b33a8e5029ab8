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
from modiste.report.numbers import count, plural, points, proportion, size
from modiste.report.prose import stage_ref
from modiste.report.ties import ends_of
from modiste.spec.run import DataSpec


def searched(context: Context, stage: StageFacts) -> dict[str, float]:
    """For a stage that confirms another: what its points had reached there, by label.

    Only where the images were the same: folds are trained on fewer, and validated on others.
    """
    found = {
        row.row.label: row.mean(context.epoch, "val", "accuracy")
        for row, other in _pairs(context, stage)
        # A beginning is no figure to confirm.
        if row.row.until is None and _images(row) == _images(other)
    }
    return {label: accuracy for label, accuracy in found.items() if accuracy is not None}


def _pairs(context: Context, stage: StageFacts) -> list[tuple[RowFacts, RowFacts]]:
    """Each point that a stage confirms, where it was chosen and here."""
    origin = context.study.spec.confirmed_by(stage.stage.spec)
    here = {row.row.label: row for row in stage.rows}
    rows = [] if origin is None else context.stage(origin.name).rows
    return [(row, here[row.row.label]) for row in rows if row.row.label in here]


def _images(row: RowFacts) -> set[DataSpec]:
    """What its trainings say of the images that they see and answer."""
    return {spec.data for spec in row.row.specs}


def confirmed(context: Context, stage: StageFacts) -> list[Inline]:
    """What fresh seeds made of the figures that a search chose by, and of its winner."""
    before = searched(context, stage)
    rows = [
        row
        for row in stage.ranked
        if row.runs and not row.broken and row.row.is_done and row.row.label in before
    ]
    if not rows:
        return _not_compared(context, stage)
    found, num_points = _curse(context, rows, before)
    origin = context.study.spec.confirmed_by(stage.stage.spec)
    assert origin is not None
    part = ""
    if not stage.stage.is_done:
        part = f" of the {plural(len(rows), 'point')} finished so far"
    elif any(row.broken for row in stage.rows):
        part = f" of the {plural(len(rows), 'point')} that ended well"
    words: list[Inline] = [
        "The points were chosen for their figures in ",
        stage_ref(context, origin.name),
        (
            f". In the mean{part} these are {proportion(found.one)} in the search and "
            f"{proportion(found.two)} on fresh seeds: search less confirmed is "
            f"{points(found.difference)} points{ends_of(found)}, paired over "
            f"{plural(num_points, 'point')}{_called(found)}. The images are the same, so this is "
            "the luck of the seeds alone; that of the images is in both figures. "
        ),
    ]
    chosen = overtuning(context, stage)
    if chosen is None:
        return [*words, *_broken_first(context, stage)]
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


def _not_compared(context: Context, stage: StageFacts) -> list[Inline]:
    """Why figures of the search say nothing beside those here; empty if nothing is there yet."""
    pairs = [(row, other) for row, other in _pairs(context, stage) if row.runs and other.runs]
    if not any(_images(row) != _images(other) for row, other in pairs):
        return []
    origin = context.study.spec.confirmed_by(stage.stage.spec)
    assert origin is not None
    return [
        "The points were chosen for their figures in ",
        stage_ref(context, origin.name),
        (
            ". Trainings there and here did not see and answer the same images, so the two are "
            "not set against each other: they tell neither a winner’s curse nor overtuning."
        ),
    ]


def _called(found: Contrast) -> str:
    """What a difference between search and fresh seeds is, as far as its interval shows it."""
    if found.low is None or found.high is None:
        return ", and whether that is the winner’s curse or chance is not known"
    if found.low > 0:
        return ", the winner’s curse"
    if found.high < 0:
        return ", no winner’s curse"
    return ", no more than chance explains, so no winner’s curse is shown"


def _broken_first(context: Context, stage: StageFacts) -> list[Inline]:
    """Whether the search's first row came to no good end on fresh seeds; empty if it did."""
    first = _first(context, stage)
    if first is None or not first.broken or not stage.stage.is_done:
        return []
    num = len(first.row.specs)
    did = "its run" if num == 1 else f"{count(len(first.broken))} of its {plural(num, 'run')}"
    return [
        (
            f"The one that stood first in the search, {first.label}, came to no good end here: "
            f"{did} broke off ({first.status}). So whether the search was overtuned is not known."
        )
    ]


def _first(context: Context, stage: StageFacts) -> RowFacts | None:
    """The row that the search put first; none where what it had there is not known.

    Points come as the search handed them on, its first one first.
    """
    before = searched(context, stage)
    return next((row for row in stage.rows[:1] if row.row.label in before), None)


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
    """What became of the row that a search put first.

    None before all confirming runs are done, and where that row itself cannot be compared, such as
    when it diverged on a fresh seed: another one is not what the search chose.
    """
    before = searched(context, stage)
    ranked = [row for row in stage.ranked if row.standing is not None and row.row.label in before]
    first = _first(context, stage)
    if first is None or first.standing is None or not stage.stage.is_done:
        return None
    return Chosen(
        first.label,
        before[first.row.label],
        first.mean(context.epoch, "val", "accuracy") or 0.0,
        ranked[0].label,
        first.standing.difference,
        may_be_best=first.standing.may_be_best,
    )
