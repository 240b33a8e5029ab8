"""Folders, tables and arrays are found, listed and decoded, each kind of image by the rule."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modiste import ImageClassifier
from modiste.api.data import from_arrays, open_data, scan
from modiste.data.own import apart
from modiste.data.own.recognise import recognise, source_at
from modiste.data.own.walk import list_folder
from modiste.data.source import open_source
from modiste.errors import DataError, InputError, SpecError
from modiste.spec.run import DataSpec
from tests.bad_images import write_idx_set
from tests.own_images import (
    CLASSES,
    PER_CLASS,
    arrays,
    picture,
    png_bytes,
    rows_of_table,
    write_classes,
    write_npz,
    write_parts,
    write_table,
)

DECODE = {"size": [8, 8], "channels": 1}


def spec(name: str = "folder", **more: Any) -> DataSpec:
    return DataSpec.parse({"name": name, "decode": DECODE, "num_val": 6, **more})


def load(path: Path, name: str = "folder", **more: Any):
    return open_source(spec(name, **more), path).load_train()


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_of_class_folders_is_read(tmp_path):
    images = load(write_classes(tmp_path / "pets"))
    assert images.class_names == CLASSES
    assert images.counts() == [PER_CLASS] * 3
    assert images.role == "train"
    found = {pixels.tobytes() for pixels in images.images_NCHW}
    assert found == {picture(number).tobytes() for number in range(15)}
    for label, pixels in zip(images.labels_N, images.images_NCHW, strict=True):
        numbers = range(PER_CLASS * label, PER_CLASS * (label + 1))
        assert pixels.tobytes() in {picture(number).tobytes() for number in numbers}


def test_the_order_of_files_on_the_disk_and_their_names_mean_nothing(tmp_path):
    one = load(write_classes(tmp_path / "pets"))
    places = [(label, position) for label in range(3) for position in range(PER_CLASS)]
    random.Random(0).shuffle(places)
    for name in CLASSES:
        (tmp_path / "other" / name).mkdir(parents=True)
    for count, (label, position) in enumerate(places):
        content = png_bytes(picture(PER_CLASS * label + position))
        (tmp_path / "other" / CLASSES[label] / f"image {count}.png").write_bytes(content)
    assert load(tmp_path / "other").digest == one.digest


def test_classes_that_are_numbers_stand_in_the_order_of_their_values(tmp_path):
    images = load(write_classes(tmp_path, classes=("10", "9", "0")))
    assert images.class_names == ("0", "9", "10")


@pytest.mark.parametrize(("val", "test"), [("val", "test"), ("validation", "Testing")])
def test_parts_that_are_there_are_used_as_they_are(tmp_path, val, test):
    root = write_parts(tmp_path / "pets")
    (root / "val").rename(root / "moved")
    (root / "moved").rename(root / val)
    (root / "test").rename(root / "moved")
    (root / "moved").rename(root / test)
    opened = open_data(str(root))
    assert opened.spec.num_val == 15
    assert opened.spec.test_share is None
    data = opened.divided()
    assert (len(data.train), len(data.val)) == (15, 15)
    wanted = {picture(100 + number).tobytes() for number in range(15)}
    assert {pixels.tobytes() for pixels in data.val.images_NCHW} == wanted
    # Their sizes are part of the digest: another border is another set.
    assert opened.images.digest != load(write_classes(tmp_path / "flat", 10)).digest


def test_another_number_than_that_of_the_given_part_and_folds_are_refused(tmp_path):
    write_parts(tmp_path)
    with pytest.raises(SpecError, match=r"a validation part of 15 images, which is used: say"):
        open_data(str(tmp_path), num_val=10).divided()
    with pytest.raises(SpecError, match=r"data\.folds: 3, but the set came with"):
        open_data(str(tmp_path), folds=3).divided()


def test_a_folder_called_train_that_holds_images_is_a_class(tmp_path):
    images = load(write_classes(tmp_path, classes=("bus", "train")))
    assert images.class_names == ("bus", "train")


def test_what_systems_leave_behind_and_links_inside_are_passed_over(tmp_path):
    root = write_classes(tmp_path / "pets")
    plain = load(root).digest
    (root / "ant" / ".hidden").write_bytes(b"x")
    (root / "ant" / "Thumbs.db").write_bytes(b"x")
    (root / "README.md").write_text("about these")
    (root / "ant" / "again.png").symlink_to("0.png")
    (root / "formicidae").symlink_to("ant")
    assert load(root).digest == plain
    assert list_folder(root).passed_over == {
        "hidden or system file": 2,
        "link to what is inside": 2,
    }
    (root / ".DS_Store").touch()
    (root / "runs" / "begun").mkdir(parents=True)  # our own is no news
    assert list_folder(root).passed_over["hidden or system file"] == 3


def test_what_systems_leave_beside_the_parts_is_passed_over(tmp_path):
    write_parts(tmp_path)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "notes").mkdir()
    assert list_folder(tmp_path).passed_over == {
        "hidden or system file": 1,
        "folder beside train/: notes": 1,
    }


def test_what_modiste_itself_leaves_beside_the_classes_is_no_class(tmp_path):
    root = tmp_path / "set"
    write_classes(root, per_class=3)
    wanted = load(root, "folder").class_names
    (root / "runs" / "begun").mkdir(parents=True)
    (root / "runs" / "pets-quick").mkdir()
    (root / "runs" / "pets-quick" / "study.json").touch()
    (root / "figures").mkdir()
    (root / "figures" / "first-images.png").touch()
    assert load(root, "folder").class_names == wanted
    # Those are names of classes, too.
    for name in ("runs", "figures"):
        shutil.rmtree(root / name)
        shutil.copytree(root / wanted[0], root / name)
        Image.new("L", (8, 8), len(name)).save(root / name / "own.png")
    assert {"runs", "figures"} < set(load(root, "folder").class_names)


def test_copies_in_a_class_are_used_once_and_named(tmp_path):
    root = write_classes(tmp_path / "pets")
    (root / "ant" / "z.bmp").write_bytes(png_bytes(picture(0), "BMP"))
    source = open_source(spec(), root)
    assert len(source.load_train()) == 15
    assert source.facts()["copies"] == ["ant/z.bmp"]


def test_a_picture_in_two_classes_stays_in_both_and_is_counted(tmp_path):
    root = write_classes(tmp_path / "pets")
    (root / "bee" / "same.png").write_bytes(png_bytes(picture(0)))
    source = open_source(spec(), root)
    assert len(source.load_train()) == 16
    assert source.facts()["num_ambiguous"] == 1


# --- what images become ---------------------------------------------------------------------------

COLOURS = np.random.default_rng(5).integers(0, 256, (8, 8, 3), np.uint8)
ALPHA = np.dstack([COLOURS, np.full((8, 8), 128, np.uint8)])
EXIF = Image.Exif()
EXIF[0x0112] = 6

KINDS: dict[str, tuple[bytes, str]] = {
    "grey": (png_bytes(picture(90)), "L"),
    "1 bit": (png_bytes(Image.fromarray(picture(90)).convert("1")), "1"),
    "16 bits": (png_bytes(Image.fromarray(picture(90).astype(np.uint16) * 257)), "I;16"),
    "grey with alpha": (png_bytes(Image.fromarray(ALPHA).convert("LA")), "LA"),
    "palette": (png_bytes(Image.fromarray(COLOURS).convert("P")), "P"),
    "colour": (png_bytes(COLOURS), "RGB"),
    "colour with alpha": (png_bytes(ALPHA), "RGBA"),
    "turned": (png_bytes(COLOURS, exif=EXIF), "RGB"),
    "CMYK": (png_bytes(Image.fromarray(COLOURS).convert("CMYK"), "JPEG"), "CMYK"),
    "JPEG": (png_bytes(COLOURS, "JPEG"), "RGB"),
    "GIF": (png_bytes(COLOURS, "GIF"), "P"),
    "animated GIF": (
        png_bytes(
            Image.fromarray(picture(90)), "GIF", save_all=True,
            append_images=[Image.fromarray(picture(91))],
        ),
        "P",
    ),
    "WebP": (png_bytes(COLOURS, "WEBP", lossless=True), "RGB"),
    "BMP": (png_bytes(COLOURS, "BMP"), "RGB"),
    "a wrong ending": (png_bytes(COLOURS, "BMP"), "RGB"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_is_taken_and_counted(kind, tmp_path):
    content, mode = KINDS[kind]
    root = write_classes(tmp_path / "pets")
    (root / "bee" / "one.png").write_bytes(content)
    found = scan(str(root))
    assert found["trouble"] is None
    assert found["modes"] == ({"L": 16} if mode == "L" else {"L": 15, mode: 1})
    decode = {"size": [8, 8], "channels": 3}
    images = open_source(DataSpec.parse({"name": "folder", "decode": decode}), root).load_train()
    assert images.shape_CHW == (3, 8, 8)
    assert found["num_turned"] == (kind == "turned")
    assert found["num_16_bit"] == (kind == "16 bits")
    assert found["num_transparent"] == ("alpha" in kind)


def test_mixed_sizes_need_a_rule_and_are_brought_to_it(tmp_path):
    root = write_classes(tmp_path / "pets")
    write_classes(root, 4, ("dog",), start=70, side=13)
    with pytest.raises(SpecError, match=r"data\.decode: the images have 2 sizes: 8 x 8 \(15\), 13"):
        open_source(DataSpec(name="folder"), root).load_train()
    images = load(root, decode={"size": [10, 12], "channels": 1, "sizing": "pad"})
    assert images.shape_CHW == (1, 10, 12)
    small = images.images_NCHW[images.labels_N < 3]
    assert not small[:, :, 0].any()
    assert not small[:, :, :, :2].any()


def test_images_of_one_size_need_no_rule(tmp_path):
    root = write_classes(tmp_path / "pets")
    assert open_source(DataSpec(name="folder"), root).load_train().shape_CHW == (1, 8, 8)
    (root / "ant" / "colour.png").write_bytes(png_bytes(COLOURS))
    assert open_source(DataSpec(name="folder"), root).load_train().shape_CHW == (3, 8, 8)


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "semicolons", "tabs", "BOM and CRLF", "more columns"])
def test_a_table_is_read_however_it_is_written(form, tmp_path):
    rows = rows_of_table()
    if form == "more columns":
        rows = [("id", "Label", "Image", "by"), *((str(n), b, a, "x") for n, (a, b) in
                enumerate(rows[1:]))]  # fmt: skip
    path = write_table(tmp_path, rows)
    text = path.read_text()
    if form == "semicolons":
        path.write_text(text.replace(",", ";"))
    elif form == "tabs":
        path.write_text(text.replace(",", "\t"))
    elif form == "BOM and CRLF":
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    images = load(path, "csv")
    assert images.class_names == CLASSES
    # A table has an order of its own, and it is kept.
    assert images.labels_N.tolist() == np.repeat([0, 1, 2], PER_CLASS).tolist()
    assert images.images_NCHW[7, 0].tobytes() == picture(7).tobytes()


def test_a_table_divides_its_images_if_it_says_how(tmp_path):
    rows = rows_of_table()
    parts = ["split", *(["train", "train", "train", "valid", "test"] * 3)]
    path = write_table(tmp_path, [(*row, part) for row, part in zip(rows, parts, strict=True)])
    opened = open_data(str(path))
    assert opened.spec.num_val == 3
    assert opened.source.facts()["parts"] == {"train": [3] * 3, "val": [1] * 3, "test": [1] * 3}


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("images", "labels"), ("X", "y"), ("x_train", "y_train"), ("train_images", "train_labels"),
        ("arr_0", "arr_1"),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (1, 8, 8), (8, 8, 3), (3, 8, 8), (8, 8, 4)])
def test_arrays_are_read_under_known_names_and_in_known_shapes(names, shape, tmp_path):
    images, labels = arrays(shape=shape)
    np.savez_compressed(tmp_path / "all.npz", **dict(zip(names, (images, labels), strict=True)))
    channels = 3 if 3 in shape or 4 in shape else 1
    found = load(tmp_path / "all.npz", "npz", decode={"size": [8, 8], "channels": channels})
    assert found.class_names == ("0", "1", "2")
    assert found.labels_N.tolist() == labels.tolist()
    if channels == 1:
        assert np.array_equal(found.images_NCHW.reshape(30, 8, 8), images.reshape(30, 8, 8))
    elif shape == (3, 8, 8):
        assert np.array_equal(found.images_NCHW, images)


@pytest.mark.parametrize("kind", ["uint16", "big-endian uint16", "bool", "Fortran order"])
def test_numbers_of_other_types_become_bytes(kind, tmp_path):
    images, _ = arrays()
    given = {
        "uint16": images.astype(np.uint16) * 256 + 99,
        "big-endian uint16": (images.astype(np.uint16) * 256).astype(">u2"),
        "bool": images > 127,
        "Fortran order": np.asfortranarray(images),
    }[kind]
    found = load(write_npz(tmp_path / "all.npz", images=given), "npz").images_NCHW[:, 0]
    assert np.array_equal(found, np.where(images > 127, 255, 0) if kind == "bool" else images)


def test_labels_may_be_words_and_classes_may_be_named(tmp_path):
    _, labels = arrays()
    words = np.array(["cat", "ant", "bee"])[labels]
    found = load(write_npz(tmp_path / "words.npz", labels=words), "npz")
    assert found.class_names == CLASSES
    assert [found.class_names[k] for k in found.labels_N] == words.tolist()
    named = write_npz(tmp_path / "named.npz", class_names=np.array(["x", "y", "z"]))
    assert load(named, "npz").class_names == ("x", "y", "z")
    column = write_npz(tmp_path / "column.npz", labels=labels[:, None])
    assert load(column, "npz").labels_N.tolist() == labels.tolist()
    gaps = load(write_npz(tmp_path / "gaps.npz", labels=labels * 10 - 5), "npz")
    assert gaps.class_names == ("-5", "5", "15")
    assert gaps.labels_N.tolist() == labels.tolist()


def test_two_classes_of_one_name_are_refused(tmp_path):
    named = write_npz(tmp_path / "named.npz", class_names=np.array(["x", "y", "x"]))
    with pytest.raises(DataError, match="two classes are both called 'x'"):
        load(named, "npz")


def test_parts_of_arrays_are_used_as_they_are(tmp_path):
    parts = {}
    for number, part in enumerate(("train", "val", "test")):
        images = np.random.default_rng(number).integers(0, 256, (12, 8, 8), np.uint8)
        parts |= {f"{part}_images": images, f"{part}_labels": np.arange(12)[:, None] % 3}
    np.savez(tmp_path / "medmnist.npz", **parts)
    data = open_data(str(tmp_path / "medmnist.npz")).divided()
    assert np.array_equal(data.train.images_NCHW[:, 0], parts["train_images"])
    assert np.array_equal(data.val.images_NCHW[:, 0], parts["val_images"])


def test_arrays_in_memory_are_divided_like_their_file(tmp_path):
    images, labels = arrays(60)
    data = from_arrays(images, labels, num_val=9)
    path = tmp_path / "all.npz"
    np.savez(path, images=images, labels=labels)
    opened = open_data(str(path), num_val=9)
    assert data.digest == opened.images.digest
    assert data.spec == opened.spec
    assert (data.name, opened.name) == ("arrays", "all.npz")
    assert (len(data.train), len(data.val)) == (39, 9)
    given = from_arrays(images, labels, val=(255 - images[:6], labels[:6]))
    assert len(given.val) == 6
    with pytest.raises(DataError, match=r"labels: 60 labels for 59 images"):
        from_arrays(images[:59], labels)


def test_labels_that_came_as_python_objects_are_words_or_whole_numbers():
    images, numbers = arrays(60)
    words = np.array(["ant", "bee", "cat"])[numbers]
    plain = from_arrays(images, words)
    assert from_arrays(images, words.astype(object)).digest == plain.digest
    assert from_arrays(images, words.astype(object)).train.class_names == ("ant", "bee", "cat")
    assert (
        from_arrays(images, list(map(int, numbers))).digest
        == from_arrays(images, numbers.astype(object)).digest
    )
    truths = from_arrays(images, numbers > 0)
    assert truths.train.class_names == ("False", "True")
    assert from_arrays(images, (numbers > 0).astype(object)).digest == truths.digest
    named = from_arrays(images, numbers > 0, class_names=["dark", "light"])
    assert named.train.class_names == ("dark", "light")
    assert named.train.labels_N.tolist() == truths.train.labels_N.tolist()
    with pytest.raises(DataError, match="labels: one of type object"):
        from_arrays(images, np.array(None))
    with pytest.raises(DataError, match=r"labels: 60 of type object; expected a whole number or"):
        from_arrays(images, np.array([1j, *words[1:]], object))


@pytest.mark.parametrize(
    "nothing", [None, float("nan"), np.float32("nan"), "NA"], ids=["None", "nan", "np.nan", "NA"]
)
def test_a_label_that_is_missing_is_named_and_makes_no_class(nothing):
    images, numbers = arrays(60)
    words = ["ant" if number else nothing for number in numbers]
    if nothing == "NA":
        pandas = pytest.importorskip("pandas")
        words = pandas.Series([None if word == "NA" else word for word in words], dtype="string")
    first = int(np.flatnonzero(numbers == 0)[0])
    with pytest.raises(DataError, match=rf"labels\[{first}\]: the label is missing"):
        from_arrays(images, words)
    with pytest.raises(InputError, match=rf"y\[{first}\]: the label is missing"):
        ImageClassifier("mlp", {"hidden": [4]}, epochs=1).fit(images, words)


@pytest.mark.parametrize(
    "named",
    [{"zero": 0, "one": 1, "two": 2}, {"a", "b", "c"}, "abc", [0, 1, 2], 3],
    ids=["a mapping", "a set", "a word", "numbers", "a number"],
)
def test_class_names_without_an_order_are_refused(named):
    images, numbers = arrays(60)
    with pytest.raises(SpecError, match=r"class_names: .*; expected words in a list"):
        from_arrays(images, numbers, class_names=named)


def test_validation_images_of_another_size_are_refused_unless_it_is_said_what_they_become():
    images, numbers = arrays(60)
    val = (images[:12, :4], numbers[:12])
    with pytest.raises(DataError, match=r"val\[0\]: .* they differ in size"):
        from_arrays(images, numbers, val=val)
    stated = {"size": [8, 8], "channels": 1, "sizing": "stretch"}
    assert len(from_arrays(images, numbers, val=val, decode=stated).val) == 12
    with pytest.raises(SpecError, match="val: expected two things"):
        from_arrays(images, numbers, val=images)


def test_pictures_of_a_palette_or_of_several_modes_are_no_arrays():
    images, numbers = arrays(60)
    grey = [Image.fromarray(pixels) for pixels in images]
    colours = [each.convert("RGB") for each in grey]
    assert len(from_arrays(grey, numbers).val) == len(from_arrays(images, numbers).val)
    with pytest.raises(InputError, match=r"images holds images of Pillow's mode P"):
        from_arrays([each.quantize(8) for each in colours], numbers)
    with pytest.raises(InputError, match=r"modes L and RGB\. Bring all .*convert\('RGB'\)"):
        from_arrays([*grey[:9], *colours[9:]], numbers)
    deep = [Image.fromarray(pixels.astype(np.uint16) * 200) for pixels in images]
    with pytest.raises(InputError, match=r"modes I;16 and L\. Bring all to one mode first\.$"):
        from_arrays([*grey[:9], *deep[9:]], numbers)  # what convert makes of those is cut off


def test_arrays_in_memory_know_nothing_of_a_folder_that_is_called_as_they_are(
    tmp_path, monkeypatch
):
    images, labels = arrays(60)
    before = from_arrays(images, labels)
    monkeypatch.chdir(tmp_path)
    Path("arrays").mkdir()
    (Path("arrays") / apart.NAME).write_text("{}", "utf-8")
    assert from_arrays(images, labels).digest == before.digest
    assert len(from_arrays(images, labels, test_share=None).train) == 48


def test_idx_files_without_a_test_part_can_have_one_split_off(tmp_path):
    write_idx_set(tmp_path)
    whole = open_source(DataSpec(name="idx"), tmp_path).load_train()
    assert len(whole) == 30
    rest = open_source(DataSpec(name="idx", test_share=0.2), tmp_path).load_train()
    assert len(rest) == 24
    assert rest.class_names == ("ant", "bee", "cat")


# --- found by looking -----------------------------------------------------------------------------


def test_what_lies_at_a_path_is_found_by_looking(tmp_path):
    assert recognise(write_classes(tmp_path / "a")) == ("folder", tmp_path / "a")
    assert recognise(write_parts(tmp_path / "b")) == ("folder", tmp_path / "b")
    assert recognise(write_idx_set(tmp_path / "c")) == ("idx", tmp_path / "c")
    assert scan(tmp_path / "a")["trouble"] == scan(str(tmp_path / "a"))["trouble"]
    npz = write_npz(tmp_path / "d" / "all.npz")
    assert recognise(npz) == recognise(tmp_path / "d") == ("npz", npz)
    table = write_table(tmp_path / "e")
    assert recognise(table) == recognise(tmp_path / "e") == ("csv", table)
    # A table about the images, which names no paths, is none.
    (tmp_path / "a" / "about.csv").write_text("name,colour\nant,red\n")
    assert recognise(tmp_path / "a") == ("folder", tmp_path / "a")


def test_two_tables_are_a_question(tmp_path):
    write_table(tmp_path, name="one.csv")
    write_table(tmp_path, name="two.csv")
    with pytest.raises(DataError, match=r"holds one\.csv, two\.csv; name the one that is meant"):
        recognise(tmp_path)


def test_a_source_that_is_taken_for_a_folder_is_told_from_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"no such file or folder\. .*data: \{name: fashion-mnist\}"
    ):
        recognise(Path("fashion-mnist"))
    with pytest.raises(DataError, match=r"no such file or folder\.$"):
        recognise(Path("gone"))


def test_a_name_is_a_source_before_it_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "idx")
    assert source_at("idx") == ("idx", None)
    assert source_at("./idx") == ("folder", Path("idx"))
    with pytest.raises(SpecError, match=r"no data source is named 'idxx'\. Did you mean 'idx'\?"):
        source_at("idxx")


@pytest.mark.parametrize("kind", ["folder", "csv", "npz", "idx"])
def test_a_source_without_a_place_asks_for_one(kind):
    with pytest.raises(DataError, match=rf"'{kind}' needs a (folder|file): .* \(data\.path\)"):
        open_source(spec(kind), None).load_train()


def test_a_known_set_has_nothing_to_say_of_its_images():
    with pytest.raises(SpecError, match=r"data\.decode: has no meaning .* 'fashion-mnist'"):
        open_source(spec("fashion-mnist"), None)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    root = write_classes(tmp_path / "pets")
    (root / "bee" / "0.png").chmod(0)
    assert "bee/0.png: cannot be read (Permission denied)" in scan(str(root))["trouble"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may enter everything")
@pytest.mark.parametrize(("mode", "named"), [(0o000, "bee"), (0o400, "bee/0.png")])
def test_a_folder_that_may_not_be_entered_is_named(mode, named, tmp_path):
    table = write_table(tmp_path / "set")
    folder = tmp_path / "set" / "images" / "bee"
    folder.chmod(mode)
    try:
        assert "images/bee/0.png: cannot be read (Permission denied)" in scan(str(table))["trouble"]
        assert f"{named}: cannot be read (Permission denied)" in trouble_of(folder.parent)
        assert "bee/more: cannot be read (Permission denied)" in trouble_of(folder / "more")
    finally:
        folder.chmod(0o700)


def trouble_of(path: Path) -> str:
    """What is answered to it, before or after its images are listed."""
    try:
        return str(scan(str(path))["trouble"])
    except DataError as error:
        return str(error)


@pytest.mark.parametrize(
    ("name", "words"), [("x" * 256, "File name too long"), ("~nobody-of-that-name/x", "no home")]
)
def test_a_path_that_nobody_can_look_at_is_named(name, words, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=words):
        scan(name)
    for kind in ("folder", "csv", "npz", "idx", "fashion-mnist"):
        with pytest.raises(DataError, match=words):
            open_source(DataSpec(name=kind), Path(name)).load_train()
    monkeypatch.setenv("MODISTE_DATA", name)
    with pytest.raises(DataError, match=words):
        open_source(DataSpec(name="folder"), None).load_train()


def test_a_set_is_called_by_its_own_name_and_published_ones_by_theirs(tmp_path: Path) -> None:
    root = write_parts(tmp_path / "pets")
    assert open_source(spec(), root).title == "pets"
    assert open_source(DataSpec(), tmp_path).title == "fashion-mnist"
