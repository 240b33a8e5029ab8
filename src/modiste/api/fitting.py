"""Load, look, fit: the heart of it, from Python."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modiste.api.data import open_data
from modiste.api.devices import need_devices
from modiste.api.given import need_data
from modiste.api.progress import FitBar, looking
from modiste.data.load import TrainingData
from modiste.data.source import SOURCES, silent
from modiste.errors import SpecError, need_path
from modiste.runs.run import Run, write_run
from modiste.spec.run import RunSpec, written_out
from modiste.spec.settings import assign
from modiste.train.loop import to_end
from modiste.train.machine import put_back
from modiste.train.population import run_population
from modiste.train.task import Task
from modiste.train.work import Worker


def load(
    name: str | os.PathLike[str] = "fashion-mnist",
    *,
    folder: str | os.PathLike[str] | None = None,
    num_val: int | None = None,
    split_seed: int = 0,
    scaling: str = "unit",
    num_train: int | None = None,
    verbose: bool = False,
    **own: Any,
) -> TrainingData:
    """Images to train on and images to choose by; the test set stays sealed.

    Args:
        name: A data source, or the path of images of your own: a folder of class folders, a
            `.npz` file, a CSV of paths and labels, a folder of IDX files.
        folder: Where the source of that name lies; looked for if not given.
        num_val: Images kept for validation, the same share of each class; if not given, the
            validation part that the set came with, or a fifth: of Fashion-MNIST 12,000.
        split_seed: Seed of that division.
        scaling: ``unit`` (x / 255), ``standard`` or ``raw`` (0 to 255).
        num_train: Train on so many only; on all that remain if not given.
        verbose: Show a bar while images of your own are looked at, in a notebook as well.
        own: Of images of your own: ``decode``, ``test_share``, ``skip_bad``, ``keep_duplicates``,
            as in a study file; proposed by looking at them if not given.

    Raises:
        SpecError: If no source has that name, or the numbers do not fit the data.
        DataError: If the images cannot be had, or cannot be used.
    """
    with looking(silent, is_shown=verbose) as told:
        opened = open_data(
            name,
            folder,
            told,
            num_val=num_val,
            split_seed=split_seed,
            scaling=scaling,
            num_train=num_train,
            **own,
        )
    return opened.divided()


def look(data: TrainingData, folder: str | os.PathLike[str]) -> list[Path]:
    """Draw the first images and the samples of each class into a folder; returns the files.

    Args:
        data: From `load` or `from_arrays`.
        folder: Where they go.

    Raises:
        SpecError: If the data are no such.
        StoreError: If the folder cannot be written.
    """
    from modiste.report.data_figures import render  # matplotlib takes a second, and only this draws

    data, place = need_data(data), need_path(folder, "folder")
    test_counts = SOURCES.get(data.spec.name)(None).test_counts_K
    return render(data.source_images, data.split, place, name=data.name, test_counts_K=test_counts)


def fit(  # noqa: PLR0913 (by keyword; each is a choice of the run)
    data: TrainingData,
    model: str | Mapping[str, Any],
    train: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    preset: str = "keras",
    threads: int = 1,
    device: str = "cpu",
    folder: str | os.PathLike[str] = "runs/fits",
    verbose: bool = False,
) -> Run:
    """Train one model in this process, or open the run if this very one is there already.

    A run is written when it has finished: of one that is interrupted nothing is left. `run_study`
    is for what takes so long that it must not be lost.

    Args:
        data: From `load` or `from_arrays`.
        model: ``{"family": "mlp", "params": {"hidden": [768], "dropout": 0.3}}``, or the name of a
            family, such as ``"mlp"``.
        train: ``{"epochs": 5, "optimizer": {"name": "adam", "learning_rate": 0.001}}``.
        seed: Of weights, order, dropout and augmentation.
        preset: Whose defaults fill what is not given: ``keras`` or ``torch``.
        threads: To compute with.
        device: ``cpu`` or ``cuda``.
        folder: Holds one run folder for each fingerprint. One that `fit_many` has left there is
            opened as well: the same spec has the same fingerprint, and what came out is the same
            to rounding (``environment["population"]`` of such a run says how many were trained).
        verbose: Show a bar, in a notebook as well.

    Returns:
        The run. One that diverged is a run as well: ``metrics["status"]`` says so.

    Raises:
        SpecError: If a key or a value makes no sense; names it. Also if ``device`` is not here.
    """
    data = need_data(data)
    base = _base(data, model, train, preset=preset, threads=threads, device=device)
    spec = RunSpec.parse({**base, "seed": seed})
    fingerprint = spec.fingerprint(data.digest)
    place = need_path(folder, "folder") / fingerprint[:16]
    if not _is_there(place):
        need_devices([spec.device])
        task = Task(spec, fingerprint, None, float("inf"))
        with put_back(), FitBar(spec.model.family, is_shown=verbose) as bar:
            outcome = Worker(lambda _: data).work(task, bar.tell)
            assert outcome.record is not None
            bar.finish(outcome.record.metrics)
        write_run(outcome.record, place)
    return Run(place)


def fit_many(
    data: TrainingData,
    model: str | Mapping[str, Any],
    points: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    train: Mapping[str, Any] | None = None,
    *,
    preset: str = "keras",
    threads: int = 1,
    device: str = "cpu",
    folder: str | os.PathLike[str] = "runs/fits",
) -> list[Run]:
    """Train many models of equal shape at once, as one batched model; open those that are there.

    Made for a GPU, which one small net leaves idle. Each comes out as it does alone, to rounding:
    same batches, same noise, early stopping of its own.

    Args:
        data: From `load` or `from_arrays`.
        model: What all have in common, as for `fit`.
        points: What sets each apart, under full keys: ``{"seed": 3}``,
            ``{"train.optimizer.learning_rate": 0.01, "model.params.dropout": 0.2}``.
        train: What all have in common, as for `fit`.
        preset: Whose defaults fill what is not given: ``keras`` or ``torch``.
        threads: To compute with.
        device: ``cpu`` or ``cuda``.
        folder: Holds one run folder for each fingerprint.

    Returns:
        The runs, in the order of the points. Where memory does not last for so many at once,
        ``metrics["status"]`` of all that are new says so; fewer take less, and each is tried again
        the next time.

    Raises:
        SpecError: If a key or a value makes no sense, or they cannot be trained as one: nets of
            different shapes, or different batch sizes, augmentations or losses.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from modiste import from_arrays
        >>> pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
        >>> data = from_arrays(pixels, np.arange(60) % 2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = fit_many(
        ...         data,
        ...         {"family": "mlp", "params": {"hidden": [4]}},
        ...         [{"seed": seed} for seed in range(3)],
        ...         {"epochs": 1},
        ...         folder=folder,
        ...     )
        ...     print([run.spec.seed for run in runs])
        [0, 1, 2]
    """
    data = need_data(data)
    base = _base(data, model, train, preset=preset, threads=threads, device=device)
    specs = [RunSpec.parse(assign(base, dict(point))) for point in _points(points)]
    home = need_path(folder, "folder")
    places = [home / spec.fingerprint(data.digest)[:16] for spec in specs]
    todo = {place: spec for place, spec in zip(places, specs, strict=True) if not _is_there(place)}
    if todo:
        need_devices(spec.device for spec in todo.values())
        with put_back():
            records = to_end(run_population(list(todo.values()), data))
        for place, record in zip(todo, records, strict=True):
            write_run(record, place)
    return [Run(place) for place in places]


def _is_there(place: Path) -> bool:
    """Whether a run lies there; one that wanted for memory says nothing of the next, and goes."""
    if not (place / "manifest.json").is_file():
        return False
    if Run(place).metrics["status"] == "out_of_memory":
        shutil.rmtree(place)
        return False
    return True


def _base(
    data: TrainingData,
    model: str | Mapping[str, Any],
    train: Mapping[str, Any] | None,
    **others: Any,
) -> dict[str, Any]:
    """What stands in a run's spec, beside its seed, as keys and values."""
    if isinstance(model, str):
        model = {"family": model}
    for name, given in (("model", model), ("train", train or {})):
        if not isinstance(given, Mapping):
            raise SpecError(f"{name}: expected keys and values, got {type(given).__name__}.")
    return {
        "data": data.spec.to_dict(),
        "model": dict(model),
        "train": written_out(train or {}),
        **others,
    }


def _points(given: Mapping[str, Any] | Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One alone is one of them, and not its keys."""
    points = [given] if isinstance(given, Mapping) else given
    if not isinstance(points, Iterable):
        raise SpecError(f"points: expected keys and values of each run, got {given!r}.")
    points = list(points)
    for point in points:
        if not isinstance(point, Mapping):
            raise SpecError(
                f'points: expected keys and values, such as {{"seed": 3}}, got {point!r}.'
            )
    return points
