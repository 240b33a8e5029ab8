"""What is handed to an exported model as arrays: answered, or refused in words of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modiste.artifact.model import Artifact, load_artifact
from modiste.errors import InputError
from tests.shipping import Shipped


@pytest.fixture(scope="module")
def artifact(shipped: Shipped) -> Artifact:
    return load_artifact(shipped.folder)


def images(artifact: Artifact, count: int) -> Any:
    height, width, channels = artifact.session.shape_HWC
    return np.zeros((count, channels, height, width), np.uint8)


def test_any_number_of_images_is_answered_in_any_order_of_memory(artifact: Artifact) -> None:
    some = np.random.default_rng(0).integers(0, 256, images(artifact, 130).shape).astype(np.uint8)
    expected = artifact.probabilities(some)
    assert expected.shape == (130, len(artifact.class_names))
    np.testing.assert_array_equal(artifact.probabilities(np.asfortranarray(some)), expected)
    assert len(artifact.warnings(some)) == 130
    assert artifact.probabilities(some[:0]).shape == (0, len(artifact.class_names))
    assert artifact.warnings(some[:0]) == []


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda images: images.transpose(0, 2, 3, 1), r"images\.transpose\(0, 3, 1, 2\)"),
        (lambda images: images[0], r"images\[np\.newaxis\]"),
        (lambda images: images[:, 0], r"images\[:, np\.newaxis\]"),
        (lambda images: images / 255, "float64 of shape .*expected uint8, 0 to 255"),
        (lambda images: images[..., 1:], "expected uint8"),
        (lambda _: "shoe.png", "expected uint8"),
    ],
    ids=["channels last", "one image", "no channels", "floats", "another size", "a path"],
)
def test_others_are_refused_with_what_would_do(artifact: Artifact, change: Any, hint: str) -> None:
    given = change(images(artifact, 3))
    for ask in (artifact.probabilities, artifact.warnings):
        with pytest.raises(InputError, match=hint):
            ask(given)
