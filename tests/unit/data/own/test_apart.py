"""A test part that is split off: by the pictures alone, for good, and out of reach of training."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste.data.own import apart
from modiste.data.own.division import divide, seal
from modiste.data.own.stock import take_stock
from modiste.data.own.walk import list_folder
from modiste.data.sealed import SealedTest
from modiste.data.source import open_source
from modiste.errors import DataError, SpecError
from modiste.spec.run import DataSpec
from tests.own_images import CLASSES, picture, png_bytes, write_classes

SPEC = DataSpec.parse(
    {"name": "folder", "decode": {"size": [8, 8], "channels": 1}, "test_share": 0.2}
)
NUM = 30


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return write_classes(tmp_path / "pets", NUM)


class Book:
    """A ledger in memory."""

    looks = 0

    def count(self):
        return self.looks

    def record(self, reason: str) -> str:
        self.looks += 1
        return reason


def sealed_part(path: Path) -> set[bytes]:
    test = SealedTest(open_source(SPEC, path), Book()).open("to see whether it stays")
    assert test.role == "test"
    return {pixels.tobytes() for pixels in test.images_NCHW}


def train_part(path: Path) -> set[bytes]:
    return {p.tobytes() for p in open_source(SPEC, path).load_train().images_NCHW}


def pixels_of(path: Path) -> bytes:
    return np.array(Image.open(path)).tobytes()


def write_record(path: Path, **more) -> None:
    division = divide(take_stock(list_folder(path)), SPEC, **more)
    seal(division, 0.2)


def test_each_class_gives_its_share_and_no_image_is_on_both_sides(pets):
    source = open_source(SPEC, pets)
    assert source.load_train().counts() == [24, 24, 24]
    assert source.facts()["parts"]["test"] == [6, 6, 6]
    assert train_part(pets).isdisjoint(sealed_part(pets))
    assert len(train_part(pets) | sealed_part(pets)) == 3 * NUM


@pytest.mark.parametrize("sizes", [(3, 4, 90), (10, 11, 12), (3, 3, 3)])
def test_a_share_is_rounded_and_is_one_picture_at_least(sizes):
    labels = np.repeat(np.arange(3), sizes)
    marks = [apart.picture(str(number)) for number in range(len(labels))]
    sealed = apart.split_off(marks, labels.tolist(), 0.2)
    found = Counter(label for mark, label in zip(marks, labels.tolist(), strict=True)
                    if mark in sealed)  # fmt: skip
    assert [found[k] for k in range(3)] == [max(1, int(0.2 * n + 0.5)) for n in sizes]


def test_names_formats_places_and_order_change_nothing(pets, tmp_path):
    before = sealed_part(pets)
    other = tmp_path / "elsewhere" / "animals"
    for label, name in enumerate(CLASSES):
        folder = other / f"{label}-{name}"  # another name, in the same order
        folder.mkdir(parents=True)
        for number in reversed(range(NUM)):
            content = png_bytes(picture(NUM * label + number), "BMP")
            (folder / f"{number * 7 % 30}.bmp").write_bytes(content)
    assert sealed_part(other) == before


def test_equal_pictures_are_on_one_side_whatever_their_classes(pets):
    for number in range(NUM):  # each ant is a bee as well
        (pets / "bee" / f"ant{number}.png").write_bytes(png_bytes(picture(number)))
    assert train_part(pets).isdisjoint(sealed_part(pets))


def test_what_is_written_down_stays_the_test_part_when_images_come_and_go(pets):
    write_record(pets)
    before = sealed_part(pets)
    assert apart.load(pets).share == 0.2
    for number in range(20):
        (pets / "ant" / f"new{number}.png").write_bytes(png_bytes(picture(500 + number)))
    with pytest.raises(
        DataError, match=r"20 image\(s\) came after .* Run `modiste init .* --out NEW"
    ):
        open_source(SPEC, pets).load_train()
    trained_on = apart.load(pets).others
    write_record(pets, is_growing=True)
    after = sealed_part(pets)
    assert before < after
    # Of 50 ants a fifth; none of the new test images was trained on before.
    assert len(after) - len(before) == 4
    assert not apart.load(pets).sealed & trained_on


def test_images_that_go_take_none_of_the_test_part_with_them(pets):
    write_record(pets)
    before, trained_on = sealed_part(pets), train_part(pets)
    ants = [path for path in (pets / "ant").iterdir() if pixels_of(path) in trained_on]
    for path in ants[:18]:
        path.unlink()
    assert sealed_part(pets) == before
    # Without the record a fifth of the twelve ants that are left would be two, and not six.
    (pets / apart.NAME).unlink()
    assert len(sealed_part(pets)) == 14


def test_training_needs_no_test_file_and_is_the_same_without(pets):
    write_record(pets)
    whole = open_source(SPEC, pets).load_train()
    sealed = apart.load(pets).sealed
    stock = take_stock(list_folder(pets))
    removed = 0
    for seen in stock.seen:
        if apart.picture(seen.look.pixels) in sealed:
            seen.item.at.unlink()
            removed += 1
    assert removed == 18
    assert open_source(SPEC, pets).load_train().digest == whole.digest
    book = Book()
    with pytest.raises(DataError, match=r"has no test part"):
        SealedTest(open_source(SPEC, pets), book).open("to see")
    assert book.looks == 0


def test_a_test_part_with_a_gap_is_not_opened(pets):
    write_record(pets)
    sealed = apart.load(pets).sealed
    stock = take_stock(list_folder(pets))
    first = next(s for s in stock.seen if apart.picture(s.look.pixels) in sealed)
    first.item.at.unlink()
    book = Book()
    with pytest.raises(DataError, match=r"1 of 18 pictures of the sealed test part are no longer"):
        SealedTest(open_source(SPEC, pets), book).open("to see")
    assert book.looks == 0


def test_sealed_pictures_that_are_moved_into_val_neither_train_nor_choose(pets):
    write_record(pets)
    before = sealed_part(pets)
    for name in CLASSES:  # every third picture, sealed or not, becomes one to validate on
        for part in ("train", "val"):
            (pets / part / name).mkdir(parents=True)
        for path in sorted((pets / name).iterdir()):
            part = "train" if int(path.stem) % 3 else "val"
            path.rename(pets / part / name / path.name)
        (pets / name).rmdir()
    sealed_in_val = [path for path in pets.glob("val/*/*.png") if pixels_of(path) in before]
    assert sealed_in_val
    assert any(pixels_of(path) in before for path in pets.glob("train/*/*.png"))
    images = open_source(SPEC, pets).load_train()
    assert images.num_given_val == 3 * NUM // 3 - len(sealed_in_val)
    assert train_part(pets).isdisjoint(before)
    assert len(images) == 3 * NUM - len(before)
    assert sealed_part(pets) == before


def test_a_picture_of_two_parts_that_is_sealed_chooses_nothing(tmp_path):
    for part, start in (("train", 0), ("val", 200)):
        write_classes(tmp_path / part, NUM, start=start)
    for path in tmp_path.glob("train/*/*.png"):  # half of what could be sealed validates as well
        if int(path.stem) % 2:
            shutil.copy(path, tmp_path / "val" / path.parent.name / f"again{path.name}")
    spec = SPEC.model_copy(update={"keep_duplicates": True})
    source = open_source(spec, tmp_path)
    test = SealedTest(source, Book()).open("to see whether anything of it chose")
    sealed = {pixels.tobytes() for pixels in test.images_NCHW}
    again = [path for path in tmp_path.glob("val/*/again*.png") if pixels_of(path) in sealed]
    assert again
    assert test.counts() == [6, 6, 6]  # each once
    images = source.load_train()
    assert images.num_given_val == 3 * (NUM + NUM // 2) - len(again)
    assert sealed.isdisjoint(pixels.tobytes() for pixels in images.images_NCHW)


def test_nobody_trains_on_a_sealed_part_by_leaving_its_key_out(pets):
    write_record(pets)
    spec = SPEC.model_copy(update={"test_share": None})
    with pytest.raises(SpecError, match=r"Say data\.test_share: 0\.2, so that nobody trains on it"):
        open_source(spec, pets).load_train()
    with pytest.raises(SpecError, match=r"data\.test_share: 0\.3, but the test part was split off"):
        open_source(SPEC.model_copy(update={"test_share": 0.3}), pets).load_train()


def test_a_set_that_came_with_a_test_part_gives_no_other(tmp_path):
    write_classes(tmp_path / "train", NUM)
    write_classes(tmp_path / "test", NUM, start=200)
    with pytest.raises(SpecError, match=r"data\.test_share: 0\.2, but .* came with a test part"):
        open_source(SPEC, tmp_path).load_train()
    spec = SPEC.model_copy(update={"test_share": None})
    shutil.rmtree(tmp_path / "test")  # deleted: nothing takes its place
    source = open_source(spec, tmp_path)
    assert len(source.load_train()) == 3 * NUM
    with pytest.raises(DataError, match="has no test part"):
        source.where("test")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"schema": "x"}', b"\xff", b"[" * 100_000, b'{"schema": 1, "share": 2}'],
)
def test_a_record_that_is_none_is_refused_and_not_replaced(pets, content):
    (pets / apart.NAME).write_bytes(content)
    with pytest.raises(DataError, match=r"modiste-test\.json: no record of a test part"):
        open_source(SPEC, pets).load_train()
    assert (pets / apart.NAME).read_bytes() == content


def test_a_record_says_what_it_is(pets):
    write_record(pets)
    value = json.loads((pets / apart.NAME).read_text("utf-8"))
    assert "models are trained on none of them" in value["about"]
    assert len(value["sealed"]) == 18
    assert len(value["others"]) == 72


def test_no_test_image_lies_in_the_cache(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "cache"))
    source = open_source(SPEC, pets)
    source.load_train()
    wanted = sealed_part(pets)
    kept = [np.load(path) for path in (tmp_path / "cache").rglob("images.npy")]
    assert [len(images) for images in kept] == [72]
    assert wanted.isdisjoint(pixels.tobytes() for pixels in kept[0])
