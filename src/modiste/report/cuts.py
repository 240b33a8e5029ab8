"""What was cut: how the runs of a study differ from those of its full profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modiste.report.numbers import count, listing, plural
from modiste.search.row import Row
from modiste.search.study import Stage, Study
from modiste.spec.run import RunSpec
from modiste.spec.settings import flatten
from modiste.spec.study import Found, Point, points

# These make no run smaller, and do not keep it from being compared.
_NEUTRAL = ("seed", "threads", "device")


@dataclass(frozen=True)
class Cut:
    """What a profile and the overrides changed of a stage.

    Attributes:
        changed: Keys of its runs, each with the full profile's values and those used here.
        num_run, num_points: Points that are run here, and points there are.
        repeats, full_repeats: Seeds of each point, here and in the full profile.
    """

    changed: Mapping[str, tuple[str, str]]
    num_run: int
    num_points: int
    repeats: int
    full_repeats: int

    @property
    def touches_runs(self) -> bool:
        """Whether a run here is another than the same point's run in the full profile."""
        return bool(self.changed)

    @property
    def epochs(self) -> tuple[list[str], list[str]]:
        """The full profile’s limits of training and those here; none if some have no number."""
        full, here = (text.split(" or ") for text in self.changed.get("train.epochs", ("", "")))
        return (full, here) if all(map(str.isdigit, full + here)) else ([], [])

    @property
    def is_cut(self) -> bool:
        return bool(self.phrases())

    def phrases(self) -> list[str]:
        """What was cut, each a few words."""
        answer = [_changed(key, *values) for key, values in self.changed.items()]
        if self.num_run < self.num_points:
            answer.append(f"{count(self.num_run)} of {plural(self.num_points, 'point')}")
        if self.repeats < self.full_repeats:
            answer.append(f"{plural(self.repeats, 'seed')} instead of {self.full_repeats}")
        return answer

    def text(self) -> str:
        """All of it in one phrase; empty if nothing was cut.

        Example:
            >>> Cut({"train.epochs": ("300", "15")}, 3, 30, 1, 1).text()
            'at most 15 epochs instead of 300, and 3 of 30 points'
        """
        phrases = self.phrases()
        if len(phrases) < 2:
            return "".join(phrases)
        return f"{', '.join(phrases[:-1])}, and {phrases[-1]}"


def cut_of(study: Study, stage: Stage) -> Cut:
    """What was cut of a stage that waits for nothing."""
    found = None if stage.spec.search is None else [row.settings for row in stage.rows]
    full = points(study.spec, stage.spec, "full", study.seed, stage.given, found=found)
    changed: dict[str, tuple[list[str], list[str]]] = {}
    for point, row in _pairs(study, stage, full):
        if not row.is_chosen:
            continue
        ours = flatten(row.specs[0].whole.to_dict())  # halving cuts in any profile
        theirs = flatten(point.specs[0].to_dict())
        for key in sorted(ours.keys() | theirs.keys()):
            if key in _NEUTRAL or ours.get(key) == theirs.get(key):
                continue
            before, after = changed.setdefault(key, ([], []))
            _add(before, show(theirs.get(key)))
            _add(after, show(ours.get(key)))
    folds = stage.spec.folds or 1
    return Cut(
        {key: (" or ".join(full), " or ".join(here)) for key, (full, here) in changed.items()},
        num_run=len(stage.chosen) + stage.num_to_come,
        num_points=_num_points(stage, full),
        repeats=min((len(row.specs) for row in stage.rows), default=0) // folds,
        full_repeats=_repeats(full) // folds,
    )


def _pairs(study: Study, stage: Stage, full: Sequence[Point]) -> list[tuple[Point, Row]]:
    """The stage's rows, each with the same point of the full profile.

    Of the best points of another stage the full profile may confirm others: some that differ
    there may be one here, and let the next one in.
    """
    origin = study.spec.confirmed_by(stage.spec)
    if origin is None:
        return list(zip(full, stage.rows, strict=True))
    pairs = []
    for row in stage.rows:
        given = {**stage.given, origin.name: Found(((row.label, row.settings),))}
        # As if found, for it need not be the one that the profile’s `only` names.
        alone = points(study.spec, stage.spec, "full", study.seed, given, found=())
        pairs += [(point, row) for point in alone]
    return pairs


def _num_points(stage: Stage, full: Sequence[Point]) -> int:
    """Of the full profile."""
    search = stage.spec.searched("full")
    if search is None:
        return len([point for point in full if point.is_chosen])
    groups = [group for group in search.groups() if stage.spec.is_chosen("full", group)]
    return sum(search.num_trials(group) for group in groups)


def show(value: Any) -> str:
    """A value as a person would write it.

    Example:
        >>> show([768]), show(None), show(True), show([{"name": "mirror", "chance": 0.5}])
        ('[768]', 'none', 'yes', '[mirror (chance 0.5)]')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        head = str(value.get("name", ""))
        rest = ", ".join(f"{k} {show(v)}" for k, v in value.items() if k != "name")
        return f"{head} ({rest})" if head and rest else head or rest
    if isinstance(value, list | tuple):
        return f"[{', '.join(show(item) for item in value)}]" if value else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def key_values(spec: RunSpec) -> dict[str, Any]:
    """Every key of a run with its value."""
    return flatten(spec.to_dict())


def all_cut(cuts: Mapping[str, Cut]) -> str:
    """One sentence part for all stages together; empty if nothing was cut in any."""
    answer = []
    fulls, limits = ({text for cut in cuts.values() for text in cut.epochs[at]} for at in (0, 1))
    if limits:
        here, full = (listing(sorted(texts, key=int)) for texts in (limits, fulls))
        answer.append(f"at most {here} epochs instead of {full}")
    others = sorted(
        {
            key
            for cut in cuts.values()
            for key in cut.changed
            if key != "train.epochs" or not any(cut.epochs)
        }
    )
    if others:
        answer.append(f"other values of {listing(others)}")
    num_run = sum(cut.num_run for cut in cuts.values())
    num_points = sum(cut.num_points for cut in cuts.values())
    if num_run < num_points:
        answer.append(f"{count(num_run)} of {plural(num_points, 'point')}")
    if any(cut.repeats < cut.full_repeats for cut in cuts.values()):
        answer.append("fewer seeds")
    return listing(answer)


def _repeats(full: list[Point]) -> int:
    return min((len(point.specs) for point in full), default=0)


def _changed(key: str, full: str, here: str) -> str:
    if key == "train.epochs":
        return f"at most {here} epochs instead of {full}"
    return f"{key} {here} instead of {full}"


def _add(values: list[str], value: str) -> None:
    if value not in values:
        values.append(value)
