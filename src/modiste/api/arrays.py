"""From what scikit-learn calls X to images: which shape they have, and which numbers they hold.

Two rules, both by what is handed over and never by its values:

- **Shape.** N x H x W is grey, N x H x W x C has 1 or 3 channels, last. N x D is flattened: a
  square D is an image of equal sides, any other is 1 x D, and `image_shape` says otherwise.
- **Numbers.** uint8 are images, 0 to 255. Everything else (other integers, floats, truth values)
  becomes float32, and what it was is kept with the model.

By values, images to answer are refused at most, and never taken for something else.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from modiste.errors import InputError, ParameterError

Shape = tuple[int, int, int]
Array = npt.NDArray[Any]


class Limits(NamedTuple):
    """Of numbers to learn from that are no bytes.

    Attributes:
        low, high: The lowest and the highest of them.
        is_whole: Whether they are whole numbers beyond 0 and 1: images as all whole numbers are.
    """

    low: float
    high: float
    is_whole: bool = False


def flattened(X: Any) -> tuple[Any, Shape | None]:
    """One row for each image, and the images' height, width and channels where X tells them.

    What is not an array of three or four axes is left to scikit-learn's checks, as it is.

    Raises:
        InputError: If the images differ in size, or there is no such number of axes or channels.

    Example:
        >>> rows, shape = flattened(np.zeros((5, 28, 28), np.uint8))
        >>> rows.shape, shape
        ((5, 784), (28, 28, 1))
    """
    if callable(getattr(X, "detach", None)):
        X = X.detach().cpu()  # a tensor of torch's; with gradients NumPy refuses it
    if getattr(X, "ndim", None) == 1 and getattr(getattr(X, "dtype", None), "kind", "") == "O":
        X = list(X)  # a column of a table, or an array of arrays: an image each
    array = X
    if isinstance(X, Sequence) and not isinstance(X, str):
        need_colours(X, "X")
        if X and isinstance(X[0], str | os.PathLike):
            raise InputError(
                f"X holds paths, such as {os.fspath(X[0])!r}; expected the images themselves. "
                "modiste.load(FOLDER) reads files, and modiste.fit takes what it gives."
            )
        try:
            array = np.asarray(X)
        except ValueError:
            shapes = sorted({np.shape(image) for image in X}) if _all_arrays(X) else []
            sizes = f" ({', '.join(map(str, shapes[:4]))})" if shapes else ""
            raise InputError(
                f"X holds images of different sizes{sizes}: bring them to one size first."
            ) from None
    num_axes = getattr(array, "ndim", None)
    if not isinstance(num_axes, int) or num_axes < 3:
        return X, None
    array = np.asarray(array)
    shape = array.shape[1:]
    if num_axes == 3:
        shape = (*shape, 1)
    if num_axes > 4 or shape[-1] not in (1, 3):
        raise InputError(f"X of shape {array.shape}: expected {_EXPECTED}{_hint(array.shape)}")
    return array.reshape(len(array), math.prod(shape)), (shape[0], shape[1], shape[2])


# So many times as wide as what was learnt from, numbers are on another scale.
_FAR = 10
# Means and deviations of such numbers, and one over them, are ordinary numbers of float32.
LARGEST = 1e30
_EXPECTED = "N x H x W, N x H x W x 1, N x H x W x 3 or flattened, N x D."


# Modes of Pillow's whose numbers are not how bright grey, red, green and blue are.
_OTHER_MODES = {"P", "PA", "CMYK", "YCbCr", "LAB", "HSV"}
_BYTES = {"1", "L", "LA", "RGB", "RGBA"}


def need_colours(images: Any, name: str) -> None:
    """That images of Pillow's are all of one mode, and hold grey or red, green and blue.

    A palette's numbers mean nothing; nor do zeros and ones beside 0 to 255.

    Args:
        images: As they were handed over; anything else than a list of images is let be.
        name: The argument's name, for the error.

    Raises:
        InputError: Names the modes.
    """
    if not isinstance(images, list | tuple):
        return
    modes = sorted({str(image.mode) for image in images if hasattr(image, "getpixel")})
    if other := [mode for mode in modes if mode in _OTHER_MODES]:
        raise InputError(
            f"{name} holds images of Pillow's mode {other[0]}, whose numbers are no brightnesses "
            f"of red, green and blue. Convert them first: [image.convert('RGB') for image in "
            f"{name}]."
        )
    if len(modes) > 1:
        # Others, of 16 bits or of floats, are cut off where they are converted.
        one = "L" if set(modes) <= {"1", "L"} else "RGB"
        how = f": [image.convert('{one}') for image in {name}]" if set(modes) <= _BYTES else ""
        raise InputError(
            f"{name} holds images of Pillow's modes {' and '.join(modes)}. Bring all to one mode "
            f"first{how}."
        )


def need_several(X: Any, shape_HWC: Shape) -> None:
    """That images to answer are not a single grey one, whose rows look like flattened images.

    Raises:
        InputError: If they are.
    """
    shape = np.shape(X) if isinstance(X, list | tuple) else getattr(X, "shape", ())
    if shape == shape_HWC[:2] and shape_HWC[2] == 1 and shape_HWC[0] > 1:
        raise InputError(
            f"X of shape {shape} is a single image of those that this classifier was fitted on. "
            "Give it as X[np.newaxis]."
        )


def _all_arrays(items: Sequence[Any]) -> bool:
    return all(isinstance(item, np.ndarray) for item in items)


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4 and shape[1] in (1, 3):
        return " Do channels come first? np.moveaxis(X, 1, -1) puts them last."
    if len(shape) == 4 and shape[-1] in (2, 4):
        return " Lay what is transparent on a background first."
    return ""


def shape_of(num_features: int, given: Shape | None, image_shape: Any) -> Shape:
    """Height, width and channels of images of so many numbers.

    Args:
        num_features: H x W x C.
        given: As X has it; none if X is flattened.
        image_shape: As the parameter of that name has it.

    Raises:
        ParameterError: If `image_shape` makes no sense, or is another than X has.

    Example:
        >>> shape_of(64, None, None), shape_of(30, None, None), shape_of(48, None, (4, 4, 3))
        ((8, 8, 1), (1, 30, 1), (4, 4, 3))
    """
    if image_shape is not None:
        stated = _stated(image_shape)
        if given is not None and given != stated:
            raise ParameterError(
                f"image_shape: {image_shape}, but X holds images of {_show(given)}. Leave "
                "image_shape out, or flatten X."
            )
        if math.prod(stated) != num_features:
            raise ParameterError(
                f"image_shape: {image_shape} makes {math.prod(stated):,} numbers, and X has "
                f"{num_features:,} for each image."
            )
        return stated
    if given is not None:
        return given
    side = math.isqrt(num_features)
    return (side, side, 1) if side * side == num_features else (1, num_features, 1)


def _stated(image_shape: Any) -> Shape:
    try:
        sizes = tuple(int(size) for size in image_shape)
    except (TypeError, ValueError):
        sizes = ()
    if len(sizes) == 2:
        sizes = (*sizes, 1)
    if len(sizes) != 3 or min(sizes) < 1 or sizes[2] not in (1, 3):
        raise ParameterError(
            f"image_shape: {image_shape!r}; expected (height, width) or (height, width, channels) "
            "with 1 or 3 channels."
        )
    return sizes


def check_same_shape(given: Shape | None, fitted: Shape) -> None:
    """Whether images to answer are like those that were learnt from.

    Raises:
        InputError: If they have another height, width or number of channels.
    """
    if given is not None and given != fitted:
        # The rows of one colour image look like so many grey images, as wide as it has channels.
        is_one = fitted[2] > 1 and given == (fitted[1], fitted[2], 1)
        raise InputError(
            f"X holds images of {_show(given)}, and this classifier was fitted on {_show(fitted)} "
            "(height x width x channels)."
            + (" If X is one image, give it as X[np.newaxis]." if is_one else "")
        )


def numbers(X_ND: Array) -> Array:
    """uint8 as it is, all else as float32.

    Raises:
        InputError: If a number is too large for float32.
    """
    if X_ND.dtype == np.uint8:
        return X_ND
    with np.errstate(over="ignore"):
        floats: Array = X_ND.astype(np.float32)
    largest = max(abs(float(floats.min())), abs(float(floats.max())))
    if largest > LARGEST:
        raise InputError(
            f"X holds numbers beyond {LARGEST:g}: too large for float32, which is what nets "
            "compute with. Scale them first."
        )
    return floats


def limits_of(X_ND: Array) -> Limits | None:
    """Lowest and highest of numbers to learn from; bytes have rules of their own, and no limits.

    Example:
        >>> limits_of(np.array([[0.0, 0.5]]))
        Limits(low=0.0, high=0.5, is_whole=False)
        >>> limits_of(np.array([[False, True]]))
        Limits(low=0.0, high=1.0, is_whole=False)
        >>> limits_of(np.array([[0.0, 255.0]])).is_whole
        True
    """
    if X_ND.dtype == np.uint8:
        return None
    low, high = float(X_ND.min()), float(X_ND.max())
    return Limits(low, high, _is_whole(X_ND) and not 0 <= low <= high <= 1)


def _is_whole(X_ND: Array) -> bool:
    return X_ND.dtype.kind in "iub" or bool((np.rint(X_ND) == X_ND).all())


def _check_limits(X_ND: Array, fitted: str, limits: Limits) -> None:
    """Refuse whole numbers far from fractions, or from 0 and 1; warn of fractions on another scale.

    0 to 255 are no brighter images of 0 to 1: whole numbers lie no farther outside of such limits
    than these are apart. Fractions may, as scaled numbers have outliers, which are not as far
    away as `_FAR` says, though; and none of whole numbers, such as 0 to 255, becomes 0 to 1.
    """
    low, high = limits.low, limits.high
    lowest, highest = float(X_ND.min()), float(X_ND.max())
    here = f"{lowest:g} to {highest:g}"
    there = f"was fitted on {fitted}, {low:g} to {high:g}"
    if _is_whole(X_ND):
        is_near = 2 * low - high <= lowest and highest <= 2 * high - low
        if not is_near and not limits.is_whole:
            raise InputError(
                f"X holds whole numbers, {here} ({X_ND.dtype}), and this classifier {there}. Do to "
                "X what was done to it for fit."
            )
        return
    room = _FAR * (high - low)
    is_beyond = lowest < low - room or highest > high + room
    is_shrunken = limits.is_whole and high >= _FAR and 0 <= lowest <= highest <= 1
    if is_beyond or is_shrunken:
        warnings.warn(
            f"X holds fractions, {here}, and this classifier {there}. They seem to be on another "
            "scale: do to X what was done to it for fit.",
            stacklevel=6,  # whoever asked `predict` or one of its kin
        )


def numbers_like(X_ND: Array, fitted: str, limits: Limits | None = None) -> Array:
    """Numbers to answer, of the kind that was learnt from.

    Args:
        X_ND: To answer.
        fitted: dtype of what was learnt from.
        limits: Of what was learnt from, as `limits_of` has them.

    Raises:
        InputError: If equal numbers would mean other things: bytes, 0 to 255, against floats.

    Example:
        >>> numbers_like(np.array([[0, 255]]), "uint8").dtype
        dtype('uint8')
    """
    if X_ND.dtype == bool and fitted != "bool":
        raise InputError(
            f"X holds truth values, and this classifier was fitted on {fitted}. Hand over the same "
            "kind of numbers."
        )
    is_whole = X_ND.dtype.kind in "iu"
    if fitted == "uint8" and X_ND.dtype != np.uint8:
        if is_whole and X_ND.min() >= 0 and X_ND.max() <= 255:
            return X_ND.astype(np.uint8)
        what = "numbers outside of 0 to 255" if is_whole else f"{X_ND.dtype}"
        raise InputError(
            f"X holds {what}, and this classifier was fitted on uint8, 0 to 255. Hand over the "
            "same kind: X.astype(np.uint8), if these are such images."
        )
    if X_ND.dtype == np.uint8 and np.dtype(fitted).kind == "f":
        raise InputError(
            f"X holds uint8, 0 to 255, and this classifier was fitted on {fitted}. Do to X what "
            f"was done to it for fit: scale it so, or X.astype(np.{fitted}) if it was not scaled."
        )
    if limits is not None:
        _check_limits(X_ND, fitted, limits)
    return X_ND if fitted == "uint8" else numbers(X_ND).astype(np.float32, copy=False)


def images(X_ND: Array, shape_HWC: Shape) -> Array:
    """Rows as images, N x C x H x W, in order in memory; torch asks that it be writable."""
    found = X_ND.reshape(len(X_ND), *shape_HWC).transpose(0, 3, 1, 2)
    return np.require(found, requirements=["C", "W"])


def _show(shape: Shape) -> str:
    return " x ".join(map(str, shape))
