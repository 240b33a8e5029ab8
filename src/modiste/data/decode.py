"""An image file becomes an array, by a rule that is written down and travels with the model.

In this order:

1. The first bytes say what the file is, not its name; only `formats` are opened.
2. Images of more than 25 megapixels are refused before they are decoded.
3. Of an animation, the first frame is taken. The rotation in the EXIF data is applied.
4. Palettes become colours. Of 16 bits for each sample, the upper 8 are kept.
5. Where there is transparency, the image is laid on `background`.
6. Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R 601-2), rounded; colour from grey is three times
   the same.
7. If its size differs, the image is brought to `size_HW` by `sizing`, with the filter `resize`,
   which averages over what a new pixel covers:

   - `stretch` scales each side by itself, so proportions change;
   - `fit` scales the whole image until it just fits inside, and fills the rest with `background`;
   - `pad` does the same and never enlarges: what is smaller stays as it is, in the middle;
   - `crop` scales it until it just covers, and cuts off what sticks out, the same on both sides.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from modiste.data import sniff
from modiste.errors import DataError, SpecError
from modiste.spec.run import DataSpec, Resize, Sizing

Format = Literal["PNG", "JPEG", "BMP", "GIF", "WEBP"]
FORMATS: tuple[Format, ...] = get_args(Format)
# What files of them are called, and what senders call their contents.
ENDINGS: Mapping[Format, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
}
MEDIA_TYPES = tuple(f"image/{name.lower()}" for name in FORMATS)
SIZING_WORDS: Mapping[Sizing, str] = {
    "stretch": "each side scaled by itself, so that proportions change",
    "fit": "scaled as a whole until it fits inside, the rest filled",
    "pad": "scaled down as a whole where it is too large, else left as it is, the rest filled",
    "crop": "scaled as a whole until it covers, what sticks out cut off",
}
Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")

MAX_PIXELS = 25_000_000
# A JPEG goes over the whole image with each scan, which may take 40 bytes. Encoders write 1 to 20.
MAX_SCANS = 100
_SCAN = b"\xff\xda"  # stands nowhere else but in a thumbnail
# Of an image with transparency, so many are worked on at once.
_STRIP_ROWS = 256
_FILTERS = {name: Image.Resampling[name.upper()] for name in get_args(Resize)}
_EXIF_ORIENTATION = 0x0112
# `warnings.catch_warnings` changes what belongs to all threads.
_WARNINGS_LOCK = threading.Lock()


@dataclass(frozen=True)
class Rule:
    """What a decoded image has to be.

    Attributes:
        size_HW: In pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        background: Red, green and blue, 0 to 255, under what is transparent, and beside what does
            not fill the size. Black, as in the MNIST family.
        resize: Used only where the size differs.
        formats: What may be opened.
        sizing: How another size is brought to this one; a rule that says nothing stretches.
    """

    size_HW: tuple[int, int]
    channels: int
    background: tuple[int, int, int] = (0, 0, 0)
    resize: Resize = "bilinear"
    formats: tuple[Format, ...] = FORMATS
    sizing: Sizing = "stretch"

    def __post_init__(self) -> None:
        unknown = sorted(set(self.formats) - set(FORMATS))
        if unknown or not self.formats:
            raise SpecError(f"formats: {unknown} are not among {', '.join(FORMATS)}.")
        if self.channels not in (1, 3):
            raise SpecError(f"channels: {self.channels} is neither 1 (grey) nor 3 (colour).")
        if self.resize not in _FILTERS:
            raise SpecError(f"resize: {self.resize!r} is none of {', '.join(_FILTERS)}.")
        if self.sizing not in get_args(Sizing):
            raise SpecError(f"sizing: {self.sizing!r} is none of {', '.join(get_args(Sizing))}.")
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


def rule_of(spec: DataSpec, shape_CHW: tuple[int, ...]) -> Rule:
    """The rule by which the images of a run were decoded, and others are for its model.

    Args:
        spec: The data of the run.
        shape_CHW: Of its images; all there is to know where the spec says nothing.
    """
    channels, height, width = shape_CHW
    if spec.decode is None:
        return Rule((height, width), channels)
    found = spec.decode
    return Rule(found.size, found.channels, found.background, found.resize, sizing=found.sizing)


@dataclass(frozen=True)
class Look:
    """What an image is like before it is brought to any size.

    Attributes:
        format: ``PNG`` and so on; ``array`` for what was no file.
        mode: As Pillow names it: ``L`` is grey, ``P`` has a palette, ``RGBA`` an alpha channel.
        size_HW: In pixels, after the EXIF rotation.
        bits: Of each sample, 8 or 16.
        is_turned: By its EXIF data.
        is_grey: No pixel has a colour, whatever the mode.
        opaque: Mean opacity of its pixels, 0 to 1; 1 only where nothing is transparent.
        level: Mean grey level of what is seen, 0 to 255, each pixel by its opacity.
        pixels: SHA-256 of its pixels, sizes and transparency: equal for equal pictures, however
            they are packed.
    """

    format: str
    mode: str
    size_HW: tuple[int, int]
    bits: int
    is_turned: bool
    is_grey: bool
    opaque: float
    level: float
    pixels: str


def decode(file: Path | bytes, rule: Rule, name: str = "") -> Pixels:
    """The image as C x H x W, by `rule`.

    Args:
        file: A path, or the content of a file.
        rule: What it has to become.
        name: What to call it in errors; a path names itself.

    Raises:
        DataError: If it is missing, no image of these formats, damaged, or too large.
    """
    return _with_image(file, rule.formats, name, lambda image: _converted(image, rule))


def examine(
    file: Path | bytes, rule: Rule | None = None, name: str = ""
) -> tuple[Look, Pixels | None]:
    """What an image file is like, and the image as `decode` gives it, if there is a rule.

    Raises:
        DataError: As `decode`.
    """
    formats = FORMATS if rule is None else rule.formats
    bits = 16 if _head(file)[:8] == b"\x89PNG\r\n\x1a\n" and _head(file)[24:25] == b"\x10" else 8
    return _with_image(file, formats, name, lambda image: _examined(image, rule, bits))


def examine_array(pixels: npt.NDArray[Any], rule: Rule | None = None) -> tuple[Look, Pixels | None]:
    """The same for an image in memory.

    Args:
        pixels: H x W, or H x W x C with C = 3 (colour) or 4 (with alpha); uint8, or uint16, of
            which the upper 8 bits are kept.
        rule: What it has to become.
    """
    bits = 8 * pixels.dtype.itemsize
    eight = pixels.astype(np.uint8) if bits == 8 else (pixels >> 8).astype(np.uint8)
    return _examined(Image.fromarray(eight), rule, bits)


def _with_image(
    file: Path | bytes, formats: tuple[Format, ...], name: str, work: Callable[[Image.Image], T]
) -> T:
    """Open a file as one of these formats, and work on it; whatever goes wrong names the file."""
    name = name or (str(file) if isinstance(file, Path) else "the image")
    if isinstance(file, Path) and (trouble := _no_file(file)):
        raise DataError(f"{name}: {trouble}.")
    try:
        with _opened(file, formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _TooLarge(f"{image.width:,} x {image.height:,} pixels")
            if image.format == "JPEG" and (num := _num_scans(file)) > MAX_SCANS:
                raise _TooManyScans(f"{num:,} scans")
            _scale_key(image, _head(file))
            return work(image)
    except (_TooLarge, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        size = str(error) if isinstance(error, _TooLarge) else "far too many pixels"
        raise DataError(
            f"{name}: an image of {size}; the limit is {MAX_PIXELS:,} pixels. Make it smaller "
            "first."
        ) from None
    except _TooManyScans as error:
        raise DataError(
            f"{name}: a JPEG of {error}, each over the whole image; the limit is {MAX_SCANS}. Save "
            "it again."
        ) from None
    except UnidentifiedImageError:
        raise DataError(_not_an_image(file, formats, name)) from None
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


class _TooManyScans(Exception):
    """More passes over the image than the limit."""


def _num_scans(file: Path | bytes) -> int:
    return (file if isinstance(file, bytes) else file.read_bytes()).count(_SCAN)


def _opened(file: Path | bytes, formats: tuple[Format, ...]) -> Image.Image:
    """The image with its header read and nothing decoded."""
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        stream = io.BytesIO(file) if isinstance(file, bytes) else file
        return Image.open(stream, formats=formats)


def _head(file: Path | bytes) -> bytes:
    if isinstance(file, bytes):
        return file[: sniff.HEAD_BYTES]
    try:
        with file.open("rb") as stream:
            return stream.read(sniff.HEAD_BYTES)
    except OSError:
        return b""


def _no_file(path: Path) -> str:
    """Why nothing can be read there; empty if something can be tried."""
    try:
        if path.is_file():
            return ""
        return "is a folder, or no ordinary file" if path.exists() else "no such file"
    except OSError as error:  # in a folder that may not be entered, or a name that no disk takes
        return f"cannot be read ({error.strerror})"


def _scale_key(image: Image.Image, head: bytes) -> None:
    """Pillow keeps what is transparent as the file has it, and not as it gives the pixels.

    It spreads 2 and 4 bits of grey over 0 to 255, and keeps the upper 8 of 16 bits of colour.
    """
    key, bits = image.info.get("transparency"), head[24] if len(head) > 24 else 8
    if image.format == "PNG" and image.mode == "RGB" and isinstance(key, tuple) and bits == 16:
        image.info["transparency"] = tuple(level >> 8 for level in key)
    if (
        image.format == "PNG"
        and image.mode == "L"
        and isinstance(key, int)
        and key < 1 << bits < 256
    ):
        image.info["transparency"] = key * 255 // ((1 << bits) - 1)


def _not_an_image(file: Path | bytes, formats: tuple[Format, ...], name: str) -> str:
    words = sniff.seems(_head(file))
    of_format = [f for f in FORMATS if f"a {f} image" == words]
    allowed = ", ".join(formats)
    if of_format and of_format[0] in formats:
        return f"{name}: begins like {words} and goes on as something else. Save or fetch it again."
    if words.endswith("image"):
        return f"{name}: seems to be {words}; allowed here: {allowed}. Convert it first."
    return f"{name}: no image: it seems to be {words}. Give a file of {allowed}."


def _converted(image: Image.Image, rule: Rule) -> Pixels:
    return _by_rule(_upright(image), rule)


def _examined(image: Image.Image, rule: Rule | None, bits: int) -> tuple[Look, Pixels | None]:
    is_turned = image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9)
    upright = _upright(image)
    mode = image.mode
    bits = 16 if mode == "I" or mode.startswith("I;16") else bits
    plain, opaque, level = _plain(upright)
    sha = hashlib.sha256(f"{plain.mode} {plain.size}".encode())
    sha.update(plain.tobytes())
    look = Look(
        format=image.format or "array",
        mode=mode,
        size_HW=(upright.height, upright.width),
        bits=bits,
        is_turned=is_turned,
        is_grey=plain.mode in ("L", "LA"),
        opaque=opaque,
        level=level,
        pixels=sha.hexdigest(),
    )
    return look, None if rule is None else _by_rule(upright, rule)


def _upright(image: Image.Image) -> Image.Image:
    """Turned by its EXIF data, 8 bits for each sample."""
    # Pillow opens an animation at its first frame, and nobody has moved it.
    return _eight_bits(ImageOps.exif_transpose(image))


def _plain(image: Image.Image) -> tuple[Image.Image, float, float]:
    """As ``L``, ``LA``, ``RGB`` or ``RGBA``, the first that loses nothing.

    Returns:
        With its opacity and the grey level of what is seen.
    """
    opaque, alphas = 1.0, None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alphas = np.array(image.getchannel("A"))
        if alphas.min() == 255:
            image, alphas = image.convert("RGB"), None
    elif image.mode != "L":
        image = image.convert("RGB")
    greys = np.array(image.convert("L"))
    level = float(greys.mean())
    if alphas is not None:
        opaque = float(alphas.mean()) / 255
        level = float(np.average(greys, weights=alphas)) if alphas.any() else 0.0
    if image.mode != "L":
        colours = np.array(image)[..., :3]
        if not (colours != colours[..., :1]).any():
            image = image.convert("LA" if image.mode == "RGBA" else "L")
    return image, opaque, level


def _by_rule(image: Image.Image, rule: Rule) -> Pixels:
    if image.has_transparency_data:
        image = _on_background(image.convert("RGBA"), rule.background)
    # Straight to "L" from a palette would be the same; from here on there are "L" and "RGB" only.
    image = image if image.mode == "L" else image.convert("RGB")
    image = image.convert("L" if rule.channels == 1 else "RGB")
    height, width = rule.size_HW
    if image.size != (width, height):
        image = _brought_to(image, width, height, rule)
    array = np.array(image, np.uint8).reshape(height, width, rule.channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _brought_to(image: Image.Image, width: int, height: int, rule: Rule) -> Image.Image:
    pixel_filter = _FILTERS[rule.resize]
    if rule.sizing == "stretch":
        return image.resize((width, height), pixel_filter)
    if rule.sizing == "crop":
        return image.resize((width, height), pixel_filter, box=_covering(image, width, height))
    scaled = image
    if rule.sizing == "fit" or image.width > width or image.height > height:
        scaled = image.resize(_inside(image, width, height), pixel_filter)
    fill = Image.new("RGB", (1, 1), rule.background).convert(image.mode).getpixel((0, 0))
    whole = Image.new(image.mode, (width, height), fill)
    whole.paste(scaled, ((width - scaled.width) // 2, (height - scaled.height) // 2))
    return whole


def _inside(image: Image.Image, width: int, height: int) -> tuple[int, int]:
    """Its width and height, scaled as one until they just fit; rounded to the nearest."""
    if image.width * height >= image.height * width:
        return width, max(1, (2 * image.height * width + image.width) // (2 * image.width))
    return max(1, (2 * image.width * height + image.height) // (2 * image.height)), height


def _covering(image: Image.Image, width: int, height: int) -> tuple[float, float, float, float]:
    """The part in the middle that has the wanted proportions: left, top, right, bottom."""
    if image.width * height >= image.height * width:
        kept = image.height * width / height
        left = (image.width - kept) / 2
        return left, 0.0, left + kept, float(image.height)
    kept = image.width * height / width
    top = (image.height - kept) / 2
    return 0.0, top, float(image.width), top + kept


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits of grey become 8; of 16 bits of colour, Pillow has kept the upper 8 already."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    samples = np.asarray(image)
    grey = Image.fromarray(np.clip(samples >> 8, 0, 255).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        opaque = np.where(samples == key, np.uint8(0), np.uint8(255))
        return Image.merge("LA", (grey, Image.fromarray(opaque)))
    return grey


def _on_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """``(colour x alpha + background x (255 - alpha)) / 255``, rounded to the nearest."""
    pixels = np.asarray(image)
    mixed = np.empty((*pixels.shape[:2], 3), np.uint8)
    for start in range(0, len(pixels), _STRIP_ROWS):  # of 25 million pixels, a gigabyte at once
        strip = pixels[start : start + _STRIP_ROWS].astype(np.uint32)
        colours, alphas = strip[..., :3], strip[..., 3:]
        under = np.array(background, np.uint32) * (255 - alphas)
        mixed[start : start + _STRIP_ROWS] = (colours * alphas + under + 127) // 255
    return Image.fromarray(mixed)
