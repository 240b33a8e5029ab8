"""One run, described completely: equal fingerprint means equal work."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, SerializeAsAny, model_validator

from modiste.errors import SpecError, did_you_mean
from modiste.spec.base import Spec, join
from modiste.spec.early_stopping import EarlyStopping
from modiste.spec.parts import (
    AUGMENTATIONS,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    Augmentation,
    Estimator,
    Family,
    ModelFamily,
    Optimizer,
    Preset,
    Schedule,
    with_preset,
)
from modiste.spec.registry import Registry
from modiste.spec.settings import BY_NAME

# Raised by every commit that changes the numbers a run gives; part of each fingerprint.
NUMERICS_VERSION = 1
# The same for runs with compiled kernels alone, by the family; 1 where it is not here.
KERNELS_VERSIONS = {"mlp": 3}
# And for runs whose convolutions take fewer multiplications.
WINOGRAD_VERSION = 2


Sizing = Literal["stretch", "fit", "pad", "crop"]
Resize = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
Side = Annotated[int, Field(ge=1, le=4096)]
Level = Annotated[int, Field(ge=0, le=255)]


class DecodeSpec(Spec):
    """What images of any size and kind become; `modiste.data.decode` says how.

    Attributes:
        size: Height and width, in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        sizing: How other sizes are brought to this one: ``stretch``, ``fit``, ``pad`` or ``crop``.
        background: Red, green and blue under what is transparent and beside what does not fill.
        resize: The filter, where the size differs.
    """

    size: tuple[Side, Side]
    channels: Literal[1, 3]
    sizing: Sizing = "stretch"
    background: tuple[Level, Level, Level] = (0, 0, 0)
    resize: Resize = "bilinear"


class DataSpec(Spec):
    """Which images, and how they are divided and scaled.

    Attributes:
        name: A data source.
        num_val: Images kept for validation, of each class its share.
        num_train: Images to train on, the same share of each class; all that remain if not given.
        split_seed: Seed of the division alone.
        scaling: ``unit`` is x / 255; ``standard`` then subtracts the training images' mean and
            divides by their standard deviation, for each channel; ``raw`` leaves 0 to 255.
        folds: For cross-validation: one of so many folds is held out, and the rest divided as
            above; the model is judged on the fold.
        fold: Which of them, from 0.
        decode: What images become, for sources of your own; as they are if not given, which
            needs images of one size.
        test_share: Share of each class that is split off as the test part, for a set that came
            without one; the part that came with it if not given.
        skip_bad: Whether up to 1 % of unreadable files are left out and listed; else they are
            errors.
        keep_duplicates: Whether pictures may lie in two of the parts that the set came with; else
            they are an error.
    """

    name: str = "fashion-mnist"
    num_val: int = Field(12_000, ge=1)
    num_train: int | None = Field(None, ge=1)
    split_seed: int = Field(0, ge=0)
    scaling: Literal["unit", "standard", "raw"] = "unit"
    folds: int | None = Field(None, ge=2, le=1000)
    fold: int = Field(0, ge=0)
    decode: DecodeSpec | None = None
    test_share: float | None = Field(None, gt=0, le=0.5)
    skip_bad: bool = False
    keep_duplicates: bool = False

    @model_validator(mode="after")
    def _fold_is_one_of_them(self) -> Self:
        if self.fold >= (self.folds or 1):
            last = (self.folds or 1) - 1
            raise SpecError(
                f"fold: {self.fold}; there are folds 0 to {last} (`folds` says how many)."
            )
        return self


class ModelSpec(Spec):
    """A model family and its hyperparameters."""

    family: str
    params: SerializeAsAny[Family]

    @property
    def net(self) -> ModelFamily:
        """The hyperparameters, where they are those of a net.

        Raises:
            SpecError: If the model is fitted in one go, and has no layers.
        """
        if isinstance(self.params, ModelFamily):
            return self.params
        raise SpecError(
            f"model.family: {self.family!r} is fitted in one go and is no net: it has no layers, "
            "and no weights are kept of it."
        )


class Averaging(Spec):
    """A moving average of weights and statistics, which is what is measured and kept.

    Attributes:
        decay: Share of the average that stays at each update. Early on it is less,
            (1 + updates) / (10 + updates), so that the start is soon forgotten.

    Source:
        Polyak and Juditsky, SIAM J. Control Optim. 30 (1992) 838, for averaging; the ramp is that
        of TensorFlow's ExponentialMovingAverage.
    """

    decay: float = Field(0.999, gt=0, lt=1)


class TrainSpec(Spec):
    """How a model is fitted.

    Attributes:
        epochs: The limit; early stopping may end before it.
        until: Stop after so many of them, although more are planned: schedules go on counting on
            `epochs`. What successive halving trains is cut so; see `RunSpec.whole`.
        batch_size: Images in one update.
        optimizer: A part chosen by its `name`, with its own hyperparameters.
        schedule: How the learning rate moves.
        early_stopping: When to stop before the limit; never if not given.
        label_smoothing: Share of each label spread evenly over all classes.
        precision: What images, kernels and activations are rounded to in training; weights are
            kept, and models infer, in float32. bfloat16 is about twice as fast where the processor
            has instructions for it (AVX512-BF16, AMX), and slower elsewhere.
        augment: Random changes of the training images, in this order.
        averaging: Measure and keep a moving average of the weights; not if not given.
        max_seconds: End after the epoch in which training has taken so long; never if not given.
            How many epochs that makes depends on the machine and on what else it does, so a run
            with it may come out differently each time.
        class_weights: ``balanced`` lets each class count the same in the loss, whatever the number
            of its training images; each image counts the same if not given.
    """

    epochs: int = Field(300, ge=1)
    until: int | None = Field(None, ge=1)
    batch_size: int = Field(128, ge=1)
    optimizer: SerializeAsAny[Optimizer]
    schedule: SerializeAsAny[Schedule]
    early_stopping: EarlyStopping | None = None
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    augment: tuple[SerializeAsAny[Augmentation], ...] = ()
    averaging: Averaging | None = None
    max_seconds: float | None = Field(None, gt=0)
    class_weights: Literal["balanced"] | None = None

    @property
    def last_epoch(self) -> int:
        """The epoch after which it ends at the latest."""
        return self.epochs if self.until is None else self.until


class RunSpec(Spec):
    """Data, model, training, seed and threads: all that decides what a run computes.

    Of an `Estimator`, which is fitted in one go, ``train`` is checked and then forgotten: it stands
    at its defaults, is not written out, and neither it nor preset and device are hashed.

    Attributes:
        preset: Whose defaults fill what is not given: ``keras`` or ``torch``.
        seed: Of weights, order, dropout and augmentation; not of the split.
        threads: Of this one run; never measured, because it changes the last bits.
        device: ``cpu`` or ``cuda``.
        kernels: ``torch`` alone, or ``fused``: convolution blocks by kernels that the machine's
            C++ compiler builds once, dense layers by oneDNN and one of them in nets that hold no
            others, and batches cut in one pass; same arithmetic, fewer passes over memory and
            faster products. On a GPU torch's own compiler makes kernels for those blocks.
            ``winograd``, on a CPU, is that, and convolutions of 3 x 3 taps over 16, 32, 48 ...
            channels with a quarter to a third of the multiplications: the same function, its last
            digits rounded otherwise.
    """

    preset: Preset = "keras"
    data: DataSpec = DataSpec()
    model: ModelSpec
    train: TrainSpec
    seed: int = Field(0, ge=0)
    threads: int = Field(1, ge=1, le=1024)
    device: Literal["cpu", "cuda"] = "cpu"
    kernels: Literal["torch", "fused", "winograd"] = "torch"

    @model_validator(mode="after")
    def _kernels_that_can(self) -> Self:
        if self.kernels == "winograd" and self.device != "cpu":
            raise SpecError(f"kernels: {self.kernels!r} is for the CPU, not for {self.device!r}.")
        return self

    @model_validator(mode="before")
    @classmethod
    def _choose_parts(cls, values: Any) -> Any:
        """Turn each part chosen by name into its own class, filled from the preset."""
        if not isinstance(values, Mapping):
            return values
        preset = str(values.get("preset", "keras"))
        if preset not in get_args(Preset):  # else what it should have filled would be missed first
            hint = did_you_mean(preset, get_args(Preset))
            raise SpecError(f"preset: {preset!r} is none of the known words.{hint}")
        filled = dict(values)
        if isinstance(filled.get("model"), Mapping):
            filled["model"] = _model(filled["model"], preset)
        if isinstance(filled.get("train", {}), Mapping):
            filled["train"] = _train(filled.get("train", {}), preset)
            _check_places(filled)
            model = filled.get("model")
            if isinstance(model, Mapping) and isinstance(model["params"], Estimator):
                TrainSpec.parse(filled["train"], "train")  # a slip in it is one all the same
                filled["train"] = _train({}, preset)
        return filled

    @model_validator(mode="after")
    def _cut_comes_before_the_end(self) -> Self:
        until, epochs = self.train.until, self.train.epochs
        if until is not None and until >= epochs:
            raise SpecError(
                f"train.until: {until}, but the run ends after {epochs} epochs at the latest. "
                "Leave it out, or raise train.epochs."
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        if isinstance(self.model.params, Estimator):
            del values["train"]
        elif self.train.until is None:  # a whole run has nothing to say of cuts
            del values["train"]["until"]
        return values

    def cut(self, until: int) -> Self:
        """The same run, stopped after so many epochs; itself if it ends by then anyway."""
        if isinstance(self.model.params, Estimator) or until >= self.train.epochs:
            return self
        train = self.train.model_copy(update={"until": until})
        return self.model_copy(update={"train": train})

    @property
    def whole(self) -> Self:
        """The run that this one is the beginning of; itself if it is not cut.

        Both do the same work, bit for bit, as far as the shorter one goes: a checkpoint of either
        is one of the other.
        """
        if self.train.until is None:
            return self
        return self.model_copy(update={"train": self.train.model_copy(update={"until": None})})

    def identity(self) -> dict[str, Any]:
        found = super().identity()
        if self.kernels != "torch":
            found["kernels"] = f"fused {KERNELS_VERSIONS.get(self.model.family, 1)}"
        if self.kernels == "winograd":
            found["kernels"] += f", winograd {WINOGRAD_VERSION}"
        if isinstance(self.model.params, Estimator):
            for key in ("train", "preset", "device", "kernels"):
                found.pop(key, None)
        return found

    def fingerprint(self, data_digest: str, versions: Mapping[str, Any] | None = None) -> str:
        """SHA-256 of what a run is told by: its spec, its data and `versions_here`, in hexadecimal.

        Args:
            data_digest: Of the decoded images and labels the run trains on.
            versions: Those the numbers were or will be made with; the ones at work here if not
                given.
        """
        identity = {
            "spec": self.identity(),
            "data_digest": data_digest,
            "versions": dict(versions or versions_here()),
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def versions_here() -> Mapping[str, Any]:
    """Versions that tell runs apart: of torch, and of our own arithmetic.

    Those of NumPy and scikit-learn, which decide the numbers of models without a network, stand in
    the record alone (docs/decisions/0009).
    """
    return {"torch": version("torch").split("+")[0], "numerics_version": NUMERICS_VERSION}


def _model(values: Mapping[str, Any], preset: str) -> dict[str, Any]:
    filled = dict(values)
    if "family" not in filled:
        raise SpecError(f"model.family: a name is needed. Known: {', '.join(MODELS.names())}.")
    family = _named(MODELS, filled["family"], "model.family")
    params = filled.get("params") or {}
    if isinstance(params, Mapping):
        params = family.parse(with_preset(family, params, preset), "model.params")
    return {**filled, "params": params}


def written_out(train: Mapping[str, Any]) -> dict[str, Any]:
    """`train` with optimizer and schedule as keys and values, also where nobody chose one.

    Settings such as ``train.optimizer.learning_rate`` then change the default one as any other.

    Example:
        >>> written_out({"optimizer": "sgd"})
        {'optimizer': {'name': 'sgd'}, 'schedule': {'name': 'constant'}}
    """
    return parts_written_out({"optimizer": "adam", "schedule": "constant", **train})


def parts_written_out(train: Mapping[str, Any]) -> dict[str, Any]:
    """`train` with optimizer and schedule as keys and values, where they are given by name alone.

    Example:
        >>> parts_written_out({"optimizer": "sgd", "epochs": 3})
        {'optimizer': {'name': 'sgd'}, 'epochs': 3}
    """
    return {
        key: {"name": value} if f"train.{key}" in BY_NAME and isinstance(value, str) else value
        for key, value in train.items()
    }


def _train(values: Mapping[str, Any], preset: str) -> dict[str, Any]:
    filled = written_out(values)
    for key, registry in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        filled[key] = _part(registry, filled[key], f"train.{key}", preset)
    augment = filled.get("augment") or ()
    if isinstance(augment, list | tuple):
        filled["augment"] = tuple(
            _part(AUGMENTATIONS, item, f"train.augment[{i}]", preset)
            for i, item in enumerate(augment)
        )
    return filled


def _check_places(filled: Mapping[str, Any]) -> None:
    """Say of a key that stands too far out where it belongs, as a learning rate may."""
    model, train = filled.get("model"), filled["train"]
    places = (("", filled, RunSpec), ("model", model, ModelSpec), ("train", train, TrainSpec))
    strange = [
        (where, key)
        for where, values, cls in places
        for key in (values if isinstance(values, Mapping) else ())
        if key not in cls.model_fields
    ]
    if not strange:
        return
    parts = {"train.optimizer": train["optimizer"], "train.schedule": train["schedule"]}
    if isinstance(model, Mapping):
        parts["model.params"] = model["params"]
    inside: dict[str, type[Spec]] = {
        "data": DataSpec,
        "train": TrainSpec,
        **{place: type(part) for place, part in parts.items() if isinstance(part, Spec)},
        "train.early_stopping": EarlyStopping,
        "train.averaging": Averaging,
    }
    for where, key in strange:
        meant = [
            repr(f"{place}.{key}")
            for place, part in inside.items()
            if place.startswith(where) and key in part.model_fields
        ]
        if meant:
            path = join(where, str(key))
            raise SpecError(f"{path}: no such key. Did you mean {' or '.join(meant)}?")


def _part(registry: Registry[Any], values: Any, where: str, preset: str) -> Any:
    """A part chosen by name: ``adam`` alone, or ``{name: adam, learning_rate: 0.001}``."""
    if isinstance(values, str):
        values = {"name": values}
    if not isinstance(values, Mapping):
        return values
    if "name" not in values:
        known = ", ".join(registry.names())
        raise SpecError(f"{where}.name: a name is needed. Known: {known}.")
    cls = _named(registry, values["name"], join(where, "name"))
    return cls.parse(with_preset(cls, values, preset), where)


def _named(registry: Registry[Any], name: Any, where: str) -> Any:
    try:
        return registry.get(str(name))
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from None
