"""Rows that may be the best one: which, the cheapest of them, and what would tell two apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from modiste.evaluate.best import needed
from modiste.evaluate.contrast import Contrast, contrast
from modiste.report.blocks import Inline, Ref, Strong
from modiste.report.context import Context
from modiste.report.effects import Effects
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import bound, count, listing, plural, points, proportion, rough, size
from modiste.search.standing import is_right
from modiste.spec.match import holds
from modiste.spec.published import PublishedStage


def tie(context: Context, stage: StageFacts, ranked: Sequence[RowFacts]) -> list[Inline]:
    """Which points may be the best one, and the cheapest of them."""
    group = stage.may_be_best
    compared = [row for row in ranked if row.standing is not None]
    if len(compared) < 2:
        return []
    covered = _covered(stage)
    alone = "" if stage.covers_seeds else ". Images only; the spread over seeds is not known"
    if len(group) == 1:
        others = "the other" if len(compared) == 2 else "every other"
        if alone:
            return [
                (
                    f"{others.capitalize()} training is behind by more than {covered} explain, at "
                    f"95\u00a0% confidence{alone}, so which point is the best is not."
                )
            ]
        return [
            (
                f"At 95\u00a0% confidence it is the best: {others} point is behind by more than "
                f"{covered} explain."
            )
        ]
    words = (
        f"At 95\u00a0% confidence any of {count(len(group))} of {count(len(compared))} points "
        f"may be the best one (≈), as far as {covered} can tell{alone}. "
    )
    return [
        words,
        *_cheapest(context, group),
        *_to_separate(context, group, others=len(compared) - 1),
    ]


def _covered(stage: StageFacts) -> str:
    """What keeps rows apart here; no seed moves what is fitted in one go."""
    return "seeds and images" if stage.covers_seeds and stage.has_nets else "images"


def _cheapest(context: Context, group: Sequence[RowFacts]) -> list[Inline]:
    """Which of the points that may be best has the fewest parameters, and at what price."""
    first = group[0]
    cheapest = min(group, key=lambda row: (row.parameters or 0, row.rank or 0))
    least = cheapest.parameters or 0
    if all(row.parameters == least for row in group):
        return [f"All of them have {plural(least, 'parameter')}." if least else ""]
    if cheapest is first:
        return ["It is the cheapest of them, too."]
    words: list[Inline] = [
        "The cheapest of them is ",
        Strong(cheapest.label),
        f", with {plural(least, 'parameter')}{fewer(cheapest, first)}",
    ]
    found = between(context, cheapest, first)
    if found is None:
        return [*words, "."]
    return [
        *words,
        (
            f"; against the first that is {points(found.difference)} points{ends_of(found)}. The "
            "first was picked for its figure, so it is rather flattered by this."
        ),
    ]


def fewer(one: RowFacts, two: RowFacts) -> str:
    """How many parameters less one row has than another, in words."""
    if not one.parameters or not two.parameters or one.parameters >= two.parameters:
        return ""
    return f", {100 * (1 - one.parameters / two.parameters):.0f}\u00a0% fewer"


def between(context: Context, one: RowFacts, two: RowFacts) -> Contrast | None:
    """Accuracy of one row less that of another; none if they cannot be paired image by image."""
    if not one.standing or not two.standing:
        return None
    found = [[context.study.answers(run, context.epoch) for run in row.runs] for row in (one, two)]
    ids = [answers.image_ids_N for each in found for answers in each]
    if not all(np.array_equal(ids[0], other) for other in ids[1:]):
        return None
    first, second = (is_right(each) for each in found)
    ours, theirs = ([row.values(context.epoch, "val", "accuracy")] for row in (one, two))
    by_image_N = first.mean(axis=0) - second.mean(axis=0)
    return contrast(ours, theirs, [one.seeds, two.seeds], by_image_N)


def ends_of(found: Contrast) -> str:
    """The 95 % interval of a difference, in brackets, and what it covers."""
    if found.low is None or found.high is None:
        return " (the spread over seeds is not known)"
    kinds = [("seeds", found.seed_error), ("images", found.image_error)]
    covered = listing([name for name, error in kinds if error is not None])
    alone = " only" if found.seed_error is None else ""
    return (
        f" (95\u00a0% interval {bound(found.low)} to {bound(found.high)}; it covers "
        f"{covered}{alone})"
    )


def _to_separate(context: Context, group: Sequence[RowFacts], others: int) -> list[Inline]:
    """What would tell the first and the next one apart, those with the same count aside.

    By the test that could not, which allows for all the `others` that the first stands beside.
    """
    first = group[0]
    level = [row for row in group[1:] if row.standing and row.standing.difference == 0]
    behind = [row for row in group[1:] if row.standing and row.standing.difference > 0]
    words = []
    if level:
        have = "has" if len(level) == 1 else "have"
        names = listing([row.label for row in level])
        words.append(f" {names} {have} exactly as many right answers as the first.")
    if not behind:
        return [*words]
    second = behind[0]
    assert second.standing is not None
    if first.seeds is None or second.seeds is None:
        return [*words]
    moved = [row.label for row in (first, second) if row.is_net]
    whose = moved[0] if len(moved) == 1 else "each"
    one, two = (
        is_right([context.study.answers(run, context.epoch) for run in row.runs])
        for row in (first, second)
    )
    wanted = needed(one, two, first.seeds, second.seeds, others=others)
    ways = []
    if wanted.seeds is not None:
        ways.append(f"{rough(wanted.seeds)} seeds of {whose}")
    if wanted.images is not None:
        ways.append(f"{rough(wanted.images)} validation images")
    allowed = ", all points allowed for" if others > 1 else ""
    gap = f" {second.label} follows {size(second.standing.difference)} points behind"
    if not ways and wanted.both is not None:
        num_seeds, num_images = wanted.both
        ways.append(f"{rough(num_seeds)} seeds of {whose} on {rough(num_images)} images")
    if not ways:
        return [*words, f"{gap}, too little for any study of this kind to confirm."]
    return [
        *words,
        (
            f"{gap}: were that the truth, it would take about {' or '.join(ways)} to show it "
            f"with a chance of 80\u00a0% (one-sided, at 5\u00a0%{allowed})."
        ),
    ]


def why_groups_differ(choices: Effects | None, stage: StageFacts) -> list[Inline]:
    """Why groups of points can be told apart where hardly any two points can."""
    compared = [row for row in stage.ranked if row.standing is not None]
    clear = [effect for effect in choices.effects if effect.leaves_out_0] if choices else []
    if not clear or len(stage.may_be_best) < len(compared) or len(compared) < 2:
        return []
    largest = max(clear, key=lambda effect: abs(effect.contrast.difference))
    single = max(row.standing.standard_error for row in compared if row.standing)
    found = largest.contrast
    by = "" if largest.is_clear else ", by an interval of its own,"
    error = math.hypot(found.seed_error or 0.0, found.image_error or 0.0)
    return [
        (
            f"That every point may be the best, and{by} {largest.key} {largest.value} is "
            f"{'better' if found.difference > 0 else 'worse'} than the others ("
        ),
        Ref(f"table-effects-{stage.name}"),
        (
            f") is no contradiction: the difference of two points has a standard error of up to "
            f"{size(single)} points and must stand out among {count(len(compared) - 1)} "
            f"comparisons; that of the mean over {plural(largest.num_points, 'point')} from the "
            f"mean over {count(largest.num_others)} has one of {size(error)}."
        ),
    ]


def _is_tie(found: Contrast) -> bool:
    """Whether neither is preferred: also where nobody knows how far a seed moves them."""
    if found.seed_error is None or found.low is None or found.high is None:
        return True
    return found.low * found.high <= 0


def _of_a_tie(found: Contrast, taken: RowFacts, over: RowFacts) -> list[Inline]:
    """What is recommended where neither is better."""
    if found.seed_error is None:
        return ["and as nobody knows how far a seed moves them, neither is preferred here."]
    cheaper, other = sorted((taken, over), key=lambda row: row.parameters or 0)
    is_its_own = "as it did" if cheaper is taken else "and not the one it took"
    return [
        "a tie, in which the cheaper one is recommended, ",
        f"{is_its_own}: ",
        Strong(cheaper.label),
        f", with {plural(cheaper.parameters or 0, 'parameter')}{fewer(cheaper, other)}.",
    ]


def _on_fresh_seeds(
    context: Context, stage: StageFacts, taken: RowFacts, over: RowFacts
) -> list[Inline]:
    """The same choice where one of the two was trained again; it decides, and nothing else does.

    A row that was ahead in a search may owe that to its seed.
    """
    again = [
        {other.name: fresh for other, fresh in context.on_fresh_seeds(stage, row)}
        for row in (taken, over)
    ]
    names = [name for name in again[0] if name in again[1]] or [*again[0], *again[1]]
    if not names:
        return []
    rows = [found.get(names[0], row) for found, row in zip(again, (taken, over), strict=True)]
    found = between(context, *rows)
    if found is None:
        return []
    told = [
        (row, fresh, proportion(fresh.mean(context.epoch, "val", "accuracy")))
        for row, fresh in zip((taken, over), rows, strict=True)
    ]
    figures = [f"{row.label} has {figure}" for row, fresh, figure in told if fresh is not row]
    figures[-1] += "".join(
        f" ({row.label} was not trained again: {figure})"
        for row, fresh, figure in told
        if fresh is row
    )
    words: list[Inline] = [
        "by the seeds of this stage. On fresh ones (",
        Ref(f"stage-{names[0]}"),
        (
            f") {listing(figures)}, and the difference is {points(found.difference)} points"
            f"{ends_of(found)}, "
        ),
    ]
    if _is_tie(found):
        return [*words, *_of_a_tie(found, taken, over)]
    better = taken if found.difference > 0 else over
    return [*words, "which is no tie: ", Strong(better.label), " is the better one."]


def decision(context: Context, stage: StageFacts) -> list[Inline]:
    """The publication's choice between two rows, as a computed one; nothing where it names none."""
    choice = context.published.stages.get(stage.name, PublishedStage()).choice
    if choice is None:
        return []
    taken, over = (
        [row for row in stage.rows if holds(row.row.specs[0].to_dict(), where)]
        for where in (choice.taken, choice.over)
    )
    if not taken or not over:
        return []
    found = between(context, taken[0], over[0])
    if found is None:
        return []
    words: list[Inline] = [
        "The publication took ",
        Strong(taken[0].label),
        (
            f" over {over[0].label}. Computed here: against that it has "
            f"{points(found.difference)} points{ends_of(found)}, "
        ),
    ]
    fresh = _on_fresh_seeds(context, stage, taken[0], over[0])
    if fresh:
        return [*words, *fresh]
    if _is_tie(found):
        return [*words, *_of_a_tie(found, taken[0], over[0])]
    better = taken[0] if found.difference > 0 else over[0]
    words += ["which is no tie: ", Strong(better.label), " is the better one."]
    compared = [row for row in stage.ranked if row.standing is not None]
    if len(compared) > 2 and all(row.rank == 1 or row.is_tied for row in (taken[0], over[0])):
        words.append(
            " That is one comparison, which the publication named; asked about all "
            f"{plural(len(compared), 'point')} at once, the table tells neither of the two "
            "from the best."
        )
    return words
