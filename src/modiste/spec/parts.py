"""The parts that a run is put together from: what each kind promises, and where it is found.

Each kind is an abstract spec; each thing of that kind is one file in the registry's package.
These classes load without torch: their hyperparameters can be read, checked, hashed and shown
by code that never trains. What computes imports torch inside the method that does so.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field

from modiste.spec.base import Spec
from modiste.spec.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from modiste.models.layers import Layer

Preset = Literal["keras", "torch"]
Initialisation = Literal["glorot_uniform", "kaiming_uniform", "he_normal"]
Views = Literal["one", "mirror"]
Shape = tuple[int, ...]
State = dict[str, "Tensor"]
Counters = dict[str, float]
# The limit leaves room, in float32, for what rules multiply it by.
LearningRate = Annotated[float, Field(gt=0, le=1e30)]


class Family(Spec):
    """The hyperparameters of whatever `model.family` may name: a net, or an estimator."""


class ModelFamily(Family):
    """The hyperparameters of a family of nets, and the list of layers they stand for.

    Attributes:
        initialisation: How kernels and biases start; see `modiste.models.initialise`.
        views: What an answer is the mean of: the logits of the image alone (``one``), or of it and
            its mirror image (``mirror``), which takes twice the time. Training sees one.
    """

    initialisation: Initialisation = "glorot_uniform"
    views: Views = "one"

    @property
    def num_views(self) -> int:
        """Forward passes for one answer."""
        return 1 if self.views == "one" else 2

    @abstractmethod
    def layers(self, shape_CHW: Shape, num_classes: int) -> Sequence[Layer]:
        """The net from the image to one output for each class.

        Raises:
            SpecError: If these hyperparameters make no net for images of that shape.
        """


class Fitted(Protocol):
    """An estimator that has seen its training images.

    Attributes:
        num_kept: Numbers that it keeps to answer with; what a net's parameters are.
    """

    @property
    def num_kept(self) -> int: ...

    def scores_NK(self, images_NCHW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Finite scores, N x K: the class with the highest one is the answer."""


class Estimator(Family):
    """The hyperparameters of a model that is fitted in one go, by scikit-learn.

    It has no layers and no epochs, and nothing of ``train`` means anything to it.

    Attributes:
        gives_probabilities: Whether its scores are log-probabilities, so that a loss can be told.
            Where they are not, as with the distances from a support vector machine's borders or
            with votes, softmax would make numbers of them that claim to be chances and are none.
    """

    gives_probabilities: ClassVar[bool]

    @abstractmethod
    def fit(
        self,
        images_NCHW: npt.NDArray[np.float32],
        labels_N: npt.NDArray[np.int64],
        num_classes: int,
        seed: int,
    ) -> Fitted:
        """Fit these images; the same arguments give the same bits on one thread.

        Args:
            images_NCHW: Scaled as the data spec says.
            labels_N: 0 to ``num_classes - 1``; not every class need be there.
            num_classes: K.
            seed: Of all its randomness.
        """

    def check(self, shape_CHW: Shape, num_classes: int) -> None:
        """Say before anything runs what does not fit such images.

        Raises:
            SpecError: If these hyperparameters make no sense for images of that shape.
        """


@dataclass(frozen=True)
class Slot:
    """Where one tensor of a net lies in the vector of all its weights.

    Attributes:
        name: Such as ``conv_0.weight``.
        shape: As the layer sees it.
        start, stop: Its numbers in the vector; kernels lie there as O x kH x kW x I.
        is_last: Whether it belongs to the layer that gives the logits.
    """

    name: str
    shape: Shape
    start: int
    stop: int
    is_last: bool = False

    @property
    def is_kernel(self) -> bool:
        """A matrix or a kernel; else a bias, a scale or a shift, one number for each channel."""
        return len(self.shape) > 1


Layout = Sequence[Slot]


class Optimizer(Spec):
    """The hyperparameters of one optimizer, and its update rule on flat vectors.

    All trainable weights of a net lie in one vector, so a rule is a handful of tensor
    operations, each one pass over memory, and needs no list of parameters. Defaults that differ
    between Keras and PyTorch stand in `preset_defaults`; every such choice is a field of its
    own, so a rule never asks which preset it serves.

    Attributes:
        is_elementwise: Whether each weight moves by its own gradient and state alone, so that the
            vectors of several nets may be moved as one.
        is_recordable: Whether `update` takes step and rate as tensors as well, so that it can be
            recorded on a GPU; worth it for rules of many operations.
        learning_rate: Where it starts; a schedule moves it.
    """

    name: str
    learning_rate: LearningRate
    is_elementwise: ClassVar[bool] = True
    is_recordable: ClassVar[bool] = False

    @abstractmethod
    def start(self, weights: Tensor) -> State:
        """The state before the first update: vectors like `weights`, by name."""

    @abstractmethod
    def update(
        self,
        weights: Tensor,
        grads: Tensor,
        state: State,
        step: int,
        learning_rate: float,
        layout: Layout = (),
    ) -> None:
        """Move `weights` and `state` in place by one update.

        Args:
            weights: All trainable weights, one vector.
            grads: Their gradients, same shape; left as they were.
            state: What `start` returned, as later updates left it.
            step: 1 for the first update.
            learning_rate: The rate now; a schedule may have moved it from `self.learning_rate`.
            layout: Which tensor lies where, for rules that tell kernels from biases; a vector
                without a layout is treated as biases are.
        """


@dataclass(frozen=True)
class Moment:
    """Where training stands: counted from 0, totals as planned."""

    update: int
    updates_per_epoch: int
    epochs: int


class Schedule(Spec):
    """How the learning rate moves: within an epoch, and after one by what was measured.

    Attributes:
        ends_at_limit: It comes to its end with the last of the epochs that were planned.
    """

    ends_at_limit: ClassVar[bool] = False

    name: str

    @abstractmethod
    def start(self, learning_rate: float) -> Counters:
        """The counters before the first epoch: plain numbers, kept in checkpoints."""

    @abstractmethod
    def rate(self, learning_rate: float, counters: Counters, moment: Moment) -> float:
        """The rate for the update at `moment`; `learning_rate` is the optimizer's own."""

    @abstractmethod
    def after_epoch(self, counters: Counters, measured: Mapping[str, float]) -> Counters:
        """New counters, given an epoch's row of the history (``val_loss`` and so on)."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Which images a batch is made of, for changes that depend on how often one was seen.

    Attributes:
        positions_N: Of the images, in the training set.
        epoch: From 0.
        seed: Of the run.
        repeat: Of the augmentations of one name, which this is, from 0.
        limits_2C: The lowest and the highest pixel of each channel in the training set, where
            pixels are floats; bytes go from 0 to 255.
    """

    positions_N: npt.NDArray[np.int64]
    epoch: int
    seed: int
    repeat: int = 0
    limits_2C: npt.NDArray[np.float32] | None = None


class Augmentation(Spec):
    """A random change of training images, drawn from a generator of its own."""

    name: str

    def stream(self, repeat: int = 0) -> str:
        """The word that its chance is named by; those after the first of a name have their own."""
        return f"augment/{self.name}/{repeat}" if repeat else f"augment/{self.name}"

    @abstractmethod
    def apply(
        self, images: Tensor, chance: np.random.Generator, seen: Seen | None = None
    ) -> Tensor:
        """A changed copy of a batch.

        Args:
            images: N x C x H x W, any dtype, any device.
            chance: This augmentation's stream for this batch; all its randomness.
            seen: Which images they are; given in training.
        """


MODELS: Registry[type[Family]] = Registry("model family", "modiste.models.families")
OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer", "modiste.optim.rules")
SCHEDULES: Registry[type[Schedule]] = Registry("schedule", "modiste.train.schedules")
AUGMENTATIONS: Registry[type[Augmentation]] = Registry("augmentation", "modiste.data.augment")


def with_preset(cls: type[Spec], values: Mapping[str, Any], preset: str) -> dict[str, Any]:
    """`values`, and under them what this preset says where they are silent."""
    return {**cls.preset_defaults.get(preset, {}), **values}
