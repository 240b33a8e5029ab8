"""The set of models that may be best holds the best one, and is no larger than it must be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from modiste.errors import DataError, SpecError
from modiste.evaluate.best import Needed, accuracy_interval, mcnemar, needed, standings
from modiste.evaluate.contrast import UNMOVED, Pooled, pooled
from modiste.evaluate.intervals import wilson

NUM_IMAGES = 3_000


def answers(chance: np.random.Generator, hard_N: np.ndarray, skill: float) -> np.ndarray:
    """Right where an image is easier than the model's skill, with noise of its own."""
    return hard_N + 0.15 * chance.standard_normal(len(hard_N)) < skill


@pytest.mark.parametrize("seed", range(8))
def test_mcnemar_lies_between_the_exact_tests_that_count_the_tie_and_that_do_not(seed: int) -> None:
    chance = np.random.default_rng(seed)
    one, two = chance.random(300) < 0.85, chance.random(300) < 0.8
    only_one, only_two = int((one & ~two).sum()), int((two & ~one).sum())
    exact = stats.binomtest(only_one, only_one + only_two, 0.5, "greater").pvalue
    above = stats.binomtest(only_one + 1, only_one + only_two, 0.5, "greater").pvalue
    assert mcnemar(one, two) == pytest.approx((exact + above) / 2, rel=1e-12)
    assert mcnemar(one, two) + mcnemar(two, one) == pytest.approx(1.0)


def test_without_any_disagreement_nothing_is_known() -> None:
    right = np.ones(10, bool)
    assert mcnemar(right, right) == 0.5


def test_of_equal_models_each_stays_in_the_set_as_often_as_promised() -> None:
    """The worst case: all as good as each other, the first picked by looking."""
    chance = np.random.default_rng(3)
    num_trials, num_models = 400, 8
    lost = 0
    for _ in range(num_trials):
        hard_N = chance.random(NUM_IMAGES)
        models = [answers(chance, hard_N, 0.9)[np.newaxis] for _ in range(num_models)]
        lost += not standings(models)[0].may_be_best
    # At most 5 %; five standard errors of such a share above it would be a mistake.
    assert lost / num_trials <= 0.05 + 5 * (0.05 * 0.95 / num_trials) ** 0.5


def test_seeds_are_counted_where_their_spread_is_known() -> None:
    """Models whose seeds differ and whose means do not: without it, too many would be lost."""
    chance = np.random.default_rng(4)
    num_trials, num_models = 300, 6
    lost, lost_without = 0, 0
    for _ in range(num_trials):
        hard_N = chance.random(NUM_IMAGES)
        models = [
            np.stack([answers(chance, hard_N, 0.9 + 0.01 * chance.standard_normal())
                      for _ in range(3)])
            for _ in range(num_models)
        ]  # fmt: skip
        spread = pooled([model.mean(axis=1).tolist() for model in models])
        lost += not standings(models, spread)[0].may_be_best
        lost_without += not standings([model[:1] for model in models])[0].may_be_best
    assert lost / num_trials <= 0.05 + 5 * (0.05 * 0.95 / num_trials) ** 0.5
    assert lost_without / num_trials > 0.15


def test_a_planted_tie_is_found_and_a_clear_loser_leaves() -> None:
    chance = np.random.default_rng(5)
    hard_N = chance.random(12_000)
    models = [answers(chance, hard_N, skill)[np.newaxis] for skill in (0.9, 0.9, 0.85)]
    found = standings(models)
    assert [standing.may_be_best for standing in found] == [True, True, False]
    assert found[2].p_value < 1e-6
    assert max(found, key=lambda standing: standing.p_value).difference == 0.0


def test_each_pair_is_compared_by_what_is_known_of_both() -> None:
    chance = np.random.default_rng(10)
    hard_N = chance.random(NUM_IMAGES)
    models = [answers(chance, hard_N, skill)[np.newaxis] for skill in (0.9, 0.85, 0.85)]
    wide = Pooled(0.02**2, 20)
    plain, seeded, mixed = (standings(models, seeds) for seeds in (None, wide, [wide, wide, None]))
    assert mixed[1] == seeded[1]
    assert mixed[2] == plain[2]  # of the third nobody knows; images alone
    assert plain[1].p_value < 0.05 < seeded[1].p_value
    with pytest.raises(SpecError, match="3 models and 2 spreads"):
        standings(models, [wide, wide])


def test_two_spreads_count_each_for_its_own_model() -> None:
    chance = np.random.default_rng(11)
    hard_N = chance.random(NUM_IMAGES)
    one, two = (answers(chance, hard_N, skill)[np.newaxis] for skill in (0.9, 0.89))
    narrow, wide = Pooled(1e-6, 9), Pooled(9e-6, 9)
    errors = [standings([one, two], pair)[1].standard_error ** 2
              for pair in (None, [narrow, wide], [wide, narrow])]  # fmt: skip
    assert errors[1] - errors[0] == pytest.approx(1e-5)
    assert errors[1] == pytest.approx(errors[2])
    assert needed(one, two, narrow, wide).seeds == needed(one, two, wide, narrow).seeds


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_handful_of_images_leaves_nobody_behind(count: int) -> None:
    right, wrong = np.ones((1, count), bool), np.zeros((1, count), bool)
    for seeds in (None, Pooled(1e-4, 4), Pooled(0.0, 1)):
        behind = standings([right, wrong], seeds)[1]
        # A fair coin's mid-p: half a chance in 2, 4, 16.
        assert behind.p_value >= 0.5**count / 2
        assert behind.may_be_best or count == 4


def test_a_single_model_is_the_best() -> None:
    (only,) = standings([np.ones((2, 10), bool)], Pooled(0.0, 1))
    assert only.may_be_best


@pytest.mark.parametrize(
    ("models", "error"),
    [
        ([], DataError),
        ([np.ones((1, 3), bool), np.ones((1, 4), bool)], DataError),
        ([np.ones((2, 3), bool), np.ones((1, 3), bool)], SpecError),
    ],
)
def test_what_cannot_be_compared_is_refused(
    models: list[np.ndarray], error: type[Exception]
) -> None:
    with pytest.raises(error):
        standings(models)


@pytest.mark.parametrize(("gap", "others"), [(0.002, 1), (0.003, 29)])
def test_what_is_said_to_be_needed_separates_as_often_as_it_says(gap: float, others: int) -> None:
    chance = np.random.default_rng(6)
    skills, spread, num_images = (0.9, 0.9 - gap), 0.002, 30_000
    even_N = (np.arange(num_images) + 0.5) / num_images
    seeds = Pooled(spread**2, 1_000)
    one, two = ((even_N < skill)[np.newaxis] for skill in skills)  # seen is the true difference
    advice = needed(one, two, seeds, others=others).seeds
    assert advice is not None
    assert 10 <= advice <= 20
    found = []
    for _ in range(200):
        hard_N = chance.random(num_images)  # other images, and as many other seeds as it says
        models = [hard_N < skill + spread * chance.standard_normal((advice, 1)) for skill in skills]
        # Of many, each is tested at its share of 5 %.
        first, second = standings(models, seeds, level=1 - 0.05 / others)
        found.append(first.difference == 0 and not second.may_be_best)
    # The standard error of a share is 3 points; whole seeds, and images that several seeds answer
    # more alike than one, add up to 5.
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(
    ("only_one", "only_two", "num_seeds", "seeds", "others"),
    [
        (129, 87, 1, Pooled(1e-10, 13), 29),
        (135, 87, 1, Pooled(1e-9, 13), 99),
        (190, 110, 3, Pooled(9e-6, 20), 29),
        (130, 90, 1, Pooled(1e-6, 1), 1),
        (300, 290, 1, Pooled(1e-5, 4), 1),
    ],
)
def test_what_is_said_to_be_needed_is_more_than_what_could_not_tell_them_apart(
    only_one: int, only_two: int, num_seeds: int, seeds: Pooled, others: int
) -> None:
    one, two = np.zeros((2, num_seeds, 12_000), bool)
    one[:, :11_000], two[:, only_one : 11_000 + only_two] = True, True
    first, second, *_ = standings([one] + [two] * others, seeds)
    assert first.may_be_best
    assert second.may_be_best
    found = needed(one, two, seeds, others=others)
    assert found != Needed(None, None, None)
    assert found.seeds is None or found.seeds > num_seeds
    assert found.images is None or found.images > 12_000
    assert found.both is None or (found.both[0] > num_seeds and found.both[1] > 12_000)


def test_images_that_are_added_leave_less_of_what_differs_by_image_and_seed() -> None:
    """Where no seed is better than another, all doubt is over the number of images."""
    num_images, scatter = 12_000, 0.03
    one, two = np.zeros((2, 1, num_images), bool)
    one[:, :11_000], two[:, 450:11_400] = True, True  # 0.42 points apart; 850 images differ
    seeds = Pooled(scatter / num_images, 100_000, scatter)
    found = needed(one, two, seeds)
    between = (850 - 50**2 / num_images + 1) / num_images - 2 * scatter
    wide = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    wanted = (between + 2 * scatter) * (wide / (50 / num_images)) ** 2
    assert found.images == pytest.approx(wanted, rel=1e-3)
    # Counted twice, and taken for what no image makes less, it asked for more than twice as many.
    twice = needed(one, two, Pooled(scatter / num_images, 100_000)).images
    assert twice is None or twice > 2 * wanted


def test_as_many_seeds_are_needed_as_let_images_alone_decide() -> None:
    """Where a few seeds lie close together by luck, it is the images that blur the difference."""
    num_images, scatter = 12_000, 0.03
    one, two = np.zeros((2, 1, num_images), bool)
    one[:, :11_000], two[:, 450:11_405] = True, True  # 0.375 points apart; 855 images differ
    seeds = Pooled(1e-9, 100_000, scatter)
    assert standings([one, two], seeds)[1].may_be_best
    unreduced = (855 - 45**2 / num_images + 1) / num_images
    wide = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    # The mean of more seeds differs less by image and seed; on one it is in `unreduced` whole.
    enough = [
        number
        for number in range(2, 20)
        if wide * ((unreduced - 2 * scatter * (1 - 1 / number)) / num_images) ** 0.5
        <= 45 / num_images
    ]
    assert needed(one, two, seeds).seeds == enough[0] > 2


def test_a_model_that_no_seed_moves_needs_no_seeds() -> None:
    one, two = np.zeros((3, 12_000), bool), np.zeros((1, 12_000), bool)
    one[:, :11_000], two[:, :10_960] = True, True
    # Three are there already of the other; one more of them is the least that can be added.
    assert needed(one, two, Pooled(1e-8, 20), UNMOVED).seeds == 4
    assert needed(two, one, UNMOVED, Pooled(1e-8, 20)).seeds == 4
    found = needed(one[:1], two, UNMOVED, UNMOVED)
    assert (found.seeds, found.both) == (None, None)


def test_of_two_models_with_unequal_seeds_neither_is_to_give_any_up() -> None:
    one, two = np.zeros((3, 12_000), bool), np.zeros((1, 12_000), bool)
    one[:, :11_000], two[:, :10_960] = True, True
    assert needed(one, two, Pooled(1e-8, 20)).seeds == 3


def test_where_images_alone_blur_the_difference_no_number_of_seeds_helps() -> None:
    chance = np.random.default_rng(7)
    one, two = chance.random((1, 200)) < 0.9, chance.random((1, 200)) < 0.9
    found = needed(one, two, Pooled(1e-9, 5))
    assert found.seeds is None


def test_the_more_models_and_the_fewer_seeds_the_more_images_are_needed() -> None:
    one, two = np.zeros((2, 1, 12_000), bool)
    one[0, :11_000], two[0, 260:11_200] = True, True
    among = [needed(one, two, Pooled(1e-8, 2), others=others).images for others in (1, 5, 29)]
    after = [needed(one, two, Pooled(1e-7, degrees), others=29).images for degrees in (3, 5, 9)]
    for images in (among, after[::-1]):
        assert None not in images
        assert images == sorted(images, key=int)  # type: ignore[arg-type]
        assert images[0] != images[-1]
    # By two degrees of freedom and among so many, seeds alone leave more doubt than there is lead.
    assert needed(one, two, Pooled(1e-7, 2), others=29).images is None


def test_the_interval_of_one_seed_alone_is_wilsons() -> None:
    right_SN = np.random.default_rng(8).random((1, 500)) < 0.9
    assert accuracy_interval(right_SN) == wilson(int(right_SN.sum()), 500)


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_the_interval_covers_what_another_seed_and_other_images_would_say(num_seeds: int) -> None:
    chance = np.random.default_rng(9)
    num_trials, spread, skill = 1_000, 0.01, 0.9
    hits = 0
    for _ in range(num_trials):
        hard_N = chance.random(NUM_IMAGES)
        drawn = skill + spread * chance.standard_normal((num_seeds, 1))
        others = [chance.normal(skill, spread, 3).tolist() for _ in range(5)]
        low, high = accuracy_interval(hard_N < drawn, pooled(others))
        hits += low <= skill <= high
    assert hits / num_trials == pytest.approx(0.95, abs=5 * (0.95 * 0.05 / num_trials) ** 0.5)


@pytest.mark.parametrize(("accuracy", "num_images"), [(0.99, 100), (0.97, 100), (0.997, 359)])
def test_the_interval_of_a_model_that_is_hardly_ever_wrong_covers_as_well(
    accuracy: float, num_images: int
) -> None:
    """Where no answer of any seed is wrong, images would be in no doubt at all by their variance.

    Counts are whole, so coverage moves in steps: Wilson's own is 0.92 to 0.98 at these.
    """
    chance = np.random.default_rng(10)
    num_trials, hits = 1_000, 0
    for _ in range(num_trials):
        easy_N = chance.beta(accuracy / 20, (1 - accuracy) / 20, num_images)
        right_SN = chance.random((3, num_images)) < easy_N
        low, high = accuracy_interval(right_SN, pooled([right_SN.mean(axis=1).tolist()]))
        hits += low <= accuracy <= high
    assert hits / num_trials > 0.92 - 5 * (0.92 * 0.08 / num_trials) ** 0.5


def test_several_seeds_that_are_always_right_have_no_narrower_interval_than_one() -> None:
    all_right_SN = np.ones((3, 50), bool)
    low, high = accuracy_interval(all_right_SN, Pooled(0.0, 2))
    assert high == 1.0
    assert low == pytest.approx(wilson(50, 50).low, abs=0.005)  # Student's, not normal
    assert low < wilson(50, 50).low


def test_no_end_lies_nearer_than_that_of_images_alone() -> None:
    right_SN = np.random.default_rng(12).random((2, 300)) < 0.98
    alone = accuracy_interval(right_SN)
    lucky = accuracy_interval(right_SN, Pooled(1e-9, 4, scatter=0.02))
    wide = accuracy_interval(right_SN, Pooled(1e-3, 4, scatter=0.02))
    assert lucky == alone
    assert wide.low < alone.low
    assert wide.high > alone.high


def test_seeds_that_answer_alike_say_no_more_of_images_than_one() -> None:
    right_N = np.random.default_rng(11).random(5_000) < 0.9
    found = accuracy_interval(np.stack([right_N] * 4))
    assert found == pytest.approx(wilson(int(right_N.sum()), 5_000), abs=5e-5)
