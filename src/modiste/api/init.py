"""A study file for a data set of your own: looked at, planned for the time there is, written."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modiste.api.given import need_source, workers_to_measure
from modiste.api.init_text import study_text
from modiste.api.progress import looking
from modiste.data.load import usual_num_val
from modiste.data.own import apart
from modiste.data.own import facts as own_facts
from modiste.data.own.division import Division, divide, seal
from modiste.data.own.propose import propose
from modiste.data.own.recognise import recognise
from modiste.data.own.source import images_of
from modiste.data.source import SOURCES, Tell, silent
from modiste.data.types import ImageSet
from modiste.errors import SpecError, StoreError
from modiste.runs import files
from modiste.search.asked import asked_for
from modiste.search.draft import Draft, Facts, draft, most_ambitious
from modiste.search.kinds import Kind, Pace
from modiste.search.plan import forecast
from modiste.search.probe import kinds_to_probe, probe
from modiste.search.study import Study
from modiste.search.survey import Survey, survey
from modiste.spec.files import read_study
from modiste.spec.run import DataSpec, RunSpec
from modiste.spec.study import StudySpec

MINUTES = 15.0
# Keys of `data` that a study file has; those in the second line even where they say nothing new.
WRITTEN = (
    "decode",
    "test_share",
    "skip_bad",
    "keep_duplicates",
    "num_val",
    "split_seed",
    "scaling",
)
ALWAYS_WRITTEN = ("num_val", "split_seed", "scaling")
PROBE_SECONDS = 15.0


@dataclass(frozen=True)
class Begun:
    """A study file that was written.

    Attributes:
        file: Where it lies.
        facts: What was found of the data, as `modiste.api.data.scan` tells it.
        draft: The plan.
        num_workers: For which its time was worked out.
        sealed: The file that says which images are the test part; none if the set came with one.
        notes: What a person should know, such as that this file could not be written.
    """

    file: Path
    facts: dict[str, Any]
    draft: Draft
    num_workers: int
    sealed: Path | None
    notes: tuple[str, ...]


def init_study(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    path: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    minutes: float = MINUTES,
    size: tuple[int, int] | None = None,
    sizing: str | None = None,
    channels: int | None = None,
    test_share: float | None = None,
    skip_bad: bool = False,
    keep_duplicates: bool = False,
    num_workers: int | Literal["here"] | None = None,
    probe_seconds: float = PROBE_SECONDS,
    verbose: bool = False,
    tell: Tell = silent,
    note: Callable[[str], None] = lambda _: None,
) -> Begun:
    """Look at a data set, and write a study file for it.

    Every image is looked at. A set without a test part loses a share of each class to one,
    before anything is trained; which images that are is written beside them with the study file.
    A short probe tells how fast nets go here.

    Args:
        path: A folder of class folders, a folder of IDX files, a `.npz` or a CSV file.
        out: The study file; ``NAME.yaml`` here if not given. One that is there is left alone.
        minutes: That the study may take.
        size: Height and width that images are brought to; proposed if not given.
        sizing: ``stretch``, ``fit``, ``pad`` or ``crop``; proposed if not given.
        channels: 1 or 3; proposed if not given.
        test_share: Of each class, where a test part is split off; 0.2 if not given.
        skip_bad: Leave out unreadable files, up to 1 %.
        keep_duplicates: Let pictures lie in two parts that the set came with.
        num_workers: Runs side by side; one for each core if not given. ``here`` starts no
            processes, and plans for runs one after another in this one.
        probe_seconds: After which nothing new is measured.
        verbose: Show a bar while images are looked at, in a notebook as well.
        tell: Told how many images were looked at, of how many.
        note: Told what begins.

    Raises:
        DataError: If something speaks against training on these images; says what.
        SpecError: If an argument makes no sense.
        StoreError: If the study file is there already, or cannot be written.
    """
    if not minutes > 0:
        raise SpecError(f"--minutes {minutes:g}: expected more than none.")
    _need_size(size)
    workers, is_here = workers_to_measure(num_workers)
    kind, place = recognise(Path(need_source(path)))
    # Two plans for one data set are two studies, each with a folder of its own.
    name = _slug(place) if out is None else _slug(place, Path(out))
    file = Path(out) if out is not None else Path(f"{name}.yaml")
    if file.exists():
        raise StoreError(
            f"{file}: is there already, and is left alone. Name another with --out FILE (`out=` in "
            "Python), or move it away."
        )
    look = SOURCES.get(kind)(place).stock
    assert look is not None, "whatever is recognised by looking can be looked at"
    decode = {"size": size and list(size), "sizing": sizing, "channels": channels}
    said: dict[str, Any] = {
        "decode": {key: value for key, value in decode.items() if value is not None},
        "test_share": test_share,
        "skip_bad": skip_bad,
        "keep_duplicates": keep_duplicates,
    }
    with looking(tell, is_shown=verbose) as told:
        stock = look(told)
        spec = propose(stock, {key: value for key, value in said.items() if value is not None})
        division = divide(stock, spec, is_growing=True)
        images = images_of(division, told)
    spec = spec.model_copy(update={"num_val": usual_num_val(images)})

    def pace(kinds: Mapping[Kind, RunSpec]) -> Mapping[Kind, Pace]:
        note(f"Measuring {len(kinds)} kinds of work for at most about {probe_seconds:.0f} s ...")
        return probe(kinds, images, workers, probe_seconds, is_here=is_here).paces

    plan = _plan(name, _facts(spec, images), images, minutes, workers, pace)
    values = {"name": name, **plan.values}
    values["data"] = {"name": kind, "path": _seen_from(file, place), **values["data"]}
    # Sealed when there is a plan: who is stopped before leaves nothing behind.
    sealed, notes = _seal(division, spec)
    facts = own_facts.of_division(divide(stock, spec))
    _write(file, study_text(file, values, facts, plan, workers), values)
    return Begun(file, facts, plan, workers, sealed, notes)


def _seal(division: Division, spec: DataSpec) -> tuple[Path | None, tuple[str, ...]]:
    """Write the split-off test part down: where that is, and what to say if it cannot be."""
    if spec.test_share is None:
        return None, ()
    trouble = seal(division, spec.test_share)
    place = apart.place(division.stock.listing.path)
    return (place if place.is_file() else None), ((trouble,) if trouble else ())


def _facts(spec: DataSpec, images: ImageSet) -> Facts:
    """What the plan depends on; of `data`, only what is not as it would be anyway."""
    written = {key: value for key, value in spec.to_dict().items() if key in WRITTEN}
    default = DataSpec().to_dict()
    data = {
        key: value
        for key, value in written.items()
        if key in ALWAYS_WRITTEN or value != default[key]
    }
    return Facts(data, images.shape_CHW, images.counts(), spec.num_val)


def _plan(
    name: str,
    facts: Facts,
    images: ImageSet,
    minutes: float,
    num_workers: int,
    pace: Callable[[Mapping[Kind, RunSpec]], Mapping[Kind, Pace]],
) -> Draft:
    """The plan that fits into the time, by the pace that nets are found to have here."""
    with tempfile.TemporaryDirectory(prefix="modiste-init-") as folder:

        def surveyed(values: dict[str, Any]) -> Survey:
            spec = StudySpec.parse({"name": name, **values})
            study = Study.create(
                Path(folder) / "study",
                spec,
                profile="quick",
                seed=0,
                data_digest=images.digest,
                is_written=False,
            )
            return survey(study, images, asked_for(spec))

        paces = pace(kinds_to_probe(surveyed(most_ambitious(facts))))
        return draft(
            facts,
            60 * minutes,
            lambda values: forecast(surveyed(values), paces, num_workers).seconds,
        )


def _slug(*paths: Path) -> str:
    """A study's name from paths that are called differently: lower-case words and hyphens."""
    stems = dict.fromkeys(path.absolute().stem.lower() for path in paths)
    words = (re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:30].strip("-") for stem in stems)
    return "-".join(dict.fromkeys(filter(None, words))) or "images"


def _seen_from(file: Path, path: Path) -> str:
    """A path as the study file sees it."""
    return os.path.relpath(path.resolve(), file.absolute().parent.resolve())


def _write(file: Path, text: str, values: dict[str, Any]) -> None:
    """Write the study file, once it is seen to say what was meant."""
    with tempfile.TemporaryDirectory(prefix="modiste-init-") as folder:
        draft_file = Path(folder) / file.name
        draft_file.write_text(text, encoding="utf-8")
        spec, _ = read_study(draft_file)
        meant = StudySpec.parse(values)
        words = {"title": spec.title, "about": spec.about}
        stages = tuple(
            stage.model_copy(update={"title": said.title, "about": said.about})
            for stage, said in zip(meant.stages, spec.stages, strict=True)
        )
        assert spec == meant.model_copy(update={**words, "stages": stages}), "the text says more"
    files.write_bytes(file, files.to_utf8(text))


def _need_size(given: object) -> None:
    """That a size is two numbers, if there is one; which they are is looked at with the others."""
    if given is not None and not (isinstance(given, tuple | list) and len(given) == 2):
        raise SpecError(f"size: {given!r}; expected height and width, such as (32, 32).")
