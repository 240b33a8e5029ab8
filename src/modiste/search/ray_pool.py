"""Workers on a Ray cluster, behind the same contract as child processes.

A task goes to whichever node has room for it and comes back with a checkpoint; between two tasks
nothing of a run is left there. So a node may go at any moment, and a cluster may grow. Ray itself
tries nothing again: whoever drives the study does, and counts.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from modiste.data.load import TrainingData, divide, map_arrays
from modiste.data.types import ImageSet
from modiste.errors import InstallError, SpecError, StoreError, first_sentence
from modiste.search.pool import Death, Event, Load, Trouble, Works, answer, training
from modiste.spec.run import DataSpec, RunSpec, versions_here
from modiste.train.task import Outcome, Progress, Sample, Task

# How often a task asks whether to stop, in seconds.
ASK_SECONDS = 0.5


def need_ray() -> None:
    """Say how to install Ray, before anything imports it.

    Raises:
        InstallError: If it is not installed.
    """
    if find_spec("ray") is None:
        raise InstallError(
            "--workers ray needs ray, which comes with an extra. Install it on every node:\n"
            "  pip install 'modiste[ray]'\n"
            "or, in a checkout:  pip install -c constraints.txt -e '.[ray]'"
        )


class RayPool:
    """Runs as tasks of a Ray cluster.

    Args:
        arrays: A folder written by `save_arrays`; its images travel to each node once.
        data_digest: Of those images.
        address: Of the cluster, such as ``auto`` or ``10.0.0.1:6379``; if not given, what
            ``RAY_ADDRESS`` says. Without either, one is started on this machine, and ended with
            the pool, whatever other clusters it is part of.
        gpu_share: What each run gets of a GPU, such as 0.25; of CPUs it gets its threads.
        worker: Makes a task's worker, given what loads the data for a spec.

    Raises:
        InstallError: If Ray is not installed.
        StoreError: If no cluster answers at that address.
    """

    def __init__(
        self,
        arrays: Path,
        data_digest: str,
        address: str | None = None,
        gpu_share: float = 0.0,
        worker: Callable[[Load], Works] = training,
    ) -> None:
        need_ray()
        ray = self._ray = _ray()
        self._gpu_share = gpu_share
        self._owns = not ray.is_initialized()
        if self._owns:
            _connect(address)
        images = map_arrays(arrays)
        # A copy: what is mapped from a file here is none elsewhere.
        images = replace(images, images_NCHW=np.array(images.images_NCHW))
        self._images = ray.put(images)
        self._digest = data_digest
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=here).remote()
        self._work = ray.remote(_work)
        self._worker = worker
        self._busy: dict[Any, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for reference in self._busy:
            self._ray.cancel(reference, force=True)
        if self._owns:
            self._ray.shutdown()

    @property
    def num_threads(self) -> int:
        with self._cluster():
            return max(1, int(self._ray.cluster_resources().get("CPU", 0)))

    @property
    def running(self) -> list[str]:
        return list(self._busy.values())

    def need_room(self, specs: Sequence[RunSpec]) -> None:
        _need_share(specs, self._gpu_share)
        threads = max(spec.threads for spec in specs)
        with self._cluster():
            _need_node(self._ray.nodes(), threads, self._gpu_share)

    def submit(self, task: Task) -> None:
        self._board.begin.remote(task.fingerprint)
        reference = self._work.options(
            num_cpus=task.spec.threads,
            num_gpus=self._gpu_share,
            max_retries=0,
            name=task.fingerprint[:16],
        ).remote(self._worker, self._images, self._digest, versions_here(), task, self._board)
        self._busy[reference] = task.fingerprint

    def stop(self, fingerprints: Collection[str] | None = None) -> None:
        asked = [each for each in self.running if fingerprints is None or each in fingerprints]
        with self._cluster():
            begun = set(self._ray.get(self._board.stop.remote(asked)))
            for reference, fingerprint in self._busy.items():
                # One that has not begun may never do so: there is no room for it.
                if fingerprint in asked and fingerprint not in begun:
                    self._ray.cancel(reference)

    def events(self, timeout_seconds: float) -> Iterator[Event]:
        with self._cluster():
            ended, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=timeout_seconds)
            news: list[Progress] = self._ray.get(self._board.news.remote())
        for progress in news:
            if progress.fingerprint in self._busy.values():
                yield progress
        for reference in ended:
            yield self._ended(reference, self._busy.pop(reference))

    def _ended(self, reference: Any, fingerprint: str) -> Event:
        errors = self._ray.exceptions
        try:
            event: Event = self._ray.get(reference)
            return event
        except errors.TaskCancelledError:  # by `stop`, before it had begun
            return Outcome(fingerprint)
        except errors.RayTaskError as error:
            return _broken(error, fingerprint)
        except errors.RayError as error:
            return Death(fingerprint, None, first_sentence(error))

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[None]:
        """Whose loss is no bug of ours."""
        try:
            yield
        except self._ray.exceptions.RayError as error:
            raise StoreError(
                f"the Ray cluster was lost ({first_sentence(error)}). Everything done "
                "is saved: start it again, and then the same command."
            ) from None


def _ray() -> Any:
    """Ray, which may not be there for whoever checks types."""
    return importlib.import_module("ray")


def _connect(address: str | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray()
    named = address or os.environ.get("RAY_ADDRESS")
    quiet = {} if named else {"include_dashboard": False}
    try:
        # Given no address, Ray would look for any cluster that was started here.
        ray.init(named or "local", log_to_driver=False, logging_level="ERROR", **quiet)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        if not named:
            raise StoreError(f"Ray cannot be started here ({first_sentence(error)}).") from None
        raise StoreError(
            f"{f'--ray-address {address}' if address else f'RAY_ADDRESS={named}'}: no Ray cluster "
            f"can be used there ({first_sentence(error)}). Start one with `ray start --head`, or "
            "leave the address out to use this machine alone."
        ) from None


def _broken(error: Any, fingerprint: str) -> Death | Trouble:
    """What an exception means that a task ended with, where it was done.

    As with a child, the machine is to blame for an `OSError`, and for what Ray itself raises, such
    as images that were lost with a node: another node may fare better. All else would go wrong
    again, on each of them.
    """
    errors = _ray().exceptions
    cause = error.cause
    # Ray puts a plain `RayError` in the place of what it could not send.
    is_of_ray = isinstance(cause, errors.RayError) and type(cause) is not errors.RayError
    if is_of_ray or isinstance(cause, OSError | EOFError):
        return Death(fingerprint, None, first_sentence(cause))
    return Trouble(fingerprint, str(error), is_ours=True)


def _need_share(specs: Sequence[RunSpec], gpu_share: float) -> None:
    """See `Workers.need_room`: what has no share of a GPU is shown none, wherever it runs."""
    if not gpu_share and any(spec.device == "cuda" for spec in specs):
        raise SpecError(
            "device: cuda, but Ray shows a run no GPU that asks for no share of one. Give "
            "--gpu-share (`gpu_share=` in Python), such as 1, or 0.25 for four runs on each GPU."
        )


def _need_node(nodes: Sequence[Mapping[str, Any]], threads: int, gpu_share: float) -> None:
    """See `Workers.need_room`.

    Args:
        nodes: As `ray.nodes` lists them.
        threads: Of the run.
        gpu_share: What it gets of a GPU.
    """
    wanted = {"CPU": threads, "GPU": gpu_share}
    there = [node["Resources"] for node in nodes if node["Alive"]]
    if any(all(node.get(k, 0.0) >= num for k, num in wanted.items()) for node in there):
        return
    counts = Counter(_resources(node) for node in there)
    has = "; ".join(f"{num} with {what}" for what, num in sorted(counts.items())) or "none"
    raise SpecError(
        f"a run needs {_resources(wanted)} (`threads` in the study, and --gpu-share), which no "
        f"node of the Ray cluster has. Nodes: {has}. Ask for less, or start a node that has it."
    )


def _resources(those: Mapping[str, float]) -> str:
    return f"{those.get('CPU', 0.0):g} CPU and {those.get('GPU', 0.0):g} GPU"


class _Board:
    """An actor beside the driver: what runs say of themselves, and which are to stop."""

    def __init__(self) -> None:
        self._news: dict[str, Progress] = {}
        self._begun: set[str] = set()
        self._stopped: set[str] = set()

    def begin(self, fingerprint: str) -> None:
        """A task was submitted; nobody has asked it to stop."""
        self._begun.discard(fingerprint)
        self._stopped.discard(fingerprint)

    def tell(self, fingerprint: str, progress: Progress | None) -> bool:
        """A task is at work; returns whether it is to stop."""
        self._begun.add(fingerprint)
        if progress is not None:
            self._news[fingerprint] = progress
        return fingerprint in self._stopped

    def stop(self, fingerprints: list[str]) -> list[str]:
        """Ask tasks to stop; returns those that have begun, and will hear of it."""
        self._stopped.update(fingerprints)
        return [name for name in fingerprints if name in self._begun]

    def news(self) -> list[Progress]:
        """The last word of each task since the last time."""
        news, self._news = self._news, {}
        return list(news.values())


class _Ear:
    """What a task hears of the board, whose answers it does not wait for."""

    def __init__(self, board: Any, fingerprint: str) -> None:
        self._board, self._fingerprint = board, fingerprint
        self._is_to_stop = False
        self.tell(None)

    def tell(self, progress: Progress | None) -> None:
        self._asked = time.monotonic()
        self._answer: Future[bool] = self._board.tell.remote(self._fingerprint, progress).future()

    def should_stop(self) -> bool:
        if self._answer.done():
            self._is_to_stop = self._is_to_stop or self._answer.result()
            if time.monotonic() - self._asked > ASK_SECONDS:
                self.tell(None)
        return self._is_to_stop


# Of the process of a node that does tasks, one after another: the last division that it made.
_divided: dict[tuple[str, DataSpec], TrainingData] = {}


def _work(
    make: Callable[[Load], Works],
    images: ImageSet,
    data_digest: str,
    versions: Mapping[str, Any],
    task: Task,
    board: Any,
) -> Outcome | Sample | Trouble:
    """A task, where it is done; versions are those of whoever drives."""
    if versions != versions_here():
        return Trouble(
            task.fingerprint,
            f"node {platform.node()} has {dict(versions_here())}, and the driver "
            f"{dict(versions)}: install the same on every node.",
            is_ours=False,
        )

    def load(spec: RunSpec) -> TrainingData:
        name = data_digest, spec.data
        if name not in _divided:
            _divided.clear()
            _divided[name] = divide(images, spec.data, data_digest)
        return _divided[name]

    ear = _Ear(board, task.fingerprint)
    return answer(lambda: make(load).work(task, ear.tell, ear.should_stop), task.fingerprint)
