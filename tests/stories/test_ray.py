"""Ray's workers are workers like any other, whatever happens; see docs/clusters.md."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modiste.search import ray_pool
from modiste.search.study import Study
from tests import small
from tests.command_line import Cli, new_place
from tests.driving import results
from tests.ray_cluster import two_nodes
from tests.synthetic import write_idx

VALUES: dict[str, Any] = small.study(
    stages=[
        {
            "name": "search",
            "train": {"epochs": 40},
            "search": {
                "method": "random",
                "trials_per_value": 8,
                "tune": {"model.params.dropout": {"low": 0.0, "high": 0.9}},
                "halving": {"name": "successive", "first_epochs": 10, "factor": 2},
            },
        }
    ]
)


@pytest.mark.slow
@pytest.mark.ray
def test_a_driver_that_is_killed_and_a_node_that_goes_change_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # nobody waits for anything else
    alone, ours = new_place(tmp_path / "alone"), new_place(tmp_path / "ray")
    words = []
    for place in (alone, ours):
        write_idx(place.root / "data")
        file = small.write_study(place.root / "study.yaml", VALUES)
        words.append(["study", str(file), "--data", "data", "--out", "out"])
    assert alone.run(*words[0], "--workers", "2").status == 0

    with two_nodes() as (address, take_one_away):
        on_ray = [*words[1], "--workers", "ray", "--ray-address", address]
        larger = ours.run(*on_ray[:-6], "--out", "larger", *on_ray[-4:], "--set", "threads=2")
        assert larger.status == 2
        assert "a run needs 2 CPU and 0 GPU" in larger.err
        assert "Nodes: 2 with 1 CPU and 0 GPU." in larger.err
        assert not (ours.root / "larger" / "runs").exists()
        with ours.start(*on_ray) as process:
            read_until(process, "validation accuracy")
            process.kill()
            process.communicate()
        with ours.start(*on_ray) as process:
            read_until(process, "validation accuracy")
            take_one_away()
            _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert results(Study(ours.root / "out")) == results(Study(alone.root / "out"))


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return
    raise AssertionError("".join(lines))


def test_without_ray_the_error_says_how_to_install_it(
    cli: Cli, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Callable[[str], None] = lambda name: None  # noqa: E731
    monkeypatch.setattr(ray_pool, "find_spec", found)
    answer = cli("study", study_file, "--workers", "ray", "--out", tmp_path / "out")
    assert answer.status == 2
    assert "pip install 'modiste[ray]'" in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--workers", "rya"), "--workers rya: expected a number from 1 up, here or ray."),
        (("--workers", "0"), "--workers 0: expected a number from 1 up, here or ray."),
        (("--workers", "2", "--ray-address", "auto"), "are for --workers ray"),
        (("--gpu-share", "0.5"), "are for --workers ray"),
        (("--workers", "here", "--budget", "20m"), "--workers here: nobody looks at the clock"),
    ],
)
def test_workers_that_cannot_be_are_named(
    words: tuple[str, ...], said: str, cli: Cli, study_file: Path, tmp_path: Path
) -> None:
    answer = cli("study", study_file, *words, "--out", tmp_path / "out")
    assert answer.status == 2
    assert said in answer.err
    assert not (tmp_path / "out").exists()
