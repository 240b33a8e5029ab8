"""What a study will take, from Python, before anything of it is run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modiste.api.given import workers_to_measure
from modiste.api.opening import open_study
from modiste.cores import num_cores
from modiste.errors import StoreError
from modiste.search.asked import asked_for
from modiste.search.kinds import Pace
from modiste.search.plan import Disk, Forecast, disk_of, forecast
from modiste.search.probe import PROBE_SECONDS, Probed, kinds_to_probe, probe
from modiste.search.survey import Survey, survey, with_guesses

# Workers that get a smaller share of their cores have company worth a word.
BUSY = 0.85


@dataclass(frozen=True)
class Plan:
    """What a study will take on this machine.

    Attributes:
        folder: Of the study; it need not be there.
        profile: ``quick`` or ``full``.
        forecast: Runs and time, by stage and in all.
        misfits: Why some of the runs to do will fail at once, each after the name of its stage:
            their points make no model for the images.
        left: Stages that will not be run, because one that they need has points left.
        disk: Of the study folder.
        free_bytes: On that disk.
        num_processes: Workers that have something to do.
        available_bytes: Of memory, where the system tells.
        probed: What was measured for it; none if there is nothing to do.
        alone_seconds: What the study would take if other programs left the cores alone, as far
            as the pace was measured; none if they did, or there are fewer cores than workers.
    """

    folder: Path
    profile: str
    forecast: Forecast
    misfits: tuple[str, ...]
    left: tuple[str, ...]
    disk: Disk
    free_bytes: int
    num_processes: int
    available_bytes: int | None
    probed: Probed | None
    alone_seconds: float | None

    @property
    def memory_bytes(self) -> int:
        """Of the driver and all workers at once; 0 if nothing was measured."""
        if self.probed is None:
            return 0
        return self.probed.driver_bytes + self.num_processes * self.probed.worker_bytes

    @property
    def missing_disk_bytes(self) -> int:
        """How much more the disk must have than is free; 0 if it fits."""
        return max(0, self.disk.peak - self.disk.now - self.free_bytes)

    @property
    def missing_memory_bytes(self) -> int:
        """How much more memory is needed than there is; 0 if it fits, or nobody knows."""
        if self.available_bytes is None:
            return 0
        return max(0, self.memory_bytes - self.available_bytes)


def plan_study(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    file: str | os.PathLike[str] | Mapping[str, Any],
    *,
    profile: str = "quick",
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    stages: str | Iterable[str] | None = None,
    settings: str | Iterable[str] | Mapping[str, Any] = (),
    only: str | Iterable[str] | Mapping[str, Any] = (),
    num_workers: int | Literal["here"] | None = None,
    data_folder: str | os.PathLike[str] | None = None,
    probe_seconds: float = PROBE_SECONDS,
    tell: Callable[[int, int], None] = lambda num_kinds, num_workers: None,
) -> Plan:
    """Tell how many runs a study is, how long they take, and how much memory and disk.

    Each kind of work is begun for a moment in worker processes, as many at once as the study
    would have. The study's folder is read, if it is there, and never written.

    Args:
        file: A study file, or what would stand in one, as a dictionary.
        profile: ``quick`` or ``full``.
        out: The study folder; ``runs/NAME-PROFILE`` if not given. What is finished there is done.
        seed: Of every point; the file's if not given.
        stages: These and those they need; all if not given.
        settings: ``[STAGE:]KEY=VALUE``, one or several, over everything in the file; or keys and
            values, such as ``{"train.epochs": 5}``.
        only: The same: the points that agree, and not the others.
        num_workers: Runs side by side (threads in all); one for each core if not given. ``here``
            starts no processes, and plans for runs one after another in this one.
        data_folder: Where the data set lies; looked for if not given.
        probe_seconds: After which nothing new is measured.
        tell: Called before measuring begins, with the number of kinds of work and of workers.

    Raises:
        SpecError: If the file, a setting, a stage or the number of workers makes no sense.
        DataError: If the data cannot be had.
        StoreError: If the folder could not be written, or holds another study.
    """
    workers, is_here = workers_to_measure(num_workers)
    opened = open_study(
        file,
        profile=profile,
        out=out,
        seed=seed,
        stages=stages,
        settings=settings,
        only=only,
        data_folder=data_folder,
        is_written=False,
    )
    study, images = opened.study, opened.images
    place = _place_for(study.folder)
    asked = asked_for(study.spec, opened.stages, opened.only)
    if opened.only:
        asked.check(with_guesses(study))
    found = survey(study, images, asked)
    kinds = kinds_to_probe(found)
    probed = None
    if kinds:
        tell(len(kinds), workers)
        probed = probe(kinds, images, workers, probe_seconds, is_here=is_here)
    return Plan(
        folder=study.folder,
        profile=profile,
        forecast=forecast(found, probed.paces if probed else {}, workers),
        misfits=tuple(f"{run.stage}: {run.misfit}" for run in found.misfits),
        left=found.left,
        disk=disk_of(found, workers, images.images_NCHW.nbytes + images.labels_N.nbytes),
        free_bytes=shutil.disk_usage(place).free,
        num_processes=min(workers, len(found.todo)),
        available_bytes=_available_bytes(),
        probed=probed,
        alone_seconds=_alone(found, probed, workers),
    )


def _alone(found: Survey, probed: Probed | None, num_workers: int) -> float | None:
    if probed is None or probed.core_share > BUSY or num_workers > num_cores():
        return None
    share = probed.core_share
    paces = {
        kind: Pace(*(share * seconds for seconds in pace)) for kind, pace in probed.paces.items()
    }
    return forecast(found, paces, num_workers).seconds


def _place_for(folder: Path) -> Path:
    """The folder, or what it would be made in.

    Raises:
        StoreError: If it could not be made there.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise StoreError(
            f"{folder}: cannot be written. Choose another folder with --out DIR (`out=` in Python)."
        )
    return place


def _available_bytes() -> int | None:
    """Memory that could be had without swapping; none where nobody tells, as outside Linux."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith("MemAvailable:")]
    return int(found[0].split()[1]) << 10 if found else None
