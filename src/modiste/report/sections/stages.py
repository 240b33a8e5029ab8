"""The stages of the study, one after the other: paragraph, table, curves, remarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modiste.evaluate.finding import FINDINGS, facts, findings
from modiste.report import figures, prose
from modiste.report.blocks import (
    Block,
    Cell,
    Column,
    Facts,
    Heading,
    Inline,
    Paragraph,
    Remark,
    Remarks,
    Table,
    TableRow,
    Words,
)
from modiste.report.cells import difference, over_seeds
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import (
    NONE,
    count,
    duration,
    plural,
    proportion,
    rate,
    span,
)
from modiste.report.section import SECTIONS, Section

_COLUMNS = (
    Column("point", is_number=False),
    Column("seeds"),
    Column("epochs"),
    Column("loss", "training, last epoch"),
    Column("accuracy", "training, last epoch"),
    Column("loss", "validation, last epoch"),
    Column("accuracy", "validation, last epoch"),
    Column("epoch", "validation, best epoch"),
    Column("loss", "validation, best epoch"),
    Column("accuracy", "validation, best epoch"),
    Column("95 % interval"),
)
_PUBLISHED = (Column("val. accuracy", "published"), Column("difference", "published"))
_SEARCH = (Column("accuracy", "in the search"), Column("lost since", "in the search"))
_REST = (Column("final rate"), Column("parameters"), Column("time"))
_FEW = 3  # rows without any figure that are still listed one by one


def build(context: Context) -> Sequence[Block]:
    """All stages, run or not."""
    blocks: list[Block] = [Paragraph(_reading(context), "note")]
    for stage in context.stages:
        blocks += _stage(context, stage)
    return blocks


def _reading(context: Context) -> Words:
    first: list[Inline] = [
        (
            "How to read the tables. Accuracies are proportions, losses are mean cross-entropies "
            "in nats, differences between accuracies are percentage points (“points”). Training "
            "figures are those seen in training, with dropout and augmentation on; validation "
            "figures are inferred afterwards. The best epoch is the one of lowest validation "
            "loss. The interval is that of the validation accuracy "
            f"{prose.by_best_epoch(context.epoch)}, at 95 %, for a model of this kind: it covers "
            "the choice of images and, where any points of the family were repeated, that of "
            "seeds, whose spread is taken to be the same for all of them. Rows stand best first "
            "by that accuracy; “≈” marks those that cannot be told from the best (paired on the "
            "same images, all rows allowed for: with 95 % confidence the truly best row is the "
            "first or one of these). Time is that of one training, validation included."
        )
    ]
    if any(len(row.row.specs) > 1 for stage in context.stages for row in stage.rows):
        first.append(" Several seeds are given as mean ± standard deviation.")
    return first


def _stage(context: Context, stage: StageFacts) -> list[Block]:
    blocks: list[Block] = [Heading(stage.title, f"stage-{stage.name}")]
    if facts_ := _facts(context, stage):
        blocks.append(Facts(facts_))
    blocks.append(Paragraph(prose.joined(prose.tried(context, stage), prose.seen(context, stage))))
    if confirmed := prose.confirmed(context, stage):
        blocks.append(Paragraph(confirmed))
    if decided := prose.decided(context, stage):
        blocks.append(Paragraph(decided))
    if stage.rows:
        blocks.append(_table(context, stage))
    if curves := figures.stage_figure(stage):
        blocks.append(curves)
    if remarks := _remarks(stage):
        blocks.append(remarks)
    return blocks


def _facts(context: Context, stage: StageFacts) -> list[tuple[str, str]]:
    chosen = [row for row in stage.rows if row.row.is_chosen]
    if not chosen:
        return []
    done = [row for row in chosen if row.row.is_done]
    pairs = [("points", f"{len(done)} of {len(stage.rows)}")]
    if stage.cut is not None and "train.epochs" in stage.cut.changed:
        full, here = stage.cut.changed["train.epochs"]
        pairs.append(("epochs, at most", f"{here} (full profile: {full})"))
    if stage.ranked and len(stage.rows) > 1:
        tied = [row for row in stage.ranked if row.is_tied]
        pairs.append(("first", stage.ranked[0].label))
        pairs.append(("may be best, too", plural(len(tied), "point") if tied else "none"))
    if stage.seconds:
        pairs.append(("training time, all", duration(stage.seconds)))
    return pairs


def _table(context: Context, stage: StageFacts) -> Table:
    published = any(row.published is not None for row in stage.rows)
    searched = prose.searched(context, stage)
    more = (_SEARCH if searched else ()) + (_PUBLISHED if published else ())
    columns = _COLUMNS + more + _REST
    shown, folded = _split(stage)
    rows = [
        _row(context, stage, row, published, searched)
        if row.runs
        else _without_runs(context, stage, row, published, len(columns))
        for row in shown
    ]
    if folded:
        what = f"{count(len(folded))} more points"
        cells = [Cell(what), Cell(folded[0].status, span=len(columns) - 1)]
        rows.append(TableRow(cells, is_muted=True, is_rest=True))
    return Table(
        f"table-{stage.name}",
        _caption(context, stage, published),
        columns,
        rows,
        notes=_notes(context, stage, published, folded),
        command=context.command(stage.name),
        is_sortable=len(rows) > 1,
    )


def _caption(context: Context, stage: StageFacts, published: bool) -> Words:
    size = {run.metrics["num_val"] for row in stage.rows for run in row.runs}
    images = f"; {count(max(size))} validation images" if len(size) == 1 else ""
    stop = "" if stage.title.endswith(("?", ".")) else "."
    words = f"{stage.title}{stop} {plural(len(stage.rows), 'point')}{images}."
    cut = stage.cut
    if cut is None or not cut.is_cut:
        return [words]
    name = "quick profile" if context.study.profile == "quick" else "this study"
    text = f" Cut in the {name}: " if context.study.profile == "quick" else f" Cut in {name}: "
    end = "; not comparable with the published figures." if published and cut.touches_runs else "."
    return [words, text + cut.text() + end]


def _split(stage: StageFacts) -> tuple[list[RowFacts], list[RowFacts]]:
    """Rows that are shown, and those, if many, of which there is neither a run nor a figure."""
    bare = [
        row
        for row in stage.rows
        if not row.row.is_chosen
        and not row.row.runs
        and row.published is None
        and not row.committed
    ]
    if len(bare) <= _FEW:
        return stage.in_order, []
    return [row for row in stage.in_order if row not in bare], bare


def _notes(
    context: Context, stage: StageFacts, published: bool, folded: Sequence[RowFacts]
) -> list[Words]:
    notes: list[Words] = []
    if folded:
        names = "; ".join(row.label for row in folded)
        end = " and not published" if published else ""
        notes.append([f"Not run in this profile{end}: {names}."])
    if published and stage.touches_runs:
        notes.append(["‡ Between a run that was cut and one that was not: no reproduction."])
    if any(row.status == "from another stage" for row in stage.rows):
        notes.append(["§ The same run as in another stage; it does not compete in this one."])
    if stage.name in context.published.stages:
        note = context.published.stages[stage.name].note
        if note:
            notes.append([f"On the published figures: {note}"])
    return notes


def _row(
    context: Context,
    stage: StageFacts,
    row: RowFacts,
    published: bool,
    searched: Mapping[str, float],
) -> TableRow:
    cells = [_name(row), *_training(row), *_validation(context, stage, row)]
    if searched:
        before = searched.get(row.row.label)
        now = row.mean(context.epoch, "val", "accuracy")
        cells += [Cell(proportion(before), before), difference(before, now, is_cut=False)]
    if published:
        cells += _published(context, stage, row)
    rates = sorted(set(row.ends("learning_rate")))
    cells += [
        Cell(", ".join(rate(r) for r in rates) or NONE, rates[0] if rates else None),
        Cell(count(row.parameters), row.parameters),
        Cell(duration(row.seconds), row.seconds),
    ]
    return TableRow(cells)


def _without_runs(
    context: Context, stage: StageFacts, row: RowFacts, published: bool, num_columns: int
) -> TableRow:
    """Why there are no figures, and the published one."""
    if not published:
        cells = [Cell(row.label), Cell(row.status, span=num_columns - 1)]
        return TableRow(cells, is_muted=True)
    after = 1 + len(_REST)
    theirs = _published(context, stage, row)[0]
    cells = [Cell(row.label), Cell(row.status, span=num_columns - 2 - after), theirs]
    return TableRow([*cells, Cell("", span=after)], is_muted=True)


def _name(row: RowFacts) -> Cell:
    sign = " ≈" if row.is_tied else ""
    mark = "§" if row.status == "from another stage" else ""
    note = "" if mark else row.status
    return Cell(f"{row.label}{sign}", note=note, mark=mark)


def _training(row: RowFacts) -> list[Cell]:
    epochs = [float(run.metrics["epochs"]) for run in row.runs]
    done, wanted = len(row.runs), len(row.row.specs)
    seeds = NONE if not done else str(done) if done == wanted else f"{done} of {wanted}"
    return [
        Cell(seeds, done or None),
        Cell(span(epochs) if epochs else NONE, max(epochs, default=None)),
        over_seeds(row.ends("train_loss"), deviates=False),
        over_seeds(row.ends("train_accuracy"), deviates=False),
    ]


def _validation(context: Context, stage: StageFacts, row: RowFacts) -> list[Cell]:
    bests = [float(run.metrics["best"]["epoch"]) for run in row.runs]
    # Bold where it decides.
    strong = context.epoch if row.rank == 1 and len(stage.ranked) > 1 else ""
    return [
        over_seeds(row.values("last", "val", "loss"), deviates=False),
        over_seeds(row.values("last", "val", "accuracy"), is_strong=strong == "last"),
        Cell(span(bests) if bests else NONE, max(bests, default=None)),
        over_seeds(row.values("best", "val", "loss"), deviates=False),
        over_seeds(row.values("best", "val", "accuracy"), is_strong=strong == "best"),
        _interval(row),
    ]


def _interval(row: RowFacts) -> Cell:
    if row.interval is None:
        return Cell(NONE)
    low, high = row.interval
    return Cell(f"{proportion(low)}–{proportion(high)}", low)


def _published(context: Context, stage: StageFacts, row: RowFacts) -> list[Cell]:
    theirs = row.published.val_accuracy if row.published else None
    ours = row.mean(context.published.epoch, "val", "accuracy")
    return [
        Cell(proportion(theirs), theirs),
        difference(ours, theirs, is_cut=stage.touches_runs),
    ]


def _remarks(stage: StageFacts) -> Remarks | None:
    """What the checks found, each with the models it was found in."""
    found: dict[str, list[tuple[str, str]]] = {}
    total = 0
    for row in stage.in_order:
        total += len(row.row.runs)
        for run in row.row.runs:
            several = len(row.row.specs) > 1
            name = f"{row.label}, seed {run.spec.seed}" if several else row.label
            for finding in findings(facts(run)):
                found.setdefault(finding.code, []).append((name, finding.text))
    remarks = [
        Remark(code, FINDINGS.get(code).title, FINDINGS.get(code).advice, total, about)
        for code, about in sorted(found.items())
    ]
    return Remarks(remarks) if remarks else None


SECTIONS.add("stages", Section("Stage by stage", 30, build))
