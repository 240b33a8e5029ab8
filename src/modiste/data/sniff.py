"""What a file seems to be, judged by its first bytes; for error messages only."""

from __future__ import annotations

HEAD_BYTES = 512

# First bytes, and what they are in words. Longer marks first where one begins another.
_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip file"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"8BPS", "a Photoshop image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"!<arch>", "a Debian package or other ar archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"\x7fELF", "a program"),
    (b"\x00\x00\x08\x01", "IDX labels"),
    (b"\x00\x00\x08\x03", "IDX images"),
)


def seems(head: bytes) -> str:
    """What a file that begins with `head` seems to be, with its article.

    Example:
        >>> seems(b"<!DOCTYPE html><title>404")
        'an HTML page, such as an error page saved under this name'
    """
    if not head:
        return "an empty file"
    if head[:4] == b"RIFF":
        return "a WEBP image" if head[8:12] == b"WEBP" else "a RIFF file (sound or video)"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand[:2] in (b"he", b"mi", b"ms"):
            return "a HEIC image"
        return "an AVIF image" if brand == b"avif" else "an MP4 video"
    for mark, words in _MARKS:
        if head.startswith(mark):
            return words
    if head[257:262] == b"ustar":
        return "a tar archive"
    return _text(head)


def _text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, such as an error page saved under this name"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "an SVG drawing"
    if start.startswith(b"<"):
        return "an XML or HTML page, such as an error page saved under this name"
    if start.startswith((b"{", b"[")):
        return "JSON text"
    controls = sum(byte < 9 or 13 < byte < 32 for byte in head)
    return "text" if controls == 0 else "data of an unknown kind"
