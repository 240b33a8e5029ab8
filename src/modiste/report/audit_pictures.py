"""Small pictures of what an audit found, with the words that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from modiste.data.types import ImageSet
from modiste.evaluate.audit import Audit
from modiste.evaluate.duplicates import KINDS
from modiste.report.blocks import Picture
from modiste.report.errors import png
from modiste.report.numbers import proportion

NUM_SHOWN = 24
_GAP_PX = 2
_GREY = 96

IntsP = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


def conflicts(audit: Audit) -> list[Picture]:
    """Pairs of duplicates with different labels."""
    twins, labels_N = audit.twins, audit.images.labels_N
    chosen = np.flatnonzero(labels_N[twins.first_P] != labels_N[twins.second_P])
    return _pairs(audit, chosen[:NUM_SHOWN])


def leaks(audit: Audit) -> list[Picture]:
    """Pairs of a validation and a training image."""
    is_val_N, twins = audit.is_val_N, audit.twins
    chosen = np.flatnonzero(is_val_N[twins.first_P] != is_val_N[twins.second_P])
    return _pairs(audit, chosen[:NUM_SHOWN])


def doubtful(audit: Audit) -> list[Picture]:
    """Near pairs whose distance is largest beside their neighbourhood."""
    twins = audit.twins
    near = np.flatnonzero(twins.kinds_P >= KINDS.index("near"))
    least = np.minimum(
        twins.isolation_N[twins.first_P[near]], twins.isolation_N[twins.second_P[near]]
    )
    ratios = np.round(twins.distances_P[near] / np.maximum(least, 1e-9), 6)
    return _pairs(audit, near[np.argsort(-ratios, kind="stable")][: NUM_SHOWN // 2])


def suspects(audit: Audit) -> list[Picture]:
    """Images whose label is doubted most."""
    images, found = audit.images, audit.suspects
    answer = []
    for position, taken in zip(
        found.positions_M[:NUM_SHOWN], found.suggested_M[:NUM_SHOWN], strict=True
    ):
        given = images.class_names[images.labels_N[position]]
        chances_K = audit.probabilities_NK[position]
        name = images.class_names[taken]
        answer.append(
            Picture(
                png(pixels_of(images, position)),
                f"Image labelled {given}, taken for {name}",
                (
                    given,
                    f"{name}, {proportion(chances_K[taken], 2)}",
                    _place(audit, position),
                ),
            )
        )
    return answer


def outliers(audit: Audit) -> list[Picture]:
    """The most isolated images."""
    answer = []
    for position in audit.outliers_M[:NUM_SHOWN]:
        given = audit.images.class_names[audit.images.labels_N[position]]
        distance = proportion(audit.twins.isolation_N[position], 3)
        answer.append(
            Picture(
                png(pixels_of(audit.images, position)),
                f"Image labelled {given}, far from all others",
                (given, distance, _place(audit, position)),
            )
        )
    return answer


def _pairs(audit: Audit, chosen: IntsP) -> list[Picture]:
    """Two images, a validation image first, above their difference."""
    twins, images = audit.twins, audit.images
    answer = []
    for pair in chosen:
        ends = [int(twins.first_P[pair]), int(twins.second_P[pair])]
        ends.sort(key=lambda position: not audit.is_val_N[position])
        one, two = ends
        kind = KINDS[twins.kinds_P[pair]]
        answer.append(
            pair_picture(
                (pixels_of(images, one), pixels_of(images, two)),
                kind,
                float(twins.distances_P[pair]),
                [images.class_names[images.labels_N[position]] for position in ends],
                (_place(audit, one), _place(audit, two)),
            )
        )
    return answer


def pair_picture(
    images: tuple[Pixels, Pixels],
    kind: str,
    distance: float,
    labels: Sequence[str],
    places: tuple[str, str],
) -> Picture:
    """Two duplicates beside each other, above their difference.

    Args:
        images: H x W, or H x W x 3.
        kind: One of `KINDS`.
        distance: Root mean square, as a share of the range.
        labels: Of both.
        places: Part and id of both, for the words below.
    """
    said = labels[0] if labels[0] == labels[1] else f"{labels[0]} / {labels[1]}"
    return Picture(
        png(_beside(*images, kind)),
        f"Two images labelled {said}, {kind} duplicates",
        (said, f"{kind}, {proportion(distance, 3)}", *places),
    )


def _beside(one: Pixels, two: Pixels, kind: str) -> Pixels:
    """A square with both images above, and below them how they differ after mirroring."""
    height, width = one.shape[:2]
    turned = two[:, ::-1] if "mirrored" in kind else two
    difference = np.abs(one.astype(np.int16) - turned).astype(np.uint8)
    sheet = np.full((2 * height + _GAP_PX, 2 * width + _GAP_PX, *one.shape[2:]), _GREY, np.uint8)
    sheet[:height, :width], sheet[:height, -width:] = one, two
    left = (sheet.shape[1] - width) // 2
    sheet[-height:, left : left + width] = difference
    return sheet


def pixels_of(images: ImageSet, position: int) -> Pixels:
    """One image, H x W, or H x W x 3."""
    pixels_HWC = images.images_NCHW[position].transpose(1, 2, 0)
    return np.asarray(pixels_HWC if pixels_HWC.shape[2] == 3 else pixels_HWC[..., 0], np.uint8)


def _place(audit: Audit, position: int) -> str:
    part = "validation" if audit.is_val_N[position] else "training"
    return f"{part} {audit.images.ids_N[position]}"
