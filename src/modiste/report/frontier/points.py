"""Models as points, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import yaml

from modiste.errors import StoreError
from modiste.search.table import Table

# What an accuracy is drawn against: the attribute, and what it says on the axis.
COSTS = {
    "parameters": "parameters",
    "flops": "FLOPs, forward, one image",
    "seconds": "training (s)",
    "latency": "one image, one thread (s)",
}
Whose = Literal["study", "recipe", "published"]
Part = Literal["validation", "test"]


@dataclass(frozen=True)
class Point:
    """A model's accuracy, and what is known of its cost.

    Attributes:
        whose: Rows of our studies, frozen recipes, or published figures.
        part: Which images the accuracy is of.
        low, high: Of its 95 % interval; none if none is known.
        parameters: In all.
        flops: Forward, of one image.
        seconds: Of training, on the machine that trained it.
        latency: Seconds for one image.
        note: What a reader should know.
    """

    name: str
    whose: Whose
    part: Part
    accuracy: float
    low: float | None = None
    high: float | None = None
    parameters: int | None = None
    flops: float | None = None
    seconds: float | None = None
    latency: float | None = None
    note: str = ""


def of_speedrun(found: Mapping[str, Any]) -> Point:
    """A recipe as `modiste speedrun --json` printed it.

    Raises:
        StoreError: If a key is missing.
    """
    try:
        if not isinstance(found["data"], str):
            raise TypeError(found["data"])
        accuracy = found["accuracy"]
        return Point(
            found["recipe"],
            "recipe",
            found["part"],
            accuracy["mean"],
            accuracy["low"],
            accuracy["high"],
            found["parameters"],
            found["flops"],
            found["seconds"]["median"],
            found["latency"],
        )
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"this is not what `modiste speedrun --json` prints ({error!r})."
        ) from None


def of_leaderboard(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Finished rows of a study, on its validation images."""
    return [
        Point(
            f"{row['stage']}: {row['point']}",
            "study",
            "validation",
            row["val_accuracy"],
            row["low"],
            row["high"],
            row["parameters"],
            row["flops"],
            row["seconds"],
            row["latency"],
        )
        for row in rows
        if row["status"] == "finished" and row["val_accuracy"] is not None
    ]


def of_publication(published: Mapping[str, Any]) -> list[Point]:
    """Test accuracies that a study's file of published figures holds."""
    return [
        Point(
            row.get("name") or stage,
            "published",
            "test",
            row["test_accuracy"],
            parameters=(row.get("parameters") or {}).get("total"),
            note=str(content.get("source") or published.get("source") or ""),
        )
        for stage, content in (published.get("stages") or {}).items()
        for row in content.get("rows", ())
        if row.get("test_accuracy") is not None
    ]


def known_elsewhere() -> list[Point]:
    """Figures for Fashion-MNIST that others published, with what is to be doubted of them."""
    text = files("modiste.report.frontier").joinpath("elsewhere.yaml").read_text("utf-8")
    return [Point(whose="published", part="test", **row) for row in yaml.safe_load(text)]


def unbeaten(points: Sequence[Point], cost: str) -> list[Point]:
    """Those that no other equals or beats for as little or less of a cost, cheapest first.

    Args:
        points: Those without that cost are left out.
        cost: A key of `COSTS`.

    Example:
        >>> a = Point("a", "recipe", "test", 0.90, parameters=10)
        >>> b = Point("b", "recipe", "test", 0.89, parameters=20)
        >>> c = Point("c", "recipe", "test", 0.95, parameters=30)
        >>> [point.name for point in unbeaten([c, b, a], "parameters")]
        ['a', 'c']
    """
    known = [point for point in points if getattr(point, cost) is not None]
    best: list[Point] = []
    for point in sorted(known, key=lambda point: (getattr(point, cost), -point.accuracy)):
        if not best or point.accuracy > best[-1].accuracy:
            best.append(point)
    return best


def table(points: Sequence[Point]) -> Table:
    """Every point as a line, the most accurate first; ``unbeaten_at`` names costs it leads at."""
    lines = []
    leaders = {
        (part, cost): unbeaten([point for point in points if point.part == part], cost)
        for part in ("test", "validation")
        for cost in COSTS
    }
    for point in sorted(points, key=lambda point: (point.part != "test", -point.accuracy)):
        leads = [cost for cost in COSTS if point in leaders[point.part, cost]]
        lines.append({**vars(point), "unbeaten_at": ", ".join(leads)})
    return Table(lines)
