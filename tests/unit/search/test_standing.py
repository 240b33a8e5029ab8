"""Whose seeds say how much a seed moves a row, and how rows stand with and without that."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modiste.evaluate.contrast import UNMOVED, Pooled, pooled
from modiste.runs.run import Run
from modiste.search.answers import Answers
from modiste.search.row import Row
from modiste.search.standing import (
    SeedSpread,
    lead_over,
    seed_spreads,
    seeds_of,
    spread_for,
    standing,
)
from modiste.search.study import Stage
from modiste.spec.run import RunSpec
from modiste.spec.study import StageSpec
from tests import small

NUM_IMAGES = 200
NARROW = [[0.900, 0.905, 0.910], [0.910, 0.905, 0.905], [0.890, 0.900, 0.895]]


def row(accuracies: Sequence[float], name: str = "", **settings: Any) -> Row:
    """A row with one training for each accuracy; `settings` are those of its runs."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    specs = tuple(small.run_spec(dotted, seed=seed) for seed in range(len(accuracies)))
    names = tuple(
        f"{name or accuracies}{dotted}{value}{seed}" for seed, value in enumerate(accuracies)
    )
    runs = tuple(map(run, accuracies, specs, names))
    return Row(name, {}, specs, names, is_chosen=True, runs=runs)


def run(accuracy: float, spec: RunSpec, fingerprint: str) -> Any:
    right = round(accuracy * NUM_IMAGES)
    score = {"accuracy": accuracy, "correct": right, "total": NUM_IMAGES}
    return SimpleNamespace(
        spec=spec,
        fingerprint=fingerprint,
        metrics={"status": "finished", "last": {"val": score}},
        layers={"parameters": {"total": 1}},
        right=right,
    )


def answers(run: Run | Any, epoch: str) -> Answers:
    zeros_N = np.zeros(NUM_IMAGES, np.int64)
    wrong_N = (np.arange(NUM_IMAGES) >= run.right).astype(np.int64)
    return Answers(wrong_N, zeros_N.astype(np.float16), zeros_N, np.arange(NUM_IMAGES))


def stage(name: str, *rows: Row) -> Stage:
    return Stage(StageSpec(name=name), rows)


def of(stages: Sequence[Stage], at: int, number: int = 0) -> SeedSpread | None:
    found = seed_spreads(stages, "last")
    return found.of(stages[at].spec.name, stages[at].rows[number])


def test_a_stage_with_enough_repeats_of_its_own_speaks_for_itself() -> None:
    rows = [row(values, str(n)) for n, values in enumerate(NARROW)]
    own = stage("own", *rows)
    other = stage("other", row([0.8, 0.9, 0.85]))
    assert of([own, other], 0) == SeedSpread(_pooled(rows), "stage", 3)


def test_one_with_too_few_takes_those_of_its_family_on_the_same_data() -> None:
    once = stage("once", row([0.9]), row([0.91], "b"))
    rows = [row(values) for values in NARROW]
    twice = stage("twice", rows[0])
    more = stage("more", *rows[1:])
    everything = SeedSpread(_pooled(rows), "family", 3)
    assert of([once, twice, more], 0) == everything
    assert of([once, twice, more], 1) == everything  # two degrees of its own are too few


def test_a_row_that_two_stages_hold_counts_once() -> None:
    shared = row(NARROW[0])
    found = of([stage("a", shared), stage("b", shared)], 0)
    assert found == SeedSpread(_pooled([shared]), "family", 1)


def test_a_run_that_two_studies_hold_counts_once() -> None:
    # As `compare` gives them: a stage of one name, in the second with two seeds more of a point.
    longer = row([*NARROW[0], 0.908, 0.902], "0")
    mine, theirs = stage("grid", row(NARROW[0], "0")), stage("grid", longer)
    own = SeedSpread(_pooled([longer]), "stage", 1)
    both = SeedSpread(_pooled([longer]), "family", 1)
    assert _beside([mine], [theirs]) == [both]  # two degrees of its own are too few
    assert _beside([theirs], [mine]) == [own]
    # Three runs of five, in a stage of another name: the family has the point once, too.
    other = stage("other", row(NARROW[0], "0"))
    assert of([other, stage("more", longer)], 0) == both


def test_stages_of_two_studies_are_two_although_they_have_one_name() -> None:
    rows = [row(values, str(n)) for n, values in enumerate(NARROW)]
    others = [row(values, f"other {n}") for n, values in enumerate(NARROW)]
    mine, theirs = stage("grid", *rows), stage("grid", *others)
    assert _beside([mine], [theirs]) == [SeedSpread(_pooled(rows), "stage", 3)] * 3
    once = stage("grid", row([0.9]))
    assert _beside([once], [theirs]) == [SeedSpread(_pooled(others), "family", 3)]


def _beside(stages: Sequence[Stage], others: Sequence[Stage]) -> list[SeedSpread | None]:
    found = seed_spreads(stages, "last", others)
    return [found.of(each.spec.name, row) for each in stages for row in each.rows]


@pytest.mark.parametrize(
    "settings",
    [
        {"data__scaling": "raw"},
        {"data__num_val": 20},
        {"train__epochs": 2},
        {"model": {"family": "cnn", "params": {"filters": [3]}}},
    ],
    ids=["other scaling", "other images", "other epochs", "other family"],
)
def test_repeats_that_are_not_comparable_say_nothing(settings: dict[str, Any]) -> None:
    other = row(NARROW[0], **settings)
    stages = [stage("once", row([0.9])), stage("other", other)]
    assert of(stages, 0) is None
    assert of(stages, 1) == SeedSpread(_pooled([other]), "family", 1)


def test_folds_are_no_seeds() -> None:
    folded = row(NARROW[0], data__folds=3)
    stages = [stage("once", row([0.9])), stage("cv", folded)]
    assert of(stages, 0) is None
    assert of(stages, 1) is None
    found = standing(
        stages[1], "last", answers, spread_for(stages[1], seed_spreads(stages, "last"))
    )
    assert found[id(folded)] == (None, None)
    assert lead_over(stages[0].rows[0], folded, "last", answers) is None


def test_a_row_that_scatters_far_more_has_its_own_spread_and_leaves_the_others_theirs() -> None:
    wild = row([0.2, 0.9, 0.6], "wild")
    rows = [row(values, str(n)) for n, values in enumerate(NARROW * 3)]
    own = stage("own", *rows, wild)
    assert of([own], 0, 9) == SeedSpread(_pooled([wild]), "row", 1)
    assert of([own], 0, 0) == SeedSpread(_pooled(rows), "stage", 9)


def test_no_seed_moves_what_is_fitted_in_one_go() -> None:
    fixed = row([0.9, 0.9, 0.9], model={"family": "majority"})
    assert of([stage("no-network", fixed)], 0) is None
    assert seeds_of(fixed, None) == UNMOVED
    assert seeds_of(row([0.9]), None) is None


def test_rows_are_compared_on_seeds_and_images_as_far_as_both_are_known() -> None:
    once = stage("once", row([0.9], "a"), row([0.86], "b"))
    repeated = stage("more", *(row(values, str(n)) for n, values in enumerate(NARROW)))
    alone, known = (
        standing(once, "last", answers, spread_for(once, seed_spreads(stages, "last")))
        for stages in ([once], [once, repeated])
    )
    ids = [id(each) for each in once.rows]
    widths = [
        found[ids[0]].interval.high - found[ids[0]].interval.low  # type: ignore[union-attr]
        for found in (alone, known)
    ]
    assert widths[0] < widths[1]
    p_values = [found[ids[1]].standing.p_value for found in (alone, known)]  # type: ignore[union-attr]
    assert p_values[0] < p_values[1]


class Kept:
    """A study that tells what its runs said, and of which it was asked."""

    def __init__(self, *, without: str | None = None, shift: int = 0) -> None:
        self.without, self.shift = without, shift
        self.asked: list[str] = []

    def has_answers(self, run: Run | Any) -> bool:
        return run.fingerprint != self.without

    def answers(self, run: Run | Any, epoch: str) -> Answers:
        self.asked.append(run.fingerprint)
        found = answers(run, epoch)
        is_first = run.spec.seed == 0
        return found._replace(image_ids_N=found.image_ids_N + self.shift * is_first)


def test_what_differs_by_image_and_seed_is_read_of_the_runs_behind_a_spread() -> None:
    rows = [row(values, str(n)) for n, values in enumerate(NARROW)]
    own = stage("own", *rows, row([0.9], "once"))
    other = stage("other", row([0.8, 0.9], "b", model={"family": "cnn"}))
    kept: Any = Kept()
    spreads = seed_spreads([own, other], "last", studies=[kept])
    assert kept.asked == []
    found = spread_for(own, spreads)
    assert sorted(kept.asked) == sorted(name for each in rows for name in each.fingerprints)
    # So many images of 200 that one or two of three seeds get right: a third each.
    scatters = [2 / 200 / 3, 1 / 200 / 3, 2 / 200 / 3]
    for each in own.rows:
        spread = found[id(each)]
        assert spread is not None
        assert spread.pooled == _pooled(rows)._replace(scatter=pytest.approx(np.mean(scatters)))


@pytest.mark.parametrize("lacks", ["answers", "the same images"])
def test_where_answers_of_any_run_behind_it_say_nothing_none_is_taken_out(lacks: str) -> None:
    rows = [row(values, str(n)) for n, values in enumerate(NARROW)]
    own = stage("own", *rows)
    without = rows[1].fingerprints[1] if lacks == "answers" else None
    kept: Any = Kept(without=without, shift=int(lacks == "the same images"))
    found = seed_spreads([own], "last", studies=[kept]).of("own", rows[0])
    assert found == SeedSpread(_pooled(rows), "stage", 3)


def test_of_two_studies_each_tells_what_its_own_runs_said() -> None:
    rows = [row(values, str(n)) for n, values in enumerate(NARROW)]
    mine, theirs = stage("grid", rows[0]), stage("grid", rows[1])
    studies: Any = Kept(without=rows[1].fingerprints[0]), Kept()
    spreads = seed_spreads([mine], "last", [theirs], studies=studies)
    found = spreads.of("grid", rows[0])
    assert found is not None
    assert found.pooled.scatter == pytest.approx(1.5 / 200 / 3)
    assert studies[1].asked == [rows[1].fingerprints[0]]


def test_equal_spreads_of_two_families_count_as_any_other() -> None:
    """Accuracies are counts, so equal spreads are nothing rare; an image more changes little."""
    first = row([0.875, 0.9375], "first")
    p_values = []
    for best_seed in (0.80, 0.8125, 0.825):  # of the second; that in the middle is as wide apart
        second = row([0.75, best_seed], "second", model={"family": "cnn"})
        both = stage("both", first, second)
        spreads = spread_for(both, seed_spreads([both], "last"))
        found = standing(both, "last", answers, spreads)[id(second)].standing
        assert found is not None
        p_values.append(found.p_value)
        one, two = (spreads[id(each)] for each in (first, second))
        assert one is not None
        assert two is not None
        assert (one.pooled.variance == two.pooled.variance) == (best_seed == 0.8125)
    assert p_values == sorted(p_values)
    # The same runs are one estimate, in whichever row they are looked up.
    narrow = stage("own", *(row(values, str(n)) for n, values in enumerate(NARROW)))
    assert of([narrow], 0, 0) == of([narrow], 0, 2)


def _pooled(rows: Sequence[Row]) -> Pooled:
    points = [[run.metrics["last"]["val"]["accuracy"] for run in row.runs] for row in rows]
    found = pooled(points)
    assert found is not None
    return found
