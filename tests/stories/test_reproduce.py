"""`modiste reproduce` as a person uses it: the answer, the status, and a kill in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modiste
from modiste.runs.run import Run, RunRecord, write_run
from modiste.spec.run import RunSpec
from modiste.train.task import Task
from modiste.train.work import Worker
from tests.command_line import Place, new_place
from tests.synthetic import write_idx

pytestmark = pytest.mark.slow  # child processes

SPEC: dict[str, Any] = {
    "model": {"family": "mlp", "params": {"hidden": [16], "dropout": 0.2}},
    "train": {"epochs": 60, "batch_size": 50},
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    folder = write_idx(tmp_path_factory.mktemp("record") / "data")
    data = modiste.load("idx", folder=folder, num_val=100)
    spec = RunSpec.parse({"data": data.spec, **SPEC})
    task = Task(spec, spec.fingerprint(data.digest), None, float("inf"))
    found = Worker(lambda _: data).work(task).record
    assert found is not None
    return found


@pytest.fixture
def place(tmp_path: Path, record: RunRecord) -> Place:
    """A folder with the data and the run."""
    write_idx(tmp_path / "data")
    write_run(record, tmp_path / "run")
    return new_place(tmp_path)


def test_the_same_numbers_come_out_again(place: Place) -> None:
    answer = place.run("reproduce", "run", "--data", "data")
    assert answer.status == 0, answer.err
    lines = answer.out.splitlines()
    assert lines[0] == "identical: to the last bit"
    assert "history:   60 epochs, every figure to the last bit" in lines
    assert "logits:    2,000 values, to the last bit" in lines
    assert "What the record says of versions, machine and data is as it is here." in lines
    assert (place.root / lines[-1] / "manifest.json").is_file()


def test_the_answer_as_json_is_the_one_that_is_stored(place: Place) -> None:
    answer = place.ask("reproduce", "run", "--data", "data", "--out", "again", "--json")
    assert answer.status == 0, answer.err
    assert answer.json["verdict"] == "identical"
    stored = place.root / f"{answer.json['reproduced']}.json"
    assert stored.read_text("utf-8") == answer.out


def test_another_result_leaves_with_status_3_and_says_what_differs(
    place: Place, record: RunRecord
) -> None:
    wrong_NK = np.eye(10, dtype=np.float32)[(record.predictions["labels"] + 1) % 10]
    logits = dict.fromkeys(("logits_best_NK", "logits_last_NK"), wrong_NK)
    history = [{**row, "val_loss": row["val_loss"] + 1} for row in record.history]
    changed = replace(
        record,
        history=history,
        predictions={**record.predictions, **logits},
        environment={**record.environment, "numerics_version": 0},
    )
    write_run(changed, place.root / "other")
    answer = place.ask("reproduce", "other", "--data", "data")
    assert answer.status == 3, answer.err
    assert answer.out.startswith("different: further apart than the choice of images explains")
    assert "How far another seed moves the accuracy is not known" in answer.out
    assert "from epoch 1 on not the same (val_loss" in answer.out
    assert "Likely cause: version (another version of torch" in answer.out
    assert "numerics version" in answer.out


def test_a_file_that_was_changed_is_found_before_anything_is_trained(place: Place) -> None:
    history = place.root / "run" / "history.csv"
    history.write_text(history.read_text("utf-8").replace("0.001", "0.002"), "utf-8")
    answer = place.ask("reproduce", "run", "--data", "data")
    assert answer.status == 2
    assert "history.csv" in answer.err
    assert "not what was written" in answer.err
    assert not (place.root / "runs").exists()


def test_killed_half_way_it_goes_on_to_the_same_bits(place: Place, record: RunRecord) -> None:
    # Through Python, because only there a slice can be made shorter than a test may take.
    code = (
        "import sys\n"
        "import modiste\n"
        "import modiste.train.work\n"
        "slice_seconds = modiste.train.work.PATIENCE_SECONDS = float(sys.argv[1])\n"
        "from modiste.search.work_folder import WorkFolder\n"
        "save, load = WorkFolder.save, WorkFolder.load\n"
        "def loud_save(*args):\n"
        "    save(*args)\n"
        "    print('saved', flush=True)\n"
        "def loud_load(*args):\n"
        "    found = load(*args)\n"
        "    print('from the start' if found is None else 'goes on', flush=True)\n"
        "    return found\n"
        "WorkFolder.save, WorkFolder.load = loud_save, loud_load\n"
        "given = {'out': 'again', 'data_folder': 'data', 'slice_seconds': slice_seconds}\n"
        "answer = modiste.reproduce('run', **given)\n"
        "print(answer['verdict'])\n"
    )
    heard: list[list[str]] = []
    # At every step until it is killed, however fast these are.
    for num_saves, pause in ((2, "0.0"), (None, "0.05")):
        lines: list[str] = []
        with subprocess.Popen(
            [sys.executable, "-c", code, pause],
            cwd=place.root,
            env=place.variables(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.strip())
                if lines.count("saved") == num_saves:
                    os.killpg(process.pid, signal.SIGKILL)
                    break
        assert process.returncode == (0 if num_saves is None else -signal.SIGKILL)
        heard.append(lines)
    assert heard[0][0] == "from the start"
    assert (heard[1][0], heard[1][-1]) == ("goes on", "identical")
    run = Run(place.root / "again" / record.fingerprint[:16])
    assert run.predictions["logits_last_NK"].tobytes() == (
        record.predictions["logits_last_NK"].tobytes()
    )
