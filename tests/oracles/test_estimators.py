"""Rows without a network against scikit-learn, called by hand on the same arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from modiste.data.preprocess import Preprocess
from modiste.models.hog import hog
from modiste.train.one_go import compute
from tests import small

DATA = small.data()


def pixels(images: Any, preprocess: Preprocess = DATA.preprocess) -> np.ndarray:
    return preprocess.apply(images.images_NCHW).reshape(len(images), -1)


def directions(images: Any) -> np.ndarray:
    return hog(DATA.preprocess.apply(images.images_NCHW), 8, 4, 2, is_signed=False)


HOG = {"features": "hog", "orientations": 8, "cell": 4, "block": 2, "signed": False}
ROWS: dict[str, tuple[dict[str, Any], Any, Any, str]] = {
    "majority": (
        {"family": "majority"},
        DummyClassifier(strategy="prior"),
        pixels,
        "predict_log_proba",
    ),
    "logistic regression": (
        {"family": "logistic_regression", "params": {"C": 0.5}},
        LogisticRegression(C=0.5, tol=3e-4, max_iter=1_000),
        pixels,
        "decision_function",
    ),
    "nearest neighbours": (
        {"family": "knn", "params": {"neighbours": 3, "weights": "uniform"}},
        KNeighborsClassifier(3, algorithm="brute"),
        pixels,
        "predict_proba",
    ),
    "linear SVM on HOG": (
        {"family": "svm", "params": {**HOG, "kernel": "linear", "C": 2.0}},
        LinearSVC(C=2.0, dual=False),
        directions,
        "decision_function",
    ),
    "RBF SVM on HOG": (
        {"family": "svm", "params": {**HOG, "kernel": "rbf", "C": 2.0, "gamma": 0.5}},
        SVC(C=2.0, gamma=0.5),
        directions,
        "decision_function",
    ),
    "RBF SVM on pixels": (
        {"family": "svm", "params": {"features": "pixels", "kernel": "rbf", "C": 2.0}},
        SVC(C=2.0),
        pixels,
        "decision_function",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_what_scikit_learn_gives(name: str) -> None:
    model, theirs, see, method = ROWS[name]
    record = compute(small.run_spec({"model": model}), DATA)
    with threadpool_limits(1):  # two threads add up in another order
        theirs.fit(see(DATA.train), DATA.train.labels_N)
        wanted = getattr(theirs, method)(see(DATA.val)).astype(np.float32)
    np.testing.assert_array_equal(record.predictions["logits_last_NK"], wanted)
    right = (wanted.argmax(axis=1) == DATA.val.labels_N).mean()
    assert record.metrics["last"]["val"]["accuracy"] == right


def test_the_loss_of_logistic_regression_is_that_of_its_probabilities() -> None:
    record = compute(small.run_spec({"model": {"family": "logistic_regression"}}), DATA)
    with threadpool_limits(1):
        theirs = LogisticRegression(C=0.1, tol=3e-4, max_iter=1_000)
        theirs.fit(pixels(DATA.train), DATA.train.labels_N)
    given = theirs.predict_proba(pixels(DATA.val))[np.arange(len(DATA.val)), DATA.val.labels_N]
    # Scores are kept as float32, to 6e-8 of numbers up to about 10.
    assert record.metrics["last"]["val"]["loss"] == pytest.approx(-np.log(given).mean(), abs=1e-5)


def test_scaling_is_the_specs() -> None:
    spec = small.run_spec({"model": {"family": "knn"}, "data.scaling": "standard"})
    data = small.data(spec)
    theirs = KNeighborsClassifier(5, weights="distance", algorithm="brute")
    with threadpool_limits(1):
        theirs.fit(pixels(data.train, data.preprocess), data.train.labels_N)
        wanted = theirs.predict_proba(pixels(data.val, data.preprocess)).astype(np.float32)
    assert data.preprocess.mean_C[0] > 0
    np.testing.assert_array_equal(compute(spec, data).predictions["logits_last_NK"], wanted)
