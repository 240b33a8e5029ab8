"""Two studies side by side: folds are paired by training, and spreads are of the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modiste.evaluate.contrast import Contrast
from modiste.evaluate.crossval import fold_difference
from modiste.search.answers import Answers
from modiste.search.row import Row
from modiste.search.study import Stage
from modiste.search.versus import contrast_of, versus
from modiste.spec.study import StageSpec
from tests import small

NUM_IMAGES, NUM_TRAIN, NUM_VAL = 500, 300, 100


def training(
    accuracy: float, fingerprint: str, ids_N: np.ndarray | None = None, best: float = 0.5
) -> Any:
    """A run with that accuracy at its last epoch, and `best` at its best one."""
    ids_N = np.arange(NUM_VAL) if ids_N is None else ids_N
    figures = {
        epoch: {"val": {"accuracy": value, "correct": round(value * NUM_VAL), "total": NUM_VAL}}
        for epoch, value in (("last", accuracy), ("best", best))
    }
    return SimpleNamespace(
        fingerprint=fingerprint,
        metrics={
            "status": "finished",
            "num_train": NUM_TRAIN,
            "num_val": NUM_VAL,
            **figures,
        },
        layers={"parameters": {"total": 1}},
        right_N=np.arange(NUM_VAL) < round(accuracy * NUM_VAL),
        ids_N=ids_N,
    )


def row(runs: Sequence[Any], folds: int | None = None) -> Row:
    settings = {} if folds is None else {"data.folds": folds}
    specs = tuple(small.run_spec(settings, seed=seed) for seed in range(len(runs)))
    names = tuple(run.fingerprint for run in runs)
    return Row("point", {}, specs, names, is_chosen=True, runs=tuple(runs))


def study(*rows: Row, digest: str = "d", rank_epoch: str = "last") -> Any:
    stages = [Stage(StageSpec(name="grid"), rows)]

    def answers(run: Any, epoch: str) -> Answers:
        zeros_N = np.zeros(NUM_VAL, np.int64)
        return Answers(run.right_N.astype(np.int64), zeros_N.astype(np.float16), zeros_N + 1,
                       run.ids_N)  # fmt: skip

    return SimpleNamespace(
        name="s", profile="full", seed=0, data_digest=digest, versions={}, answers=answers,
        has_answers=lambda _: True,
        spec=SimpleNamespace(rank_epoch=rank_epoch), stages=lambda: stages,
    )  # fmt: skip


def repeated(name: str, accuracies: Sequence[float], best: Sequence[float] = ()) -> Row:
    each = best or [0.5] * len(accuracies)
    return row([training(a, f"{name}{n}", best=each[n]) for n, a in enumerate(accuracies)])


def beside(one: Any, two: Any) -> Contrast:
    (stage,) = versus(one, two).stages
    (pair,) = stage.pairs
    return pair.contrast


# --- folds ----------------------------------------------------------------------------------------


def folded(name: str, accuracies: Sequence[float], seed: int = 0) -> Row:
    """A training for each, every one with validation images of its own, some of them in several."""
    chance = np.random.default_rng(seed)
    ids = [np.sort(chance.choice(NUM_IMAGES, NUM_VAL, replace=False)) for _ in accuracies]
    runs = [training(a, f"{name}{n}", ids[n]) for n, a in enumerate(accuracies)]
    return row(runs, folds=len(runs))


FIRST, SECOND = [0.90, 0.92, 0.88, 0.91, 0.89], [0.88, 0.91, 0.87, 0.87, 0.88]


def test_folds_have_the_interval_of_cross_validation() -> None:
    one, two = folded("a", FIRST), folded("b", SECOND)
    found = beside(study(one), study(two))
    sums_N = np.zeros(NUM_IMAGES)
    counts_N = np.zeros(NUM_IMAGES)
    for mine, theirs in zip(one.runs, two.runs, strict=True):
        sums_N[mine.ids_N] += mine.right_N * 1.0 - theirs.right_N  # type: ignore[attr-defined]
        counts_N[mine.ids_N] += 1  # type: ignore[attr-defined]
    differences_N = sums_N[counts_N > 0] / counts_N[counts_N > 0]
    wanted = fold_difference(FIRST, SECOND, differences_N, NUM_VAL / NUM_TRAIN)
    assert (found.low, found.high) == pytest.approx(wanted)
    assert found.difference == pytest.approx(0.018)
    assert (found.seed_error, found.image_error) == (None, None)
    # The table of what a search compared asks the same of one study.
    assert contrast_of(study(one, two), one, two, [None, None]) == found


@pytest.mark.parametrize(
    "other",
    [
        study(folded("b", SECOND, seed=1)),
        study(folded("b", SECOND), digest="other"),
        study(folded("b", SECOND[:4])),
        study(repeated("b", SECOND)),
    ],
    ids=["other division", "other data", "other number", "no folds"],
)
def test_folds_that_do_not_match_have_no_interval(other: Any) -> None:
    found = beside(study(folded("a", FIRST)), other)
    assert found.difference > 0
    assert (found.low, found.high) == (None, None)


def test_images_that_several_folds_answered_count_once() -> None:
    """Of equal methods the interval leaves out 0 no more often than it says."""
    chance = np.random.default_rng(6)
    num_trials, hits = 200, 0
    for _ in range(num_trials):
        hard_N = chance.random(NUM_IMAGES)
        taste_CN = chance.normal(0, 0.15, (2, NUM_IMAGES))
        rows = folded("a", [0.0] * 8), folded("b", [0.0] * 8)
        for own, taste_N in zip(rows, taste_CN, strict=True):
            for run in own.runs:
                noise_N = 0.05 * chance.standard_normal(NUM_IMAGES)
                right_N = (hard_N + taste_N + noise_N < 0.85)[run.ids_N]  # type: ignore[attr-defined]
                run.right_N = right_N  # type: ignore[attr-defined]
                run.metrics["last"]["val"]["accuracy"] = float(right_N.mean())
        found = beside(study(rows[0]), study(rows[1]))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0 <= found.high
    # Meant to cover at least as often as it says; five standard errors below would be a mistake.
    assert hits / num_trials >= 0.95 - 5 * (0.95 * 0.05 / num_trials) ** 0.5


# --- whose seeds ----------------------------------------------------------------------------------

SCATTERED = [0.90, 0.92, 0.88, 0.91, 0.89]


def test_a_study_on_other_data_says_nothing_of_how_far_seeds_lie_apart() -> None:
    one, two = study(repeated("a", SCATTERED)), repeated("b", [0.95])
    assert beside(one, study(two)).seed_error is not None
    assert beside(one, study(two, digest="other")).seed_error is None


def test_each_study_is_read_at_the_epoch_that_ranks_it() -> None:
    best = [0.90, 0.91, 0.90, 0.91, 0.90]
    one = study(repeated("a", SCATTERED))
    two = study(repeated("b", SCATTERED[::-1], best), rank_epoch="best")
    found = beside(one, two)
    wanted = (np.var(SCATTERED, ddof=1) / 5 + np.var(best, ddof=1) / 5) ** 0.5
    assert found.seed_error == pytest.approx(wanted)
    # What is known of one epoch is no answer for another.
    assert beside(one, study(repeated("b", [0.9]), rank_epoch="best")).seed_error is None


def test_stages_of_two_studies_are_two_whatever_their_names() -> None:
    quiet = [0.90, 0.90, 0.91, 0.90, 0.91]
    found = beside(study(repeated("a", SCATTERED)), study(repeated("b", quiet)))
    wanted = (np.var(SCATTERED, ddof=1) / 5 + np.var(quiet, ddof=1) / 5) ** 0.5
    assert found.seed_error == pytest.approx(wanted)
