"""A table of paths and labels, as CSV, becomes a list of images.

The first line names the columns: one for the path (`path`, `file`, `filename`, `image`), one for
the class (`label`, `class`, `category`), and where the set has parts, one for them (`part`,
`split`) with the words train, val and test. Other columns are left alone. Paths start from the
table's own folder and stay in it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modiste.data.own import names
from modiste.data.own.listing import Item, Listing, Place, check_classes, check_numbers
from modiste.data.own.names import shown
from modiste.data.own.walk import PART_NAMES, read_file, trouble_with_kind, trouble_with_link
from modiste.errors import DataError

PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "image_path", "img")
LABEL_COLUMNS = ("label", "class", "category", "target", "class_name")
PART_COLUMNS = ("part", "split", "set", "subset")
MAX_BYTES = 256 << 20


@dataclass(frozen=True)
class _Columns:
    """Where in a line stands what."""

    path: int
    label: int
    part: int | None
    number: int


@dataclass(frozen=True)
class _Line:
    number: int
    path: str
    label: str
    part: Place


def list_table(path: Path) -> Listing:
    """The images that a CSV file names.

    Raises:
        DataError: If it is no such table; names the line.
    """
    file = path.expanduser().resolve()
    rows = _rows(path, file)
    number, head = next(rows, (0, []))
    columns = columns_of(head)
    if columns is None:
        raise DataError(
            f"{shown(path)}: line {number or 1}: expected the names of the columns, one of "
            f"{', '.join(PATH_COLUMNS[:4])} and one of {', '.join(LABEL_COLUMNS[:3])}; got "
            f"{', '.join(map(shown, head)) or 'nothing'}."
        )
    lines = [_line(path, number, row, columns) for number, row in rows]
    if not lines:
        raise DataError(f"{shown(path)}: names no image: there is nothing below its first line.")
    _check_once(path, lines)
    known = names.in_order({line.label for line in lines if line.part == "train"})
    if unknown := sorted({line.label for line in lines} - set(known)):
        raise DataError(
            f"{shown(path)}: the class '{shown(unknown[0])}' has no image in the train part. Every "
            "class needs images to learn it from."
        )
    check_classes(path, known)
    check_numbers(shown(path), known)
    label_of = {name: label for label, name in enumerate(known)}
    root = file.parent
    items = [
        Item(
            line.part,
            label_of[line.label],
            line.path,
            root / line.path,
            _trouble(root, root / line.path),
        )
        for line in lines
    ]
    return Listing("csv", path, known, items, read_file, is_ordered=True)


def columns_of(head: Sequence[str]) -> _Columns | None:
    """Where the columns are that a first line names; none if one is lacking."""
    words = [word.strip().lower() for word in head]

    def find(known: Sequence[str]) -> int | None:
        return next((words.index(word) for word in known if word in words), None)

    path, label = find(PATH_COLUMNS), find(LABEL_COLUMNS)
    if path is None or label is None:
        return None
    return _Columns(path, label, find(PART_COLUMNS), len(head))


def first_line(path: Path) -> list[str]:
    """The words of a table's first line; none if it has none that can be read."""
    try:
        return next(_rows(path, path), (0, []))[1]
    except DataError:
        return []


def _rows(path: Path, file: Path) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, each with its number."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DataError(f"{shown(path)}: larger than {MAX_BYTES:,} bytes; no such table is.")
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{shown(path)}: no such file.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(path)}: no UTF-8 text (byte {error.start}). Save it so.") from None
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror}).") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{shown(path)}: line {reader.line_num}: no valid CSV ({error}).") from None


def _line(path: Path, number: int, row: Sequence[str], columns: _Columns) -> _Line:
    where = f"{shown(path)}: line {number}"
    if len(row) != columns.number:
        raise DataError(f"{where}: {len(row)} columns where the first line has {columns.number}.")
    named, label = row[columns.path], row[columns.label]
    if not label.strip():
        raise DataError(f"{where}: no class is named for {shown(named)}.")
    pure = PurePosixPath(named)
    if not named or pure.is_absolute() or ".." in pure.parts:
        raise DataError(
            f"{where}: '{shown(named)}' leads out of the table's folder. Paths start from that "
            "folder and stay in it."
        )
    part: Place = "train"
    if columns.part is not None:
        word = row[columns.part].strip().lower()
        found = [each for each, known in PART_NAMES.items() if word in known]
        if not found:
            raise DataError(f"{where}: '{shown(word)}' is no part; expected train, val or test.")
        part = found[0]
    return _Line(number, str(pure), label, part)


def _check_once(path: Path, lines: Sequence[_Line]) -> None:
    seen: dict[str, int] = {}
    for line in lines:
        if line.path in seen:
            raise DataError(
                f"{shown(path)}: line {line.number} names the same file as line "
                f"{seen[line.path]}: {shown(line.path)}. Each belongs to one class and one part."
            )
        seen[line.path] = line.number


def _trouble(root: Path, file: Path) -> str:
    if trouble := names.trouble_with_file(str(file.relative_to(root))):
        return trouble
    try:
        if not file.exists() and not file.is_symlink():
            return "no such file"
        # Any folder on the way may be a link, too.
        return trouble_with_link(root, file) or trouble_with_kind(file.stat())
    except OSError as error:  # a name that no disk takes, a folder that may not be entered
        return f"cannot be read ({error.strerror})"
