"""Image files become arrays by the written rule, and everything else is refused by name."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import tracemalloc
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modiste.data.decode import MAX_PIXELS, MAX_SCANS, Rule, decode, examine, examine_array, rule_of
from modiste.errors import DataError, SpecError
from modiste.spec.run import DataSpec, DecodeSpec
from tests.bad_images import jpeg_of_scans

GREY = Rule(size_HW=(2, 3), channels=1)
COLOUR = Rule(size_HW=(2, 3), channels=3)
PIXELS_HW = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
COLOURS_HWC = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)


def packed(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes, *chunks) -> bytes:
    """A PNG file by hand, for what Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    start = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    middle = b"".join(chunk(*each) for each in chunks)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + middle + body + chunk(b"IEND", b"")


# --- the rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "GIF"])
def test_grey_pixels_of_the_wanted_size_stay_as_they_are(image_format):
    decoded = decode(packed(Image.fromarray(PIXELS_HW), image_format), GREY)
    assert decoded.shape == (1, 2, 3)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded[0], PIXELS_HW)


@pytest.mark.parametrize(
    ("image_format", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_colours_of_the_wanted_size_stay_as_they_are(image_format, options):
    decoded = decode(packed(Image.fromarray(COLOURS_HWC), image_format, **options), COLOUR)
    assert np.array_equal(decoded, COLOURS_HWC.transpose(2, 0, 1))


def test_a_jpeg_is_as_close_as_jpeg_gets():
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    decoded = decode(packed(flat, "JPEG", quality=95), Rule((16, 16), 3))
    # One flat colour: what is left is the rounding of YCbCr and of the mean, 2 levels at most.
    assert np.abs(decoded.astype(int) - np.array([200, 100, 50])[:, None, None]).max() <= 2


def test_a_file_and_its_bytes_decode_alike_and_the_name_of_the_file_does_not_matter(tmp_path):
    content = packed(Image.fromarray(PIXELS_HW))
    (tmp_path / "wrong.jpg").write_bytes(content)
    assert np.array_equal(decode(tmp_path / "wrong.jpg", GREY), decode(content, GREY))


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_grey_is_weighed_by_itu_r_601(colour):
    grey = decode(packed(Image.new("RGB", (3, 2), colour)), GREY)
    expected = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    # Rounded to the nearest, with weights of 16 bits: 255 x 3 x 2^-17 of slack.
    assert abs(int(grey[0, 0, 0]) - expected) <= 0.5 + 0.006


def test_colour_from_grey_is_three_times_the_same():
    decoded = decode(packed(Image.fromarray(PIXELS_HW)), COLOUR)
    assert all(np.array_equal(channel, PIXELS_HW) for channel in decoded)


@pytest.mark.parametrize("alpha", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (10, 20, 30)])
def test_transparency_is_laid_on_the_stated_background(alpha, background):
    image = Image.new("RGBA", (3, 2), (200, 100, 50, alpha))
    decoded = decode(packed(image), Rule((2, 3), 3, background=background))
    for channel, (front, back) in enumerate(zip((200, 100, 50), background, strict=True)):
        expected = (front * alpha + back * (255 - alpha)) / 255
        assert abs(int(decoded[channel, 0, 0]) - expected) <= 0.5


def test_grey_with_transparency_is_laid_on_the_background():
    image = Image.new("LA", (3, 2), (200, 0))
    assert decode(packed(image), Rule((2, 3), 1, background=(70, 70, 70)))[0, 0, 0] == 70


def test_a_palette_becomes_its_colours_and_its_transparent_entry_the_background():
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.putpixel((0, 0), 0)
    rule = Rule((2, 3), 3, background=(9, 8, 7))
    assert decode(packed(image), rule)[:, 1, 1].tolist() == [200, 100, 50]
    assert decode(packed(image), rule)[:, 0, 0].tolist() == [0, 0, 0]
    clear = decode(packed(image, transparency=0), rule)
    assert clear[:, 0, 0].tolist() == [9, 8, 7]
    assert clear[:, 1, 1].tolist() == [200, 100, 50]


def test_black_and_white_become_0_and_255():
    image = Image.fromarray(PIXELS_HW > 100)
    assert image.mode == "1"
    assert np.array_equal(decode(packed(image), GREY)[0], np.where(PIXELS_HW > 100, 255, 0))


SAMPLES_16 = np.array([[0, 255, 256], [32_768, 65_279, 65_535]], ">u2")


def rows_of(samples: np.ndarray) -> bytes:
    """Rows of a PNG, each behind its filter byte."""
    return b"".join(b"\0" + row.tobytes() for row in samples)


def test_of_16_bits_of_grey_the_upper_8_are_kept():
    decoded = decode(png(3, 2, 16, 0, rows_of(SAMPLES_16)), GREY)
    assert np.array_equal(decoded[0], SAMPLES_16 >> 8)


def test_of_16_bits_of_colour_the_upper_8_are_kept():
    samples = np.stack([SAMPLES_16, SAMPLES_16[::-1], SAMPLES_16[:, ::-1]], axis=-1)
    decoded = decode(png(3, 2, 16, 2, rows_of(samples.astype(">u2"))), COLOUR)
    assert np.array_equal(decoded, (samples >> 8).transpose(2, 0, 1))


def test_a_transparent_colour_among_16_bits_becomes_the_background():
    samples = np.full((2, 3, 3), 0x1212, ">u2")
    samples[0, 0] = 0x1234  # the one that is meant
    samples[1, 1] = 0x3456  # its upper byte is the lower one of that
    content = png(3, 2, 16, 2, rows_of(samples), (b"tRNS", b"\x12\x34" * 3))
    found = decode(content, Rule((2, 3), 3, background=(77, 77, 77)))[0]
    # What shares its upper bytes cannot be told from it: Pillow keeps no more.
    assert found.tolist() == [[77, 77, 77], [77, 0x34, 77]]


def test_transparency_is_the_same_however_many_rows_are_worked_on_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    content = packed(Image.fromarray(rng.integers(0, 256, (7, 5, 4), np.uint8)))
    rule = Rule((7, 5), 3, background=(10, 200, 30))
    whole = decode(content, rule)
    monkeypatch.setattr("modiste.data.decode._STRIP_ROWS", 3)
    assert np.array_equal(decode(content, rule), whole)


def test_a_file_that_nobody_may_reach_is_one_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read \\(File name too long\\)"):
        decode(tmp_path / ("x" * 300), Rule((2, 3), 3))


def test_a_transparent_level_among_16_bits_of_grey_becomes_the_background():
    key = struct.pack(">H", 256)
    content = png(3, 2, 16, 0, rows_of(SAMPLES_16), (b"tRNS", key))
    decoded = decode(content, Rule((2, 3), 1, background=(77, 77, 77)))
    assert decoded[0].tolist() == [[0, 0, 77], [128, 254, 255]]


@pytest.mark.parametrize(("bits", "row"), [(1, b"\0\x40"), (2, b"\0\x1b"), (4, b"\0\x0f")])
def test_a_transparent_level_among_few_bits_of_grey_becomes_the_background(bits, row):
    width = 4 if bits == 2 else 2
    key = struct.pack(">H", (1 << bits) - 1)  # white, the last pixel of the row
    content = png(width, 1, bits, 0, row, (b"tRNS", key))
    decoded = decode(content, Rule((1, width), 1, background=(77, 77, 77)))
    assert decoded[0, 0].tolist() == ([0, 85, 170, 77] if bits == 2 else [0, 77])


# For each value of the EXIF tag, what has to be done to the stored image to see it upright
# (Exif 2.3, 4.6.4, "Orientation").
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", sorted(TURNS))
def test_the_rotation_in_exif_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = TURNS[orientation](PIXELS_HW)
    decoded = decode(packed(Image.fromarray(PIXELS_HW), exif=exif), Rule(expected.shape, 1))
    assert np.array_equal(decoded[0], expected)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("L", (3, 2), level) for level in (10, 200)]
    for image_format, options in (("GIF", {}), ("WEBP", {"lossless": True})):
        content = packed(
            frames[0], image_format, save_all=True, append_images=frames[1:], **options
        )
        assert (decode(content, GREY) == 10).all()


def test_another_size_is_stretched_and_averaged_over_what_a_pixel_covers():
    checks = np.indices((8, 8)).sum(0) % 2 * 255
    image = packed(Image.fromarray(checks.astype(np.uint8)))
    # A board of 0 and 255 shrinks to its mean, 127.5, rounded either way.
    small = decode(image, Rule((4, 4), 1, resize="box"))
    assert set(small.reshape(-1).tolist()) <= {127, 128}
    assert decode(image, Rule((4, 16), 1)).shape == (1, 4, 16)


@pytest.mark.parametrize("resize", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_no_resize_touches_an_image_of_the_wanted_size(resize):
    decoded = decode(packed(Image.fromarray(PIXELS_HW)), Rule((2, 3), 1, resize=resize))
    assert np.array_equal(decoded[0], PIXELS_HW)


# A bar of 2 x 6 pixels, grey levels 10 to 120 from left to right, brought to 4 x 4.
BAR_HW = np.tile(np.arange(10, 130, 20, dtype=np.uint8), (2, 1))


def brought(sizing: str, image: np.ndarray = BAR_HW, **more) -> np.ndarray:
    rule = Rule(**{"size_HW": (4, 4), "channels": 1, "resize": "nearest", "sizing": sizing} | more)
    return decode(packed(Image.fromarray(image)), rule)[0]


def test_fit_shows_the_whole_image_in_its_proportions_and_fills_the_rest():
    # 6 wide become 4, so 2 high become 1.33, rounded to 1; it begins (4 - 1) // 2 from the top.
    found = brought("fit", background=(7, 7, 7))
    assert found[1].tolist() == [10, 50, 70, 110]
    assert (np.delete(found, 1, axis=0) == 7).all()


def test_fit_enlarges_and_pad_does_not():
    small = np.array([[10, 20], [30, 40]], np.uint8)
    assert brought("fit", small).tolist() == np.kron(small, np.ones((2, 2), int)).tolist()
    padded = brought("pad", small, background=(9, 9, 9))
    assert padded[1:3, 1:3].tolist() == small.tolist()
    assert np.delete(np.delete(padded, (1, 2), 0), (1, 2), 1).tolist() == [[9, 9], [9, 9]]
    assert np.array_equal(brought("pad"), brought("fit"))


def test_crop_keeps_the_middle_in_its_proportions_and_fills_nothing():
    # Of 2 x 6 the middle 2 x 2, each pixel twice as large.
    assert brought("crop").tolist() == [[50, 50, 70, 70]] * 4
    assert brought("crop", BAR_HW.T).tolist() == [[50] * 4, [50] * 4, [70] * 4, [70] * 4]


def test_stretch_is_what_a_rule_that_says_nothing_does():
    found = brought("stretch")
    assert found.tolist() == [[10, 50, 70, 110]] * 4
    plain = decode(packed(Image.fromarray(BAR_HW)), Rule((4, 4), 1, resize="nearest"))
    assert np.array_equal(plain[0], found)


@pytest.mark.parametrize("sizing", ["stretch", "fit", "pad", "crop"])
def test_an_image_of_the_wanted_size_is_the_same_by_every_rule(sizing):
    assert np.array_equal(brought(sizing, PIXELS_HW, size_HW=(2, 3), resize="bilinear"), PIXELS_HW)


@pytest.mark.parametrize("sizing", ["fit", "pad", "crop"])
@settings(max_examples=60)
@given(
    own=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    wanted=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_size_is_brought_to_any_other(sizing, own, wanted):
    image = Image.new("RGB", own[::-1], (200, 100, 50))
    decoded = decode(packed(image), Rule(wanted, 3, (1, 2, 3), sizing=sizing))
    assert decoded.shape == (3, *wanted)
    # Every pixel is of the image or of the background: one colour comes through any filter.
    colours = {tuple(pixel) for pixel in decoded.reshape(3, -1).T.tolist()}
    assert (200, 100, 50) in colours
    assert colours <= {(200, 100, 50), (1, 2, 3)}
    if sizing == "crop":
        assert (1, 2, 3) not in colours


def test_the_rest_is_the_background_in_grey_too():
    found = brought("fit", BAR_HW, background=(255, 0, 0))
    # 0.299 x 255, rounded.
    assert set(found[0].tolist()) == {76}


def test_a_rule_survives_json():
    rule = Rule((28, 28), 1, (1, 2, 3), "box", ("PNG", "JPEG"), "crop")
    assert Rule.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


def test_a_rule_of_a_model_from_before_there_was_a_choice_stretches():
    old = {
        "size_HW": [28, 28],
        "channels": 1,
        "background": [0, 0, 0],
        "resize": "bilinear",
        "formats": ["PNG", "JPEG", "BMP", "GIF", "WEBP"],
    }
    assert Rule.from_dict(old) == Rule((28, 28), 1)
    assert Rule.from_dict(old).sizing == "stretch"


def test_a_run_says_by_which_rule_its_images_were_decoded():
    assert rule_of(DataSpec(), (3, 8, 9)) == Rule((8, 9), 3)
    decode_spec = DecodeSpec(
        size=(8, 9), channels=3, sizing="pad", background=(1, 2, 3), resize="box"
    )
    expected = Rule((8, 9), 3, (1, 2, 3), "box", sizing="pad")
    assert rule_of(DataSpec(decode=decode_spec), (3, 8, 9)) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": 2}, "neither 1"),
        ({"size_HW": (0, 28)}, "not from 1 to 4096"),
        ({"size_HW": (28, 5000)}, "not from 1 to 4096"),
        ({"background": (0, 0, 256)}, "not made of 0 to 255"),
        ({"resize": "best"}, "'best' is none of"),
        ({"formats": ("TIFF",)}, "TIFF"),
        ({"formats": ()}, "not among"),
        ({"sizing": "best"}, "'best' is none of stretch, fit, pad, crop"),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_an_error(change, words):
    with pytest.raises(SpecError, match=words):
        Rule(**({"size_HW": (28, 28), "channels": 1} | change))


# --- what an image is like ----------------------------------------------------------------------


def look(image: Image.Image, image_format: str = "PNG", **options: object):
    found, decoded = examine(packed(image, image_format, **options))
    assert decoded is None
    return found


def test_an_image_is_looked_at_as_it_is_and_as_its_rule_makes_it():
    content = packed(Image.fromarray(COLOURS_HWC), "BMP")
    found, decoded = examine(content, COLOUR)
    assert (found.format, found.mode, found.size_HW, found.bits) == ("BMP", "RGB", (2, 3), 8)
    assert np.array_equal(decoded, decode(content, COLOUR))
    assert not found.is_grey
    assert found.opaque == 1.0


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_equal_pictures_have_equal_pixels_however_they_are_packed(mode):
    grey = Image.fromarray(np.array([[0, 255, 0], [255, 0, 255]], np.uint8))
    found = look(grey.convert(mode))
    assert found.mode == mode
    assert found.is_grey
    assert found.pixels == look(grey, "GIF").pixels
    assert found.pixels != look(grey.resize((6, 4))).pixels
    assert found.pixels != look(grey.rotate(90, expand=True)).pixels


def test_transparency_is_part_of_a_picture_and_so_is_what_shows_of_it():
    pixels = np.zeros((2, 4, 4), np.uint8)
    pixels[0] = (200, 200, 200, 255)
    found = look(Image.fromarray(pixels))
    assert (found.mode, found.is_grey, found.opaque, found.level) == ("RGBA", True, 0.5, 200.0)
    assert found.pixels != look(Image.fromarray(pixels).convert("RGB")).pixels


def test_bits_and_turns_are_seen():
    assert look(Image.fromarray(np.zeros((2, 3), np.uint16))).bits == 16
    # Two bytes for each of three colours: Pillow hands on the upper one, and does not say so.
    assert examine(png(1, 1, 16, 2, b"\0" + bytes(6)))[0].bits == 16
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = look(Image.fromarray(PIXELS_HW), exif=exif)
    assert (turned.is_turned, turned.size_HW) == (True, (3, 2))


def test_an_array_is_looked_at_like_a_file():
    as_file, of_file = examine(packed(Image.fromarray(COLOURS_HWC)), GREY)
    as_array, of_array = examine_array(COLOURS_HWC, GREY)
    assert as_array.pixels == as_file.pixels
    assert np.array_equal(of_array, of_file)
    deep, _ = examine_array(PIXELS_HW.astype(np.uint16) * 256 + 255)
    assert (deep.bits, deep.pixels) == (16, examine_array(PIXELS_HW)[0].pixels)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no image: it seems to be an empty file. Give a file of PNG, JPEG"),
        (b"<!DOCTYPE html><p>404", "no image: it seems to be an HTML page"),
        (b"<svg xmlns='x'/>", "no image: it seems to be an SVG drawing"),
        (b"%PDF-1.7", "no image: it seems to be a PDF document"),
        (b"hello", "no image: it seems to be text"),
        (bytes(range(32)), "no image: it seems to be data of an unknown kind"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "seems to be a HEIC image; allowed here: .* Convert it"),
        (b"II*\0\x08\0\0\0\0\0", "seems to be a TIFF image; allowed here: .* Convert it"),
        (b"\x89PNG\r\nnothing of the kind", "begins like a PNG image and goes on as something"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_image_is_named_with_the_remedy(tmp_path, content, words):
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        decode(path, GREY)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_a_truncated_image_is_named(tmp_path, image_format):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = packed(Image.fromarray(noise), image_format)
    path = tmp_path / "picture"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"picture: .*again"):
        decode(path, GREY)


def test_only_the_formats_of_the_rule_are_opened(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(packed(Image.fromarray(PIXELS_HW), "GIF"))
    with pytest.raises(DataError, match="seems to be a GIF image; allowed here: PNG, JPEG"):
        decode(path, Rule((2, 3), 1, formats=("PNG", "JPEG")))


@pytest.mark.parametrize("side", [5_001, 12_000, 60_000])
def test_a_huge_image_is_refused_before_it_is_decoded(side):
    # Above 89 megapixels Pillow warns, above 179 it refuses; ours is 25.
    content = png(side, side, 8, 0, b"")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=f"the limit is {MAX_PIXELS:,} pixels"):
            decode(content, GREY)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Nothing of its 25 MB and more was allocated.
    assert peak < 1 << 20


def test_a_jpeg_that_would_take_hours_is_refused_before_it_is_decoded(monkeypatch, tmp_path):
    # 8 MiB of it hold 200,000 scans, and a large image takes 20 ms for each of them.
    content = jpeg_of_scans(MAX_SCANS + 1)
    path = tmp_path / "slow.jpg"
    path.write_bytes(content)
    ours = jpeg_of_scans(MAX_SCANS)
    assert decode(ours, GREY).shape == (1, *GREY.size_HW)
    monkeypatch.setattr(Image.Image, "load", None)
    for file in (content, path):
        with pytest.raises(DataError, match=f"{MAX_SCANS + 1} scans.*the limit is {MAX_SCANS}"):
            decode(file, GREY)


def test_a_huge_image_is_refused_where_nobody_made_warnings_errors(capsys):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(DataError, match="the limit is"):
            decode(png(12_000, 12_000, 8, 0, b""), GREY)
    assert caught == []


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        decode(tmp_path, GREY)
    with pytest.raises(DataError, match=r"nothing\.png: no such file"):
        decode(tmp_path / "nothing.png", GREY)


def test_bytes_are_called_what_the_caller_calls_them():
    with pytest.raises(DataError, match=r"^upload 3: no image"):
        decode(b"", GREY, name="upload 3")


SEEDS = [
    packed(Image.fromarray(COLOURS_HWC), image_format)
    for image_format in ("PNG", "JPEG", "BMP", "GIF", "WEBP")
]


@settings(max_examples=300, deadline=None)
@given(
    content=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 40),
)
def test_damaged_bytes_are_decoded_or_refused_and_nothing_else(content, changes, cut):
    damaged = bytearray(content)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    damaged = damaged[: len(damaged) - cut]
    with contextlib.suppress(DataError):
        assert decode(bytes(damaged), COLOUR).shape == (3, 2, 3)
