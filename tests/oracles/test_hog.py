"""Histograms of oriented gradients against their definition, pixel by pixel, and scikit-image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from modiste.models.hog import hog
from tests import small

CHOICES = [
    # orientations, cell, block, signed
    (8, 4, 2, False),
    (12, 4, 7, True),
    (9, 7, 4, True),
    (5, 3, 1, False),
]


def random_images(num_channels: int) -> np.ndarray:
    # Not square, and no cell of the choices above divides it.
    return np.random.default_rng(0).random((4, num_channels, 31, 29)).astype(np.float32)


def by_definition(image_CHW: np.ndarray, orientations: int, cell: int, block: int, turn: float):
    """One image, one pixel at a time."""
    _, height, width = image_CHW.shape
    rows, columns = height // cell, width // cell
    cells = np.zeros((rows, columns, orientations))
    for y in range(rows * cell):
        for x in range(columns * cell):
            best = (0.0, 0.0)
            for channel in image_CHW.astype(np.float64):
                dy = channel[y + 1, x] - channel[y - 1, x] if 0 < y < height - 1 else 0.0
                dx = channel[y, x + 1] - channel[y, x - 1] if 0 < x < width - 1 else 0.0
                if math.hypot(dy, dx) > best[0]:
                    best = (math.hypot(dy, dx), math.degrees(math.atan2(dy, dx)) % turn)
            index = min(int(best[1] // (turn / orientations)), orientations - 1)
            cells[y // cell, x // cell, index] += best[0] / cell**2
    parts = []
    for y in range(rows - block + 1):
        for x in range(columns - block + 1):
            values = cells[y : y + block, x : x + block].reshape(-1)
            for limit in (0.2, math.inf):
                values = np.minimum(values / math.sqrt((values**2).sum() + 1e-10), limit)
            parts.append(values)
    return np.concatenate(parts)


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize(("orientations", "cell", "block", "signed"), CHOICES)
def test_it_is_what_dalal_and_triggs_define(
    orientations: int, cell: int, block: int, signed: bool, num_channels: int
) -> None:
    images = random_images(num_channels)
    ours = hog(images, orientations, cell, block, is_signed=signed)
    turn = 360.0 if signed else 180.0
    slow = np.stack([by_definition(i, orientations, cell, block, turn) for i in images])
    assert ours.dtype == np.float32
    # The same sums in float64, then one rounding to float32 of numbers below 1: 6e-8.
    np.testing.assert_allclose(ours, slow, rtol=0, atol=1e-7)


@pytest.mark.peers
@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize(
    ("orientations", "cell", "block"), [(o, c, b) for o, c, b, signed in CHOICES if not signed]
)
def test_it_is_scikit_images(orientations: int, cell: int, block: int, num_channels: int) -> None:
    feature: Any = pytest.importorskip("skimage.feature", reason="needs the extra 'peers'")
    images = random_images(num_channels)
    theirs = [
        feature.hog(
            image.astype(np.float64),
            orientations=orientations,
            pixels_per_cell=(cell, cell),
            cells_per_block=(block, block),
            channel_axis=0,
        )
        for image in images
    ]
    ours = hog(images, orientations, cell, block, is_signed=False)
    np.testing.assert_allclose(ours, np.stack(theirs), rtol=0, atol=1e-7)


def test_how_many_are_worked_on_at_once_changes_nothing() -> None:
    images = small.images(260).images_NCHW.astype(np.float32)
    together = hog(images, 8, 4, 2, is_signed=True)
    alone = np.concatenate([hog(images[i : i + 1], 8, 4, 2, is_signed=True) for i in (0, 259)])
    assert together[[0, 259]].tobytes() == alone.tobytes()


def test_an_image_without_edges_has_no_directions() -> None:
    flat = np.full((2, 1, 28, 28), 0.7, np.float32)
    assert not hog(flat, 8, 4, 2, is_signed=False).any()


def test_light_to_dark_is_another_direction_only_if_signs_count() -> None:
    images = small.images(20).images_NCHW.astype(np.float32)
    one, two = (hog(part, 8, 4, 7, is_signed=False) for part in (images, 255 - images))
    np.testing.assert_array_equal(one, two)
    one, two = (hog(part, 8, 4, 7, is_signed=True) for part in (images, 255 - images))
    assert np.abs(one - two).max() > 0.01
