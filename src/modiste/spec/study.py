"""A study as a file: stages of points, each point a run, and how they refer to one another."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from modiste.errors import SpecError, did_you_mean
from modiste.spec.base import Spec
from modiste.spec.final import check_final
from modiste.spec.match import holds
from modiste.spec.places import at_its_place, supposing
from modiste.spec.run import RunSpec, parts_written_out, written_out
from modiste.spec.search import SearchSpec
from modiste.spec.settings import OF_RUNS, Settings, assign, label, layered, matches, merge
from modiste.spec.stage_checks import (
    check_among,
    check_fresh,
    check_goals,
    check_images,
    check_only,
    check_order,
    check_stages,
    other_winners,
)

Profile = Literal["quick", "full"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]

# Confirming runs begin with this seed, well above those that chose: nothing is measured twice.
FIRST_FRESH_SEED = 101


class StageProfile(Spec):
    """What a profile changes in a stage.

    Attributes:
        only: Settings (or `label`) of the points to run; all of them if not given.
        set: Keys to set in every point that is run, above anything else.
        skip: Why nothing is run in this profile; the report prints it.
        repeats: Seeds of each point.
        trials: Of a search: points for every compared value.
    """

    only: tuple[Settings, ...] | None = None
    set: Settings = {}
    skip: str | None = None
    repeats: int | None = Field(None, ge=1)
    trials: int | None = Field(None, ge=1)


class Confirm(Spec):
    """The best points of an earlier stage again, on seeds that had no part in choosing them.

    Attributes:
        stage: Whose points; the stage before, if not given.
        top: How many of them, best first; of every compared value, where a search compares some.
        seeds: Of each: 101, 102, ... beyond the study's own seed.
        among: Full keys and values, such as ``model.params.filters: 32``: only points that agree
            count, and the others need not have been run, nor are they for this stage.
    """

    stage: Name | None = None
    top: int = Field(5, ge=1)
    seeds: int = Field(5, ge=1)
    among: Settings = {}


class StageSpec(Spec):
    """One table of a study: a base, and what is varied over it.

    Attributes:
        name: Lower-case words and hyphens.
        title: The heading in the report.
        about: What the stage asks, in a sentence or two.
        preset, threads, device, kernels, data, model, train: Merged over those of the study.
        grid: Keys and the values each takes; every combination is a point, the last key fastest.
        points: Settings of single points, each with an optional `label`; after those of the grid.
        search: In place of both, points that are chosen one by one; see `SearchSpec`.
        from_: Stages (key ``from``) whose winners' settings are taken over, in this order, all but
            the seed.
        confirm: In place of points of its own, the best of an earlier stage on fresh seeds. A
            profile that skips it lets the earlier stage hand on its own winner.
        repeats: Seeds of each point: S, S + 1, ...; S is the study's, or the point's own `seed`.
        folds: Cross-validation: each point is trained once for each fold, with that fold held out
            from fitting, stopping and choosing, and judged on it; each repeat deals anew.
        assumed: Keys that the published study does not state; the report marks them.
        keep_weights: Points, best first, that keep their weights on disk. Those of the others are
            dropped once the stage is decided, and every stage that begins with it has its points.
        is_final: (key ``final``) Its winner is one of the study's answers: it is saved as a model,
            and it is what may be measured on the test set.
        is_exported: (key ``export``) A final stage's model is exported as well, with its proof,
            into ``exported/NAME`` of the study folder, as `modiste export` would.
        profiles: What `quick` or `full` change.
    """

    name: Name
    title: str = ""
    about: str = ""
    preset: str | None = None
    threads: int | None = None
    device: str | None = None
    kernels: str | None = None
    data: Settings = {}
    model: Settings = {}
    train: Settings = {}
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = {}
    points: tuple[Settings, ...] = ()
    search: SearchSpec | None = None
    from_: tuple[Name, ...] = Field((), alias="from")
    confirm: Confirm | None = None
    repeats: int = Field(1, ge=1)
    folds: int | None = Field(None, ge=2, le=1000)
    assumed: tuple[str, ...] = ()
    keep_weights: int = Field(3, ge=0)
    is_final: bool = Field(False, alias="final")
    is_exported: bool = Field(False, alias="export")
    profiles: dict[Profile, StageProfile] = {}

    @field_validator("search", mode="before")
    @classmethod
    def _search_knows_where_it_stands(cls, value: Any, info: ValidationInfo) -> Any:
        where = f"stages[{info.data.get('name', '?')}].search"
        return value if value is None else SearchSpec.parse(value, where)

    def profile(self, name: str) -> StageProfile:
        """What that profile changes here; nothing, if the stage is silent."""
        found = [changes for key, changes in self.profiles.items() if key == name]
        return found[0] if found else StageProfile()

    def searched(self, profile: str) -> SearchSpec | None:
        """How a profile searches its points; none of a stage whose points are given."""
        trials = self.profile(profile).trials
        if self.search is None or trials is None:
            return self.search
        return SearchSpec.parse({**self.search.to_dict(), "trials_per_value": trials})

    def is_chosen(self, profile: str, settings: Settings) -> bool:
        """Whether a profile runs a point with these settings (and `label`)."""
        changes = self.profile(profile)
        if changes.skip is not None:
            return False
        return changes.only is None or any(matches(settings, wanted) for wanted in changes.only)

    def settings(self) -> list[tuple[str, Settings]]:
        """Label and settings of every point, in order; one point without any if none is given.

        Of a search, which finds its points one by one, a few that hold all that it may choose.
        """
        if self.search is not None:
            return [(label(settings), settings) for settings in self.search.samples()]
        points = []
        for values in itertools.product(*self.grid.values()) if self.grid else ():
            settings = dict(zip(self.grid, values, strict=True))
            points.append((label(settings), settings))
        for given in self.points:
            settings = {key: value for key, value in given.items() if key != "label"}
            said = given.get("label")
            text = "" if said is None else str(said)
            points.append((text or label(settings), settings))
        bare = self._bare_label([text for text, _ in points])
        return [(text or bare, settings) for text, settings in points] or [(bare, {})]

    def _bare_label(self, taken: Collection[str]) -> str:
        """Of a point that sets nothing: the stage's name; a number is added if another has it."""
        names = itertools.chain([self.name], (f"{self.name} {n}" for n in itertools.count(2)))
        return next(name for name in names if name not in taken)


class StudySpec(Spec):
    """A study: what all stages share, and the stages in their order.

    Attributes:
        name: Lower-case words and hyphens; names the folder.
        title, about: Heading and first paragraph of the report.
        seed: Of every point, so that points are paired; ``--seed`` overrides it.
        rank_epoch: Which epoch's validation accuracy chooses: ``last`` or ``best`` (lowest
            validation loss).
        preset, threads, device, kernels, data, model, train: What every stage begins with. In
            ``data``, `path` says where images of your own lie, seen from the study file; it is
            about a machine, not about a run, so no run has it.
        published: A file beside the study's, with the figures to compare with.
        results: A folder, seen from the study file, with collected results of the full profile;
            the report of a smaller profile shows them for what it does not run.
        profiles: Keys to set in every point of a profile.
        stages: In order.
    """

    name: Name
    title: str = ""
    about: str = ""
    seed: int = Field(0, ge=0)
    rank_epoch: Literal["last", "best"] = "last"
    preset: str = "keras"
    threads: int = 1
    device: str | None = None
    kernels: str | None = None
    data: Settings = {}
    model: Settings = {}
    train: Settings = {}
    published: str | None = None
    results: str | None = None
    profiles: dict[Profile, Settings] = {}
    stages: tuple[StageSpec, ...] = Field(min_length=1)

    @property
    def data_path(self) -> str | None:
        """Where the images lie, seen from the study file; none if the file does not say.

        Raises:
            SpecError: If it says something that is no path.
        """
        path = self.data.get("path")
        if path is not None and not (isinstance(path, str) and path.strip()):
            raise SpecError(f"data.path: expected a folder or a file, got {path!r}.")
        return path

    def data_place(self, file: str | Path) -> Path | None:
        """Where the images lie, seen from here, given where the study file does."""
        if self.data_path is None:
            return None
        place = Path(file).parent / Path(self.data_path).expanduser()
        # A disk finds no way through a folder that is not there yet, not even out of it again.
        return place if Path(file).parent.exists() else place.resolve()

    def shared(self, profile: str) -> Settings:
        """What a profile sets in every point of every stage."""
        return next((values for name, values in self.profiles.items() if name == profile), {})

    def stage(self, name: str) -> StageSpec:
        """The stage of that name.

        Raises:
            SpecError: If there is none; the message holds the nearest name.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = [stage.name for stage in self.stages]
        raise SpecError(f"no stage is named {name!r}.{did_you_mean(name, known)}")

    def confirmed_by(self, stage: StageSpec) -> StageSpec | None:
        """The stage whose best points a stage confirms; none if it confirms nothing."""
        if stage.confirm is None:
            return None
        if stage.confirm.stage is not None:
            return self.stage(stage.confirm.stage)
        names = [other.name for other in self.stages]
        return self.stages[names.index(stage.name) - 1]

    def needs(self, stage: StageSpec) -> tuple[str, ...]:
        """The stages whose results a stage begins with, in the order it takes them over."""
        confirmed = self.confirmed_by(stage)
        return (*stage.from_, *([confirmed.name] if confirmed else []))


@dataclass(frozen=True)
class Found:
    """What a finished stage hands on.

    Attributes:
        best: Label and settings of its points, best first: all that makes each what it is, with
            what the stage itself took over.
    """

    best: tuple[tuple[str, Settings], ...]

    @property
    def winner(self) -> Settings:
        return self.best[0][1]


@dataclass(frozen=True)
class Point:
    """One row of a stage's table: a label, what it sets, and its runs, one for each seed.

    Attributes:
        is_chosen: Whether the profile runs it.
    """

    label: str
    settings: Settings
    specs: tuple[RunSpec, ...]
    is_chosen: bool


@dataclass(frozen=True)
class Override:
    """One ``--set [STAGE:]KEY=VALUE``; `stage` is empty for all stages."""

    stage: str
    key: str
    value: Any


def points(
    study: StudySpec,
    stage: StageSpec,
    profile: str,
    seed: int,
    earlier: Mapping[str, Found],
    overrides: Iterable[Override] = (),
    found: Sequence[Settings] | None = None,
) -> list[Point]:
    """Every point of a stage, as the profile would run it.

    Args:
        study: The stages' common ground.
        stage: One of its stages.
        profile: ``quick`` or ``full``.
        seed: Of the first repeat of each point that says none; confirming runs have 101 more.
        earlier: What every stage that this one needs has found.
        overrides: Applied last.
        found: Points that a search has chosen; some that it could choose, if not given.

    Raises:
        SpecError: If a point makes no sense; names the stage, the point and the key.
    """
    changes = stage.profile(profile)
    shared = study.shared(profile)
    origin = study.confirmed_by(stage)
    if origin is None or stage.confirm is None:
        base = _base(study, stage)
        base = assign(base, inherited(stage, earlier))
        rows, own, names = stage.settings(), changes.set, {"", stage.name}
        if found is not None:
            rows = [(label(settings), settings) for settings in found]
        repeats = changes.repeats or stage.repeats
    else:  # as they were in the stage that chose them, but for the seeds
        base = _base(study, origin)
        rows = list(earlier[origin.name].best)
        own = layered(origin.profile(profile).set, changes.set)
        names = {"", origin.name, stage.name}
        repeats = changes.repeats or stage.confirm.seeds
    said = [{one.key: one.value} for one in overrides if one.stage in names]
    answer: list[Point] = []
    if found is None:  # what a search has chosen so far need not hold all that is named
        check_only(stage, changes, [{**settings, "label": text} for text, settings in rows])
    for text, settings in rows:
        where = f"stages[{stage.name}]" + (f" point {text!r}" if settings else "")
        values = base
        for more in (settings, shared, own, *said):
            values = assign(values, more, where)
        own_seed = _seed({"seed": seed, **values}, where)
        first = own_seed if stage.confirm is None else seed + FIRST_FRESH_SEED
        nearer = {*settings, *shared, *own, *(override.key for override in overrides)}
        with at_its_place(where, study, stage, nearer):
            specs = tuple(
                RunSpec.parse(one, where)
                for repeat in range(repeats)
                for one in _folded({**values, "seed": first + repeat}, stage.folds, repeat, where)
            )
        is_chosen = stage.is_chosen(profile, {**settings, "label": text})
        if stage.confirm is None or holds(
            {**specs[0].to_dict(), "seed": own_seed}, stage.confirm.among
        ):
            answer.append(Point(text, settings, specs, is_chosen))
    if origin is None or stage.confirm is None:
        return answer
    return _best(origin, answer, stage.confirm.top)


def _seed(values: Mapping[str, Any], where: str) -> int:
    """A point's seed, however it is written."""
    seed = values["seed"]
    return seed if type(seed) is int else RunSpec.parse(values, where).seed


def _split_seed(values: Mapping[str, Any], where: str) -> int:
    """The seed that deals a point's images, however it is written."""
    data = values["data"]
    seed = data.get("split_seed", 0) if isinstance(data, Mapping) else None
    return seed if type(seed) is int else RunSpec.parse(values, where).data.split_seed


def _best(origin: StageSpec, found: Sequence[Point], top: int) -> list[Point]:
    """The first few of some points; of every compared value, where their stage compares some.

    Points that differ in the seed alone that chose them are one point here.
    """
    keys = list(origin.search.compare) if origin.search else []
    taken: dict[str, list[Point]] = {}
    for point in found:
        group = taken.setdefault(repr([point.settings.get(key) for key in keys]), [])
        if len(group) < top and all(point.specs != other.specs for other in group):
            group.append(point)
    kept = [id(point) for group in taken.values() for point in group]
    return [point for point in found if id(point) in kept]


def _folded(
    values: dict[str, Any], folds: int | None, repeat: int, where: str
) -> list[dict[str, Any]]:
    """One run's values, or those of one run for each fold; each repeat deals its own folds."""
    if folds is None:
        return [values]
    dealt = {"data.folds": folds, "data.split_seed": _split_seed(values, where) + repeat}
    return [assign(values, {**dealt, "data.fold": fold}) for fold in range(folds)]


def _base(study: StudySpec, stage: StageSpec) -> dict[str, Any]:
    """What every point of a stage begins with."""
    base: dict[str, Any] = {}
    data = {key: value for key, value in study.data.items() if key != "path"}
    shared = {"data": data, "model": study.model, "train": parts_written_out(study.train)}
    own = {"data": stage.data, "model": stage.model, "train": parts_written_out(stage.train)}
    base |= merge(shared, own)
    base["train"] = written_out(base["train"])
    for key in OF_RUNS:
        for given in (getattr(study, key), getattr(stage, key)):
            if given is not None:
                base[key] = given
    return base


def inherited(stage: StageSpec, earlier: Mapping[str, Found]) -> Settings:
    """What a stage takes over from the winners that it refers to; later ones go above.

    The seed that a winner was found with is no part of it.

    Args:
        stage: Whose ``from`` is followed.
        earlier: What those stages have found.
    """
    found = layered(*(earlier[name].winner for name in stage.from_))
    return {key: value for key, value in found.items() if key != "seed"}


def check(
    study: StudySpec,
    profiles: Sequence[str] = ("quick", "full"),
    overrides: Sequence[Override] = (),
    seed: int | None = None,
) -> list[Point]:
    """Everything about a study that can be known before it runs.

    Args:
        study: Which.
        profiles: Those that it may be run in.
        overrides: Over everything in the study.
        seed: In place of the study's own.

    Returns:
        The points of these profiles that are to be run. In place of a winner that is not known
        yet stands the first point of its stage.

    Raises:
        SpecError: For two stages of one name, a stage that refers to none, to a later one or to
            one that has no winner, or a point that makes no sense.
    """
    check_stages(study.stages)
    _ = study.data_path  # a slip in it is one
    seed = study.seed if seed is None else seed
    answer: list[Point] = []
    for profile in profiles:
        firsts: dict[str, Found] = {}
        tried: dict[str, Sequence[Point]] = {}
        idle: set[str] = set()
        no_nets: dict[str, str] = {}
        for stage in study.stages:
            found = points(study, stage, profile, seed, firsts, overrides)
            over = study.shared(profile), stage.profile(profile).set
            for text, settings in stage.settings():
                check_order([settings, *over], f"stages[{stage.name}] point {text!r}")
            for name, text, settings in other_winners(stage, firsts):
                other = {**firsts, name: Found(((text, settings),))}
                with supposing(f"if {text!r} won {name!r}, which it may"):
                    points(study, stage, profile, seed, other, overrides)
            check_among(stage, found)
            check_images(stage, found)
            check_goals(stage, found)
            tried[stage.name] = found
            origin = study.confirmed_by(stage)
            if origin is not None:
                check_fresh(stage, profile, found, tried[origin.name], overrides)
            chosen = [point for point in found if point.is_chosen]
            waits = [name for name in study.needs(stage) if name in idle]
            if chosen and waits:
                key = "confirm" if stage.confirm else "from"
                raise SpecError(
                    f"stages[{stage.name}].{key}: {waits[0]!r} runs nothing in the profile "
                    f"{profile}, so it has no winner there. Give this stage a `skip` in that "
                    "profile, too, or let the other one run."
                )
            if not chosen and (origin is None or origin.name in idle):
                idle.add(stage.name)
            answer += chosen
            models = [point.specs[0].model for point in chosen]
            no_nets |= check_final(stage.name, stage.is_final, models, study.needs(stage), no_nets)
            base = inherited(stage, firsts)
            firsts[stage.name] = Found(
                tuple((point.label, layered(base, point.settings)) for point in chosen or found)
            )
    return answer
