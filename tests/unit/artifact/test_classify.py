"""Image files to answers: in order, a batch at a time, and with a word for what is none."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from modiste.artifact.classify import Answer, Skipped, classify, image_files
from modiste.data.decode import Rule
from modiste.errors import DataError


class Brightness:
    """Says `light` of light images and `dark` of dark ones, and remembers how it was asked."""

    class_names = ("dark", "light")
    rule = Rule((2, 2), 1)
    batch_size = 4

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def probabilities(self, images_NCHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        self.sizes.append(len(images_NCHW))
        light = images_NCHW.mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - light, light], axis=1)

    def warnings(self, images_NCHW: npt.NDArray[np.uint8]) -> list[str | None]:
        return ["black" if not image.any() else None for image in images_NCHW]


def write(path: Path, level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), level).save(path, "PNG")
    return path


def test_answers_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{level}.png", level) for level in (255, 0, 204, 51, 255)]
    found = list(classify(Brightness(), paths))
    assert [answer.path for answer in found] == paths
    assert all(isinstance(answer, Answer) for answer in found)
    first, second, third, *_ = found
    assert first == Answer(paths[0], "light", (0.0, 1.0), None)
    assert second == Answer(paths[1], "dark", (1.0, 0.0), "black")
    assert isinstance(third, Answer)
    assert third.probability == pytest.approx(0.8)


def test_thousands_need_no_more_than_a_batch_at_once(tmp_path: Path) -> None:
    path, taken = write(tmp_path / "a.png", 9), 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield path

    model = Brightness()
    answers = classify(model, endless())
    for number in range(1, 101):
        next(answers)
        assert taken <= number + model.batch_size
    assert set(model.sizes) == {4}


def test_a_file_that_is_no_image_ends_it_before_its_batch_is_answered(tmp_path: Path) -> None:
    good = [write(tmp_path / f"{number}.png", 9) for number in range(6)]
    (tmp_path / "bad.png").write_text("words")
    answers = classify(Brightness(), [*good, tmp_path / "bad.png"])
    assert [next(answers).path for _ in range(4)] == good[:4]
    with pytest.raises(DataError, match=r"bad\.png: no image"):
        next(answers)


def test_or_it_is_skipped_and_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("words")
    paths = [tmp_path / "bad.png", write(tmp_path / "a.png", 9), tmp_path / "none.png"]
    bad, good, missing = classify(Brightness(), paths, is_skipping=True)
    assert isinstance(bad, Skipped)
    assert isinstance(missing, Skipped)
    assert "no image" in bad.reason
    assert "no such file" in missing.reason
    assert good.path == paths[1]


def test_a_batch_of_nothing_but_skipped_files_asks_nothing(tmp_path: Path) -> None:
    model = Brightness()
    found = list(classify(model, [tmp_path / "a", tmp_path / "b"], is_skipping=True))
    assert len(found) == 2
    assert model.sizes == []


def test_folders_are_looked_through_in_the_order_of_names(tmp_path: Path) -> None:
    wanted = [
        write(tmp_path / "one.JPG", 1),
        write(tmp_path / "two.png", 2),
        write(tmp_path / "a" / "deep" / "x.webp", 3),
        write(tmp_path / "b" / "y.png", 4),
    ]
    write(tmp_path / ".hidden.png", 5)
    write(tmp_path / ".git" / "z.png", 6)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "link").symlink_to(tmp_path / "b", target_is_directory=True)
    named = write(tmp_path / "named-without-ending", 7)
    assert list(image_files([tmp_path, named])) == [*wanted, named]


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"a folder without image files \(by name: .bmp"):
        list(image_files([tmp_path]))


def test_a_folder_that_cannot_be_read_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "a.png").touch()

    def closed(path: Path | str) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    scan = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda path: closed(path) if str(path).endswith("in") else scan(path)
    )
    with pytest.raises(DataError, match=r"in: cannot be read: Permission denied"):
        list(image_files([tmp_path]))
