"""Where and how long it was computed, and the commands that do it again."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.report.blocks import Block, Cell, CodeLine, Column, Paragraph, Table, TableRow
from modiste.report.context import Context
from modiste.report.numbers import NONE, count, duration, plural
from modiste.report.section import SECTIONS, Section


def build(context: Context) -> Sequence[Block]:
    """Environment, time by stage, commands."""
    blocks: list[Block] = [
        Paragraph(
            [
                "On one kind of processor and with the same versions, the same command gives the "
                "same weights, bit for bit; on another kind the last bits differ, and trainings "
                "drift apart. Each table above carries the command that makes its numbers again; "
                "this one makes all of them:"
            ]
        ),
        CodeLine(context.command()),
        Paragraph(["And this one writes the report again, from the folders of the runs:"]),
        CodeLine(f"modiste report runs/{context.study.name}-{context.study.profile}"),
    ]
    if not context.runs:
        return blocks
    return [*blocks, _environment(context), _time(context)]


def _environment(context: Context) -> Table:
    found: dict[str, dict[str, int]] = {}
    for run in context.runs:
        environment = run.environment
        packages = environment.get("packages", {})
        values = {
            "processor": environment.get("cpu"),
            "cores": environment.get("cores"),
            "device": environment.get("device"),
            "threads of one training": environment.get("threads"),
            "system": environment.get("platform"),
            "Python": environment.get("python"),
            **{str(name): version for name, version in packages.items()},
            "numerics version": environment.get("numerics_version"),
            "commit": environment.get("git_commit"),
        }
        for name, value in values.items():
            text = NONE if value is None else str(value)
            counts = found.setdefault(name, {})
            counts[text] = counts.get(text, 0) + 1
    rows = [TableRow([Cell(name), Cell(_counted(counts))]) for name, counts in found.items()]
    return Table(
        "table-environment",
        [f"Environment of the {plural(len(context.runs), 'run')}."],
        [Column("what", is_number=False), Column("value", is_number=False)],
        rows,
        notes=[["A + after the commit: files had been changed since."]]
        if any("+" in text for text in found["commit"])
        else (),
    )


def _counted(counts: dict[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{text} ({plural(number, 'run')})" for text, number in counts.items())


def _time(context: Context) -> Table:
    rows = []
    counted: set[str] = set()
    for stage in context.stages:
        runs = [run for row in stage.rows for run in row.row.runs]
        new = [run for run in runs if run.fingerprint not in counted]
        counted.update(run.fingerprint for run in runs)
        seconds = sum(run.metrics["seconds"] for run in new)
        epochs = sum(run.metrics["epochs"] for run in new)
        rows.append(
            TableRow(
                [
                    Cell(stage.title),
                    Cell(count(len(new)), len(new)),
                    Cell(count(epochs) if new else NONE, epochs or None),
                    Cell(duration(seconds) if new else NONE, seconds or None),
                    Cell(duration(seconds / epochs) if epochs else NONE,
                         seconds / epochs if epochs else None),
                ],
                is_muted=not new,
            )
        )
    total = sum(run.metrics["seconds"] for run in context.runs)
    rows.append(
        TableRow(
            [
                Cell("all", is_strong=True),
                Cell(count(len(context.runs)), is_strong=True),
                Cell(count(sum(run.metrics["epochs"] for run in context.runs)), is_strong=True),
                Cell(duration(total), is_strong=True),
                Cell(""),
            ]
        )
    )
    return Table(
        "table-time",
        [
            "Time of the trainings, validation after each epoch included. Runs that went on side "
            "by side each count in full; one that two stages share counts in the first."
        ],
        [Column("stage", is_number=False), Column("runs"), Column("epochs"), Column("time"),
         Column("per epoch")],
        rows,
    )


SECTIONS.add("environment", Section("Environment, time, commands", 60, build))
