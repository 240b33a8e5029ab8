"""A run on disk: one folder, written once, readable by anyone with NumPy and a text editor."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt
import safetensors.numpy

from modiste.errors import SpecError, StoreError, lacks, need_path, unknown_name
from modiste.interval import wilson
from modiste.runs import files
from modiste.spec.run import RunSpec
from modiste.tables import number, to_frame, to_html

if TYPE_CHECKING:
    import pandas as pd

Epoch = Literal["best", "last"]
EPOCHS: tuple[Epoch, ...] = ("best", "last")
Arrays = dict[str, npt.NDArray[Any]]
SPEC, PREDICTIONS, WEIGHTS = "spec.json", "predictions-val.npz", "model.safetensors"
COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
)


@dataclass(frozen=True)
class RunRecord:
    """All that a run leaves behind, before it is written.

    Attributes:
        fingerprint: Of spec, data and versions.
        spec: As JSON values, every default written out.
        environment: Where it was computed.
        history: One mapping for each epoch, keys as in `COLUMNS`.
        metrics: Status, epochs, and for the best and the last epoch loss and accuracy on train
            and validation images, inferred with that epoch's weights; of a run that was cut, on
            validation images alone.
        layers: The layer table.
        predictions: ``logits_best_NK``, ``logits_last_NK``, ``labels``, ``image_ids``.
        weights: ``best/NAME`` and ``last/NAME``; empty for a run that diverged or was cut.
    """

    fingerprint: str
    spec: dict[str, Any]
    environment: dict[str, Any]
    history: Sequence[dict[str, Any]]
    metrics: dict[str, Any]
    layers: dict[str, Any]
    predictions: dict[str, npt.NDArray[Any]]
    weights: Arrays


def write_run(record: RunRecord, folder: Path) -> None:
    """Publish a run folder, whole or not at all."""
    content = {
        SPEC: files.to_json({"schema": 1, "fingerprint": record.fingerprint, "spec": record.spec}),
        "environment.json": files.to_json(record.environment),
        "history.csv": _csv(record.history),
        "metrics.json": files.to_json(record.metrics),
        "layers.json": files.to_json(record.layers),
    }
    if record.predictions:
        content[PREDICTIONS] = files.to_npz(record.predictions)
    if record.weights:
        content[WEIGHTS] = safetensors.numpy.save(record.weights)
    manifest = files.sealed({"schema": 2, "files": files.entries(content)})
    files.write_folder(folder, content, manifest)


class Run:
    """A run folder, read when asked and checked against its manifest each time.

    Args:
        folder: Holds `manifest.json`.

    Raises:
        SpecError: If it is no path.
        StoreError: If it is no run folder, or any file asked for is not what was written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = folder = need_path(folder, "folder")
        if not (folder / "manifest.json").is_file():
            why = lacks(folder, "no manifest.json")
            raise StoreError(f"{folder}: no run folder ({why}).")
        if not (folder / SPEC).is_file() and SPEC not in files.read_manifest(folder)["files"]:
            raise StoreError(f"{folder}: no run folder ({_what_else(folder)}).")

    def __fspath__(self) -> str:
        """A run goes wherever its folder does."""
        return str(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def to_frame(self) -> pd.DataFrame:
        """The history as a DataFrame: one row for each epoch, columns as in `COLUMNS`.

        Raises:
            InstallError: If pandas is not installed.
        """
        return to_frame(self.history, COLUMNS)

    def _repr_html_(self) -> str:
        metrics, spec = self.metrics, self.spec
        rows = []
        for epoch in ("best", "last"):
            if epoch not in metrics:
                continue
            val = metrics[epoch]["val"]
            low, high = wilson(val["correct"], val["total"])
            # What is fitted in one go has no epochs.
            at = f" ({metrics[epoch]['epoch']} of {metrics['epochs']})" if metrics["epochs"] else ""
            rows.append(
                (
                    f"{epoch}{at}",
                    number(val["accuracy"]),
                    f"{number(low)} to {number(high)}",
                    f"{val['correct']:,} of {val['total']:,}",
                    number(val["loss"]),
                )
            )
        title = (
            f"{spec.model.family} on {self.data_name}, seed {spec.seed}: "
            f"{self.layers['parameters']['total']:,} parameters, {metrics['seconds']:.0f} s"
        )
        head = ("epoch", "validation accuracy", "95 % interval", "right", "loss")
        note = f"{metrics['status']}: {metrics['reason']}; {self.folder}"
        return to_html(title, head, rows, note)

    @cached_property
    def fingerprint(self) -> str:
        return str(self._json(SPEC)["fingerprint"])

    @cached_property
    def spec(self) -> RunSpec:
        return RunSpec.parse(self._json(SPEC)["spec"], str(self.folder / SPEC))

    @cached_property
    def environment(self) -> dict[str, Any]:
        return self._json("environment.json")

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return self._json("metrics.json")

    def chosen_by_val(self, epoch: Epoch) -> str:
        """What validation images chose of a training, so that their figures lean; empty if nothing.

        Which model to keep, of several, is another choice, and nothing that a run knows of.
        """
        train = self.spec.train
        stopping, monitor = train.early_stopping, getattr(train.schedule, "monitor", "")
        if stopping is not None and stopping.monitor.startswith("val_"):
            return "when to stop"
        if monitor.startswith("val_"):
            return "when to take smaller steps"
        is_picked = epoch == "best" and self.metrics["epochs"] > 1
        return "which epoch is the best" if is_picked else ""

    @property
    def data_name(self) -> str:
        """What people call the data set; the source that it came from in older folders."""
        return str(self.metrics.get("data_name") or self.spec.data.name)

    @cached_property
    def layers(self) -> dict[str, Any]:
        return self._json("layers.json")

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One mapping for each epoch; see `COLUMNS`."""
        text = files.read_checked(self.folder, "history.csv").decode()
        return [
            {name: int(v) if name == "epoch" else float(v) for name, v in row.items()}
            for row in csv.DictReader(io.StringIO(text))
        ]

    @cached_property
    def predictions(self) -> dict[str, npt.NDArray[Any]]:
        """Validation logits of both epochs, labels and image ids."""
        content = files.read_checked(self.folder, PREDICTIONS)
        return files.read_npz(content)

    @property
    def has_predictions(self) -> bool:
        return (self.folder / PREDICTIONS).is_file()

    def weights(self, epoch: Epoch) -> Arrays:
        """Trainable weights and moving statistics by name, after the best or the last epoch.

        Raises:
            SpecError: If it is neither.
            StoreError: If the run has none, or they are not what was written.
        """
        if epoch not in EPOCHS:
            raise SpecError(unknown_name("epoch", epoch, EPOCHS))
        if self.how_it_broke:
            raise StoreError(f"{self.folder}: this run has no weights: {self.how_it_broke}.")
        if self.spec.train.until is not None:
            raise StoreError(f"{self.folder}: this run has no weights: {self.why_no_weights}.")
        content = files.read_checked(self.folder, WEIGHTS)
        arrays = safetensors.numpy.load(content)
        prefix = f"{epoch}/"
        return {
            name.removeprefix(prefix): array
            for name, array in arrays.items()
            if name.startswith(prefix)
        }

    @property
    def has_weights(self) -> bool:
        return (self.folder / WEIGHTS).is_file()

    @property
    def how_it_broke(self) -> str:
        """Status and reason of a run that did not finish; empty of one that did."""
        if (status := self.metrics["status"]) == "finished":
            return ""
        return f"{status} ({self.metrics.get('reason') or 'no reason is known'})"

    @property
    def why_no_weights(self) -> str:
        """Why a finished run has none; empty if it has, or never had any by nature."""
        if (until := self.spec.train.until) is not None:
            return f"it was cut after epoch {until}, as the beginning of a longer one"
        entry = files.read_manifest(self.folder)["files"].get(WEIGHTS, {})
        return str(entry.get("dropped", ""))

    def put_weights_back(self, weights: Arrays, otherwise: str) -> bool:
        """Bring back weights that were dropped, if these are the same to the bit.

        Args:
            weights: ``best/NAME`` and ``last/NAME``.
            otherwise: Why the run stays without, if they are not.

        Returns:
            Whether it has weights again.
        """
        return files.put_back(self.folder, WEIGHTS, safetensors.numpy.save(weights), otherwise)

    def drop_weights(self, reason: str) -> None:
        """Free the disk of this run's weights; logits and history stay."""
        files.drop_file(self.folder, WEIGHTS, reason)

    def _json(self, name: str) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(files.read_checked(self.folder, name))
        return value


def _what_else(folder: Path) -> str:
    """What a folder with a manifest is, that holds no run."""
    config = folder / "config.json"
    fingerprint = files.read_json(config).get("fingerprint") if config.is_file() else None
    if not fingerprint:
        return f"it holds no {SPEC}"
    places = places_of_run(folder, fingerprint)
    run = next((place for place in places if (place / SPEC).is_file()), None)
    where = f"is {run}" if run else f"has the fingerprint {str(fingerprint)[:16]}"
    return f"it is a model folder; its run {where}"


def places_of_run(model: Path, fingerprint: str) -> tuple[Path, Path]:
    """Where the run may lie that a model folder came from: in it, or beside it in its study."""
    return model / "run", model.absolute().parent.parent / "runs" / str(fingerprint)[:16]


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "seconds": f"{row['seconds']:.3f}"})
    return text.getvalue().encode()
