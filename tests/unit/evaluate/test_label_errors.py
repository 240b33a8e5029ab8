"""Confident learning against its definition, and against labels that we made wrong ourselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from threadpoolctl import threadpool_limits

from modiste.data.source import SOURCES
from modiste.data.types import ImageSet
from modiste.errors import DataError
from modiste.evaluate.label_errors import NUM_FOLDS, _folds, out_of_fold, suspects
from modiste.evaluate.projection import fit_projection, project
from tests import small

Labels = npt.NDArray[np.int64]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As `examine` does."""
    with threadpool_limits(1):
        yield


def slowly(chances: npt.NDArray[np.float64], labels: Labels) -> dict[int, int]:
    """Equations 1 to 3 of the paper, image by image: suspects with the class suggested."""
    num_classes = chances.shape[1]
    thresholds = []
    for k in range(num_classes):
        own = [chances[n, k] for n in range(len(labels)) if labels[n] == k]
        thresholds.append(sum(own) / len(own))
    answer = {}
    for n, label in enumerate(labels):
        passing = [k for k in range(num_classes) if chances[n, k] >= thresholds[k]]
        if passing:
            taken = max(passing, key=lambda k: (chances[n, k], -k))
            if taken != label:
                answer[n] = taken
    return answer


def test_suspects_are_those_of_the_definition() -> None:
    chance = np.random.default_rng(0)
    chances = chance.dirichlet(np.full(6, 0.5), 500)
    labels = np.array([chance.choice(6, p=row) for row in chances])
    found = suspects(chances, labels)
    expected = slowly(chances, labels)
    assert len(expected) > 50
    pairs = zip(found.positions_M.tolist(), found.suggested_M.tolist(), strict=True)
    assert dict(pairs) == expected
    margins = (
        chances[found.positions_M, labels[found.positions_M]]
        - chances[found.positions_M, found.suggested_M]
    )
    assert (np.diff(margins) >= 0).all()
    off = found.joint_KK.sum() - np.trace(found.joint_KK)
    assert off == len(found)
    assert found.joint_KK.sum() <= len(labels)


def test_a_sure_model_and_right_labels_leave_no_suspect() -> None:
    labels = np.arange(30) % 3
    assert len(suspects(np.eye(3)[labels] * 0.8 + 0.2 / 3, labels)) == 0


def test_a_class_without_images_is_nobodys_class() -> None:
    chances = np.array([[0.3, 0.2, 0.5], [0.2, 0.3, 0.5], [0.6, 0.4, 0.0], [0.4, 0.6, 0.0]])
    found = suspects(chances, np.array([0, 1, 0, 1]))
    assert np.isinf(found.thresholds_K[2])
    assert found.joint_KK[:, 2].sum() == 0


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros(0, np.int64)])
def test_rows_and_labels_must_belong_together(labels: Labels) -> None:
    with pytest.raises(DataError, match="do not belong"):
        suspects(np.full((2, 2), 0.5), labels)


# --- out of fold ----------------------------------------------------------------------------------


def flipped(images: ImageSet, share: float, seed: int = 0) -> tuple[Labels, Labels]:
    """Labels of which some name another class, drawn evenly; and which images those are."""
    chance = np.random.default_rng(seed)
    wrong = chance.choice(len(images), round(share * len(images)), replace=False)
    labels = images.labels_N.copy()
    labels[wrong] = (labels[wrong] + chance.integers(1, images.num_classes, len(wrong))) % (
        images.num_classes
    )
    return labels, wrong


def features(images: ImageSet) -> npt.NDArray[np.float32]:
    return project(fit_projection(images.images_NCHW), images.images_NCHW)


def test_planted_errors_are_found_with_their_true_class_and_nothing_else() -> None:
    images = small.images(600)
    labels, wrong = flipped(images, 0.04)
    found = suspects(out_of_fold(features(images), labels, np.arange(600), 10), labels)
    assert set(found.positions_M) <= set(wrong)
    assert (found.suggested_M == images.labels_N[found.positions_M]).all()
    # Any net tells these classes apart; but who asks for at least the average probability leaves
    # some of those below it alone.
    assert len(found) >= 0.75 * len(wrong)


def test_a_duplicate_with_the_same_error_does_not_bear_it_out() -> None:
    images = small.images(600)
    features_ND, labels = features(images), images.labels_N.copy()
    groups = np.arange(600)
    for one in range(0, 40, 2):
        features_ND[one + 1], labels[one] = features_ND[one], (labels[one] + 3) % 10
        labels[one + 1], groups[one + 1] = labels[one], groups[one]
    together, apart = (
        suspects(out_of_fold(features_ND, labels, by, 10), labels).positions_M
        for by in (groups, np.arange(600))
    )
    assert set(together) <= set(range(40))
    assert len(together) >= 30
    assert len(together) > len(set(apart) & set(range(40)))


def test_folds_are_even_hold_groups_together_and_depend_on_the_seed_alone() -> None:
    labels = np.repeat(np.arange(4), [50, 100, 150, 7])
    groups = np.arange(len(labels))
    groups[10:14] = 10
    folds = _folds(labels, groups, seed=0)
    assert len(set(folds[10:14])) == 1
    for label in range(4):
        counts = np.bincount(folds[labels == label], minlength=NUM_FOLDS)
        # The group of four is dealt out as one.
        assert counts.max() - counts.min() <= 1 + 3 * (label == 0)
    assert (folds == _folds(labels, groups, seed=0)).all()
    assert (folds != _folds(labels, groups, seed=1)).any()


def test_the_same_seed_gives_the_same_bits() -> None:
    images = small.images(150)
    one, two, other = (
        out_of_fold(features(images), images.labels_N, np.arange(150), 10, seed)
        for seed in (0, 0, 1)
    )
    assert (one == two).all()
    assert (one != other).any()
    assert one.sum(axis=1) == pytest.approx(np.ones(150), abs=1e-5)  # float32 inside


def test_too_few_different_images_are_refused() -> None:
    with pytest.raises(DataError, match="too few to learn from"):
        out_of_fold(np.zeros((4, 2)), np.array([0, 0, 1, 1]), np.zeros(4, np.int64), 2)


@pytest.mark.slow
def test_one_label_in_a_hundred_made_wrong_in_fashion_mnist_is_found(
    fashion_mnist_folder: Path,
) -> None:
    whole = SOURCES.get("fashion-mnist")(fashion_mnist_folder).load_train()
    images = whole.take(np.arange(20_000), "train")
    labels, wrong = flipped(images, 0.01)
    chances = out_of_fold(features(images), labels, np.arange(20_000), 10)
    found = suspects(chances, labels)
    hits = np.isin(found.positions_M, wrong)
    # Measured: 153 of 200 found, 46 of the 50 most suspect. Three standard errors of a share of
    # 0.76 of 200 are 0.09; of 0.92 of 50, 0.12.
    assert hits.sum() >= 0.67 * len(wrong)
    assert hits[:50].mean() >= 0.80
