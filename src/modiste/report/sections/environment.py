"""Where and how long it was computed, and the commands that do it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from modiste.report.blocks import Block, Cell, CodeLine, Column, Paragraph, Table, TableRow
from modiste.report.context import Context
from modiste.report.numbers import NONE, count, duration, plural
from modiste.report.section import SECTIONS, Section
from modiste.runs.run import Run


def build(context: Context) -> Sequence[Block]:
    """Environment, time by stage, commands."""
    blocks: list[Block] = [
        Paragraph(
            [
                (
                    "On one kind of processor and with the same versions, the same command gives "
                    "the same weights, bit for bit; on another kind the last bits differ, and "
                    "trainings drift apart. Each table of results carries the command that makes "
                    "it again; this one makes all of them:"
                )
            ]
        ),
        CodeLine(context.command()),
        Paragraph(["And this one writes the report again, from the folders of the runs:"]),
        CodeLine(shlex.join(["modiste", "report", context.study.out])),
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
        runs = {run.fingerprint: run for row in stage.rows for run in row.row.runs}
        new = [run for name, run in runs.items() if name not in counted]
        counted.update(runs)
        rows.append(_time_row(stage.title, new))
    rows.append(_time_row("all", context.runs, is_strong=True))
    return Table(
        "table-time",
        [
            (
                "Time of the trainings, validation after each epoch included. Runs that went on "
                "side by side each count in full; one that two stages share counts in the first."
            )
        ],
        [
            Column("stage", is_number=False),
            Column("runs"),
            Column("epochs"),
            Column("time"),
            Column("per epoch"),
        ],
        rows,
    )


def _time_row(name: str, runs: Sequence[Run], *, is_strong: bool = False) -> TableRow:
    seconds = float(sum(run.metrics["seconds"] for run in runs))
    epochs = sum(run.metrics["epochs"] for run in runs)
    in_epochs = float(sum(run.metrics["seconds"] for run in runs if run.metrics["epochs"]))
    return TableRow(
        [
            Cell(name, is_strong=is_strong),
            Cell(count(len(runs)), is_strong=is_strong),
            Cell(count(epochs) if epochs else NONE, is_strong=is_strong),
            Cell(duration(seconds if runs else None), is_strong=is_strong),
            Cell(duration(in_epochs / epochs if epochs else None), is_strong=is_strong),
        ],
        is_muted=not runs,
    )


SECTIONS.add("environment", Section("Environment, time, commands", 60, build))
