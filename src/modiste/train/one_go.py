"""Models that are fitted in one go: no loop, no epochs, no checkpoint.

scikit-learn cannot be interrupted, so it works in a thread of its own beside the one that listens.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modiste.data.load import TrainingData
from modiste.data.preprocess import Preprocess
from modiste.errors import DataError
from modiste.runs.run import RunRecord
from modiste.spec.parts import Estimator, Fitted
from modiste.spec.run import RunSpec
from modiste.train.machine import prepare
from modiste.train.record import record
from modiste.train.session import held_part, measured

ScoresNK = npt.NDArray[np.float32]
Listen = Callable[[float], bool]

FITTED = "fitted in one go"
# Of these nothing is said unless somebody asks.
_UNASKED = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning, ImportWarning)

# How often somebody who wants to stop is heard.
LISTEN_SECONDS = 0.05


@dataclass(frozen=True)
class Answerer:
    """A fitted model with its preprocessing: from decoded images to scores."""

    fitted: Fitted
    preprocess: Preprocess

    def logits(self, images_NCHW: npt.NDArray[np.uint8]) -> ScoresNK:
        """One row of scores for each image, N x K; see `Estimator.gives_probabilities`."""
        return self.fitted.scores_NK(self.preprocess.apply(images_NCHW))


def fit_in_one_go(spec: RunSpec, data: TrainingData) -> Answerer:
    """Fit the training images, in this thread, on as many threads as the spec says.

    Raises:
        DataError: If a class has no image to learn it from.
        SpecError: If the hyperparameters do not fit the images.
    """
    params = spec.model.params
    assert isinstance(params, Estimator)
    train = data.train
    if 0 in train.counts():
        raise DataError(f"class {train.counts().index(0)} has no image to train on.")
    params.check(train.shape_CHW, train.num_classes)
    prepare(spec.threads)
    with _threads(spec.threads):
        images_NCHW = data.preprocess.apply(train.images_NCHW)
        fitted = params.fit(images_NCHW, train.labels_N, train.num_classes, spec.seed)
    return Answerer(fitted, data.preprocess)


def compute(
    spec: RunSpec, data: TrainingData, listen: Listen = lambda _: False
) -> RunRecord | None:
    """Fit, answer the validation images, and say what came out; both epochs are the same.

    What scikit-learn remarks, such as that a solver did not converge, stands in the reason.

    Args:
        spec: Of an estimator.
        data: To fit and to choose by.
        listen: Told again and again how many seconds have passed; true if somebody wants to stop.

    Returns:
        The record; none if somebody stopped it.

    Raises:
        DataError, SpecError: As `fit_in_one_go`.
    """
    # Filters are the whole process's: they are put back when the fit is given up, whose thread
    # goes on for as long as it likes.
    with heard() as said:
        found = beside(lambda: _computed(spec, data), listen)
    if found is None:
        return None
    remarks = dict.fromkeys(str(warning.message).partition("\n")[0] for warning in said)
    return replace(found, metrics={**found.metrics, "reason": "; ".join((FITTED, *remarks))})


@contextmanager
def heard() -> Iterator[list[warnings.WarningMessage]]:
    """What is remarked meanwhile, whatever the filters say, and none of what Python leaves out."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for unasked in _UNASKED:
            warnings.simplefilter("ignore", unasked)
        yield said


def _computed(spec: RunSpec, data: TrainingData) -> RunRecord:
    with _threads(spec.threads):
        began = time.perf_counter()
        answerer = fit_in_one_go(spec, data)
        scores_NK = answerer.logits(data.val.images_NCHW)
        held_NK = None if data.held is None else answerer.logits(data.held.images_NCHW)
    assert scores_NK.shape == (len(data.val), data.val.num_classes)
    assert np.isfinite(scores_NK).all()
    found = record(spec, data, "finished", FITTED)
    epoch = {"epoch": 0, "val": measured(spec, scores_NK, data.val)}
    held = {}
    if held_NK is not None and data.held is not None:
        epoch["held"] = measured(spec, held_NK, data.held)
        held = {f"held_logits_{name}_NK": held_NK for name in ("best", "last")}
    return replace(
        found,
        metrics={
            **found.metrics,
            "seconds": round(time.perf_counter() - began, 3),
            "best": epoch,
            "last": epoch,
        },
        layers={
            **found.layers,
            "parameters": dict.fromkeys(("total", "trainable"), answerer.fitted.num_kept),
        },
        predictions={
            "logits_best_NK": scores_NK,
            "logits_last_NK": scores_NK,
            "labels": data.val.labels_N,
            "image_ids": data.val.ids_N,
            **held,
            **held_part(data),
        },
    )


def _threads(count: int) -> AbstractContextManager[object]:
    """So many threads for whatever scikit-learn computes with."""
    import sklearn.linear_model  # noqa: F401 (brings the libraries whose threads are limited)
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(count)
    return limits


def beside(work: Callable[[], RunRecord], listen: Listen) -> RunRecord | None:
    """Do a long work in a thread of its own, and listen meanwhile.

    Args:
        work: Cannot be interrupted.
        listen: Told again and again how many seconds have passed; true if somebody wants to stop.

    Returns:
        What the work gave; none if it was given up, in which case its thread ends with the
        process.

    Raises:
        BaseException: Whatever the work raised.
    """
    done: list[RunRecord] = []
    failed: list[BaseException] = []

    def go() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 (raised again, in the thread that listens)
            failed.append(error)

    thread = threading.Thread(target=go, daemon=True)
    began = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(LISTEN_SECONDS)
        if thread.is_alive() and listen(time.monotonic() - began):
            return None
    if failed:
        raise failed[0]
    return done[0]
