"""Image files to answers, a batch at a time: thousands need no more memory than one batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from modiste.data.decode import ENDINGS, Rule, decode
from modiste.errors import DataError

# What image files in a folder are told by; a file that is named is opened whatever it is called.
SUFFIXES = frozenset(chain.from_iterable(ENDINGS.values()))


class Classifier(Protocol):
    """A model of either kind: an exported one, or one that still needs torch."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def rule(self) -> Rule: ...

    @property
    def batch_size(self) -> int: ...

    def probabilities(self, images_NCHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]: ...

    def warnings(self, images_NCHW: npt.NDArray[np.uint8]) -> list[str | None]: ...


@dataclass(frozen=True)
class Answer:
    """What a model says of one image file.

    Attributes:
        path: Of the file.
        class_name: The likeliest class.
        probabilities: Of all classes, in the model's order.
        warning: Why the image is unlike the training images, if it is.
    """

    path: Path
    class_name: str
    probabilities: tuple[float, ...]
    warning: str | None

    @property
    def probability(self) -> float:
        """Of the likeliest class."""
        return max(self.probabilities)


@dataclass(frozen=True)
class Skipped:
    """A file that is no image, and why."""

    path: Path
    reason: str


def classify(
    model: Classifier, paths: Iterable[Path], *, is_skipping: bool = False
) -> Iterator[Answer | Skipped]:
    """Answers in the order of the files.

    Args:
        model: What answers.
        paths: Of image files.
        is_skipping: Go on after a file that cannot be read as an image.

    Raises:
        DataError: At the first file that is no image, unless they are skipped. No answer of its
            batch has been given then.
    """
    remaining = iter(paths)
    while batch := list(islice(remaining, model.batch_size)):
        decoded = [_decoded(path, model.rule, is_skipping) for path in batch]
        pixels = [item for item in decoded if not isinstance(item, Skipped)]
        answers = _answers(model, np.stack(pixels)) if pixels else iter(())
        for path, item in zip(batch, decoded, strict=True):
            yield item if isinstance(item, Skipped) else Answer(path, *next(answers))


def _decoded(path: Path, rule: Rule, is_skipping: bool) -> npt.NDArray[np.uint8] | Skipped:
    try:
        return decode(path, rule)
    except DataError as error:
        if not is_skipping:
            raise
        return Skipped(path, str(error))


def _answers(
    model: Classifier, images_NCHW: npt.NDArray[np.uint8]
) -> Iterator[tuple[str, tuple[float, ...], str | None]]:
    shares_NK = model.probabilities(images_NCHW)
    for shares_K, warning in zip(shares_NK, model.warnings(images_NCHW), strict=True):
        yield model.class_names[int(shares_K.argmax())], tuple(shares_K.tolist()), warning


def image_files(given: Sequence[Path]) -> Iterator[Path]:
    """Files as they are given, and for each folder those inside it, in the order of their names.

    Folders are looked through to the bottom; links to folders are not followed, and what is hidden
    or has no name of an image is left out.

    Raises:
        DataError: At a folder without any image.
    """
    for path in given:
        if not path.is_dir():
            yield path
            continue
        count = 0
        for count, found in enumerate(_inside(path), start=1):  # noqa: B007 (the last one counts)
            yield found
        if not count:
            names = " ".join(sorted(SUFFIXES))
            raise DataError(f"{path}: a folder without image files (by name: {names}).")


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read: {error.strerror}.")


def _inside(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(where, name)
