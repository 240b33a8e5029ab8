"""LEADERBOARD.md holds every look that was taken, and what it says is what was stored."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from docs import leaderboard
from modiste.recipes.files import every_recipe

ROOT = Path(__file__).resolve().parents[2]
LOOKS = ROOT / "benchmarks" / "results" / "test_looks.csv"


def test_the_page_is_what_the_stored_looks_say() -> None:
    text = (ROOT / "LEADERBOARD.md").read_text("utf-8")
    assert leaderboard.with_rows(text) == text, "run: python -m docs.leaderboard"


def test_every_look_has_its_line_and_every_line_its_look() -> None:
    with LOOKS.open(newline="") as lines:
        rows = {(row["sha256"], row["opened_at"]): row for row in csv.DictReader(lines)}
    looks = {(look["sha256"], look["opened_at"]): look for look in leaderboard.looks()}
    assert rows.keys() == looks.keys()
    for key, look in looks.items():
        assert float(rows[key]["accuracy"]) == pytest.approx(look["accuracy"]["mean"], abs=1e-5)
        assert (rows[key]["reached"] == "yes") is look["reached"]
        assert int(rows[key]["runs"]) == len(look["runs"]) >= 5


def test_a_recipe_that_was_looked_at_is_still_the_one_in_the_file() -> None:
    files = {file.name: file for file in every_recipe()}
    for look in leaderboard.looks():
        file = files[look["recipe"]]
        assert file.sha256 == look["sha256"]
        assert [run["seed"] for run in look["runs"]] == file.seeds(len(look["runs"]))
