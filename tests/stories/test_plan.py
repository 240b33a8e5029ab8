"""`modiste plan` in a shell: a short probe in real workers, and nothing written."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from modiste.search.study import Study
from tests import small
from tests.command_line import Cli, Place, new_place
from tests.synthetic import write_idx

pytestmark = pytest.mark.slow  # child processes

VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 100},
    train={"epochs": 60, "batch_size": 50},
    stages=[
        {"name": "grid", "grid": {"model.params.hidden": [[64], [256]]}},
        {"name": "twin", "points": [{"model.params.hidden": [64]}]},
        {"name": "final", "final": True, "from": ["grid"], "repeats": 2},
    ],
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_idx(tmp_path / "data")
    return new_place(tmp_path)


def words(place: Place, verb: str = "plan", values: dict[str, Any] = VALUES) -> list[str | Path]:
    file = small.write_study(place.root / "study.yaml", values)
    return [verb, file, "--data", place.root / "data", "--out", place.root / "out"]


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder, with its time."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def test_a_plan_is_made_of_nothing_and_leaves_nothing(place: Place) -> None:
    command = words(place)
    before = state(place.root)
    answer = place.run(*command, "--workers", "2")
    assert answer.status == 0, answer.err
    after = state(place.root)
    # Caches of others lie in the home folder.
    assert {name: after[name] for name in after if "/.home/" not in name} == before
    assert answer.err.startswith("Measuring 2 kinds of work with 2 workers at once, for at most")
    assert answer.err.count("\n") == 1
    table, said = answer.out.split("\n\n", 1)
    lines = [line.split() for line in table.splitlines()]
    assert lines[0][:3] == ["stage", "runs", "finished"]
    # The twin is one of the grid; of the two final runs, the first may be, too, and is not known.
    assert [line[0] for line in lines[2:]] == ["grid", "twin", "final", "all"]
    assert lines[2][1:4] == ["2", "0", "2"]
    assert lines[3][1:4] == ["0", "0", "0"]
    assert "twin has 1 run of grid" in said
    assert "* waits for another stage" in said
    assert "with 2 workers; each run goes to its limit of epochs." in said
    assert "Memory: about " in said
    assert "Disk: at most " in said


def test_what_is_finished_counts_and_what_was_foretold_comes_about(place: Place) -> None:
    before = place.ask(*words(place), "--json").json
    assert before["pace_from"] == {"measured": 3}
    assert place.ask(*words(place, "study")).status == 0
    found = state(place.root / "out")
    after = place.ask(*words(place), "--json")
    assert after.status == 0, after.err
    assert after.err == ""
    value = after.json
    assert [stage["finished"] for stage in value["stages"]] == [2, 0, 1]
    assert [stage["to_do"] for stage in value["stages"]] == [0, 0, 0]
    assert value["seconds"] == 0
    assert "Nothing is left to do." in place.ask(*words(place)).out
    # Asked three times, and not a byte of it touched.
    assert state(place.root / "out") == found

    study = Study(place.root / "out")
    runs = [run for row in study.stage("grid").rows for run in row.runs]
    took = sum(run.metrics["seconds"] for run in runs)
    # A machine with other things to do may change its pace some times over between the two. An
    # error of thinking (an epoch for an update, a batch for an image) would make it ten or more.
    assert took / 8 < before["stages"][0]["seconds"] < took * 8
    size = sum(p.stat().st_size for p in (place.root / "out").rglob("*") if p.is_file())
    assert size < before["disk"]["peak_bytes"] < 5 * size


def test_half_a_study_is_planned_from_what_its_finished_runs_took(place: Place, cli: Cli) -> None:
    assert place.ask(*words(place, "study"), "--stages", "grid").status == 0
    # In this process as well as in a shell.
    value = cli(*words(place), "--json").json
    grid, twin, final = value["stages"]
    assert (grid["to_do"], twin["to_do"], final["to_do"]) == (0, 0, 1)
    assert (final["shared"], final["is_guessed"]) == ({"grid": 1}, False)
    assert value["pace_from"] == {"finished": 1}
    took = [
        run.metrics["seconds"]
        for row in Study(place.root / "out").stage("grid").rows
        for run in row.runs
    ]
    # The same run on another seed; and the inference at the end. It is told in tenths.
    assert 0.9 * min(took) - 0.05 < final["seconds"] < 1.2 * max(took) + 0.05


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_at_once(
    number: signal.Signals, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = place.root / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    # Kinds enough for half a minute.
    many = {"model.params.hidden": [[units] for units in range(8, 400, 4)]}
    values = small.study(data=VALUES["data"], stages=[{"name": "grid", "grid": many}])
    with place.start(*words(place, values=values), "--workers", "2") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Measuring 98 kinds of work")
        while not list(folder.glob("modiste-plan-*/about.json")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.005)
        began = time.monotonic()
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert process.returncode == 130
    assert out == ""
    assert "modiste: stopped." in err
    assert "Traceback" not in err
    # Children are killed, not asked: what is left is Python's own end, on a busy machine seconds.
    assert seconds < 10
    assert list(folder.iterdir()) == []


def test_one_run_after_another_in_this_process_is_planned_for(place: Place, cli: Cli) -> None:
    value = cli(*words(place), "--workers", "here", "--json").json
    assert value["workers"] == 1
    assert value["pace_from"] == {"measured": 3}
    grid, _, final = value["stages"]
    assert value["seconds"] == pytest.approx(grid["seconds"] + final["seconds"], abs=0.2)


def test_a_cluster_is_not_planned_for(place: Place, cli: Cli) -> None:
    answer = cli(*words(place), "--workers", "ray")
    assert answer.status == 2
    assert "--workers ray: a plan measures what this machine takes" in answer.err


@pytest.mark.parametrize(
    "more",
    [
        ["--set", "train.epohs=3"],
        ["--set", "gird:train.epochs=3"],
        ["--set", "data.num_val=600"],
        ["--only", "model.params.hiden=[4]"],
        ["--only", "grid:model.params.hidden=[5]"],
        ["--stages", "fnal"],
        ["--stages", ""],
        ["--profile", "quik"],
        ["--workers", "0"],
        ["--data", "/nowhere"],
    ],
    ids=" ".join,
)
def test_what_a_study_would_refuse_is_refused_in_the_same_words(
    more: list[str], place: Place, cli: Cli
) -> None:
    plan, study = (cli(*words(place, verb), *more) for verb in ("plan", "study"))
    assert plan.status == study.status == 2
    assert plan.err.replace("modiste plan", "modiste study") == study.err
    assert plan.out == ""


def test_another_study_in_the_folder_is_refused_as_by_the_study_itself(
    place: Place, cli: Cli
) -> None:
    assert place.ask(*words(place, "study"), "--stages", "twin").status == 0
    for verb in ("plan", "study"):
        answer = cli(*words(place, verb), "--seed", "3")
        assert answer.status == 2
        assert "differs in: seed" in answer.err


def test_a_place_that_cannot_be_one_is_refused(place: Place, cli: Cli) -> None:
    (place.root / "plain").write_bytes(b"")
    for out in (place.root / "plain", place.root / "plain" / "below"):
        answer = cli(*words(place)[:-1], out)
        assert answer.status == 2
        assert f"{out}: cannot be written" in answer.err
