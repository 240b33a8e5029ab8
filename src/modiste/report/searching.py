"""What the sections on a search are written from: its trials, its keys, and where each stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import numpy as np

from modiste.evaluate.importance import LEAST_TRIALS, Importance, importances
from modiste.report.cuts import show
from modiste.report.facts import RowFacts, StageFacts
from modiste.report.numbers import listing, plural, rate
from modiste.runs.run import Epoch
from modiste.search.climbing import Trial
from modiste.spec.search import SearchSpec
from modiste.spec.space import Choices, Domain, Range

# Ticks of a range on an axis.
_TICKS = 4


@dataclass(frozen=True)
class Axis:
    """A key of the space, as a line that trials stand on.

    Attributes:
        key: In full.
        domain: What it may be.
        idle_share: Of the trials, how many do not set it.
    """

    key: str
    domain: Domain
    idle_share: float = 0.0

    @property
    def label(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def is_log(self) -> bool:
        return isinstance(self.domain, Range) and self.domain.log

    def place(self, settings: dict[str, Any]) -> float | None:
        """Where a trial stands, 0 to 1, equal lengths being equally likely; none if it is idle."""
        if self.key not in settings:
            return None
        value, found = settings[self.key], self.domain
        if isinstance(found, Choices) or found.step or found.num:
            listed = found.listed or ()
            return (listed.index(value) + 0.5) / len(listed)
        low, high, at = found.low, found.high, float(value)
        if found.integer:  # each whole number has the half on either side of it
            low, high = low - 0.5, high + 0.5
        if found.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return min(1.0, max(0.0, (at - low) / (high - low)))

    def ticks(self) -> list[tuple[float, str]]:
        """A few places with their values."""
        listed = self.domain.listed
        values = [self.domain.at(i / (_TICKS - 1)) for i in range(_TICKS)]
        if listed is not None and len(listed) <= 2 * _TICKS:
            values = list(listed)
        return list({self._place_of(value): _short(value) for value in values}.items())

    def place_among(self, settings: dict[str, Any]) -> float:
        """A place above the room that is left for trials that do not set the key."""
        place = self.place(settings)
        if place is None:
            return self.idle_share / 2
        return self.idle_share + (1 - self.idle_share) * place

    def _place_of(self, value: Any) -> float:
        return self.place({self.key: value}) or 0.0


@dataclass(frozen=True)
class Tried:
    """A trial that has figures.

    Attributes:
        trial: Of the search.
        row: Where it stands.
        reached: Accuracy at the end of its longest training, mean of its seeds.
        compared: Accuracy when all trials were trained equally long; `reached` without halving.
        length: Epochs that its longest training was cut after; infinite if it was not.
    """

    trial: Trial
    row: RowFacts
    reached: float
    compared: float
    length: float

    @property
    def settings(self) -> dict[str, Any]:
        return self.row.row.settings

    @property
    def is_whole(self) -> bool:
        """Whether it was trained to its end."""
        return math.isinf(self.length)


@dataclass(frozen=True)
class Searched:
    """A stage that searches, with the trials that have figures.

    Attributes:
        tried: In the order of their groups, and in these as they were chosen.
        num_broken: Trials that have ended without figures.
    """

    stage: StageFacts
    search: SearchSpec
    tried: tuple[Tried, ...]
    num_broken: int

    @cached_property
    def shortest(self) -> int | None:
        """Epochs after which all trials are compared; none if all are trained to the end."""
        cuts = [trial.rungs[0].until for trial in self.stage.stage.trials]
        return min((cut for cut in cuts if cut is not None), default=None)

    @property
    def sentence(self) -> str:
        """The title of the stage, with an end."""
        title = self.stage.title
        return title if title.endswith(("?", ".")) else f"{title}."

    @property
    def when(self) -> str:
        """When the accuracy was that trials are compared by."""
        if self.shortest is None:
            return ""
        return f" after {plural(self.shortest, 'epoch')}"

    @property
    def best(self) -> list[Tried]:
        """Those that were trained longest first, and then by what they reached."""
        return sorted(self.tried, key=lambda each: (-each.length, -each.reached))

    @cached_property
    def axes(self) -> list[Axis]:
        """A line for each key of which more than one value was possible, and that a trial sets."""
        domains: dict[str, Domain] = {
            **{key: Choices(values=values) for key, values in self.search.compare.items()},
            **self.search.tune,
        }
        total = max(1, len(self.tried))
        return [
            Axis(key, found, sum(key not in each.settings for each in self.tried) / total)
            for key, found in domains.items()
            if found.listed is None or len(found.listed) > 1
            if any(key in each.settings for each in self.tried)
        ]

    @cached_property
    def shares(self) -> list[tuple[Axis, Importance]] | None:
        """Keys with what each explains, the largest first; none of one key or too few trials."""
        if len(self.axes) < 2 or len(self.tried) < LEAST_TRIALS:
            return None
        places_PD = np.array(
            [[axis.place_among(each.settings) for axis in self.axes] for each in self.tried]
        )
        found = importances(places_PD, [each.compared for each in self.tried])
        if found is None:
            return None
        return sorted(zip(self.axes, found, strict=True), key=lambda pair: -pair[1].share)

    def group_label(self, number: int) -> str:
        """A combination of compared values; empty where nothing is compared."""
        group = self.search.groups()[number]
        return ", ".join(f"{key.rpartition('.')[2]} {show(v)}" for key, v in group.items())


def searches(stages: Sequence[StageFacts], profile: str, epoch: Epoch) -> list[Searched]:
    """Every stage that searches and has a trial with figures."""
    found = []
    for stage in stages:
        search = stage.stage.spec.searched(profile)
        if search is None:
            continue
        rows = {id(row.row): row for row in stage.rows}
        pairs = [(trial, rows[id(trial.row)]) for trial in stage.stage.trials]
        tried = [each for trial, row in pairs if (each := _tried(stage, trial, row, epoch))]
        num_broken = sum(bool(row.broken) for _, row in pairs)
        if tried:
            found.append(Searched(stage, search, tuple(tried), num_broken))
    return found


def _tried(stage: StageFacts, trial: Trial, row: RowFacts, epoch: Epoch) -> Tried | None:
    """A trial with its figures: of the longest training that has ended, on all seeds."""
    done = [rung for rung in trial.rungs if rung.is_done]
    reached = done[-1].mean(epoch, "val", "accuracy") if done else math.nan
    if math.isnan(reached):
        return None
    length = done[-1].until or math.inf
    cuts = [each.rungs[0].until for each in stage.stage.trials]
    shortest = min((cut for cut in cuts if cut is not None), default=None)
    first = trial.rungs[0]
    if shortest is None or not first.runs[0].history:
        return Tried(trial, row, reached, reached, length)
    compared = fmean(
        run.history[min(shortest, len(run.history)) - 1]["val_accuracy"] for run in first.runs
    )
    return Tried(trial, row, reached, compared, length)


def described(searched: Searched) -> str:
    """How points were chosen, and how far they were trained, in sentences."""
    search, stage = searched.search, searched.stage.stage
    method = search.method.to_dict()
    details = [f"{key} {method[key]}" for key in ("seed", "lag") if key in method]
    text = search.method.words[0].upper() + search.method.words[1:]
    text += f" ({', '.join([search.method.name, *details])}): "
    text += plural(max(search.num_trials(group) for group in search.groups()), "trial")
    if len(search.groups()) > 1:
        text += f" for each value of {listing([k.rpartition('.')[2] for k in search.compare])}"
    total = len(stage.trials) + stage.num_to_come
    text += f"; {len(stage.trials)} of {total} are chosen so far." if stage.num_to_come else "."
    if search.halving is not None:
        text += f" {_halved(searched)}"
    if searched.num_broken:
        text += f" {plural(searched.num_broken, 'trial')} broke, and ranked last."
    return text


def _halved(searched: Searched) -> str:
    trials = searched.stage.stage.trials
    cost = sum(spent(trial) for trial in trials)
    ended = [t for t in trials if t.row.is_done and t.row.until is None and t.row.runs]
    text = f"Halving trained {len(ended)} of them to the end"
    if ended and cost:  # what is fitted in one go has no epochs
        mean = fmean(run.metrics["epochs"] for trial in ended for run in trial.row.runs)
        seeds = len(ended[0].row.runs)
        text += (
            f", and {cost:,} epochs in all; to run each trial for as long as those that came to "
            f"their end ({mean:.0f} epochs in the mean) would take "
            f"{mean * seeds * len(trials) / cost:.1f} times as many"
        )
    return f"{text}."


def spent(trial: Trial) -> int:
    """Epochs that were trained for a trial, over all its seeds; each is trained once."""
    by_seed: dict[int, int] = {}
    for row in trial.rungs:
        for run in row.runs:
            epochs = int(run.metrics["epochs"])
            by_seed[run.spec.seed] = max(by_seed.get(run.spec.seed, 0), epochs)
    return sum(by_seed.values())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return rate(value) if abs(value) < 1e-3 and value else f"{value:.3g}"
    text = show(value)
    return text if len(text) <= 14 else f"{text[:13]}…"


def first_by_rank(tried: Sequence[Tried], best: Sequence[Tried], number: int) -> dict[int, int]:
    """Places among `tried` of the first few by rank, each with its number."""
    places = {id(each): place for place, each in enumerate(tried)}
    return {places[id(each)]: style for style, each in enumerate(best[:number])}
