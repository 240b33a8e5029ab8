"""A published set is found in the stated order, checked, and every failure is named."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from modiste.data import fetch
from modiste.data.key import Key
from modiste.data.published import source
from modiste.data.source import SOURCES
from modiste.data.sources.fashion_mnist import FASHION_MNIST
from modiste.errors import DataError
from tests.synthetic import idx_bytes, write_gzip, write_idx
from tests.unit.data.conftest import facts

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
ALL_FOUR = {TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS}


def copy_of(host, folder: Path) -> Path:
    """The small set in another folder; an ordinary download by hand."""
    return Path(shutil.copytree(host.root, folder))


# --- where it is looked for -------------------------------------------------------------------


def test_all_training_images_arrive_with_labels_names_and_ids(small, host):
    images = source(small, host.root).load_train()
    assert images.images_NCHW.shape == (600, 1, 28, 28)
    assert images.images_NCHW.dtype == np.uint8
    assert images.labels_N.dtype == np.int64
    assert images.counts() == [60] * 10
    assert images.class_names == small.class_names
    assert images.ids_N.tolist() == list(range(600))
    assert (images.name, images.role) == (small.name, "train")
    assert images.digest == small.parts["train"].digest


def test_the_named_folder_comes_before_the_variable_and_the_cache(small, host, monkeypatch):
    argument = copy_of(host, host.root.parent / "argument")
    variable = copy_of(host, host.root.parent / "variable")
    cache = copy_of(host, host.root.parent / "cache/fashion-mnist")
    debian = copy_of(host, small.debian_folder)
    monkeypatch.setenv("MODISTE_DATA", str(variable))
    assert source(small, argument).where("train") == argument
    assert source(small, None).where("train") == variable
    monkeypatch.delenv("MODISTE_DATA")
    assert source(small, None).where("train") == cache
    shutil.rmtree(cache)
    assert source(small, None).where("train") == debian
    assert host.asked == []


@pytest.mark.parametrize("inner", ["fashion-mnist", "FashionMNIST/raw"])
def test_the_usual_folders_inside_the_named_one_are_searched(small, host, tmp_path, inner):
    folder = copy_of(host, tmp_path / "mine" / inner)
    assert source(small, tmp_path / "mine").where("train") == folder


def test_unpacked_files_do_as_well(small, host):
    for name in (TRAIN_IMAGES, TRAIN_LABELS):
        path = host.root / name
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert len(source(small, host.root).load_train()) == 600


def test_a_named_folder_that_lacks_files_is_an_error_though_the_cache_has_them(
    small, host, tmp_path
):
    copy_of(host, tmp_path / "cache/fashion-mnist")
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError) as caught:
        source(small, tmp_path / "mine").load_train()
    message = str(caught.value)
    assert f"lacks {TRAIN_IMAGES} and {TRAIN_LABELS}" in message
    assert "mine, named as the data folder" in message
    assert host.asked == []


def test_a_folder_named_by_the_variable_that_is_not_there_is_an_error(small, host, monkeypatch):
    monkeypatch.setenv("MODISTE_DATA", "/no/such/folder")
    with pytest.raises(DataError, match="named by MODISTE_DATA: no such folder"):
        source(small, None).load_train()
    assert host.asked == []


@pytest.mark.parametrize("place", ["named", "cache", "debian"])
def test_training_needs_no_test_files(small, host, tmp_path, place):
    folders = {
        "named": tmp_path / "mine",
        "cache": tmp_path / "cache/fashion-mnist",
        "debian": small.debian_folder,
    }
    folder = copy_of(host, folders[place])
    (folder / TEST_IMAGES).unlink()
    (folder / TEST_LABELS).unlink()
    assert len(source(small, folder if place == "named" else None).load_train()) == 600
    assert host.asked == []


# --- fetching ---------------------------------------------------------------------------------


def test_all_four_files_are_fetched_into_the_cache_once(small, host, tmp_path):
    assert len(source(small, None).load_train()) == 600
    cache = tmp_path / "cache/fashion-mnist"
    assert {path.name for path in cache.iterdir()} == {*ALL_FOUR, ".lock"}
    assert [path for path, _ in host.asked] == [
        f"/{name}" for name in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    ]
    source(small, None).load_train()
    assert len(host.asked) == 4


def test_a_download_that_broke_off_is_taken_up_by_the_next_run(small, host, tmp_path):
    host.break_after, host.num_breaks = 0, 100
    with pytest.raises(DataError):
        source(small, None).load_train()
    host.break_after, host.num_breaks = 700, 1
    host.asked.clear()
    part = tmp_path / "cache/fashion-mnist" / f"{TRAIN_IMAGES}.part"
    part.write_bytes((host.root / TRAIN_IMAGES).read_bytes()[:300])
    assert len(source(small, None).load_train()) == 600
    assert host.asked[:2] == [
        (f"/{TRAIN_IMAGES}", "bytes=300-"),
        (f"/{TRAIN_IMAGES}", "bytes=1000-"),
    ]


def test_a_begun_part_of_something_else_is_fetched_again_from_its_start(small, host, tmp_path):
    part = tmp_path / "cache/fashion-mnist" / f"{TRAIN_IMAGES}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 300)
    assert len(source(small, None).load_train()) == 600
    assert [wanted for _, wanted in host.asked[:2]] == ["bytes=300-", ""]


def test_the_second_host_is_asked_when_the_first_has_nothing(small, host, capsys):
    twice = dataclasses.replace(small, mirrors=(f"{host.url}/nothing", host.url))
    assert len(source(twice, None).load_train()) == 600
    assert "/nothing: answered 404" in capsys.readouterr().err


@pytest.mark.parametrize("name", [TRAIN_LABELS, TEST_LABELS])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>sign in to this network</html>", "what came is an HTML page"),
        (gzip.compress(b"something else"), "is another file than the published one"),
        (gzip.compress(bytes(1000))[:-4], "what came is a damaged gzip file"),
    ],
    ids=["html", "other", "damaged"],
)
def test_only_the_published_files_enter_the_cache(small, host, tmp_path, name, content, words):
    (host.root / name).write_bytes(content)
    if name == TRAIN_LABELS:
        with pytest.raises(DataError, match=words):
            source(small, None).load_train()
    else:  # the training files are there; the test files are for the seal to ask for
        assert len(source(small, None).load_train()) == 600
        with pytest.raises(DataError, match=words):
            source(small, None).where("test")
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.name.startswith(name)]


def test_files_are_taken_out_of_the_debian_package_when_no_host_answers(
    small, host, tmp_path, monkeypatch
):
    def unpack(package: str, folder: Path) -> Path:
        assert package == "dataset-fashion-mnist"
        copy_of(host, folder / "root" / small.debian_folder.relative_to("/"))
        return folder / "root"

    monkeypatch.setattr(fetch, "unpack_debian_package", unpack)
    no_host = dataclasses.replace(small, mirrors=(f"{host.url}/nothing",))
    assert len(source(no_host, None).load_train()) == 600
    cache = tmp_path / "cache/fashion-mnist"
    assert {path.name for path in cache.iterdir()} == {*ALL_FOUR, ".lock"}


def test_two_at_once_fetch_once_and_both_get_the_data(small, host):
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.append(len(source(small, None).load_train())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers == [600, 600]
    assert len(host.asked) == 4


def test_the_error_tells_what_was_tried_and_how_to_place_the_files(small, host, tmp_path):
    none = dataclasses.replace(small, mirrors=(f"{host.url}/a", f"{host.url}/b"))
    with pytest.raises(DataError) as caught:
        source(none, None).load_train()
    cache = tmp_path / "cache/fashion-mnist"
    assert str(caught.value) == (
        "the data set 'fashion-mnist' is not to be had. Tried, in this order:\n"
        "  1. a folder of yours: none is named (MODISTE_DATA is not set)\n"
        f"  2. the cache {cache}: no such folder\n"
        f"  3. Debian's folder {none.debian_folder}: no such folder\n"
        f"  4. {host.url}/a: answered 404 Not Found\n"
        f"  5. {host.url}/b: answered 404 Not Found\n"
        "  6. apt-get download dataset-fashion-mnist: apt-get is not on this machine\n"
        "To place it by hand: on a machine that has a network, get from "
        "https://github.com/zalandoresearch/fashion-mnist (folder data/fashion)\n"
        f"  {TRAIN_IMAGES}\n  {TRAIN_LABELS}\n  {TEST_IMAGES}\n  {TEST_LABELS}\n"
        f"and put them into {cache}, or into any folder that you name with MODISTE_DATA=FOLDER."
    )


def test_a_cache_that_cannot_be_written_is_named_with_the_remedy(small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot be written: .*Name another with MODISTE_CACHE"):
        source(small, None).load_train()


# --- what is wrong with it ----------------------------------------------------------------------


def refuse(small, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        source(small, folder).load_train()
    return str(caught.value)


def test_a_truncated_file_is_named(small, host):
    path = host.root / TRAIN_IMAGES
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{path}: truncated: the gzip file breaks off" in refuse(small, host.root)


def test_images_and_labels_under_each_others_names_are_named_as_swapped(small, host):
    images, labels = host.root / TRAIN_IMAGES, host.root / TRAIN_LABELS
    content = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    labels.write_bytes(content)
    assert f"{images} and {TRAIN_LABELS} are swapped" in refuse(small, host.root)


def test_labels_in_place_of_images_are_named(small, host):
    shutil.copy(host.root / TRAIN_LABELS, host.root / TRAIN_IMAGES)
    message = refuse(small, host.root)
    assert f"{host.root / TRAIN_IMAGES}: holds labels where images are expected" in message


@pytest.mark.parametrize("kinds", [(TRAIN_IMAGES, TRAIN_LABELS), (TRAIN_IMAGES,), (TRAIN_LABELS,)])
def test_test_files_under_the_names_of_train_are_named(small, host, kinds):
    for name in kinds:
        shutil.copy(host.root / name.replace("train", "t10k"), host.root / name)
    message = refuse(small, host.root)
    assert "200" in message
    assert "as many as the test part; expected 600 of the train part" in message
    assert "Are train and test files swapped?" in message


def test_train_files_under_the_names_of_test_are_named(small, host):
    shutil.copy(host.root / TRAIN_IMAGES, host.root / TEST_IMAGES)
    shutil.copy(host.root / TRAIN_LABELS, host.root / TEST_LABELS)
    with pytest.raises(DataError, match="600 images, as many as the train part"):
        source(small, host.root).load_test(Key(small.name, "a test of ours"))


def test_another_number_of_images_is_named(small, tmp_path):
    folder = write_idx(tmp_path / "other", num_train=590)
    assert "holds 590 images; expected 600" in refuse(small, folder)


def test_another_size_of_images_is_named(small, host):
    write_gzip(host.root / TRAIN_IMAGES, idx_bytes(np.zeros((600, 32, 32), np.uint8)))
    assert "holds images of 32 x 32 pixels; expected 28 x 28" in refuse(small, host.root)


def test_a_label_too_high_is_named(small, host):
    write_gzip(host.root / TRAIN_LABELS, idx_bytes(np.full(600, 11, np.uint8)))
    assert "a label is 11; expected 0 to 9" in refuse(small, host.root)


def test_pixels_that_were_scaled_already_are_named(small, host):
    write_gzip(host.root / TRAIN_IMAGES, idx_bytes(np.ones((600, 28, 28), np.uint8)))
    assert "pixels run from 1 to 1; expected 0 to 255" in refuse(small, host.root)


def test_one_other_pixel_is_found_by_the_digest(small, host):
    content = bytearray(gzip.decompress((host.root / TRAIN_IMAGES).read_bytes()))
    content[-1] ^= 1
    write_gzip(host.root / TRAIN_IMAGES, bytes(content))
    message = refuse(small, host.root)
    assert "differ from the published ones: digest " in message
    assert "before 2017-08-31" in message


def test_repacked_files_are_the_same_data(small, host):
    for name in ALL_FOUR:
        content = gzip.decompress((host.root / name).read_bytes())
        (host.root / name).write_bytes(gzip.compress(content, compresslevel=1, mtime=5))
    assert len(source(small, host.root).load_train()) == 600


@pytest.mark.parametrize("part", ["train", "test"])
def test_mnist_is_told_by_its_counts(tmp_path, part):
    counts = next(iter(FASHION_MNIST.lookalikes.values()))[part]
    labels = np.repeat(np.arange(10, dtype=np.uint8), counts)
    files = FASHION_MNIST.parts[part]
    write_gzip(tmp_path / files.labels.name, idx_bytes(labels))
    write_gzip(tmp_path / files.images.name, idx_bytes(np.zeros((len(labels), 28, 28), np.uint8)))
    found = SOURCES.get("fashion-mnist")(tmp_path)
    loads = {"train": found.load_train, "test": lambda: found.load_test(Key(found.name, "ours"))}
    with pytest.raises(DataError, match=r"this is MNIST .handwritten digits., not 'fashion-mnist'"):
        loads[part]()


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("named", "name another folder"),
        ("cache", "delete the file and run again"),
        ("debian", "apt-get install --reinstall dataset-fashion-mnist"),
    ],
)
def test_a_damaged_file_is_an_error_with_the_remedy_of_its_place(
    small, host, tmp_path, place, remedy
):
    folders = {
        "named": tmp_path / "mine",
        "cache": tmp_path / "cache/fashion-mnist",
        "debian": small.debian_folder,
    }
    folder = copy_of(host, folders[place])
    (folder / TRAIN_LABELS).write_bytes(b"<html>")
    with pytest.raises(DataError, match=remedy) as caught:
        source(small, folder if place == "named" else None).load_train()
    assert str(folder / TRAIN_LABELS) in str(caught.value)
    assert host.asked == []


# --- what is known of Fashion-MNIST -----------------------------------------------------------


def test_fashion_mnist_knows_its_counts_without_touching_disk_or_network(host):
    fashion = SOURCES.get("fashion-mnist")(None)
    assert fashion.test_counts_K == (1_000,) * 10
    assert fashion.class_names is not None
    assert fashion.class_names[9] == "Ankle boot"
    assert sum(FASHION_MNIST.parts["train"].counts_K) == 60_000


def test_facts_of_fashion_mnist_agree_with_each_other():
    # A header is 16 bytes for images and 8 for labels; MNIST has as many images as it.
    for part, known in FASHION_MNIST.parts.items():
        num_images = sum(known.counts_K)
        assert known.images.num_bytes == 16 + num_images * 28 * 28
        assert known.labels.num_bytes == 8 + num_images
        assert all(sum(counts[part]) == num_images for counts in FASHION_MNIST.lookalikes.values())


def test_facts_are_worked_out_as_they_are_checked(small, host):
    assert facts(host.root, "train") == small.parts["train"]
