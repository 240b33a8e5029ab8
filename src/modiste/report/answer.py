"""The answer of a study in three sentences, written from its numbers."""

from __future__ import annotations

import json
import math

from modiste.evaluate.contrast import Seeds
from modiste.evaluate.intervals import difference_interval
from modiste.report import looks, prose, ties
from modiste.report.blocks import Inline, Strong
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts, mean
from modiste.report.folds import scored
from modiste.report.numbers import count, plural, points, proportion, size
from modiste.runs.run import EPOCHS
from modiste.search.standing import seeds_of
from modiste.spec.run import RunSpec

# Half of what four digits show.
_SAME = 0.00005


def best(context: Context) -> list[Inline]:
    """The best model of all, and how far behind it the best of others are.

    These are the best net of another family, and the best that needs no network.
    """
    found = context.best_of_families
    if not found:
        return _best_over_folds(context) or [_no_answer(context)]
    ordered = sorted(found, key=lambda pair: -_accuracy(context, pair[1]))
    stage, first = ordered[0]
    is_finished = all(stage.stage.is_done for stage in context.stages)
    num_models = plural(_num_models(context), "model")
    words: list[Inline] = [
        (
            f"Of {num_models}{'' if is_finished else ' finished so far'}, the best "
            f"on {count(first.runs[0].metrics['num_val'])} validation images is {_article(first)}, "
        ),
        Strong(_label(stage, first)),
        ", with an accuracy of ",
        Strong(proportion(_accuracy(context, first))),
        f" ({_doubt(first)})",
    ]
    for is_net in (True, False) if first.is_net else (True,):
        for other_stage, other in [pair for pair in ordered[1:] if pair[1].is_net == is_net][:1]:
            label = _label(other_stage, other)
            who = (
                f"the best {_family(other)}, {label}," if is_net else f"without a network, {label}"
            )
            accuracy = proportion(_accuracy(context, other))
            words.append(f"; {who} reaches {accuracy}{_behind(context, first, other)}")
    return [*words, "."]


def _no_answer(context: Context) -> str:
    if context.runs and all(run.metrics["status"] != "finished" for run in context.runs):
        return "No training has ended well, so there is no answer."
    return "Nothing has been trained to its end yet, so there is no answer."


def beside(context: Context) -> list[Inline]:
    """How the figures stand beside the published ones; runs that were cut say nothing of that."""
    if not context.runs:
        return []
    if not context.published.stages:
        return ["There are no published figures to compare with."]
    whole = [stage for stage in context.stages if not stage.touches_runs]
    if context.is_cut and not any(prose.published_pairs(context, stage) for stage in whole):
        return [
            (
                f"None of these figures repeats a published one: in this {context.study.profile} "
                f"profile the trainings were {limits(context)}."
            )
        ]
    tested = [text for stage in whole for text in _tested(context, stage)]
    if tested:
        first, *others = tested
        sentences = (f"{text[0].upper()}{text[1:]}." for text in others)
        return [" ".join([f"On the sealed test set {first}.", *sentences])]
    pairs = [pair for stage in whole for pair in prose.published_pairs(context, stage)]
    if not pairs:
        return ["No row that was run so far has a published validation accuracy."]
    inside = [pair for pair in pairs if abs(pair.mean) <= 2 * pair.standard_error]
    left_out = "; stages that were cut are left out" if context.is_cut else ""
    return [
        (
            f"Of {plural(len(pairs), 'published row')} run so far, {len(inside)} came out within "
            "two standard errors of the published validation accuracy; the differences run from "
            f"{points(min(pair.mean for pair in pairs))} to "
            f"{points(max(pair.mean for pair in pairs))} points{left_out}."
        )
    ]


def evidence(context: Context) -> list[Inline]:
    """How far all this carries: points, seeds, looks at the test set."""
    if not context.runs:
        return []
    words = [_ended(context), _trained(context)]
    if not context.looks:
        words.append("and the test set was not opened")
    doubt = ": a smoke test, not a result" if context.is_cut else ""
    return [f"{', '.join(text for text in words if text)}{doubt}."]


def _ended(context: Context) -> str:
    """How many points are finished, and how many of these ended well where not all did."""
    rows = [row for stage in context.stages for row in stage.rows]
    ended = [row for row in rows if row.row.is_chosen and row.row.is_done]
    num_well = sum(not row.broken for row in ended)
    num_waiting = sum(1 for stage in context.stages if stage.stage.waits_for)
    later = f" ({plural(num_waiting, 'stage')} still waiting)" if num_waiting else ""
    if len(rows) == 1:
        point = "The first point" if num_waiting else "The study’s one point"
        how = "is not finished yet"
        if ended:
            how = "is finished" if num_well else "did not end well"
        return f"{point} {how}{later}"
    if len(ended) == len(rows):
        run = f"All {count(len(rows))} points are finished{later}"
    else:
        run = f"{len(ended)} of {len(rows)} points are finished{later}"
    if num_well == len(ended):
        return run
    return f"{run}, {count(num_well) if num_well else 'none'} of which ended well"


def _trained(context: Context) -> str:
    """How often the points that did not break were trained; empty if there is none."""
    rows = [row for stage in context.stages for row in stage.rows]
    trained = [row for row in rows if row.runs and not row.broken]
    folded = [row for row in trained if row.is_folded]
    over = f"cross-validated over {folded[0].trainings}" if folded else ""
    seeds = {len(row.runs) for row in trained if not row.is_folded}
    if len(rows) == 1:
        return over or "".join(f"with {plural(num, 'seed')}" for num in seeds)
    words = []
    if seeds:
        low, high = min(seeds), max(seeds)
        words.append(f"{plural(low, 'seed') if low == high else f'{low} to {high} seeds'} each")
    if folded:
        words.append(f"{plural(len(folded), 'point')} {over}")
    return ", ".join(words)


def caveats(context: Context) -> list[Inline]:
    """What the first sentences leave out: how their leaders were found, and what is counted."""
    if not context.best_of_families:
        return []
    words = []
    if _num_models(context) > len(context.best_of_families):
        who = "The leaders were picked, each as the best of its kind, by the very images they are"
        if len(context.best_of_families) == 1:
            who = "The best one was picked by the very images it is"
        words.append(
            f"{who} scored on: such validation accuracies lean to the bright side, and the more "
            "so the more there were to pick from."
        )
    return [" ".join([*words, _counts(context)])]


def _counts(context: Context) -> str:
    """From points to models to runs."""
    ended = [row for stage in context.stages for row in stage.stage.chosen if row.is_done]
    done = [row for row in ended if row.until is None]
    models, runs = plural(_num_models(context), "model"), plural(len(context.runs), "run")
    words = f"A run is one training of one model with one seed; here are {runs}"
    if len(done) > _num_models(context):
        whole = plural(len(done), "whole point")
        words += f"; some points have the same settings, seeds aside, so {whole} are {models}"
    if len(ended) > len(done):
        cut = len(ended) - len(done)
        are = "was cut and is no model" if cut == 1 else "were cut and are no models"
        words += f"; {plural(cut, 'beginning')} {are}"
    return f"{words}."


def _num_models(context: Context) -> int:
    """Different points with all their seeds finished and none cut, each counted once.

    A point that two stages share is one model, however many seeds it has in either.
    """
    rows = (row for stage in context.stages for row in stage.stage.chosen)
    whole = [row for row in rows if row.is_done and row.until is None]
    return len({_without_seed(row.specs[0]) for row in whole})


def _without_seed(spec: RunSpec) -> str:
    return json.dumps({**spec.to_dict(), "seed": None}, sort_keys=True)


def limits(context: Context) -> str:
    """What happened to the trainings that were cut, after “the trainings were”."""
    found = {
        cut.changed["train.epochs"]
        for cut in context.cuts.values()
        if "train.epochs" in cut.changed
    }
    if not found:
        return "run with other settings than the full profile’s"
    here = sorted({here for _, here in found}, key=lambda text: (len(text), text))
    full = sorted({full for full, _ in found}, key=lambda text: (len(text), text))
    return f"cut to at most {' or '.join(here)} epochs instead of {' or '.join(full)}"


def in_text(title: str) -> str:
    """A title inside a sentence.

    Example:
        >>> in_text("The final MLP"), in_text("SGD at several rates")
        ('the final MLP', 'SGD at several rates')
    """
    first, _, rest = title.partition(" ")
    return f"{first.lower()} {rest}" if first in ("The", "A", "An") else title


def _tested(context: Context, stage: StageFacts) -> list[str]:
    """The stage's published row beside ours on test images, if both are there."""
    answer = []
    for row in stage.rows:
        theirs = row.published.test_accuracy if row.published else None
        scores = looks.scores(context.looks, row.row.fingerprints, context.published.epoch)
        ours = mean([score.accuracy for score in scores])
        if theirs is None or ours is None:
            continue
        seeds = f"mean of {len(scores)} seeds" if len(scores) > 1 else "one seed"
        name = in_text(stage.title) if len(stage.rows) == 1 else row.label
        epoch = f" at the {context.published.epoch} epoch" if row.is_net else ""
        spread = context.published_spreads.of(stage.name, row.row)
        beside = _beside_published(theirs, ours, seeds_of(row.row, spread), len(scores))
        also = _at_other_epoch(context, row, ours)
        answer.append(f"{name} reaches {proportion(ours)}{epoch} ({seeds}{also}){beside}")
    return answer


def _beside_published(theirs: float, ours: float, seeds: Seeds, num_seeds: int) -> str:
    """Where the published figure lies, which was scored on the same test images.

    So what parts them is not the choice of images: it is measured by what seeds do, of a single
    published run and of the mean of ours.
    """
    above = theirs - ours
    if abs(above) < _SAME:
        return f"; the published {proportion(theirs)}, on the same images, is as high"
    side = "above" if above > 0 else "below"
    words = f"; the published {proportion(theirs)}, on the same images, is {size(above)} points"
    words += f" {side}"
    if seeds is None:
        return f"{words}; how far a seed moves it is not known"
    if not seeds.variance:
        return words
    error = math.sqrt(seeds.variance * (1 + 1 / num_seeds))
    return f"{words}, {abs(above) / error:.1f} times the standard error that seeds give that"


def _at_other_epoch(context: Context, row: RowFacts, ours: float) -> str:
    """Our figure at the epoch that the published one was not taken for, where it is another."""
    (other,) = (epoch for epoch in EPOCHS if epoch != context.published.epoch)
    scores = looks.scores(context.looks, row.row.fingerprints, other)
    found = mean([score.accuracy for score in scores])
    return "" if found in (None, ours) else f"; {proportion(found)} at the {other} one"


def _best_over_folds(context: Context) -> list[Inline]:
    """Of a study that does nothing but cross-validate: the best point on held-out images."""
    rows = [each for stage in context.stages for each in scored(context, stage)]
    if not rows:
        return []
    best = max(rows, key=lambda each: each.mean)
    low, high = best.interval
    return [
        f"Of {plural(len(rows), 'cross-validated point')}, ",
        Strong(best.row.label),
        " has the highest accuracy on images held out from it, ",
        Strong(proportion(best.mean)),
        f" (95\u00a0% interval {proportion(low)} to {proportion(high)}).",
    ]


def _behind(context: Context, first: RowFacts, other: RowFacts) -> str:
    gap = prose.gap(context, first, other)
    if gap is None:
        return ""
    words = f", {size(gap.mean)} points behind"
    if gap.standard_error == 0 and gap.interval is None:
        return words
    found = ties.between(context, first, other)
    ends, covered = tuple(difference_interval(gap)), ", images only"
    if found and found.seed_error is not None and found.low is not None and found.high is not None:
        ends, covered = (found.low, found.high), ""
    between = " to ".join(f"{100 * end:.2f}" for end in ends).replace("-", "−")
    return f"{words} (95\u00a0% interval {between}{covered})"


def _doubt(row: RowFacts) -> str:
    alone = ", images only" if row.interval is not None and row.seeds is None else ""
    return f"{prose.interval(row)}{alone}"


def _accuracy(context: Context, row: RowFacts) -> float:
    return row.mean(context.epoch, "val", "accuracy") or 0.0


def _family(row: RowFacts) -> str:
    """As one writes it: ``MLP`` and ``CNN``, other names as they are."""
    return row.family.upper() if len(row.family) == 3 else row.family.replace("_", " ")


def _article(row: RowFacts) -> str:
    # Letters whose names begin with a vowel: “an MLP”, but “a CNN”.
    family = _family(row)
    vowels = "AEFHILMNORSX" if family.isupper() else "aeiou"
    return f"an {family}" if family[0] in vowels else f"a {family}"


def _label(stage: StageFacts, row: RowFacts) -> str:
    return stage.name if len(stage.rows) == 1 else f"{row.label} ({stage.name})"
