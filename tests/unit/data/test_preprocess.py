"""Scaling is what its constants say, and the constants are exact."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modiste.data.preprocess import STD_FLOOR, Preprocess, fit
from modiste.errors import DataError, SpecError

images_NCHW = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), st.just(3), st.just(2))
)


@given(images_NCHW)
def test_unit_scaling_divides_by_255(images):
    scaled = fit(images, "unit").apply(images)
    assert scaled.dtype == np.float32
    # The factor 1/255 is rounded, then the product: two roundings of 2^-24 each.
    np.testing.assert_allclose(scaled, images / 255, rtol=2 * 2**-24)
    assert scaled.max() <= 1.0


@given(images_NCHW)
def test_raw_scaling_leaves_every_pixel_as_it_is(images):
    np.testing.assert_array_equal(fit(images, "raw").apply(images), images.astype(np.float32))


@given(images_NCHW)
def test_mean_and_deviation_are_exact(images):
    fitted = fit(images, "standard")
    for channel in range(images.shape[1]):
        values = [Fraction(int(v), 255) for v in images[:, channel].reshape(-1)]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        # One division rounds the mean (2^-53); a root of a rounded number, and a division: 3.
        assert fitted.mean_C[channel] == pytest.approx(float(mean), rel=2**-52)
        expected = max(float(variance) ** 0.5, STD_FLOOR)
        assert fitted.std_C[channel] == pytest.approx(expected, rel=4 * 2**-53)


@given(images_NCHW, st.randoms())
def test_the_order_of_the_images_changes_no_bit(images, chance):
    order = list(range(len(images)))
    chance.shuffle(order)
    assert fit(images, "standard") == fit(images[order], "standard")


def test_standard_scaling_leaves_mean_0_and_deviation_1():
    images = np.random.default_rng(0).integers(0, 256, (2_500, 3, 8, 8), np.uint8)
    scaled = fit(images, "standard").apply(images).astype(np.float64)
    # Each value carries a rounding of up to 2^-23 or so (values to 1.8); means of them no more.
    np.testing.assert_allclose(scaled.mean((0, 2, 3)), 0, atol=2**-22)
    np.testing.assert_allclose(scaled.std((0, 2, 3)), 1, atol=2**-22)


def test_a_channel_without_contrast_is_floored_and_reported():
    images = np.zeros((4, 3, 2, 2), np.uint8)
    images[:, 1] = np.arange(4).reshape(4, 1, 1) * 80
    images[:, 2] = 7
    fitted = fit(images, "standard")
    assert fitted.floored == (0, 2)
    assert fitted.std_C[0] == fitted.std_C[2] == STD_FLOOR
    assert np.isfinite(fitted.apply(images)).all()
    assert not fitted.apply(images)[:, 2].round(5).any()


def test_constants_survive_json():
    fitted = fit(np.random.default_rng(0).integers(0, 256, (4, 3, 2, 2), np.uint8), "standard")
    assert Preprocess.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_images_are_left_as_they_were():
    images = np.full((2, 1, 2, 2), 200, np.uint8)
    fit(images, "unit").apply(images)
    assert (images == 200).all()


def test_an_unknown_scaling_is_an_error():
    with pytest.raises(SpecError, match="'zscore' is none of unit, standard"):
        fit(np.zeros((1, 1, 1, 1), np.uint8), "zscore")


def test_no_images_have_no_mean():
    with pytest.raises(DataError, match="no images"):
        fit(np.zeros((0, 1, 2, 2), np.uint8), "standard")


# --- floats ---------------------------------------------------------------------------------------

floats_NCHW = hnp.arrays(
    np.float32,
    st.tuples(st.integers(2, 5), st.sampled_from([1, 3]), st.just(3), st.just(2)),
    # Whether there are numbers below the normal ones depends on what trained here before.
    elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
)


@given(floats_NCHW)
def test_floats_come_to_mean_0_and_deviation_1_or_stand_still(images):
    fitted = fit(images, "standard", "float64")
    scaled = fitted.apply(images).astype(np.float64)
    for channel in range(images.shape[1]):
        size = float(np.abs(images[:, channel]).max())
        # Numbers of that size are rounded by 2^-24 of it, four times over.
        rounding = 4 * 2**-24 * size / fitted.std_C[channel] + 2**-22
        assert abs(scaled[:, channel].mean()) <= rounding
        if channel in fitted.floored:
            assert fitted.std_C[channel] == 1.0
        else:
            assert scaled[:, channel].std() == pytest.approx(1, abs=rounding)


@given(floats_NCHW)
def test_raw_floats_stay_as_they_are(images):
    np.testing.assert_array_equal(fit(images, "raw").apply(images), images)


def test_what_floats_were_is_written_down_and_read():
    images = np.ones((2, 1, 2, 2), np.float32)
    fitted = fit(images, "standard", "int64")
    assert (fitted.dtype, fitted.is_bytes, fitted.floored) == ("int64", False, (0,))
    assert fit(images, "raw").dtype == "float32"
    assert Preprocess.from_dict(json.loads(json.dumps(fitted.to_dict()))) == fitted


def test_a_spread_that_float32_could_not_divide_by_is_none():
    images = np.zeros((2, 1, 2, 2), np.float32)
    images[0] = 1e-35
    fitted = fit(images, "standard")
    assert (fitted.std_C, fitted.floored) == ((1.0,), (0,))
    assert np.isfinite(fitted.apply(images)).all()


def test_floats_have_no_255():
    with pytest.raises(SpecError, match=r"unit is x / 255, of bytes; floats take standard or raw"):
        fit(np.ones((2, 1, 2, 2), np.float32), "unit")
    with pytest.raises(DataError, match="no images"):
        fit(np.ones((0, 1, 2, 2), np.float32), "standard")


def test_bytes_are_written_down_as_ever():
    values = fit(np.ones((2, 1, 2, 2), np.uint8), "unit").to_dict()
    assert values == {"scaling": "unit", "mean": [0.0], "std": [1.0], "floored": []}
