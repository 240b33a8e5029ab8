"""Images in memory: bytes as ever, and floats where somebody handed them over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modiste.data.batches import Batches
from modiste.data.preprocess import fit
from modiste.data.source import SOURCES
from modiste.data.types import ImageSet, digest
from modiste.errors import DataError
from tests import small

LABELS = np.array([0, 1])


def image_set(images_NCHW: np.ndarray) -> ImageSet:
    return ImageSet(images_NCHW, LABELS, ("a", "b"), np.arange(2), "train")


def test_the_digest_of_bytes_is_what_it_always_was() -> None:
    # Fingerprints of all runs stand on it: this one was worked out before floats came.
    digest_before = "50f69beec549b425c1baf25bb427869be2a6bec90ec7e052b5cb4d28f1a119bc"
    assert small.images().digest == digest_before


def test_floats_have_a_digest_of_their_own() -> None:
    ones = np.ones((2, 1, 3, 3))
    found = {digest(ones.astype(dtype), LABELS) for dtype in ("u1", "f4")}
    assert len(found) == 2
    almost = np.nextafter(ones.astype("f4"), np.float32(2))
    assert digest(almost, LABELS) not in found
    assert image_set(ones.astype("f4")).digest in found


def test_other_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="images of float64; expected uint8 or float32"):
        image_set(np.ones((2, 1, 3, 3)))


def test_batches_change_no_image() -> None:
    images = image_set(np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3))
    before = images.images_NCHW.copy()
    batches = Batches(images, fit(images.images_NCHW, "standard"))
    scaled = next(batches.in_order())[0]
    assert scaled.mean().item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(scaled, next(batches.in_order())[0])
    assert (images.images_NCHW == before).all()


def test_images_of_the_memory_are_nowhere() -> None:
    source = SOURCES.get("memory")(None)
    for ask in (source.load_train, lambda: source.where("test")):
        with pytest.raises(DataError, match="handed over as arrays"):
            ask()
