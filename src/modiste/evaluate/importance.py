"""How much of what a search saw is owed to each key alone: functional analysis of variance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.errors import DataError
from modiste.interval import LEVEL

Floats = npt.NDArray[np.float64]
# Trees of the forest, and of each forest of the bootstrap; shares of 16 and of 64 trees differ by
# less than their intervals are wide.
NUM_TREES, NUM_TREES_RESAMPLED, RESAMPLES = 64, 16, 60
# With fewer trials a forest has nothing to say.
LEAST_TRIALS = 8


@dataclass(frozen=True)
class Importance:
    """What one key alone explains.

    Attributes:
        share: Of the variance over the whole space, 0 to 1, in the mean of the trees.
        low, high: 95 % interval, for the choice of trials.
    """

    share: float
    low: float
    high: float


def importances(
    places_PD: Floats, figures_P: Sequence[float], seed: int = 0
) -> list[Importance] | None:
    """The main effect of each key on a figure, as a share of the figure's variance in the space.

    A random forest is fitted to the trials, and its trees are integrated exactly: the variance of
    what a key does when all others are averaged over the whole space, over the variance of all.
    Shares add up to less than 1 where keys act together. The interval is a bootstrap over trials:
    few of them leave it wide, and a key that does nothing has a share by chance, too.

    Args:
        places_PD: Where each trial stands along each key, from 0 to 1, such that equal lengths are
            equally likely: category c of k at (c + 0.5) / k, a range on its own scale.
        figures_P: What came of each trial.
        seed: Of forests and bootstrap.

    Returns:
        One for each key; none where there are fewer than eight trials, or no trial differs.

    Raises:
        DataError: If a place lies outside 0 to 1, or there are not as many figures as trials.

    Source:
        F. Hutter, H. Hoos, K. Leyton-Brown, ICML 2014, Algorithm 2.

    Example:
        >>> places = np.random.default_rng(0).random((60, 2))
        >>> first, second = importances(places, places[:, 0] ** 2)
        >>> first.share > 0.9, second.high < 0.1
        (True, True)
    """
    figures = np.asarray(figures_P, np.float64)
    if len(places_PD) != len(figures):
        raise DataError(f"{len(figures)} figures for {len(places_PD)} trials.")
    if places_PD.size and not (places_PD.min() >= 0 and places_PD.max() <= 1):
        raise DataError("places along a key must lie between 0 and 1.")
    if len(figures) < LEAST_TRIALS or len(set(figures.tolist())) < 2:
        return None
    shares_D = _shares(places_PD, figures, NUM_TREES, seed)
    chance = np.random.default_rng(seed)
    drawn = []
    for number in range(RESAMPLES):
        some = chance.integers(len(figures), size=len(figures))
        if len(set(figures[some].tolist())) > 1:
            drawn.append(_shares(places_PD[some], figures[some], NUM_TREES_RESAMPLED, number))
    tails = [50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)]
    low_D, high_D = np.percentile(np.stack(drawn), tails, axis=0)
    return [
        Importance(float(share), min(float(low), float(share)), max(float(high), float(share)))
        for share, low, high in zip(shares_D, low_D, high_D, strict=True)
    ]


def _shares(places_PD: Floats, figures_P: Floats, num_trees: int, seed: int) -> Floats:
    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(
        num_trees, max_depth=64, min_samples_split=2, min_samples_leaf=1, random_state=seed
    )
    forest.fit(places_PD, figures_P)
    found = [_of_tree(tree.tree_, places_PD.shape[1]) for tree in forest.estimators_]
    whole = [shares for shares in found if shares is not None]
    return np.mean(whole, axis=0) if whole else np.zeros(places_PD.shape[1])


def _of_tree(tree: Any, num_keys: int) -> Floats | None:
    """Main effects over the variance of one tree; none of a tree that is flat."""
    leaves = list(_leaves(tree, num_keys))
    low_LD = np.stack([low for low, _, _ in leaves])
    high_LD = np.stack([high for _, high, _ in leaves])
    value_L = np.array([value for _, _, value in leaves])
    size_LD = high_LD - low_LD
    volume_L = size_LD.prod(axis=1)
    mean = float(value_L @ volume_L)
    variance = float((value_L - mean) ** 2 @ volume_L)
    if variance <= 0:
        return None
    shares = np.empty(num_keys)
    for key in range(num_keys):
        ends = np.unique(np.concatenate([low_LD[:, key], high_LD[:, key]]))
        middles, lengths = (ends[1:] + ends[:-1]) / 2, np.diff(ends)
        holds_LI = (low_LD[:, [key]] < middles) & (middles < high_LD[:, [key]])
        weight_L = value_L * volume_L / size_LD[:, key]
        marginal_I = weight_L @ holds_LI
        shares[key] = (marginal_I - mean) ** 2 @ lengths / variance
    return np.clip(shares, 0, None)


def _leaves(tree: Any, num_keys: int) -> Iterator[tuple[Floats, Floats, float]]:
    """The box and the value of each leaf."""
    # Each reading of an attribute makes an array.
    lefts, rights = tree.children_left.tolist(), tree.children_right.tolist()
    keys, places = tree.feature.tolist(), tree.threshold.tolist()
    values = tree.value[:, 0, 0].tolist()
    todo = [(0, np.zeros(num_keys), np.ones(num_keys))]
    while todo:
        node, low_D, high_D = todo.pop()
        left, right = lefts[node], rights[node]
        if left == right:  # both say that there is none
            yield low_D, high_D, values[node]
            continue
        key, at = keys[node], places[node]
        left_high_D, right_low_D = high_D.copy(), low_D.copy()
        left_high_D[key] = right_low_D[key] = at
        todo += [(left, low_D, left_high_D), (right, right_low_D, high_D)]
