"""`ImageClassifier`: a small net behind scikit-learn's words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from modiste.api import arrays, devices, labels, saved
from modiste.api.checks import as_input_error, need_fitted
from modiste.api.division import hold_back
from modiste.api.parameters import check_fraction, in_our_words, plain, run_spec, seed_of
from modiste.api.progress import FitBar
from modiste.api.results import Predictions
from modiste.data.load import TrainingData, arrange
from modiste.data.types import ImageSet
from modiste.errors import InputError, ModisteError, ParameterError, SpecError, need_path
from modiste.evaluate.calibration import settled_temperature
from modiste.evaluate.metrics import probabilities
from modiste.runs.run import RunRecord
from modiste.spec.run import RunSpec
from modiste.train.machine import put_back
from modiste.train.predictor import Predictor
from modiste.train.task import Task
from modiste.train.work import Worker

# As Keras calls them, and as our histories do.
HISTORY = {
    "loss": "train_loss",
    "accuracy": "train_accuracy",
    "val_loss": "val_loss",
    "val_accuracy": "val_accuracy",
    "learning_rate": "learning_rate",
}

# What `fit` leaves; whoever makes a class of it may have attributes of his own.
_FITTED = (
    *("classes_", "class_names_", "n_features_in_", "feature_names_in_", "image_shape_"),
    *("history_", "epoch_", "temperature_", "validation_"),
    *("_record", "_predictor", "_is_flat", "_limits"),
)


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A small net for small images, with scikit-learn's words.

    It works where scikit-learn's own classifiers do: in `Pipeline`, `GridSearchCV`,
    `cross_val_score`, `clone`. It trains with modiste's own loop.

    **X** is N x H x W, N x H x W x 1, N x H x W x 3, or flattened to N x D: a D that is a square is
    an image of equal sides, any other is a 1 x D image, and `image_shape` says otherwise. uint8 are
    images, 0 to 255; all else becomes float32, and what it was is recorded. Either is brought to
    mean 0 and deviation 1 for each channel, by the images that are trained on.

    **y** are integers, strings or whatever else can be sorted, one for each image.

    **Validation.** `validation_fraction` of the images is held back, the same share of each class
    and at least one of it; it tells when to stop, and whose weights count. Where there is little,
    less is asked of it: a class of one or two images is trained on and not validated; where no
    class has three images, a single image validates; and what fewer than 20 images say is noise, so
    that nothing is then chosen by them: training goes to its limit, and the last weights count.

    Args:
        family: ``cnn``, ``mlp`` or any net that modiste knows; ``auto`` is a ``cnn``, or an ``mlp``
            for images narrower than 4 pixels.
        params: Hyperparameters of the family, which is then named as well, over those of a small
            net: ``{"filters": 32}``.
        image_shape: (height, width) or (height, width, channels) of flattened X.
        epochs: The limit; if not given, as many as make about 2,000 updates, from 10 to 100.
        batch_size: Images in one update.
        optimizer: Its name, or name and hyperparameters: ``{"name": "sgd", "momentum": 0.9}``.
        learning_rate: At the beginning; it falls where the validation loss does not, after half as
            many epochs as `patience`.
        schedule: How else it moves: a name, or name and hyperparameters. ``one_cycle`` wants
            ``patience=None``, because it plans to the limit.
        class_weight: ``balanced`` lets each class count the same in the loss that is trained by,
            whatever the number of its images; validation counts each image the same. A weight for
            each label, as some of scikit-learn's classifiers take it, is not known here.
        label_smoothing: Share of each label that is spread over all classes.
        augment: Random changes, in this order: ``("mirror", "shift")``, or one of them; none if
            not given.
        validation_fraction: Share of the images that is held back, between 0 and 1.
        patience: Epochs without a lower validation loss after which training ends with the best
            weights; ``None`` goes on to the limit, and the last weights count.
        max_seconds: End after the epoch in which training has taken so long; the same fit may then
            come out differently each time.
        class_names: Names for the sorted labels, for saved models and tables; the labels as words
            if not given.
        random_state: Seed of weights, order, dropout, augmentation and division: the same number
            gives the same bits on the same machine. ``None`` draws another seed at each fit.
        threads: To compute with, from 1; part of what decides the last bits, so that no number
            stands for all that there are.
        device: ``cpu`` or ``cuda``.
        verbose: Show a bar while fitting, in a notebook as well.

    Attributes:
        classes_: The labels, sorted.
        class_names_: Their names.
        n_features_in_: H x W x C.
        feature_names_in_: Names of columns, if X had any.
        image_shape_: (height, width, channels).
        history_: As Keras names it: ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``,
            ``learning_rate``, a list with one number for each epoch.
        epoch_: Whose weights answer, counted from 1.
        temperature_: What scores are divided by before they become probabilities: fitted to the
            images that were held back, and 1 if these are fewer than 20.
        validation_: What the net said of the images that were held back, by row of X; without the
            temperature, so that its loss is that of `history_`. With it they would look better
            calibrated than others are, because it was fitted to them.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> X, y = load_digits(return_X_y=True)
        >>> net = ImageClassifier(epochs=10).fit(X[:1200], y[:1200])
        >>> net.image_shape_, net.score(X[1200:], y[1200:]) > 0.9
        ((8, 8, 1), True)
        >>> list(net.history_)
        ['loss', 'accuracy', 'val_loss', 'val_accuracy', 'learning_rate']
    """

    def __init__(  # noqa: PLR0913 (scikit-learn's form: a parameter is an argument)
        self,
        family: str = "auto",
        params: Mapping[str, Any] | None = None,
        *,
        image_shape: Sequence[int] | None = None,
        epochs: int | None = None,
        batch_size: int = 64,
        optimizer: str | Mapping[str, Any] = "adam",
        learning_rate: float = 0.003,
        schedule: str | Mapping[str, Any] | None = None,
        class_weight: str | None = None,
        label_smoothing: float = 0.0,
        augment: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = (),
        validation_fraction: float = 0.1,
        patience: int | None = 10,
        max_seconds: float | None = None,
        class_names: Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        threads: int = 1,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.family = family
        self.params = params
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.augment = augment
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.max_seconds = max_seconds
        self.class_names = class_names
        self.random_state = random_state
        self.threads = threads
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train a net on images and their labels.

        Args:
            X: Images; see the class.
            y: One label for each.

        Raises:
            ParameterError: If a parameter makes no sense, or training diverged by it.
            InputError: If there is nothing to learn from X and y; says what.
        """
        for name in _FITTED:
            self.__dict__.pop(name, None)  # a fit that fails leaves nothing fitted behind
        X_ND, labels_N = self._learn_from(X, y)
        images = self._image_set(arrays.numbers(X_ND), labels_N)
        spec, data = self._divided(images, X_ND.dtype.name)
        self._take(_trained(spec, data, bool(self.verbose)))
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likeliest label of each image.

        Args:
            X: Images like those of `fit`.

        Raises:
            NotFittedError: Before `fit`.
            InputError: If X is not like what was learnt from.
        """
        answers_N = self._logits(X).argmax(axis=1)
        found: npt.NDArray[Any] = self.classes_[answers_N]
        return found

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The probability of each of `classes_`, N x K.

        They carry the temperature that the images held back call for (`temperature_`), as those of
        a saved model do: it brings them as near to what comes true as one number can, and changes
        no answer.

        Args:
            X: Images like those of `fit`.
        """
        logits_NK = self._logits(X)
        return probabilities(logits_NK / self.temperature_)

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The natural logarithms of `predict_proba`, finite however small these are.

        Args:
            X: Images like those of `fit`.
        """
        logits_NK = self._logits(X)
        logs_NK: npt.NDArray[np.float64] = log_softmax(logits_NK / self.temperature_, axis=1)
        return logs_NK

    def predictions(self, X: Any, y: Any) -> Predictions:
        """What the net says of images whose labels are known: tables, figures with intervals.

        Its scores are divided by `temperature_`: probabilities are those of `predict_proba`.

        Args:
            X: Images like those of `fit`.
            y: Their labels, all of them among `classes_`.

        Raises:
            InputError: If a label is none of those that were learnt, or is missing.
        """
        logits_NK, labels_N = self._logits(X), self._known(y)
        with as_input_error():
            check_consistent_length(logits_NK, labels_N)
        ids_N = np.arange(len(labels_N))
        return Predictions(logits_NK / self.temperature_, labels_N, ids_N, self.class_names_)

    def save(self, folder: str | Path) -> Path:
        """Write a model folder that `modiste predict`, `modiste evaluate` and `load` read.

        It holds no pickle: weights are safetensors, all else is JSON, CSV and NumPy's arrays, with
        the SHA-256 of each file. What it was fitted on is not in it.

        Parameters come back equal, but for two: `random_state` is the seed that was drawn, and what
        was given as an array or a column of a table is a list.

        Args:
            folder: Appears whole or not at all. A model that is there is replaced; anything else
                that is there is left alone.

        Returns:
            The folder.

        Raises:
            NotFittedError: Before `fit`.
            StoreError: If it cannot be written, or holds something else.
            InputError: If labels are neither numbers, words nor truth values.
            ParameterError: If a parameter of a class made of this one is nothing of JSON's.
        """
        return saved.write(self._content(), need_path(folder, "folder"))

    def export(
        self,
        folder: str | Path,
        X: Any,
        y: Any,
        *,
        int8: bool = False,
        golden: str = "validation",
        licence: str = "unknown",
    ) -> dict[str, Any]:
        """Write it for others, proved, as `modiste.export_model` does: ONNX, card, certificate.

        The folder is what `modiste verify`, `modiste predict`, `modiste serve` and
        `modiste.load_artifact` take, where neither torch nor scikit-learn has to be.

        Args:
            folder: Must not be there yet.
            X: The images of `fit`, as bytes; those of them that were held back are asked again.
            y: Their labels.
            int8: Write a second graph in 8 bits as well, and say what it changes.
            golden: Ship ``validation`` images, to be asked again where the model arrives; or
                ``noise``, where images must not leave.
            licence: As the card states it, such as ``mit``.

        Returns:
            ``folder``, ``digest`` and ``certificate``; see `modiste.export_model`.

        Raises:
            NotFittedError: Before `fit`.
            InputError: If X and y are not those of `fit`, or these were no bytes.
            InstallError: If onnx or onnxruntime is missing.
            StoreError: If the folder is there already, or cannot be written.
            DataError: If it learnt from rows of numbers whose image nobody knows.
            ArtifactError: If an answer of the export differs.
        """
        from modiste.api.exporting import export_fitted

        content = self._content()
        images = self._image_set(self._numbers(X), self._known(y))
        return export_fitted(content, images, folder, int8=int8, golden=golden, licence=licence)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What `save` wrote, fitted.

        Raises:
            StoreError: If the folder is no such model, or a file in it was changed.
        """
        content = saved.read(need_path(folder, "folder"))
        found = cls.__new__(cls)  # a class made of this one may take other parameters
        found.__dict__.update({**ImageClassifier().get_params(deep=False), **content.params})
        found.classes_ = content.classes
        height, width, channels = content.record.layers["input_shape"]
        found.image_shape_ = (height, width, channels)
        found.n_features_in_ = height * width * channels
        found.__dict__.update(_is_flat=content.is_flat, _limits=content.limits)
        if content.feature_names is not None:
            found.feature_names_in_ = content.feature_names
        found.class_names_ = tuple(content.record.layers["class_names"])
        found._take(content.record)  # noqa: SLF001 (its own)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "_record" in vars(self)

    def __getstate__(self) -> dict[str, Any]:
        """Plain values and NumPy's arrays; the net is made again from them."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_predictor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_record" in state:
            self._predictor = _predictor(self._record)

    def _own_params(self) -> dict[str, Any]:
        """What this class is given, also by one made of it, whose `get_params` lists its own."""
        return {name: getattr(self, name) for name in inspect.signature(ImageClassifier).parameters}

    def _learn_from(self, X: Any, y: Any) -> tuple[arrays.Array, npt.NDArray[np.int64]]:
        """Rows and labels, checked; sets what is known of them afterwards."""
        rows, given = arrays.flattened(X)
        labels.need_no_columns(y)
        labels.need_all(y)
        with as_input_error():
            X_ND, y_N = validate_data(self, rows, y, dtype="numeric")
        self.image_shape_ = arrays.shape_of(self.n_features_in_, given, plain(self.image_shape))
        self._is_flat = given is None and self.image_shape is None
        self._limits = arrays.limits_of(X_ND)
        self.classes_, labels_N = labels.in_order(y_N)
        self.class_names_ = labels.names_of(self.classes_, plain(self.class_names))
        return X_ND, labels_N

    def _image_set(self, numbers_ND: arrays.Array, labels_N: npt.NDArray[np.int64]) -> ImageSet:
        with as_input_error():
            check_consistent_length(numbers_ND, labels_N)
        return ImageSet(
            arrays.images(numbers_ND, self.image_shape_),
            labels_N,
            self.class_names_,
            np.arange(len(labels_N)),
            "train",
            name="arrays",
        )

    def _content(self) -> saved.Saved:
        """What is written of it."""
        need_fitted(self)
        seed = self._record.spec["seed"]
        return saved.Saved(
            {**self.get_params(deep=False), **self._own_params(), "random_state": seed},
            self.classes_,
            getattr(self, "feature_names_in_", None),
            self._record,
            getattr(self, "_is_flat", False),
            getattr(self, "_limits", None),
        )

    def _divided(self, images: ImageSet, dtype: str) -> tuple[RunSpec, TrainingData]:
        seed = seed_of(self.random_state)
        split = hold_back(images.labels_N, check_fraction(plain(self.validation_fraction)), seed)
        spec = run_spec(
            self._own_params(),
            self.image_shape_,
            len(split.train_indices),
            len(split.val_indices),
            seed,
        )
        return spec, arrange(images, spec.data, split, dtype=dtype)

    def _take(self, record: RunRecord) -> None:
        """Keep what a finished run left, and the weights that answer."""
        epoch = record.metrics["restored"]
        weights = {k: v for k, v in record.weights.items() if k.startswith(f"{epoch}/")}
        self._record = replace(record, weights=weights)
        self._predictor = _predictor(self._record)
        saved_NK, labels_N = record.predictions[f"logits_{epoch}_NK"], record.predictions["labels"]
        self.temperature_ = settled_temperature(saved_NK, labels_N)
        self.epoch_ = int(record.metrics[epoch]["epoch"])
        self.history_ = {
            name: [float(row[column]) for row in record.history] for name, column in HISTORY.items()
        }
        ids_N = record.predictions["image_ids"]
        self.validation_ = Predictions(
            saved_NK, labels_N, ids_N, self.class_names_, "validation", f"epoch {self.epoch_}"
        )

    def _logits(self, X: Any) -> npt.NDArray[np.float64]:
        images = arrays.images(self._numbers(X), self.image_shape_)
        return self._predictor.logits(images).astype(np.float64)

    def _numbers(self, X: Any) -> arrays.Array:
        """Rows like those of `fit`."""
        need_fitted(self)
        rows, given = arrays.flattened(X)
        arrays.check_same_shape(given, self.image_shape_)
        arrays.need_several(rows, self.image_shape_)
        with as_input_error():
            X_ND = validate_data(self, rows, reset=False, dtype="numeric")
        fitted = self._record.layers["preprocess"].get("dtype", "uint8")
        return arrays.numbers_like(X_ND, fitted, getattr(self, "_limits", None))

    def _known(self, y: Any) -> npt.NDArray[np.int64]:
        """Positions of labels among `classes_`."""
        need_fitted(self)
        labels.need_no_columns(y)
        labels.need_all(y)
        with as_input_error():
            y_N = column_or_1d(y, warn=True)
        is_known_N = np.isin(y_N, self.classes_)
        if not is_known_N.all():
            strange = y_N[~is_known_N].tolist()[0]
            raise InputError(
                f"y holds {strange!r}, which is none of the {len(self.classes_)} classes that were "
                "learnt."
            )
        return np.asarray(np.searchsorted(self.classes_, y_N), np.int64)


def _trained(spec: RunSpec, data: TrainingData, is_shown: bool) -> RunRecord:
    """The record of a finished run.

    Raises:
        ParameterError: If it diverged, or the parameters make no net for such images.
        ModisteError: If there is not enough memory.
    """
    if not devices.is_here(spec.device):
        raise ParameterError(devices.MISSING)
    task = Task(spec, spec.fingerprint(data.digest), None, math.inf)
    try:
        with put_back(), FitBar("ImageClassifier", is_shown=is_shown) as bar:
            record = Worker(lambda _: data).work(task, bar.tell).record
            assert record is not None
            bar.finish(record.metrics)
    except SpecError as error:
        raise ParameterError(in_our_words(str(error))) from None
    status, reason = record.metrics["status"], record.metrics["reason"]
    if status == "diverged":
        raise ParameterError(
            f"learning_rate: training diverged ({reason}). A lower one, or X on a smaller scale, "
            "would do."
        )
    if status == "out_of_memory":
        raise ModisteError(
            f"not enough memory ({reason}). Lower batch_size, or take a smaller net."
        )
    return record


def _predictor(record: RunRecord) -> Predictor:
    """The net of a record with the weights it has, which are of one epoch."""
    weights = {name.partition("/")[2]: array for name, array in record.weights.items()}
    return Predictor(RunSpec.parse(record.spec), record.layers, weights)
