"""The folder that an exported model is, and how a file of it is read: whole, known, unchanged.

FOLDER/
  model.onnx          from images (uint8, N x H x W x C) to probabilities; nothing else is needed
  model-int8.onnx     the same in 8 bits, if it was asked for
  model.safetensors   weights and moving statistics by name, float32
  config.json         family, hyperparameters, classes, decoding, what training images look like
  README.md           the card
  golden/             a few images, and in golden.json what PyTorch made of them
  certificate.json    PyTorch against onnxruntime, hashes, sizes and times
  manifest.json       size and SHA-256 of each of them; its own SHA-256 names the whole folder
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modiste.errors import ArtifactError, lacks

ONNX, INT8 = "model.onnx", "model-int8.onnx"
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
GOLDEN, CERTIFICATE, MANIFEST = "golden/golden.json", "certificate.json", "manifest.json"
SCHEMA = 1

LIMIT_BYTES = 1 << 30
LIMIT_JSON_BYTES = 1 << 24
_NAME = re.compile(r"(golden/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Entry:
    """What the manifest says of a file."""

    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class Folder:
    """An exported folder whose manifest was read.

    Attributes:
        path: Where it lies.
        entries: Of every file but the manifest, by name.
        digest: SHA-256 of the manifest, and so of everything in the folder.
    """

    path: Path
    entries: Mapping[str, Entry]
    digest: str

    def read(self, name: str) -> bytes:
        """A file, if it still is what the manifest says.

        Raises:
            ArtifactError: If it is missing, a link, cut or changed, or the manifest has no such
                file.
        """
        path, entry = self.path / name, self.entries.get(name)
        if entry is None:
            raise ArtifactError(f"{path}: the manifest beside it knows no such file.")
        content = read_file(path, LIMIT_BYTES, entry.num_bytes)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise ArtifactError(
                f"{path}: not what was exported: its SHA-256 is not {entry.sha256[:12]}... "
                "Somebody or the disk changed it: fetch the folder again, and do not use this one."
            )
        return content

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object from a file, checked as `read` does."""
        return as_object(self.read(name), self.path / name)

    def __contains__(self, name: str) -> bool:
        return name in self.entries


def is_exported(path: Path) -> bool:
    """Whether a folder looks like what `modiste export` writes, be it damaged."""
    return any((path / name).exists() for name in (ONNX, CERTIFICATE))


def open_folder(path: Path) -> Folder:
    """Read the manifest of an exported folder.

    Raises:
        ArtifactError: If it is none, or the manifest is damaged or names other files than ours.
    """
    if not is_exported(path):
        why = lacks(path, f"neither {ONNX} nor {CERTIFICATE}")
        raise ArtifactError(
            f"{path}: no exported model ({why}). `modiste export RUN --to DIR` makes one."
        )
    manifest = path / MANIFEST
    content = read_file(manifest, LIMIT_JSON_BYTES)
    try:
        entries = {
            str(name): Entry(str(entry["sha256"]), int(entry["bytes"]))
            for name, entry in as_object(content, manifest)["files"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{manifest}: not what `modiste export` writes ({error!r}).") from None
    for name in entries:
        if not _NAME.fullmatch(name):
            raise ArtifactError(f"{manifest}: it lists {name!r}, which no exported folder holds.")
    return Folder(path, entries, hashlib.sha256(content).hexdigest())


def read_file(path: Path, limit_bytes: int, num_bytes: int | None = None) -> bytes:
    """The content of an ordinary file whose size is looked at before it is read.

    Args:
        path: Neither it nor the folder it lies in may be a link.
        limit_bytes: The most that is read.
        num_bytes: What its size has to be, if that is known.
    """
    is_inner = path.parent.name == "golden"
    if path.is_symlink() or (is_inner and path.parent.is_symlink()):
        raise ArtifactError(f"{path}: a link; an exported folder holds none.")
    if not path.is_file():
        raise ArtifactError(f"{path}: not there, or no ordinary file. Fetch the folder again.")
    try:
        size = path.stat().st_size
        if num_bytes is not None and size != num_bytes:
            raise ArtifactError(
                f"{path}: not what was exported: {size:,} bytes, and not {num_bytes:,}. "
                "Fetch the folder again."
            )
        if size > limit_bytes:
            raise ArtifactError(f"{path}: {size:,} bytes; the limit is {limit_bytes:,}.")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}).") from None


def as_object(content: bytes, path: Path) -> dict[str, Any]:
    """A JSON object; anything else, and JSON that is nested too deeply, is an error."""
    if len(content) > LIMIT_JSON_BYTES:
        raise ArtifactError(f"{path}: {len(content):,} bytes; the limit is {LIMIT_JSON_BYTES:,}.")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path}: no JSON text ({type(error).__name__}).") from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: expected a JSON object.")
    return value


def data_name(config: Mapping[str, Any]) -> str:
    """What people call the data set; in a folder from before that was said, its source.

    Args:
        config: `config.json`.
    """
    return str(config.get("data_name") or config["spec"]["data"]["name"])


def model_name(config: Mapping[str, Any]) -> str:
    """What to call the model where nobody knows the study that it came from: `cnn on shoes`.

    Args:
        config: `config.json`.
    """
    return f"{config['model']['family']} on {data_name(config)}"
