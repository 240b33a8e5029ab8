"""Images that are in a data set twice: equal, mirrored, or nearly so.

A *near* duplicate has to be defined, and no fixed distance will do: two plain trousers of two
makers differ by less than two photographs of one sandal. So the neighbourhood is the measure. Two
images are near duplicates if they lie at most half as far from each other as either of them lies
from its tenth nearest image; distances are root mean square differences of the pixels at their
full size, and equal images are counted once. What remains is that a crowd of near copies is its
own neighbourhood, so images that differ by no more than two grey levels (of 255) are near
duplicates whatever lies around them.

The half is `closeness`, the one parameter. It was chosen by looking at pairs of Fashion-MNIST, and
by asking the same of mirrored images: hardly any photograph is published mirrored, so pairs that
are found mirrored show how many look-alikes chance makes. At 0.4 there are 11 direct pairs to one
mirrored, at 0.5 there are 9, at 0.6 there are 6 (see LOG.md, 2026-11-22).

Not found: copies that were moved by more than a fraction of a pixel, turned or cropped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from modiste.data.types import ImagesNCHW
from modiste.errors import SpecError
from modiste.evaluate.projection import fit_projection, project

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

BoolsN = npt.NDArray[np.bool_]
IntsN = npt.NDArray[np.int64]
FloatsN = npt.NDArray[np.float64]
Kind = Literal["exact", "mirrored", "near", "near mirrored"]

Counts = dict[Kind, int]

KINDS: tuple[Kind, ...] = ("exact", "mirrored", "near", "near mirrored")
NONE = -1
CLOSENESS = 0.5
NEIGHBOUR = 10  # whose distance is the measure of a neighbourhood
SAME = 2 / 255
# Neighbours are searched in the projection and sorted by pixels: twice as many as are needed.
_NUM_CANDIDATES = 2 * NEIGHBOUR
_BLOCK_VALUES = 30_000_000  # differences of pixels held at a time; four bytes each


@dataclass(frozen=True, eq=False)
class Twins:
    """Duplicates among N images, as P pairs of positions.

    Of m equal images there are m - 1 pairs, each with the first of them; a pair of mirrored or
    near duplicates stands for all their equals. Sorted by kind, then by distance.

    Attributes:
        first_P, second_P: Positions.
        kinds_P: Positions in `KINDS`. A pair has one kind, the first that fits.
        distances_P: Root mean square differences of the pixels, as proportions of their range,
            after mirroring one image where the kind says so.
        isolation_N: Of each image, the distance of its tenth nearest image that is not its equal.
    """

    first_P: IntsN
    second_P: IntsN
    kinds_P: IntsN
    distances_P: FloatsN
    isolation_N: FloatsN

    def __len__(self) -> int:
        return len(self.first_P)

    def groups(self, kind: Kind = "near mirrored") -> IntsN:
        """For each image the number of its group, joined by pairs of this kind or a closer one."""
        num_images = len(self.isolation_N)
        chosen = self.kinds_P <= KINDS.index(kind)
        ends = (self.first_P[chosen], self.second_P[chosen])
        graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(num_images, num_images))
        return np.asarray(connected_components(graph, directed=False)[1], np.int64)

    def nearest_kind(self, among_N: BoolsN) -> IntsN:
        """For each image, how close a duplicate it has among those marked, itself aside.

        Args:
            among_N: The images that count as duplicates, such as those of the training part.

        Returns:
            Positions in `KINDS`; `NONE` for an image without a duplicate there.
        """
        answer = np.full(len(among_N), NONE)
        for number, kind in enumerate(KINDS):
            groups_N = self.groups(kind)
            others_N = np.bincount(groups_N[among_N], minlength=len(among_N))[groups_N] - among_N
            answer[(answer == NONE) & (others_N > 0)] = number
        return answer

    def between(self, one_N: BoolsN, two_N: BoolsN) -> Counts:
        """Pairs of each kind with one image here and the other there."""
        first, second = self.first_P, self.second_P
        crosses_P = (one_N[first] & two_N[second]) | (two_N[first] & one_N[second])
        counts = np.bincount(self.kinds_P[crosses_P], minlength=len(KINDS)).tolist()
        return dict(zip(KINDS, counts, strict=True))


def find_twins(images_NCHW: ImagesNCHW, closeness: float = CLOSENESS) -> Twins:
    """All exact, mirrored, near and near mirrored duplicates.

    Every near pair is among the nine nearest of both its images, so looking at the twenty nearest
    by the projection misses none that matters, crowds of more than twenty near copies aside. The
    tenth nearest of those twenty lies at most 4 % too far away for 99 of 100 images of
    Fashion-MNIST. 60,000 images of 28 x 28 take about a minute of one core.

    Args:
        images_NCHW: At least one.
        closeness: How much nearer than the tenth neighbour a near duplicate is, between 0 and 1.

    Raises:
        SpecError: If the closeness makes no sense.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (30, 1, 8, 8)).astype(np.uint8)
        >>> images[7], images[9] = images[3], images[5, :, :, ::-1]
        >>> twins = find_twins(images)
        >>> [(int(a), int(b), KINDS[k]) for a, b, k in zip(twins.first_P, twins.second_P,
        ...                                                twins.kinds_P)]
        [(3, 7, 'exact'), (5, 9, 'mirrored')]
    """
    if not 0 < closeness < 1:
        raise SpecError(f"closeness: expected a proportion between 0 and 1, got {closeness}.")
    first_of_N = _first_of_equals(images_NCHW)
    distinct = np.flatnonzero(first_of_N == np.arange(len(first_of_N)))
    copies = np.flatnonzero(first_of_N != np.arange(len(first_of_N)))
    *others, isolation = _among_distinct(images_NCHW[distinct], closeness)
    found = [_Pairs(first_of_N[copies], copies, np.zeros(len(copies)))]
    found += [_Pairs(distinct[p.first], distinct[p.second], p.distances) for p in others]
    kinds_P = np.repeat(np.arange(len(KINDS)), [len(pairs.first) for pairs in found])
    first_P, second_P, distances_P = (
        np.concatenate(parts)
        for parts in zip(*((p.first, p.second, p.distances) for p in found), strict=True)
    )
    order = np.lexsort((second_P, first_P, distances_P, kinds_P))
    isolation_N = isolation[np.searchsorted(distinct, first_of_N)]
    return Twins(first_P[order], second_P[order], kinds_P[order], distances_P[order], isolation_N)


@dataclass(frozen=True, eq=False)
class _Pairs:
    first: IntsN
    second: IntsN
    distances: FloatsN


def _among_distinct(
    images_NCHW: ImagesNCHW, closeness: float
) -> tuple[_Pairs, _Pairs, _Pairs, FloatsN]:
    """Mirrored, near and near mirrored pairs of images of which no two are equal; isolation."""
    mirrored = _mirror_images(images_NCHW)
    none = _Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    if len(images_NCHW) < 3:  # no neighbourhood to speak of
        return mirrored, none, none, np.full(len(images_NCHW), np.inf)
    projection = fit_projection(images_NCHW)
    index_ND = project(projection, images_NCHW)
    neighbours, distances = _neighbours(images_NCHW, images_NCHW, index_ND, projection)
    isolation_N = distances[:, min(NEIGHBOUR, distances.shape[1]) - 1]
    near = _near(neighbours, distances, isolation_N, closeness, [mirrored])
    turned = images_NCHW[..., ::-1]
    neighbours, distances = _neighbours(turned, images_NCHW, index_ND, projection)
    near_mirrored = _near(neighbours, distances, isolation_N, closeness, [mirrored, near])
    return mirrored, near, near_mirrored, isolation_N


def _first_of_equals(images_NCHW: ImagesNCHW) -> IntsN:
    """For each image the position of the first that equals it: its own, for most."""
    seen: dict[bytes, int] = {}
    return np.array(
        [seen.setdefault(_key(image), position) for position, image in enumerate(images_NCHW)]
    )


def _mirror_images(images_NCHW: ImagesNCHW) -> _Pairs:
    """Pairs of which one is the other, mirrored from left to right."""
    seen = {_key(image): position for position, image in enumerate(images_NCHW)}
    pairs = [
        (first, second)
        for first, image in enumerate(images_NCHW)
        if (second := seen.get(_key(image[..., ::-1]), NONE)) > first
    ]
    ends_P2 = np.array(pairs, np.int64).reshape(-1, 2)
    return _Pairs(ends_P2[:, 0], ends_P2[:, 1], np.zeros(len(pairs)))


def _key(image_CHW: npt.NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image_CHW).tobytes()).digest()


def _neighbours(
    queries_NCHW: ImagesNCHW, images_NCHW: ImagesNCHW, index_ND: npt.NDArray[np.float32], pca: PCA
) -> tuple[npt.NDArray[np.int64], FloatsN]:
    """Nearest images of each query by their pixels, sorted, the image of its own position aside.

    Returns:
        Positions and distances, both N x (at most `_NUM_CANDIDATES`).
    """
    from sklearn.neighbors import NearestNeighbors

    number = min(_NUM_CANDIDATES + 1, len(images_NCHW))
    search = NearestNeighbors(n_neighbors=number, algorithm="brute").fit(index_ND)
    found = search.kneighbors(project(pca, queries_NCHW), return_distance=False)
    distances = np.empty(found.shape)
    block = max(1, _BLOCK_VALUES // (number * queries_NCHW[0].size))
    for start in range(0, len(queries_NCHW), block):
        rows = slice(start, start + block)
        queries = queries_NCHW[rows].astype(np.int32)
        away = images_NCHW[found[rows]] - queries[:, np.newaxis]
        # Whole numbers up to here: the same on every machine.
        distances[rows] = (away**2).sum(axis=(2, 3, 4))
    distances = np.sqrt(distances / queries_NCHW[0].size) / 255
    distances[found == np.arange(len(found))[:, np.newaxis]] = np.inf
    order = np.lexsort((found, distances))[:, : number - 1]
    return np.take_along_axis(found, order, 1), np.take_along_axis(distances, order, 1)


def _near(
    neighbours: npt.NDArray[np.int64],
    distances: FloatsN,
    isolation_N: FloatsN,
    closeness: float,
    known: list[_Pairs],
) -> _Pairs:
    """Pairs that are near for both their images, and not known already."""
    least = np.minimum(isolation_N[:, np.newaxis], isolation_N[neighbours])
    first, place = np.nonzero(distances <= np.maximum(closeness * least, SAME))
    second = neighbours[first, place]
    num_images = len(neighbours)
    codes = np.minimum(first, second) * num_images + np.maximum(first, second)
    codes, at = np.unique(codes, return_index=True)
    earlier = [pairs.first * num_images + pairs.second for pairs in known]
    is_new = ~np.isin(codes, np.concatenate(earlier))
    codes, at = codes[is_new], at[is_new]
    return _Pairs(codes // num_images, codes % num_images, distances[first[at], place[at]])
