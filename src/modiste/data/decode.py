"""An image file becomes an array, by a rule that is written down and travels with the model.

In this order:

1. The first bytes say what the file is, not its name; only `formats` are opened.
2. Images of more than 25 megapixels are refused before they are decoded.
3. Of an animation, the first frame is taken. The rotation in the EXIF data is applied.
4. Palettes become colours. Of 16 bits for each sample, the upper 8 are kept.
5. Where there is transparency, the image is laid on `background`.
6. Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2), rounded; colour from grey is three times
   the same.
7. If its size differs, the image is stretched to `size_HW` with `resize`, averaged over what a
   new pixel covers.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from modiste.data import sniff
from modiste.errors import DataError, SpecError

Format = Literal["PNG", "JPEG", "BMP", "GIF", "WEBP"]
Resize = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]

MAX_PIXELS = 25_000_000
_FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Resize)}
# `warnings.catch_warnings` changes what belongs to all threads.
_WARNINGS_LOCK = threading.Lock()


@dataclass(frozen=True)
class Rule:
    """What a decoded image has to be.

    Attributes:
        size_HW: In pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        background: Red, green and blue, 0 to 255, under what is transparent. Black, as in the
            MNIST family.
        resize: Used only where the size differs.
        formats: What may be opened.
    """

    size_HW: tuple[int, int]
    channels: int
    background: tuple[int, int, int] = (0, 0, 0)
    resize: Resize = "bilinear"
    formats: tuple[Format, ...] = get_args(Format)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.formats) - set(get_args(Format)))
        if unknown or not self.formats:
            raise SpecError(f"formats: {unknown} are not among {', '.join(get_args(Format))}.")
        if self.channels not in (1, 3):
            raise SpecError(f"channels: {self.channels} is neither 1 (grey) nor 3 (colour).")
        if self.resize not in _FILTERS:
            raise SpecError(f"resize: {self.resize!r} is none of {', '.join(_FILTERS)}.")
        if not 1 <= min(self.size_HW) <= max(self.size_HW) <= 4096:
            raise SpecError(f"size: {self.size_HW} is not from 1 to 4096 pixels a side.")
        if not all(0 <= level <= 255 for level in self.background):
            raise SpecError(f"background: {self.background} is not made of 0 to 255.")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Rule:
        """What `to_dict` gave."""
        known: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**known)


def decode(file: Path | bytes, rule: Rule, name: str = "") -> npt.NDArray[np.uint8]:
    """The image as C x H x W, by `rule`.

    Args:
        file: A path, or the content of a file.
        rule: What it has to become.
        name: What to call it in errors; a path names itself.

    Raises:
        DataError: If it is missing, no image of these formats, damaged, or too large.
    """
    name = name or (str(file) if isinstance(file, Path) else "the image")
    if isinstance(file, Path) and not file.is_file():
        trouble = "is a folder, or no ordinary file" if file.exists() else "no such file"
        raise DataError(f"{name}: {trouble}.")
    try:
        with _opened(file, rule) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _TooLarge(f"{image.width:,} x {image.height:,} pixels")
            return _converted(image, rule)
    except (_TooLarge, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        size = f" of {error}" if isinstance(error, _TooLarge) else ""
        raise DataError(
            f"{name}: an image{size}; the limit is {MAX_PIXELS:,} pixels. Make it smaller first."
        ) from None
    except UnidentifiedImageError:
        raise DataError(_not_an_image(file, rule, name)) from None
    except MemoryError:
        raise
    except Exception as error:
        # Pillow's readers meet hostile bytes with errors of a dozen kinds, some of them bugs of
        # theirs. For the one who gave the file they all mean this:
        raise DataError(
            f"{name}: a damaged image ({error}). It seems to be {sniff.seems(_head(file))}; save "
            "or fetch it again."
        ) from error


class _TooLarge(Exception):
    """More pixels than the limit."""


def _opened(file: Path | bytes, rule: Rule) -> Image.Image:
    """The image with its header read and nothing decoded."""
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        stream = io.BytesIO(file) if isinstance(file, bytes) else file
        return Image.open(stream, formats=rule.formats)


def _head(file: Path | bytes) -> bytes:
    if isinstance(file, bytes):
        return file[: sniff.HEAD_BYTES]
    try:
        with file.open("rb") as stream:
            return stream.read(sniff.HEAD_BYTES)
    except OSError:
        return b""


def _not_an_image(file: Path | bytes, rule: Rule, name: str) -> str:
    words = sniff.seems(_head(file))
    of_format = [f for f in get_args(Format) if f"a {f} image" == words]
    allowed = ", ".join(rule.formats)
    if of_format and of_format[0] in rule.formats:
        return f"{name}: begins like {words} and goes on as something else. Save or fetch it again."
    if words.endswith("image"):
        return f"{name}: seems to be {words}; allowed here: {allowed}. Convert it first."
    return f"{name}: no image: it seems to be {words}. Give a file of {allowed}."


def _converted(image: Image.Image, rule: Rule) -> npt.NDArray[np.uint8]:
    # Pillow opens an animation at its first frame, and nobody has moved it.
    image = _eight_bits(ImageOps.exif_transpose(image))
    if image.has_transparency_data:
        image = _on_background(image.convert("RGBA"), rule.background)
    # Straight to "L" from a palette would be the same; from here on there are "L" and "RGB" only.
    image = image if image.mode == "L" else image.convert("RGB")
    image = image.convert("L" if rule.channels == 1 else "RGB")
    height, width = rule.size_HW
    if image.size != (width, height):
        image = image.resize((width, height), _FILTERS[rule.resize])
    array = np.array(image, np.uint8).reshape(height, width, rule.channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits of grey become 8; of 16 bits of colour, Pillow has kept the upper 8 already."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    samples = np.array(image).astype(np.int64)
    grey = Image.fromarray(np.clip(samples >> 8, 0, 255).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        opaque = np.where(samples == key, 0, 255).astype(np.uint8)
        return Image.merge("LA", (grey, Image.fromarray(opaque)))
    return grey


def _on_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """``(colour x alpha + background x (255 - alpha)) / 255``, rounded to the nearest."""
    pixels = np.array(image, np.uint16).astype(np.uint32)
    colours, alphas = pixels[..., :3], pixels[..., 3:]
    mixed = (colours * alphas + np.array(background, np.uint32) * (255 - alphas) + 127) // 255
    return Image.fromarray(mixed.astype(np.uint8))
