"""The map of what decided, with models whose answer is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modiste.serve.occlusion import background, occlusion

Images = npt.NDArray[np.uint8]


def of_centre(images_NCHW: Images) -> npt.NDArray[np.float64]:
    """Says class 0 as far as the pixel at (4, 22) is bright."""
    share = images_NCHW[:, 0, 4, 22] / 255
    return np.stack([share, 1 - share], axis=1)


def test_only_windows_over_the_pixel_that_decides_take_anything() -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 4, 22] = 255
    found = occlusion(image, of_centre, 1.0, 0)
    assert found.window_HW == (6, 6)
    assert found.drops.shape == (10, 10)
    assert found.evaluations == 101
    tops = [round(place) for place in np.linspace(0, 22, 10)]
    covers = np.array([[t <= 4 < t + 6 and left <= 22 < left + 6 for left in tops] for t in tops])
    assert covers.any()
    assert np.array_equal(found.drops == 1.0, covers)
    assert np.array_equal(found.drops == 0.0, ~covers)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5), (1, 1, 40), (3, 500, 300)])
def test_an_image_of_any_size_takes_at_most_101_evaluations(shape: tuple[int, int, int]) -> None:
    seen = []

    def ask(images_NCHW: Images) -> npt.NDArray[np.float64]:
        seen.append(len(images_NCHW))
        return np.full((len(images_NCHW), 2), 0.5)

    found = occlusion(np.zeros(shape, np.uint8), ask, 0.5, 1)
    assert sum(seen) + 1 == found.evaluations <= 101
    assert found.drops.shape[0] <= shape[1]
    assert found.drops.shape[1] <= shape[2]


def test_what_covers_is_what_lies_around_and_the_image_is_left_alone() -> None:
    image = np.full((3, 10, 10), 7, np.uint8)
    image[:, 3:7, 3:7] = 200
    before = image.copy()
    assert background(image).tolist() == [7, 7, 7]
    occlusion(image, lambda images: np.ones((len(images), 1)), 1.0, 0)
    assert np.array_equal(image, before)
