"""How pixels become numbers: as they are, x / 255, or that less a mean and over a deviation.

Pixels are bytes; or float32, where somebody handed over arrays of other numbers: those have no
255, so that they are taken as they are, or less a mean and over a deviation.

The constants are worked out once, on training images only, in whole numbers, and travel with
the model. No torch here: whoever serves a model needs this, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError, SpecError

Scaling = Literal["unit", "standard", "raw"]

# One step of 8 bits: a channel that varies by less carries nothing that division could bring out.
STD_FLOOR = 1 / 255
# The same for float32: as a share of the mean, a few of its roundings (2^-23); and no deviation
# that it could not divide by.
FLOAT_STD_SHARE, FLOAT_STD_FLOOR = 1e-6, 1e-30


@dataclass(frozen=True)
class Preprocess:
    """``(x / 255 - mean) / std`` for each channel of bytes, ``(x - mean) / std`` of floats.

    For `unit` the mean is 0 and std is 1; for `raw` std is 1 / 255, or 1 of floats, which leaves x
    as it is.

    Attributes:
        floored: Channels whose standard deviation was below `STD_FLOOR` and was raised to it; of
            floats, those that do not vary, whose deviation is taken to be 1.
        dtype: What the pixels were when they were handed over: ``uint8``, or a name of NumPy's
            such as ``float64``, and then they are float32 here.
    """

    scaling: Scaling
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    floored: tuple[int, ...] = ()
    dtype: str = "uint8"

    @property
    def is_bytes(self) -> bool:
        return self.dtype == "uint8"

    def apply(self, images_NCHW: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The scaled images, float32, in one pass over memory for each operation."""
        factor_C, offset_C = self.affine()
        scaled = images_NCHW.astype(np.float32)
        scaled *= factor_C[:, np.newaxis, np.newaxis]
        scaled += offset_C[:, np.newaxis, np.newaxis]
        return scaled

    def affine(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Factor and offset for each channel: scaled = pixel x factor + offset."""
        mean_C, std_C = np.array(self.mean_C), np.array(self.std_C)
        whole = 255 if self.is_bytes else 1
        return (1 / (whole * std_C)).astype(np.float32), (-mean_C / std_C).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; of bytes without their dtype, as always."""
        values = {
            "scaling": self.scaling,
            "mean": list(self.mean_C),
            "std": list(self.std_C),
            "floored": list(self.floored),
        }
        return values if self.is_bytes else {**values, "dtype": self.dtype}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """What `to_dict` gave."""
        return cls(
            values["scaling"],
            tuple(values["mean"]),
            tuple(values["std"]),
            tuple(values["floored"]),
            values.get("dtype", "uint8"),
        )


def fit(images_NCHW: npt.NDArray[Any], scaling: Scaling, dtype: str | None = None) -> Preprocess:
    """The constants for these training images.

    Args:
        images_NCHW: uint8 or float32.
        scaling: The rule.
        dtype: What floats were before they became float32.

    Raises:
        SpecError: If there is no such scaling.
        DataError: If there are no images.
    """
    if scaling not in get_args(Scaling):
        raise SpecError(f"data.scaling: {scaling!r} is none of {', '.join(get_args(Scaling))}.")
    if images_NCHW.dtype != np.uint8:
        return _fit_floats(images_NCHW, scaling, dtype or "float32")
    num_channels = images_NCHW.shape[1]
    if scaling == "unit":
        return Preprocess("unit", (0.0,) * num_channels, (1.0,) * num_channels)
    if scaling == "raw":
        return Preprocess("raw", (0.0,) * num_channels, (1 / 255,) * num_channels)
    if images_NCHW.size == 0:
        raise DataError("no images to take a mean of.")
    moments = [_mean_and_std(images_NCHW[:, channel]) for channel in range(num_channels)]
    return Preprocess(
        "standard",
        tuple(mean for mean, _ in moments),
        tuple(max(std, STD_FLOOR) for _, std in moments),
        tuple(channel for channel, (_, std) in enumerate(moments) if std < STD_FLOOR),
    )


def _fit_floats(images_NCHW: npt.NDArray[np.float32], scaling: Scaling, dtype: str) -> Preprocess:
    num_channels = images_NCHW.shape[1]
    if scaling == "unit":
        raise SpecError("data.scaling: unit is x / 255, of bytes; floats take standard or raw.")
    if scaling == "raw":
        return Preprocess("raw", (0.0,) * num_channels, (1.0,) * num_channels, dtype=dtype)
    if images_NCHW.size == 0:
        raise DataError("no images to take a mean of.")
    axes = (0, 2, 3)
    mean_C = images_NCHW.mean(axis=axes, dtype=np.float64)
    std_C = images_NCHW.std(axis=axes, dtype=np.float64)
    is_still_C = std_C <= np.maximum(FLOAT_STD_SHARE * np.abs(mean_C), FLOAT_STD_FLOOR)
    return Preprocess(
        "standard",
        tuple(mean_C.tolist()),
        tuple(np.where(is_still_C, 1.0, std_C).tolist()),
        tuple(np.flatnonzero(is_still_C).tolist()),
        dtype,
    )


def _mean_and_std(images_NHW: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """Mean and (population) standard deviation as proportions of 255.

    Sums of bytes and of their squares are whole numbers, so nothing is lost before the last
    division, and the order of the images does not matter.
    """
    counts = np.zeros(256, np.int64)
    for start in range(0, len(images_NHW), 1000):  # bincount works on 8-byte copies: keep them few
        counts += np.bincount(images_NHW[start : start + 1000].reshape(-1), minlength=256)
    total = images_NHW.size
    ones = sum(value * int(count) for value, count in enumerate(counts))
    squares = sum(value * value * int(count) for value, count in enumerate(counts))
    variance_numerator = squares * total - ones * ones
    return ones / (total * 255), math.sqrt(variance_numerator) / (total * 255)
