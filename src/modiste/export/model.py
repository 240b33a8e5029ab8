"""A model as a folder of its own: weights, what they mean, and a card that says what to expect.

MODEL/
  model.safetensors   weights and moving statistics by name, float32
  config.json         family, hyperparameters, classes, preprocessing, how images are decoded,
                      what is known of looks at the test set
  README.md           the card
  manifest.json       SHA-256 of each; head and count of the ledger of test looks
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from modiste.data.decode import Rule, rule_of
from modiste.errors import StoreError, lacks
from modiste.evaluate.calibration import settled_temperature
from modiste.evaluate.metrics import probabilities
from modiste.export.card import escape
from modiste.interval import standard_error
from modiste.runs import files
from modiste.runs.ledger import Looked, Tally
from modiste.runs.run import Epoch, Run
from modiste.spec.run import RunSpec
from modiste.train.predictor import Predictor

SCHEMA, KIND = 1, "modiste model"
LIMIT_BYTES = 1 << 30
BATCH_SIZE = 64


@dataclass(frozen=True)
class Model:
    """A model that was saved, ready to answer.

    Attributes:
        folder: Where it lies.
        config: `config.json`.
        predictor: Gives logits for decoded images.
        rule: How image files become its input.
    """

    folder: Path
    config: dict[str, Any]
    predictor: Predictor
    rule: Rule

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.predictor.class_names

    @property
    def temperature(self) -> float:
        """What logits are divided by before softmax; 1 for a run folder and for older models."""
        return float(self.config.get("temperature", 1.0))

    def probabilities(self, images_NCHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Softmax of the logits over the temperature, N x K."""
        logits = self.predictor.logits(images_NCHW).astype(np.float64)
        return probabilities(logits / self.temperature)

    @property
    def batch_size(self) -> int:
        """Images to give it at once."""
        return BATCH_SIZE

    def warnings(self, images_NCHW: npt.NDArray[np.uint8]) -> list[str | None]:
        """None for each image: what training images look like is learnt at the export."""
        return [None] * len(images_NCHW)


def save_model(
    run: Run,
    epoch: Epoch,
    folder: Path,
    card: str,
    looked: Looked,
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Write a run's weights as a model folder; one that is there is replaced, whole.

    Its temperature is fitted on the run's validation images, so that the probabilities it gives
    come as near to what comes true as one number can bring them; no answer changes by it.

    A folder that is whole and says all of this already is left as it is. One whose run has no
    weights any more (as in collected results) keeps its own.

    Args:
        run: Whose weights.
        epoch: Best or last.
        folder: Where it goes.
        card: Its README.md.
        looked: What is known of looks at the test set.
        more: Files that go with it, by name.

    Raises:
        StoreError: If the run's weights were dropped and the folder has none, or it cannot be
            written.
    """
    config = {**model_config(run, epoch), "test": looked.to_dict()}
    told = {"config.json": files.to_json(config), "README.md": files.to_utf8(card), **(more or {})}
    new, old = (folder.with_name(f".{folder.name}.{word}") for word in ("new", "old"))
    if old.exists() and not folder.exists():  # a call was stopped between the two renames below
        old.rename(folder)
    if _is_whole(folder) and all(_holds(folder / name, told[name]) for name in told):
        return
    weights = (
        safetensors.numpy.save(dict(run.weights(epoch)))
        if run.has_weights or not (folder / "manifest.json").is_file()
        else files.read_checked(folder, "model.safetensors")
    )
    content = {"model.safetensors": weights, **told}
    manifest = {"schema": 2, "ledger": looked.tally.to_dict(), "files": files.entries(content)}
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    files.write_folder(new, content, files.sealed(manifest))
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def model_config(run: Run, epoch: Epoch) -> dict[str, Any]:
    """What `config.json` says of a run's weights after that epoch."""
    layers = run.layers
    height, width, channels = layers["input_shape"]
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "model": run.spec.model.to_dict(),
        "preset": run.spec.preset,
        "spec": run.spec.to_dict(),
        "fingerprint": run.fingerprint,
        "epoch": epoch,
        "data_name": run.data_name,
        "data_digest": run.metrics["data_digest"],
        "validation": run.metrics[epoch]["val"],
        "temperature": model_temperature(run, epoch),
        "class_names": layers["class_names"],
        "input_shape": layers["input_shape"],
        "parameters": layers["parameters"],
        "preprocess": layers["preprocess"],
        "decode": rule_of(run.spec.data, (channels, height, width)).to_dict(),
    }


def _is_whole(folder: Path) -> bool:
    try:
        files.check_folder(folder)
    except StoreError:  # damaged, or not there: what follows writes it
        return False
    return True


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def model_temperature(run: Run, epoch: Epoch) -> float:
    """Fitted on the run's validation images; 1 where they cannot tell, or were not kept."""
    if not run.has_predictions:
        return 1.0
    return settled_temperature(run.predictions[f"logits_{epoch}_NK"], run.predictions["labels"])


def load_model(folder: Path) -> Model:
    """Read a model folder, or a run folder with the epoch its spec restores.

    Raises:
        StoreError: If it is neither, or any file is not what was written.
    """
    if is_model(folder):
        config, weights = read_model(folder)
        spec = RunSpec.parse(config["spec"], f"{folder}/config.json: spec")
        return Model(
            folder, config, Predictor(spec, config, weights), Rule.from_dict(config["decode"])
        )
    run = read_run(folder)
    epoch = restored_epoch(run)
    height, width, channels = run.layers["input_shape"]
    config = {"fingerprint": run.fingerprint, "epoch": epoch, **run.layers}
    predictor = Predictor(run.spec, run.layers, run.weights(epoch))
    rule = rule_of(run.spec.data, (channels, height, width))
    return Model(folder, config, predictor, rule)


def is_model(folder: Path) -> bool:
    """Whether it is a model folder, as far as the names of its files say."""
    return (folder / "config.json").is_file()


def read_model(folder: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """What a model folder says of itself, and its weights by name.

    Raises:
        StoreError: If any file is not what was written, or of another version.
    """
    config = json.loads(files.read_checked(folder, "config.json"))
    if config.get("kind") != KIND or config.get("schema") != SCHEMA:
        raise StoreError(f"{folder}/config.json: no model of this version (schema {SCHEMA}).")
    content = files.read_checked(folder, "model.safetensors")
    if len(content) > LIMIT_BYTES:
        raise StoreError(f"{folder}/model.safetensors: larger than {LIMIT_BYTES} bytes.")
    try:
        return config, safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise StoreError(f"{folder}/model.safetensors: cannot be read ({error}).") from None


def read_run(folder: Path) -> Run:
    """A run folder of a net.

    Raises:
        StoreError: If it is none.
        SpecError: If its model is no net: then no weights are kept of it.
    """
    if not (folder / "spec.json").is_file():
        refuse_study(folder)
        why = lacks(folder, "neither config.json nor spec.json")
        raise StoreError(f"{folder}: neither a model folder nor a run folder ({why}).")
    run = Run(folder)
    _ = run.spec.model.net  # said before its weights are missed
    return run


def refuse_study(folder: Path) -> None:
    """Nothing of what is no study; else say what is in it.

    Raises:
        StoreError: If it is one.
    """
    if not (folder / "study.json").is_file():
        return
    models = sorted(str(path) for path in (folder / "models").glob("[!.]*") if path.is_dir())
    known = ", ".join(models) if models else "none yet; a stage with `final: true` leaves one"
    raise StoreError(
        f"{folder}: a study; name one of its models or runs. Its models: {known}. Its runs are in "
        f"{folder / 'runs'}; `modiste leaderboard {folder}` says what they came to."
    )


def restored_epoch(run: Run) -> Epoch:
    """Whose weights a run ends with, as its early stopping says."""
    return "best" if run.metrics.get("restored") == "best" else "last"


def card(run: Run, epoch: Epoch, title: str, looked: Looked, also_chosen: str = "") -> str:
    """The model card, in Markdown.

    Args:
        run: Whose weights.
        epoch: Best or last.
        title: What to call it.
        looked: What is known of looks at the test set.
        also_chosen: What validation images chose beside the training; empty if nothing.
    """
    val = run.metrics[epoch]["val"]
    images = f"{val['total']:,} images"
    error = standard_error(val["accuracy"], val["total"])
    spec, layers, metrics = run.spec, run.layers, run.metrics
    return f"""# {title}

A `{spec.model.family}` of {layers["parameters"]["total"]:,} parameters
({layers["parameters"]["trainable"]:,} trainable), for images of
{" x ".join(map(str, layers["input_shape"]))} (height, width, channels) in
{len(layers["class_names"])} classes: {", ".join(map(escape, layers["class_names"]))}.

| | |
|---|---|
| data | {escape(run.data_name)}, digest {metrics["data_digest"][:16]} |
| trained on | {metrics["num_train"]:,} images, seed {spec.seed} |
| weights of | the {epoch} epoch ({metrics[epoch]["epoch"]} of {metrics["epochs"]}) |
| validation accuracy | {val["accuracy"]:.4f} +- {error:.4f} (standard error), {images} |
| temperature | {_tempered(model_temperature(run, epoch))} |
| test accuracy | {_measured(looked.measured)} |
| test looks | {looked.tally.words} |
| ledger of looks | {_ledger(looked.tally)} |
| fingerprint | `{run.fingerprint}` |
| commit | {run.environment.get("git_commit") or "unknown"} |

{_leans(run, epoch, also_chosen)}Images that
look unlike the training data (photographs, light backgrounds) were never measured.

    modiste predict . IMAGE.png
"""


def _leans(run: Run, epoch: Epoch, also_chosen: str) -> str:
    chosen = " and ".join(what for what in (run.chosen_by_val(epoch), also_chosen) if what)
    return chosen and (
        f"The validation images chose {chosen}, so their figure leans to the bright side. "
    )


def _tempered(temperature: float) -> str:
    if temperature == 1:
        return "1, as validation images told no other"
    return f"{temperature:g}, fitted on them; it changes no answer"


def _measured(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "the test set was not opened for this model"
    return (
        f"{measured['accuracy']:.4f} ({measured['total']:,} images, one seed); "
        f"reason: {escape(str(measured['reason']))}"
    )


def _ledger(tally: Tally) -> str:
    if not tally.num_entries:
        return "empty"
    return f"entries: {tally.num_entries}; head `{tally.head}`"
