"""Small sets of images of one's own, good and bad, made in a moment."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

CLASSES = ("ant", "bee", "cat")
PER_CLASS = 5
SIDE_PX = 8


def picture(number: int, side: int = SIDE_PX) -> npt.NDArray[np.uint8]:
    """Noise, another for each number."""
    return np.random.default_rng(number).integers(0, 256, (side, side), np.uint8)


def png_bytes(
    pixels: npt.NDArray[np.uint8] | Image.Image, kind: str = "PNG", **how: object
) -> bytes:
    """A file of that picture."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    content = io.BytesIO()
    image.save(content, kind, **how)
    return content.getvalue()


def write_classes(
    root: Path,
    per_class: int = PER_CLASS,
    classes: tuple[str, ...] = CLASSES,
    start: int = 0,
    side: int = SIDE_PX,
) -> Path:
    """Class folders of PNG files, all pictures different."""
    number = start
    for name in classes:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for position in range(per_class):
            (folder / f"{position}.png").write_bytes(png_bytes(picture(number, side)))
            number += 1
    return root


def write_flags(root: Path, per_class: int = 24) -> Path:
    """Coloured squares on nothing, RGBA; the colour is the class, and what is clear has noise."""
    chance = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(per_class):
            pixels = chance.integers(0, 256, (12, 12, 4), np.uint8)
            pixels[..., 3] = 0
            top, left = chance.integers(0, 6, 2)
            square = pixels[top : top + 7, left : left + 7]
            square[...] = (*chance.integers(0, 60, 3), 255)
            square[..., channel] = chance.integers(180, 256)
            (folder / f"{number}.png").write_bytes(png_bytes(pixels))
    return root


def write_parts(root: Path) -> Path:
    """The same with train/, val/ and test/."""
    for start, part in ((0, "train"), (100, "val"), (200, "test")):
        write_classes(root / part, start=start)
    return root


def write_table(
    root: Path, rows: list[tuple[str, ...]] | None = None, name: str = "all.csv"
) -> Path:
    """A CSV file beside images in one folder; all of them, if no rows are given."""
    write_classes(root / "images")
    if rows is None:
        rows = [
            (f"images/{label}/{position}.png", label)
            for label in CLASSES
            for position in range(PER_CLASS)
        ]
        rows.insert(0, ("path", "label"))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path = root / name
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def rows_of_table() -> list[tuple[str, ...]]:
    """Header and rows of a table that is right, for tests to spoil."""
    rows: list[tuple[str, ...]] = [("path", "label")]
    for label in CLASSES:
        rows += [(f"images/{label}/{position}.png", label) for position in range(PER_CLASS)]
    return rows


def arrays(num: int = 30, shape: tuple[int, ...] = (8, 8)) -> tuple[npt.NDArray[np.uint8], ...]:
    """Images and labels 0, 1, 2, ..."""
    images = np.random.default_rng(0).integers(0, 256, (num, *shape), np.uint8)
    return images, np.arange(num) % 3


def write_npz(path: Path, **given: npt.NDArray[object]) -> Path:
    """A .npz of these arrays; images and labels that are right where they are not given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images, labels = arrays()
    np.savez(path, **({"images": images, "labels": labels} | given))
    return path
