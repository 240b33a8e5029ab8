"""A stage of models that are fitted in one go, through the command line with real children."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modiste.search.children import NAME
from modiste.search.study import Study
from tests import small
from tests.command_line import Place, new_place
from tests.driving import results
from tests.synthetic import idx_bytes, write_gzip, write_idx

pytestmark = pytest.mark.slow  # child processes

POINTS = [
    {"label": "majority class", "model.family": "majority"},
    {"label": "linear", "model.family": "logistic_regression"},
    {"label": "neighbours", "model": {"family": "knn", "params": {"neighbours": 3}}},
    {"label": "HOG", "model": {"family": "svm", "params": {"kernel": "linear"}}},
]
VALUES: dict[str, Any] = small.study(
    stages=[
        {"name": "no-network", "title": "What needs no network", "points": POINTS},
        {"name": "net", "final": True, "model": {"params": {"hidden": [16]}}},
    ],
    published="published.yaml",
)
PUBLISHED = {
    "schema": 1,
    "source": "A study.",
    "stages": {
        "no-network": {
            "source": "Another table.",
            "rows": [{"settings": {"model.family": "svm"}, "test_accuracy": 0.926}],
        }
    },
}
# Of noise without classes, where every image on the wrong side is very dear: it never ends.
ENDLESS = {"features": "pixels", "kernel": "rbf", "C": 1e9, "gamma": 1e-6}
LONG: dict[str, Any] = small.study(
    stages=[
        {"name": "short", "model": {"params": {"hidden": [4]}}, "train": {"epochs": 1}},
        {"name": "long", "model": {"family": "svm", "params": ENDLESS}},
    ]
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_idx(tmp_path / "data")
    small.write_study(tmp_path / "published.yaml", PUBLISHED)
    return new_place(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The study, run once for all that only read it."""
    place = new_place(tmp_path_factory.mktemp("finished"))
    write_idx(place.root / "data")
    small.write_study(place.root / "published.yaml", PUBLISHED)
    answer = place.run(*words_of(place, VALUES))
    assert answer.status == 0, answer.err
    assert re.search(
        r"^no-network: linear: validation accuracy 1\.0000, ", answer.err, re.MULTILINE
    )
    return place


def words_of(place: Place, values: dict[str, Any]) -> list[str]:
    file = small.write_study(place.root / "study.yaml", values)
    words = ["study", str(file), "--data", str(place.root / "data")]
    return [*words, "--out", str(place.root / "out"), "--workers", "2"]


def test_it_is_run_ranked_reported_collected_and_measured_like_any_other(finished: Place) -> None:
    place = finished
    study = Study(place.root / "out")
    ranked = [row.label for row in study.stage("no-network").ranked("last")]
    assert ranked[-1] == "majority class"
    report = (place.root / "out" / "report.md").read_text("utf-8")
    assert "What needs no network" in report
    assert "Another table." in report
    again = place.run(*words_of(place, VALUES))
    assert "5 of 5 runs are finished already." in again.err

    kept = place.root / "kept"
    assert place.ask("collect", place.root / "out", "--to", kept).status == 0
    lines = (kept / "no-network" / "table.csv").read_text("utf-8").splitlines()
    assert len(lines) == 5
    arrays = np.load(kept / "no-network" / "predictions.npz", allow_pickle=False)
    has_probabilities = ~np.isnan(arrays["probabilities_last_RN"]).any(axis=1)
    assert has_probabilities.tolist() == [True, True, False, False]

    # Its winner can be measured on the test set, though nothing of it was kept: it is fitted again.
    look = ["evaluate", place.root / "out", "--final", "--reason", "a test", "--json"]
    found = place.ask(*look, "--stages", "no-network", "--data", place.root / "data")
    assert found.status == 0, found.err
    row = json.loads(found.out)["runs"][0]
    assert row["fingerprint"] == study.stage("no-network").ranked("last")[0].fingerprints[0]
    assert row["last"]["accuracy"] > 0.9
    report = (place.root / "out" / "report.md").read_text("utf-8")
    assert "Openings of the test set" in report


def test_what_it_cannot_do_is_said_in_words(finished: Place) -> None:
    place = finished
    study = Study(place.root / "out")
    run = study.stage("no-network").chosen[1].runs[0]
    for verb in (["predict", run.folder, "image.png"], ["describe", "svm"]):
        answer = place.ask(*verb)
        assert answer.status == 2
        assert "is fitted in one go and is no net" in answer.err
    answer = place.ask("evaluate", run.folder)
    assert answer.status == 0, answer.err


# --- disturbed ------------------------------------------------------------------------------------


@pytest.fixture
def noise(tmp_path: Path) -> Place:
    """6,000 images of noise, with labels that mean nothing."""
    chance = np.random.default_rng(0)
    folder = tmp_path / "data"
    write_idx(folder)
    images_NHW = chance.integers(0, 256, (6_000, 28, 28), np.uint8)
    labels_N = (np.arange(6_000) % 10).astype(np.uint8)
    write_gzip(folder / "train-images-idx3-ubyte.gz", idx_bytes(images_NHW))
    write_gzip(folder / "train-labels-idx1-ubyte.gz", idx_bytes(labels_N))
    return new_place(tmp_path)


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """The first line of stderr that holds these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"ended without {words!r}")


def children(process: subprocess.Popen[str]) -> list[int]:
    """Its worker processes that are alive."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            is_worker = (place / "comm").read_text().strip() == NAME
        except OSError:
            continue
        if is_worker and int(fields[2]) == process.pid and fields[0] != "Z":
            found.append(int(place.name))
    return found


def is_ready(worker: int) -> bool:
    """Whether a worker has the images before it, which is the last thing of its start."""
    try:
        return "images.npy" in Path(f"/proc/{worker}/maps").read_text()
    except OSError:
        return False


def stored(place: Place) -> dict[str, Any]:
    return results(Study(place.root / "out"))


def test_an_interrupt_is_answered_while_scikit_learn_works(noise: Place) -> None:
    words = words_of(noise, LONG)
    with noise.start(*words) as process:
        read_until(process, "short: short: validation accuracy")
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does in a terminal
        _, err = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert process.returncode == 130
    # It is heard within a twentieth of a second; ending two processes takes more, the busier the
    # machine the longer.
    assert seconds < 20
    assert children(process) == []
    assert "Traceback" not in err
    assert "worker process" not in err, "a worker died of it"
    command = err[err.index("Go on with:") :].splitlines()[1].strip()
    assert shlex.split(command) == ["modiste", *words]
    # What was finished is there, whole; of what was not, nothing is.
    before = stored(noise)
    assert list(before) == ["short/short/0"]
    assert not list((noise.root / "out" / "work").glob("*/checkpoints.json"))

    with noise.start(*words) as process:
        read_until(process, "1 of 2 runs are finished already")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert stored(noise) == before


def test_a_fit_whose_process_is_killed_is_begun_again_and_given_up_in_the_end(
    noise: Place,
) -> None:
    with noise.start(*words_of(noise, LONG)) as process:
        read_until(process, "short: short: validation accuracy")
        while process.poll() is None:  # no worker lives long, until nobody asks for another
            at_work = [child for child in children(process) if is_ready(child)]
            time.sleep(0.5)  # for what was ready to say so, and be handed the run
            for child in at_work:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert err.count("long, long: the worker process was ended by SIGKILL") == 3
    assert out.strip().endswith("report.html")
    study = Study(noise.root / "out")
    assert study.stage("short").chosen[0].runs[0].metrics["status"] == "finished"
    failed = study.stage("long").chosen[0].runs[0]
    assert failed.metrics["status"] == "failed"
    assert "3 times" in failed.metrics["reason"]
