"""The frontier holds what nothing beats, keeps validation and test apart, and says where from."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modiste.api.frontier import frontier
from modiste.errors import StoreError
from modiste.report.frontier.points import COSTS, Point, known_elsewhere, table, unbeaten

A = Point("a", "recipe", "test", 0.90, parameters=10)
SPEEDRUN: dict[str, Any] = {
    "recipe": "tiny",
    "data": "fashion-mnist",
    "part": "validation",
    "accuracy": {"mean": 0.93, "low": 0.92, "high": 0.94},
    "parameters": 1000,
    "flops": 2.0e6,
    "seconds": {"median": 12.5},
    "latency": 0.001,
}


def test_equal_accuracy_for_more_is_beaten() -> None:
    assert unbeaten([A, replace(A, name="b", parameters=11)], "parameters") == [A]
    better = replace(A, name="c", accuracy=0.91)
    assert unbeaten([A, better], "parameters") == [better]
    assert unbeaten([replace(A, parameters=None)], "parameters") == []


def test_validation_and_test_accuracies_do_not_compete() -> None:
    val = replace(A, name="v", part="validation", accuracy=0.99)
    assert [row["unbeaten_at"] for row in table([A, val])] == ["parameters", "parameters"]


def test_every_figure_from_elsewhere_says_whose_it_is() -> None:
    points = known_elsewhere()
    assert len(points) > 5
    for point in points:
        assert point.note
        assert point.parameters
        assert 0.8 < point.accuracy < 0.97


def test_recipes_are_drawn_beside_what_others_published(tmp_path: Path) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(json.dumps(SPEEDRUN))
    found, paths = frontier(speedruns=[file], out=tmp_path / "out")
    assert [path.name for path in paths] == [
        f"frontier.{end}" for end in ("svg", "png", "csv", "md")
    ]
    mine = [row for row in found if row["whose"] == "recipe"]
    assert [(row["name"], row["unbeaten_at"]) for row in mine] == [("tiny", ", ".join(COSTS))]
    with paths[2].open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(found) == 1 + len(known_elsewhere())
    text = paths[0].read_text("utf-8")
    for words in (*COSTS.values(), "our recipes, validation", "published by others, test", "tiny"):
        assert words in text
    again, _ = frontier(speedruns=[file], out=tmp_path / "again")
    assert (tmp_path / "again" / "frontier.svg").read_text("utf-8") == text
    assert again == found


def test_other_images_stand_beside_nothing_published(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    file.write_text(json.dumps({**SPEEDRUN, "data": "folder"}))
    found, paths = frontier(speedruns=[file], out=tmp_path / "out")
    assert [row["name"] for row in found] == ["tiny"]
    assert "folder: accuracy against" in paths[0].read_text("utf-8")
    both = [file, tmp_path / "other.json"]
    both[1].write_text(json.dumps(SPEEDRUN))
    with pytest.raises(StoreError, match=r"several data sets \(fashion-mnist, folder\)"):
        frontier(speedruns=both, out=tmp_path / "out")


def test_what_is_no_result_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("{}")
    with pytest.raises(StoreError, match=r"modiste speedrun --json"):
        frontier(speedruns=[file], out=tmp_path / "out")
    with pytest.raises(StoreError, match="nothing to draw"):
        frontier(out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
