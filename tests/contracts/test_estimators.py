"""What every model that is fitted in one go promises. A new one is tested here unasked."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from modiste.errors import ModisteError
from modiste.models.layers import describe
from modiste.runs.run import Run, write_run
from modiste.spec.parts import MODELS, Estimator
from modiste.spec.run import RunSpec
from modiste.train.one_go import compute, fit_in_one_go
from tests import small
from tests.synthetic import NUM_CLASSES

FAMILIES = [name for name in MODELS.names() if issubclass(MODELS.get(name), Estimator)]
DATA = small.data()

every_family = pytest.mark.parametrize("family", FAMILIES)


def spec_of(family: str, **more: Any) -> RunSpec:
    return small.run_spec({"model": {"family": family}}, **more)


def params_of(family: str) -> Estimator:
    params = spec_of(family).model.params
    assert isinstance(params, Estimator)
    return params


def fitted_scores(family: str, images_NCHW: Any, labels_N: Any, num_classes: int) -> Any:
    fitted = params_of(family).fit(images_NCHW, labels_N, num_classes, seed=0)
    return fitted.scores_NK(images_NCHW)


def test_there_are_some() -> None:
    assert set(FAMILIES) >= {"majority", "logistic_regression", "knn", "svm"}


@every_family
def test_one_finite_score_comes_out_for_each_image_and_class(family: str) -> None:
    scores_NK = fit_in_one_go(spec_of(family), DATA).logits(DATA.val.images_NCHW)
    assert scores_NK.shape == (len(DATA.val), NUM_CLASSES)
    assert scores_NK.dtype == np.float32
    assert np.isfinite(scores_NK).all()


@every_family
@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("num_channels", [1, 3])
def test_so_it_is_for_two_classes_and_for_colour(
    family: str, num_classes: int, num_channels: int
) -> None:
    images_NCHW = np.repeat(DATA.preprocess.apply(DATA.train.images_NCHW), num_channels, axis=1)
    labels_N = DATA.train.labels_N % num_classes
    scores_NK = fitted_scores(family, images_NCHW, labels_N, num_classes)
    assert scores_NK.shape == (len(labels_N), num_classes)
    if family != "majority":
        # The squares of the classes lie apart: all of them can learn these images.
        assert (scores_NK.argmax(axis=1) == labels_N).mean() > 0.9


@every_family
def test_the_same_seed_gives_the_same_bits(family: str) -> None:
    one, two = (compute(spec_of(family), DATA) for _ in range(2))
    assert (
        one.predictions["logits_last_NK"].tobytes() == two.predictions["logits_last_NK"].tobytes()
    )
    assert one.layers == two.layers


@every_family
def test_what_an_image_is_taken_for_does_not_depend_on_its_neighbours(family: str) -> None:
    model, images = fit_in_one_go(spec_of(family), DATA), DATA.val.images_NCHW
    alone = np.concatenate([model.logits(images[i : i + 1]) for i in range(len(images))])
    # The same sums in another order: a few roundings of float32 (6e-8) of numbers up to about 10.
    np.testing.assert_allclose(model.logits(images), alone, rtol=1e-5, atol=1e-5)


@every_family
def test_a_loss_is_told_only_of_probabilities(family: str) -> None:
    record = compute(spec_of(family), DATA)
    measured = record.metrics["last"]["val"]
    scores_NK = record.predictions["logits_last_NK"].astype(np.float64)
    shares_NK = np.exp(scores_NK) / np.exp(scores_NK).sum(axis=1, keepdims=True)
    given_N = shares_NK[np.arange(len(DATA.val)), DATA.val.labels_N]
    if params_of(family).gives_probabilities:
        assert measured["loss"] == pytest.approx(-np.log(given_N).mean(), rel=1e-6)
    else:
        assert measured["loss"] is None
    assert measured["correct"] == (scores_NK.argmax(axis=1) == DATA.val.labels_N).sum()
    assert measured["accuracy"] == measured["correct"] / measured["total"]


@every_family
def test_it_counts_the_numbers_that_it_keeps(family: str) -> None:
    kept = fit_in_one_go(spec_of(family), DATA).fitted.num_kept
    assert kept >= NUM_CLASSES
    assert compute(spec_of(family), DATA).layers["parameters"] == {"total": kept, "trainable": kept}


@every_family
def test_its_record_is_a_run_folder_like_any_other(family: str, tmp_path: Any) -> None:
    write_run(compute(spec_of(family), DATA), tmp_path / "run")
    run = Run(tmp_path / "run")
    assert run.spec == spec_of(family)
    assert run.fingerprint == spec_of(family).fingerprint(DATA.digest)
    assert run.metrics["status"] == "finished"
    assert (run.metrics["epochs"], run.history) == (0, [])
    assert run.metrics["best"] == run.metrics["last"]
    assert not run.has_weights
    assert run.predictions["labels"].tolist() == DATA.val.labels_N.tolist()


@every_family
def test_its_hyperparameters_survive_being_written_down(family: str) -> None:
    spec = spec_of(family)
    assert RunSpec.parse(json.loads(json.dumps(spec.to_dict()))) == spec
    assert "train" not in spec.to_dict()


@every_family
def test_training_means_nothing_to_it_and_is_checked_all_the_same(family: str) -> None:
    digest = "d" * 64
    plain = RunSpec.parse({"model": {"family": family}})
    others = [
        {"train": {"epochs": 5, "optimizer": "sgd", "label_smoothing": 0.1, "augment": ["mirror"]}},
        {"preset": "torch"},
        {"device": "cuda"},
    ]
    for values in others:
        other = RunSpec.parse({"model": {"family": family}, **values})
        assert other.fingerprint(digest) == plain.fingerprint(digest)
        assert other.train.epochs == plain.train.epochs
    for values in ({"seed": 1}, {"threads": 2}, {"data": {"num_val": 100}}):
        other = RunSpec.parse({"model": {"family": family}, **values})
        assert other.fingerprint(digest) != plain.fingerprint(digest)
    with pytest.raises(ModisteError, match=r"train\.epochs"):
        RunSpec.parse({"model": {"family": family}, "train": {"epochs": 0}})


@every_family
def test_it_has_no_layers_and_its_cost_is_not_known_before(family: str) -> None:
    found = describe(params_of(family), (1, 28, 28), NUM_CLASSES)
    assert (found["layers"], found["flops_forward"]) == ([], None)
    assert found["input_shape"] == [28, 28, 1]


def test_hyperparameters_load_without_scikit_learn() -> None:
    code = (
        "import sys; from modiste.spec.parts import MODELS\n"
        "for name in MODELS.names(): MODELS.get(name)()\n"
        "print([name for name in ('torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (answer.stdout.strip(), answer.stderr) == ("[]", "")
