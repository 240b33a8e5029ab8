"""A search from a file of one question to its leaderboard, in a shell; and what is refused."""

from __future__ import annotations

import csv
import io
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from modiste.search.study import Study
from tests.command_line import Cli, Place, new_place
from tests.synthetic import write_idx

# What a machine that others use meanwhile may take longer than was reckoned before (decision 0032).
SLACK = 1.5
FLAT: dict[str, Any] = {
    "question": "Does dropout help an MLP once its rate is tuned?",
    "data": {"name": "idx", "num_val": 100},
    "model": {"family": "mlp", "params": {"hidden": [16]}},
    "train": {"epochs": 6, "batch_size": 50, "optimizer": {"name": "adam"}},
    "search": {
        "method": {"name": "tpe", "startup": 4},
        "trials_per_value": 6,
        "compare": {"model.params.dropout": [0.0, 0.5]},
        "tune": {
            "train.optimizer.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
            "train.batch_size": [25, 50],
        },
        "halving": {"name": "successive", "first_epochs": 1, "factor": 3},
    },
    "confirm": {"top": 1, "seeds": 2},
    "final": True,
}


def write(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_idx(tmp_path / "data")
    return new_place(tmp_path)


@pytest.mark.slow  # child processes
def test_a_question_is_asked_answered_and_read(place: Place) -> None:
    file = write(place.root / "does-dropout-help.yaml", FLAT)
    more = ["--data", place.root / "data", "--profile", "full"]
    planned = place.ask("plan", file, *more, "--json").json
    assert [stage["runs"] for stage in planned["stages"]] == [12, 4]
    answer = place.run("study", file, *more, "--workers", "2", "--json")
    assert answer.status == 0, answer.err
    assert [stage["done"] for stage in answer.json["stages"]] == [12, 2]
    out = place.root / "runs" / "does-dropout-help-full"
    assert (out / "models" / "confirmed").is_dir()

    table = place.ask("leaderboard", out, "--stage", "search", "--json").json["rows"]
    assert [row["rank"] for row in table] == list(range(1, 13))
    lines = list(csv.DictReader(io.StringIO(place.ask("leaderboard", out, "--format", "csv").out)))
    assert len(lines) == 12 + 2
    assert [line["point"] for line in lines[:12]] == [row["point"] for row in table]
    shown = place.ask("leaderboard", out, "--top", "1").out
    assert [line.split() for line in shown.splitlines()].count(["search"]) == 1
    assert table[0]["point"] in shown
    assert place.ask("leaderboard", out, "--format", "latex").out.count(r"\\") == 1 + 12 + 2
    assert place.ask("leaderboard", out, "--format", "markdown").out.count("\n") == 2 + 12 + 2
    assert place.ask("leaderboard", out, "--stage", "confirmed", "--seeds").out.count(" 101 ") == 2

    run = out / "runs" / table[0]["fingerprint"][:16]
    told = place.ask("show", run)
    assert told.status == 0, told.err
    assert "model.params.hidden: [16]" in told.out
    assert "history.csv" in told.out

    again = place.ask("study", file, *more, "--workers", "1", "--out", place.root / "other")
    assert again.status == 0, again.err
    compared = place.ask("compare", out, place.root / "other", "--json").json
    assert compared["differs"] == {}
    for stage in compared["stages"]:
        assert stage["points"]
        assert all(p["difference"] == 0 and p["same_runs"] for p in stage["points"])
    # The number of workers changed nothing.
    tables = [Study.open(folder).table() for folder in (out, place.root / "other")]
    for one, two in zip(*tables, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}


@pytest.mark.slow  # child processes
def test_a_budget_is_kept_and_says_what_it_left_out(place: Place) -> None:
    values = {**FLAT, "search": {**FLAT["search"], "method": "random", "trials_per_value": 500}}
    file = write(place.root / "long.yaml", values)
    words = ["study", file, "--data", place.root / "data", "--workers", "2", "--budget", "20s"]
    began = time.monotonic()
    answer = place.run(*words, "--json")
    took = time.monotonic() - began
    assert answer.status == 0, answer.err
    # Where 20 s are too short for a report, that is said beforehand, with what it will take.
    said = re.search(r"too short to be kept: .* It will take about (\d+) s;", answer.err)
    assert took < SLACK * (float(said[1]) if said else 20)
    first, last = answer.json["stages"]
    assert " of 1,000 points" in first["left_out"]
    # On a machine that is busy there may be no time to confirm anything; then that is said.
    assert (last["done"], last["left_out"]) in ((2, ""), (0, "all of it"))
    assert "closed by the budget of time" in answer.err
    report = (place.root / "runs" / "long-quick" / "report.md").read_text("utf-8")
    assert "A budget of 20 s closed it" in report


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "tpee"}, "method.name: no search method is named 'tpee'. Did you mean 'tpe'?"),
        ({"method": "cma_es"}, "trials_per_value"),
        ({"trials_per_value": None}, "trials_per_value: how many points are to be tried"),
        ({"tune": {"train.batch_size": 32}}, "tune.train.batch_size: expected a list of values"),
        ({"tune": {"train.batch_sise": list(range(9))}}, "batch_sise: no such key. Did you mean"),
        ({"halving": {"name": "successive", "first": 3}}, "halving.first: no such key."),
        ({"goals": ["accuracy", "speed"]}, "goals[1]: 'speed' is none of the known words."),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_in_one_message(
    changes: dict[str, Any], message: str, tmp_path: Path, cli: Cli
) -> None:
    values = {**FLAT, "search": {**FLAT["search"], **changes}}
    if changes.get("method") == "cma_es":
        values["search"]["tune"] = {"train.batch_size": [25, 50], "model.params.hidden": [[2], [3]]}
        message = "CMA-ES needs numbers in order"
    answer = cli("study", write(tmp_path / "q.yaml", values), "--out", tmp_path / "out")
    assert answer.status == 2
    assert message in answer.err
    assert "q.yaml" in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("leaderboard", "nowhere"), "nowhere: no study folder"),
        (("compare", "nowhere", "elsewhere"), "nowhere: no study folder"),
        (("show", "nowhere"), "nowhere"),
        (("leaderboard", "x", "--format", "cvs"), "Did you mean 'csv'?"),
        (("study", "q.yaml", "--budget", "20"), "such as 20m or 1h30m"),
    ],
)
def test_a_slip_on_the_command_line_is_named(
    words: tuple[str, ...], message: str, cli: Cli
) -> None:
    answer = cli(*words)
    assert answer.status == 2
    assert message in answer.err
