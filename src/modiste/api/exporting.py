"""A trained model as a folder for others, exported with proof."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from modiste.api.counting import looked_at
from modiste.api.places import path_for_run
from modiste.artifact.extra import need_extra
from modiste.data.load import TrainingData, arrange, divide
from modiste.data.source import open_source
from modiste.data.split import Split
from modiste.data.types import ImageSet
from modiste.errors import DataError, InputError, SpecError, need_path
from modiste.runs.ledger import Looked
from modiste.runs.run import Epoch

if TYPE_CHECKING:
    from modiste.api.saved import Saved
    from modiste.export.exported import Options, Trained

Golden = Literal["validation", "noise"]


def export_model(
    folder: str | os.PathLike[str],
    to: str | os.PathLike[str],
    *,
    epoch: str | None = None,
    int8: bool = False,
    golden: str = "validation",
    licence: str = "unknown",
    data_folder: str | os.PathLike[str] | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Write a trained net as a folder for others: ONNX, weights, card, certificate.

    Nothing is written unless onnxruntime gives every validation image the class that PyTorch
    gives it.

    Args:
        folder: Of a run or a model (in a study, ``STUDY/models/NAME``).
        to: The folder to be; must not be there yet.
        epoch: Of a run: the weights of its ``best`` or its ``last`` epoch; those that it ended
            with if not given.
        int8: Write a second graph in 8 bits as well, and say what it changes.
        golden: Ship ``validation`` images, to be asked again where the model arrives; or
            ``noise``, where images must not leave.
        licence: As the card states it, such as ``mit``.
        data_folder: Where the data set lies; looked for if not given.
        tell: Is told what is being done.

    Returns:
        ``folder``, ``digest`` (SHA-256 of its manifest, to tell whoever receives it) and
        ``certificate``.

    Raises:
        InstallError: If onnx or onnxruntime is missing.
        StoreError: If the folder is neither run nor model, its weights were dropped, or the
            target is there already.
        DataError: If the data cannot be had, or are others than it was trained on.
        ArtifactError: If an answer differs.
    """
    need_extra("modiste export")
    from modiste.export.exported import export, need_new, read_trained

    source, target = need_path(folder, "folder"), need_path(to, "to")
    options = _options(int8, golden, licence)
    if epoch is not None and epoch not in get_args(Epoch):
        raise SpecError(f"--epoch {epoch}: expected best or last.")
    need_new(target)
    trained = read_trained(source, "best" if epoch == "best" else "last" if epoch else None)
    place = Path(data_folder) if data_folder is not None else path_for_run(source)
    data = _data(trained, place)
    known = looked_at(source, str(trained.config["fingerprint"]), trained.config["epoch"])
    return _written(target, export(trained, data, known, target, options, tell))


def export_fitted(
    fitted: Saved,
    images: ImageSet,
    to: str | os.PathLike[str],
    *,
    int8: bool = False,
    golden: str = "validation",
    licence: str = "unknown",
) -> dict[str, Any]:
    """The same for a fitted `ImageClassifier`, whose images lie in memory.

    Args:
        fitted: What `save` would write.
        images: All that it was fitted on, those held back among them.
        to: The folder to be; must not be there yet.
        int8: Write a second graph in 8 bits as well.
        golden: Ship ``validation`` images, or ``noise``.
        licence: As the card states it.

    Returns:
        As `export_model`.

    Raises:
        InputError: If they are not the images that it was fitted on, or these were no bytes.
        DataError: If it learnt from rows of numbers whose image nobody knows.
        InstallError, StoreError, ArtifactError: As for `export_model`.
    """
    need_extra("ImageClassifier.export")
    from modiste.api import saved
    from modiste.export.exported import export, need_new, read_trained

    target, record = need_path(to, "folder"), fitted.record
    options = _options(int8, golden, licence)
    need_new(target)
    if kind := record.layers["preprocess"].get("dtype"):
        raise InputError(
            f"it was fitted on {kind}, and an exported model answers for image files, which hold "
            "bytes. Fit it on X as uint8, 0 to 255."
        )
    if images.digest != record.metrics["data_digest"]:
        raise InputError(
            "X and y are not those of fit: images that were held back from them prove the export. "
            "Hand over the same, in the same order."
        )
    with tempfile.TemporaryDirectory() as place:
        model = saved.write(fitted, Path(place) / "model")
        saved.need_images(model)
        trained = read_trained(model)
    held_back = record.predictions["image_ids"]
    others = np.setdiff1d(np.arange(len(images)), held_back)
    split = Split(others, held_back, trained.spec.data.split_seed)
    data = arrange(images, trained.spec.data, split)
    known = Looked.of(trained.config["test"])
    return _written(target, export(trained, data, known, target, options))


def _options(int8: bool, golden: str, licence: object) -> Options:
    from modiste.export.exported import Options

    if golden not in get_args(Golden):
        raise SpecError(f"--golden {golden} (`golden=` in Python): expected validation or noise.")
    if not isinstance(licence, str) or not licence.strip():
        raise SpecError(
            "--licence (`licence=` in Python): expected a name, such as mit; leave it out if there "
            "is none."
        )
    return Options(int8, "noise" if golden == "noise" else "validation", licence.strip())


def _written(target: Path, certificate: dict[str, Any]) -> dict[str, Any]:
    from modiste.artifact.folder import open_folder

    return {
        "schema": 1,
        "folder": str(target),
        "digest": open_folder(target).digest,
        "certificate": certificate,
    }


def _data(trained: Trained, folder: Path | None) -> TrainingData:
    """What the net was trained on, divided as it was then."""
    spec, digest = trained.spec.data, str(trained.config["data_digest"])
    source = open_source(spec, folder)
    images = source.load_train()
    if images.digest != digest:
        raise DataError(
            f"{source.where('train')} holds other images than those that this model was trained "
            f"on (digest {images.digest[:12]}..., and not {digest[:12]}...): it cannot be proved "
            "on them. Name the right folder with --data (`data_folder=` in Python)."
        )
    return divide(images, spec, digest)
