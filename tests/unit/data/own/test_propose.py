"""What is proposed for a set: a size, colours, a background, and what tests."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from modiste.data.own.propose import propose
from modiste.data.own.stock import take_stock
from modiste.data.own.walk import list_folder
from modiste.errors import DataError, SpecError
from tests.own_images import CLASSES, write_classes, write_parts


def proposed(root, **given):
    return propose(take_stock(list_folder(root)), given)


def write_sizes(root, sizes, mode="L", colour=None):
    """One image of each size in each class, all different."""
    chance = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number, (width, height) in enumerate(sizes):
            pixels = chance.integers(0, 256, (height, width, 4), np.uint8)
            if colour is not None:
                pixels[..., :3] = colour
                pixels[0, 0] = chance.integers(0, 256, 4)
            image = Image.fromarray(pixels)
            image.convert(mode).save(root / name / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("sizes", "size", "sizing"),
    [
        ([(8, 8)] * 4, (8, 8), "stretch"),  # as they are
        ([(9, 7)] * 4, (7, 9), "stretch"),
        ([(200, 100)] * 4, (32, 64), "stretch"),  # all alike, and too large
        ([(30, 30), (31, 31), (60, 60), (29, 30)], (32, 32), "stretch"),  # the upper median
        ([(16, 16), (22, 22), (22, 30), (30, 22)], (32, 32), "fit"),
        ([(500, 375), (375, 500), (300, 300), (40, 40)], (64, 64), "fit"),
    ],
)
def test_a_size_that_most_images_have_is_proposed(sizes, size, sizing, tmp_path):
    decode = proposed(write_sizes(tmp_path, sizes)).decode
    assert (decode.size, decode.sizing) == (size, sizing)


def test_colours_are_kept_where_there_are_any(tmp_path):
    assert proposed(write_sizes(tmp_path / "a", [(8, 8)] * 4)).decode.channels == 1
    assert proposed(write_sizes(tmp_path / "b", [(8, 8)] * 4, "RGB")).decode.channels == 3
    grey = write_sizes(tmp_path / "c", [(8, 8)] * 4)
    for path in grey.rglob("*.png"):
        Image.open(path).convert("RGB").save(path)
    assert proposed(grey).decode.channels == 1


@pytest.mark.parametrize(("colour", "background"), [(20, 255), (230, 0)])
def test_what_is_transparent_is_laid_on_what_the_rest_stands_out_from(colour, background, tmp_path):
    root = write_sizes(tmp_path, [(8, 8)] * 4, "RGBA", colour)
    assert proposed(root).decode.background == (background,) * 3


def test_a_test_part_is_proposed_where_there_is_none(tmp_path):
    assert proposed(write_classes(tmp_path / "a")).test_share == 0.2
    assert proposed(write_parts(tmp_path / "b")).test_share is None


def test_what_is_given_stays(tmp_path):
    root = write_classes(tmp_path / "pets")
    spec = proposed(root, decode={"size": [12, 12]}, test_share=0.3, skip_bad=True)
    assert (spec.decode.size, spec.decode.channels) == ((12, 12), 1)
    assert (spec.test_share, spec.skip_bad) == (0.3, True)
    with pytest.raises(SpecError, match=r"data\.decode\.sizing: 'fill' is none of the known"):
        proposed(root, decode={"sizing": "fill"})
    with pytest.raises(SpecError, match=r"data\.test_share: .* less than or equal to 0\.5"):
        proposed(root, test_share=0.9)


def test_why_no_image_can_be_used_is_said(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"no image that can be used; .*:\n  ant/1\.png: "):
        proposed(tmp_path / "set")
