"""A split is exact, seeded, and says so when it cannot be had."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from modiste.data.split import Split, stratified
from modiste.data.types import ImageSet
from modiste.errors import DataError, SpecError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 6_000))


def counts(labels, indices) -> list[int]:
    return np.bincount(labels[indices], minlength=labels.max() + 1).tolist()


def test_60_000_images_divide_into_4_800_and_1_200_of_each_class():
    split = stratified(LABELS, 12_000, 0)
    assert counts(LABELS, split.train_indices) == [4_800] * 10
    assert counts(LABELS, split.val_indices) == [1_200] * 10
    both = np.concatenate([split.train_indices, split.val_indices])
    assert np.array_equal(np.sort(both), np.arange(60_000))


def test_the_same_seed_divides_alike_and_another_differently():
    one, two, other = (stratified(LABELS, 12_000, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.val_indices, two.val_indices)
    assert one.digest == two.digest
    # A fifth of each class is drawn: two independent draws share a fifth of 12,000, 2,400; the
    # spread of ten hypergeometric draws is sqrt(10 x 1200 x 0.2 x 0.8 x 0.8) = 39; we allow 5.
    assert len(np.intersect1d(one.val_indices, other.val_indices)) == pytest.approx(
        2_400, abs=5 * 39
    )
    assert one.digest != other.digest


def test_the_seeds_of_today_divide_as_they_always_did():
    # Stored runs depend on it, and NumPy may change what its generators draw. If this fails,
    # `numerics_version` has to go up.
    split = stratified(np.arange(40) % 4, 8, 7)
    assert split.val_indices.tolist() == [5, 6, 7, 9, 14, 15, 28, 36]


def test_a_larger_validation_part_contains_the_smaller():
    small, large = (stratified(LABELS, num_val, 3).val_indices for num_val in (5_000, 12_000))
    assert np.isin(small, large).all()


@given(
    class_sizes=st.lists(st.integers(3, 60), min_size=1, max_size=8),
    proportion=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**40),
)
def test_every_class_has_its_share_to_within_one_image(class_sizes, proportion, seed):
    labels = np.repeat(np.arange(len(class_sizes)), class_sizes)
    num_val = round(proportion * len(labels))
    assume(len(class_sizes) <= num_val <= len(labels) - len(class_sizes))
    split = stratified(labels, num_val, seed)
    drawn = counts(labels, split.val_indices)
    assert sum(drawn) == num_val
    assert np.array_equal(
        np.sort(np.concatenate([split.train_indices, split.val_indices])), np.arange(len(labels))
    )
    quotas = [size * num_val / len(labels) for size in class_sizes]
    # Where no share is held up by the rule "at least one to each side", none is off by one.
    is_free = all(1 <= quota <= size - 1 for quota, size in zip(quotas, class_sizes, strict=True))
    for share, quota, size in zip(drawn, quotas, class_sizes, strict=True):
        assert 1 <= share <= size - 1
        if is_free:
            assert abs(share - quota) < 1


def test_shares_are_those_of_scikit_learn():
    labels = np.repeat(np.arange(4), (100, 57, 31, 12))
    _, theirs = train_test_split(labels, test_size=50, stratify=labels, random_state=0)
    ours = labels[stratified(labels, 50, 0).val_indices]
    # Quotas are 25, 14.25, 7.75 and 3: nothing is tied, so both round to the same.
    assert np.bincount(ours).tolist() == np.bincount(theirs).tolist() == [25, 14, 8, 3]


@pytest.mark.parametrize("num_val", [-1, 0, 9, 59_991, 60_000, 70_000])
def test_too_many_or_too_few_validation_images_are_an_error(num_val):
    with pytest.raises(SpecError, match=r"data\.num_val: .* 10 to 59,990\."):
        stratified(LABELS, num_val, 0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0] * 5 + [1] * 2, "class 1 has 2 image"),
        ([0] * 5 + [2] * 5, "class 1 has 0 image"),
        ([], "none"),
    ],
)
def test_a_class_with_fewer_than_three_images_is_an_error(labels, words):
    with pytest.raises(DataError, match=words):
        stratified(np.array(labels, np.int64), 3, 0)


def test_a_seed_below_zero_is_an_error():
    with pytest.raises(SpecError, match="split_seed: -1"):
        stratified(LABELS, 100, -1)


def test_applied_to_images_it_gives_each_its_role_and_keeps_their_ids():
    images = ImageSet(
        np.zeros((30, 1, 2, 2), np.uint8),
        np.arange(30) % 3,
        ("a", "b", "c"),
        np.arange(30),
        "train",
    )
    split = stratified(images.labels_N, 6, 0)
    train, val = split.apply(images)
    assert (train.role, val.role) == ("train", "val")
    assert np.array_equal(val.ids_N, split.val_indices)
    with pytest.raises(DataError, match="belongs to another data set"):
        split.apply(images.take(np.arange(10), "train"))


def test_what_was_saved_is_loaded(tmp_path):
    split = stratified(LABELS, 12_000, 5)
    split.save(tmp_path / "split.json")
    loaded = Split.load(tmp_path / "split.json")
    assert np.array_equal(loaded.train_indices, split.train_indices)
    assert np.array_equal(loaded.val_indices, split.val_indices)
    assert (loaded.split_seed, loaded.digest) == (5, split.digest)
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def moved(content: dict) -> None:
    content["val_indices"][0], content["train_indices"][0] = (
        content["train_indices"][0],
        content["val_indices"][0],
    )
    content["val_indices"].sort()
    content["train_indices"].sort()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (moved, "digest does not match"),
        (lambda c: c["val_indices"].append(c["train_indices"][0]), "uses each position once"),
        (lambda c: c["val_indices"].reverse(), "ascending order"),
        (lambda c: c.update(val_indices=[]), "one set is empty"),
        (lambda c: c.update(val_indices=[1.5]), "no whole numbers"),
        (lambda c: c.update(val_indices=[10**30]), "no whole numbers"),
        (lambda c: c.update(val_indices="12"), "no whole numbers"),
        (lambda c: c.pop("split_seed"), "no key 'split_seed'"),
        (lambda c: c.update(schema="modiste.run/1"), "not a split"),
    ],
    ids=["moved", "twice", "order", "empty", "half", "huge", "text", "seed", "schema"],
)
def test_a_changed_file_is_an_error_that_names_it(tmp_path, change, words):
    path = tmp_path / "split.json"
    stratified(np.arange(40) % 4, 8, 7).save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words) as caught:
        Split.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_file_that_is_no_split_is_an_error(tmp_path, content):
    (tmp_path / "split.json").write_bytes(content)
    with pytest.raises(DataError, match=r"split\.json: "):
        Split.load(tmp_path / "split.json")


def test_a_missing_split_is_an_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        Split.load(tmp_path / "split.json")
