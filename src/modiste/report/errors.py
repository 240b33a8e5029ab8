"""Stored errors of a model, as small pictures with their words."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from modiste.errors import StoreError
from modiste.evaluate.errors import NUM_KEPT
from modiste.report.blocks import Picture

_MORE = 10  # classes with their probabilities, the surest first: all, of up to ten
_SIDE_PX = 96  # larger images are shown smaller, so that a report stays a few megabytes


@dataclass(frozen=True)
class Errors:
    """Wrong answers, the highest loss first, as `modiste.evaluate.errors` picks them.

    Attributes:
        images: uint8, N x H x W, or N x H x W x 3.
        probabilities_NK: What the model gave each class; NaN if it gives no probabilities.
        image_ids: Of the data set's part.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probabilities_NK: npt.NDArray[np.float32]
    image_ids: npt.NDArray[np.int64]

    @property
    def has_probabilities(self) -> bool:
        return not bool(np.isnan(self.probabilities_NK).all())

    def pictures(
        self, class_names: Sequence[str], disagreement: Mapping[int, float] | None = None
    ) -> list[Picture]:
        """As small PNG files with their words.

        Args:
            class_names: K names.
            disagreement: By image id, the share of the model's other seeds that answer otherwise.
        """
        answer = []
        for image, label, guess, chances_K, image_id in zip(
            self.images,
            self.labels,
            self.predicted,
            self.probabilities_NK,
            self.image_ids,
            strict=True,
        ):
            true, taken = class_names[int(label)], class_names[int(guess)]
            share, rest = float(chances_K[guess]), float(chances_K[label])
            keys: dict[str, str | float] = {}
            words = (f"as {taken}, {share:.2f}", f"true class {_small(rest)}")
            more = [f"image {int(image_id)}"]
            if math.isnan(share):
                words = (f"as {taken}", "")
            else:
                keys["loss"] = round(-math.log(max(rest, 1e-12)), 3)
                surest = np.argsort(-chances_K, kind="stable")[:_MORE]
                more += [f"{class_names[int(k)]} {_small(float(chances_K[k]))}" for k in surest]
            keys["class pair"] = " / ".join(sorted((true, taken)))
            if disagreement is not None and int(image_id) in disagreement:
                apart = disagreement[int(image_id)]
                keys["disagreement between seeds"] = round(apart, 3)
                more.append(f"{100 * apart:.0f} % of other seeds: another answer")
            label_text = f"Image of class {true}, taken for {taken}"
            answer.append(Picture(png(image), label_text, (true, *words), more, keys))
        return answer


def read(path: Path, num_classes: int) -> Errors | None:
    """Stored errors; none if there is no such file.

    Raises:
        StoreError: If it cannot be read, or its arrays do not belong together.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            errors = Errors(
                arrays["images"][:NUM_KEPT],
                arrays["labels"][:NUM_KEPT],
                arrays["predicted"][:NUM_KEPT],
                arrays["probabilities_NK"][:NUM_KEPT],
                arrays["image_ids"][:NUM_KEPT],
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"{path}: cannot be read ({error}). Remove it and try again.") from None
    n = len(errors.labels)
    fits = (
        errors.images.dtype == np.uint8
        and (errors.images.ndim == 3 or errors.images.shape[3:] == (3,))
        and len(errors.images) == len(errors.predicted) == len(errors.image_ids) == n
        and errors.probabilities_NK.shape == (n, num_classes)
        and all(
            n == 0 or 0 <= int(part.min()) <= int(part.max()) < num_classes
            for part in (errors.labels, errors.predicted)
        )
    )
    if not fits:
        raise StoreError(f"{path}: its arrays do not belong together. Remove it and try again.")
    return errors


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """A small image, H x W or H x W x 3, as the bytes of a PNG file."""
    picture = Image.fromarray(image)
    picture.thumbnail((_SIDE_PX, _SIDE_PX))
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def _small(share: float) -> str:
    return f"{share:.2f}" if share >= 0.005 else "< 0.01"
