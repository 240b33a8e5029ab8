"""Our plateau rule and early stopping, against Keras's own callbacks, on random histories."""

from __future__ import annotations

import math
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modiste.spec.early_stopping import EarlyStopping
from modiste.spec.parts import Moment
from modiste.train.schedules.reduce_on_plateau import ReduceOnPlateau

pytestmark = [
    pytest.mark.peers,
    # Keras 3.15 asks NumPy 2 for the learning rate in an old way.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:keras"),
]

ANY = Moment(update=0, updates_per_epoch=1, epochs=1)
EPOCHS = 40
NUM_TRIALS = 100
MONITORS = ["val_loss", "val_accuracy"]


def history(chance: np.random.Generator, monitor: str, *, is_wild: bool) -> list[float]:
    """Numbers that get better, then stand, with ties and near-ties; some not finite if wild."""
    fall = np.exp(-np.arange(EPOCHS) / chance.uniform(2, 20))
    noise = chance.normal(0, chance.choice([1e-4, 1e-3, 1e-2, 0.1]), EPOCHS)
    # Few decimals: equal numbers, and differences of exactly min_delta, are common.
    losses = np.abs(fall + noise).round(int(chance.integers(2, 6)))
    if is_wild:
        strange = chance.random(EPOCHS) < 0.2
        losses[strange] = chance.choice([math.nan, math.inf], int(strange.sum()))
    numbers = losses if monitor == "val_loss" else 1 - losses
    return [float(number) for number in numbers]


def mode(monitor: str) -> str:
    return "min" if monitor == "val_loss" else "max"


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize("is_wild", [False, True], ids=["finite", "wild"])
def test_the_plateau_rule_cuts_when_keras_does(
    keras: ModuleType, monitor: str, is_wild: bool
) -> None:
    num_cuts, num_at_the_floor = 0, 0
    for trial in range(NUM_TRIALS):
        chance = np.random.default_rng([trial, is_wild])
        values: dict[str, Any] = {
            "monitor": monitor,
            "factor": float(chance.choice([0.1, 0.3, 0.5])),
            "patience": int(chance.integers(0, 6)),
            "cooldown": int(chance.integers(0, 5)),
            "min_delta": float(chance.choice([0.0, 1e-4, 1e-2])),
        }
        floor = float(chance.choice([0.0, 1e-3, 0.02]))
        rule = ReduceOnPlateau.parse({**values, "min_learning_rate": floor})
        counters = rule.start(0.1)

        peer = keras.callbacks.ReduceLROnPlateau(**values, min_lr=floor, mode=mode(monitor))
        optimizer = keras.optimizers.SGD(0.1)
        peer.set_model(SimpleNamespace(optimizer=optimizer))
        peer.on_train_begin()

        rates, theirs = [], []
        for epoch, number in enumerate(history(chance, monitor, is_wild=is_wild)):
            counters = rule.after_epoch(counters, {monitor: number})
            rates.append(rule.rate(0.1, counters, ANY))
            peer.on_epoch_end(epoch, {monitor: number})
            theirs.append(float(optimizer.learning_rate.numpy()))
        # Keras holds the rate in float32: each cut, at most 40 of them, rounds it by up to 6e-8.
        np.testing.assert_allclose(rates, theirs, rtol=40 * 6e-8, err_msg=str(values))
        num_cuts += len(set(rates)) - 1
        num_at_the_floor += rates[-1] == floor
    assert num_cuts > NUM_TRIALS, "too few cuts to tell"
    assert num_at_the_floor > NUM_TRIALS / 10, "the floor was hardly ever reached"


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize("is_wild", [False, True], ids=["finite", "wild"])
def test_early_stopping_stops_and_restores_when_keras_does(
    keras: ModuleType, monitor: str, is_wild: bool
) -> None:
    num_stopped = 0
    for trial in range(NUM_TRIALS):
        chance = np.random.default_rng([trial, is_wild])
        values: dict[str, Any] = {
            "monitor": monitor,
            "patience": int(chance.integers(0, 12)),
            "min_delta": float(chance.choice([0.0, 1e-4, 1e-2])),
        }
        rule = EarlyStopping.parse(values)
        state = rule.start()

        # A model whose only weight is the epoch that it has been trained to.
        model = SimpleNamespace(stop_training=False, weights=[0])
        model.get_weights = lambda model=model: list(model.weights)
        model.set_weights = lambda weights, model=model: setattr(model, "weights", weights)
        peer = keras.callbacks.EarlyStopping(
            **values, mode=mode(monitor), restore_best_weights=True
        )
        peer.set_model(model)
        peer.on_train_begin()

        for epoch, number in enumerate(history(chance, monitor, is_wild=is_wild), start=1):
            model.weights = [epoch]
            peer.on_epoch_end(epoch - 1, {monitor: number})
            state = rule.after_epoch(state, epoch, {monitor: number})
            assert state.should_stop == model.stop_training, (values, epoch)
            assert state.wait == peer.wait
            assert state.best_epoch == peer.best_epoch + 1
            if state.should_stop:
                num_stopped += 1
                break
        peer.on_train_end()
        assert model.weights == [state.best_epoch]
    assert NUM_TRIALS / 4 < num_stopped < NUM_TRIALS, "stopped always or hardly ever"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ReduceOnPlateau(), "ReduceLROnPlateau"),
        (EarlyStopping(patience=0), "EarlyStopping"),
    ],
)
def test_what_is_not_said_means_the_same(
    keras: ModuleType, ours: ReduceOnPlateau | EarlyStopping, theirs: str
) -> None:
    peer = getattr(keras.callbacks, theirs)()
    names = {"min_learning_rate": "min_lr", "restore_best": "restore_best_weights"}
    mine = {names.get(key, key): value for key, value in ours.to_dict().items() if key != "name"}
    assert mine == {key: getattr(peer, key) for key in mine}
