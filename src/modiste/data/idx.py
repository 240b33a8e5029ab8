"""Reader of IDX files, the format of MNIST and its kin, packed with gzip or plain.

A file is two zero bytes, one byte for the element type (8: unsigned byte), one for the number of
dimensions, each dimension as a big-endian 32-bit number, then the elements, last dimension
fastest. Labels have one dimension, N; images have three, N x H x W.

A header is a claim made by a stranger. It is checked against what a file of that size can hold,
and then memory grows only as fast as bytes really come out of the file.

Source: http://yann.lecun.com/exdb/mnist/ (the file formats, at its end).
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
import numpy.typing as npt

from modiste.data import sniff
from modiste.errors import DataError

Kind = Literal["images", "labels"]

# The largest set that is read into memory: 1.3 million images of 28 x 28 pixels.
MAX_BYTES = 1 << 30
# Deflate cannot pack better than this: 258 bytes in two bits (https://zlib.net/zlib_tech.html).
_MAX_GZIP_RATIO = 1032
_CHUNK_BYTES = 1 << 20
_GZIP_MARK = b"\x1f\x8b"
_NUM_DIMENSIONS: dict[Kind, int] = {"labels": 1, "images": 3}
_TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}


@dataclass(frozen=True)
class Header:
    """What a file says it holds."""

    kind: Kind
    shape: tuple[int, ...]


def read_header(path: Path, max_bytes: int = MAX_BYTES) -> Header:
    """What `path` says it holds, once that has been found possible.

    Raises:
        DataError: If it is no IDX file of bytes, or claims more than it can hold.
    """
    with _opened(path) as stream:
        return _header(path, stream, max_bytes)


def read(path: Path, kind: Kind, max_bytes: int = MAX_BYTES) -> npt.NDArray[np.uint8]:
    """The elements of an IDX file.

    Args:
        path: A file, packed with gzip or not; its content tells, not its name.
        kind: What is expected in it.
        max_bytes: The most that may be read into memory.

    Returns:
        N for labels, N x H x W for images.

    Raises:
        DataError: If the file is missing, truncated, too long, damaged, of another kind, or
            claims more than it can hold.
    """
    with _opened(path) as stream:
        header = _header(path, stream, max_bytes)
        if header.kind != kind:
            raise DataError(f"{path}: holds {header.kind} where {kind} are expected.")
        expected = math.prod(header.shape)
        elements = bytearray()
        # One byte more than expected is asked for: it must not come, and asking for it makes
        # the gzip reader compare its checksum.
        while len(elements) <= expected:
            chunk = stream.read(min(_CHUNK_BYTES, expected + 1 - len(elements)))
            if not chunk:
                break
            elements += chunk
    claim = f"its header claims {_words(header)}, which are {expected:,} bytes"
    if len(elements) < expected:
        raise DataError(f"{path}: truncated: {claim}, but only {len(elements):,} follow.")
    if len(elements) > expected:
        raise DataError(f"{path}: too long: {claim}, but more follow.")
    return np.frombuffer(elements, np.uint8).reshape(header.shape)


def _words(header: Header) -> str:
    return f"{' x '.join(f'{n:,}' for n in header.shape)} {header.kind}"


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file; whatever goes wrong with them names the file."""
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(2) == _GZIP_MARK
            raw.seek(0)
            if is_packed:
                with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                    yield cast("BinaryIO", unpacked)
            else:
                yield raw
    except EOFError:
        raise DataError(f"{path}: truncated: the gzip file breaks off.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged: {_gzip_trouble(error)}.") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None


def _gzip_trouble(error: Exception) -> str:
    text = str(error)
    if "CRC" in text:
        return "the gzip checksum (CRC) does not match the content"
    if "length" in text:
        return "the gzip file unpacks to another length than it says"
    if "Not a gzipped file" in text:
        return "other bytes follow the end of the gzip file"
    return f"the gzip file does not unpack ({text})"


def _header(path: Path, stream: BinaryIO, max_bytes: int) -> Header:
    magic = stream.read(4)
    kinds = {dimensions: kind for kind, dimensions in _NUM_DIMENSIONS.items()}
    if len(magic) < 4 or magic[:2] != b"\x00\x00" or magic[2] not in _TYPES:
        head = magic + stream.read(sniff.HEAD_BYTES)
        raise DataError(f"{path}: not an IDX file: it seems to be {sniff.seems(head)}.")
    if magic[2] != 8:
        raise DataError(f"{path}: holds IDX elements of {_TYPES[magic[2]]}; expected uint8.")
    if magic[3] not in kinds:
        raise DataError(
            f"{path}: an IDX file of {magic[3]} dimensions; expected 1 for labels (N) or 3 for "
            "images (N x H x W)."
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{path}: truncated: it ends within its header.")
    header = Header(kinds[magic[3]], tuple(int(n) for n in np.frombuffer(sizes, ">u4")))
    _check_possible(path, header, max_bytes)
    return header


def _check_possible(path: Path, header: Header, max_bytes: int) -> None:
    claimed = math.prod(header.shape)
    size = path.stat().st_size
    if claimed == 0:
        raise DataError(f"{path}: its header claims {_words(header)}, which is nothing.")
    if claimed > size * _MAX_GZIP_RATIO:
        raise DataError(
            f"{path}: its header claims {_words(header)}, {claimed:,} bytes; a file of {size:,} "
            "bytes cannot hold that."
        )
    if claimed > max_bytes:
        raise DataError(
            f"{path}: its header claims {_words(header)}, {claimed:,} bytes; the limit is "
            f"{max_bytes:,}."
        )
