"""A run under way in this process: made from a spec and data, moved on, saved, finished."""

from __future__ import annotations

import functools
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from modiste.data import places
from modiste.data.batches import Batches
from modiste.data.load import TrainingData
from modiste.data.types import ImageSet
from modiste.errors import ResumeError
from modiste.kernels.on_gpu import BlocksOnGPU
from modiste.kernels.ops import Kernels
from modiste.models.build import Network
from modiste.runs.run import RunRecord
from modiste.spec.parts import Estimator
from modiste.spec.run import RunSpec
from modiste.train.checkpoint import is_within
from modiste.train.loop import Tick, fit, infer, score, to_end
from modiste.train.loss import class_weights
from modiste.train.machine import prepare
from modiste.train.record import record
from modiste.train.state import TrainState
from modiste.train.step import Move, Step, move_of, step_of

Logits = npt.NDArray[np.float32]


class Session:
    """One run, in memory.

    Args:
        spec: What to compute.
        data: What to compute it on.
        checkpoint: Where to go on from, as `save` gave it; from the start if not given.
        batches: Of the training and of the validation images, where they are made already.

    Raises:
        ResumeError: If the checkpoint belongs to another run, or lies beyond the end of this one.
        SpecError: If the spec makes no net for these images.

    Attributes:
        fingerprint: Of the whole run, where this one is the beginning of it: that of checkpoints.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: TrainingData,
        checkpoint: bytes | None = None,
        batches: tuple[Batches, Batches] | None = None,
    ) -> None:
        prepare(spec.threads, spec.device)
        self.spec = spec
        self.fingerprint = spec.whole.fingerprint(data.digest)
        self.net = network(spec, data.train)
        self._data = data
        self._train, self._val = batches or batches_of(spec, data)
        self._held = None
        if data.held is not None:
            self._held = Batches(data.held, data.preprocess, spec.device)
        self.state = start(spec, self.net)
        self._judge = self.net if self.state.averaged is None else network(spec, data.train)
        if checkpoint is not None:
            if not is_within(checkpoint, spec.train.until):
                raise ResumeError(
                    f"this checkpoint lies beyond epoch {spec.train.until}, where the run stops."
                )
            self.state.load(checkpoint, self.fingerprint)

    def save(self) -> bytes:
        """A checkpoint to go on from, on a CPU bit for bit."""
        return self.state.dump(self.fingerprint)

    def advance(self) -> Iterator[Tick]:
        """Train on; stop iterating at any tick, and `save` or `advance` again."""
        spec = self.spec
        step, move = self._step_and_move
        return fit(
            spec.train, spec.seed, step, move, self._train, self._val, self.state, self._judge
        )

    @functools.cached_property
    def _step_and_move(self) -> tuple[Step, Move]:
        """Made once, because on a GPU they are recorded."""
        train = self.spec.train
        step = step_of(self.net, train, class_weights(train, self._train.labels))
        return step, move_of(self.net, train, self.state.optimizer)

    def answer(self, images: ImageSet) -> Logits:
        """Logits of other images with the weights as they are now, averaged where the run averages.

        Args:
            images: Of the shape that it trains on.

        Returns:
            N x K.
        """
        self._judge.load(*self.state.judged)
        batches = Batches(images, self._data.preprocess, self.spec.device)
        return to_end(infer(self._judge, batches))

    def finish(self) -> Generator[Tick, None, RunRecord]:
        """Infer with the best and the last weights; a generator that returns the `RunRecord`."""
        state = self.state
        status, reason = self._end()
        predictions: dict[str, Any] = {}
        weights: dict[str, Any] = {}
        epochs: dict[str, Any] = {}
        if state.history:
            # A net of its own: whoever saves between two ticks saves the trained one as it is.
            net = network(self.spec, self._data.train)
            best = state.best_weights, state.best_statistics
            vectors = [("best", state.best_epoch, best)]
            if status == "finished" and state.epoch != state.best_epoch:
                vectors.append(("last", state.epoch, state.judged))
            for name, epoch, (vector, statistics) in vectors:
                net.load(vector, statistics)
                parts, logits = yield from self._measure(net)
                if broken := _not_finite([vector, statistics], parts):
                    status, reason = "diverged", f"{broken} of epoch {epoch}"
                    continue
                epochs[name] = {"epoch": epoch, **parts}
                predictions |= {f"{part}logits_{name}_NK": some for part, some in logits.items()}
                if self.spec.train.until is not None:
                    continue  # its checkpoint has them, if it goes on
                for key, tensor in net.named_weights() + net.named_statistics():
                    weights[f"{name}/{key}"] = tensor.cpu().contiguous().numpy().copy()
            if status == "finished" and state.epoch == state.best_epoch:
                epochs["last"] = epochs["best"]
                for key in [key for key in predictions if "logits_best" in key]:
                    predictions[key.replace("best", "last")] = predictions[key]
                weights |= {f"last/{key[5:]}": array for key, array in weights.items()}
            predictions["labels"] = self._data.val.labels_N
            predictions["image_ids"] = self._data.val.ids_N
            predictions |= held_part(self._data)
        found = record(self.spec, self._data, status, reason)
        return replace(
            found,
            history=[asdict(row) for row in state.history],
            metrics={
                **found.metrics,
                "epochs": state.epoch,
                "updates": state.update,
                "seconds": round(sum(row.seconds for row in state.history), 3),
                **epochs,
            },
            predictions=predictions,
            weights=weights if status == "finished" else {},
        )

    def _end(self) -> tuple[str, str]:
        """How training ended, and why; a cut one could go on, and is finished all the same."""
        state, train = self.state, self.spec.train
        if state.status != "running":
            return str(state.status), state.reason
        assert state.epoch == train.until, "a run ends where its spec says"
        return "finished", f"stopped after epoch {state.epoch} of {train.epochs} planned"

    def _measure(
        self, net: Network
    ) -> Generator[Tick, None, tuple[dict[str, Any], dict[str, Logits]]]:
        """Figures by the part of the data, and logits of validation and held-out images.

        A cut run is only weighed against others, by its validation images: inferring all training
        images would take as long as another epoch.
        """
        parts: dict[str, Any] = {}
        logits: dict[str, Logits] = {}
        if self.spec.train.until is None:
            train_NK = yield from infer(net, self._train)
            parts["train"] = measured(self.spec, train_NK, self._data.train)
        logits[""] = yield from infer(net, self._val)
        parts["val"] = measured(self.spec, logits[""], self._data.val)
        if self._held is not None and self._data.held is not None:
            logits["held_"] = yield from infer(net, self._held)
            parts["held"] = measured(self.spec, logits["held_"], self._data.held)
        return parts, logits


def _not_finite(vectors: Sequence[Tensor], parts: Mapping[str, Mapping[str, float]]) -> str:
    """Which numbers of a trained net are none, in words before “of epoch N”; empty if all are."""
    if not all(bool(vector.isfinite().all()) for vector in vectors):
        return "numbers no longer finite among the weights"
    names = {"train": "training", "val": "validation", "held": "held-out"}
    for part, figures in parts.items():
        if not math.isfinite(figures["loss"]):
            return f"{names[part]} loss no longer finite with the weights"
    return ""


def batches_of(spec: RunSpec, data: TrainingData) -> tuple[Batches, Batches]:
    """Training and validation images on the device that a run computes on."""
    kernels = _kernels(spec, data.train)
    cutter = kernels if isinstance(kernels, Kernels) else None
    train = Batches(data.train, data.preprocess, spec.device, kernels=cutter)
    return train, Batches(data.val, data.preprocess, spec.device)


def held_part(data: TrainingData) -> dict[str, Any]:
    """Labels and ids of the fold that was held out; nothing without cross-validation."""
    if data.held is None:
        return {}
    return {"held_labels": data.held.labels_N, "held_ids": data.held.ids_N}


def network(spec: RunSpec, images: ImageSet) -> Network:
    """The net of a spec with its starting weights, for images of that shape and those classes."""
    params = spec.model.net
    return Network(
        params.layers(images.shape_CHW, images.num_classes),
        images.shape_CHW,
        params.initialisation,
        spec.seed,
        device=spec.device,
        precision=torch.bfloat16 if spec.train.precision == "bfloat16" else None,
        kernels=_kernels(spec, images),
        views=params.views,
    )


def _kernels(spec: RunSpec, images: ImageSet) -> Kernels | BlocksOnGPU | None:
    if spec.kernels == "torch":
        return None
    if spec.device == "cuda":
        return BlocksOnGPU(min(spec.train.batch_size, len(images)))
    return Kernels(places.cache_folder() / "kernels", has_conv3=spec.kernels == "winograd")


def start(spec: RunSpec, net: Network) -> TrainState:
    """Training before its first update; the state shares its two vectors with the net."""
    train = spec.train
    return TrainState(
        weights=net.weights,
        statistics=net.statistics,
        optimizer=train.optimizer.start(net.weights),
        best_weights=net.weights.clone(),
        best_statistics=net.statistics.clone(),
        sums=torch.zeros(2, dtype=torch.float64, device=net.weights.device),
        schedule=train.schedule.start(train.optimizer.learning_rate),
        stopping=train.early_stopping.start() if train.early_stopping else None,
        averaged=(net.weights.clone(), net.statistics.clone()) if train.averaging else None,
    )


def measured(spec: RunSpec, logits_NK: Logits, images: ImageSet) -> dict[str, Any]:
    """Loss, accuracy and counts; no loss of a model whose scores are no log-probabilities."""
    loss, accuracy = score(logits_NK, images.labels_N)
    params = spec.model.params
    is_loss = not isinstance(params, Estimator) or params.gives_probabilities
    correct = int((logits_NK.argmax(axis=1) == images.labels_N).sum())
    return {
        "loss": loss if is_loss else None,
        "accuracy": accuracy,
        "correct": correct,
        "total": len(images),
    }
