"""What every augmentation promises. A new one is tested here unasked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from modiste import seeds
from modiste.data.batches import Batches
from modiste.data.preprocess import Preprocess
from modiste.spec.parts import AUGMENTATIONS, Augmentation
from tests import small

NAMES = AUGMENTATIONS.names()
DTYPES = [torch.uint8, torch.float32, torch.float64]

every_name = pytest.mark.parametrize("name", NAMES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def build(name: str) -> Augmentation:
    return AUGMENTATIONS.get(name).parse({"name": name}, "train.augment[0]")


def some_images(dtype: torch.dtype = torch.uint8, channels: int = 1, count: int = 32) -> Tensor:
    chance = torch.Generator().manual_seed(2)
    # From 1: nothing in an image is black, so what an augmentation fills in can be told.
    pixels = torch.randint(1, 256, (count, channels, 12, 10), generator=chance, dtype=torch.uint8)
    return pixels if dtype == torch.uint8 else pixels.to(dtype) / 255


def stream(counter: int = 0) -> np.random.Generator:
    return seeds.generator(5, "augment", counter)


@pytest.mark.parametrize("channels", [1, 3])
@every_dtype
@every_name
def test_shape_and_dtype_are_kept_and_the_range_is_not_left(
    name: str, dtype: torch.dtype, channels: int
) -> None:
    images = some_images(dtype, channels)
    changed = build(name).apply(images, stream())
    assert (changed.shape, changed.dtype) == (images.shape, dtype)
    assert changed.min() >= 0
    assert changed.max() <= (255 if dtype == torch.uint8 else 1)


@every_dtype
@every_name
def test_the_images_given_are_left_as_they_were(name: str, dtype: torch.dtype) -> None:
    images = some_images(dtype)
    changed = build(name).apply(images, stream())
    changed.zero_()
    assert torch.equal(images, some_images(dtype))


@every_dtype
@every_name
def test_the_same_stream_gives_the_same_images_and_another_gives_others(
    name: str, dtype: torch.dtype
) -> None:
    images = some_images(dtype)
    one, two, other = (build(name).apply(images, stream(n)) for n in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert not torch.equal(one, images)


@every_name
def test_bytes_and_floats_are_changed_alike(name: str) -> None:
    as_bytes = build(name).apply(some_images(torch.uint8), stream())
    as_floats = build(name).apply(some_images(torch.float64), stream())
    # One division by 255 on either way: at most one rounding apart.
    assert torch.allclose(as_bytes.double() / 255, as_floats, rtol=0, atol=1e-15)


@every_name
def test_memory_layout_changes_nothing(name: str) -> None:
    images = some_images(torch.float32, channels=3)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(build(name).apply(images, stream()), build(name).apply(last, stream()))


@every_name
def test_one_image_alone_and_an_image_of_one_pixel_go_through(name: str) -> None:
    assert build(name).apply(some_images(count=1), stream()).shape == (1, 1, 12, 10)
    pixel = torch.full((4, 1, 1, 1), 9, dtype=torch.uint8)
    assert build(name).apply(pixel, stream()).shape == pixel.shape


@every_name
def test_no_global_generator_is_asked(name: str) -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    build(name).apply(some_images(), stream())
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@every_name
def test_its_settings_survive_being_written_down(name: str) -> None:
    spec = build(name)
    assert type(spec).parse(spec.to_dict()) == spec


def test_each_augmentation_draws_from_a_stream_of_its_own() -> None:
    batches = Batches(small.images(), Preprocess("unit", (0.0,), (1.0,)))
    which = torch.arange(20)
    mirror, shift = build("mirror"), build("shift")
    alone, _ = batches.take(which, [shift], seed=3, update=4)
    after, _ = batches.take(which, [mirror, shift], seed=3, update=4)
    mirrored, _ = batches.take(which, [mirror], seed=3, update=4)
    # Images the coin left as they were are moved just as if `mirror` were not there.
    is_left = (mirrored == batches.take(which)[0]).flatten(1).all(1)
    assert 0 < is_left.sum() < len(which)
    assert torch.equal(after[is_left], alone[is_left])


@every_name
def test_one_of_a_name_that_comes_again_has_a_stream_of_its_own(name: str) -> None:
    batches = Batches(small.images(), Preprocess("unit", (0.0,), (1.0,)))
    which, one = torch.arange(20), build(name)
    once, twice = (batches.take(which, [one] * n, seed=3, update=4)[0] for n in (1, 2))
    # With the first one's stream `mirror` would undo it, and `erase` hit the same places.
    first = one.apply(batches.images[which], seeds.generator(3, f"augment/{name}", 4))
    assert torch.equal(once, batches.scale(first))
    same_again = one.apply(first, seeds.generator(3, f"augment/{name}", 4))
    assert not torch.equal(twice, batches.scale(same_again))
    assert not torch.equal(twice, once)


def test_two_alternating_mirrors_toss_their_own_coins() -> None:
    batches = Batches(small.images(), Preprocess("unit", (0.0,), (1.0,)))
    which = torch.arange(20)
    mirror = AUGMENTATIONS.get("mirror").parse({"alternate": True}, "train.augment[0]")
    twice, _ = batches.take(which, [mirror, mirror], seed=3)
    is_left = (twice == batches.take(which)[0]).flatten(1).all(1)
    assert 0 < is_left.sum() < len(which)
