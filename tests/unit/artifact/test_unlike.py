"""Which images are called unlike the training images, and which are not."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from modiste.artifact.unlike import SLACK, STATISTICS, Typical, statistics, typical, warned
from tests.synthetic import draw

Images = npt.NDArray[np.uint8]


def images(count: int = 2_000, seed: int = 0) -> Images:
    """Bright squares on dark noise."""
    return draw(count, seed)[0][:, np.newaxis]


@pytest.fixture(scope="module", name="rule")
def _rule() -> Typical:
    return typical(images())


def test_hardly_any_image_of_the_same_kind_is_called_unlike(rule: Typical) -> None:
    # Four ranges, each with 1 in 1,000 beyond either end, are at most 0.8 % of all; drawn 2,000
    # times the share is known to 0.2 points (one standard error), and we allow three.
    assert warned(rule, images(seed=1)) < 0.008 + 3 * 0.002


def test_inverted_light_blank_and_noisy_images_are_called_unlike(rule: Typical) -> None:
    given = images(200, seed=1)
    light = np.where(given < 64, 255 - given // 4, given).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, given.shape, np.uint8)
    blank = np.zeros_like(given)
    for name, others in {"inverted": 255 - given, "light": light, "noise": noise}.items():
        assert warned(rule, others) == 1.0, name
    assert warned(rule, blank) == 1.0


def test_the_words_say_what_differs_and_whether_inverting_would_help(rule: Typical) -> None:
    given = images(3, seed=1)
    assert rule.unlike(given) == [None, None, None]
    (words,) = rule.unlike(255 - given[:1])
    assert words is not None
    assert words.startswith("unlike the training images: border 2")
    assert words.endswith("; inverted, it would be like them")
    (blank,) = rule.unlike(np.zeros_like(given[:1]))
    assert blank is not None
    assert "contrast 0 (theirs " in blank
    assert "inverted" not in blank


def test_words_and_shares_agree(rule: Typical) -> None:
    given = np.concatenate([images(50, seed=2), 255 - images(30, seed=3)])
    found = [words is not None for words in rule.unlike(given)]
    assert np.mean(found) == warned(rule, given)


def test_statistics_are_what_they_are_called() -> None:
    image = np.zeros((1, 2, 4, 5), np.uint8)
    image[:, :, 1:3, 1:4] = 100  # 6 of 20 pixels; the outermost 14 are black
    border, brightness, contrast, detail = statistics(image)[0]
    assert border == 0
    assert brightness == 30
    assert contrast == pytest.approx(np.std([100] * 6 + [0] * 14))
    # Steps of 100: two in each of 3 columns downwards, two in each of 2 rows; of 15 + 16 in all.
    assert detail == pytest.approx(100 * (6 + 4) / 31)
    assert list(STATISTICS) == ["border", "brightness", "contrast", "detail"]


def test_each_channel_counts_and_thousands_are_looked_at_in_parts() -> None:
    colours = np.zeros((2_500, 3, 2, 2), np.uint8)
    colours[:, 1] = 90
    found = statistics(colours)
    assert found.shape == (2_500, 4)
    assert (found[:, 1] == 30).all()


def test_an_image_of_one_pixel_has_no_detail() -> None:
    assert statistics(np.full((1, 1, 1, 1), 7, np.uint8)).tolist() == [[7, 7, 0, 0]]


def test_a_border_that_is_cleaner_than_theirs_is_no_surprise() -> None:
    given = images(50)
    given[:, :, 1:-1, 1:-1] = 200
    given[:, :, 0], given[:, :, -1] = 1, 1
    given[:, :, :, 0], given[:, :, :, -1] = 1, 1
    clean = given[:1].copy()
    clean[clean == 1] = 0
    assert SLACK == 2
    assert typical(given).unlike(clean) == [None]


def test_the_rule_survives_being_written_down(rule: Typical) -> None:
    written = json.loads(json.dumps(rule.to_dict()))
    assert Typical.from_dict(written) == rule
    assert written["num_images"] == 2_000
