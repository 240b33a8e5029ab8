"""Mirror, shift and erase against slow and obvious versions, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from modiste import seeds
from modiste.data.augment.erase import Erase
from modiste.data.augment.mirror import Mirror
from modiste.data.augment.shift import Shift, shift
from modiste.data.batches import Batches
from modiste.data.preprocess import Preprocess
from modiste.data.types import ImageSet
from modiste.errors import SpecError
from modiste.spec.parts import Seen

Images = npt.NDArray[np.uint8]
COUNT, CHANNELS, HEIGHT, WIDTH = 200, 2, 7, 5


def some_images() -> Images:
    chance = np.random.default_rng(0)
    return chance.integers(1, 256, (COUNT, CHANNELS, HEIGHT, WIDTH), np.uint8)


def stream() -> np.random.Generator:
    return seeds.generator(11, "augment", 0)


def as_array(images: Tensor) -> Images:
    return images.numpy()


def shifted(image_CHW: Images, down: int, right: int) -> Images:
    """The pixel at (y, x) comes from (y - down, x - right), or is black if that lies outside."""
    out = np.zeros_like(image_CHW)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            if 0 <= y - down < HEIGHT and 0 <= x - right < WIDTH:
                out[:, y, x] = image_CHW[:, y - down, x - right]
    return out


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_mirror_turns_the_images_its_coin_says_and_no_others(probability: float) -> None:
    images, coins = some_images(), stream().random(COUNT)
    wanted = [
        image[:, :, ::-1] if coin < probability else image
        for image, coin in zip(images, coins, strict=True)
    ]
    found = Mirror(probability=probability).apply(torch.from_numpy(images), stream())
    assert np.array_equal(as_array(found), np.stack(wanted))


def test_shift_moves_each_image_by_its_own_pixels_down_and_right() -> None:
    images = some_images()
    # Beyond the image in both directions, too.
    offsets = np.random.default_rng(1).integers(-9, 10, (COUNT, 2))
    wanted = [shifted(image, *offset) for image, offset in zip(images, offsets, strict=True)]
    found = shift(torch.from_numpy(images), torch.from_numpy(offsets))
    assert np.array_equal(as_array(found), np.stack(wanted))


@pytest.mark.parametrize("pixels", [1, 2, 9])
def test_the_augmentation_shift_draws_every_offset_up_to_its_pixels(pixels: int) -> None:
    images = some_images()
    offsets = stream().integers(-pixels, pixels + 1, (COUNT, 2))
    wanted = [shifted(image, *offset) for image, offset in zip(images, offsets, strict=True)]
    found = Shift(pixels=pixels).apply(torch.from_numpy(images), stream())
    assert np.array_equal(as_array(found), np.stack(wanted))
    # 200 draws of at most 19 values: each is missed with a chance of 19 x (18/19)^200 = 4e-4,
    # and this stream misses none.
    assert set(offsets.ravel()) == set(range(-pixels, pixels + 1))


def erased(images: Images, chance: np.random.Generator, spec: Erase) -> Images:
    """Algorithm 1 of arXiv:1708.04896, one image and one pixel at a time."""
    count, channels, height, width = images.shape
    hit = chance.random(count) < spec.probability
    shares = chance.uniform(*spec.area, count)
    limit = abs(math.log(spec.aspect))
    logs = chance.uniform(-limit, limit, count)
    places = chance.random(count), chance.random(count)
    out = images.copy()
    noise = chance.integers(0, 256, images.shape, np.uint8) if spec.fill == "noise" else None
    for n in range(count):
        area, aspect = shares[n] * height * width, math.exp(logs[n])
        tall = min(max(round(math.sqrt(area * aspect)), 1), height)
        wide = min(max(round(math.sqrt(area / aspect)), 1), width)
        top = math.floor(places[0][n] * (height - tall + 1))
        left = math.floor(places[1][n] * (width - wide + 1))
        for c in range(channels):
            for y in range(top, top + tall):
                for x in range(left, left + wide):
                    if hit[n]:
                        out[n, c, y, x] = 0 if noise is None else noise[n, c, y, x]
    return out


@pytest.mark.parametrize(
    "spec",
    [
        Erase(),
        Erase(fill="zero"),
        Erase(probability=1.0, area=(0.9, 1.0)),
        Erase(probability=1.0, area=(0.02, 0.02), aspect=1.0),
        Erase(probability=0.0),
    ],
    ids=lambda spec: f"{spec.probability:g}, {spec.area}, {spec.fill}",
)
def test_erase_overwrites_the_rectangles_of_the_algorithm(spec: Erase) -> None:
    images = some_images()
    found = spec.apply(torch.from_numpy(images), stream())
    assert np.array_equal(as_array(found), erased(images, stream(), spec))


def test_erase_takes_the_share_of_images_and_of_pixels_that_it_says() -> None:
    images = torch.full((4_000, 1, 28, 28), 200, dtype=torch.uint8)
    spec = Erase(probability=0.5, area=(0.1, 0.3), aspect=0.5, fill="zero")
    is_black = (spec.apply(images, stream()) == 0).flatten(1)
    is_hit = is_black.any(1)
    # 4000 tosses of a coin: standard error 0.0079; four of them are passed once in 16,000.
    assert float(is_hit.float().mean()) == pytest.approx(0.5, abs=4 * 0.0079)
    # Shares between 0.1 and 0.3: deviation 0.2 / sqrt(12) = 0.058, over 2000 images 0.0013; and
    # whole pixels: sides of about 12 rounded by at most half, with no lean, 0.002 at the most.
    share = float(is_black[is_hit].float().mean())
    assert share == pytest.approx(0.2, abs=4 * 0.0013 + 0.002)


@pytest.mark.parametrize("limits", [(0.0, 255.0), (-3.0, 2.5), (1e30, 1.5e30), (-3e38, 3e38)])
def test_noise_on_floats_fills_the_range_of_the_training_images(
    limits: tuple[float, float],
) -> None:
    chance = np.random.default_rng(0)
    pixels = chance.uniform(0, 1, (60, 2, 8, 8)).astype(np.float32)
    pixels[0, :, 0, :2] = 0, 1  # both ends occur
    low, high = np.array(limits, np.float32)
    pixels[:, 0] = low * (1 - pixels[:, 0]) + high * pixels[:, 0]
    images = ImageSet(pixels, np.arange(60) % 2, ("a", "b"), np.arange(60), "train")
    spec = Erase(probability=1.0, area=(0.4, 0.4), aspect=1.0)
    batches = Batches(images, Preprocess("raw", (0.0, 0.0), (1.0, 1.0), dtype="float32"))
    erased = batches.take(torch.arange(60), [spec], seed=1)[0].numpy()
    for channel, (lowest, highest) in enumerate(((low, high), (0, 1))):
        before, after = pixels[:, channel], erased[:, channel]
        noise = after[after != before].astype(np.float64)
        assert lowest <= noise.min() <= noise.max() <= highest
        # Of an even draw the deviation is 1 / sqrt(12) = 0.289. 60 squares of 5 x 5 are 1500
        # pixels: the mean's standard error is 0.0075, of which four are allowed; the deviation's is
        # 0.005.
        shares = (noise - lowest) / (float(highest) - float(lowest))
        assert float(shares.mean()) == pytest.approx(0.5, abs=4 * 0.0075)
        assert float(shares.std()) == pytest.approx(0.2887, abs=4 * 0.005)


@pytest.mark.parametrize("area", [(0.4, 0.02), (-0.1, 0.2), (0.0, 0.2), (0.1, 1.5)], ids=str)
def test_erase_refuses_shares_that_are_none(area: tuple[float, float]) -> None:
    with pytest.raises(SpecError, match=r"augment\.area: .*smallest and the largest share"):
        Erase.parse({"area": area}, "augment")


def test_an_alternating_mirror_shows_both_sides_of_each_image_in_two_epochs() -> None:
    images = torch.arange(2_000 * 6, dtype=torch.float32).view(2_000, 1, 2, 3)
    spec = Mirror(alternate=True)
    shown = []
    for epoch in range(4):
        order = np.random.default_rng(epoch).permutation(2_000)
        batches = np.array_split(order, 7)
        found = torch.empty(2_000, dtype=torch.bool)
        for which in batches:
            batch = spec.apply(images[which], stream(), Seen(which, epoch, 3))
            found[which] = (batch != images[which]).flatten(1).any(1)
        shown.append(found)
    assert torch.equal(shown[0], ~shown[1])
    assert torch.equal(shown[0], shown[2])
    # 2,000 tosses: the standard error of their share is 1.1 points; three of them are allowed.
    assert float(shown[0].float().mean()) == pytest.approx(0.5, abs=0.034)
    other = spec.apply(images, stream(), Seen(np.arange(2_000), 0, 4))
    assert not torch.equal((other != images).flatten(1).any(1), shown[0])


def test_an_alternating_mirror_has_no_probability() -> None:
    with pytest.raises(SpecError, match=r"augment\[0\].probability: 0.3; with `alternate`"):
        Mirror.parse({"alternate": True, "probability": 0.3}, "train.augment[0]")
