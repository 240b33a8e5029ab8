"""The models that the study ends with: their test accuracy, and their answers in detail."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from modiste.artifact.exports import exports
from modiste.report import cells, looks
from modiste.report.blocks import (
    Block,
    Cell,
    Code,
    CodeLine,
    Column,
    Inline,
    Paragraph,
    Ref,
    Table,
    TableRow,
    Words,
)
from modiste.report.confusions import detail
from modiste.report.context import Context
from modiste.report.ensembles import ensembles
from modiste.report.facts import RowFacts, StageFacts, mean
from modiste.report.looks import Score
from modiste.report.numbers import NONE, count, listing, proportion
from modiste.report.prose import code_list
from modiste.report.saved import shown_part
from modiste.report.section import SECTIONS, Section
from modiste.report.stress import stressed
from modiste.runs.run import Epoch


def build(context: Context) -> Sequence[Block]:
    """Test figures as far as the test set was opened; validation figures otherwise."""
    blocks: list[Block] = [Paragraph(_words(context))]
    if context.looks:
        blocks.append(_looks_table(context))
        commands = dict.fromkeys(context.stored_command(look) for look in context.looks)
        blocks += [CodeLine(command) for command in commands]
        blocks.append(_test_table(context))
    blocks += _files(context)
    if parts := _parts(context):
        blocks.append(Paragraph([parts]))
    for stage, row in context.detailed:
        blocks += detail(context, stage, row)
    return [*blocks, *ensembles(context), *stressed(context)]


def _words(context: Context) -> list[Inline]:
    if context.looks:
        return [
            (
                f"The test set was opened {looks.times(len(context.looks))} to measure models of "
                "this study. Each look is for a frozen list of models, fixed before it ("
            ),
            Ref("table-looks"),
            "). ",
            *looks.tally_words(context.tally),
        ]
    return ["The test set was not opened for this study. ", *looks.tally_words(context.tally)]


def _files(context: Context) -> list[Block]:
    """Where the models lie, ready to be used; nothing where none was saved."""
    found = exports(context.study.folder)
    if not found:
        return []
    saved = [f"models/{model.name}" for model in found]
    shipped = [f"exported/{folder.name}" for folder in found.values() if folder is not None]
    words = ["To be used, in the folder of this report: ", *code_list(saved)]
    if shipped:
        words.append("; as ONNX, with the proof that it answers alike and without torch: ")
        words += code_list(shipped)
    words.append(".")
    commands = [["modiste", "predict", [*shipped, *saved][0], "IMAGE"]]
    if not shipped:
        target = saved[0].replace("models", "exported", 1)
        commands.append(["modiste", "export", saved[0], "--to", target])
    return [Paragraph(words), *(CodeLine(shlex.join(command)) for command in commands)]


def _parts(context: Context) -> str:
    """Which final models are described on which images, and which two are one."""
    names: dict[str, list[str]] = {"test": [], "validation": []}
    for stage, row in context.detailed:
        names[shown_part(context, row)].append(cells.full_name(stage, row))
    words = []
    if names["test"]:
        words.append(f"Described below on the test images of a look: {listing(names['test'])}.")
    if names["validation"]:
        words.append(
            "Described below on validation images, for want of a look: "
            f"{listing(names['validation'])}. These images decided when a training stopped and, in "
            "some stages, which model was taken, so figures on them are likely to be a little too "
            "good."
        )
    words += [
        f"{stage.title} is, run for run, {other.title}; it is described once."
        for stage, other in context.same_as_another
    ]
    return " ".join(words)


def _looks_table(context: Context) -> Table:
    rows = [
        TableRow(
            [
                Cell(look.opened_at or NONE),
                Cell(look.reason),
                Cell(", ".join(sorted({run.stage or run.label for run in look.runs}))),
                Cell(count(len(look.runs))),
                Cell(looks.number(look.tally.looks)),
                Cell(look.tally.head[:12]),
            ]
        )
        for look in context.looks
    ]
    return Table(
        "table-looks",
        ["Openings of the test set for this study."],
        [
            Column("opened", is_number=False),
            Column("reason", is_number=False),
            Column("stages", is_number=False),
            Column("models"),
            Column("looks by then, with this one"),
            Column("head of the ledger then", is_number=False),
        ],
        rows,
        notes=[
            [
                "What each look found is stored in the folder of this report, under ",
                Code("final/"),
                (
                    ". The commands under its figures are meant for that folder: they show what "
                    "is stored, and open nothing."
                ),
            ]
        ],
    )


def _test_table(context: Context) -> Table:
    models = _looked_at(context)
    both: tuple[Epoch, ...] = ("last", "best")
    found = [
        {epoch: looks.scores(context.looks, row.row.fingerprints, epoch) for epoch in both}
        for _, row in models
    ]
    sizes = {score.total for scores in found for epoch in both for score in scores[epoch]}
    rows = [_test_row(*model, scores) for model, scores in zip(models, found, strict=True)]
    notes: list[Words] = [
        [
            (
                "Intervals are Wilson’s at 95 %, for the mean of the seeds: they cover the choice "
                "of images, not that of seeds, which is the ± (standard deviation)."
            )
        ]
    ]
    for stage, row in models:
        if stage.touches_runs and row.published and stage.cut:
            notes.append([f"‡ {stage.title} was cut: {stage.cut.text()}; no reproduction."])
    size = f"{count(max(sizes))} test images" if sizes else "test images"
    return Table(
        "table-test",
        [f"The models that were shown the {size}."],
        [
            Column("model", is_number=False),
            Column("parameters"),
            Column("seeds"),
            Column("accuracy", "test, last epoch"),
            Column("95 % interval", "test, last epoch"),
            Column("accuracy", "test, best epoch"),
            Column("95 % interval", "test, best epoch"),
            Column("accuracy", "published"),
            Column("difference, last epoch", "published"),
            Column("difference, best epoch", "published"),
        ],
        rows,
        notes=notes,
        is_sortable=len(rows) > 1,
    )


def _test_row(stage: StageFacts, row: RowFacts, scores: dict[Epoch, list[Score]]) -> TableRow:
    accuracies = {epoch: [score.accuracy for score in found] for epoch, found in scores.items()}
    totals = [score.total for found in scores.values() for score in found]
    total = max(totals, default=0)
    theirs = row.published.test_accuracy if row.published else None
    return TableRow(
        [
            Cell(cells.full_name(stage, row)),
            Cell(count(row.parameters), row.parameters),
            Cell(count(len(accuracies["last"]))),
            cells.over_seeds(accuracies["last"]),
            cells.interval(accuracies["last"], total),
            cells.over_seeds(accuracies["best"]),
            cells.interval(accuracies["best"], total),
            Cell(proportion(theirs), theirs),
            cells.difference(mean(accuracies["last"]), theirs, is_cut=stage.touches_runs),
            cells.difference(mean(accuracies["best"]), theirs, is_cut=stage.touches_runs),
        ]
    )


def _looked_at(context: Context) -> list[tuple[StageFacts, RowFacts]]:
    """Rows of the stages that were looked at; another stage may hold the same runs.

    A run that was looked at on its own stands for every stage that holds it.
    """
    looked = {(run.stage, run.fingerprint) for look in context.looks for run in look.runs}
    return [
        (stage, row)
        for stage in context.stages
        for row in stage.rows
        if any(looked & {(stage.name, name), ("", name)} for name in row.row.fingerprints)
    ]


SECTIONS.add("final", Section("Final models", 50, build))
