"""Models that are fitted in one go: heard while they work, and never half done."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from modiste.errors import DataError, SpecError
from modiste.models.layers import describe
from modiste.spec.parts import MODELS, Estimator, Fitted
from modiste.train import one_go, work
from modiste.train.task import Progress, Task
from modiste.train.work import Worker
from tests import small
from tests.synthetic import NUM_CLASSES

DATA = small.data()


@dataclass(frozen=True)
class Zeros:
    num_kept: int = 0

    def scores_NK(self, images_NCHW: Any) -> Any:
        return np.zeros((len(images_NCHW), NUM_CLASSES), np.float32)


class Odd(Estimator):
    """Does in `fit` whatever a test wants."""

    gives_probabilities: ClassVar[bool] = True
    does: ClassVar[Any] = None

    def fit(self, images_NCHW: Any, labels_N: Any, num_classes: int, seed: int) -> Fitted:
        type(self).does()
        return Zeros()


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Odd]]:
    """A family of that kind, for this test alone."""
    MODELS.names()
    monkeypatch.setitem(MODELS._entries, "odd", Odd)
    monkeypatch.setattr(work, "TELL_SECONDS", 0.0)
    yield Odd
    Odd.does = None


def task(**more: Any) -> Task:
    spec = small.run_spec({"model": {"family": "odd"}}, **more)
    return Task(spec, spec.fingerprint(DATA.digest), None, 0.0)


def worker() -> Worker:
    return Worker(lambda _: DATA)


def test_whoever_wants_to_stop_is_heard_at_once_and_nothing_comes_back(odd: type[Odd]) -> None:
    is_let_go, has_begun = threading.Event(), threading.Event()

    def work_on() -> None:
        has_begun.set()
        is_let_go.wait(60)

    odd.does = work_on
    began = time.monotonic()
    outcome = worker().work(task(), should_stop=has_begun.is_set)
    seconds = time.monotonic() - began
    is_let_go.set()
    assert (outcome.checkpoint, outcome.record) == (None, None)
    # The wish is there after a twentieth of a second; the rest is for a busy machine.
    assert seconds < 30


def test_a_slice_that_is_over_does_not_end_it(odd: type[Odd]) -> None:
    odd.does = lambda: time.sleep(0.2)
    told: list[Progress] = []
    outcome = worker().work(task(), told.append)
    assert outcome.record is not None
    assert outcome.record.metrics["status"] == "finished"
    assert told
    assert {(p.phase, p.epoch, p.epochs, p.total) for p in told} == {("fit", 0, 0, 0)}


def test_what_goes_wrong_is_raised_where_somebody_listens(odd: type[Odd]) -> None:
    def fail() -> None:
        raise DataError("no such thing")

    odd.does = fail
    with pytest.raises(DataError, match="no such thing"):
        worker().work(task())


def test_what_no_such_model_can_do_is_a_result_and_other_points_go_on(odd: type[Odd]) -> None:
    def fail() -> None:
        raise SpecError("more neighbours than images")

    odd.does = fail
    record = worker().work(task()).record
    assert record is not None
    found = record.metrics["status"], record.metrics["reason"]
    assert found == ("failed", "more neighbours than images")


def test_memory_that_runs_out_is_a_result(odd: type[Odd]) -> None:
    def fail() -> None:
        raise MemoryError("too large")

    odd.does = fail
    record = worker().work(task()).record
    assert record is not None
    assert (record.metrics["status"], record.metrics["reason"]) == ("out_of_memory", "too large")
    assert record.layers["parameters"]["total"] == 0


def test_it_computes_on_as_many_threads_as_the_spec_says(odd: type[Odd]) -> None:
    seen: list[set[int]] = []
    odd.does = lambda: seen.append({lib["num_threads"] for lib in threadpool_info()})
    for threads in (1, 2):
        worker().work(task(threads=threads))
    assert seen[0] == {1}
    assert seen[1] == {2}


@pytest.mark.parametrize("asked_for", ["ignore", "error", "default"])
def test_a_fit_that_did_not_converge_says_so_whatever_is_done_with_warnings(asked_for: Any) -> None:
    model = {"family": "logistic_regression", "params": {"max_iterations": 1}}
    with warnings.catch_warnings():
        warnings.simplefilter(asked_for)
        record = one_go.compute(small.run_spec({"model": model}), DATA)
        plain = one_go.compute(small.run_spec({"model": {"family": "logistic_regression"}}), DATA)
    assert record is not None
    assert record.metrics["status"] == "finished"
    assert record.metrics["reason"].count("failed to converge") == 1
    assert plain is not None
    assert plain.metrics["reason"] == "fitted in one go"


def test_a_fit_that_was_given_up_takes_no_warnings_along(odd: type[Odd]) -> None:
    is_let_go, has_begun = threading.Event(), threading.Event()

    def work_on() -> None:
        has_begun.set()
        is_let_go.wait(60)

    odd.does = work_on
    filters = list(warnings.filters)
    worker().work(task(), should_stop=has_begun.is_set)
    assert warnings.filters == filters
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)
    is_let_go.set()


def test_a_class_without_an_image_is_named() -> None:
    train = DATA.train.take(np.flatnonzero(DATA.train.labels_N != 3), "train")
    fields = {name: getattr(DATA, name) for name in DATA.__dataclass_fields__}
    data = type(DATA)(**{**fields, "train": train})
    with pytest.raises(DataError, match="class 3 has no image"):
        one_go.fit_in_one_go(small.run_spec({"model": {"family": "majority"}}), data)


def test_what_does_not_fit_the_images_is_said_before_anything_runs() -> None:
    def checked(**params: Any) -> None:
        spec = small.run_spec({"model": {"family": "svm", "params": params}})
        describe(spec.model.params, (1, 28, 20), NUM_CLASSES)

    checked(cell=4, block=5)
    checked(features="pixels")
    with pytest.raises(SpecError, match="6 x 6 cells of 4 pixels does not fit into 28 x 20"):
        checked(cell=4, block=6)


def test_more_neighbours_than_images_are_refused() -> None:
    spec = small.run_spec({"model": {"family": "knn", "params": {"neighbours": 91}}})
    with pytest.raises(SpecError, match="neighbours: 91, but there are only 90"):
        one_go.compute(spec, DATA)
