"""Kinds of bad data, each made in a moment; docs/bad_images.md holds the answer to each."""

from __future__ import annotations

import gzip
import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.own_images import (
    CLASSES,
    PER_CLASS,
    arrays,
    picture,
    png_bytes,
    rows_of_table,
    write_classes,
    write_npz,
    write_parts,
    write_table,
)
from tests.synthetic import idx_bytes


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def claimed_png(width: int, height: int, *more: bytes, body: bytes = b"") -> bytes:
    """A PNG file that claims a size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", body or zlib.compress(bytes((width + 1) * height if width < 99 else 9)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + data + chunk(b"IEND", b"")


# --- kinds ----------------------------------------------------------------------------------------

Maker = Callable[[Path], Path | None]
# Each maker spoils a good set in a folder, and returns what to name instead of the folder, if any.
FILES: dict[str, Maker] = {}  # of these, up to 1 % can be left out
FOLDERS: dict[str, Maker] = {}
TABLES: dict[str, Maker] = {}
ARRAYS: dict[str, Maker] = {}


def jpeg_of_scans(num: int, side: int = 64) -> bytes:
    """A progressive JPEG that goes over the image so many times, the last ones for nothing."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 128).save(stream, "JPEG", progressive=True)
    content, start = stream.getvalue(), b"\xff\xda"
    last = content[content.rindex(start) : -2]
    return content[:-2] + last * (num - content.count(start)) + content[-2:]


def bad(kinds: dict[str, Maker], kind: str) -> Callable[[Maker], Maker]:
    """Files a maker under a kind of its own."""

    def add(maker: Maker) -> Maker:
        assert kind not in kinds, kind
        kinds[kind] = maker
        return maker

    return add


def file_of(content: bytes, name: str = "odd.png") -> Maker:
    """A maker: one more file of that content in a class folder."""

    def make(root: Path) -> None:
        (root / "bee" / name).write_bytes(content)

    return make


RGB = Image.fromarray(np.random.default_rng(9).integers(0, 256, (64, 64, 3), np.uint8))
PNG, JPEG, GIF, WEBP, BMP = (png_bytes(RGB, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP"))
FILES |= {
    kind: file_of(content)
    for kind, content in {
        "an empty file": b"",
        "one byte": b"x",
        "plain text": b"only words\n",
        "a web page": b"<!DOCTYPE html><title>404</title>",
        "an XML page": b"<?xml version='1.0'?><error/>",
        "an SVG drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "JSON": b'{"error": 404}',
        "a PDF document": b"%PDF-1.7\n",
        "a ZIP archive": b"PK\x03\x04" + bytes(60),
        "a gzip file": gzip.compress(PNG),
        "a bzip2 file": b"BZh91AY&SY",
        "an xz file": b"\xfd7zXZ\x00",
        "a Zstandard file": b"\x28\xb5\x2f\xfd",
        "a tar archive": bytes(257) + b"ustar" + bytes(200),
        "a NumPy array": b"\x93NUMPY\x01\x00",
        "an HDF5 file": b"\x89HDF\r\n\x1a\n",
        "a Parquet file": b"PAR1",
        "a Debian package": b"!<arch>\n",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
        "a program": b"\x7fELF\x02",
        "an MP4 video": b"\0\0\0\x18ftypisom",
        "a sound": b"RIFF\x24\0\0\0WAVEfmt ",
        "a HEIC image": b"\0\0\0\x18ftypheic",
        "an AVIF image": b"\0\0\0\x18ftypavif",
        "a TIFF image": png_bytes(RGB, "TIFF"),
        "a Photoshop image": b"8BPS\0\1",
        "random bytes": np.random.default_rng(3).bytes(4000),
        "zeros": bytes(4000),
        "the first bytes of a PNG": PNG[:8],
        "half a PNG": PNG[: len(PNG) // 2],
        "a PNG with a broken checksum": PNG[:29] + b"\0\0\0\0" + PNG[33:],
        "a PNG with broken data": claimed_png(8, 8, body=b"\x78\x9cnothing of the kind"),
        "a PNG of no pixels": claimed_png(0, 8, body=zlib.compress(b"")),
        "a PNG whose text is a bomb": claimed_png(
            8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80 << 20)))
        ),
        "a PNG that claims 3.6 gigapixels": claimed_png(60_000, 60_000),
        "a PNG of 25,010,001 pixels": claimed_png(5_001, 5_001),
        "half a JPEG": JPEG[: len(JPEG) // 2],
        "the first bytes of a JPEG": JPEG[:20],
        "a JPEG of 300 scans": jpeg_of_scans(300),
        "half a GIF": GIF[: len(GIF) // 2],
        "a GIF that claims 4.3 gigapixels": b"GIF89a\xff\xff\xff\xff" + GIF[10:],
        "half a WebP": WEBP[: len(WEBP) // 2],
        "half a BMP": BMP[: len(BMP) // 2],
        "a BMP that claims 10 gigapixels": BMP[:18]
        + struct.pack("<ii", 100_000, 100_000)
        + BMP[26:],
        "an image of 1 x 40 pixels": png_bytes(np.zeros((40, 1), np.uint8)),
    }.items()
}
FILES |= {
    kind: file_of(PNG, name)
    for kind, name in {
        "a file name with an escape sequence": "a\x1b[31m.png",
        "a file name with a line break": "a\nb.png",
        "a file name that turns text around": "a\u202egnp.png",
        "a file name that is not UTF-8": os.fsdecode(b"caf\xe9.png"),
        "a file named like a tag": "<img src=x onerror=alert(1)>.png",
        "a file named like a formula": "=cmd().png",
        "a file name with a backslash": "x\\..\\y.png",
    }.items()
}


@bad(FILES, "a file of 200 MB")
def _large(root: Path) -> None:
    with (root / "bee" / "large.png").open("wb") as file:
        file.truncate(200 << 20)  # holes, not bytes


@bad(FILES, "a link out of the folder")
def _link_out(root: Path) -> None:
    (root.parent / "secret.png").write_bytes(PNG)
    (root / "bee" / "link.png").symlink_to(root.parent / "secret.png")


@bad(FILES, "a link to /etc/passwd")
def _link_passwd(root: Path) -> None:
    (root / "bee" / "link.png").symlink_to("/etc/passwd")


@bad(FILES, "a link to nothing")
def _link_nowhere(root: Path) -> None:
    (root / "bee" / "link.png").symlink_to("gone.png")


@bad(FILES, "a link to itself")
def _link_loop(root: Path) -> None:
    (root / "bee" / "link.png").symlink_to("link.png")


@bad(FOLDERS, "a class folder that is a link out")
def _link_class(root: Path) -> None:
    write_classes(root.parent / "elsewhere")
    (root / "dog").symlink_to(root.parent / "elsewhere" / "ant")


def class_link(target: str) -> Maker:
    """A maker: a link beside the class folders."""
    return lambda root: (root / "dog").symlink_to(target)


FOLDERS |= {
    "a link to nothing beside the class folders": class_link("gone"),
    "a link to itself beside the class folders": class_link("dog"),
}


@bad(FILES, "a named pipe")
def _pipe(root: Path) -> None:
    os.mkfifo(root / "bee" / "pipe.png")


@bad(FILES, "a socket")
def _socket(root: Path) -> None:
    here = Path.cwd()
    os.chdir(root / "bee")  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("socket.png")
    finally:
        os.chdir(here)


# --- folders that make no sense -------------------------------------------------------------------


@bad(FOLDERS, "an empty class folder")
def _empty_class(root: Path) -> None:
    (root / "dog").mkdir()


@bad(FOLDERS, "a class folder with hidden files only")
def _hidden_class(root: Path) -> None:
    (root / "dog").mkdir()
    (root / "dog" / ".DS_Store").write_bytes(b"x")


@bad(FOLDERS, "a class of two images")
def _small_class(root: Path) -> None:
    write_classes(root, 2, ("dog",), start=50)


@bad(FOLDERS, "a class of copies of one image")
def _copied_class(root: Path) -> None:
    (root / "dog").mkdir()
    for number in range(9):
        (root / "dog" / f"{number}.png").write_bytes(PNG)


@bad(FOLDERS, "a single class")
def _one_class(root: Path) -> Path:
    return write_classes(root / "one", 5, ("ant",))


@bad(FOLDERS, "class folders one level down")
def _too_high(root: Path) -> Path:
    write_classes(root / "high" / "animals")
    return root / "high"


@bad(FOLDERS, "a folder inside a class folder")
def _nested(root: Path) -> None:
    (root / "bee" / "more").mkdir()


@bad(FOLDERS, "images in no class folder")
def _flat(root: Path) -> Path:
    folder = root / "flat"
    folder.mkdir()
    (folder / "1.png").write_bytes(PNG)
    return folder


@bad(FOLDERS, "an image beside the class folders")
def _beside(root: Path) -> None:
    (root / "stray.png").write_bytes(PNG)


@bad(FOLDERS, "an empty folder")
def _nothing(root: Path) -> Path:
    (root / "void").mkdir()
    return root / "void"


@bad(FOLDERS, "no folder at all")
def _gone(root: Path) -> Path:
    return root / "gone"


@bad(FOLDERS, "a file of words for a data set")
def _words(root: Path) -> Path:
    (root.parent / "notes.txt").write_text("words")
    return root.parent / "notes.txt"


@bad(FOLDERS, "a ZIP archive for a data set")
def _zipped(root: Path) -> Path:
    with zipfile.ZipFile(root.parent / "all.zip", "w") as file:
        file.writestr("ant/1.png", PNG)
    return root.parent / "all.zip"


def class_named(name: str) -> Maker:
    """A maker: one more class of that name."""

    def make(root: Path) -> None:
        write_classes(root, PER_CLASS, (name,), start=60)

    return make


FOLDERS |= {
    kind: class_named(name)
    for kind, name in {
        "a class name with an escape sequence": "red\x1b[31m",
        "a class name that turns text around": "\u202etac",
        "a class name with an invisible letter": "cat\u200b",
        "a class named like a tag": "<img src=x onerror=alert(1)>",
        "a class named like a formula": "=cmd()",
        "a class named like a sum": "@SUM(A1)",
        "a class name with a space at its end": "cat ",
        "a class name of 200 letters": "x" * 200,
        "a class name that is not UTF-8": os.fsdecode(b"caf\xe9"),
    }.items()
}


@bad(FOLDERS, "two class names that look the same")
def _twins(root: Path) -> None:
    write_classes(root, PER_CLASS, ("caf\u00e9", "cafe\u0301"), start=60)


@bad(FOLDERS, "a validation class that train/ has not")
def _unknown_class(root: Path) -> Path:
    write_parts(root / "parts")
    write_classes(root / "parts" / "val", 2, ("dog",), start=300)
    return root / "parts"


@bad(FOLDERS, "a test part and nothing to learn from")
def _no_train(root: Path) -> Path:
    write_classes(root / "parts" / "test")
    return root / "parts"


@bad(FOLDERS, "two validation parts")
def _two_vals(root: Path) -> Path:
    write_parts(root / "parts")
    write_classes(root / "parts" / "valid", start=400)
    return root / "parts"


@bad(FOLDERS, "a test image that is a training image")
def _leak(root: Path) -> Path:
    write_parts(root / "parts")
    (root / "parts" / "test" / "bee" / "same.png").write_bytes(png_bytes(picture(7)))
    return root / "parts"


@bad(FOLDERS, "a validation image that is a training image in another format")
def _repacked_leak(root: Path) -> Path:
    write_parts(root / "parts")
    (root / "parts" / "val" / "bee" / "same.bmp").write_bytes(png_bytes(picture(7), "BMP"))
    return root / "parts"


@bad(FOLDERS, "nothing but copies of one image")
def _constant(root: Path) -> Path:
    for name in CLASSES:
        (root / "constant" / name).mkdir(parents=True)
        (root / "constant" / name / "1.png").write_bytes(PNG)
    return root / "constant"


@bad(FOLDERS, "an image that came after the test part was sealed")
def _late(root: Path) -> None:
    from modiste.api.data import scan
    from modiste.data.own.division import divide, seal
    from modiste.data.own.propose import propose
    from modiste.data.own.stock import take_stock
    from modiste.data.own.walk import list_folder

    assert scan(str(root))["trouble"] is None
    stock = take_stock(list_folder(root))
    seal(divide(stock, propose(stock, {})), 0.2)
    (root / "bee" / "late.png").write_bytes(png_bytes(picture(77)))


@bad(FOLDERS, "a damaged record of the test part")
def _record(root: Path) -> None:
    (root / "modiste-test.json").write_text('{"schema": "modiste.test-part/1", "share": 2}')


# --- tables ---------------------------------------------------------------------------------------


def table_with(*rows: tuple[str, ...], at: int | None = None) -> Maker:
    """A maker: a good table with these rows at its end, or in place of the one at `at`."""

    def make(root: Path) -> Path:
        found = rows_of_table()
        if at is not None:
            found[at : at + 1] = rows
        else:
            found += rows
        return write_table(root / "table", found)

    return make


TABLES |= {
    "a path with ../": table_with(("../secret.png", "bee")),
    "an absolute path": table_with(("/etc/passwd", "bee")),
    "a table without the names of its columns": table_with(("images/ant/0.png", "ant"), at=0),
    "a table that names a file that is not there": table_with(("images/bee/gone.png", "bee")),
    "a table that names a file by 256 letters": table_with(("x" * 252 + ".png", "bee")),
    "a table that names a file twice": table_with(("images/bee/1.png", "cat")),
    "a line without a class": table_with(("images/bee/9.png", "")),
    "a line with a column too many": table_with(("images/bee/9.png", "bee", "x")),
    "a class named like a formula in a table": table_with(("images/ant/0.png", "=1+1"), at=1),
}


@bad(TABLES, "a part that is none")
def _unknown_part(root: Path) -> Path:
    rows = [(*row, "train" if number else "part") for number, row in enumerate(rows_of_table())]
    rows[5] = (*rows[5][:2], "tran")
    return write_table(root / "table", rows)


@bad(TABLES, "a class that only the test part has")
def _only_tested(root: Path) -> Path:
    rows = [(*row, "train" if number else "part") for number, row in enumerate(rows_of_table())]
    rows[5] = (rows[5][0], "dog", "test")
    return write_table(root / "table", rows)


@bad(TABLES, "a table of nothing")
def _empty_table(root: Path) -> Path:
    return write_table(root / "table", rows_of_table()[:1])


def raw_table(content: bytes) -> Maker:
    """A maker: a table of these bytes."""

    def make(root: Path) -> Path:
        path = root / "raw.csv"
        path.write_bytes(content)
        return path

    return make


TABLES |= {
    "a table that is not UTF-8": raw_table(b"path,label\nimages/caf\xe9.png,ant\n"),
    "a table with an open quotation mark": raw_table(b'path,label\n"images/1.png,ant\n'),
}


@bad(TABLES, "a table that leads through a link")
def _through_a_link(root: Path) -> Path:
    path = write_table(root / "table", [*rows_of_table(), ("out/passwd", "bee")])
    (root / "table" / "out").symlink_to("/etc")
    return path


# --- arrays ---------------------------------------------------------------------------------------


def npz_with(**given: npt.NDArray[object]) -> Maker:
    """A maker: a .npz file with these arrays."""
    return lambda root: write_npz(root / "all.npz", **given)


IMAGES, LABELS = arrays()
ARRAYS |= {
    "Python objects in a .npz file": npz_with(labels=np.array([{}] * 30, object)),
    "a label out of range": npz_with(
        labels=np.where(np.arange(30) == 7, 12, LABELS), class_names=np.array(["a", "b", "c"])
    ),
    "a label below 0 beside others": npz_with(labels=np.where(np.arange(30) == 7, -1, LABELS)),
    "images as floating-point numbers": npz_with(images=IMAGES / 255),
    "images of signed numbers": npz_with(images=IMAGES.astype(np.int32)),
    "images without rows and columns": npz_with(images=IMAGES.reshape(30, 64)),
    "images of five channels": npz_with(images=np.zeros((30, 8, 8, 5), np.uint8)),
    "fewer labels than images": npz_with(labels=LABELS[:29]),
    "one-hot labels": npz_with(labels=np.eye(3, dtype=np.int64)[LABELS]),
    "labels as floating-point numbers": npz_with(labels=LABELS / 2),
}


@bad(ARRAYS, "a test part without its labels in a .npz file")
def _half_a_part(root: Path) -> Path:
    half = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:9], "Y_test": LABELS[:9]}
    np.savez(root / "all.npz", **half)
    return root / "all.npz"


@bad(ARRAYS, "a .npz file without arrays of known names")
def _other_names(root: Path) -> Path:
    np.savez(root / "all.npz", pictures=IMAGES, answers=LABELS)
    return root / "all.npz"


@bad(ARRAYS, "words that are no .npz file")
def _no_npz(root: Path) -> Path:
    (root / "all.npz").write_text("words")
    return root / "all.npz"


@bad(ARRAYS, "half a .npz file")
def _half_npz(root: Path) -> Path:
    path = write_npz(root / "all.npz")
    path.write_bytes(path.read_bytes()[:500])
    return path


@bad(ARRAYS, "a .npz file with a flipped bit")
def _flipped_npz(root: Path) -> Path:
    path = write_npz(root / "all.npz")
    content = bytearray(path.read_bytes())
    content[400] ^= 1
    path.write_bytes(content)
    return path


@bad(ARRAYS, "an array that claims more than there is")
def _claiming_npz(root: Path) -> Path:
    path = root / "all.npz"
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 8, 8), }"
    head = head.ljust(117) + "\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + bytes(64)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", npy)
        file.writestr("labels.npy", npy)
    return path


@bad(ARRAYS, "an array that unpacks to 1.1 GB")
def _bomb_npz(root: Path) -> Path:
    """A member whose directory entry claims 1.1 GB; nothing is there to be unpacked."""
    path = _claiming_npz(root)
    content = path.read_bytes()
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"PK\x01\x02"))
    packed = struct.pack("<I", 1_100_000_000)
    path.write_bytes(content[: entry + 24] + packed + content[entry + 28 :])
    return path


def write_idx_set(root: Path, *, labels: npt.NDArray[np.uint8] | None = None) -> Path:
    """IDX files of a training part, and names of three classes."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "train-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES))
    (root / "train-labels-idx1-ubyte").write_bytes(
        idx_bytes(LABELS.astype(np.uint8) if labels is None else labels)
    )
    (root / "classes.txt").write_text("ant\nbee\ncat\n")
    return root


@bad(ARRAYS, "an IDX label out of range")
def _idx_range(root: Path) -> Path:
    labels = LABELS.astype(np.uint8)
    labels[7] = 12
    return write_idx_set(root / "idx", labels=labels)


@bad(ARRAYS, "half an IDX file")
def _idx_half(root: Path) -> Path:
    path = write_idx_set(root / "idx") / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:900])
    return root / "idx"


@bad(ARRAYS, "an IDX header that claims 2 GB")
def _idx_claim(root: Path) -> Path:
    path = write_idx_set(root / "idx") / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, 2_000_000, 32, 32) + bytes(99))
    return root / "idx"


BAD = {**FILES, **FOLDERS, **TABLES, **ARRAYS}
