"""A run that was cut anywhere, saved, and taken up again gives the bits of one never cut."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from modiste.errors import ResumeError
from modiste.runs.run import RunRecord
from modiste.spec.run import RunSpec, versions_here
from modiste.train.session import Session
from tests import small

# Rates so high that the last epoch is not the best one, by a margin that no rounding closes.
SPECS = {
    "an MLP with dropout": small.run_spec(
        {"train.optimizer.learning_rate": 0.2, "train.epochs": 4}, seed=3
    ),
    "a CNN with batch norm, augmentation, plateau and early stopping": small.run_spec(
        {**small.CNN, "train.optimizer.learning_rate": 0.1}
    ),
}
# Every optimizer has a state of its own; contracts/test_optimizers.py cuts each of them.
SPECS["averaged weights, an alternating mirror, one cycle, Muon, low precision"] = small.run_spec(
    {
        "train.averaging": {"decay": 0.8},
        "train.augment": [{"name": "mirror", "alternate": True}],
        "train.schedule": {"name": "one_cycle", "warmup": 0.5},
        "train.optimizer": {"name": "muon", "learning_rate": 1.0},
        "train.precision": "bfloat16",
        "train.epochs": 6,
    }
)
every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@functools.cache
def data() -> Any:
    return small.data()


@dataclasses.dataclass
class Cut:
    """A place to stop at: the n-th tick, and what had just been done."""

    tick: int
    phase: str
    epoch: int
    done: int
    total: int
    is_training_over: bool


def all_of(session: Session) -> Iterator[Any]:
    yield from session.advance()
    record = yield from session.finish()
    session.record = record  # type: ignore[attr-defined]


def finish(spec: RunSpec, checkpoint: bytes | None = None) -> RunRecord:
    session = Session(spec, data(), checkpoint)
    for _ in all_of(session):
        pass
    return session.record  # type: ignore[attr-defined, no-any-return]


@functools.cache
def uncut(spec: RunSpec) -> tuple[RunRecord, list[Cut]]:
    session, cuts = Session(spec, data()), []
    for number, tick in enumerate(all_of(session)):
        state = session.state
        cuts.append(
            Cut(number, tick.phase, state.epoch, tick.done, tick.total, state.status != "running")
        )
    return session.record, cuts  # type: ignore[attr-defined]


def stopped_at(spec: RunSpec, tick: int, checkpoint: bytes | None = None) -> bytes:
    """The checkpoint after that tick; whoever iterated is gone."""
    session = Session(spec, data(), checkpoint)
    for number, _ in enumerate(all_of(session)):
        if number == tick:
            return session.save()
    raise AssertionError("it ended before that")


def assert_same(one: RunRecord, two: RunRecord) -> None:
    """Bit for bit, apart from the time it took."""
    for arrays in ("weights", "predictions"):
        first, second = getattr(one, arrays), getattr(two, arrays)
        assert first.keys() == second.keys()
        for name in first:
            assert np.array_equal(first[name], second[name]), f"{arrays}: {name}"

    def timeless(record: RunRecord) -> Any:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in record.history]
        metrics = {k: v for k, v in record.metrics.items() if k != "seconds"}
        return rows, metrics, record.fingerprint, record.spec, record.layers

    assert timeless(one) == timeless(two)


def places(cuts: list[Cut]) -> dict[str, int]:
    """A tick of each kind, late enough that schedule and stopping have counted something."""

    def find(**wanted: Any) -> int:
        for cut in cuts:
            if all(getattr(cut, key) == value for key, value in wanted.items()):
                return cut.tick
        raise AssertionError(f"nothing like {wanted}")

    later = {"epoch": 2, "is_training_over": False}
    ending = [cut for cut in cuts if cut.is_training_over]
    return {
        "the first update": 0,
        "within an epoch": find(phase="train", done=2, **later),
        "the last batch of an epoch": find(phase="train", done=4, **later),
        "within validation": find(phase="infer", done=1, **later),
        "the first update after an epoch": find(phase="train", done=1, **later),
        "the last validation before the end": ending[0].tick - 1,
        "within the first inference of the end": ending[0].tick,
        "within the last inference of the end": ending[-1].tick,
        **{f"inference of the end, {cut.tick}": cut.tick for cut in ending[1:-1]},
    }


@every_spec
def test_the_runs_of_these_tests_reach_what_they_are_cut_in(spec: RunSpec) -> None:
    record, cuts = uncut(spec)
    assert record.metrics["status"] == "finished"
    assert record.metrics["epochs"] >= 3
    assert {cut.phase for cut in cuts} == {"train", "infer"}
    # Else taking the last weights for the best ones, or the other way round, would pass.
    assert 1 < record.metrics["best"]["epoch"] < record.metrics["last"]["epoch"]
    if spec.train.early_stopping is not None:
        rates = [row["learning_rate"] for row in record.history]
        assert rates[-1] < rates[0], "the plateau never lowered the rate"
        assert "early stopping" in record.metrics["reason"]


@every_spec
def test_a_cut_at_any_kind_of_place_changes_no_bit(spec: RunSpec) -> None:
    record, cuts = uncut(spec)
    checkpoints = []
    for where, tick in places(cuts).items():
        checkpoint = stopped_at(spec, tick)
        checkpoints.append(checkpoint)
        try:
            assert_same(record, finish(spec, checkpoint))
        except AssertionError as error:
            raise AssertionError(f"cut at {where}: {error}") from error
    # If a checkpoint were empty or always that of the start, all would agree just as well.
    in_training = {c for c, cut in zip(checkpoints, places(cuts), strict=True) if "end" not in cut}
    assert len(in_training) == 5


@every_spec
def test_many_cuts_in_one_run_change_no_bit(spec: RunSpec) -> None:
    record, cuts = uncut(spec)
    checkpoint: bytes | None = None
    num_slices = 0
    while True:
        session = Session(spec, data(), checkpoint)
        before = session.state.update, session.state.epoch
        for number, _ in enumerate(all_of(session)):
            # Three ticks at a time; but inference begins anew after a cut, so it must be let go
            # on to its end.
            if number >= 2 and (session.state.update, session.state.epoch) > before:
                break
        else:
            break
        checkpoint = session.save()
        num_slices += 1
    assert num_slices >= 4
    assert len(cuts) > num_slices
    assert_same(record, session.record)  # type: ignore[attr-defined]


@every_spec
def test_saving_disturbs_nothing_and_the_same_session_may_go_on(spec: RunSpec) -> None:
    session = Session(spec, data())
    for _ in all_of(session):
        session.save()
    assert_same(uncut(spec)[0], session.record)  # type: ignore[attr-defined]


@every_spec
def test_a_session_that_saved_within_the_last_inference_finishes_as_if_it_had_not(
    spec: RunSpec,
) -> None:
    session = Session(spec, data())
    for _ in session.advance():
        pass
    steps = session.finish()
    next(steps)
    before = session.save()
    for _ in all_of(session):
        pass
    assert_same(uncut(spec)[0], session.record)  # type: ignore[attr-defined]
    assert_same(uncut(spec)[0], finish(spec, before))


def test_a_checkpoint_holds_no_pickle_and_says_whose_it_is() -> None:
    spec = small.run_spec()
    checkpoint = stopped_at(spec, 2)
    size = int.from_bytes(checkpoint[:8], "little")
    header = json.loads(checkpoint[8 : 8 + size])
    counters = json.loads(header["__metadata__"]["state"])
    assert counters["fingerprint"] == spec.fingerprint(data().digest)
    assert (counters["epoch"], counters["step"], counters["update"]) == (0, 3, 3)


OTHERS = {
    "another seed": small.run_spec(seed=1),
    "another rate": small.run_spec({"train.optimizer.learning_rate": 0.02}),
    "another number of threads": small.run_spec(threads=2),
    "another net": small.run_spec({"model.params.hidden": [13]}),
    "another optimizer": small.run_spec({"train.optimizer": {"name": "sgd"}}),
    "more epochs": small.run_spec({"train.epochs": 4}),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_run_is_refused_and_nothing_of_it_taken(other: RunSpec) -> None:
    checkpoint = stopped_at(small.run_spec(), 5)
    session = Session(other, data())
    before = session.save()
    with pytest.raises(ResumeError, match="belongs to another run"):
        session.state.load(checkpoint, session.fingerprint)
    assert session.save() == before
    torch.set_num_threads(1)


def test_a_checkpoint_on_other_images_is_refused() -> None:
    checkpoint = stopped_at(small.run_spec(), 5)
    images = small.images(seed=9)
    other = dataclasses.replace(data(), digest=images.digest)
    with pytest.raises(ResumeError, match="data set"):
        Session(small.run_spec(), other, checkpoint)


def test_a_checkpoint_of_another_numerics_version_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = stopped_at(small.run_spec(), 5)
    older = {**versions_here(), "numerics_version": 0}
    monkeypatch.setattr("modiste.spec.run.versions_here", lambda: older)
    with pytest.raises(ResumeError, match="numerics_version"):
        Session(small.run_spec(), data(), checkpoint)


def damaged() -> dict[str, bytes]:
    whole = stopped_at(small.run_spec(), 5)
    return {
        "nothing": b"",
        "seven bytes": whole[:7],
        "cut in the header": whole[:100],
        "cut in the numbers": whole[:-10],
        "a header of 16 exabytes": b"\xff" * 8 + whole[8:],
        "no JSON": whole[:8] + b"\x00" + whole[9:],
        "no safetensors at all": b"PK\x03\x04" + bytes(200),
    }


@pytest.mark.parametrize("what", damaged())
def test_a_damaged_checkpoint_is_refused_in_words(what: str) -> None:
    with pytest.raises(ResumeError, match="cannot be read"):
        Session(small.run_spec(), data(), damaged()[what])
