"""What can be wrong with the stages of a study, beyond what each key says by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modiste.errors import SpecError, did_you_mean
from modiste.spec.parts import Estimator
from modiste.spec.settings import CHOICES, OF_RUNS, Settings, assign, matches, undoes

if TYPE_CHECKING:
    from modiste.spec.study import Found, Override, Point, StageProfile, StageSpec


def check_stages(stages: Sequence[StageSpec]) -> None:
    """Names, references and what excludes one another.

    Raises:
        SpecError: Names the stage and the key.
    """
    names = [stage.name for stage in stages]
    for index, stage in enumerate(stages):
        earlier = names[:index]
        if stage.name in earlier:
            raise SpecError(f"stages: two are named {stage.name!r}; each needs a name of its own.")
        for name in stage.from_:
            if name not in earlier:
                hint = " That stage comes later: move it up." if name in names else ""
                hint = hint or did_you_mean(name, earlier)
                raise SpecError(f"stages[{stage.name}].from: no earlier stage {name!r}.{hint}")
        if stage.confirm is not None:
            _check_confirm(stage, stages[:index])
        if stage.search is not None:
            _check_search(stage)
        if stage.is_final and stage.folds is not None:
            raise SpecError(
                f"stages[{stage.name}].final: true, but its trainings are those of {stage.folds} "
                "folds: each has seen a part of the images, and none of them is the model. Let "
                "another stage take over the winner: a stage with `final: true`, "
                f"`from: [{stage.name}]` and no `folds`."
            )
        if stage.is_exported and not stage.is_final:
            raise SpecError(
                f"stages[{stage.name}].export: true, but the stage is not final, and only a final "
                "one leaves a model. Add `final: true` to it, or take `export` out."
            )
        if stage.is_final and not stage.keep_weights:
            raise SpecError(
                f"stages[{stage.name}].keep_weights: 0, but the stage is final: its winner is "
                "saved as a model, which needs weights. Keep 1 or more."
            )


def other_winners(
    stage: StageSpec, handed: Mapping[str, Found]
) -> Iterator[tuple[str, str, Settings]]:
    """Points that may win a stage instead of its first, and have other keys to take over.

    Args:
        stage: Which takes over.
        handed: What the stages before it hand on, as if their first points won.

    Yields:
        The name of their stage, their label, and what they would hand on.
    """
    for name in stage.from_:
        first, *others = handed[name].best
        known = [_keys(first[1])]
        for text, settings in others:
            keys = _keys(settings)
            if keys not in known:
                known.append(keys)
                yield name, text, settings


def _keys(settings: Settings) -> list[tuple[str, Any]]:
    """What decides which keys may be set beside these: names of parts, and what is none."""

    def inside(values: Mapping[str, Any], where: str) -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            if isinstance(value, Mapping):
                yield from inside(value, f"{where}{key}.")
            else:
                decides = key in CHOICES or value is None
                yield f"{where}{key}", value if decides else ""

    return sorted(inside(assign({}, settings), ""), key=str)


def check_order(layers: Sequence[Settings], where: str) -> None:
    """Whether all that a point sets is left of it: equal runs would seem to be different points.

    Args:
        layers: Its own settings, and what is set over them, in that order.
        where: The point.

    Raises:
        SpecError: If a later key would undo an earlier one of the point's own.
    """
    own = list(layers[0])
    items = [(n, key, value) for n, layer in enumerate(layers) for key, value in layer.items()]
    for at, (number, key, value) in enumerate(items):
        for earlier in own[:at]:
            if undoes(key, value, earlier):
                hint = "over it: set a key inside it" if number else "after it: move it up"
                raise SpecError(
                    f"{where}: {key!r} would undo {earlier!r}, which the point sets. It is set "
                    f"{hint}, or take one of them out."
                )


def _check_confirm(stage: StageSpec, earlier: Sequence[StageSpec]) -> None:
    assert stage.confirm is not None
    where = f"stages[{stage.name}].confirm"
    own = ("grid", "points", "search", "from_", "data", "model", "train", *OF_RUNS)
    given = [key.rstrip("_") for key in own if getattr(stage, key)]
    if given or stage.repeats != 1:
        word = ", ".join(given) or "repeats"
        raise SpecError(
            f"{where}: the points are trained again just as they were, so `{word}` has no place "
            "in this stage. Take it out; `confirm` holds `top` and `seeds`."
        )
    name = stage.confirm.stage
    found = next((other for other in earlier if other.name == name), None)
    if name is None and earlier:
        found = earlier[-1]
    if found is None:
        known = [other.name for other in earlier]
        hint = did_you_mean(name, known) if name and known else " It needs a stage before it."
        raise SpecError(f"{where}.stage: no earlier stage {name or ''!r}.{hint}")
    if found.confirm is not None:
        raise SpecError(f"{where}.stage: {found.name!r} confirms another one already.")
    num_points = len(found.settings())
    if found.search is not None:
        num_points = min(found.search.num_trials(group) for group in found.search.groups())
    if stage.confirm.top > num_points:
        raise SpecError(
            f"{where}.top: {stage.confirm.top}, but the stage {found.name!r} has "
            f"{num_points} points in all."
        )


def check_among(stage: StageSpec, found: Sequence[Point]) -> None:
    """A confirming stage that is choosy has to find something.

    Raises:
        SpecError: If no point agrees with what it says.
    """
    if stage.confirm is not None and stage.confirm.among and not found:
        raise SpecError(
            f"stages[{stage.name}].confirm.among: {stage.confirm.among} agrees with no point of "
            "the stage that is confirmed. Give full keys, such as model.params.filters."
        )


def check_images(stage: StageSpec, found: Sequence[Point]) -> None:
    """The rows of a stage are compared on the same validation images.

    Raises:
        SpecError: If its points would keep other numbers of them, or draw them by other seeds.
    """
    # Repeats of folds divide anew, for all points alike: the first of each tells.
    divisions = [point.specs[0].data for point in found]
    numbers = sorted({data.num_val for data in divisions})
    given = f"data.num_val {numbers[0]:,} and {numbers[-1]:,}" if len(numbers) > 1 else ""
    remedy = "Vary data.num_train, or give each number a stage of its own."
    seeds = sorted({data.split_seed for data in divisions})
    if not given and len(seeds) > 1:
        given = f"data.split_seed {seeds[0]} and {seeds[-1]}"
        remedy = (
            "Give each division a stage of its own; or set `folds` and `repeats`, which divides "
            "anew in each repeat, for all points alike."
        )
    if given:
        raise SpecError(
            f"stages[{stage.name}]: points with {given}: rows of a stage are compared on the same "
            f"validation images. {remedy}"
        )


def check_goals(stage: StageSpec, found: Sequence[Point]) -> None:
    """What a search weighs has to be known of every point.

    Raises:
        SpecError: If some are models without FLOPs, and these, or a net's latency, are a goal.
    """
    goals = () if stage.search is None else stage.search.goals
    asked = [goal for goal in goals if goal in ("flops", "latency")]
    models = [spec.model for point in found for spec in point.specs]
    without = [model.family for model in models if isinstance(model.params, Estimator)]
    if asked and without:
        raise SpecError(
            f"stages[{stage.name}].search.goals: {without[0]!r} is fitted in one go and has no "
            f"{asked[0]}. `parameters` is counted for every model."
        )


def check_fresh(
    stage: StageSpec,
    profile: str,
    found: Sequence[Point],
    chosen: Sequence[Point],
    overrides: Iterable[Override],
) -> None:
    """What confirms a point may not be what chose it.

    Args:
        stage: It confirms another one.
        profile: ``quick`` or ``full``.
        found: Its points in that profile.
        chosen: Those of the stage that it confirms.
        overrides: Of the command line.

    Raises:
        SpecError: If both would train with the same seed, or the stage is told a seed.
    """
    where = f"stages[{stage.name}].confirm"
    is_told = any(one.key == "seed" and one.stage == stage.name for one in overrides)
    if is_told or "seed" in stage.profile(profile).set:
        raise SpecError(
            f"{where}: its seeds are fresh ones, so none can be set for this stage. Take `seed` "
            "out; the seed of the study moves them all."
        )
    both = _seeds(found) & _seeds(chosen)
    if both:
        raise SpecError(
            f"{where}: its fresh seeds are {min(_seeds(found))} to {max(_seeds(found))}, and with "
            f"{min(both)} of them points are trained that it chooses among: a point could be "
            "confirmed by the very training that chose it. Give those points other seeds."
        )


def _seeds(points: Sequence[Point]) -> set[int]:
    return {spec.seed for point in points for spec in point.specs}


def _check_search(stage: StageSpec) -> None:
    assert stage.search is not None
    where = f"stages[{stage.name}]"
    for key in ("grid", "points"):
        if getattr(stage, key):
            raise SpecError(
                f"{where}: a search chooses the points, so `{key}` has no place beside it. "
                "`search: {method: grid, tune: {...}}` is a grid, too."
            )
    for name, changes in stage.profiles.items():
        try:
            stage.searched(name)
        except SpecError as error:
            raise SpecError(f"{where}.profiles.{name}: {error}") from None
        for wanted in changes.only or ():
            if not set(wanted) <= set(stage.search.compare):
                raise SpecError(
                    f"{where}.profiles.{name}.only: {wanted}; of a search, only compared values "
                    "can be left out. `trials` tells how many points are tried."
                )


def check_only(stage: StageSpec, changes: StageProfile, rows: Sequence[Settings]) -> None:
    """What a profile runs only has to be there.

    Raises:
        SpecError: If it names no point of the stage.
    """
    for wanted in changes.only or ():
        if not any(matches(row, wanted) for row in rows):
            raise SpecError(
                f"stages[{stage.name}].profiles: only {wanted} names no point of this stage. "
                f"Its points: {'; '.join(row['label'] for row in rows)}."
            )
