"""Figures beyond accuracy, and their intervals, against scikit-learn, SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as theirs

from modiste.errors import DataError
from modiste.evaluate import bootstrap as resampling
from modiste.evaluate.bootstrap import bootstrap, bootstraps
from modiste.evaluate.calibration import (
    risk_coverage,
    settled_temperature,
    temperature,
    tempered_logits,
)
from modiste.evaluate.intervals import Interval, wilson
from modiste.evaluate.metrics import briers, confusion, f1, in_top, losses, probabilities
from modiste.evaluate.summary import summarise
from modiste.seeds import generator

NUM_CLASSES = 4


def answers(seed: int, num_images: int = 600, pride: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from the very probabilities; `pride` sharpens the logits after."""
    chance = np.random.default_rng(seed)
    logits_NK = chance.normal(0, 2, (num_images, NUM_CLASSES))
    shares_NK = probabilities(logits_NK)
    labels_N = (chance.random((num_images, 1)) > shares_NK.cumsum(axis=1)).sum(axis=1)
    return pride * logits_NK, np.minimum(labels_N, NUM_CLASSES - 1)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_are_scikit_learns(seed: int) -> None:
    logits_NK, labels_N = answers(seed)
    shares_NK, predicted_N = probabilities(logits_NK), logits_NK.argmax(axis=1)
    counts_KK = confusion(predicted_N, labels_N, NUM_CLASSES)
    np.testing.assert_allclose(
        f1(counts_KK), theirs.f1_score(labels_N, predicted_N, average=None), rtol=1e-14
    )
    assert losses(logits_NK, labels_N).mean() == pytest.approx(
        theirs.log_loss(labels_N, shares_NK), rel=1e-12
    )
    assert in_top(logits_NK, labels_N).mean() == theirs.top_k_accuracy_score(
        labels_N, logits_NK, k=2
    )
    one_hot_NK = np.eye(NUM_CLASSES)[labels_N]
    np.testing.assert_allclose(
        briers(shares_NK, labels_N), ((shares_NK - one_hot_NK) ** 2).sum(axis=1), atol=1e-14
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_mean_is_scipys_bca(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(size=200)
    ours = bootstrap(values[:, np.newaxis], lambda sums: sums[:, 0] / 200, num_resamples=20_000)
    wanted = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    # Ends are quantiles of 20,000 draws: a few hundredths of the interval's width apart.
    width = wanted.high - wanted.low
    assert ours.low == pytest.approx(wanted.low, abs=0.04 * width)
    assert ours.high == pytest.approx(wanted.high, abs=0.04 * width)


def test_the_interval_of_a_ratio_is_scipys_bca() -> None:
    chance = np.random.default_rng(1)
    one, two = chance.exponential(size=150), 1 + chance.random(150)
    ours = bootstrap(
        np.stack([one, two], axis=1), lambda sums: sums[:, 0] / sums[:, 1], num_resamples=20_000
    )
    wanted = stats.bootstrap(
        (one, two),
        lambda x, y, axis=-1: x.sum(axis=axis) / y.sum(axis=axis),
        n_resamples=20_000,
        method="BCa",
        paired=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    width = wanted.high - wanted.low
    assert ours.low == pytest.approx(wanted.low, abs=0.04 * width)
    assert ours.high == pytest.approx(wanted.high, abs=0.04 * width)


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Of macro F1, the mean loss and the Brier score, whose true values a large sample tells."""
    logits_NK, labels_N = answers(99, 400_000)
    truths = [
        theirs.f1_score(labels_N, logits_NK.argmax(axis=1), average="macro"),
        losses(logits_NK, labels_N).mean(),
        briers(probabilities(logits_NK), labels_N).mean(),
    ]
    num_trials, hits = 300, np.zeros(3)
    for trial in range(num_trials):
        part = slice(trial * 400, (trial + 1) * 400)
        found = summarise(logits_NK[part], labels_N[part], num_resamples=400)
        for index, figure in enumerate((found.macro_f1, found.loss, found.brier)):
            assert figure.interval is not None
            hits[index] += figure.interval.low <= truths[index] <= figure.interval.high
    # Five standard errors of a share of 0.95, and a point for intervals of so few resamples.
    tolerance = 5 * (0.95 * 0.05 / num_trials) ** 0.5 + 0.01
    np.testing.assert_allclose(hits / num_trials, 0.95, atol=tolerance)


def test_several_figures_of_the_same_images_have_the_intervals_that_each_has_alone() -> None:
    features_NM = np.random.default_rng(2).exponential(size=(90, 3))
    questions = [
        (features_NM[:, :1], lambda sums: sums[:, 0] / 90),
        (features_NM[:, 1:], lambda sums: sums[:, 0] / sums[:, 1]),
    ]
    # More samples than are drawn at once, and no multiple of that.
    together = bootstraps(questions, num_resamples=610, seed=4)
    assert together == [bootstrap(*each, num_resamples=610, seed=4) for each in questions]


def test_samples_are_drawn_once_for_models_of_the_same_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ask() -> list[Interval]:
        losses = np.random.default_rng(3).exponential(size=(2, 70, 1))
        return [bootstrap(each, lambda sums: sums[:, 0] / 70, seed=5) for each in losses]

    monkeypatch.setattr(resampling, "_KEPT_BYTES", 0)
    apart = ask()
    monkeypatch.undo()
    drawn = []

    def counted(seed: int, use: str) -> np.random.Generator:
        drawn.append((seed, use))
        return generator(seed, use)

    monkeypatch.setattr(resampling, "generator", counted)
    assert ask() == apart
    assert drawn == [(5, "bootstrap")]


def test_a_figure_that_no_resample_moves_has_no_width() -> None:
    assert bootstrap(np.ones((5, 1)), lambda sums: sums[:, 0] / 5) == (1.0, 1.0)


@pytest.mark.parametrize("pride", [0.5, 1.0, 3.0])
def test_temperature_finds_how_much_the_logits_were_sharpened(pride: float) -> None:
    logits_NK, labels_N = answers(5, 20_000, pride)
    # Fitted to 20,000 images; the error of the fit is about 1 %.
    assert temperature(logits_NK, labels_N) == pytest.approx(pride, rel=0.05)


def test_planted_pride_is_found_and_mended_on_images_that_did_not_fit_it() -> None:
    logits_NK, labels_N = answers(6, 10_000, pride=3.0)
    before = summarise(logits_NK, labels_N, 200)
    after = summarise(tempered_logits(logits_NK, labels_N), labels_N, 200)
    assert before.calibration.interval.low > 0.1
    assert after.calibration_error.value < 0.02
    assert after.loss.interval is not None
    assert before.loss.interval is not None
    assert after.loss.interval.high < before.loss.interval.low
    mended = tempered_logits(logits_NK, labels_N)
    assert (mended.argmax(axis=1) == logits_NK.argmax(axis=1)).all()


def test_risk_falls_with_coverage_as_counted_by_hand() -> None:
    logits_NK, labels_N = answers(7, 300)
    shares_NK = probabilities(logits_NK)
    found = risk_coverage(shares_NK, labels_N)
    surest = np.argsort(-shares_NK.max(axis=1), kind="stable")
    wrong = shares_NK.argmax(axis=1) != labels_N
    for number in (1, 10, 150, 300):
        assert found.risks[number - 1] == wrong[surest[:number]].mean()
    assert found.coverages[-1] == 1.0
    assert found.risks[149] < found.risks[-1]


def test_where_no_answer_is_wrong_macro_f1_is_no_surer_than_the_accuracy() -> None:
    labels_N = np.arange(50) % 3
    found = summarise(np.eye(3)[labels_N] * 5.0, labels_N, num_resamples=50)
    assert found.macro_f1.value == 1.0
    assert found.macro_f1.interval == found.accuracy.interval == wilson(50, 50)


@pytest.mark.parametrize(
    ("shares", "recalls", "num_images"),
    [
        ([0.1] * 10, [0.99] * 10, 100),
        ([0.95, 0.05], [0.998, 0.8], 100),
        ([0.95, 0.05], [0.998, 0.1], 100),
        ([1 / 3] * 3, [0.99] * 3, 60),
    ],
    ids=["hardly an error", "a rare class", "a class that is hardly found", "three classes"],
)
def test_macro_f1_covers_where_a_class_has_no_error_or_no_hit(
    shares: list[float], recalls: list[float], num_images: int
) -> None:
    chance, num_classes, num_trials = np.random.default_rng(0), len(shares), 200
    right_K = np.array(shares) * recalls
    # Answers that are wrong go to the other classes in equal parts.
    wrong_K = np.array(shares) * (1 - np.array(recalls)) / (num_classes - 1)
    answered_K = right_K + wrong_K.sum() - wrong_K
    truth = float(np.mean(2 * right_K / (shares + answered_K)))
    hits = 0
    for _ in range(num_trials):
        labels_N = chance.choice(num_classes, num_images, p=shares)
        is_right_N = chance.random(num_images) < np.array(recalls)[labels_N]
        other_N = (labels_N + chance.integers(1, num_classes, num_images)) % num_classes
        answers_N = np.where(is_right_N, labels_N, other_N)
        found = summarise(4.0 * np.eye(num_classes)[answers_N], labels_N, 200).macro_f1
        assert found.interval is not None
        hits += found.interval.low <= truth <= found.interval.high
    # Four standard errors of a share of 0.95: more is fine, of bounds that add up to the safe side.
    assert hits / num_trials >= 0.95 - 4 * (0.95 * 0.05 / num_trials) ** 0.5


def test_where_all_answers_are_wrong_macro_f1_is_no_surer_than_the_accuracy() -> None:
    labels_N = np.arange(20) % 2
    found = summarise(np.eye(2)[1 - labels_N], labels_N, num_resamples=50)
    assert found.accuracy.interval is not None
    assert found.macro_f1.interval is not None
    assert found.macro_f1.value == found.macro_f1.interval.low == 0.0
    assert found.macro_f1.interval.high >= found.accuracy.interval.high > 0.1


@pytest.mark.parametrize(("num_wrong", "is_known"), [(0, False), (4, False), (5, True)])
def test_too_few_wrong_answers_tell_nothing_of_loss_and_brier_score(
    num_wrong: int, is_known: bool
) -> None:
    labels_N = np.arange(50) % 3
    answers_N = np.where(np.arange(50) < num_wrong, (labels_N + 1) % 3, labels_N)
    found = summarise(2.0 * np.eye(3)[answers_N], labels_N, num_resamples=50)
    for figure in (found.loss, found.brier):
        assert (figure.interval is not None) is is_known
        assert figure.to_dict()["value"] == figure.value


def test_a_right_class_of_probability_0_has_an_infinite_loss_and_no_temperature() -> None:
    logits_NK, labels_N = answers(8, 100)
    logits_NK[3, labels_N[3]] = -np.inf
    found = summarise(logits_NK, labels_N, num_resamples=50)
    assert (found.loss.value, found.loss.interval) == (np.inf, None)
    assert found.loss.to_dict() == {"value": None, "interval": None}
    assert found.brier.interval is not None
    assert settled_temperature(logits_NK, labels_N) == 1.0
    with pytest.raises(DataError, match="no temperature makes that likelier"):
        temperature(logits_NK, labels_N)
    # A wrong class that is ruled out is none of this.
    other_NK, labels_N = answers(8, 100)
    other_NK[3, (labels_N[3] + 1) % NUM_CLASSES] = -np.inf
    assert np.isfinite(summarise(other_NK, labels_N, num_resamples=50).loss.value)
    assert settled_temperature(other_NK, labels_N) != 1.0


@pytest.mark.parametrize("row", [[0, np.nan], [np.inf, 0], [-np.inf, -np.inf]])
def test_scores_that_are_no_answer_are_refused(row: list[float]) -> None:
    logits_NK, labels_N = np.array([[1.0, 0.0], row]), np.array([0, 1])
    for measure in (summarise, losses, temperature, settled_temperature):
        if measure is settled_temperature:  # of fewer images it says nothing
            logits_NK, labels_N = np.repeat(logits_NK, 20, 0), np.repeat(labels_N, 20)
        with pytest.raises(DataError, match=r"scores of image \d+: "):
            measure(logits_NK, labels_N)


def test_a_single_image_has_figures() -> None:
    found = summarise(np.array([[1.0, 0.0]]), np.array([1]), num_resamples=50)
    assert found.accuracy.value == found.macro_f1.value == 0.0
    assert (found.loss.interval, found.brier.interval) == (None, None)


def test_a_half_without_a_mistake_leaves_the_other_as_it_is() -> None:
    """What a model carries is 1 there, too: whatever makes it surer would look better."""
    labels_N = np.arange(60) % 3
    logits_NK = np.eye(3)[labels_N] * 2.0
    mended = probabilities(tempered_logits(logits_NK, labels_N))
    assert mended == pytest.approx(probabilities(logits_NK))
