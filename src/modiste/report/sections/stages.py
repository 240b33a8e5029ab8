"""The stages of the study, one after the other: paragraph, table, curves, remarks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from modiste.evaluate.finding import FINDINGS, facts, findings
from modiste.report import figures, prose, ties
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
from modiste.report.choice import calibration_of, on_choice
from modiste.report.confirmed import confirmed, searched
from modiste.report.context import Context
from modiste.report.effects import effects
from modiste.report.effects_table import effects_table
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.folds import folds
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
from modiste.search.standing import SeedSpread

_SEEDS, _TRAININGS = Column("seeds"), Column("trainings")
_COLUMNS = (
    Column("point", is_number=False),
    _SEEDS,
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
_PUBLISHED_TEST = (Column("test accuracy", "published"),)  # where nothing else was published
_SEARCH = (Column("accuracy", "in the search"), Column("search less confirmed", "in the search"))
_RATE = (Column("final rate"),)
_REST = (Column("parameters"), Column("time"))
# Of a stage whose models are all fitted in one go: they have no epochs.
_IN_ONE_GO = (
    Column("point", is_number=False),
    _SEEDS,
    Column("loss", "validation"),
    Column("accuracy", "validation"),
    Column("95 % interval"),
)
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
            "the choice of images and, where comparable points were repeated, that of seeds; "
            "below each table stands which. Comparable are points of the same stage, or else of "
            "the same family on the same data. Rows stand best first "
            "by that accuracy; “≈” marks those that cannot be told from the best (paired on the "
            "same images, all rows allowed for: with 95 % confidence the truly best row is the "
            "first or one of these). Time is that of one training, validation included."
        )
    ]
    if any(len({row.row.until for row in stage.ranked}) > 1 for stage in context.stages):
        first.append(
            " Points that halving cut stand below those that it let go on, whatever their "
            "accuracy, and take no part in that comparison, which is of points trained as long "
            "as the first."
        )
    rows = [row for stage in context.stages for row in stage.rows]
    is_seeded = any(len(row.row.specs) > 1 and not row.is_folded for row in rows)
    kinds = ["seeds"] * is_seeded + ["folds"] * any(row.is_folded for row in rows)
    if kinds:
        first.append(f" Several {' or '.join(kinds)} are given as mean ± standard deviation.")
    return first


def _stage(context: Context, stage: StageFacts) -> list[Block]:
    blocks: list[Block] = [Heading(stage.title, f"stage-{stage.name}")]
    if facts_ := _facts(context, stage):
        blocks.append(Facts(facts_))
    blocks.append(Paragraph(prose.joined(prose.tried(context, stage), prose.seen(context, stage))))
    choices = effects(context, stage)
    paragraphs = (
        prose.closed(context, stage),
        prose.no_model(context, stage),
        confirmed(context, stage),
        prose.decided(context, stage),
        ties.decision(context, stage),
        ties.why_groups_differ(choices, stage),
    )
    blocks += [Paragraph(words) for words in paragraphs if words]
    if any(row.row.runs or row.published or row.committed for row in stage.rows):
        blocks.append(_table(context, stage))
    elif stage.rows:
        blocks.append(Paragraph([_bare(stage)], "note"))
    blocks += folds(context, stage)
    if choices:
        blocks.append(effects_table(context, stage, choices))
    if curves := figures.stage_figure(stage):
        blocks.append(curves)
    if remarks := _remarks(context, stage):
        blocks.append(remarks)
    return blocks


def _bare(stage: StageFacts) -> str:
    """The points of a stage that has neither a run nor a figure to put into a table."""
    groups = (
        ("none of which has been run yet", [row for row in stage.rows if row.row.is_chosen]),
        ("not run in this profile", [row for row in stage.rows if not row.row.is_chosen]),
    )
    return " ".join(
        f"Points, {what}: {'; '.join(row.label for row in rows)}." for what, rows in groups if rows
    )


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
        if len([row for row in stage.ranked if row.standing is not None]) > 1:
            pairs.append(("may be best, too", plural(len(tied), "point") if tied else "none"))
    if stage.seconds:
        pairs.append(("training time, all", duration(stage.seconds)))
    return pairs


def _table(context: Context, stage: StageFacts) -> Table:
    published = _published_columns(stage)
    before = searched(context, stage)
    more = (_SEARCH if before else ()) + published
    columns = (*_COLUMNS, *more, *_RATE) if stage.has_nets else (*_IN_ONE_GO, *more)
    columns += _REST
    if stage.is_folded:
        columns = tuple(_TRAININGS if column == _SEEDS else column for column in columns)
    shown, folded = _split(stage)
    rows = [
        _row(context, stage, row, bool(published), before)
        if row.runs
        else _without_runs(context, stage, row, bool(published), len(columns))
        for row in shown
    ]
    for group in folded:
        what = f"{count(len(group))} more points"
        cells = [Cell(what), Cell(group[0].status, span=len(columns) - 1)]
        rows.append(TableRow(cells, is_muted=True, is_rest=True))
    return Table(
        f"table-{stage.name}",
        _caption(context, stage, bool(published)),
        columns,
        rows,
        notes=_notes(context, stage, bool(published), folded),
        command=context.whole_command(stage.name),
        is_sortable=len(rows) > 1,
        gives_way=True,
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


def _split(stage: StageFacts) -> tuple[list[RowFacts], list[list[RowFacts]]]:
    """Rows that are shown, and groups of those, if many, with neither a run nor a figure.

    These are the ones that this profile leaves out, and the ones that it has not come to yet.
    """
    bare = [
        row
        for row in stage.rows
        if not row.row.runs and row.published is None and not row.committed
    ]
    groups = [[row for row in bare if row.row.is_chosen is chosen] for chosen in (True, False)]
    folded = [group for group in groups if len(group) > _FEW]
    hidden = {id(row) for group in folded for row in group}
    return [row for row in stage.in_order if id(row) not in hidden], folded


def _notes(
    context: Context, stage: StageFacts, published: bool, folded: Sequence[Sequence[RowFacts]]
) -> list[Words]:
    notes: list[Words] = []
    for group in folded:
        names = "; ".join(row.label for row in group)
        end = " and not published" if published else ""
        what = "Not finished yet" if group[0].row.is_chosen else "Not run in this profile"
        notes.append([f"{what}{end}: {names}."])
    if published and stage.touches_runs:
        notes.append(["‡ Between a run that was cut and one that was not: no reproduction."])
    if any(row.runs and not row.is_net for row in stage.rows):
        notes.append(
            [
                (
                    "A model that is fitted in one go has no epochs, and no loss unless it gives "
                    "probabilities; its parameters are the numbers that it keeps to answer with."
                )
            ]
        )
    notes += [[words] for words in _doubts(stage)]
    if searched(context, stage):
        notes.append(
            ["Search less confirmed, in points: above 0, the figure of the search was too high."]
        )
    if any(row.status == "from another stage" for row in stage.rows):
        notes.append(["§ The same run as in another stage; it does not compete in this one."])
    if stage.name in context.published.stages:
        theirs = context.published.stages[stage.name]
        if theirs.source:
            notes.append([f"The figures published here have another source: {theirs.source}"])
        if theirs.note:
            notes.append([f"On the published figures: {theirs.note}"])
    return notes


def _doubts(stage: StageFacts) -> list[str]:
    """What the intervals of the table cover, and by which trainings the seeds' spread is known."""
    rows = [row for row in stage.rows if row.interval is not None and row.is_net]
    if stage.is_folded and any(row.runs for row in stage.rows):
        return [
            (
                "Trainings of cross-validation differ in their images, so no interval stands "
                "here: see the next table. They are no seeds."
            )
        ]
    notes = []
    unknown = [row for row in rows if row.spread is None]
    if rows and len(unknown) == len(rows):
        return [
            (
                "The interval covers images only; the spread over seeds is not known: no "
                "comparable point was repeated."
            )
        ]
    if unknown:
        names = "; ".join(row.label for row in unknown)
        notes.append(
            f"Images only; the spread over seeds is not known, as no comparable point was "
            f"repeated: {names}."
        )
    for spread in dict.fromkeys(row.spread for row in rows if row.spread is not None):
        own = [row.label for row in rows if row.spread == spread]
        which = "" if len(own) == len(rows) else f" ({'; '.join(own)})"
        notes.append(f"The interval covers images and seeds{which}: {_spread_words(spread)}.")
    return notes


def _spread_words(spread: SeedSpread) -> str:
    deviation = f"{100 * math.sqrt(spread.pooled.variance):.2f} points"
    repeated = {
        "stage": f"the {plural(spread.num_points, 'repeated point')} of this stage",
        "family": f"{plural(spread.num_points, 'repeated point')} of the family on the same data",
        "row": (
            "its own seeds alone, because they scatter more than those of comparable points (F "
            "test)"
        ),
    }[spread.basis]
    degrees = f"{plural(spread.pooled.degrees, 'degree')} of freedom"
    return f"a seed moves an accuracy by {deviation} (standard deviation), by {repeated}, {degrees}"


def _row(
    context: Context,
    stage: StageFacts,
    row: RowFacts,
    published: bool,
    searched: Mapping[str, float],
) -> TableRow:
    cells = [_name(row), *_training(row), *_validation(context, stage, row)]
    if not stage.has_nets:
        cells = [_name(row), *_in_one_go(stage, row)]
    if searched:
        before = searched.get(row.row.label)
        now = row.mean(context.epoch, "val", "accuracy")
        cells += [Cell(proportion(before), before), difference(before, now, is_cut=False)]
    if published:
        cells += _published(context, stage, row)
    if stage.has_nets:
        rates = sorted(set(row.ends("learning_rate")))
        cells.append(Cell(", ".join(rate(r) for r in rates) or NONE, rates[0] if rates else None))
    cells += [Cell(count(row.parameters), row.parameters), Cell(duration(row.seconds), row.seconds)]
    return TableRow(cells)


def _without_runs(
    context: Context, stage: StageFacts, row: RowFacts, published: bool, num_columns: int
) -> TableRow:
    """Why there are no figures, and the published one."""
    if not published:
        cells = [Cell(row.label), Cell(row.status, span=num_columns - 1)]
        return TableRow(cells, is_muted=True)
    theirs, *others = _published(context, stage, row)
    after = len(others) + len(_RATE if stage.has_nets else ()) + len(_REST)
    cells = [Cell(row.label), Cell(row.status, span=num_columns - 2 - after), theirs]
    return TableRow([*cells, Cell("", span=after)], is_muted=True)


def _name(row: RowFacts) -> Cell:
    sign = " ≈" if row.is_tied else ""
    mark = "§" if row.status == "from another stage" else ""
    note = "" if mark else row.status
    return Cell(f"{row.label}{sign}", note=note, mark=mark)


def _training(row: RowFacts) -> list[Cell]:
    epochs = [float(number) for number in row.epochs("last")]
    done, wanted = len(row.runs), len(row.row.specs)
    seeds = NONE if not done else str(done) if done == wanted else f"{done} of {wanted}"
    if row.is_folded and done:
        seeds = row.trainings
    return [
        Cell(seeds, done or None),
        Cell(span(epochs) if epochs else NONE, max(epochs, default=None)),
        over_seeds(row.ends("train_loss"), deviates=False),
        over_seeds(row.ends("train_accuracy"), deviates=False),
    ]


def _validation(context: Context, stage: StageFacts, row: RowFacts) -> list[Cell]:
    bests = [float(number) for number in row.epochs("best")]
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


def _in_one_go(stage: StageFacts, row: RowFacts) -> list[Cell]:
    is_first = row.rank == 1 and len(stage.ranked) > 1
    return [
        _training(row)[0],
        over_seeds(row.values("last", "val", "loss"), deviates=False),
        over_seeds(row.values("last", "val", "accuracy"), is_strong=is_first),
        _interval(row),
    ]


def _interval(row: RowFacts) -> Cell:
    if row.interval is None:
        return Cell(NONE)
    low, high = row.interval
    return Cell(f"{proportion(low)}–{proportion(high)}", low)


def _published_columns(stage: StageFacts) -> tuple[Column, ...]:
    rows = [row.published for row in stage.rows if row.published is not None]
    tested = [row for row in rows if row.test_accuracy is not None and row.val_accuracy is None]
    if rows and len(tested) == len(rows):
        return _PUBLISHED_TEST
    return _PUBLISHED if rows else ()


def _published(context: Context, stage: StageFacts, row: RowFacts) -> list[Cell]:
    if _published_columns(stage) == _PUBLISHED_TEST:
        tested = row.published.test_accuracy if row.published else None
        return [Cell(proportion(tested), tested)]
    theirs = row.published.val_accuracy if row.published else None
    ours = row.mean(context.published.epoch, "val", "accuracy")
    return [
        Cell(proportion(theirs), theirs),
        difference(ours, theirs, is_cut=stage.touches_runs),
    ]


def _remarks(context: Context, stage: StageFacts) -> Remarks | None:
    """What the checks found, each with the models it was found in."""
    found: dict[str, list[tuple[str, str]]] = {}
    total = 0
    for row in stage.in_order:
        total += len(row.row.runs)
        for run in row.row.runs:
            for finding in findings(facts(run, calibration_of(context, run))):
                found.setdefault(finding.code, []).append((row.name_of(run), finding.text))
    remarks = [
        Remark(code, FINDINGS.get(code).title, FINDINGS.get(code).advice, total, about)
        for code, about in sorted(found.items())
    ]
    remarks += on_choice(context, stage)
    return Remarks(sorted(remarks, key=lambda remark: remark.code)) if remarks else None


SECTIONS.add("stages", Section("Stage by stage", 30, build))
