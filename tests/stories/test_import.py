"""`modiste import` as a person uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import Place, new_place

pytestmark = pytest.mark.slow  # child processes

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return new_place(tmp_path)


def test_a_study_of_another_tool_becomes_a_report_with_remarks(place: Place) -> None:
    answer = place.ask("import", SAMPLES / "talos1.csv", "--num-val", "72")
    assert answer.status == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "Talos: 6 rows, ranked by val_accuracy"
    assert "rows that may be the best one: 3 of 6" in lines
    assert any(line.startswith("M007 single seed: each of the 6 rows") for line in lines)
    report = place.root / lines[-1]
    assert report == place.root / "runs" / "imported" / "talos1" / "report.html"
    first = report.read_bytes()
    report.unlink()
    again = place.ask("report", report.parent)
    assert again.status == 0, again.err
    assert report.read_bytes() == first


def test_the_answer_as_json(place: Place) -> None:
    words = ["import", SAMPLES / "optuna.db", "--study", "mlp", "--out", "o", "--json"]
    value = place.ask(*words).json
    assert (value["tool"], value["rows"], len(value["ranked"])) == ("Optuna", 9, 3)
    assert value["may_be_best"] is None
    assert [finding["code"] for finding in value["findings"]] == ["M010"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.csv"], "there is no such file or folder"),
        ([SAMPLES / "optuna.db"], "--study: mlp, two"),
        ([SAMPLES / "talos1.csv", "--scored-on", "tset"], "Did you mean 'test'?"),
        ([SAMPLES / "talos1.csv", "--direction", "up"], "Known: max, min"),
    ],
    ids=["no file", "which study", "no such part", "no such direction"],
)
def test_what_makes_no_sense_leaves_with_status_2(
    place: Place, words: list[str | Path], said: str
) -> None:
    answer = place.ask("import", *words)
    assert answer.status == 2
    assert said in answer.err
    assert not (place.root / "runs").exists()
