"""A folder of class folders becomes a list of images.

    DIR/cat/1.png           classes at the top: nobody has set a part apart
    DIR/train/cat/1.png     with train/, and with val/ and test/ where there are any
    DIR/val/cat/2.png

No link is followed: one that stays inside is passed over, because what it points to lies in the
folder anyway; one that leads out is trouble. The order of files on the disk means nothing.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from modiste.data.decode import ENDINGS
from modiste.data.own import names
from modiste.data.own.listing import PLACES, Content, Item, Listing, Place, check_classes
from modiste.data.own.names import shown
from modiste.errors import DataError

PART_NAMES: dict[Place, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# TIFF is an image as well, which is refused by name.
IMAGE_ENDINGS = {*chain.from_iterable(ENDINGS.values()), ".tif", ".tiff"}
# What systems put into folders unasked; so do those whose names begin with a point.
_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}
# What tells a study, a run and a look at a recipe; and the figures that `data show` draws.
_MARKS = ("study.json", "manifest.json", "laps")
_FIGURES = ("first-images.", "samples-per-class.")
# A bitmap of 25 megapixels, 16 bits and three colours is as large.
MAX_FILE_BYTES = 160 << 20
LINK_INSIDE = "link to what is inside"
HIDDEN = "hidden or system file"


@dataclass(frozen=True)
class _File:
    """One file in a class folder."""

    part: Place
    class_name: str
    path: Path
    trouble: str


def list_folder(path: Path) -> Listing:
    """The images of a folder of class folders.

    Raises:
        DataError: If it is no such folder, or a class in it makes no sense.
    """
    root = path.expanduser().resolve()
    if not root.is_dir():
        raise DataError(f"{shown(path)}: {'is no folder' if path.exists() else 'no such folder'}.")
    parts, passed_over = _parts(path, root)
    files: list[_File] = []
    classes: dict[Place, list[str]] = {}
    for part, folder in parts.items():
        classes[part] = []
        for class_folder in _class_folders(path, root, folder):
            found, passed = _files(path, root, part, class_folder)
            files += found
            passed_over += passed
            classes[part].append(class_folder.name)
    known = names.in_order(set(classes["train"]))
    check_classes(path, known)
    _check_parts(path, classes, files)
    label_of = {name: label for label, name in enumerate(known)}
    items = [
        Item(
            file.part,
            label_of[file.class_name],
            str(file.path.relative_to(root)),
            file.path,
            file.trouble,
        )
        for file in files
    ]
    items.sort(key=lambda item: (PLACES.index(item.part), item.label, item.name))
    return Listing("folder", path, known, items, read_file, passed_over=dict(passed_over))


def part_folders(root: Path) -> dict[Place, list[Path]]:
    """Folders inside one that are named like a part and hold folders; mostly none."""
    top, _ = _folders(root, root)
    found: dict[Place, list[Path]] = {}
    for part, known in PART_NAMES.items():
        some = [each for each in top if each.name.lower() in known and _folders(root, each)[0]]
        if some:
            found[part] = some
    return found


def _parts(path: Path, root: Path) -> tuple[dict[Place, Path], Counter[str]]:
    """The folder of each part, the whole being `train` where there are none; what is beside."""
    found = part_folders(root)
    if not found:
        _no_images_beside(path, root, root, "the class folders")
        return {"train": root}, _passed_over(root)
    for part, some in found.items():
        if len(some) > 1:
            raise DataError(
                f"{shown(path)}: {some[0].name} and {some[1].name} both seem to be the {part} "
                "part; keep one."
            )
    if "train" not in found:
        others = ", ".join(some[0].name for some in found.values())
        raise DataError(f"{shown(path)}: holds {others}, but no folder train/ to learn from.")
    _no_images_beside(path, root, root, "train/")
    top, _ = _folders(root, root)
    parts = {part: some[0] for part, some in found.items()}
    beside = [each for each in top if each not in parts.values()]
    passed_over = Counter({f"folder beside train/: {shown(each.name)}": 1 for each in beside})
    return parts, passed_over + _passed_over(root)


def _passed_over(root: Path) -> Counter[str]:
    """Of what lies at the top, numbers of what systems put there and of links to what is inside."""
    return +Counter({HIDDEN: _entries(root, root)[1], LINK_INSIDE: _folders(root, root)[1]})


def _class_folders(path: Path, root: Path, folder: Path) -> Sequence[Path]:
    if folder != root:
        _no_images_beside(path, root, folder, "its class folders")
    found, _ = _folders(root, folder)
    if not found:
        raise DataError(
            f"{_where(path, root, folder)}: holds no class folders. Put the images of each class "
            "into a folder of its own, named after the class."
        )
    return found


def _files(path: Path, root: Path, part: Place, folder: Path) -> tuple[list[_File], Counter[str]]:
    """What a class folder holds, and numbers of what is passed over."""
    entries, num_hidden = _entries(root, folder)
    files, inner = [], []
    passed_over = Counter({HIDDEN: num_hidden})
    for entry in entries:
        file = Path(entry.path)
        if entry.is_symlink():
            trouble = trouble_with_link(root, file)
            if not trouble:
                passed_over[LINK_INSIDE] += 1
                continue
        elif entry.is_dir(follow_symlinks=False):
            inner.append(entry.name)
            continue
        else:
            trouble = names.trouble_with_file(entry.name) or _trouble_with_entry(entry)
        files.append(_File(part, folder.name, file, trouble))
    if inner:
        hint = "" if files else f" If these are the classes, name {shown(path / folder.name)}."
        raise DataError(
            f"{_where(path, root, folder)}: a class folder that holds folders (first: "
            f"{shown(min(inner))}); images lie directly in the folder of their class.{hint}"
        )
    return files, +passed_over


def _check_parts(
    path: Path, classes: Mapping[Place, Sequence[str]], files: Sequence[_File]
) -> None:
    for part, found in classes.items():
        if unknown := sorted(set(found) - set(classes["train"])):
            raise DataError(
                f"{shown(path)}: the {part} part has a class '{shown(unknown[0])}' that train/ has "
                "not. Every class needs images to learn it from."
            )
    filled = {file.class_name for file in files if file.part == "train"}
    for name in sorted(set(classes["train"]) - filled):
        raise DataError(
            f"{shown(path)}: the class '{shown(name)}' has no image. Put images into its folder, "
            "or remove the folder."
        )


def _folders(root: Path, folder: Path) -> tuple[list[Path], int]:
    """Real folders inside one, by name, and the number of links to folders that stay inside."""
    found, num_links = [], 0
    for entry in _entries(root, folder)[0]:
        if entry.is_dir(follow_symlinks=False):
            found.append(Path(entry.path))
        elif entry.is_symlink() and not _leads_to_file(entry):
            if trouble := trouble_with_link(root, Path(entry.path)):
                raise DataError(
                    f"{shown(Path(entry.path).relative_to(root))}: {trouble}. Copy the folder "
                    "itself, or remove the link."
                )
            num_links += 1
    return sorted(found, key=lambda each: each.name), num_links


def _leads_to_file(link: os.DirEntry[str]) -> bool:
    """Whether a link leads to what is no folder; one that leads nowhere may be a class's."""
    try:
        return not stat.S_ISDIR(link.stat().st_mode)
    except OSError:  # to itself, to nothing, or through a folder that may not be entered
        return False


def _entries(root: Path, folder: Path) -> tuple[list[os.DirEntry[str]], int]:
    """What a folder holds, but for what systems put there; and the number of that."""
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError as error:
        where = _where(folder, root, folder)
        raise DataError(f"{where}: cannot be read ({error.strerror}).") from None
    kept = [e for e in entries if not (e.name.startswith(".") or e.name.lower() in _JUNK)]
    num_hidden = len(entries) - len(kept)
    if folder == root:
        kept = [e for e in kept if not _is_output(e)]
    return kept, num_hidden


def _is_output(entry: os.DirEntry[str]) -> bool:
    """Whether it is what modiste itself leaves in the folder where it is called.

    That is ``runs`` with nothing but studies and runs in it, and ``figures`` of the data.
    """
    if entry.name not in ("runs", "figures") or not entry.is_dir(follow_symlinks=False):
        return False
    try:
        inside = sorted(Path(entry.path).iterdir())
        if entry.name == "figures":
            return bool(inside) and all(each.name.startswith(_FIGURES) for each in inside)
        return all(
            each.is_dir() and (not any(each.iterdir()) or any((each / n).exists() for n in _MARKS))
            for each in inside
        )
    except OSError:
        return False


def _no_images_beside(path: Path, root: Path, folder: Path, beside: str) -> None:
    images = sorted(
        entry.name
        for entry in _entries(root, folder)[0]
        if Path(entry.name).suffix.lower() in IMAGE_ENDINGS
        and not entry.is_dir(follow_symlinks=False)
    )
    if images:
        raise DataError(
            f"{_where(path, root, folder)}: {len(images):,} image file(s) (first: "
            f"{shown(images[0])}) lie beside {beside} and belong to no class. Put each into the "
            "folder of its class."
        )


def _where(path: Path, root: Path, folder: Path) -> str:
    """A folder as a message calls it: the whole as it was named, others as they lie in it."""
    return shown(path if folder == root else folder.relative_to(root))


def trouble_with_link(root: Path, link: Path) -> str:
    """Why a link is not passed over but trouble; empty if it stays inside."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return "a link that points to nothing"
    return "" if target.is_relative_to(root) else "a link that leads out of the folder"


def _trouble_with_entry(entry: os.DirEntry[str]) -> str:
    try:
        return trouble_with_kind(entry.stat(follow_symlinks=False))
    except OSError as error:  # its folder may be listed and not entered
        return f"cannot be read ({error.strerror})"


def trouble_with_kind(found: os.stat_result) -> str:
    """Why a file of that kind and size is refused before it is opened; empty if it is not."""
    if not stat.S_ISREG(found.st_mode):
        return "no ordinary file (a pipe, a socket or a device)"
    if found.st_size > MAX_FILE_BYTES:
        return f"{found.st_size:,} bytes; the limit is {MAX_FILE_BYTES:,}"
    return ""


def read_file(item: Item) -> Content:
    """The bytes of an item's file.

    Raises:
        DataError: If it cannot be read.
    """
    assert isinstance(item.at, Path)
    try:
        return item.at.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from None
