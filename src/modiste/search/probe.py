"""A short probe: how fast kinds of work go on this machine, while all its workers are busy."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from modiste.cores import memory_bytes
from modiste.data.load import save_arrays
from modiste.data.types import ImageSet
from modiste.search.children import server_bytes
from modiste.search.kinds import Kind, Pace, in_order, pace_of
from modiste.search.plan import paces_of_finished
from modiste.search.pool import Death, Event, Load, Pool, Trouble, Workers, Works, raise_trouble
from modiste.search.survey import Survey
from modiste.spec.run import RunSpec
from modiste.train.task import Sample, Task

# By then the last kind should be measured; what is left is told by its FLOPs.
PROBE_SECONDS = 30.0
# Updates of a kind are timed for so long; of the dearest nets, two of them take longer.
KIND_SECONDS = 0.4
# Workers that end before anything is measured, until no more are tried.
DEATHS_ALLOWED = 3
WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class Probed:
    """What a probe found.

    Attributes:
        paces: By kind of work.
        core_share: Of the processor's time that the workers could have had, what they got; the
            rest went to other programs.
        worker_bytes: Memory of the largest worker.
        driver_bytes: Memory of this process, which would drive the study, and of the one that
            workers are forked from; 0 where this process is the worker, too.
        seconds: What the probe took.
        broken: Why some kinds could not be measured.
    """

    paces: Mapping[Kind, Pace]
    core_share: float
    worker_bytes: int
    driver_bytes: int
    seconds: float
    broken: tuple[str, ...] = ()


def kinds_to_probe(survey: Survey) -> dict[Kind, RunSpec]:
    """One run of each kind of work to do, in the order in which they are worth measuring.

    Kinds of which runs were finished here are not, but for the dearest of each family: how much
    memory it takes nothing else tells.
    """
    specs: dict[Kind, RunSpec] = {}
    flops: dict[Kind, float] = defaultdict(float)
    for run in survey.todo:
        if run.kind is not None:
            specs.setdefault(run.kind, run.spec)
            flops[run.kind] += run.flops
    finished = paces_of_finished(survey.runs.values())
    dearest = {kind.family: kind for kind in sorted(specs, key=lambda k: k.flops_per_update)}
    return {
        kind: specs[kind]
        for kind in in_order(flops)
        if kind not in finished or kind in dearest.values()
    }


def _probing(load: Load) -> Works:
    from modiste.train.pace import Prober  # in the workers; this process needs no torch

    return Prober(load)


def probe(
    kinds: Mapping[Kind, RunSpec],
    images: ImageSet,
    num_workers: int,
    seconds: float = PROBE_SECONDS,
    *,
    is_here: bool = False,
) -> Probed:
    """Begin a run of each kind in worker processes, as many at once as a study would have.

    Nothing is written but a copy of the images, in a temporary folder that goes again.

    Args:
        kinds: A run of each, the most important first.
        images: All that may be trained on.
        num_workers: Threads in all.
        seconds: By which all should be measured; nothing is begun that would take longer.
        is_here: Begin them in this process, one after another; it starts no other.

    Raises:
        SpecError: If a run makes no sense for these images.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="modiste-plan-") as folder:
        save_arrays(images, Path(folder))
        with _workers(Path(folder), images.digest, is_here=is_here) as workers:
            found, broken = _measure(workers, list(kinds.items()), num_workers, began + seconds)
            # Here, who drives is who works, and has been counted.
            driver_bytes = 0 if is_here else memory_bytes() + server_bytes()
    samples = [sample for some in found.values() for sample in some]
    return Probed(
        paces={kind: _mean(some) for kind, some in found.items()},
        core_share=fmean(sample.core_share for sample in samples) if samples else 1.0,
        worker_bytes=max((sample.memory_bytes for sample in samples), default=0),
        driver_bytes=driver_bytes,
        seconds=time.monotonic() - began,
        broken=tuple(broken),
    )


@contextmanager
def _workers(arrays: Path, data_digest: str, *, is_here: bool) -> Iterator[Workers]:
    if is_here:
        from modiste.search.here import Here  # torch, which nobody else needs in this process

        with Here(arrays, data_digest, worker=_probing) as here:
            yield here
        return
    with Pool(arrays, data_digest, _probing) as pool:
        try:
            yield pool
        finally:
            pool.kill()  # nobody waits for what is under way


def _measure(
    pool: Workers, kinds: Sequence[tuple[Kind, RunSpec]], num_workers: int, until: float
) -> tuple[dict[Kind, list[Sample]], list[str]]:
    """Samples of each kind, as far as the time goes; and what went wrong.

    A worker that finds nothing new measures something again, as long as others are at work:
    beside an idle core everything would seem faster than it is.
    """
    found: dict[Kind, list[Sample]] = defaultdict(list)
    broken: list[str] = []
    specs = dict(kinds)
    # Those that need more threads go first: no core idles before them.
    waiting = sorted(specs, key=lambda kind: -kind.threads)
    again: list[Kind] = []
    under_way: dict[str, Kind] = {}
    new: set[str] = set()
    while True:
        paces = {kind: _mean(samples) for kind, samples in found.items()}
        waiting = _in_time(waiting, paces, len(broken), until - time.monotonic())
        while waiting or (again and new):
            kind = waiting[0] if waiting else again[0]
            used = sum(under_way[name].threads for name in pool.running)
            if pool.running and used + kind.threads > num_workers:
                break
            name = str(len(under_way))
            under_way[name] = kind
            if waiting:
                new.add(name)
            (waiting or again).pop(0)
            pool.submit(Task(specs[kind], name, None, KIND_SECONDS))
        if not new:
            return found, broken
        for event in pool.events(WAIT_SECONDS):
            kind = under_way[event.fingerprint]
            is_new = event.fingerprint in new
            new.discard(event.fingerprint)
            if isinstance(event, Death) and not event.had_begun:  # which says nothing of the kind
                (waiting if is_new else again).insert(0, kind)
            elif isinstance(event, Sample):
                found[kind].append(event)
                again.append(kind)
            else:
                broken.append(f"{kind.family} of {kind.parameters:,} parameters: {_why(event)}")


def _in_time(
    waiting: list[Kind], paces: Mapping[Kind, Pace], num_broken: int, left_seconds: float
) -> list[Kind]:
    """Those that can still be measured; none where workers die over whatever is tried."""
    if paces:
        return [kind for kind in waiting if _lasts(kind, paces) < left_seconds]
    return [] if num_broken >= DEATHS_ALLOWED else waiting


def _lasts(kind: Kind, paces: Mapping[Kind, Pace]) -> float:
    """About how many seconds it takes to measure a kind, as far as that can be told by others."""
    pace = pace_of(kind, paces)
    return KIND_SECONDS + (3 * pace.per_update if pace else 0.0)


def _why(event: Event) -> str:
    """Why a worker measured nothing; a mistake in the spec, or of ours, ends the probe."""
    if isinstance(event, Trouble):
        raise_trouble(event)
    return str(event)


def _mean(samples: Sequence[Sample]) -> Pace:
    return Pace(
        fmean(sample.seconds_per_update for sample in samples),
        fmean(sample.seconds_per_image for sample in samples),
    )
