"""A trained net as a folder for others, with the proof that it answers there as it did here.

weights -> ONNX graph -> the whole validation set through PyTorch and onnxruntime -> equal, or
nothing is written -> golden images, certificate, card -> the folder, whole
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from onnx import ModelProto

from modiste import seeds
from modiste.artifact import folder as folders
from modiste.artifact.describe import onnx_of
from modiste.artifact.golden import golden_files
from modiste.artifact.graph import GRAPH_VERSION, OPSET
from modiste.artifact.model import Session, open_session
from modiste.artifact.unlike import Typical, typical, warned
from modiste.data.load import TrainingData
from modiste.data.types import ImageSet, ImagesNCHW
from modiste.errors import SpecError, StoreError
from modiste.evaluate.calibration import settled_temperature
from modiste.evaluate.metrics import probabilities
from modiste.export.card import Facts, card
from modiste.export.certificate import accuracy_change, compare, figures, latency, made_by
from modiste.export.model import is_model, model_config, read_model, read_run, restored_epoch
from modiste.export.quantise import quantised
from modiste.runs import files
from modiste.runs.ledger import Looked
from modiste.runs.run import Epoch
from modiste.spec.run import RunSpec
from modiste.train.predictor import Predictor

GoldenKind = Literal["validation", "noise"]
NUM_GOLDEN = 32
# A golden image is one of a class whose answer no rounding could turn.
_CLEAR = 0.05

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trained:
    """A net as it lies in a run or model folder.

    Attributes:
        config: As `modiste.export.model.model_config` gives it.
        weights: By name.
    """

    config: dict[str, Any]
    weights: dict[str, npt.NDArray[Any]]

    @property
    def spec(self) -> RunSpec:
        return RunSpec.parse(self.config["spec"], "spec")


@dataclass(frozen=True)
class Options:
    """What goes into an exported folder.

    Attributes:
        is_int8: Write a second graph in 8 bits as well.
        golden: Ship validation images to ask again, or noise where images must not leave.
        licence: As the card states it.
    """

    is_int8: bool = False
    golden: GoldenKind = "validation"
    licence: str = "unknown"


def read_trained(folder: Path, epoch: Epoch | None = None) -> Trained:
    """What a run or model folder holds.

    Args:
        folder: Of a run or a model.
        epoch: Of a run: whose weights; those that it ended with if not given.

    Raises:
        StoreError: If it is neither, its training broke off, its weights were dropped, or a file
            is not what was written.
        SpecError: If its model is no net, or an epoch is asked of a model, which holds one.
    """
    if is_model(folder):
        config, weights = read_model(folder)
        if epoch not in (None, config["epoch"]):
            raise SpecError(
                f"--epoch {epoch}: {folder} is a model and holds the weights of the "
                f"{config['epoch']} epoch alone; name the run folder instead."
            )
        return Trained(config, weights)
    run = read_run(folder)
    chosen = epoch or restored_epoch(run)
    weights = run.weights(chosen)  # first: one that broke off has no figures either
    return Trained(model_config(run, chosen), weights)


def export(
    trained: Trained,
    data: TrainingData,
    known: Looked,
    target: Path,
    options: Options,
    tell: Callable[[str], None] = lambda words: None,
) -> dict[str, Any]:
    """Write the folder, if the graph answers every validation image as PyTorch does.

    Args:
        trained: The net.
        data: What it was trained on, divided as it was then.
        known: Of looks at the test set.
        target: The folder to be; must not be there.
        options: What else goes into it.
        tell: Is told what is being done.

    Returns:
        The certificate.

    Raises:
        ArtifactError: If an answer differs, or the graph is larger than what we run.
        StoreError: If the folder is there, or cannot be written.
    """
    need_new(target)
    tell(f"PyTorch answers {len(data.val):,} validation images")
    net = _asked(trained, data)
    tell("onnxruntime answers them")
    graph = onnx_of(net.config, trained.weights)
    graphs = {folders.ONNX: _asked_again(graph, folders.ONNX, data.val)}
    parity = compare(net.shares_NK, graphs[folders.ONNX].shares_NK, data.val.labels_N)
    parity.check(folders.ONNX)
    if options.is_int8:
        tell("the same in 8 bits")
        small = quantised(graph, _channels_last(data.train.images_NCHW))
        graphs[folders.INT8] = _asked_again(small, folders.INT8, data.val)
    tell("figures, intervals and times")
    golden, origin = _golden(net, data.val, options.golden)
    certificate = {
        "schema": folders.SCHEMA,
        "kind": "modiste certificate",
        "made": made_by(),
        "fingerprint": net.config["fingerprint"],
        "opset": OPSET,
        "graph_version": GRAPH_VERSION,
        "parity": parity.to_dict(),
        **_eight_bits(net, graphs, data.val),
        "figures": figures(net.logits_NK, net.config["temperature"], data.val.labels_N),
        "unlike": _warned_of(Typical.from_dict(net.config["typical"]), data.val.images_NCHW),
        "test": known.to_dict(),
        "latency": {
            name: latency(made.session, _channels_last(data.val.images_NCHW))
            for name, made in graphs.items()
        },
    }
    model_files = {
        **{name: made.content for name, made in graphs.items()},
        folders.WEIGHTS: safetensors.numpy.save(trained.weights),
    }
    facts = Facts(
        title=folders.model_name(net.config),
        config=net.config,
        certificate=certificate,
        num_train=len(data.train),
        is_val_given=data.source_images.num_given_val > 0,
        sizes={name: len(content) for name, content in model_files.items()},
        golden=origin,
        licence=options.licence,
    )
    content = {
        **model_files,
        folders.CONFIG: files.to_json({**net.config, "test": known.to_dict()}),
        folders.CARD: files.to_utf8(card(facts)),
        **golden,
    }
    certificate["files"] = files.entries(content)
    files.write_folder(target, {**content, folders.CERTIFICATE: files.to_json(certificate)})
    return certificate


def need_new(target: Path) -> None:
    """Say before anything is computed that the folder cannot be written.

    Raises:
        StoreError: If something is there already, for an export is written once; or if nothing may
            be written beside it.
    """
    if target.exists() or target.is_symlink():
        raise StoreError(
            f"{target}: there is something of that name; an export is written once, and whole. "
            "Name another folder with --to, or move that one away."
        )
    around = next(path for path in target.absolute().parents if path.exists())
    if not around.is_dir() or not os.access(around, os.W_OK | os.X_OK):
        raise StoreError(
            f"{target}: nothing can be written in {around}. Name another folder with --to."
        )


@dataclass(frozen=True)
class _Asked:
    """The trained net, and what PyTorch makes of the validation images with it."""

    predictor: Predictor
    config: dict[str, Any]
    logits_NK: npt.NDArray[np.float32]

    @property
    def shares_NK(self) -> npt.NDArray[np.float64]:
        return self.shares(self.logits_NK)

    def shares(self, logits_NK: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Probabilities, the temperature applied."""
        return probabilities(logits_NK.astype(np.float64) / self.config["temperature"])


def _asked(trained: Trained, data: TrainingData) -> _Asked:
    predictor = Predictor(trained.spec, trained.config, trained.weights)
    logits_NK = predictor.logits(data.val.images_NCHW)
    config = {
        **trained.config,
        # Fitted again: a run folder has none, nor has a model folder from before there was one.
        "temperature": settled_temperature(logits_NK, data.val.labels_N),
        "typical": typical(data.train.images_NCHW).to_dict(),
    }
    return _Asked(predictor, config, logits_NK)


@dataclass(frozen=True)
class _AskedAgain:
    """An ONNX file, ready to run, and what it makes of the validation images."""

    content: bytes
    session: Session
    shares_NK: npt.NDArray[np.float32]


def _asked_again(graph: ModelProto, name: str, images: ImageSet) -> _AskedAgain:
    content = graph.SerializeToString(deterministic=True)
    session = open_session(content, name)
    return _AskedAgain(content, session, session.run(_channels_last(images.images_NCHW)))


def _channels_last(images_NCHW: ImagesNCHW) -> ImagesNCHW:
    return images_NCHW.transpose(0, 2, 3, 1)


def _eight_bits(net: _Asked, graphs: Mapping[str, _AskedAgain], images: ImageSet) -> dict[str, Any]:
    """What 8 bits changed; empty where they were not asked for."""
    small = graphs.get(folders.INT8)
    if small is None:
        return {}
    change = accuracy_change(net.shares_NK, small.shares_NK, images.labels_N)
    parity = compare(net.shares_NK, small.shares_NK, images.labels_N)
    return {"int8": {**parity.to_dict(), "accuracy_change": change}}


def _warned_of(rule: Typical, images_NCHW: ImagesNCHW) -> dict[str, float]:
    """How often the rule for unlike images speaks, where it should not and where it should."""
    noise = seeds.generator(0, "noise").integers(0, 256, images_NCHW.shape, np.uint8)
    return {
        "validation": warned(rule, images_NCHW),
        "inverted": warned(rule, 255 - images_NCHW),
        "noise": warned(rule, noise),
    }


def _golden(net: _Asked, images: ImageSet, kind: GoldenKind) -> tuple[dict[str, bytes], str]:
    """The files of the golden images, and in words where they come from."""
    names = images.class_names
    if kind == "noise":
        shape = (min(NUM_GOLDEN, 8), *images.images_NCHW.shape[1:])
        pixels = seeds.generator(0, "golden").integers(0, 256, shape, np.uint8)
        shares_NK, origin = net.shares(net.predictor.logits(pixels)), "noise, drawn at random"
        return golden_files(pixels, shares_NK, [None] * len(pixels), origin), origin
    chosen = _clear_ones(net.shares_NK, images.labels_N)
    origin = f"{len(chosen)} validation images"
    labels = [names[label] for label in images.labels_N[chosen]]
    pictures = golden_files(images.images_NCHW[chosen], net.shares_NK[chosen], labels, origin)
    return pictures, origin


def _clear_ones(shares_NK: npt.NDArray[np.float64], labels_N: Labels) -> list[int]:
    """Of each class the first image whose answer no rounding could turn; `NUM_GOLDEN` at most."""
    second_N, first_N = np.sort(shares_NK, axis=1)[:, -2:].T
    is_clear_N = first_N - second_N > _CLEAR
    firsts = [np.flatnonzero((labels_N == label) & is_clear_N)[:1] for label in np.unique(labels_N)]
    found = np.concatenate(firsts)[:NUM_GOLDEN].tolist()
    return found or [int((first_N - second_N).argmax())]
