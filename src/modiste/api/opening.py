"""A study as it was asked for: its file read, everything said beside it checked, its data there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modiste.api.devices import need_devices
from modiste.api.given import each_name, each_override
from modiste.atomic import write_whole
from modiste.data.load import divide
from modiste.data.own.names import shown
from modiste.data.places import reachable
from modiste.data.source import OWN_KEYS, Source, Tell, open_source, silent
from modiste.data.types import ImageSet
from modiste.errors import DataError, ResumeError, SpecError, StoreError
from modiste.models.layers import describe
from modiste.runs import files
from modiste.search.collect import summary
from modiste.search.study import DATA_FACTS, ELSEWHERE, Study
from modiste.spec.files import read_study, study_text
from modiste.spec.run import DataSpec, RunSpec
from modiste.spec.stage_checks import check_order
from modiste.spec.study import Override, Point, StageSpec, StudySpec, check


@dataclass(frozen=True)
class Opened:
    """A study as it was asked for: read, checked, with its data; nothing of it is run yet.

    Attributes:
        stages: Names of those that are asked for; none for all.
        only: Of their points, those that agree with each of these.
        data: How the images are divided.
    """

    study: Study
    source: Source
    images: ImageSet
    data: DataSpec
    stages: list[str] | None
    only: list[Override]


def open_study(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    file: str | os.PathLike[str] | Mapping[str, Any],
    *,
    profile: str,
    out: str | os.PathLike[str] | None,
    seed: int | None,
    stages: str | Iterable[str] | None,
    settings: str | Iterable[str] | Mapping[str, Any],
    only: str | Iterable[str] | Mapping[str, Any],
    data_folder: str | os.PathLike[str] | None,
    is_written: bool = True,
    is_here: bool = True,
    tell: Tell = silent,
) -> Opened:
    """Read a study file and all that was said beside it, and load the data.

    Arguments and errors are those of `run_study`; unless `is_written`, the study's folder is
    neither made nor changed. Where runs are computed here (`is_here`), their device has to be. The
    file of a dictionary is written once the study was accepted: until then the folder may hold that
    of another one.
    """
    file, content = _file_of(file, profile, out)
    spec, published = read_study(Path(file), content)
    if profile not in ("quick", "full"):
        raise SpecError(f"--profile {profile}: expected quick or full.")
    overrides = each_override(settings, "settings", "--set")
    parts = each_override(only, "only", "--only")
    for override in overrides:
        _check_setting(spec, override, "--set")
    for part in parts:
        _check_setting(spec, part, "--only")
    wanted = None if stages is None else each_name(stages, "stages")
    for name in wanted or ():
        spec.stage(name)
    seed = _seed(spec, seed)
    chosen = check(spec, (profile,), overrides, seed)
    if not chosen:
        raise SpecError(f"--profile {profile}: every stage is skipped; there is nothing to run.")
    if is_here:
        need_devices(run.device for point in chosen for run in point.specs)
    data_specs = list(dict.fromkeys(run.data for point in chosen for run in point.specs))
    source = _source(data_specs, data_folder or _data_place(spec, Path(file)), tell)
    folder = Path(out) if out is not None else Path("runs") / f"{spec.name}-{profile}"
    if is_written:
        files.need_writable(folder)
    images = source.load_train()
    _check_fit(images, data_specs, chosen)
    _check_undone(spec, overrides)
    _check_names(folder, source)
    study = Study.create(
        folder,
        spec,
        profile=profile,
        seed=seed,
        data_digest=images.digest,
        overrides=overrides,
        published=published,
        committed=_committed(Path(file), spec, profile),
        file=file,
        is_written=is_written,
    )
    if is_written and content is not None:
        write_whole(Path(file), content.encode())
    return Opened(study, source, images, data_specs[0], wanted, parts)


def _check_setting(spec: StudySpec, said: Override, option: str) -> None:
    """Whether ``[STAGE:]KEY`` speaks of a stage that is there, and of a run's keys.

    Raises:
        SpecError: If not; says what would.
    """
    if said.stage:
        spec.stage(said.stage)
    first, _, rest = said.key.partition(".")
    if first in RunSpec.model_fields:
        return  # what is wrong further down is said with the run that it makes no sense in
    is_key = rest.partition(".")[0] in RunSpec.model_fields
    if not said.stage and is_key and first in {stage.name for stage in spec.stages}:
        raise SpecError(f"{option} {said.key}: no such key. Of that stage it is {first}:{rest}=...")
    fields = {**StudySpec.model_fields, **StageSpec.model_fields}
    if first in {field.alias or name for name, field in fields.items()}:
        raise SpecError(
            f"{option} {said.key}: it reaches what runs are made of: "
            f"{', '.join(sorted(RunSpec.model_fields))}. What else a study or a stage says, such "
            f"as {first}, stands in its file alone."
        )


def _check_undone(spec: StudySpec, overrides: Sequence[Override]) -> None:
    """Refuse what is set over a study and would leave its points without what they differ in."""
    for stage in spec.stages:
        over = [{said.key: said.value} for said in overrides if said.stage in ("", stage.name)]
        for text, settings in stage.settings():
            check_order([settings, *over], f"stages[{stage.name}] point {text!r}")


def _check_names(folder: Path, source: Source) -> None:
    """Whether classes have the names that they had for a study that is there.

    Raises:
        ResumeError: If not; says which.
    """
    path = folder / DATA_FACTS
    if source.facts is None or not path.exists():
        return
    names = source.facts()["class_names"]
    try:
        before = files.read_json(path)["class_names"]
    except (StoreError, KeyError):  # damaged; it is written anew
        return
    pairs = [(old, new) for old, new in zip(before, names, strict=False) if old != new]
    if len(before) == len(names) and pairs:
        some = ", ".join(f"{shown(old)} is {shown(new)} now" for old, new in pairs[:3])
        more = f" and {len(pairs) - 3} more" if len(pairs) > 3 else ""
        raise ResumeError(
            f"{folder}: of the classes that this study knows, {some}{more}. Give them their names "
            f"back. {ELSEWHERE}"
        )


def _seed(spec: StudySpec, seed: int | None) -> int:
    """What was asked for, or what the file says."""
    if seed is not None and (type(seed) is not int or seed < 0):
        raise SpecError(f"--seed {seed}: expected a whole number from 0 up.")
    return spec.seed if seed is None else seed


def _file_of(
    given: object, profile: str, out: str | os.PathLike[str] | None
) -> tuple[str, str | None]:
    """The study file that is named, or that of a dictionary and what is to stand in it.

    A dictionary's lies in the folder of its study.
    """
    if isinstance(given, str | os.PathLike):
        return os.fspath(given), None
    if not isinstance(given, Mapping):
        raise SpecError(
            "file: expected the path of a study file, or a dictionary of what would stand in one; "
            f"got {type(given).__name__}."
        )
    name = str(given.get("name", "study"))
    folder = Path(out) if out is not None else Path("runs") / f"{name}-{profile}"
    return str(folder / f"{name}.yaml"), study_text(given, name)


def _committed(file: Path, spec: StudySpec, profile: str) -> dict[str, Any]:
    """What collected results of the full profile say, for a smaller one to show."""
    folder = file.parent / spec.results if spec.results else None
    if profile == "full" or folder is None or not (folder / "study.json").is_file():
        return {}
    return summary(Study(folder))


def _data_place(spec: StudySpec, file: Path) -> Path | None:
    """Where a study file says that the images lie.

    Raises:
        DataError: If nothing is there.
    """
    place = spec.data_place(file)
    if place is not None and not reachable(place).exists():
        raise DataError(
            f"{file}: data.path: {spec.data_path}: no such file or folder, seen from where the "
            f"study file lies ({place.absolute()}). Mend it there, or name the place with --data "
            "(`data_folder=` in Python)."
        )
    return place


def _source(specs: Sequence[DataSpec], folder: str | os.PathLike[str] | None, tell: Tell) -> Source:
    for key in ("name", *OWN_KEYS):
        values = list(dict.fromkeys(getattr(spec, key) for spec in specs))
        if len(values) > 1:
            some = sorted(map(str, values))
            raise SpecError(f"data.{key}: a study is of one data set; this one names {some}.")
    return open_source(specs[0], Path(folder) if folder is not None else None, tell)


def _check_fit(images: ImageSet, specs: Iterable[DataSpec], chosen: Iterable[Point]) -> None:
    """Say what does not fit the images before anything runs."""
    for spec in specs:
        divide(images, spec)
    for point in chosen:
        try:
            describe(point.specs[0].model.params, images.shape_CHW, images.num_classes)
        except SpecError as error:
            raise SpecError(f"point {point.label!r}: {error}") from None
