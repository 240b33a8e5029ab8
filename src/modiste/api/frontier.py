"""Accuracy against its costs, over studies, recipes and what others published."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from modiste.api.given import each_folder
from modiste.errors import StoreError
from modiste.report.frontier.draw import draw
from modiste.report.frontier.points import (
    Point,
    known_elsewhere,
    of_leaderboard,
    of_publication,
    of_speedrun,
    table,
)
from modiste.runs import files
from modiste.search.study import Study
from modiste.search.table import Table

DATA = "fashion-mnist"


def frontier(
    studies: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    speedruns: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    out: str | os.PathLike[str] = "frontier",
) -> tuple[Table, list[Path]]:
    """Draw accuracy against parameters, FLOPs, training time and latency.

    Args:
        studies: Study folders: their finished rows, on validation images, and the test accuracies
            that they are compared with.
        speedruns: Files that hold what `modiste speedrun --json` printed.
        out: The folder for `frontier.svg`, `frontier.png`, `frontier.csv` and `frontier.md`.

    Returns:
        A line for each point, and the files.

    Raises:
        StoreError: If there is nothing to draw, or a file is not what it should be.
    """
    points: list[Point] = []
    data = set()
    for folder in each_folder(studies, "studies"):
        study = Study.open(folder)
        points += of_leaderboard(study.table()) + of_publication(study.published)
        data |= _data_name(study)
    for file in each_folder(speedruns, "speedruns"):
        found = files.read_json(Path(file))
        points.append(of_speedrun(found))
        data.add(str(found["data"]))
    if not points:
        raise StoreError(
            "nothing to draw: name a study folder, or --speedruns FILE (`speedruns=` in Python)."
        )
    if len(data) > 1:
        raise StoreError(
            f"these are of several data sets ({', '.join(sorted(data))}): draw each alone."
        )
    if data == {DATA}:
        points += known_elsewhere()
    lines, folder = table(points), Path(out)
    paths = draw(points, f"{', '.join(data)}: accuracy against what it costs", folder)
    for name, text in (("frontier.csv", lines.csv()), ("frontier.md", lines.markdown())):
        files.write_bytes(folder / name, files.to_utf8(text))
        paths.append(folder / name)
    return lines, paths


def _data_name(study: Study) -> set[str]:
    """What people call its data set; the source where no run has said it yet."""
    rows = [row for stage in study.stages() for row in stage.rows]
    for run in (run for row in rows for run in row.runs):
        return {run.data_name}
    return {spec.data.name for row in rows for spec in row.specs}
