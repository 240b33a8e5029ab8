"""`ImageClassifier`: what it learns, what it takes, what it refuses, and what it leaves behind."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import importlib
import io
import pickle  # noqa: TID251 (scikit-learn pickles estimators; none of ours lies on disk)
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import train_test_split

from modiste import ImageClassifier
from modiste.api.arrays import check_same_shape
from modiste.errors import DataError, InputError, ModisteError, ParameterError, SpecError
from modiste.evaluate.metrics import probabilities
from modiste.spec.run import RunSpec

DIGITS = load_digits()
TRAIN, TEST = train_test_split(
    np.arange(len(DIGITS.target)), test_size=0.25, random_state=0, stratify=DIGITS.target
)
QUICK: dict[str, Any] = {"epochs": 4}


@pytest.fixture(scope="module")
def fitted() -> ImageClassifier:
    """With the defaults, on three quarters of scikit-learn's digits."""
    return ImageClassifier().fit(DIGITS.images[TRAIN], DIGITS.target[TRAIN])


def few(per_class: int = 12, num_classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Grey images of 6 x 6 with a bright row for each class, uint8."""
    chance = np.random.default_rng(seed)
    y = np.repeat(np.arange(num_classes), per_class)
    X = chance.integers(0, 80, (len(y), 6, 6), np.uint8)
    X[np.arange(len(y)), y] += 150
    return X, y


class Reader(pickle.Unpickler):
    """Remembers whose objects a pickle holds."""

    def __init__(self, content: Any) -> None:
        super().__init__(content)
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        return super().find_class(module, name)


def bits(net: ImageClassifier, X: Any) -> bytes:
    return bytes(net.predict_proba(X).tobytes())


# --- what it learns -------------------------------------------------------------------------------


def test_the_defaults_make_a_good_net_of_digits(fitted: ImageClassifier) -> None:
    score = fitted.score(DIGITS.images[TEST], DIGITS.target[TEST])
    # Seven divisions gave 0.982 to 0.993, mean 0.988 (LOG.md, 2026-11-25): three standard errors
    # of 450 images (0.5 points) below that.
    assert score > 0.972
    assert fitted.history_["val_accuracy"][fitted.epoch_ - 1] > 0.94


def test_strings_are_learnt_and_answered(fitted: ImageClassifier) -> None:
    words = np.array(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    net = ImageClassifier(**QUICK).fit(DIGITS.images[TRAIN], words[DIGITS.target[TRAIN]])
    assert net.classes_.tolist() == sorted(words.tolist())
    assert net.score(DIGITS.images[TEST], words[DIGITS.target[TEST]]) > 0.9
    assert net.class_names_ == tuple(sorted(words.tolist()))


@pytest.mark.parametrize("labels", [[7, -2, 40], [0.0, 2.0, 5.0], ["a", "b", "c"]], ids=str)
def test_any_labels_come_back_as_they_went_in(labels: list[Any]) -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X, np.array(labels)[y])
    answers = net.predict(X)
    assert answers.dtype == np.array(labels).dtype
    assert set(answers.tolist()) <= set(labels)


def test_colours_are_told_apart_where_brightness_is_not() -> None:
    chance = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = chance.integers(0, 60, (120, 9, 12, 3), np.uint8)
    X[np.arange(120), :, :, y] += 120  # red, green or blue: equally bright
    net = ImageClassifier(epochs=25, batch_size=16).fit(X[:90], y[:90])
    assert net.image_shape_ == (9, 12, 3)
    assert net.n_features_in_ == 9 * 12 * 3
    # 30 images that nothing but the colour tells: by chance a third would be right.
    assert net.score(X[90:], y[90:]) > 0.9
    flat = net.predict_proba(X.reshape(120, -1))
    assert flat.tobytes() == bits(net, X)


def test_flattened_colours_need_their_shape_said() -> None:
    X, y = np.random.default_rng(0).random((30, 4 * 4 * 3)), np.arange(30) % 2
    assert ImageClassifier(**QUICK).fit(X, y).image_shape_ == (1, 48, 1)
    assert ImageClassifier(image_shape=(4, 4, 3), **QUICK).fit(X, y).image_shape_ == (4, 4, 3)
    assert ImageClassifier(image_shape=(6, 8), **QUICK).fit(X, y).image_shape_ == (6, 8, 1)


@pytest.mark.parametrize(
    ("width", "shape", "family"),
    [(64, (8, 8, 1), "cnn"), (9, (3, 3, 1), "mlp"), (30, (1, 30, 1), "mlp"), (1, (1, 1, 1), "mlp")],
)
def test_a_width_that_is_no_square_is_one_row(
    width: int, shape: tuple[int, ...], family: str
) -> None:
    chance = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = chance.normal(size=(40, width)) + 3 * y[:, np.newaxis]
    net = ImageClassifier(epochs=60, learning_rate=0.01).fit(X, y)
    assert net.image_shape_ == shape
    assert net._record.spec["model"]["family"] == family
    # Means 3 deviations apart, even for one number: 93 % are on the right side of the middle.
    assert net.score(X, y) > 0.85


def test_all_forms_of_the_same_images_give_the_same_bits() -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X, y)
    for form in (X[..., np.newaxis], X.reshape(len(X), -1), X.tolist(), [*X]):
        assert bits(ImageClassifier(**QUICK).fit(np.asarray(form, np.uint8), y), X) == bits(net, X)
        assert bits(net, form) == bits(net, X)


def test_a_column_of_images_is_a_stack_of_them() -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X, y)
    column = np.empty(len(X), object)
    column[:] = [*X]
    rows = np.empty(len(X), object)
    rows[:] = [*X.reshape(len(X), -1)]
    forms = [column, rows]
    with contextlib.suppress(ImportError):
        forms.append(importlib.import_module("pandas").Series([*X]))
    for form in forms:
        assert bits(ImageClassifier(**QUICK).fit(form, y), form) == bits(net, X)
    column[3] = X[3, :4]
    with pytest.raises(InputError, match=r"different sizes \(\(4, 6\), \(6, 6\)\)"):
        net.predict(column)


def test_what_an_image_is_taken_for_does_not_depend_on_its_neighbours(
    fitted: ImageClassifier,
) -> None:
    X = DIGITS.images[TEST][:40]
    alone = np.concatenate([fitted.predict_proba(image[np.newaxis]) for image in X])
    # Logits of about 10 are sums of float32 in another order: errors of 1e-6 or so, and a
    # probability moves by a quarter of its logit's error at most.
    np.testing.assert_allclose(fitted.predict_proba(X), alone, rtol=0, atol=1e-5)


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "uint16", "bool"])
def test_numbers_that_are_no_bytes_become_float32_and_are_recorded(dtype: str) -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X.astype(dtype), y)
    assert net._record.layers["preprocess"]["dtype"] == dtype
    assert net.predict(X.astype(dtype)).shape == y.shape


def test_bytes_leave_no_trace_of_another_kind() -> None:
    X, y = few()
    record = ImageClassifier(**QUICK).fit(X, y)._record
    assert set(record.layers["preprocess"]) == {"scaling", "mean", "std", "floored"}


def test_the_scale_of_floats_changes_next_to_nothing() -> None:
    X, y = few()
    one = ImageClassifier(**QUICK).fit(X / 255, y).predict_proba(X / 255)
    # Standardised, they are the same numbers but for roundings of float32.
    other = ImageClassifier(**QUICK).fit(X * 1000.0 - 7, y).predict_proba(X * 1000.0 - 7)
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_kinds_of_numbers_are_not_mixed_up() -> None:
    X, y = few()
    on_bytes, on_floats = (ImageClassifier(**QUICK).fit(each, y) for each in (X, X / 255))
    with pytest.raises(InputError, match=r"X holds float64, .* fitted on uint8.*astype"):
        on_bytes.predict(X / 255)
    with pytest.raises(InputError, match="X holds numbers outside of 0 to 255"):
        on_bytes.predict(X.astype(int) - 1)
    with pytest.raises(InputError, match=r"X holds uint8, .* fitted on float64"):
        on_floats.predict(X)
    assert bits(on_bytes, X.astype(int)) == bits(on_bytes, X)


WHOLE = {
    "int64": lambda X: X.astype(np.int64),
    "uint16": lambda X: X.astype(np.uint16),
    "lists": lambda X: X.tolist(),
    "whole floats": lambda X: X.astype(np.float32),
    "table": lambda X: pytest.importorskip("pandas").DataFrame(X.reshape(len(X), -1).astype(int)),
}


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("learnt", ["shares", "scaled", "truth", "0.0 and 1.0"])
def test_whole_numbers_far_from_what_was_learnt_are_refused(learnt: str, form: str) -> None:
    X, y = few()
    on = {
        "shares": (X / 255).astype(np.float32),
        "scaled": (X - X.mean()) / X.std(),
        "truth": X > 100,
        "0.0 and 1.0": (X > 100).astype(float),
    }
    net = ImageClassifier("mlp", {"hidden": [4]}, epochs=1, image_shape=(6, 6)).fit(on[learnt], y)
    said = r"X holds whole numbers, 0 to \d+ .* fitted on (bool, 0 to 1|float(32|64), .*)\. Do to X"
    with pytest.raises(InputError, match=said):
        net.predict(WHOLE[form](X))
    # What lies where the others lay is answered, whatever holds it.
    near = WHOLE[form]((X > 100).astype(np.uint8))
    assert bits(net, near) == bits(net, (X > 100) * 1.0)


@pytest.mark.parametrize("form", WHOLE)
def test_whole_numbers_are_the_same_images_as_floats_and_as_integers(form: str) -> None:
    X, y = few()
    dark = (X // 8).astype(float)  # brighter ones may come
    net = ImageClassifier("mlp", {"hidden": [4]}, epochs=1, image_shape=(6, 6)).fit(dark, y)
    assert bits(net, WHOLE[form](X)) == bits(net, X.astype(float))
    assert bits(ImageClassifier(**QUICK).fit(X.astype(float), y), X.astype(int))


def test_fractions_may_lie_outside_of_what_was_learnt() -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X / 255, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert net.predict(X / 60).shape == y.shape


def test_fractions_on_another_scale_are_answered_with_a_warning(tmp_path: Path) -> None:
    X, y = few()
    of_shares, of_floats, of_integers = (
        ImageClassifier(**QUICK).fit(each, y) for each in (X / 255, X.astype(float), X.astype(int))
    )
    for net, other in ((of_shares, X * 1.001), (of_floats, X / 255), (of_integers, X / 255)):
        for each in (net, ImageClassifier.load(net.save(tmp_path / "saved"))):
            with pytest.warns(UserWarning, match="X holds fractions, 0 to .* another scale"):
                assert each.predict(other).shape == y.shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of_floats.predict(X * 0.5)
        of_floats.predict(np.zeros_like(X, float))  # blank images are blank on any scale


def test_read_only_images_are_read() -> None:
    X, y = few()
    X.flags.writeable = False
    before = X.copy()
    ImageClassifier(**QUICK).fit(X, y).predict(X)
    floats = X / 255
    floats.flags.writeable = False
    ImageClassifier(**QUICK).fit(floats, y).predict(floats)
    assert (before == X).all()


# --- probabilities --------------------------------------------------------------------------------


def test_what_was_held_back_is_told_without_the_temperature_that_was_fitted_to_it(
    fitted: ImageClassifier,
) -> None:
    held, X = fitted.validation_, DIGITS.images[TRAIN]
    assert fitted.temperature_ != 1
    loss = held.evaluate()["runs"][0]["given"]["loss"]
    assert loss == pytest.approx(fitted.history_["val_loss"][fitted.epoch_ - 1], rel=1e-5)
    # Float32 sums of other batches; see above.
    warmed = probabilities(held.logits_NK / fitted.temperature_)
    shares = fitted.predict_proba(X[held.image_ids_N])
    np.testing.assert_allclose(shares, warmed, rtol=0, atol=1e-5)
    given = fitted.predictions(DIGITS.images[TEST], DIGITS.target[TEST])
    shares = fitted.predict_proba(DIGITS.images[TEST])
    assert given.probabilities_NK.tobytes() == shares.tobytes()


def test_logarithms_are_those_of_probabilities_and_always_finite(fitted: ImageClassifier) -> None:
    X = DIGITS.images[TEST]
    logs = fitted.predict_log_proba(X)
    # A few roundings of float64, of logarithms down to -50 or so.
    np.testing.assert_allclose(np.exp(logs), fitted.predict_proba(X), rtol=1e-12)
    far = fitted.predict_log_proba(X * 500)
    assert (fitted.predict_proba(X * 500) == 0).any()
    assert np.isfinite(far).all()


# --- few images -----------------------------------------------------------------------------------


def test_validation_asks_less_where_there_is_little() -> None:
    X, _ = few(4)
    net = ImageClassifier(**QUICK).fit(X, [0] * 6 + [1] * 4 + [2] * 2)
    # One of each class that has three images or more, and none of the class that has two.
    assert sorted(net.validation_.labels_N.tolist()) == [0, 1]
    assert len(net.history_["val_loss"]) == 4
    twos = ImageClassifier(**QUICK).fit(X[:4], [0, 0, 1, 1])
    assert len(twos.validation_) == 1
    with pytest.raises(InputError, match="each of the 3 classes has one image only"):
        ImageClassifier(**QUICK).fit(X[:3], [0, 1, 2])


def test_nothing_is_chosen_by_fewer_than_twenty_images() -> None:
    X, y = few(60)
    some = ImageClassifier(epochs=6, patience=1, validation_fraction=0.1).fit(X, y)
    many = ImageClassifier(epochs=6, patience=1, validation_fraction=0.3).fit(X, y)
    assert len(some.validation_) == 18
    assert some._record.spec["train"]["early_stopping"] is None
    assert (some.epoch_, len(some.history_["loss"]), some.temperature_) == (6, 6, 1.0)
    assert len(many.validation_) == 54
    assert many._record.metrics["restored"] == "best"


def test_each_class_is_held_back_by_its_share() -> None:
    X, y = few(50)
    net = ImageClassifier(validation_fraction=0.2, **QUICK).fit(X, y)
    assert np.bincount(net.validation_.labels_N).tolist() == [10, 10, 10]
    ids_N = net.validation_.image_ids_N
    assert (y[ids_N] == net.validation_.labels_N).all()


# --- the same again -------------------------------------------------------------------------------


def test_the_same_fit_gives_the_same_bits_and_none_draws_another_seed() -> None:
    X, y = few()
    one, two = (ImageClassifier(**QUICK).fit(X, y) for _ in range(2))
    assert bits(one, X) == bits(two, X)
    assert one._record.fingerprint == two._record.fingerprint
    other = ImageClassifier(random_state=1, **QUICK).fit(X, y)
    assert bits(other, X) != bits(one, X)
    drawn = [
        ImageClassifier(random_state=state, **QUICK).fit(X, y)._record.spec["seed"]
        for state in (None, None, np.random.RandomState(3), np.random.RandomState(3))
    ]
    # Two draws out of 2^31 agree once in two billion.
    assert drawn[0] != drawn[1]
    assert drawn[2] == drawn[3]


def test_copies_and_pickles_answer_alike_and_hold_no_tensor(fitted: ImageClassifier) -> None:
    X = DIGITS.images[TEST]
    reader = Reader(io.BytesIO(pickle.dumps(fitted)))
    for other in (reader.load(), copy.deepcopy(fitted)):
        assert bits(other, X) == bits(fitted, X)
    assert {module.partition(".")[0] for module in reader.modules} == {"modiste", "numpy"}


def test_a_fit_leaves_the_process_as_it_was() -> None:
    X, y = few()
    smallest_normal = np.array([2.0**-126], np.float32)
    torch.set_num_threads(2)
    try:
        for is_flushing in (False, True):
            torch.set_flush_denormal(is_flushing)
            ImageClassifier(**QUICK).fit(X, y)
            assert torch.get_num_threads() == 2
            assert bool((smallest_normal * np.float32(0.5))[0] == 0) == is_flushing
    finally:
        torch.set_num_threads(1)
        torch.set_flush_denormal(False)


def test_it_trains_with_the_loop_of_every_other_run() -> None:
    X, y = few()
    record = ImageClassifier(**QUICK).fit(X, y)._record
    spec = RunSpec.parse(record.spec)
    assert spec.to_dict() == record.spec
    assert record.fingerprint == spec.fingerprint(record.metrics["data_digest"])
    assert record.metrics["data_name"] == "arrays"
    assert (spec.data.name, spec.data.scaling, spec.preset) == ("memory", "standard", "torch")


# --- parameters -----------------------------------------------------------------------------------


def test_the_history_is_named_as_keras_names_it() -> None:
    X, y = few(30)
    net = ImageClassifier(epochs=7, validation_fraction=0.3).fit(X, y)
    names = ["loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert list(net.history_) == names
    assert {len(numbers) for numbers in net.history_.values()} == {7}
    assert net.history_["learning_rate"][0] == 0.003
    assert net.history_["loss"][-1] < net.history_["loss"][0]


def test_training_ends_when_its_time_is_up() -> None:
    X, y = few(40)
    net = ImageClassifier(epochs=5_000, max_seconds=0.2, patience=None).fit(X, y)
    assert 1 <= len(net.history_["loss"]) < 5_000
    assert net._record.metrics["reason"] == "time limit of 0.2 s"
    assert net.epoch_ == len(net.history_["loss"])


def test_parameters_reach_the_run() -> None:
    X, y = few(30)
    net = ImageClassifier(
        "cnn",
        {"filters": np.int64(4), "dropout": 0.0},
        epochs=np.int64(2),
        batch_size=10,
        optimizer={"name": "sgd", "momentum": 0.9},
        learning_rate=0.02,
        label_smoothing=0.1,
        schedule={"name": "one_cycle", "warmup": 0.4},
        augment=("shift", {"name": "mirror", "probability": 0.3}),
        patience=4,
        validation_fraction=0.25,
    ).fit(X, y)
    spec = RunSpec.parse(net._record.spec)
    assert spec.model.params.filters == 4  # type: ignore[attr-defined]
    assert spec.model.params.dropout == 0.0  # type: ignore[attr-defined]
    assert (spec.train.optimizer.name, spec.train.optimizer.learning_rate) == ("sgd", 0.02)
    assert [augmentation.name for augmentation in spec.train.augment] == ["shift", "mirror"]
    assert (spec.train.schedule.name, spec.train.schedule.warmup) == ("one_cycle", 0.4)  # type: ignore[attr-defined]
    assert spec.train.early_stopping is not None
    assert (spec.train.early_stopping.patience, spec.train.label_smoothing) == (4, 0.1)
    wider = ImageClassifier("cnn", {"filters": [3, 5]}, epochs=1).fit(X, y)
    assert RunSpec.parse(wider._record.spec).model.params.filters == (3, 5)  # type: ignore[attr-defined]


def test_names_of_classes_are_kept() -> None:
    X, y = few()
    net = ImageClassifier(class_names=["cat", "dog", "eel"], **QUICK).fit(X, y)
    assert net.class_names_ == ("cat", "dog", "eel")
    assert net.classes_.tolist() == [0, 1, 2]
    assert net.predictions(X, y).class_names == ("cat", "dog", "eel")
    pandas = pytest.importorskip("pandas")
    for form in (np.array, pandas.Series, pandas.Index):
        given = form(["cat", "dog", "eel"])
        net = ImageClassifier("mlp", {"hidden": [4]}, epochs=1, class_names=given).fit(X, y)
        assert net.class_names_ == ("cat", "dog", "eel")


def test_images_of_a_palette_are_refused() -> None:
    X, y = few()
    pictures = [Image.fromarray(pixels) for pixels in X]
    ImageClassifier("mlp", {"hidden": [4]}, epochs=1).fit(pictures, y)
    for mode in ("P", "CMYK"):
        other = [picture.convert("RGB").convert(mode) for picture in pictures]
        with pytest.raises(InputError, match=f"mode {mode}, .*convert\\('RGB'\\)"):
            ImageClassifier("mlp", {"hidden": [4]}, epochs=1).fit(other, y)


def test_a_fit_that_fails_leaves_nothing_of_the_one_before() -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X, y)
    net.mine_ = 1  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="one class only"):
        net.fit(X[:, :4], np.zeros_like(y))
    left = {name for name in vars(net) if name.endswith("_")} - {"mine_"}
    assert left <= {"n_features_in_", "image_shape_"}
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_one_change_of_images_may_be_named_alone() -> None:
    X, y = few()
    one = ImageClassifier(augment="mirror", **QUICK).fit(X, y)
    assert bits(one, X) == bits(ImageClassifier(augment=["mirror"], **QUICK).fit(X, y), X)


def test_what_are_no_images_is_told_what_would_do() -> None:
    X, y = few()
    net = ImageClassifier(**QUICK)
    with pytest.raises(InputError, match=r"X holds paths, such as 'a\.png'"):
        net.fit(["a.png", "b.png"], [0, 1])
    tensor = torch.tensor(X / 255, requires_grad=True)
    net.fit(tensor, y)
    assert bits(net, tensor) == bits(net, X / 255)
    with pytest.raises(InputError, match=r"a single image.*X\[np\.newaxis\]"):
        net.predict(X[0] / 255)


def test_balanced_classes_count_the_same_in_training() -> None:
    chance = np.random.default_rng(0)
    y = np.repeat([0, 1], [360, 40])
    X = chance.normal(size=(400, 1)) + 1.5 * y[:, np.newaxis]
    given: dict[str, Any] = {"epochs": 10, "learning_rate": 0.01}
    plain, even = (
        ImageClassifier(class_weight=weight, **given).fit(X, y) for weight in (None, "balanced")
    )
    assert RunSpec.parse(even._record.spec).train.class_weights == "balanced"
    # The best border is where the weighted densities cross: at 0.75 for equal classes, and 1.5
    # farther (log 9 / 1.5) for nine to one. A rare image lies above it with 77 % or with 23 %.
    assert even.predict(X)[y == 1].mean() > 0.6
    assert plain.predict(X)[y == 1].mean() < 0.4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"family": "cnnn"},
            r"family: no .* is named 'cnnn'\. Did you mean 'cnn'\? Known: .*cnn, .*mlp",
        ),
        ({"family": "svm"}, r"family: 'svm' is fitted in one go"),
        ({"family": 3}, "family: 3; expected a name"),
        ({"family": "mlp", "params": {"hiden": [3]}}, r"params\.hiden: no such key.*'hidden'"),
        ({"params": {"filters": 3}}, "name it as well, such as family='cnn'"),
        ({"family": "cnn", "params": 3}, "params: 3; expected keys and values"),
        ({"epochs": 0}, r"^epochs: .*greater than or equal to 1; got 0"),
        ({"epochs": 2.5}, r"^epochs: .*got 2.5"),
        ({"batch_size": "big"}, r"^batch_size: .*got 'big'"),
        ({"optimizer": "adan"}, r"^optimizer\.name: .*Did you mean 'adam'"),
        ({"optimizer": {"name": "sgd", "learning_rate": 1}}, "a parameter of its own"),
        ({"learning_rate": -1}, r"^learning_rate: .*got -1"),
        ({"schedule": "one_cyle"}, r"^schedule\.name: .*Did you mean 'one_cycle'"),
        ({"learning_rate": float("nan")}, r"^learning_rate: "),
        ({"augment": ("miror",)}, r"^augment\[0\]\.name: .*'mirror'"),
        ({"validation_fraction": 0}, r"^validation_fraction: 0; .*between 0 and 1"),
        ({"validation_fraction": "some"}, r"^validation_fraction: 'some'"),
        ({"patience": -1}, r"^patience: .*got -1"),
        ({"max_seconds": 0}, r"^max_seconds: .*got 0"),
        ({"class_names": ["a", "b"]}, r"^class_names: .*expected 3 different names"),
        ({"class_names": ["a", "a", "b"]}, r"^class_names: "),
        ({"class_names": "abc"}, r"^class_names: "),
        ({"random_state": -1}, r"^random_state: -1 is below 0"),
        ({"random_state": "seed"}, r"^random_state: 'seed'; expected"),
        ({"threads": 0}, r"^threads: .*got 0"),
        ({"threads": None}, r"^threads: .*from 1; got None\. .* os\.cpu_count\(\) says"),
        ({"threads": -1}, r"^threads: .*from 1; got -1\. .* os\.cpu_count\(\) says"),
        ({"class_weight": "even"}, r"^class_weight: 'even'; expected 'balanced', .* or None"),
        (
            {"class_weight": {0: 2.0}},
            r"^class_weight: \{0: 2\.0\}; .* weight for each label is not",
        ),
        ({"family": "cnn", "params": {"filters": 0}}, r"^params\.filters: [^\n]*; got 0\.$"),
        ({"device": "tpu"}, r"^device: 'tpu' is none of the known words"),
        ({"image_shape": (3, 3)}, r"^image_shape: .*holds images of 6 x 6 x 1"),
        ({"image_shape": "6x6"}, r"^image_shape: '6x6'; expected \(height, width\)"),
        ({"family": "mlp", "learning_rate": 1e30, "optimizer": "sgd"}, "learning_rate: .*diverged"),
    ],
    ids=str,
)
def test_a_parameter_that_makes_no_sense_is_named(given: dict[str, Any], said: str) -> None:
    X, y = few()
    with pytest.raises(ParameterError, match=said) as caught:
        ImageClassifier(**{"epochs": 3, **given}).fit(X, y)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, SpecError)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    X, y = few()
    with pytest.raises(ParameterError, match="device: cuda, but torch finds no such GPU"):
        ImageClassifier(device="cuda", **QUICK).fit(X, y)


# --- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros((9, 5, 5, 4), np.uint8), "Lay what is transparent on a background"),
        (np.zeros((9, 3, 5, 5), np.uint8), "Do channels come first"),
        (np.zeros((9, 2, 5, 5, 1), np.uint8), r"X of shape \(9, 2, 5, 5, 1\): expected N x H x W"),
        ([np.zeros((5, 5))] * 8 + [np.zeros((4, 5))], r"different sizes \(\(4, 5\), \(5, 5\)\)"),
        (np.full((9, 5, 5), np.nan), "contains NaN"),
        (np.full((9, 5, 5), 1e300), r"numbers beyond 1e\+30: too large for float32"),
        (np.zeros((0, 5, 5)), r"0 sample"),
        (np.zeros((9, 0, 5)), r"0 feature"),
        (np.zeros(9), "Reshape your data"),
        (np.array([["a"] * 4] * 9), "could not convert|string"),
        (np.zeros((8, 5, 5), np.uint8), "inconsistent numbers of samples"),
    ],
    ids=[
        *("alpha", "channels first", "five axes", "sizes", "nan", "too large"),
        *("no image", "no pixel", "one axis", "words", "counts"),
    ],
)
def test_images_that_make_no_sense_are_refused(X: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        ImageClassifier(**QUICK).fit(X, [0, 1, 2] * 3)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, DataError)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["a"] * 9, "y holds one class only, 'a'"),
        (np.linspace(0, 1, 9), "Unknown label type: continuous"),
        ([[0, 1]] * 9, "y should be a 1d array"),
        ([0, 1, np.nan] * 3, r"y\[2\]: the label is missing"),
        (None, "requires y"),
        (np.array(["a", 1, 2] * 3, object), "labels of several kinds cannot be sorted"),
        (np.array([b"a", b"b", b"c"] * 3), r"labels are bytes, such as b'a'; .*label\.decode"),
        (np.array([b"a", b"bc"] * 4 + [b"a"], object), "labels are bytes, such as b'a'"),
        (
            np.array([3, 4, 5] * 3, object),
            r"type: numbers such as 3 that are held as objects.*y\.tolist\(\)",
        ),
        (np.array([True, False, True] * 3, object), "such as True that are held as objects"),
        (
            np.array([dt.date(2026, 1, 1)] * 9, object),
            "Unknown label type: such as datetime.* or words",
        ),
    ],
    ids=str,
)
def test_labels_that_make_no_sense_are_refused(y: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ImageClassifier(**QUICK).fit(np.zeros((9, 5, 5), np.uint8), y)


def test_one_hot_labels_are_told_what_would_do(fitted: ImageClassifier) -> None:
    X, y = DIGITS.images[TEST], np.eye(10)[DIGITS.target[TEST]]
    for ask in (lambda: ImageClassifier().fit(X, y), lambda: fitted.predictions(X, y)):
        with pytest.raises(InputError, match=r"one-hot labels, take np\.asarray\(y\)\.argmax"):
            ask()


def test_what_is_not_fitted_says_so_in_both_languages() -> None:
    for method in ("predict", "predict_proba", "predict_log_proba", "score", "predictions"):
        given = [few()[0]] if method.startswith("predict") and method != "predictions" else few()
        with pytest.raises(NotFittedError, match="not fitted yet") as caught:
            getattr(ImageClassifier(), method)(*given)
        assert isinstance(caught.value, ModisteError)


def test_a_fit_that_fails_leaves_nothing_fitted_behind() -> None:
    X, y = few()
    net = ImageClassifier(**QUICK).fit(X, y)
    with pytest.raises(InputError):
        net.fit(X, [0] * len(X))
    with pytest.raises(NotFittedError):
        net.predict(X)


def test_one_colour_image_by_itself_is_told_how_to_come() -> None:
    with pytest.raises(InputError, match=r"images of 14 x 3 x 1.*give it as X\[np\.newaxis\]"):
        check_same_shape((14, 3, 1), (10, 14, 3))
    with pytest.raises(InputError, match=r"\(height x width x channels\)\.$"):
        check_same_shape((14, 4, 1), (10, 14, 3))


def test_images_of_another_shape_are_refused(fitted: ImageClassifier) -> None:
    with pytest.raises(InputError, match=r"holds images of 4 x 16 x 1, .* fitted on 8 x 8 x 1"):
        fitted.predict(np.zeros((2, 4, 16)))
    with pytest.raises(InputError, match="X has 63 features, but ImageClassifier is expecting 64"):
        fitted.predict(np.zeros((2, 63)))


def test_labels_that_were_not_learnt_are_refused(fitted: ImageClassifier) -> None:
    with pytest.raises(InputError, match="y holds 11, which is none of the 10 classes"):
        fitted.predictions(DIGITS.images[:2], [1, 11])
    with pytest.raises(InputError, match="inconsistent numbers of samples"):
        fitted.predictions(DIGITS.images[:2], [1])
