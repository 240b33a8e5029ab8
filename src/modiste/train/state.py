"""Where training stands: everything needed to go on, bit for bit, from any batch."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Literal

import safetensors.torch
import torch
from torch import Tensor

from modiste.errors import ResumeError
from modiste.spec.early_stopping import Stopping
from modiste.train.checkpoint import EpochRow, counters_of

Status = Literal["running", "finished", "diverged", "out_of_memory"]
SCHEMA = 1
# Batches whose right answers are counted at once: by itself each would cost 70 us, 2 % of the step
# of an MLP [768].
COUNTED_AT_ONCE = 16
_COUNTERS = (
    *("schedule", "epoch", "step", "update", "seconds", "best_epoch", "status", "reason"),
    "lost_at",
)


@dataclass
class TrainState:
    """What the loop moves; epochs and updates that are done are counted, the rest follows.

    Attributes:
        weights, statistics: The net's two vectors, which it computes with.
        optimizer: The optimizer's vectors.
        best_weights, best_statistics: Of the epoch with the lowest validation loss.
        averaged: Moving averages of both, if they are what is measured.
        epoch: Epochs finished.
        step: Updates done in the epoch under way.
        update: Updates done in all.
        sums: Loss and right answers summed over the images of the epoch under way, float64, as
            far as they are counted: see `note`.
        lost_at: The first update whose loss is no number, as far as they are counted; else 0.
        seconds: Time spent in the epoch under way.
        schedule, stopping: Counters of the schedule and of early stopping.
        best_epoch, best_val_loss: From 1; 0 before the first epoch has ended.
        history: One row for each epoch finished.
        status: Why it runs no more, or "running".
        reason: The same in words.
    """

    weights: Tensor
    statistics: Tensor
    optimizer: dict[str, Tensor]
    best_weights: Tensor
    best_statistics: Tensor
    sums: Tensor
    schedule: dict[str, float]
    stopping: Stopping | None
    averaged: tuple[Tensor, Tensor] | None = None
    epoch: int = 0
    step: int = 0
    update: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_val_loss: float = math.inf
    history: list[EpochRow] = field(default_factory=list)
    status: Status = "running"
    reason: str = ""
    lost_at: int = 0
    _losses: list[tuple[int, Tensor, int]] = field(default_factory=list)
    _answers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def note(self, loss: Tensor, logits_NK: Tensor, labels_N: Tensor) -> None:
        """Take a batch's mean loss and its answers into the sums, now or before they are read."""
        self._losses.append((self.update + 1, loss.detach(), len(labels_N)))
        self._answers.append((logits_NK.detach(), labels_N))
        if len(self._answers) >= COUNTED_AT_ONCE:
            self._count_answers()
            if not loss.is_cuda:  # a GPU would have to be waited for
                self._count_losses()

    def counted(self) -> tuple[float, int]:
        """Loss and right answers of the epoch under way, all batches counted."""
        self._count_answers()
        self._count_losses()
        return float(self.sums[0]), int(self.sums[1])

    def _count_answers(self) -> None:
        if self._answers:
            logits, labels = zip(*self._answers, strict=True)
            self._answers.clear()
            self.sums[1] += (torch.cat(logits).argmax(1) == torch.cat(labels)).count_nonzero()

    def _count_losses(self) -> None:
        if self._losses:
            updates, losses, sizes = zip(*self._losses, strict=True)
            self._losses.clear()
            total = float(self.sums[0])
            products = torch.stack(losses) * losses[0].new_tensor(sizes)
            for update, product in zip(updates, products.tolist(), strict=True):
                total += product
                if not self.lost_at and not math.isfinite(total):
                    self.lost_at = update
            self.sums[0] = total

    @property
    def judged(self) -> tuple[Tensor, Tensor]:
        """The weights and statistics that are measured and kept."""
        return self.averaged or (self.weights, self.statistics)

    def average(self, decay: float) -> None:
        """Move the averages towards what there is after an update."""
        if self.averaged is not None:
            share = 1.0 - min(decay, (1.0 + self.update) / (10.0 + self.update))
            self.averaged[0].lerp_(self.weights, share)
            self.averaged[1].lerp_(self.statistics, share)

    def dump(self, fingerprint: str) -> bytes:
        """The checkpoint: safetensors, with the counters as JSON in its header."""
        self.counted()
        tensors = {
            "weights": self.weights,
            "statistics": self.statistics,
            "best_weights": self.best_weights,
            "best_statistics": self.best_statistics,
            "sums": self.sums,
            **{f"optimizer.{name}": tensor for name, tensor in self.optimizer.items()},
            **{f"averaged.{n}": tensor for n, tensor in enumerate(self.averaged or ())},
        }
        counters = {
            "schema": SCHEMA,
            "fingerprint": fingerprint,
            **{name: getattr(self, name) for name in _COUNTERS},
            # JSON has no infinity.
            "best_val_loss": None if math.isinf(self.best_val_loss) else self.best_val_loss,
            "stopping": asdict(self.stopping) if self.stopping else None,
            "history": [asdict(row) for row in self.history],
        }
        return bytes(
            safetensors.torch.save(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                {"state": json.dumps(counters)},
            )
        )

    def load(self, checkpoint: bytes, fingerprint: str) -> None:
        """Take over a checkpoint, tensor by tensor, into the vectors that the net computes with.

        Raises:
            ResumeError: If it belongs to another run, or is no checkpoint of ours.
        """
        try:
            tensors = safetensors.torch.load(checkpoint)
        except safetensors.SafetensorError as error:
            raise ResumeError(f"this checkpoint cannot be read ({error}).") from None
        counters = counters_of(checkpoint)
        if counters.pop("schema") != SCHEMA or counters.pop("fingerprint") != fingerprint:
            raise ResumeError(
                f"this checkpoint belongs to another run than {fingerprint[:12]}: another spec, "
                "data set, torch version or numerics_version."
            )
        counters["history"] = [EpochRow(**row) for row in counters["history"]]
        if counters["stopping"] is not None:
            counters["stopping"] = Stopping(**counters["stopping"])
        if counters["best_val_loss"] is None:
            counters["best_val_loss"] = math.inf
        self._losses.clear()
        self._answers.clear()
        self.lost_at = 0  # older checkpoints do not say
        for name, value in counters.items():
            setattr(self, name, value)
        for name, tensor in tensors.items():
            with torch.no_grad():
                self._place(name).copy_(tensor)

    def _place(self, name: str) -> Tensor:
        part, _, rest = name.partition(".")
        if part == "optimizer":
            return self.optimizer[rest]
        if part == "averaged":
            assert self.averaged is not None
            return self.averaged[int(rest)]
        place: Tensor = getattr(self, name)
        return place
