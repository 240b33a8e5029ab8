"""A study that another tool made, as rows that say what evidence they are.

    FOLDER/
      imported.json   the rows, with what is known of where their figures come from
      report.html, report.md

It holds no run of ours: no fingerprint, no predictions and no weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from modiste.errors import SpecError, StoreError
from modiste.evaluate.finding import Finding
from modiste.evaluate.study_finding import Entry, Space, StudyFacts, study_findings
from modiste.runs import files
from modiste.spec.base import Spec

SCHEMA = 1
FILE = "imported.json"

Status = Literal["finished", "pruned", "failed", "unfinished"]
ScoredOn = Literal["validation", "test", "training"]


class ImportedRow(Spec):
    """One trial of another tool.

    Attributes:
        label: As the tool counts: ``trial 3``.
        settings: Its hyperparameters.
        status: Only finished rows compete.
        figure: What ranks it; none if it has none, or none that is finite.
        figures: Every figure that was recorded, by name.
        epochs: Trained, where that is known.
        seconds: Of the whole trial, where that is known.
        seeds: Trainings behind the figure, where that is known.
        evidence: What kind of number the figure is.
    """

    label: str
    settings: dict[str, Any] = {}
    status: Status = "finished"
    figure: float | None = None
    figures: dict[str, float] = {}
    epochs: int | None = Field(None, ge=0)
    seconds: float | None = None
    seeds: int | None = Field(None, ge=1)
    evidence: str


class Imported(Spec):
    """A study of another tool.

    Attributes:
        tool: Which one, with its version where that is known.
        source: Name of the file or folder that it was read from.
        figure: Name of the figure that ranks.
        direction: Which figure is better, the larger (``max``) or the smaller one.
        epoch: Whose figure it is: see `StudyFacts.epoch`.
        scored_on: The images that it was measured on, as far as that is known.
        num_images: How many these are, where the figure is an accuracy and somebody says so.
        rows: In the order of the source.
        space: What settings were allowed to be, where the source holds it.
        refolded: See `StudyFacts.refolded`.
        notes: What else a reader should know, as sentences.
    """

    tool: str
    source: str
    figure: str
    direction: Literal["max", "min"] = "max"
    epoch: Literal["best", "last"] | None = None
    scored_on: ScoredOn | None = None
    num_images: int | None = Field(None, ge=1)
    rows: tuple[ImportedRow, ...]
    space: dict[str, Space] = {}
    refolded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ranked(self) -> list[ImportedRow]:
        """Rows that compete, best first; equal ones in the order of the source."""
        sign = -1 if self.direction == "max" else 1
        rows = [row for row in self.rows if row.status == "finished" and row.figure is not None]
        return sorted(rows, key=lambda row: sign * (row.figure or 0.0))

    def findings(self) -> list[Finding]:
        """What the checks of studies remark."""
        entries = [
            Entry(row.label, row.settings, row.figure or 0.0, row.seeds, self.num_images)
            for row in self.ranked
        ]
        also = {name for row in self.rows for name in row.figures} - {self.figure}
        return study_findings(
            StudyFacts(
                entries,
                figure=self.figure,
                space=self.space,
                epoch=self.epoch,
                scored_on=self.scored_on,
                also=sorted(also),
                refolded=self.refolded,
            )
        )


def save_imported(imported: Imported, folder: Path) -> None:
    """Write `imported.json`; one that is there is replaced.

    Raises:
        StoreError: If the folder holds a study of ours, or cannot be written.
    """
    for name in ("study.json", "manifest.json"):
        if (folder / name).exists():
            raise StoreError(f"{folder}: holds something else ({name}). Choose another with --out.")
    files.write_json(folder / FILE, {"schema": SCHEMA, **imported.to_dict()})


def load_imported(folder: Path) -> Imported:
    """Read a folder that `save_imported` wrote.

    Raises:
        StoreError: If it holds no `imported.json`, or one of another version.
        SpecError: If something in it makes no sense; names the key.
    """
    if not (folder / FILE).is_file():
        raise StoreError(f"{folder}: no imported study (it holds no {FILE}).")
    value = files.read_json(folder / FILE)
    if (schema := value.pop("schema", None)) != SCHEMA:
        raise StoreError(f"{folder / FILE}: schema {schema}, not {SCHEMA}. Import it again.")
    return Imported.parse(value, str(folder / FILE))


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object of another tool.

    Raises:
        SpecError: If it is none.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError(f"{path}: cannot be read as JSON ({error}).") from None
    if not isinstance(value, dict):
        raise SpecError(f"{path}: expected a JSON object.")
    return value
