"""A fitted `ImageClassifier` as a folder: a model folder, with its run and its labels inside.

FOLDER/
  model.safetensors, config.json, README.md   as of any model (`modiste.export.model`)
  classifier.json                             parameters, labels, names of columns
  run/                                        the run folder, without the weights
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from modiste.api.arrays import Limits
from modiste.api.parameters import plain
from modiste.atomic import sync
from modiste.errors import DataError, InputError, ParameterError, StoreError, lacks
from modiste.export.model import card, save_model
from modiste.runs import files
from modiste.runs.ledger import Ledger, Looked
from modiste.runs.run import Epoch, Run, RunRecord, write_run

SCHEMA = 1
KIND = "modiste classifier"
RUN = "run"
TUPLE = "tuple"


@dataclass(frozen=True)
class Saved:
    """What makes a fitted classifier.

    Attributes:
        params: Of the constructor.
        classes: The sorted labels.
        feature_names: Of the columns of X, if it had any.
        record: What training left, with the weights that answer.
        is_flat: Whether it was fitted on rows of numbers, and nobody said of which image.
        limits: Of the numbers that it was fitted on, as `modiste.api.arrays.limits_of` has them.
    """

    params: dict[str, Any]
    classes: npt.NDArray[Any]
    feature_names: npt.NDArray[Any] | None
    record: RunRecord
    is_flat: bool = False
    limits: Limits | None = None


def write(content: Saved, folder: Path) -> Path:
    """Publish the folder, whole or not at all; a classifier that is there is replaced.

    Raises:
        InputError: If labels are neither numbers, words nor truth values.
        ParameterError: If a parameter, of a class made of `ImageClassifier`, is nothing of JSON's.
        StoreError: If it cannot be written, or is there and holds anything but a classifier.
    """
    epoch: Epoch = content.record.metrics["restored"]
    described = files.to_json(_described(content))
    folder = folder.resolve() if folder.is_symlink() else folder
    if folder.exists():
        _need_replaceable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise files.cannot_write(folder, error) from None
    try:
        write_run(content.record, workshop / RUN)
        run = Run(workshop / RUN)
        looked = Looked(Ledger(str(run.metrics["data_digest"])).tally(), None)
        text = _card(run, epoch, looked)
        save_model(run, epoch, workshop / "model", text, looked, {"classifier.json": described})
        run.drop_weights("dropped: the weights lie in the model folder around this run")
        (workshop / RUN).rename(workshop / "model" / RUN)
        if folder.exists():
            folder.rename(workshop / "old")
        try:
            (workshop / "model").rename(folder)
        except OSError:
            if (workshop / "old").exists():
                (workshop / "old").rename(folder)
            raise
        sync(folder.parent)
    except OSError as error:
        raise files.cannot_write(folder, error) from None
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return folder


def _need_replaceable(folder: Path) -> None:
    """That a folder is a classifier and nothing else: it is about to be deleted.

    Raises:
        StoreError: If it is none, or holds something that is no part of one; names it.
    """
    remedy = "choose another folder, or move this one away."
    try:
        described = files.read_json(folder / "classifier.json")
        known = {*files.read_manifest(folder)["files"], "manifest.json", RUN}
    except StoreError:
        described, known = {}, set()
    if described.get("kind") != KIND:
        raise StoreError(f"{folder}: is there and holds no classifier; {remedy}")
    if strange := sorted(path.name for path in folder.iterdir() if path.name not in known):
        raise StoreError(
            f"{folder}: beside a classifier it holds {strange[0]}, which would be lost; {remedy}"
        )


def read(folder: Path) -> Saved:
    """What `write` wrote, every file checked.

    Raises:
        StoreError: If the folder is no such model, or a file in it was changed.
    """
    if not (folder / "classifier.json").is_file():
        why = lacks(folder, "no classifier.json")
        raise StoreError(f"{folder}: no classifier ({why}). ImageClassifier.save writes one.")
    described = json.loads(files.read_checked(folder, "classifier.json"))
    if described.get("kind") != KIND or described.get("schema") != SCHEMA:
        raise StoreError(f"{folder}/classifier.json: no classifier of this version ({SCHEMA}).")
    run = Run(folder / RUN)
    epoch: Epoch = run.metrics["restored"]
    weights = safetensors.numpy.load(files.read_checked(folder, "model.safetensors"))
    record = RunRecord(
        fingerprint=run.fingerprint,
        spec=run.spec.to_dict(),
        environment=run.environment,
        history=run.history,
        metrics=run.metrics,
        layers=run.layers,
        predictions=run.predictions,
        weights={f"{epoch}/{name}": array for name, array in weights.items()},
    )
    names = described["feature_names"]
    limits = described.get("limits")  # older models have none
    return Saved(
        _unmarked(described["params"]),
        np.array(described["classes"], dtype=described["classes_dtype"]),
        None if names is None else np.array(names, dtype=object),
        record,
        described.get("is_flat", False),
        None if limits is None else Limits(*limits),
    )


def need_images(folder: Path) -> None:
    """That a model can be asked for image files, if it is a saved classifier.

    Raises:
        DataError: If it learnt from rows of numbers whose image nobody knows: whatever file it is
            given would be stretched to one line.
    """
    if not (folder / "classifier.json").is_file():
        return
    described = json.loads(files.read_checked(folder, "classifier.json"))
    height, width, _ = Run(folder / RUN).layers["input_shape"]
    if described.get("is_flat", False) and height == 1 < width:
        raise DataError(
            f"{folder}: was fitted on rows of {width:,} numbers, which make no square, so no image "
            "file can be read as one. Fit it with image_shape=(height, width) or (height, width, "
            "3); ImageClassifier.load(FOLDER) takes rows as they are."
        )


def _card(run: Run, epoch: Epoch, looked: Looked) -> str:
    text = card(run, epoch, "An image classifier", looked)
    dtype = run.layers["preprocess"].get("dtype")
    if dtype is None:
        return text
    return (
        f"{text}\nIt was fitted on arrays of {dtype}, which `ImageClassifier.load(FOLDER)` takes; "
        "`modiste predict`, whose\nimage files hold bytes, refuses it.\n"
    )


def _described(content: Saved) -> dict[str, Any]:
    names = content.feature_names
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "params": {name: _written(name, value) for name, value in content.params.items()},
        "classes": _labels(content.classes),
        "classes_dtype": content.classes.dtype.str if content.classes.dtype != object else "O",
        "feature_names": None if names is None else names.tolist(),
        "is_flat": content.is_flat,
        "limits": content.limits,
    }


def _written(name: str, value: Any) -> Any:
    """A parameter as JSON; a tuple as ``{"tuple": [...]}``, to come back as one."""
    found = _marked(value)
    try:
        files.to_json({name: found})
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name}: {value!r} cannot be written as JSON; a classifier that is to be saved needs "
            "parameters of numbers, words, truth values, lists and mappings."
        ) from None
    return found


def _marked(value: Any) -> Any:
    if isinstance(value, tuple):
        return {TUPLE: [_marked(item) for item in value]}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _marked(item) for key, item in value.items()}
    return plain(value)


def _unmarked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {TUPLE}:
        return tuple(_unmarked(value[TUPLE]))
    return {key: _unmarked(item) for key, item in value.items()}


def _labels(classes: npt.NDArray[Any]) -> list[Any]:
    labels: list[Any] = classes.tolist()
    if not all(isinstance(label, str | int | float) for label in labels):
        raise InputError(
            f"y: labels such as {labels[0]!r} cannot be written as JSON; a classifier that is to "
            "be saved needs numbers, words or truth values."
        )
    return labels
