"""What each choice is worth: points that differ in one factor, and agree in all others.

A factor is a key that the stage varies, or what can be read from one: a list of layer widths is
also a number of layers and a widest one. Each value of a factor is set against the others where
points that agree in all else are finished, so a table can be written before the whole grid is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.evaluate.contrast import Contrast, contrast
from modiste.report.context import Context
from modiste.report.cuts import show
from modiste.report.facts import RowFacts, StageFacts
from modiste.search.standing import is_right
from modiste.spec.run import RunSpec
from modiste.spec.settings import CHOICES, flatten

Values = Mapping[str, str]


@dataclass(frozen=True)
class Factor:
    """Something that a stage varies.

    Attributes:
        name: Such as ``batch_size``, or ``number of hidden layers``.
        values: Of each point, as it is shown.
        others: For each point, the values of all that has to agree, as one word.
        is_derived: Read from a key, not one itself.
    """

    name: str
    values: Sequence[str]
    others: Sequence[str]
    is_derived: bool = False


@dataclass(frozen=True)
class Effect:
    """Points that share one value of a factor, against points that have another.

    Attributes:
        key: The factor's name.
        value: As it is shown.
        num_points, num_others: Points that have it, and those they are set against.
        num_settings: Settings of all other factors within which both were compared.
        contrast: Their mean accuracy, that of the others, and the difference.
        is_clear: Whether the interval covers seeds and images, and leaves out 0 even when all
            intervals of the table are allowed for (Bonferroni).
    """

    key: str
    value: str
    num_points: int
    num_others: int
    num_settings: int
    contrast: Contrast
    is_clear: bool

    @property
    def covers_seeds(self) -> bool:
        """Whether it is known of all its points how much a seed moves them."""
        return self.contrast.seed_error is not None

    @property
    def leaves_out_0(self) -> bool:
        """Whether its own interval covers seeds and images, and lies on one side of 0."""
        return _leaves_out_0(self.contrast)


@dataclass(frozen=True)
class Effects:
    """All effects of a stage.

    Attributes:
        effects: By factor, in the order of the grid.
        num_done, num_points: Points that are finished, and points there are.
        part: Which points each factor was compared over, where that is not all of them; by its
            name.
    """

    effects: Sequence[Effect]
    num_done: int
    num_points: int
    part: Mapping[str, str]

    @property
    def is_whole(self) -> bool:
        return self.num_done == self.num_points

    @property
    def covers_images(self) -> bool:
        """Whether other images are allowed for: not where the points answered different ones."""
        return all(effect.contrast.image_error is not None for effect in self.effects)


def effects(context: Context, stage: StageFacts) -> Effects | None:
    """Every value of every factor that can be compared; none if that is less than two values.

    A stage that varies one key of its own and nothing can be read from it has none: its table says
    it all. Neither has cross-validation, whose points answered different images.
    """
    # What halving cut was trained to another length, and is set against nothing.
    chosen = [row for row in stage.rows if row.row.is_chosen and row.row.until is None]
    rows = [row for row in chosen if row.row.is_done and row.runs and not row.broken]
    if len(rows) < 2 or stage.is_folded or any(row.broken for row in chosen):
        return None
    right_PN = _right(context, rows)
    found = factors([row.row.settings for row in rows], [row.row.specs[0] for row in rows])
    matched = [(factor, _strata(factor)) for factor in found]
    compared = [(factor, strata) for factor, strata in matched if strata]
    num_intervals = sum(len(_values(factor, strata)) for factor, strata in compared)
    answer: list[Effect] = []
    part: dict[str, str] = {}
    for factor, strata in compared:
        answer += [
            _effect(context, rows, right_PN, factor, value, strata, num_intervals)
            for value in _values(factor, strata)
        ]
        if words := _part(rows, found, factor, strata, is_whole=len(rows) == len(chosen)):
            part[factor.name] = words
    if not answer:
        return None
    return Effects(answer, len(rows), len(chosen), part)


def factors(
    settings: Sequence[Mapping[str, Any]], specs: Sequence[RunSpec] | None = None
) -> list[Factor]:
    """What a stage varies: its keys, and what can be read from a list of numbers under a key.

    A single key is no factor of its own: what its values are worth, the table of the stage says.

    Args:
        settings: Of each point.
        specs: Of each point's first run: what a point does not set itself is read there.

    Example:
        >>> found = factors([{"hidden": [64]}, {"hidden": [64, 32]}, {"hidden": [32, 32]}])
        >>> [(factor.name, list(factor.values)) for factor in found]
        [('number of hidden layers', ['1', '2', '2']), ('widest hidden layer', ['64', '64', '32'])]
    """
    given = [_choices(values) for values in settings]
    names = list(dict.fromkeys(key for values in given for key in values))
    if specs is not None:
        rest = [flatten(spec.to_dict()) for spec in specs]
        given = [
            {key: values[key] if key in values else _own(own, key) for key in names}
            for values, own in zip(given, rest, strict=True)
        ]
    shown = {key: [show(values.get(key)) for values in given] for key in names}
    keys = [key for key in names if len(set(shown[key])) > 1]
    found = []
    if len(keys) > 1:
        for key in keys:
            others = _joined([shown[other] for other in keys if other != key], len(given))
            found.append(Factor(_short(key), shown[key], others))
    for key in keys:
        parts = _derived(key, [values.get(key) for values in given])
        for name, values in parts.items():
            fixed = [shown[other] for other in keys if other != key]
            fixed += [other for label, other in parts.items() if label != name]
            found.append(Factor(name, values, _joined(fixed, len(given)), is_derived=True))
    return found


def _own(spec: Mapping[str, Any], key: str) -> Any:
    """What a run has under a key that its point does not set; of a part, its name."""
    name = {word: spec[f"{key}.{word}"] for word in CHOICES if f"{key}.{word}" in spec}
    return spec.get(key, name or None)


def _derived(key: str, values: Sequence[Any]) -> dict[str, list[str]]:
    """Number and largest of lists of numbers, such as the widths of layers; only what varies."""
    if not all(
        isinstance(value, list | tuple)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value)
        for value in values
    ):
        return {}
    what = key.rpartition(".")[2]
    names = (f"length of {what}", f"largest of {what}")
    if what == "hidden":
        names = ("number of hidden layers", "widest hidden layer")
    read = {
        names[0]: [str(len(value)) for value in values],
        names[1]: [show(max(value, default=0)) for value in values],
    }
    return {name: found for name, found in read.items() if len(set(found)) > 1}


def _joined(columns: Sequence[Sequence[str]], num_points: int) -> list[str]:
    return [" | ".join(column[point] for column in columns) for point in range(num_points)]


def _short(key: str) -> str:
    return key.removeprefix("model.params.").removeprefix("train.")


def _choices(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings one key at a time; a part that is chosen by name stays whole."""
    answer: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and not any(word in value for word in CHOICES):
            answer |= flatten(value, key)
        else:
            answer[key] = value
    return answer


def _strata(factor: Factor) -> dict[str, list[int]]:
    """Positions of the points that agree in all else, for each such setting that is of use.

    Of a key, those that hold every one of as many values as possible: a balanced part, so that all
    values of the key are compared over the same settings. Of what is derived from a key, whose
    values can seldom all meet, those that hold two.
    """
    strata: dict[str, list[int]] = {}
    for position, others in enumerate(factor.others):
        strata.setdefault(others, []).append(position)

    def held(others: str) -> frozenset[str]:
        return frozenset(factor.values[position] for position in strata[others])

    if factor.is_derived:
        return {name: own for name, own in strata.items() if len(held(name)) > 1}
    # Of all sets of values that some setting holds, the one that covers the most points.
    wanted: frozenset[str] = frozenset()
    complete: list[str] = []
    for values in dict.fromkeys(held(others) for others in strata if len(held(others)) > 1):
        found = [others for others in strata if values <= held(others)]
        if len(values) * len(found) > len(wanted) * len(complete):
            wanted, complete = values, found
    return {
        others: [position for position in strata[others] if factor.values[position] in wanted]
        for others in complete
    }


def _values(factor: Factor, strata: Mapping[str, Sequence[int]]) -> list[str]:
    positions = sorted(position for own in strata.values() for position in own)
    values = list(dict.fromkeys(factor.values[position] for position in positions))
    return sorted(values, key=int) if factor.is_derived else values


def _effect(
    context: Context,
    rows: Sequence[RowFacts],
    right_PN: npt.NDArray[np.float64] | None,
    factor: Factor,
    value: str,
    strata: Mapping[str, Sequence[int]],
    num_intervals: int,
) -> Effect:
    """The mean over the settings that hold it and another value; each setting counts once."""
    sides: tuple[dict[int, float], dict[int, float]] = ({}, {})
    num_settings = 0
    for positions in strata.values():
        own = [p for p in positions if factor.values[p] == value]
        others = [p for p in positions if factor.values[p] != value]
        if own and others:
            num_settings += 1
            for side, points in zip(sides, (own, others), strict=True):
                for p in points:
                    side[p] = 1 / len(points)
    weights = [weight / num_settings for side in sides for weight in side.values()]
    positions = [p for side in sides for p in side]
    first, second = (
        [rows[p].values(context.epoch, "val", "accuracy") for p in side] for side in sides
    )
    images_N = None
    if right_PN is not None:
        signed = np.array(weights)
        signed[len(first) :] *= -1
        images_N = signed @ right_PN[positions]
    seeds = [rows[p].seeds for p in positions]
    found = contrast(first, second, seeds, images_N, weights=weights)
    allowed = contrast(
        first, second, seeds, images_N, level=1 - 0.05 / num_intervals, weights=weights
    )
    is_clear = _leaves_out_0(allowed)
    return Effect(factor.name, value, len(first), len(second), num_settings, found, is_clear)


def _leaves_out_0(found: Contrast) -> bool:
    """Whether an interval that covers both seeds and images lies on one side of 0."""
    if found.seed_error is None or found.image_error is None:
        return False
    return (found.low or 0.0) * (found.high or 0.0) > 0


def _part(
    rows: Sequence[RowFacts],
    found: Sequence[Factor],
    factor: Factor,
    strata: Mapping[str, Sequence[int]],
    *,
    is_whole: bool,
) -> str:
    """Which values of the other factors a factor was compared over, if not over all of them."""
    positions = sorted(position for own in strata.values() for position in own)
    if is_whole and (factor.is_derived or len(positions) == len(rows)):
        return ""
    words = []
    for other in found:
        if other is not factor and not other.is_derived:
            values = dict.fromkeys(other.values[position] for position in positions)
            words.append(f"{other.name} {' or '.join(values)}")
    return f"{len(positions)} points" + (f" ({'; '.join(words)})" if words else "")


def _right(context: Context, rows: Sequence[RowFacts]) -> npt.NDArray[np.float64] | None:
    """Share of its seeds that got an image right, for each point and image; none if unpaired."""
    shares, ids = [], []
    for row in rows:
        found = [context.study.answers(run, context.epoch) for run in row.runs]
        shares.append(is_right(found).mean(axis=0))
        ids += [answers.image_ids_N for answers in found]
    if not all(np.array_equal(ids[0], other) for other in ids[1:]):
        return None
    return np.stack(shares)
