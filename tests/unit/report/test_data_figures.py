"""The figures of a data set say what they show, and are the same every time."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from modiste.data.split import stratified
from modiste.data.types import ImageSet
from modiste.errors import StoreError
from modiste.report.data_figures import first_images, render, samples_per_class

NAMES = ("T-shirt/top", "a class with a rather long name", r"5$ \bill $6 <note>")
CAPTIONS = ("T-shirt/top", "a class with a\nrather long...", "5$ \\bill $6\n<note>")


@pytest.fixture
def images() -> ImageSet:
    chance = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], (30, 40, 20))
    pixels = chance.integers(0, 256, (90, 1, 28, 28), np.uint8)
    return ImageSet(pixels, chance.permutation(labels), NAMES, np.arange(90), "train")


@pytest.fixture
def split(images):
    return stratified(images.labels_N, 18, 0)


def test_both_figures_are_written_as_svg_and_png(images, split, tmp_path):
    paths = render(images, split, tmp_path / "out", name="small")
    assert [path.name for path in paths] == [
        "first-images.svg",
        "first-images.png",
        "samples-per-class.svg",
        "samples-per-class.png",
    ]
    for path in paths:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width > 1_000
        else:
            assert path.read_text().startswith("<?xml")


def test_the_same_data_give_the_same_bytes(images, split, tmp_path):
    one, two = (
        [p.read_bytes() for p in render(images, split, tmp_path / n, name="small")] for n in "ab"
    )
    assert one == two


def test_the_first_fifty_images_stand_in_order_under_the_names_of_their_classes(images):
    (axes,) = first_images(images, "small").axes
    assert len(axes.images) == len(axes.texts) == 50
    places = []
    for position, (picture, text) in enumerate(zip(axes.images, axes.texts, strict=True)):
        assert np.array_equal(picture.get_array(), images.images_NCHW[position, 0])
        assert text.get_text() == CAPTIONS[images.labels_N[position]]
        left, right, bottom, top = picture.get_extent()
        assert right - left == pytest.approx(bottom - top)  # square, to the rounding of floats
        # Rows run down: the caption stands above its image (smaller y), in the middle of it.
        assert text.get_position()[1] < top
        assert text.get_position()[0] == pytest.approx((left + right) / 2)
        places.append((round(bottom, 6), round(left, 6)))
    assert places == sorted(set(places))


def test_colours_are_shown_as_colours():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), np.uint8)
    images = ImageSet(pixels, np.arange(4) % 2, ("a", "b"), np.arange(4), "train")
    (axes,) = first_images(images, "small").axes
    assert len(axes.images) == 4
    assert np.array_equal(axes.images[1].get_array(), pixels[1].transpose(1, 2, 0))


def bars(figure) -> dict[str, list[float]]:
    """Lengths of the bars by the name of their split."""
    (axes,) = figure.axes
    return {
        container.get_label(): [bar.get_width() for bar in container]
        for container in axes.containers
    }


def legend_title(figure) -> str:
    return figure.legends[0].get_title().get_text()


def test_bars_are_the_counts_of_each_split(images, split):
    figure = samples_per_class(images, split, "small", test_counts_K=(3, 4, 2))
    assert bars(figure) == {
        "training (72)": [24, 32, 16],
        "validation (18)": [6, 8, 4],
        "test (9)": [3, 4, 2],
    }
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("images", "class")


def test_the_figure_says_where_the_test_counts_come_from(images, split):
    declared = samples_per_class(images, split, "small", test_counts_K=(3, 4, 2))
    assert "publisher declares; no test file was read to draw this" in legend_title(declared)
    unknown = samples_per_class(images, split, "small")
    assert "sealed; it was not counted" in legend_title(unknown)
    assert len(bars(unknown)) == 2


def test_matplotlib_is_left_as_it_was(images, split, tmp_path):
    before = dict(matplotlib.rcParams)
    render(images, split, tmp_path, name="small")
    assert dict(matplotlib.rcParams) == before


def test_a_folder_that_cannot_be_written_is_named(images, split, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"figures cannot be written: .* Name another folder"):
        render(images, split, Path(tmp_path / "file"), name="small")
