"""Importances against Optuna's own fANOVA, and against what is known of a function."""

from __future__ import annotations

import warnings

import numpy as np
import optuna
import pytest

from modiste.errors import DataError
from modiste.evaluate import importance
from modiste.evaluate.importance import importances

chance = np.random.default_rng(0)
PLACES_PD = chance.random((40, 4))
FIGURES_P = (
    PLACES_PD[:, 0] ** 2 + 0.3 * PLACES_PD[:, 1] * PLACES_PD[:, 2] + 0.02 * chance.random(40)
)


def optunas(places_PD: np.ndarray, figures_P: np.ndarray) -> list[float]:
    names = [f"key{d}" for d in range(places_PD.shape[1])]
    allowed = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in names}
    study = optuna.create_study()
    for places, figure in zip(places_PD, figures_P, strict=True):
        params = dict(zip(names, map(float, places), strict=True))
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions=allowed, value=float(figure))
        )
    forest = optuna.importance.FanovaImportanceEvaluator(n_trees=importance.NUM_TREES, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = optuna.importance.get_param_importances(study, evaluator=forest, normalize=False)
    return [float(found[name]) for name in names]


def test_shares_are_those_of_optuna() -> None:
    found = importances(PLACES_PD, FIGURES_P)
    assert found is not None
    # The same forest; what is left is the rounding of sums.
    assert [each.share for each in found] == pytest.approx(optunas(PLACES_PD, FIGURES_P), abs=1e-9)


def test_shares_of_a_sum_are_those_of_its_terms() -> None:
    places_PD = chance.random((400, 3))
    found = importances(places_PD, 2 * places_PD[:, 0] + places_PD[:, 1])
    assert found is not None
    # Variances 4/12 and 1/12: 0.8 and 0.2. The forest is a staircase of 400 noisy steps; its own
    # error was below 0.04 in ten draws.
    assert [each.share for each in found] == pytest.approx([0.8, 0.2, 0.0], abs=0.06)
    for each, truth in zip(found, [0.8, 0.2, 0.0], strict=True):
        assert each.low - 0.03 <= truth <= each.high + 0.03


def test_categories_are_places_like_any_other() -> None:
    categories = chance.integers(3, size=90)
    places_PD = np.stack([(categories + 0.5) / 3, chance.random(90)], axis=1)
    found = importances(places_PD, np.array([0.9, 0.1, 0.5])[categories])
    assert found is not None
    assert found[0].share == pytest.approx(1.0, abs=1e-6)
    assert found[1].share == pytest.approx(0.0, abs=1e-6)


def test_where_nothing_can_be_said_nothing_is() -> None:
    assert importances(PLACES_PD[:7], FIGURES_P[:7]) is None
    assert importances(PLACES_PD, np.ones(40)) is None
    with pytest.raises(DataError, match="between 0 and 1"):
        importances(PLACES_PD + 0.5, FIGURES_P)
    with pytest.raises(DataError, match="39 figures for 40 trials"):
        importances(PLACES_PD, FIGURES_P[:-1])
