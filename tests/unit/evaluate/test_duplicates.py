"""Duplicates: what was planted is found, and nothing else; ours against an obvious slow version."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from modiste.errors import SpecError
from modiste.evaluate.duplicates import KINDS, NONE, Twins, find_twins
from tests.planted import near_copy
from tests.synthetic import draw

Images = npt.NDArray[np.uint8]
Found = set[tuple[int, int, str]]


def found(twins: Twins) -> Found:
    return {
        (int(first), int(second), KINDS[kind])
        for first, second, kind in zip(twins.first_P, twins.second_P, twins.kinds_P, strict=True)
    }


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As `examine` does: on busy cores, threads wait for each other most of the time."""
    with threadpool_limits(1):
        yield


@pytest.fixture(name="images")
def _images() -> Images:
    return draw(300, seed=3)[0][:, np.newaxis]


def test_images_without_duplicates_have_none(images: Images) -> None:
    assert found(find_twins(images)) == set()


def test_planted_duplicates_are_found_and_nothing_else(images: Images) -> None:
    images[10] = images[200]
    images[20] = images[210][..., ::-1]
    images[30, 0] = near_copy(images[220, 0], 1)
    images[40, 0] = near_copy(images[230, 0], 2)[:, ::-1]
    # A darker copy: a fifth of a stop.
    images[50] = (images[240] * 0.97).astype(np.uint8)
    assert found(find_twins(images)) == {
        (10, 200, "exact"),
        (20, 210, "mirrored"),
        (30, 220, "near"),
        (40, 230, "near mirrored"),
        (50, 240, "near"),
    }


def test_colours_and_large_images_are_compared_as_well() -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 3, 48, 40)).astype(np.uint8)
    images[5] = images[50]
    images[6] = images[51]
    images[6, 1] = np.clip(images[6, 1].astype(int) + 9, 0, 255)  # a cast of green
    images[7] = images[52][..., ::-1]
    assert found(find_twins(images)) == {
        (5, 50, "exact"),
        (6, 51, "near"),
        (7, 52, "mirrored"),
    }


def test_of_equal_images_each_is_paired_with_the_first(images: Images) -> None:
    images[[20, 30, 40]] = images[10]
    images[50] = images[10][..., ::-1]
    twins = find_twins(images)
    assert found(twins) == {
        (10, 20, "exact"),
        (10, 30, "exact"),
        (10, 40, "exact"),
        (10, 50, "mirrored"),
    }
    assert len(set(twins.groups("exact")[[10, 20, 30, 40]])) == 1
    assert twins.groups("exact")[50] != twins.groups("exact")[10]
    assert twins.groups()[50] == twins.groups()[10]


def test_a_crowd_of_near_copies_is_one_group(images: Images) -> None:
    for number in range(16):
        noise = np.random.default_rng(number).integers(-1, 2, images[0].shape)
        images[100 + number] = np.clip(images[99] + noise, 0, 255)
    groups = find_twins(images).groups()
    assert len(set(groups[99:116])) == 1
    assert (groups == groups[99]).sum() == 17


def test_things_that_all_look_alike_are_no_duplicates() -> None:
    # One shape in 300 shades: each pixel of a grid of 7 x 7 is up to 16 levels off.
    chance = np.random.default_rng(0)
    shades = chance.integers(-16, 17, (300, 7, 7)).repeat(4, axis=1).repeat(4, axis=2)
    images = (150 + shades).astype(np.uint8)[:, np.newaxis]
    nearest = 255 * np.sort(find_twins(images).isolation_N)[0]
    copy = near_copy(images[7, 0], 1)
    # Strangers here are nearer than the planted pairs of the other tests are to their neighbours,
    assert nearest < 15
    assert found(find_twins(images)) == set()
    # and a copy is still told from them.
    images[99, 0] = copy
    assert found(find_twins(images)) == {(7, 99, "near")}


@pytest.mark.parametrize("num_images", [1, 2, 3])
def test_a_few_images_are_enough(num_images: int, images: Images) -> None:
    assert found(find_twins(images[:num_images])) == set()
    same = np.repeat(images[:1], num_images, axis=0)
    assert found(find_twins(same)) == {(0, n, "exact") for n in range(1, num_images)}


@pytest.mark.parametrize("closeness", [0.0, 1.0, -1.0, float("nan")])
def test_a_closeness_that_makes_no_sense_is_refused(closeness: float, images: Images) -> None:
    with pytest.raises(SpecError, match="closeness"):
        find_twins(images, closeness)


def test_a_larger_closeness_finds_what_a_smaller_one_does_and_more() -> None:
    chance = np.random.default_rng(1)
    images = draw(200, seed=4)[0].astype(float)
    for number in range(60):
        images[number] = images[number + 100] + chance.normal(0, number, images[0].shape)
    images = np.clip(images, 0, 255).astype(np.uint8)[:, np.newaxis]
    sets = [found(find_twins(images, closeness)) for closeness in (0.2, 0.4, 0.6)]
    assert sets[0] < sets[1] < sets[2]


def slowly(images: Images, closeness: float) -> Found:
    """The definition, word for word, pair by pair; only for images of which no two are equal."""

    def distance(one: Images, two: Images) -> float:
        return float(np.sqrt(np.mean((one.astype(float) - two) ** 2)) / 255)

    count = len(images)
    plain = np.array([[distance(one, two) for two in images] for one in images])
    turned = np.array([[distance(one[..., ::-1], two) for two in images] for one in images])
    np.fill_diagonal(plain, np.inf)
    isolation = np.sort(plain, axis=1)[:, 9]
    answer = set()
    for first in range(count):
        for second in range(first + 1, count):
            limit = max(closeness * min(isolation[first], isolation[second]), 2 / 255)
            if turned[first, second] == 0:
                answer.add((first, second, "mirrored"))
            elif plain[first, second] <= limit:
                answer.add((first, second, "near"))
            elif turned[first, second] <= limit:
                answer.add((first, second, "near mirrored"))
    return answer


def test_pairs_are_those_of_the_definition() -> None:
    chance = np.random.default_rng(2)
    images = draw(120, seed=5)[0].astype(float)
    for number in range(50):
        copy = images[number + 60] + chance.normal(0, number, images[0].shape)
        images[number] = copy[:, ::-1] if number % 3 == 0 else copy
    images = np.clip(images, 0, 255).astype(np.uint8)[:, np.newaxis]
    expected = slowly(images, 0.5)
    assert {kind for _, _, kind in expected} == {"mirrored", "near", "near mirrored"}
    assert found(find_twins(images, 0.5)) == expected


def test_the_closest_kind_is_told_by_part_and_goes_through_others(images: Images) -> None:
    images[1] = images[0]
    images[2, 0] = near_copy(images[1, 0], 1)
    images[4] = images[3][..., ::-1]
    twins = find_twins(images)
    among_N = np.zeros(len(images), bool)
    among_N[[0, 3]] = True
    kinds = twins.nearest_kind(among_N)
    # Image 2 is near to 0, which stands for 1 as well; 0 itself has no other in that part.
    expected = {1: "exact", 2: "near", 4: "mirrored"}
    assert {n: KINDS[kind] for n, kind in enumerate(kinds) if kind != NONE} == expected
    assert twins.between(among_N, ~among_N) == {
        "exact": 1,
        "mirrored": 1,
        "near": 1,
        "near mirrored": 0,
    }
    assert sum(twins.between(among_N, among_N).values()) == 0
