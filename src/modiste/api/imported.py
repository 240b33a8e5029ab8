"""Studies of other tools, read into a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from modiste.errors import SpecError, need_path
from modiste.report.imported import write_imported
from modiste.report.numbers import plural
from modiste.search.imported import Imported, ImportedRow, save_imported
from modiste.search.reader import Direction, Stated, is_accuracy, read_foreign


def import_study(
    source: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    num_val: int | None = None,
    scored_on: Literal["validation", "test"] | None = None,
    seeds: int | None = None,
    metric: str | None = None,
    direction: Direction | None = None,
    study: str | None = None,
) -> tuple[Imported, Path]:
    """Read a Talos CSV, a KerasTuner folder or an Optuna database, and write its report.

    Args:
        source: The file or folder; it is only read.
        out: Where `imported.json` and the report go; ``runs/imported/NAME`` if not given.
        num_val: Images behind the accuracy that ranks, which no such tool records.
        scored_on: What these images were, where the source does not say or says it wrongly.
        seeds: Trainings behind each row, where the source does not say.
        metric: The figure that ranks; the tool's own choice if not given.
        direction: ``max`` or ``min``; as the tool or the metric's name says if not given.
        study: Of a database that holds several.

    Returns:
        What was read, and the folder.

    Raises:
        SpecError: If the source is no study of a known tool, or what is stated does not fit it.
        StoreError: If the folder cannot be written, or holds something else.
    """
    place = need_path(source, "source")
    found = read_foreign(place, Stated(study, metric, direction))
    if num_val is not None:
        _check_accuracy(found)
    rows = found.rows if seeds is None else tuple(_with_seeds(row, seeds) for row in found.rows)
    stated = {"num_images": num_val, "scored_on": scored_on or found.scored_on, "rows": rows}
    imported = found.model_copy(update=stated)
    folder = Path(out) if out is not None else Path("runs") / "imported" / (study or place.stem)
    save_imported(imported, folder)
    write_imported(folder)
    return imported, folder


def _with_seeds(row: ImportedRow, seeds: int) -> ImportedRow:
    """What the source says stays; where it says nothing, what was stated counts, and says so."""
    if row.seeds is not None:
        return row
    evidence = f"{row.evidence}; as was stated, {plural(seeds, 'training')}"
    return row.model_copy(update={"seeds": seeds, "evidence": evidence})


def _check_accuracy(found: Imported) -> None:
    """A number of images gives the error of a share of right answers, and of nothing else."""
    figures = [row.figure for row in found.ranked]
    is_share = all(figure is not None and 0 <= figure <= 1 for figure in figures)
    # Optuna's objective has no name of its own: whoever states its images says what it is.
    is_named = is_accuracy(found.figure) or found.figure.startswith("objective")
    if not is_share or not is_named or found.direction == "min":
        raise SpecError(
            f"--num-val: from a number of images follows the error of an accuracy, and "
            f"{found.figure} is none. Name an accuracy with --metric (`metric=` in Python), "
            "or leave --num-val out."
        )
