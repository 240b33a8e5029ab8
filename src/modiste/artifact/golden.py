"""A few images with the probabilities that PyTorch gave them, to be asked again elsewhere.

They are PNG files of the model's own size, so that decoding them is part of the question.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from modiste.artifact import folder as folders
from modiste.artifact.folder import Folder
from modiste.artifact.model import Session
from modiste.data.decode import Rule, decode
from modiste.data.types import ImagesNCHW
from modiste.errors import ArtifactError, DataError
from modiste.runs.files import to_json

# Between PyTorch and onnxruntime, or one processor and another, sums are rounded in another order:
# some millionths for nets with scaled pixels. A wrong layer moves probabilities by far more.
TOLERANCE = 1e-3
# Of all golden images together, decoded; those of the reference study take 8 kB.
LIMIT_BYTES = 1 << 28


@dataclass(frozen=True)
class Golden:
    """Images and what is expected of them.

    Attributes:
        images_NCHW: As they were decoded from their files.
        expected_NK: PyTorch's probabilities.
    """

    images_NCHW: ImagesNCHW
    expected_NK: npt.NDArray[np.float64]


def golden_files(
    images_NCHW: ImagesNCHW,
    expected_NK: npt.NDArray[np.float64],
    labels: Sequence[str | None],
    origin: str,
) -> dict[str, bytes]:
    """The files of `golden/`: a PNG for each image, and `golden.json`.

    Args:
        images_NCHW: Of the model's size.
        expected_NK: PyTorch's probabilities for them.
        labels: The right class of each, where there is one.
        origin: In words, where the images come from.
    """
    names = [f"golden/{number:03d}.png" for number in range(len(images_NCHW))]
    rows = [
        {"file": name, "label": label, "probabilities": row.tolist()}
        for name, label, row in zip(names, labels, expected_NK, strict=True)
    ]
    listed = {"schema": folders.SCHEMA, "origin": origin, "images": rows}
    pictures = {name: _png(image_CHW) for name, image_CHW in zip(names, images_NCHW, strict=True)}
    return {folders.GOLDEN: to_json(listed), **pictures}


def read_golden(folder: Folder, rule: Rule, num_classes: int) -> Golden:
    """The golden images of an exported folder.

    Raises:
        ArtifactError: If there are none, or they are not what `modiste export` writes.
    """
    path = folder.path / folders.GOLDEN
    rows = folder.read_json(folders.GOLDEN).get("images")
    try:
        files = [(str(row["file"]), row["probabilities"]) for row in _list(rows)]
        if len(files) * math.prod(rule.size_HW) * rule.channels > LIMIT_BYTES:
            raise ValueError(f"{len(files):,} images are more than {LIMIT_BYTES:,} bytes")
        expected_NK = np.array([row for _, row in files], np.float64)
        images = [decode(folder.read(name), rule, str(folder.path / name)) for name, _ in files]
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise ArtifactError(f"{path}: not what `modiste export` writes ({error}).") from None
    if expected_NK.shape != (len(images), num_classes) or not np.isfinite(expected_NK).all():
        raise ArtifactError(f"{path}: expected {num_classes} probabilities for each image.")
    return Golden(np.stack(images), expected_NK)


def ask(session: Session, golden: Golden) -> tuple[float, int]:
    """The largest difference from what is expected, and how many images get another class.

    Each image is asked alone and among the others: its neighbours must not matter.
    """
    images_NHWC = golden.images_NCHW.transpose(0, 2, 3, 1)
    together = session.run(images_NHWC)
    alone = np.concatenate([session.run(image[np.newaxis]) for image in images_NHWC])
    differences = [np.abs(shares - golden.expected_NK).max() for shares in (together, alone)]
    best_N = golden.expected_NK.argmax(axis=1)
    is_other_N = (together.argmax(axis=1) != best_N) | (alone.argmax(axis=1) != best_N)
    return float(max(differences)), int(is_other_N.sum())


def _list(rows: Any) -> list[Mapping[str, Any]]:
    if not isinstance(rows, list) or not rows:
        raise TypeError("there are no images")
    return rows


def _png(image_CHW: npt.NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    pixels = image_CHW[0] if len(image_CHW) == 1 else image_CHW.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG")
    return content.getvalue()
