"""The first screen: the answer, the final models beside the published ones, what was cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modiste.evaluate.intervals import wilson
from modiste.report import looks, prose
from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Inline,
    Paragraph,
    Strong,
    Table,
    TableRow,
    Words,
)
from modiste.report.context import Context
from modiste.report.cuts import all_cut
from modiste.report.facts import RowFacts, StageFacts, deviation
from modiste.report.numbers import (
    NONE,
    count,
    duration,
    listing,
    plural,
    points,
    proportion,
    size,
    spread,
)
from modiste.report.section import SECTIONS, Section


def build(context: Context) -> Sequence[Block]:
    """Three sentences, a few facts, one table."""
    answer = prose.joined(_best(context), _beside(context), _evidence(context))
    return [
        Paragraph(answer, "lead"),
        Facts(_facts(context)),
        _table(context),
    ]


def _best(context: Context) -> list[Inline]:
    """The best model of each family, and whether the families differ."""
    best = _best_of_families(context)
    if not best:
        return ["Nothing has been trained yet, so there is no answer."]
    ordered = sorted(best, key=lambda pair: -_accuracy(context, pair[1]))
    stage, first = ordered[0]
    num_rows = sum(1 for s in context.stages for row in s.rows if row.rank is not None)
    total = first.runs[0].metrics["num_val"]
    words: list[Inline] = [
        f"Of {plural(num_rows, 'model')} trained so far, " if not _is_finished(context)
        else f"Of {plural(num_rows, 'model')}, ",
        f"the best on {count(total)} validation images is {_article(first)}, ",
        Strong(_label(stage, first)),
        ", with an accuracy of ",
        Strong(proportion(_accuracy(context, first))),
        f" (standard error {size(first.standard_error(context.epoch) or 0)} points)",
    ]
    for other_stage, other in ordered[1:2]:
        gap = prose.gap(first, other, context.epoch)
        words.append(f"; the best {_family(other)}, {_label(other_stage, other)}, reaches "
                     f"{proportion(_accuracy(context, other))}")
        if gap is not None:
            words.append(f", {size(gap.mean)} points behind{_clear(gap.mean, gap.standard_error)}")
    return [*words, "."]


def _beside(context: Context) -> list[Inline]:
    """The final models beside the published ones."""
    if not context.runs:
        return []
    if not context.published.stages:
        return ["There are no published figures to compare with."]
    if context.is_cut:
        full = "quick" if context.study.profile == "quick" else "changed"
        return [
            f"None of these figures repeats a published one: in this {full} profile the trainings "
            f"were cut to {_limits(context)}."
        ]
    tested = _tested(context)
    if tested:
        return [f"On the sealed test set {listing(tested)}."]
    pairs = [pair for stage in context.stages for pair in prose.published_pairs(context, stage)]
    if not pairs:
        return ["No row that was run so far has a published figure."]
    inside = [pair for pair in pairs if abs(pair.mean) <= 2 * pair.standard_error]
    return [
        f"Of {plural(len(pairs), 'published row')} run so far, {len(inside)} came out within two "
        "standard errors of the published validation accuracy; the differences run from "
        f"{points(min(pair.mean for pair in pairs))} to "
        f"{points(max(pair.mean for pair in pairs))} points."
    ]


def _evidence(context: Context) -> list[Inline]:
    """How far all this carries."""
    if not context.runs:
        return []
    seeds = {len(row.runs) for stage in context.stages for row in stage.rows if row.runs}
    single = "one seed each" if seeds == {1} else f"{min(seeds)} to {max(seeds)} seeds each"
    single = f"{max(seeds)} seeds each" if len(seeds) == 1 and seeds != {1} else single
    done = sum(
        1 for stage in context.stages for row in stage.stage.chosen if row.is_done
    )
    total = sum(len(stage.rows) for stage in context.stages)
    waiting = [stage for stage in context.stages if stage.stage.waits_for]
    later = f" ({plural(len(waiting), 'stage')} still waiting)" if waiting else ""
    opened = "" if context.looks else ", and the test set was not opened"
    doubt = ": a smoke test, not a result" if context.is_cut else ""
    run = f"All {count(total)} points" if done == total else f"{count(done)} of {plural(total, 'point')}"
    return [f"{run} were run{later}, {single}{opened}{doubt}."]


def _tested(context: Context) -> list[str]:
    answer = []
    for stage, row in context.finals:
        theirs = row.published.test_accuracy if row is not None and row.published else None
        if row is None or theirs is None:
            continue
        scores = looks.scores(list(context.looks), row.row.fingerprints, context.published.epoch)
        if not scores:
            continue
        mean = sum(score.accuracy for score in scores) / len(scores)
        low, high = wilson(round(mean * scores[0].total), scores[0].total)
        where = "inside" if low <= theirs <= high else "outside"
        seeds = f"mean of {len(scores)} seeds, " if len(scores) > 1 else ""
        answer.append(
            f"{_in_text(stage.title)} reaches {proportion(mean)} ({seeds}95\u00a0% interval "
            f"{proportion(low)}–{proportion(high)}, the published {proportion(theirs)} {where} it)"
        )
    return answer


def _facts(context: Context) -> list[tuple[str, str]]:
    cut = all_cut(context.cuts)
    looked = "unknown" if context.num_looks is None else count(context.num_looks)
    pairs = [
        ("profile", context.study.profile),
        ("what was cut", cut or "nothing"),
        ("trained here", f"{plural(len(context.runs), 'run')} in "
         f"{duration(sum(run.metrics['seconds'] for run in context.runs)) or NONE}"),
        ("test set", "opened" if context.looks else "not opened"),
        ("looks at it so far", looked),
    ]
    skipped = [stage for stage in context.stages if stage.stage.skipped]
    if skipped:
        pairs.insert(2, ("not run", listing([_in_text(stage.title) for stage in skipped])))
    return pairs


def _table(context: Context) -> Table:
    has_test = bool(context.looks) or any(
        row is not None and row.published is not None and row.published.test_accuracy is not None
        for _, row in context.finals
    )
    has_published = bool(context.published.stages)
    columns = [Column("model", is_number=False), Column("parameters")]
    if has_test:
        if has_published:
            columns.append(Column("published", "test accuracy"))
        columns += [Column("ours", "test accuracy"), Column("95 % interval", "test accuracy")]
    if has_published:
        columns.append(Column("published", "validation accuracy, last epoch"
                              if context.published.epoch == "last" else _VAL_BEST))
    group = _VAL_LAST if context.published.epoch == "last" else _VAL_BEST
    columns += [Column("ours", group), Column("95 % interval", group)]
    columns += [Column("seeds"), Column("epochs"), Column("time")]
    rows = [
        _row(context, stage, row, has_test, has_published) for stage, row in context.finals
    ]
    return Table(
        "table-summary",
        _caption(context, has_published),
        columns,
        rows,
        notes=_notes(context),
        command=context.command(*[stage.name for stage, _ in context.finals]),
    )


_VAL_LAST = "validation accuracy, last epoch"
_VAL_BEST = "validation accuracy, best epoch"


def _caption(context: Context, has_published: bool) -> Words:
    words: list[Inline] = [
        "The final models beside the published ones." if has_published else "The final models."
    ]
    cut = [stage for stage, _ in context.finals if stage.touches_runs and stage.cut]
    if cut:
        words += [
            f" Cut in this {context.study.profile} profile, and so not comparable: the trainings "
            f"end after {_limits(context)}."
        ]
    return words


def _notes(context: Context) -> list[Words]:
    notes: list[Words] = [
        ["Intervals are Wilson’s at 95 % and cover the choice of images, not that of seeds."]
    ]
    if any(stage.touches_runs for stage, _ in context.finals):
        notes.append(["‡ A training that was cut; the published one beside it was not."])
    return notes


def _row(
    context: Context, stage: StageFacts, row: RowFacts | None, has_test: bool, has_published: bool
) -> TableRow:
    if row is None:
        waits = f"waits for {listing(list(stage.stage.waits_for))}"
        return TableRow(_empty(stage, waits, has_test, has_published), is_muted=True)
    published, epoch = row.published, context.published.epoch
    mark = "‡" if stage.touches_runs and published is not None and row.runs else ""
    cells = [_model(stage, row), Cell(count(_parameters(row)))]
    if has_test:
        if has_published:
            cells.append(Cell(proportion(published.test_accuracy if published else None)))
        scores = looks.scores(list(context.looks), row.row.fingerprints, epoch)
        cells += _accuracy_cells([s.accuracy for s in scores], scores[0].total if scores else 0,
                                 mark)
        if not scores:
            cells[-2] = Cell("not tested" if context.looks else "not opened", is_muted=True)
    if has_published:
        cells.append(Cell(proportion(published.val_accuracy if published else None)))
    total = row.runs[0].metrics["num_val"] if row.runs else 0
    cells += _accuracy_cells(row.values(epoch, "val", "accuracy"), total, mark)
    epochs = [run.metrics["epochs"] for run in row.runs]
    cells += [
        Cell(count(len(row.runs)) if row.runs else NONE),
        Cell(count(sum(epochs) / len(epochs)) if epochs else NONE),
        Cell(duration(row.seconds)),
    ]
    return TableRow(cells, is_muted=not row.runs)


def _empty(stage: StageFacts, note: str, has_test: bool, has_published: bool) -> list[Cell]:
    num_test = (2 + has_published) if has_test else 0
    num_val = 2 + has_published
    return [Cell(stage.title, note=note)] + [Cell(NONE)] * (1 + num_test + num_val + 3)


def _accuracy_cells(values: Sequence[float], total: int, mark: str) -> list[Cell]:
    if not values or not total:
        return [Cell(NONE), Cell(NONE)]
    mean = sum(values) / len(values)
    low, high = wilson(round(mean * total), total)
    return [
        Cell(spread(mean, deviation(values)), mark=mark),
        Cell(f"{proportion(low)}–{proportion(high)}"),
    ]


def _model(stage: StageFacts, row: RowFacts) -> Cell:
    if stage.stage.skipped:
        return Cell(stage.title, note="not run in this profile")
    if len(stage.rows) > 1:
        return Cell(stage.title, note=f"best of its points: {row.label}")
    return Cell(stage.title, note=row.status)


def _parameters(row: RowFacts) -> int | None:
    if row.parameters is not None:
        return row.parameters
    if row.published is not None and row.published.parameters is not None:
        return row.published.parameters.total
    return None


def _best_of_families(context: Context) -> list[tuple[StageFacts, RowFacts]]:
    best: dict[str, tuple[StageFacts, RowFacts]] = {}
    for stage in context.stages:
        for row in stage.ranked:
            if not row.runs or row.broken:
                continue
            before = best.get(_family_key(row))
            if before is None or _accuracy(context, row) > _accuracy(context, before[1]):
                best[_family_key(row)] = (stage, row)
    return list(best.values())


def _accuracy(context: Context, row: RowFacts) -> float:
    return row.mean(context.epoch, "val", "accuracy") or 0.0


def _family_key(row: RowFacts) -> str:
    return row.row.specs[0].model.family


def _family(row: RowFacts) -> str:
    family = _family_key(row)
    return family.upper() if len(family) == 3 else family


def _article(row: RowFacts) -> str:
    family = _family(row)
    return f"an {family}" if family[0] in "AEIOUMFHLNRSX" and family.isupper() else f"a {family}"


def _label(stage: StageFacts, row: RowFacts) -> str:
    return stage.name if len(stage.rows) == 1 else f"{row.label} ({stage.name})"


def _limits(context: Context) -> str:
    limits = {
        cut.changed["train.epochs"] for cut in context.cuts.values() if "train.epochs" in cut.changed
    }
    if not limits:
        return "other settings than the full profile’s"
    here = sorted({here for _, here in limits}, key=lambda text: (len(text), text))
    full = sorted({full for full, _ in limits})
    return f"at most {' or '.join(here)} epochs instead of {' or '.join(full)}"


def _clear(mean: float, error: float) -> str:
    if error == 0 or math.isnan(error):
        return ""
    if mean < error:
        return ", less than one standard error of the difference"
    return f", {mean / error:.1f} standard errors of the difference"


def _is_finished(context: Context) -> bool:
    return all(stage.stage.is_done for stage in context.stages)


def _in_text(title: str) -> str:
    """A title inside a sentence: “The study’s final MLP” becomes “the study’s final MLP”."""
    first, _, rest = title.partition(" ")
    return f"{first.lower()} {rest}" if first in ("The", "A", "An") else title


SECTIONS.add("summary", Section("In short", 0, build))
