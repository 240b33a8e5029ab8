"""Images are made worse by just as much as is said, and the same way each time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from modiste.evaluate.stress import blurred, flattened, noisy, shifted, stresses

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 2, 9, 7), np.uint8)


@pytest.mark.parametrize("stress", stresses(), ids=lambda s: f"{s.name} {s.amount}")
def test_each_keeps_shape_and_type_and_is_the_same_each_time(stress) -> None:
    before = IMAGES.copy()
    one, two = stress.apply(IMAGES), stress.apply(IMAGES)
    assert one.shape == IMAGES.shape
    assert one.dtype == np.uint8
    assert (one == two).all()
    assert (before == IMAGES).all()
    assert (one != IMAGES).any()


@pytest.mark.parametrize("pixels", [1, 3, 8])
def test_a_shift_moves_each_image_one_of_four_ways_and_brings_in_black(pixels: int) -> None:
    found = shifted(IMAGES, pixels)
    ways = set()
    for image, moved in zip(IMAGES, found, strict=True):
        matches = [
            way
            for way in ((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels))
            if (ndimage.shift(image, (0, *way), order=0, mode="constant") == moved).all()
        ]
        assert matches
        ways.update(matches)
    assert len(ways) == 4


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    grey = np.full((50, 1, 28, 28), 128, np.uint8)
    noise = noisy(grey, 0.1).astype(np.float64) - 128
    # 39,200 values: the deviation is known to 0.4 %, and rounding adds a twelfth of a grey level.
    assert noise.std() == pytest.approx(25.5, rel=0.02)
    assert abs(noise.mean()) < 0.7


def test_blur_keeps_the_mean_of_a_wide_image_and_takes_its_edges() -> None:
    point = np.zeros((1, 1, 21, 21), np.uint8)
    point[0, 0, 10, 10] = 255
    found = blurred(point, 1.0)[0, 0].astype(np.float64)
    # A Gaussian of deviation 1 has 1 / (2 pi) in its middle.
    assert found[10, 10] == pytest.approx(255 / (2 * np.pi), abs=2)
    assert found[10, 12] == found[12, 10] < found[10, 11]


def test_contrast_is_drawn_towards_the_mean_by_that_share() -> None:
    image = np.array([[[[0, 100], [200, 100]]]], np.uint8)
    assert flattened(image, 0.5).tolist() == [[[[50, 100], [150, 100]]]]
