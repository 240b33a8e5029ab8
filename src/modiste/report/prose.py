"""Sentences written from the numbers of a stage: what was tried, what was seen, what it decides.

Each says only what its numbers carry, for one point or many, finished or not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from modiste.evaluate.intervals import Difference
from modiste.evaluate.rank_agreement import rank_agreement
from modiste.report.blocks import Code, Inline, Ref, Strong, Words
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts, deviation, longest
from modiste.report.numbers import count, duration, listing, plural, proportion, size
from modiste.report.numbers import points as signed
from modiste.report.ties import tie
from modiste.runs.run import Epoch
from modiste.search.budget import left_out
from modiste.search.closing import budget_of
from modiste.search.standing import lead_over
from modiste.search.weights import no_model as why_no_model


def tried(context: Context, stage: StageFacts) -> list[Inline]:
    """What was asked, and which part of it was run."""
    about = stage.stage.spec.about.strip()
    words: list[Inline] = [about] if about else []
    profile = context.study.profile
    if stage.stage.skipped:
        reason = stage.stage.skipped.rstrip(".")
        return [*words, f" Not run in the {profile} profile: {reason}."]
    if stage.stage.waits_for:
        refs: list[Inline] = []
        for number, name in enumerate(stage.stage.waits_for):
            refs += [" and " if number else "", stage_ref(context, name)]
        what = "best points" if stage.stage.spec.confirm else "winner"
        return [*words, f" It waits for the {what} of ", *refs, " and has no points yet."]
    if stage.stage.spec.search is not None:
        return [*words, *_searched_so_far(stage)]
    chosen = [row for row in stage.rows if row.row.is_chosen]
    done = [row for row in chosen if row.row.is_done]
    total = len(stage.rows)
    seeds = stage.cut.repeats if stage.cut else 1
    often = trainings(stage, seeds)
    each = f", {often} each" if total > 1 else f", {often}"
    if not done:
        return words
    if len(done) < len(chosen):
        return [*words, f" So far {len(done)} of {len(chosen)} points are finished."]
    if total == 1:
        is_plain = seeds == 1 and not stage.is_folded
        return words if is_plain else [*words, f" It was trained with {often}."]
    if len(chosen) < total:
        return [*words, f" The {profile} profile ran {len(chosen)} of its {total} points{each}."]
    return [*words, f" All {total} points were run{each}."]


def closed(context: Context, stage: StageFacts) -> list[Inline]:
    """What a budget of time left out of a stage."""
    seconds = budget_of(context.study.folder, stage.stage.spec.name)
    if seconds is None:
        return []
    what = left_out(stage.stage)
    rest = f" It leaves out {what}." if what else ""
    return [f"A budget of {duration(seconds)} closed it: what it had found by then counts.{rest}"]


def no_model(context: Context, stage: StageFacts) -> list[Inline]:
    """Why a final stage that is over has no model, if it has none."""
    why = why_no_model(context.study, stage.stage)
    return [f"It ends without a model: {why}."] if why else []


def _searched_so_far(stage: StageFacts) -> list[Inline]:
    """How many points a search has chosen, and where it is told how."""
    num = len(stage.stage.trials)
    if not num:
        return [" It searches, and has chosen no point yet."]
    whole = sum(trial.row.is_done and trial.row.until is None for trial in stage.stage.trials)
    words: list[Inline] = [f" A search has chosen {plural(num, 'point')}"]
    if stage.stage.num_to_come:
        words.append(f" of {count(num + stage.stage.num_to_come)}")
    if stage.stage.spec.search is not None and stage.stage.spec.search.halving is not None:
        was = "was" if whole == 1 else "were"
        words.append(f", {count(whole)} of which {was} trained to the end")
    if any(row.rank is not None and not row.broken for row in stage.rows):
        words += [" (", Ref(f"search-{stage.name}"), ")"]
    return [*words, "."]


def seen(context: Context, stage: StageFacts) -> list[Inline]:
    """What came out, with its doubt."""
    ranked = [row for row in stage.ranked if row.runs and not row.broken]
    if not ranked:
        return [_unfinished(stage)] if any(row.row.is_chosen for row in stage.rows) else []
    compared = longest(ranked)
    words = _cut_before(ranked, compared)
    if len(compared) == 1:
        words += _single(compared[0], context.epoch)
    else:
        words += _many(context, stage, compared)
    broken = [row.label for row in stage.rows if row.broken]
    if broken:
        words += [f" {listing(broken)} did not end well; see the remarks."]
    return words


def decided(context: Context, stage: StageFacts) -> list[Inline]:
    """What follows: which settings go where, and how the rows stand beside published ones."""
    words: list[Inline] = []
    heirs = context.fed_by(stage.name)
    if heirs and stage.stage.is_decided:
        words = _handed_on(context, stage, heirs)
    return [*words, *compared(context, stage)]


def _handed_on(context: Context, stage: StageFacts, heirs: Sequence[StageFacts]) -> list[Inline]:
    """What a decided stage hands on to its heirs; nothing where none of its points ended well."""
    ranked = [row for row in stage.ranked if not row.broken]
    refs: list[Inline] = []
    for number, heir in enumerate(heirs):
        refs += [" and " if number else "", stage_ref(context, heir.name)]
    if ranked:
        rule = _by_rule(context, ranked)
        return ["Decided: ", Strong(ranked[0].label), " goes on to ", *refs, rule, ". "]
    aside = stage.stage.stands_aside_for
    if aside is not None and context.study.hands_on(stage.stage) is not None:
        origin = stage_ref(context, aside.spec.name)
        return ["In its place the winner of ", origin, " goes on to ", *refs, ". "]
    if not stage.ranked:
        return ["Nothing is decided, so what builds on it waits. "]
    how = listing(sorted({row.status for row in stage.ranked}))
    return [f"No point ended well ({how}), so nothing goes on to ", *refs, ". "]


def compared(context: Context, stage: StageFacts) -> list[Inline]:
    """How the rows stand beside the published ones; says nothing of runs that were cut."""
    pairs = published_pairs(context, stage)
    if not pairs:
        return []
    if stage.touches_runs and stage.cut is not None:
        cut = "; ".join(text for text in stage.cut.phrases())
        return [
            (
                "The published figures stand in the table for orientation only: these runs were "
                f"cut ({cut}), so the differences do not say whether the published figures come "
                "out again."
            )
        ]
    inside = [pair for pair in pairs if abs(pair.mean) <= 2 * pair.standard_error]
    differences = [pair.mean for pair in pairs]
    if len(pairs) == 1:
        where = "within" if inside else "outside"
        return [
            (
                f"The difference to the published validation accuracy is {signed(differences[0])} "
                f"points, {where} two standard errors of such a difference "
                f"({size(2 * pairs[0].standard_error)} points; two sets of validation images, "
                "seeds not counted)."
            )
        ]
    return [
        (
            f"Of {len(pairs)} published rows run here, {len(inside)} came out within two standard "
            f"errors of the published validation accuracy (about "
            f"{size(2 * max(pair.standard_error for pair in pairs))} points; two sets of "
            f"validation images, seeds not counted); the differences run from "
            f"{signed(min(differences))} to {signed(max(differences))} points."
            f"{_same_order(context, stage)}"
        )
    ]


# Fewer rows have no order to speak of.
_LEAST_ORDERED = 5


def _same_order(context: Context, stage: StageFacts) -> str:
    """Whether the rows come in the published order, which close figures do not say."""
    pairs = [
        (ours, row.published.val_accuracy)
        for row in stage.rows
        if row.published is not None and row.published.val_accuracy is not None
        if (ours := row.mean(context.published.epoch, "val", "accuracy")) is not None
    ]
    if len(pairs) < _LEAST_ORDERED:
        return ""
    found = rank_agreement(*zip(*pairs, strict=True))
    if found is None:
        return ""
    between = ""
    if found.low is not None and found.high is not None:
        between = f" (95\u00a0% interval {signed_number(found.low)} to {signed_number(found.high)})"
    return (
        " All were scored on one set of images, so these are not as many confirmations; and rows "
        "that lie close together agree whatever their order: Kendall’s tau of ours with the "
        f"published one is {signed_number(found.tau)}{between}."
    )


def signed_number(value: float) -> str:
    """A number from -1 to 1, with its sign.

    Example:
        >>> signed_number(-0.0222), signed_number(0.5)
        ('−0.02', '+0.50')
    """
    return f"{value:+.2f}".replace("-", "−")


def published_pairs(context: Context, stage: StageFacts) -> list[Difference]:
    """Ours less the published validation accuracy of every row that has both.

    The standard error is that of two accuracies on two samples of as many images as ours.
    """
    answer = []
    for row in stage.rows:
        ours = row.mean(context.published.epoch, "val", "accuracy")
        theirs = row.published.val_accuracy if row.published else None
        error = row.standard_error(context.published.epoch)
        if ours is not None and theirs is not None and error is not None:
            answer.append(Difference(ours - theirs, math.sqrt(2) * error))
    return answer


def interval(row: RowFacts) -> str:
    """The 95 % interval of a row's accuracy, in words."""
    if row.interval is None:
        return f"mean of {row.trainings}" if row.is_folded else "no interval"
    return f"95\u00a0% interval {proportion(row.interval.low)} to {proportion(row.interval.high)}"


def stage_ref(context: Context, name: str) -> Ref:
    """A pointer to a stage, by its title."""
    return Ref(f"stage-{name}", context.stage(name).title)


def by_best_epoch(epoch: Epoch) -> str:
    """Which epoch a figure belongs to, in words."""
    return "at the last epoch" if epoch == "last" else "at the best epoch"


def _unfinished(stage: StageFacts) -> str:
    """What is there of a stage that has no finished point to speak of."""
    chosen = [row for row in stage.rows if row.row.is_chosen]
    done, wanted = (
        sum(len(part) for part in parts)
        for parts in ([row.row.runs for row in chosen], [row.row.specs for row in chosen])
    )
    if not done:
        return "Nothing of it has finished yet."
    if any(row.broken for row in chosen):
        return f"No point of it ended well ({done} of {plural(wanted, 'run')} ended)."
    return f"No point has all its seeds yet; {done} of {plural(wanted, 'run')} are there."


def _cut_before(ranked: Sequence[RowFacts], compared: Sequence[RowFacts]) -> list[Inline]:
    """What halving cut before those that are compared; empty if it cut none."""
    num_cut = len(ranked) - len(compared)
    if not num_cut:
        return []
    were, any_of_them = ("was", "it") if num_cut == 1 else ("were", "any of them")
    rest = (
        f"{count(num_cut)} {were} cut before, and whether {any_of_them} would come out better is "
        "not known. "
    )
    if len(compared) == 1:
        return [Strong(compared[0].label), f" alone was trained the longest; {rest}"]
    return [f"The {count(len(compared))} points trained the longest are compared here; {rest}"]


def _single(row: RowFacts, epoch: Epoch) -> list[Inline]:
    accuracies = {name: row.values(name, "val", "accuracy") for name in ("last", "best")}
    lasts, bests = row.epochs("last"), row.epochs("best")
    spread = deviation(accuracies["last"])
    mean = row.mean("last", "val", "accuracy")
    error = row.standard_error("last")
    doubts = [] if error is None else [f"standard error {size(error)} points, images only"]
    if spread is not None:
        doubts.append(f"{row.trainings}, standard deviation {size(spread)} points")
    doubt = "; ".join(doubts)
    figure: list[Inline] = [" validation accuracy is ", Strong(proportion(mean)), f" ({doubt})"]
    if not row.is_net:
        return ["Its", *figure, "."]
    words: list[Inline] = [
        "At its last epoch" + (f", {lasts[0]}," if len(lasts) == 1 else ""),
        " the",
        *figure,
    ]
    if bests == lasts:
        return [*words, "; validation loss was lowest there, too."]
    best = proportion(row.mean("best", "val", "accuracy"))
    where = f"epoch {bests[0]}" if len(bests) == 1 else f"epochs {listing([str(b) for b in bests])}"
    return [*words, f"; where validation loss was lowest, at {where}, it is {best}."]


def _many(context: Context, stage: StageFacts, ranked: Sequence[RowFacts]) -> list[Inline]:
    """Of points that were trained equally far."""
    epoch = context.epoch
    first, last = ranked[0], ranked[-1]
    when = f" {by_best_epoch(epoch)}" if stage.has_nets else ""
    top, lowest = (row.mean(epoch, "val", "accuracy") or 0.0 for row in (first, last))
    doubt = f" ({interval(first)}), with {plural(first.parameters or 0, 'parameter')}"
    if math.isclose(top, lowest, rel_tol=1e-12):  # the same count, but for rounding of the mean
        all_of_them = "Both" if len(ranked) == 2 else f"All {count(len(ranked))}"
        words: list[Inline] = [
            f"{all_of_them} points have the same validation accuracy{when}, ",
            Strong(proportion(top)),
            "; ",
            Strong(first.label),
            f"{doubt}, stands first",
        ]
    else:
        words = [
            Strong(first.label),
            f" has the highest validation accuracy{when}, ",
            Strong(proportion(top)),
            doubt,
        ]
        if len(ranked) > 2:
            words.append(f"; {last.label} has the lowest, {_below(top, lowest)}")
    words.append(". ")
    words += tie(context, stage, ranked)
    leader = min(ranked, key=lambda row: row.mean("best", "val", "loss") or math.inf)
    has_losses = all(row.values("best", "val", "loss") for row in ranked)
    if leader is not first and has_losses:
        words += [
            (
                f" By its lowest validation loss {leader.label} would stand first "
                f"({proportion(leader.mean('best', 'val', 'loss'))} against "
                f"{proportion(first.mean('best', 'val', 'loss'))})."
            )
        ]
    return words


def _below(top: float, lowest: float) -> str:
    """The lowest accuracy, or how little it lies below where both print alike."""
    text = proportion(lowest)
    return text if text != proportion(top) else "less than 0.01 points below"


def trainings(stage: StageFacts, seeds: int) -> str:
    """How often each point is trained, in words."""
    folds = stage.stage.spec.folds
    if folds is None:
        return plural(seeds, "seed")
    return f"{folds} folds" if seeds == 1 else f"{seeds} × {folds} folds"


def _by_rule(context: Context, ranked: Sequence[RowFacts]) -> str:
    """How the winner of a tie was found."""
    if len(ranked) < 2 or not ranked[1].is_tied:
        return ""
    if ranked[1].standing is not None and ranked[1].standing.difference == 0:
        return ", by the rule for equal counts: fewer parameters, then the earlier point"
    return ", by the count of right answers, although it is tied"


def gap(context: Context, one: RowFacts, two: RowFacts) -> Difference | None:
    """Accuracy of one finished row less that of another, on the same validation images."""
    if not one.runs or not two.runs:
        return None
    return lead_over(one.row, two.row, context.epoch, context.study.answers)


def joined(*parts: Words) -> list[Inline]:
    """Several runs of words as one paragraph, a space between them; empty ones fall out."""
    answer: list[Inline] = []
    for part in parts:
        if part:
            answer += [" ", *part] if answer else [*part]
    return answer


def code_list(keys: Sequence[str]) -> list[Inline]:
    """Keys in a row."""
    words: list[Inline] = []
    for number, key in enumerate(keys):
        words += [", " if number else "", Code(key)]
    return words
