"""Runs in this process: they are heard and stopped while nobody can ask for events."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import torch

from modiste.search.driver import Driver
from modiste.search.here import Here
from modiste.train import work
from modiste.train.task import Progress
from tests import small
from tests.driving import Watched, make, results

VALUES = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 5, "batch_size": 30},
    threads=2,
    stages=[{"name": "one", "repeats": 2}],
)


def test_a_study_is_told_of_and_stopped_in_the_middle_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(work, "TELL_SECONDS", 0.0)
    told: list[Progress] = []
    start = partial(Here, tell=told.append, should_stop=lambda: len(told) == 7)
    study = make(tmp_path / "stopped", VALUES)
    images, watched = small.images(), Watched()
    before = torch.get_num_threads()
    driver = Driver(
        study, images, 1, watched, lambda: len(told) >= 7, slice_seconds=math.inf, start=start
    )
    assert not driver.run()
    assert len(told) <= 9  # it came back at once, and once more when the driver had heard of it
    assert not watched.labels
    assert list((study.folder / "work").glob("*/*.safetensors")), "without a checkpoint"

    assert Driver(study, images, 1, watched, slice_seconds=math.inf, start=Here).run()
    whole = make(tmp_path / "whole", VALUES)
    assert Driver(whole, images, 1, Watched(), slice_seconds=math.inf, start=Here).run()
    assert results(study) == results(whole)
    assert torch.get_num_threads() == before
