"""What kind of data set lies at a path, found by looking."""

from __future__ import annotations

from pathlib import Path

from modiste.data.own.arrays import seems
from modiste.data.own.names import shown
from modiste.data.own.table import columns_of, first_line
from modiste.data.own.walk import IMAGE_ENDINGS, PART_NAMES
from modiste.data.places import reachable
from modiste.data.source import SOURCES
from modiste.data.sources.idx_folder import holds_idx
from modiste.errors import DataError, SpecError

TABLE_ENDINGS = (".csv", ".tsv")


def recognise(path: Path) -> tuple[str, Path]:
    """The source that reads what lies at a path, and the path that it is to be given.

    Args:
        path: A folder or a file.

    Raises:
        DataError: If it is nothing that can be read; says what it seems to be, and what would do.

    Returns:
        Such as ``("folder", path)``; of a folder that holds a table of its images, the table.
    """
    path = reachable(path)
    if path.is_dir():
        try:
            return _of_folder(path)
        except OSError as error:
            where = shown(error.filename or path)
            raise DataError(f"{where}: cannot be read ({error.strerror}).") from None
    if not path.exists():
        hint = ""
        if str(path) in SOURCES.names():
            hint = (
                f" A study file can ask for the source of that name: `data: {{name: {path}}}`, as "
                "studies/fashion-mnist.yaml does."
            )
        raise DataError(f"{shown(path)}: no such file or folder.{hint}")
    words = seems(path)
    ending = path.suffix.lower()
    if ending == ".npz":
        return "npz", path
    if ending in TABLE_ENDINGS:
        return "csv", path
    if words in ("a ZIP archive", "a tar archive", "a gzip file") or ending in (".zip", ".tar"):
        raise DataError(f"{shown(path)}: seems to be {words}. Unpack it, and name the folder.")
    raise DataError(
        f"{shown(path)}: seems to be {words}; expected a folder of class folders, a folder of IDX "
        "files, a .npz file, or a CSV file of paths and labels."
    )


def source_at(name: str | Path, path: Path | None = None) -> tuple[str, Path | None]:
    """A source by name, or by the path of what it is to read.

    Args:
        name: Of a source, or a path.
        path: Where the source of that name lies, if it was named apart.

    Raises:
        SpecError: If it is neither; the message holds the nearest name.
        DataError: If what lies there cannot be read.
    """
    if isinstance(name, Path):
        return recognise(name)
    if name in SOURCES.names():
        return name, path
    if path is None and ("/" in name or reachable(Path(name)).exists()):
        return recognise(Path(name))
    try:
        SOURCES.get(name)
    except SpecError as error:
        raise SpecError(f"{error} Or name a folder or a file of images.") from None
    return name, path


def _of_folder(path: Path) -> tuple[str, Path]:
    if holds_idx(path):
        return "idx", path
    if not _has_classes(path):
        tables = [
            file
            for file in sorted(path.iterdir())
            if file.suffix.lower() in TABLE_ENDINGS
            and file.is_file()
            and columns_of(first_line(file)) is not None
        ]
        arrays = sorted(file for file in path.glob("*.npz") if file.is_file())
        if len(tables) == 1:
            return "csv", tables[0]
        if not tables and len(arrays) == 1:
            return "npz", arrays[0]
        if len(tables) + len(arrays) > 1:
            names = ", ".join(shown(file.name) for file in [*tables, *arrays])
            raise DataError(f"{shown(path)}: holds {names}; name the one that is meant.")
    return "folder", path


def _has_classes(path: Path) -> bool:
    """Whether a folder holds two class folders or more, or a folder that is named like a part."""
    known = {word for words in PART_NAMES.values() for word in words}
    inner = [each for each in path.iterdir() if each.is_dir() and not each.name.startswith(".")]
    return any(each.name.lower() in known for each in inner) or sum(map(_has_images, inner)) > 1


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_ENDINGS for file in folder.iterdir())
