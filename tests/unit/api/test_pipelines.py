"""`ImageClassifier` inside scikit-learn's own tools."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modiste import ImageClassifier
from modiste.errors import ParameterError

X, Y = load_digits(return_X_y=True)
X, Y = X[:900], Y[:900]


def test_it_scores_well_across_folds_of_digits() -> None:
    scores = cross_val_score(ImageClassifier(epochs=25), X, Y, cv=3)
    # The folds gave 0.927, 0.940 and 0.953, on 600 images each: three standard errors of 900 images
    # (0.8 points) below their mean.
    assert scores.mean() > 0.916


def test_it_ends_a_pipeline_of_flattened_images() -> None:
    pipeline = make_pipeline(StandardScaler(), ImageClassifier("mlp", epochs=15))
    pipeline.fit(X[:700], Y[:700])
    assert pipeline.score(X[700:], Y[700:]) > 0.85
    assert pipeline[-1].n_features_in_ == 64
    pipeline.set_params(imageclassifier__epochs=1)
    assert pipeline[-1].get_params()["epochs"] == 1


def test_a_grid_finds_the_rate_that_learns() -> None:
    grid = {"learning_rate": np.array([1e-6, 3e-3]), "params": [{"filters": 4}, {"filters": [8]}]}
    search = GridSearchCV(ImageClassifier("cnn", epochs=6), grid, cv=2, error_score="raise")
    search.fit(X[:400], Y[:400])
    assert search.best_params_["learning_rate"] == 3e-3
    assert search.best_score_ > 0.7
    assert search.predict_proba(X[400:410]).shape == (10, 10)


def test_a_point_that_cannot_be_fitted_ends_no_search() -> None:
    search = GridSearchCV(ImageClassifier(epochs=1), {"learning_rate": [-1, 0.01]}, cv=2)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        search.fit(X[:100], Y[:100])
    (failed,) = [each for each in heard if each.category is FitFailedWarning]
    assert "learning_rate: input should be greater than 0" in str(failed.message)
    assert search.best_params_ == {"learning_rate": 0.01}


def test_a_clone_is_the_same_unfitted() -> None:
    net = ImageClassifier("cnn", {"filters": [4]}, augment=("shift",), epochs=1).fit(X, Y)
    other = clone(net)
    assert other.get_params() == net.get_params()
    assert not hasattr(other, "classes_")
    assert is_classifier(net)


class Quick(ImageClassifier):
    """Of few parameters, as one makes it for a project of one's own."""

    def __init__(self, width: Any = 16, epochs: int = 3) -> None:
        super().__init__("mlp", {"hidden": [width]}, epochs=epochs)
        self.width = width


def test_a_class_made_of_it_has_parameters_of_its_own(tmp_path: Path) -> None:
    net = Quick(8).fit(X, Y)
    same = ImageClassifier("mlp", {"hidden": [8]}, epochs=3).fit(X, Y)
    assert net.predict_proba(X).tobytes() == same.predict_proba(X).tobytes()
    assert clone(net).get_params() == net.get_params() == {"width": 8, "epochs": 3}
    search = GridSearchCV(Quick(), {"epochs": [1, 12]}, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_ == {"epochs": 12}
    again = Quick.load(net.save(tmp_path / "net"))
    assert isinstance(again, Quick)
    assert again.get_params() == net.get_params()
    for other in (again, ImageClassifier.load(tmp_path / "net"), clone(again).fit(X, Y)):
        assert other.predict_proba(X).tobytes() == net.predict_proba(X).tobytes()
    net.width = object()
    with pytest.raises(ParameterError, match=r"^width: <object .* cannot be written as JSON"):
        net.save(tmp_path / "other")


def test_it_votes_beside_others() -> None:
    members = [
        ("net", ImageClassifier("mlp", epochs=5)),
        ("line", LogisticRegression(max_iter=200)),
    ]
    vote = VotingClassifier(members, voting="soft").fit(X[:600] / 16, Y[:600])
    assert vote.score(X[600:] / 16, Y[600:]) > 0.8


@pytest.mark.slow
def test_folds_are_fitted_in_processes_of_their_own() -> None:
    net = ImageClassifier("mlp", {"hidden": [16]}, epochs=3)
    here = cross_val_predict(net, X[:300], Y[:300], cv=2, method="predict_proba")
    there = cross_val_predict(net, X[:300], Y[:300], cv=2, method="predict_proba", n_jobs=2)
    # It would keep its processes, which tests of our own workers would find.
    importlib.import_module("joblib.externals.loky").get_reusable_executor().shutdown(wait=True)
    assert here.tobytes() == there.tobytes()
