"""The IDX reader believes no header and names what is wrong."""

from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modiste.data import idx
from modiste.errors import DataError
from tests.synthetic import idx_bytes, write_gzip

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
reuses_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def header(*sizes: int, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, kind, len(sizes), *sizes)


@reuses_folder
@given(
    array=hnp.arrays(np.uint8, st.one_of(hnp.array_shapes(min_dims=3, max_dims=3, max_side=9))),
    is_packed=st.booleans(),
)
def test_what_was_written_is_read_packed_or_not(tmp_path, array, is_packed):
    content = idx_bytes(array)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    read = idx.read(path, "images")
    assert np.array_equal(read, array)
    assert read.dtype == np.uint8


def test_arrays_can_be_written_to_so_that_torch_takes_them_without_a_copy(tmp_path):
    assert idx.read(write_gzip(tmp_path / "f.gz", idx_bytes(IMAGES)), "images").flags.writeable


@reuses_folder
@given(cut=st.integers(0, 10_000), is_packed=st.booleans())
def test_a_file_cut_anywhere_is_an_error_that_names_it(tmp_path, cut, is_packed):
    content = gzip.compress(idx_bytes(IMAGES)) if is_packed else idx_bytes(IMAGES)
    path = tmp_path / "cut-file"
    path.write_bytes(content[: cut % len(content)])
    with pytest.raises(DataError, match="cut-file: "):
        idx.read(path, "images")


@reuses_folder
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_in_a_gzip_file_never_changes_a_pixel(tmp_path, position, value):
    content = bytearray(gzip.compress(idx_bytes(IMAGES)))
    content[position % len(content)] = value
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    try:
        read = idx.read(path, "images")
    except DataError:
        return
    # Bytes of the gzip header (time, system) mean nothing to the content.
    assert np.array_equal(read, IMAGES)


@reuses_folder
@given(content=st.binary(max_size=64), is_packed=st.booleans())
def test_any_bytes_are_read_or_refused_and_nothing_else(tmp_path, content, is_packed):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    with contextlib.suppress(DataError):
        assert idx.read(path, "images").ndim == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"hello there", "text"),
        (header(2, 3, kind=13), "elements of float32; expected uint8"),
        (header(2, 3) + bytes(6), "2 dimensions; expected 1 for labels"),
        (header(0, 28, 28), "which is nothing"),
        (header(2, 3, 4)[:9], "truncated: it ends within its header"),
        (idx_bytes(IMAGES)[:-1], "truncated: .*24 bytes, but only 23 follow"),
        (idx_bytes(IMAGES) + b"x", "too long"),
        (idx_bytes(IMAGES[:, 0, 0]), "holds labels where images are expected"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_the_error_says_what_the_file_is(tmp_path, content, words, is_packed):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(content) if is_packed else content)
    with pytest.raises(DataError, match=words) as caught:
        idx.read(path, "images")
    assert str(path) in str(caught.value)


def test_images_are_refused_where_labels_are_expected(tmp_path):
    path = write_gzip(tmp_path / "f.gz", idx_bytes(IMAGES))
    with pytest.raises(DataError, match="holds images where labels are expected"):
        idx.read(path, "labels")


def test_a_wrong_checksum_is_named(tmp_path):
    content = bytearray(gzip.compress(idx_bytes(IMAGES)))
    content[-8] ^= 1  # the last 8 bytes are the CRC and the length
    (tmp_path / "f.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"f\.gz: damaged: the gzip checksum \(CRC\)"):
        idx.read(tmp_path / "f.gz", "images")


def test_bytes_after_the_gzip_file_are_named(tmp_path):
    (tmp_path / "f.gz").write_bytes(gzip.compress(idx_bytes(IMAGES)) + b"more")
    with pytest.raises(DataError, match="other bytes follow the end"):
        idx.read(tmp_path / "f.gz", "images")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.gz: no such file"):
        idx.read(tmp_path / "nothing.gz", "images")


def peak_bytes(path: Path) -> int:
    """The most memory that Python held while a file was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            idx.read(path, "images")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("sizes", [(0xFFFFFFFF,) * 3, (60_000, 28, 28), (1 << 20, 32, 31)])
def test_a_header_cannot_make_it_allocate_more_than_the_file_holds(tmp_path, sizes):
    # 1 MB of zeros packs into 1 KB, which the claim of 60,000 images exceeds without being
    # impossible for 50 KB of packed bytes. Allowed: what is really there (1 MB), grown by an
    # eighth, one chunk of 1 MB, and 1 MB for all else.
    noise = np.random.default_rng(0).integers(0, 256, 50_000, np.uint8).tobytes()
    path = write_gzip(tmp_path / "bomb.gz", header(*sizes) + noise + bytes(1 << 20))
    assert peak_bytes(path) < 4 << 20


def test_a_file_that_unpacks_without_end_is_read_no_further_than_its_claim(tmp_path):
    # 64 MB of zeros behind a header that claims 1 MB: a chunk, its copy, and 1 MB for all else.
    path = write_gzip(tmp_path / "bomb.gz", header(1024, 32, 32) + bytes(64 << 20))
    assert peak_bytes(path) < 4 << 20


def test_a_set_over_the_limit_is_refused_before_it_is_read(tmp_path):
    path = write_gzip(tmp_path / "f.gz", idx_bytes(IMAGES))
    with pytest.raises(DataError, match="24 bytes; the limit is 23"):
        idx.read(path, "images", max_bytes=23)
    assert idx.read(path, "images", max_bytes=24).size == 24


def test_a_claim_beyond_what_gzip_can_pack_is_refused_before_it_is_read(tmp_path):
    # 100 bytes hold 103,200 at the very best; 400 x 28 x 28 are 313,600.
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(header(400, 28, 28), mtime=0).ljust(100, b"\0"))
    with pytest.raises(DataError, match="a file of 100 bytes cannot hold that"):
        idx.read_header(path)


def test_the_header_alone_can_be_asked_for(tmp_path):
    path = write_gzip(tmp_path / "f.gz", idx_bytes(IMAGES))
    assert idx.read_header(path) == idx.Header("images", (2, 3, 4))
