"""The table of what each choice of a stage is worth; the figures come from `effects`."""

from __future__ import annotations

from modiste.report.blocks import Cell, Column, Table, TableRow, Words
from modiste.report.context import Context
from modiste.report.effects import Effect, Effects
from modiste.report.facts import StageFacts
from modiste.report.numbers import NONE, bound, count, points, proportion


def effects_table(context: Context, stage: StageFacts, choices: Effects) -> Table:
    """A row for each value of each choice, the difference in bold where it is clear."""
    rows = []
    without_seeds = _without_seeds(choices)
    for choice in choices.effects:
        found = choice.contrast
        interval = NONE
        if found.low is not None and found.high is not None:
            interval = f"{bound(found.low)} to {bound(found.high)}"
        rows.append(
            TableRow(
                [
                    Cell(choice.key, mark="¶" if choice.key in choices.part else ""),
                    Cell(choice.value),
                    Cell(f"{count(choice.num_points)} v {count(choice.num_others)}"),
                    Cell(count(choice.num_settings), choice.num_settings),
                    Cell(proportion(found.one), found.one),
                    Cell(points(found.difference), found.difference, is_strong=choice.is_clear),
                    Cell(interval, mark="‖" if choice in without_seeds else ""),
                ]
            )
        )
    so_far = ""
    if not choices.is_whole:
        so_far = f" So far {choices.num_done} of {choices.num_points} points are finished."
    return Table(
        f"table-effects-{stage.name}",
        [
            (
                "What each choice is worth: points with this value against points with another "
                f"one that agree in everything else.{so_far}"
            )
        ],
        [
            Column("choice", is_number=False),
            Column("value", is_number=False),
            Column("points"),
            Column("settings of the rest"),
            Column("validation accuracy"),
            Column("against the others"),
            Column("95 % interval"),
        ],
        rows,
        notes=_notes(choices),
        command=context.whole_command(stage.name),
    )


def _notes(choices: Effects) -> list[Words]:
    notes: list[Words] = [
        [
            (
                f"Differences are points, each the mean over the settings of all other choices "
                f"within which both were compared. {_covered(choices)}"
            )
        ]
    ]
    if _without_seeds(choices):
        notes.append(
            [
                (
                    f"‖ {'Images only' if choices.covers_images else 'No interval'}; of some of "
                    "its points the spread over seeds is not known, so it is not bold."
                )
            ]
        )
    if choices.part:
        parts = "; ".join(f"{name}: {words}" for name, words in choices.part.items())
        notes.append([f"¶ Over a balanced part of the points: {parts}."])
    return notes


def _without_seeds(choices: Effects) -> list[Effect]:
    """Choices whose intervals do not cover seeds, where those of others do."""
    found = [choice for choice in choices.effects if not choice.covers_seeds]
    return found if len(found) < len(choices.effects) else []


def _covered(choices: Effects) -> str:
    """What the intervals cover, and why no difference is bold where that is not all."""
    no_seeds = not any(choice.covers_seeds for choice in choices.effects)
    no_images = not choices.covers_images
    if no_seeds and no_images:
        return (
            "No intervals, and none is bold: the spread over seeds is not known, and the points "
            "answered different images."
        )
    if no_seeds:
        return "Intervals cover images only; the spread over seeds is not known, so none is bold."
    if no_images:
        return "Intervals cover seeds only; the points answered different images, so none is bold."
    return (
        "Intervals cover seeds and images, each for itself. Bold: leaves out 0 even with all "
        f"{len(choices.effects)} intervals allowed for (Bonferroni)."
    )
