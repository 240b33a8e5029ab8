"""All doubts about a data set together: duplicates, labels, outliers, balance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from modiste.data.types import ImageSet, ImagesNCHW
from modiste.evaluate.duplicates import (
    CLOSENESS,
    KINDS,
    NONE,
    Counts,
    Twins,
    find_twins,
)
from modiste.evaluate.label_errors import FloatsNK, Suspects, out_of_fold, suspects
from modiste.evaluate.projection import fit_projection, project

BoolsN = npt.NDArray[np.bool_]
IntsN = npt.NDArray[np.int64]

# Tukey's "far out": beyond the upper quartile by three times the distance of the quartiles
# (J. W. Tukey, Exploratory Data Analysis, 1977, section 2D).
FENCE = 3.0


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found among the images that may be trained on and chosen by.

    Attributes:
        images: All of them, training and validation, in the order of the source.
        is_val_N: Which of them are for validation.
        closeness: What counted as near.
        twins: Duplicates among them.
        suspects: Doubted labels.
        probabilities_NK: Of a small net that did not see the image; labels are doubted by them.
        fence: Isolation from which an image is an outlier.
    """

    images: ImageSet
    is_val_N: BoolsN
    closeness: float
    twins: Twins
    suspects: Suspects
    probabilities_NK: FloatsNK
    fence: float

    @property
    def is_suspect_N(self) -> BoolsN:
        """Images whose label is doubted."""
        answer = np.zeros(len(self.images), bool)
        answer[self.suspects.positions_M] = True
        return answer

    @property
    def outliers_M(self) -> IntsN:
        """Positions of the outliers, the most isolated first."""
        isolation_N = self.twins.isolation_N
        found = np.flatnonzero(np.isfinite(isolation_N) & (isolation_N > self.fence))
        return np.asarray(found[np.argsort(-isolation_N[found], kind="stable")], np.int64)

    @property
    def is_outlier_N(self) -> BoolsN:
        """Images far from all others."""
        answer = np.zeros(len(self.images), bool)
        answer[self.outliers_M] = True
        return answer

    @property
    def train_twins_N(self) -> IntsN:
        """For each image how close a duplicate it has among the training images, or `NONE`."""
        return self.twins.nearest_kind(~self.is_val_N)

    @property
    def leaks_N(self) -> BoolsN:
        """Validation images with a duplicate in training."""
        return np.asarray(self.is_val_N & (self.train_twins_N != NONE), bool)

    @property
    def accuracy(self) -> float:
        """Of the small net that did not see the image."""
        return float(np.mean(self.probabilities_NK.argmax(axis=1) == self.images.labels_N))

    def same_label_N(self, among_N: BoolsN) -> BoolsN:
        """Images that share group and label with another image of those marked."""
        codes_N = self.twins.groups() * self.images.num_classes + self.images.labels_N
        members = np.bincount(codes_N[among_N], minlength=int(codes_N.max()) + 1)
        return np.asarray(members[codes_N] - among_N > 0, bool)


@dataclass(frozen=True)
class Comparison:
    """Counts of duplicates between further images, such as the test part, and the audited ones.

    Attributes:
        num_images: Further images.
        with_train, with_val, within: Pairs of each kind.
        in_train, in_val: Further images by the closest duplicate that they have in that part.
        in_either: The same, for training and validation images together.
    """

    num_images: int
    with_train: Counts
    with_val: Counts
    within: Counts
    in_train: Counts
    in_val: Counts
    in_either: Counts


def compare(audit: Audit, images_NCHW: ImagesNCHW) -> Comparison:
    """Count the duplicates between an audited set and further images of the same shape.

    Labels are no part of it, and what comes back says of no image which it is.
    """
    both = np.concatenate([audit.images.images_NCHW, images_NCHW])
    is_new_N = np.arange(len(both)) >= len(audit.images)
    is_val_N = np.concatenate([audit.is_val_N, np.zeros(len(images_NCHW), bool)])
    is_train_N = ~is_val_N & ~is_new_N
    with _one_thread():
        twins = find_twins(both, audit.closeness)
    return Comparison(
        len(images_NCHW),
        twins.between(is_new_N, is_train_N),
        twins.between(is_new_N, is_val_N),
        twins.between(is_new_N, is_new_N),
        by_kind(twins.nearest_kind(is_train_N)[is_new_N]),
        by_kind(twins.nearest_kind(is_val_N)[is_new_N]),
        by_kind(twins.nearest_kind(~is_new_N)[is_new_N]),
    )


def by_kind(kinds_N: IntsN) -> Counts:
    """Images of each kind, those without a duplicate aside."""
    counts = np.bincount(kinds_N[kinds_N != NONE], minlength=len(KINDS)).tolist()
    return dict(zip(KINDS, counts, strict=True))


def examine(
    images: ImageSet,
    is_val_N: BoolsN,
    closeness: float = CLOSENESS,
    seed: int = 0,
    note: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Look for everything that an audit reports; the test set is not part of it.

    Args:
        images: Those that may be trained on and those to choose by.
        is_val_N: Which are the latter.
        closeness: See `modiste.evaluate.duplicates`.
        seed: Of the folds and nets that doubt labels.
        note: Is told what begins.

    Raises:
        SpecError: If the closeness makes no sense.
        DataError: If there are too few different images.
    """
    with _one_thread():
        note(f"looking for duplicates among {len(images):,} images")
        twins = find_twins(images.images_NCHW, closeness)
        note("asking for each label what a small net takes the image for that did not see it")
        features_ND = project(fit_projection(images.images_NCHW), images.images_NCHW)
        probabilities_NK = out_of_fold(
            features_ND, images.labels_N, twins.groups(), images.num_classes, seed
        )
    low, high = np.quantile(twins.isolation_N, [0.25, 0.75])
    return Audit(
        images,
        is_val_N,
        closeness,
        twins,
        suspects(probabilities_NK, images.labels_N),
        probabilities_NK,
        float(high + FENCE * (high - low)),
    )


def _one_thread() -> threadpool_limits:
    """For matrix products: the same bits whatever the number of cores.

    Besides, threads of busy cores wait for each other most of the time.
    """
    return threadpool_limits(1, "blas")
