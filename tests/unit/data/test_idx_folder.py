"""Any folder of four IDX files is a data set."""

from __future__ import annotations

import numpy as np
import pytest

from modiste.data.key import Key
from modiste.data.source import SOURCES
from modiste.data.split import stratified
from modiste.errors import DataError
from tests.synthetic import draw, idx_bytes, write_gzip, write_idx


def load(folder):
    return SOURCES.get("idx")(folder).load_train()


def test_labels_name_the_classes_where_nothing_else_does(tmp_path):
    images = load(write_idx(tmp_path / "set"))
    assert images.name == images.take(np.arange(3), "val").name == "set"
    assert images.class_names == tuple("0123456789")
    assert images.images_NCHW.shape == (600, 1, 28, 28)
    assert images.counts() == [60] * 10
    assert images.role == "train"


def test_a_list_of_classes_names_them(tmp_path):
    names = [f"kind {letter}" for letter in "abcdefghij"]
    (write_idx(tmp_path) / "classes.txt").write_text("\n".join(names) + "\n")
    assert load(tmp_path).class_names == tuple(names)


def test_the_folder_can_be_named_by_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MODISTE_DATA", str(write_idx(tmp_path)))
    assert len(load(None)) == 600


def test_training_needs_no_test_files(tmp_path):
    for path in write_idx(tmp_path).glob("t10k-*"):
        path.unlink()
    assert len(load(tmp_path)) == 600
    with pytest.raises(DataError, match=r"no file t10k-images-idx3-ubyte\.gz"):
        SOURCES.get("idx")(tmp_path).where("test")


def test_the_test_part_has_the_classes_of_the_training_part(tmp_path):
    write_idx(tmp_path)
    write_gzip(tmp_path / "t10k-labels-idx1-ubyte.gz", idx_bytes(np.zeros(200, np.uint8)))
    part = SOURCES.get("idx")(tmp_path).load_test(Key("idx", "a test of ours"))
    assert part.class_names == tuple("0123456789")
    assert part.role == "test"


def test_no_folder_is_an_error_that_asks_for_one():
    with pytest.raises(DataError, match="'idx' needs a folder"):
        load(None)


def test_images_without_labels_are_an_error(tmp_path):
    write_idx(tmp_path)
    write_gzip(tmp_path / "train-labels-idx1-ubyte.gz", idx_bytes(np.zeros(599, np.uint8)))
    with pytest.raises(DataError, match=r"holds 600 images, .* holds 599 labels"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 classes"),
        ("\n\n", "0 classes"),
        ("a\na\n", "two classes are both called 'a'"),
        ("shoe\n=cmd()\n", r"the class '=cmd\(\)': its name begins with ="),
        ("shoe\n<img onerror=x>\n", "its name holds <"),
    ],
)
def test_a_list_of_classes_names_each_once_and_deceives_nobody(tmp_path, text, why):
    (write_idx(tmp_path) / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=rf"classes\.txt: .*{why}"):
        load(tmp_path)


def test_test_images_of_another_size_are_found_out_before_the_seal_opens(tmp_path):
    write_idx(tmp_path)
    write_gzip(tmp_path / "t10k-images-idx3-ubyte.gz", idx_bytes(np.zeros((9, 14, 14), np.uint8)))
    write_gzip(tmp_path / "t10k-labels-idx1-ubyte.gz", idx_bytes(np.zeros(9, np.uint8)))
    source = SOURCES.get("idx")(tmp_path)
    assert source.where("train") == tmp_path
    with pytest.raises(DataError, match=r"its test images have 14 x 14 pixels, those .* 28 x 28"):
        source.where("test")


def test_too_few_names_for_the_labels_are_an_error(tmp_path):
    (write_idx(tmp_path) / "classes.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match="labels run from 0 to 9, but there are 2 classes"):
        load(tmp_path)


def test_the_synthetic_set_is_the_same_every_time_and_another_for_another_seed(tmp_path):
    one, two, other = (
        load(write_idx(tmp_path / str(number), seed=seed)).digest
        for number, seed in enumerate((0, 0, 1))
    )
    assert one == two
    assert one != other


def test_a_linear_rule_tells_the_synthetic_classes_apart(tmp_path):
    # Means of the training images as templates: what the simplest net can do. Chance is 0.1.
    train = load(write_idx(tmp_path))
    pixels_NP = train.images_NCHW.reshape(len(train), -1) / 255
    means_KP = np.stack([pixels_NP[train.labels_N == label].mean(0) for label in range(10)])
    images, labels = draw(200, seed=99)
    distances = ((images.reshape(200, 1, -1) / 255 - means_KP) ** 2).sum(2)
    assert (distances.argmin(1) == labels).mean() == 1.0


def test_the_synthetic_set_divides_like_the_real_one(tmp_path):
    train, val = stratified(load(write_idx(tmp_path)).labels_N, 120, 0).apply(load(tmp_path))
    assert (train.counts(), val.counts()) == ([48] * 10, [12] * 10)
