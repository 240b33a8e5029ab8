"""From the parameters of `ImageClassifier` to the spec of a run, and errors back in their words."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from sklearn.utils import check_random_state

from modiste.api.arrays import Shape
from modiste.api.defaults import default_epochs, default_family, with_defaults
from modiste.api.division import FEWEST_TO_CHOOSE_BY
from modiste.data.sources.memory import NAME
from modiste.errors import ParameterError, SpecError, unknown_name
from modiste.spec.early_stopping import EarlyStopping
from modiste.spec.parts import MODELS, ModelFamily
from modiste.spec.run import RunSpec

# PyTorch's defaults: its batch norm follows within tens of updates, where Keras's needs hundreds,
# which a small set may never come to.
PRESET = "torch"
FACTOR = 0.3

# Keys of a spec, and what the parameter is called that they come from; the first that fits counts.
_WORDS = (
    ("train.optimizer.learning_rate", "learning_rate"),
    ("train.early_stopping.patience", "patience"),
    ("train.schedule.patience", "patience"),
    ("model.params", "params"),
    ("model.family", "family"),
    ("train.", ""),
    ("seed", "random_state"),
)


def run_spec(
    given: Mapping[str, Any], shape: Shape, num_train: int, num_val: int, seed: int
) -> RunSpec:
    """The run that these parameters ask for.

    Args:
        given: The parameters of an `ImageClassifier`, by name.
        shape: Height, width and channels of its images.
        num_train: Images to train on.
        num_val: Images held back.
        seed: Of everything.

    Raises:
        ParameterError: Names the parameter, what is wrong with it, and what would do.
    """
    values = {name: plain(value) for name, value in given.items()}
    try:
        model = _model(values, shape)
        train = _train(values, num_train, can_choose=num_val >= FEWEST_TO_CHOOSE_BY)
        spec = RunSpec.parse(
            {
                "preset": PRESET,
                "data": {
                    "name": NAME,
                    "num_val": num_val,
                    "split_seed": seed,
                    "scaling": "standard",
                },
                "model": model,
                "train": train,
                "seed": seed,
                "threads": _threads(values["threads"]),
                "device": values["device"],
            }
        )
        _ = spec.model.net  # what is no net keeps no weights to answer with
    except SpecError as error:
        raise ParameterError(in_our_words(str(error))) from None
    return spec


def _model(values: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    family, params = values["family"], values["params"]
    if not isinstance(family, str):
        raise ParameterError(f"family: {family!r}; expected a name, such as cnn, or auto.")
    if not isinstance(params, Mapping | None):
        raise ParameterError(f"params: {params!r}; expected keys and values, or None.")
    height, width, _ = shape
    if family == "auto":
        family = default_family(height, width)
        if params:
            raise ParameterError(
                f"params: {params} are hyperparameters of a family; name it as well, such as "
                f"family={family!r}."
            )
    if family not in MODELS.names():
        nets = [name for name in MODELS.names() if issubclass(MODELS.get(name), ModelFamily)]
        raise ParameterError(f"family: {unknown_name('model family', family, nets)}")
    return {"family": family, "params": with_defaults(family, params or {}, height, width)}


def _threads(given: Any) -> Any:
    """As given, unless it is what others take for all that the machine has."""
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given < 1):
        raise ParameterError(
            f"threads: expected a whole number from 1; got {given!r}. It decides the last bits, so "
            "that nothing stands for all of a machine: os.cpu_count() says how many it has."
        )
    return given


def _class_weights(given: Any) -> Any:
    if given is None or (isinstance(given, str) and given == "balanced"):
        return given
    raise ParameterError(
        f"class_weight: {given!r}; expected 'balanced', which lets each class count the same, or "
        "None. A weight for each label is not known here."
    )


def _train(values: Mapping[str, Any], num_train: int, *, can_choose: bool) -> dict[str, Any]:
    optimizer = values["optimizer"]
    if isinstance(optimizer, str):
        optimizer = {"name": optimizer}
    if isinstance(optimizer, Mapping) and "learning_rate" in optimizer:
        raise ParameterError(
            "optimizer: its learning_rate is a parameter of its own; say it there."
        )
    if isinstance(optimizer, Mapping):
        optimizer = {**optimizer, "learning_rate": values["learning_rate"]}
    augment = values["augment"]
    epochs, batch_size, patience = values["epochs"], values["batch_size"], values["patience"]
    if epochs is None and isinstance(batch_size, int) and batch_size > 0:
        epochs = default_epochs(num_train, batch_size)
    train = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "class_weights": _class_weights(values["class_weight"]),
        "label_smoothing": values["label_smoothing"],
        "augment": [augment] if isinstance(augment, str | Mapping) else augment,
        "max_seconds": values["max_seconds"],
    }
    if patience is not None:
        stopping = {"patience": patience, "restore_best": True}
        if can_choose:
            # Half as much patience lowers the rate, so that a lower one has its chance.
            half = patience // 2 if isinstance(patience, int) else patience
            train["early_stopping"] = stopping
            train["schedule"] = {"name": "reduce_on_plateau", "patience": half, "factor": FACTOR}
        else:
            # A slip in it is one all the same.
            EarlyStopping.parse(stopping, "train.early_stopping")
    if values["schedule"] is not None:
        train["schedule"] = values["schedule"]
    return train


def in_our_words(text: str) -> str:
    """What is wrong with a spec, told with the names of parameters.

    Example:
        >>> in_our_words("train.optimizer.learning_rate: too much")
        'learning_rate: too much'
    """
    return "\n".join(_in_our_words(line) for line in text.split("\n"))


def _in_our_words(line: str) -> str:
    for key, word in _WORDS:
        if line.startswith(key):
            return word + line.removeprefix(key)
    return line


def check_fraction(validation_fraction: Any) -> float:
    """The share of images to hold back.

    Raises:
        ParameterError: If it is no number between 0 and 1.
    """
    is_number = isinstance(validation_fraction, numbers.Real) and not isinstance(
        validation_fraction, bool
    )
    if not is_number or not 0 < validation_fraction < 1:
        raise ParameterError(
            f"validation_fraction: {validation_fraction!r}; expected a share of the images between "
            "0 and 1, such as 0.1. Some are always held back: a net is never judged, nor its "
            "training ended, by the images that it learns from."
        )
    return float(validation_fraction)


def seed_of(random_state: Any) -> int:
    """The seed that a `random_state` stands for: a number for itself, all else for a draw.

    Raises:
        ParameterError: If it is none of what scikit-learn takes.

    Example:
        >>> seed_of(7), 0 <= seed_of(None) < 2**31
        (7, True)
    """
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ParameterError(f"random_state: {random_state} is below 0.")
        return int(random_state)
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except (TypeError, ValueError):
        raise ParameterError(
            f"random_state: {random_state!r}; expected a whole number, a RandomState, or None."
        ) from None


def plain(value: Any) -> Any:
    """A parameter as plain Python values: searches over grids hand over NumPy's numbers.

    What lists names may be a column or an index of pandas's.

    Example:
        >>> import numpy as np
        >>> plain({"filters": (np.int64(8), 16)})
        {'filters': [8, 16]}
    """
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays, and pandas's columns
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
