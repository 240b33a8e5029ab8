"""What the benchmark of halving makes of a study's figures."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from benchmarks.regret import (
    OTHER_GRID,
    Search,
    agreement,
    figures,
    main,
    paired,
    read_grid,
    regret,
    searches_of,
    told,
)
from modiste.search.study import Study
from tests import small
from tests.driving import drive, make


def test_searches_that_pick_what_the_whole_grid_picked_lose_nothing() -> None:
    found = regret([0.91, 0.90, 0.92], [[0.91, 0.90, 0.92]] * 4)
    assert (found.mean, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_mean_is_over_all_and_the_interval_covers_both_searches_and_seeds() -> None:
    # By hand: losses 0 0 / 2 2 by searches alone: their means 0 and 2, variance 2, over 2 searches.
    by_searches = regret([2.0, 2.0], [[2.0, 2.0], [0.0, 0.0]])
    # The same by seeds alone.
    by_seeds = regret([2.0, 0.0], [[2.0, -2.0], [2.0, -2.0]])
    quantile = 12.7062  # of Student's t with one degree of freedom, at 0.975
    for found in (by_searches, by_seeds):
        assert found.mean == 1.0
        assert found.high - found.mean == pytest.approx(quantile, rel=1e-4)
        assert found.mean - found.low == pytest.approx(quantile, rel=1e-4)


def test_its_interval_covers_the_truth_at_least_as_often_as_it_says() -> None:
    chance = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        searches, seeds = chance.normal(size=(10, 1)), chance.normal(size=5)
        lost_MS = searches + 2 * seeds + chance.normal(size=(10, 5))
        found = regret(np.zeros(5), -lost_MS)
        covered += found.low <= 0.0 <= found.high
    # 950 of 1,000 is what it says; four standard deviations of that are 28.
    assert covered >= 922


def test_a_search_that_orders_the_points_as_the_grid_does_agrees_with_it() -> None:
    grid = {"[8], 0.2": 0.9, "[8], 0.3": 0.7, "[4], 0.2": 0.8}
    order = tuple(sorted(grid, key=lambda name: -grid[name]))
    assert agreement(Search(0, order[0], order, 9), grid) == 1.0
    assert agreement(Search(0, order[-1], order[::-1], 9), grid) == -1.0


def test_the_reference_studys_grid_is_read_from_the_committed_results() -> None:
    grid = read_grid(OTHER_GRID)
    assert len(grid) == 30
    assert max(grid, key=lambda name: grid[name]) == "[512, 512], 0.25"
    assert paired(grid, grid)[0] == (grid["[256, 256], 0.2"],) * 2


# --- reading a study ------------------------------------------------------------------------------

SHAPES = [[3], [6], [9]]


def study(tmp_path: Path) -> Study:
    searched = {
        "method": "grid",
        "compare": {"seed": [0, 1, 2]},
        "halving": {"name": "successive", "first_epochs": 1, "factor": 3},
        "tune": {"model.params.hidden": SHAPES, "model.params.dropout": [0.2]},
    }
    grid = {"seed": [1], "model.params.hidden": SHAPES, "model.params.dropout": [0.2]}
    params = {"hidden": [3], "dropout": 0.2}
    return make(
        tmp_path / "s",
        small.study(
            data={"name": "idx", "num_val": 30},
            train={"epochs": 4, "optimizer": {"name": "adam", "learning_rate": 0.01}},
            stages=[
                {"name": "halved", "search": searched},
                {"name": "picked", "confirm": {"stage": "halved", "top": 1, "seeds": 2}},
                {"name": "grid", "grid": grid},
                {
                    "name": "whole",
                    "model": {"params": params},
                    "points": [{"seed": 101}],
                    "repeats": 2,
                },
            ],
        ),
    )


@pytest.mark.usefixtures("script")
def test_a_study_is_read_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = study(tmp_path)
    monkeypatch.setattr("sys.argv", ["regret", str(made.folder)])
    with pytest.raises(SystemExit, match="halved is not finished"):
        main()
    drive(made)
    searches = searches_of(made)
    assert [(search.seed, search.epochs) for search in searches] == [
        (n, 1 + 1 + 4) for n in range(3)
    ]
    assert all(set(search.order) == {"[3], 0.2", "[6], 0.2", "[9], 0.2"} for search in searches)
    assert [search.picked for search in searches] == [search.order[0] for search in searches]
    other = tmp_path / "table.csv"
    lines = [f'"hidden={shape}, dropout=0.2",0.{n}' for n, shape in enumerate(SHAPES, start=5)]
    other.write_text("\n".join(["point,last_val_accuracy", *lines]), encoding="utf-8")
    found = figures(made, searches, other)
    assert found["fresh_seeds"] == [101, 102]
    assert found["times_cheaper"] == [2.0] * 3
    assert found["tau"].keys() == {0, 2}  # not of the seed whose grid it is compared with
    table = made.table("picked", each_seed=True)
    picked = {(line["set.seed"], line["seed"]): line["val_accuracy"] for line in table}
    whole = {line["seed"]: line["val_accuracy"] for line in made.table("whole", each_seed=True)}
    lost = [whole[seed] - accuracy for (_, seed), accuracy in picked.items()]
    assert len(lost) == 6
    assert found["regret"]["mean"] == pytest.approx(fmean(lost), abs=1e-12)
    assert [line.split(":")[0] for line in told(found)] == ["regret", "epochs", "tau"]
