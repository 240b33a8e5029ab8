"""What was decoded once is kept in the cache, under a name made of everything that decides it.

A name is a digest of contents, rules and versions, so nothing kept can be out of date; whatever
cannot be read is made again. The cache can be deleted at any time. No test image is kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from modiste.atomic import write_whole
from modiste.data import places
from modiste.data.decode import Pixels

# Raised by whoever changes what is seen of an image, or what becomes of it.
VERSION = 1


def name_of(parts: Iterable[str]) -> str:
    """A name for what these decide, with the versions that do, too."""
    sha = hashlib.sha256(f"{VERSION} {PIL.__version__}".encode())
    for part in parts:
        sha.update(f"{len(part)}:{part}".encode())
    return sha.hexdigest()[:32]


def load_json(name: str) -> Any:
    """What `save_json` kept under that name; none if there is nothing."""
    try:
        return json.loads((_folder() / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return None


def save_json(name: str, value: Any) -> None:
    """Keep JSON values. A cache that cannot be written is no cache, and no error."""
    content = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    with suppress(OSError):
        write_whole(_folder() / f"{name}.json", content)


def load_images(name: str, shape: tuple[int, ...]) -> Pixels | None:
    """Images that were kept under that name, mapped into memory; none if they are not whole."""
    folder = _folder() / name
    try:
        images: Pixels = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        is_whole = (folder / "sha256").read_text("ascii") == _sha256(images)
    except (OSError, ValueError, EOFError):
        return None
    return images if is_whole and images.shape == shape and images.dtype == np.uint8 else None


def save_images(name: str, images_NCHW: Pixels) -> None:
    """Keep decoded images; the same holds."""
    folder = _folder()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{name}."))
        try:
            np.save(temporary / "images.npy", images_NCHW)
            (temporary / "sha256").write_text(_sha256(images_NCHW), "ascii")
            shutil.rmtree(folder / name, ignore_errors=True)
            temporary.rename(folder / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _sha256(images_NCHW: Pixels) -> str:
    return hashlib.sha256(np.ascontiguousarray(images_NCHW).data).hexdigest()


def _folder() -> Path:
    return places.cache_folder() / "own"
