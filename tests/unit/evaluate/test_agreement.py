"""Two trainings compared: to the last bit, or with the noise between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from modiste.errors import DataError
from modiste.evaluate.agreement import (
    RULES,
    Change,
    changes,
    compare_accuracies,
    compare_answers,
    compare_arrays,
    compare_histories,
    decide,
    likely_cause,
    not_recorded,
)
from modiste.evaluate.contrast import pooled
from modiste.evaluate.intervals import paired_difference

HERE: dict[str, Any] = {
    "python": "3.11.7",
    "packages": {"modiste": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.4.6"},
    "numerics_version": 1,
    "platform": "Linux",
    "cpu": "AMD EPYC",
    "cpu_model": "AuthenticAMD 26.2",
    "vector_instructions": "avx2 avx512f",
    "kernel_settings": {},
    "git_commit": "0123456789ab",
    "threads": 1,
    "device": "cpu",
}


def history(*losses: float) -> list[dict[str, float]]:
    return [
        {"epoch": number, "val_loss": loss, "val_accuracy": 0.5, "seconds": number / 3}
        for number, loss in enumerate(losses, start=1)
    ]


def answers(num_right: int, total: int = 1_000, start: int = 0) -> np.ndarray:
    right_N = np.zeros(total, bool)
    right_N[start : start + num_right] = True
    return right_N


# --- histories and arrays ---


def test_histories_agree_whatever_the_time_they_took() -> None:
    slow = [{**row, "seconds": 99.0} for row in history(0.5, 0.4)]
    found = compare_histories(history(0.5, 0.4), slow)
    assert found.is_identical
    assert (found.num_compared, found.first, found.largest) == (2, None, {})


def test_the_last_bit_counts_and_its_place_is_named() -> None:
    next_to = math.nextafter(0.4, 1.0)
    found = compare_histories(history(0.5, 0.4, 0.3), history(0.5, next_to, 0.2))
    assert not found.is_identical
    assert found.first == (2, "val_loss", 0.4, next_to)
    assert found.largest == {"val_loss": pytest.approx(0.1)}


def test_a_history_of_another_length_is_another_history() -> None:
    found = compare_histories(history(0.5, 0.4), history(0.5))
    assert (found.num_compared, found.first, found.is_identical) == (1, None, False)


def test_only_the_epochs_that_were_asked_for_are_compared() -> None:
    assert compare_histories(history(0.5, 0.4), history(0.5, 0.3), num_epochs=1).is_identical
    # One side went a little further than it was asked to.
    assert compare_histories(history(0.5), history(0.5, 0.3), num_epochs=1).is_identical


def test_arrays_agree_only_bit_for_bit() -> None:
    array = np.array([[0.0, 1.0], [2.0, 3.0]], np.float32)
    assert compare_arrays({"a": array}, {"a": array.copy()}).is_identical
    other = array.copy()
    other[1, 1] = np.nextafter(np.float32(3.0), np.float32(4.0))
    other[0, 0] = -0.0  # equal, but not the same bits
    found = compare_arrays({"a": array}, {"a": other})
    assert (found.num_values, found.num_different) == (4, 2)
    assert found.max_difference == float(other[1, 1]) - 3.0
    assert not found.is_identical


def test_values_that_are_no_numbers_on_both_sides_do_not_hide_the_others() -> None:
    nan, inf = math.nan, math.inf
    old = {"a": np.array([nan, 1.0, 2.0])}
    found = compare_arrays(old, {"a": np.array([nan, 1.0, 7.0])})
    assert (found.num_different, found.max_difference) == (1, 5.0)
    # Of one that was a number and is none, nobody can say how far it moved.
    for other in ([nan, 1.0, nan], [nan, 1.0, inf]):
        found = compare_arrays({**old, "b": np.zeros(2)}, {"a": np.array(other), "b": np.ones(2)})
        assert (found.num_different, found.max_difference) == (3, None)
    found = compare_arrays(old, {"a": np.array([-nan, 1.0, 2.0])})
    assert (found.num_different, found.max_difference) == (1, 0.0)


@pytest.mark.parametrize(
    "other",
    [{}, {"b": np.zeros(3)}, {"a": np.zeros(4)}, {"a": np.zeros(3, np.float32)}],
    ids=["missing", "another name", "another shape", "another type"],
)
def test_what_cannot_be_compared_is_all_different(other: dict[str, np.ndarray]) -> None:
    found = compare_arrays({"a": np.zeros(3)}, other)
    assert (found.num_different, found.max_difference) == (3, None)


# --- accuracies ---


def test_equal_answers_are_within_noise() -> None:
    found = compare_answers("last", answers(900), answers(900))
    # Other images may tell them apart: of a thousand that do not, one is allowed for.
    assert (found.difference, found.image_error) == (0, 0.001)
    assert found.high == -found.low == pytest.approx(2.58 * 0.001, rel=0.01)
    assert found.is_within


def test_the_noise_of_two_trainings_is_the_paired_error_of_their_images() -> None:
    one_N, two_N = answers(900), answers(905, start=3)
    found = compare_answers("last", one_N, two_N)
    paired = paired_difference(two_N[None], one_N[None])
    assert found.difference == pytest.approx(paired.mean)
    # One image more than the thousand, that only one of the two got right.
    wanted = (paired.standard_error**2 + 1_000**-2) ** 0.5
    assert found.image_error == pytest.approx(wanted, rel=1e-9)
    assert found.is_paired
    assert found.high - found.low == pytest.approx(2 * 2.58 * wanted, rel=0.01)


@pytest.mark.parametrize(("gap", "is_within"), [(3, True), (60, False)])
def test_a_gap_that_chance_cannot_explain_is_not_within_noise(gap: int, is_within: bool) -> None:
    # All images that differ are lost: the error is the root of their number, 1.7 and 7.7.
    found = compare_answers("last", answers(900), answers(900 - gap))
    assert found.is_within is is_within


def test_a_wide_spread_of_seeds_explains_a_gap_that_images_do_not() -> None:
    seeds = pooled([[0.90, 0.94, 0.86, 0.92, 0.88]])
    alone = compare_answers("last", answers(900), answers(840))
    together = compare_answers("last", answers(900), answers(840), seeds, 5)
    assert not alone.is_within
    assert together.is_within
    assert together.num_seeds == 5
    assert seeds is not None
    assert together.seed_error == pytest.approx(math.sqrt(2 * seeds.variance))


def test_how_often_two_trainings_of_one_kind_are_called_different() -> None:
    chance = np.random.default_rng(0)
    # Both sides are right with the same probability at each image, which is the null.
    easy_N = chance.random(2_000) < 0.8
    shares_N = np.where(easy_N, 0.99, 0.55)
    wrong = sum(
        not compare_answers("last", *(chance.random((2, 2_000)) < shares_N)).is_within
        for _ in range(1_000)
    )
    # 1 % of 1000 draws: 10, standard deviation 3.1; we allow three of them.
    assert wrong <= 20


@pytest.mark.parametrize("figures", [[0.9, 0.86], [0.9, 0.86, 0.88], [0.9] * 5])
def test_a_spread_that_is_hardly_known_excuses_no_loss(figures: list[float]) -> None:
    """Student's quantile at one degree of freedom is 64: it would excuse anything."""
    found = compare_answers("last", answers(900), answers(860), pooled([figures]), len(figures))
    assert found.seed_error is None
    assert not found.is_within


def test_how_often_a_worse_training_is_within_noise_with_two_seeds_and_without() -> None:
    chance = np.random.default_rng(0)

    def trained(lost: float = 0.0) -> np.ndarray:
        moved = chance.normal(0.9 - lost, 0.0025)
        return hard_N + chance.normal(0, 0.12, 12_000) < moved

    for _ in range(100):
        hard_N = chance.random(12_000)
        one_N, two_N, here_N = trained(), trained(), trained(lost=0.04)
        seeds = pooled([[float(one_N.mean()), float(two_N.mean())]])
        # 4 points are 16 standard deviations of a seed.
        assert not compare_answers("last", one_N, here_N, seeds, 2).is_within


@pytest.mark.parametrize("is_right", [True, False])
def test_a_single_image_tells_nothing(is_right: bool) -> None:
    seeds = pooled([[0.0, 1.0, 1.0, 0.0]])
    for known in (None, seeds):
        found = compare_answers("last", np.array([True]), np.array([is_right]), known, 4)
        assert found.is_within
        assert (found.low, found.high, found.image_error) == (-1.0, 1.0, None)


def test_without_answers_the_error_is_that_of_two_samples() -> None:
    found = compare_accuracies("epoch 2", 0.8, 0.82, (1_000, 1_000))
    error = math.sqrt(0.8 * 0.2 / 1_000 + 0.82 * 0.18 / 1_000 + 2 * 0.25 / 1_000**2)
    assert found.image_error == pytest.approx(error)
    assert (found.is_paired, found.seed_error) == (False, None)
    assert found.is_within
    assert not compare_accuracies("epoch 2", 0.8, 0.9, (1_000, 1_000)).is_within


def test_without_answers_one_without_any_error_is_no_certainty() -> None:
    assert compare_accuracies("epoch 2", 1.0, 0.99, (100, 100)).is_within


def test_without_answers_seeds_that_are_known_are_the_noise() -> None:
    seeds = pooled([[0.800, 0.801, 0.802, 0.799, 0.798]])
    found = compare_accuracies("epoch 2", 0.8, 0.82, (1_000, 1_000), seeds, 5)
    assert found.image_error is None
    assert not found.is_within


@pytest.mark.parametrize(
    "figures", [[0.8, 0.8], [0.8, 0.7], [0.8, 0.7, 0.9], [0.8, 0.8, 0.8, 0.8, 0.8]]
)
def test_a_spread_that_is_hardly_known_decides_nothing(figures: list[float]) -> None:
    """Two seeds with equal counts would make one image a difference, two others nothing one."""
    near = compare_accuracies("epoch 2", 0.8, 0.801, (1_000, 1_000), pooled([figures]), 2)
    far = compare_accuracies("epoch 2", 0.8, 0.9, (1_000, 1_000), pooled([figures]), 2)
    assert near.is_within
    assert not far.is_within


def test_answers_to_other_images_are_not_paired() -> None:
    with pytest.raises(DataError, match="cannot be paired"):
        compare_answers("last", answers(5, 10), answers(5, 11))


# --- the verdict ---


def test_the_verdict_needs_the_same_end() -> None:
    near = compare_answers("last", answers(900), answers(901))
    far = compare_answers("last", answers(900), answers(840))
    assert decide([True, False], [near], same_end=True) == "within noise"
    assert decide([True, False], [near, far], same_end=True) == "different"
    assert decide([True, True], [far], same_end=True) == "identical"
    assert decide([True, True], [near], same_end=False) == "different"
    assert decide([], [], same_end=True) == "different"


# --- causes ---


def test_the_same_surroundings_differ_in_nothing() -> None:
    assert changes(HERE, dict(HERE), ("a", "a")) == []
    assert likely_cause([]) is None


@pytest.mark.parametrize(
    ("key", "value", "cause"),
    [
        ("packages", {**HERE["packages"], "torch": "2.12.1+cpu"}, "version"),
        # Another build of the same version brings other kernels.
        ("packages", {**HERE["packages"], "torch": "2.13.0+cu130"}, "version"),
        ("numerics_version", 2, "version"),
        ("device", "cuda", "device"),
        ("threads", 2, "threads"),
        ("cpu", "Intel Xeon", "processor"),
        ("cpu_model", "AuthenticAMD 25.1", "processor"),
        ("vector_instructions", "avx2", "processor"),
        ("kernel_settings", {"ATEN_CPU_CAPABILITY": "avx2"}, "processor"),
        ("packages", {**HERE["packages"], "numpy": "2.5.0"}, "library"),
        ("python", "3.12.1", "library"),
        ("git_commit", "0123456789ab+", "code"),
    ],
)
def test_what_differs_is_named_and_is_the_cause(key: str, value: object, cause: str) -> None:
    found = changes({**HERE, key: value}, HERE)
    assert [change.kind for change in found] == [cause]
    assert likely_cause(found) == cause
    assert found[0].recorded != found[0].here


def test_of_several_causes_the_likeliest_comes_first() -> None:
    recorded = {**HERE, "threads": 4, "python": "3.12.1", "git_commit": None, "cpu": "Intel Xeon"}
    found = changes(recorded, HERE, ("aa", "bb"))
    assert [change.kind for change in found] == ["data", "threads", "processor", "library", "code"]
    assert likely_cause(found) == "data"
    assert list(RULES).index("version") < list(RULES).index("threads")


def test_a_record_of_an_older_version_is_not_said_to_differ_in_what_it_does_not_hold() -> None:
    names = ("cpu_model", "vector_instructions", "kernel_settings")
    older = {key: value for key, value in HERE.items() if key not in names}
    assert changes(older, HERE) == []
    assert not_recorded(older, HERE) == [
        "processor model",
        "vector instructions",
        "settings of kernels",
    ]
    assert likely_cause([], not_recorded(older, HERE)) == "processor"
    threads = [Change("threads", "threads", 1, 2)]
    assert likely_cause(threads, not_recorded(older, HERE)) == "threads"
