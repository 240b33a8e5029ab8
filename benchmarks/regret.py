"""What halving loses: its picks and the whole grid's, trained again on the same fresh seeds.

modiste study studies/regret.yaml --profile full
python -m benchmarks.regret runs/regret-full [--json FILE]

regret   accuracy of what the whole grid picked less that of what a search picked, in points of
         validation accuracy, means over the fresh seeds; a mean over the searches, with a 95 %
         interval that covers both, searches and seeds
epochs   of the whole grid over those of a search
tau      Kendall's, of a search's ranking and a whole grid of another seed; its ceiling is that
         of two whole grids of different seeds, this study's and the reference study's
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from modiste.evaluate.rank_agreement import rank_agreement
from modiste.runs.environment import environment
from modiste.search.study import Study

ROOT = Path(__file__).parents[1]
OTHER_GRID = ROOT / "results" / "fashion-mnist" / "mlp-grid" / "table.csv"


@dataclass(frozen=True)
class Regret:
    """A mean and its 95 % interval, as shares of 1."""

    mean: float
    low: float
    high: float


def regret(whole_S: Sequence[float], picked_MS: Sequence[Sequence[float]]) -> Regret:
    """What M searches lost on average, measured on S seeds.

    Searches and seeds both vary, and each search meets each seed: the variance of the mean is at
    most that of the searches' means over M plus that of the seeds' means over S. Student's t with
    the fewer degrees of freedom of the two.

    Args:
        whole_S: Accuracy of what the whole grid picked.
        picked_MS: Accuracies of what each search picked, on the same seeds.

    Source:
        A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007) 386-411.
    """
    lost_MS = np.asarray(whole_S) - np.asarray(picked_MS)
    searches, seeds = lost_MS.shape
    variance = np.var(lost_MS.mean(1), ddof=1) / searches + np.var(lost_MS.mean(0), ddof=1) / seeds
    half = stats.t.ppf(0.975, min(searches, seeds) - 1) * math.sqrt(variance)
    mean = float(lost_MS.mean())
    return Regret(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Search:
    """One search by halving.

    Attributes:
        seed: Of all its trainings.
        picked: Its best point.
        order: All its points, best first.
        epochs: It trained for.
    """

    seed: int
    picked: str
    order: tuple[str, ...]
    epochs: float


def searches_of(study: Study) -> list[Search]:
    """Those of the stage `halved`, one for each seed that it compares."""
    groups: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for line in study.table("halved"):
        groups[line["set.seed"]].append(line)
    return [
        Search(
            seed, point(lines[0]), tuple(map(point, lines)), sum(line["epochs"] for line in lines)
        )
        for seed, lines in sorted(groups.items())
    ]


def point(line: Mapping[str, Any]) -> str:
    """A point's shape and dropout, whatever its seed."""
    return f"{list(line['model.params.hidden'])}, {line['model.params.dropout']:g}"


def by_seed(study: Study, stage: str) -> dict[str, dict[int, float]]:
    """Validation accuracy of each point and seed of a stage."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for line in study.table(stage, each_seed=True):
        found[point(line)][line["seed"]] = line["val_accuracy"]
    return found


def figures(study: Study, searches: Sequence[Search], other: Path = OTHER_GRID) -> dict[str, Any]:
    """All that is told, as plain values."""
    whole = {line["seed"]: line["val_accuracy"] for line in study.table("whole", each_seed=True)}
    picked = by_seed(study, "picked")
    seeds = sorted(whole)
    lost = regret(
        [whole[seed] for seed in seeds],
        [[picked[search.picked][seed] for seed in seeds] for search in searches],
    )
    grid = by_seed(study, "grid")
    (grid_seed,) = {seed for accuracies in grid.values() for seed in accuracies}
    accuracies = {name: found[grid_seed] for name, found in grid.items()}
    taus = {
        search.seed: agreement(search, accuracies)
        for search in searches
        if search.seed != grid_seed  # whose best run is one of the grid's own
    }
    epochs = sum(line["epochs"] for line in study.table("grid"))
    ceiling = rank_agreement(*zip(*paired(accuracies, read_grid(other)), strict=True))
    return {
        "searches": [vars(search) for search in searches],
        "fresh_seeds": seeds,
        "regret": vars(lost),
        "epochs_of_the_grid": epochs,
        "times_cheaper": [epochs / search.epochs for search in searches],
        "tau": taus,
        "tau_ceiling": None if ceiling is None else vars(ceiling),
    }


def agreement(search: Search, accuracies: Mapping[str, float]) -> float:
    """Kendall's tau-b of a search's order and a whole grid's accuracies."""
    found = rank_agreement(
        [-float(place) for place in range(len(search.order))],
        [accuracies[name] for name in search.order],
    )
    return math.nan if found is None else found.tau


def read_grid(path: Path) -> dict[str, float]:
    """Validation accuracy of each point of the reference study's grid, at the last epoch."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            line["point"].removeprefix("hidden=").replace("dropout=", ""): float(
                line["last_val_accuracy"]
            )
            for line in csv.DictReader(file)
        }


def paired(one: Mapping[str, float], two: Mapping[str, float]) -> list[tuple[float, float]]:
    """Both figures of each point; each has the same points."""
    assert one.keys() == two.keys(), sorted(one.keys() ^ two.keys())
    return [(one[name], two[name]) for name in one]


def told(found: Mapping[str, Any]) -> list[str]:
    """A line for each figure."""
    lost, times = found["regret"], found["times_cheaper"]
    picks = statistics.multimode(search["picked"] for search in found["searches"])
    ceiling = found["tau_ceiling"]
    lines = []
    lines.append(
        f"regret: {100 * lost['mean']:.2f} points ({100 * lost['low']:.2f} to "
        f"{100 * lost['high']:.2f}), {len(found['searches'])} searches, "
        f"{len(found['fresh_seeds'])} fresh seeds; picked most often: {'; '.join(picks)}"
    )
    lines.append(
        f"epochs: a search takes {min(times):.1f} to {max(times):.1f} times fewer, median "
        f"{statistics.median(times):.1f}"
    )
    lines.append(
        f"tau: median {statistics.median(found['tau'].values()):.2f}, its ceiling "
        + ("unknown" if ceiling is None else f"{ceiling['tau']:.2f}")
    )
    return lines


def main() -> None:
    """Read the study, and print a line for each figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    study = Study.open(options.folder)
    for stage in study.stages():
        if not stage.is_done:
            raise SystemExit(f"{study.folder}: {stage.spec.name} is not finished; go on with it.")
    found = figures(study, searches_of(study))
    for line in told(found):
        print(line)
    if options.json:
        value = {"schema": 1, "environment": environment(), **found}
        options.json.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
