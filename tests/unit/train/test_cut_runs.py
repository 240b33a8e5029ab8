"""A run that is cut after so many epochs, as halving does, is the beginning of the whole one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from modiste.errors import ResumeError, SpecError
from modiste.runs.run import RunRecord
from modiste.spec.run import RunSpec
from modiste.train.checkpoint import is_within
from modiste.train.session import Session
from modiste.train.task import Outcome, Task
from modiste.train.work import Worker
from tests import small

SPECS = {
    "an MLP with dropout": small.run_spec(
        {"train.optimizer.learning_rate": 0.2, "train.epochs": 4}, seed=3
    ),
    # Stops early, after its fifth epoch.
    "a CNN with batch norm, augmentation, plateau and early stopping": small.run_spec(
        {**small.CNN, "train.optimizer.learning_rate": 0.1}
    ),
}
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@functools.cache
def data() -> Any:
    return small.data()


def work(spec: RunSpec, checkpoint: bytes | None = None) -> Outcome:
    fingerprint = spec.fingerprint(data().digest)
    return Worker(lambda _: data()).work(Task(spec, fingerprint, checkpoint, float("inf")))


@functools.cache
def whole(spec: RunSpec) -> RunRecord:
    record = work(spec).record
    assert record is not None
    return record


def timeless(record: RunRecord) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in record.history]


@every_spec
def test_rung_by_rung_it_comes_to_the_bits_of_the_whole_run(spec: RunSpec) -> None:
    checkpoint = None
    for until in (1, 3):
        outcome = work(spec.cut(until), checkpoint)
        assert outcome.record is not None
        assert timeless(outcome.record) == timeless(whole(spec))[:until]
        assert outcome.record.fingerprint == spec.cut(until).fingerprint(data().digest)
        checkpoint = outcome.checkpoint
        assert checkpoint is not None
    last = work(spec, checkpoint)
    assert last.record is not None
    assert last.checkpoint is None
    assert timeless(last.record) == timeless(whole(spec))
    assert last.record.fingerprint == whole(spec).fingerprint
    for arrays in ("weights", "predictions"):
        one, two = getattr(last.record, arrays), getattr(whole(spec), arrays)
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[name], two[name]) for name in one)


@every_spec
def test_a_beginning_says_so_and_is_measured_on_validation_images_alone(spec: RunSpec) -> None:
    record = work(spec.cut(2)).record
    assert record is not None
    metrics = record.metrics
    assert metrics["status"] == "finished"
    assert metrics["reason"] == f"stopped after epoch 2 of {spec.train.epochs} planned"
    assert metrics["epochs"] == metrics["last"]["epoch"] == 2
    assert metrics["last"]["val"]["accuracy"] == record.history[-1]["val_accuracy"]
    assert "train" not in metrics["last"]
    assert set(record.predictions) >= {"logits_best_NK", "logits_last_NK", "labels"}


def test_one_that_stops_early_before_its_cut_is_as_long_as_the_whole_one() -> None:
    spec = SPECS["a CNN with batch norm, augmentation, plateau and early stopping"]
    spec = RunSpec.parse({**spec.to_dict(), "train": {**spec.to_dict()["train"], "epochs": 30}})
    stopped = work(spec.cut(20))
    assert stopped.record is not None
    assert stopped.record.metrics["reason"].startswith("early stopping")
    assert len(stopped.record.history) < 20
    going_on = work(spec, stopped.checkpoint)
    assert going_on.record is not None
    assert timeless(going_on.record) == timeless(stopped.record) == timeless(whole(spec))


def test_a_checkpoint_from_beyond_the_cut_is_refused() -> None:
    spec = SPECS["an MLP with dropout"]
    checkpoint = work(spec.cut(2)).checkpoint
    assert checkpoint is not None
    assert is_within(checkpoint, None)
    assert is_within(checkpoint, 2)
    assert not is_within(checkpoint, 1)
    with pytest.raises(ResumeError, match="lies beyond epoch 1"):
        Session(spec.cut(1), data(), checkpoint)
    # Within the epoch after the cut is beyond it, too.
    session = Session(spec, data(), checkpoint)
    next(iter(session.advance()))
    assert not is_within(session.save(), 2)
    assert is_within(session.save(), 3)


def test_a_cut_belongs_before_the_end() -> None:
    spec = SPECS["an MLP with dropout"]
    assert spec.cut(4) is spec
    assert spec.cut(3).train.last_epoch == 3
    assert spec.cut(3).whole == spec == spec.whole
    with pytest.raises(SpecError, match=r"train\.until: 4, but the run ends after 4 epochs"):
        small.run_spec({"train.epochs": 4, "train.until": 4})
    assert small.run_spec({"train.epochs": 4, "train.until": 3}) == small.run_spec(
        {"train.epochs": 4}
    ).cut(3)
