"""Data sets published as four IDX files: found or fetched, then checked against what is known.

What is known of one data set, all of it constants, is a `Published` value in a file of its own
in `modiste.data.sources`. Its files are looked for in this order: a folder the user named, our
cache, the folder of a Debian package, the publisher's hosts, and the Debian package fetched but
not installed. Only the files of the part that is asked for must be there.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from modiste import atomic
from modiste.data import fetch, idx, places, sniff
from modiste.data.source import Part, Source
from modiste.data.types import ImageSet, LabelsN
from modiste.errors import DataError


@dataclass(frozen=True)
class File:
    """One file: its name, and the size and SHA-256 of what it unpacks to."""

    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class PartFacts:
    """What is known of a part. `digest` is of the decoded arrays: mirrors repack the files."""

    images: File
    labels: File
    counts_K: tuple[int, ...]
    digest: str


@dataclass(frozen=True)
class Published:
    """What is known of a data set before any file of it is opened.

    Attributes:
        mirrors: Folders on the publisher's hosts, tried in order.
        debian_package: Debian's package of it, and the folder that this installs to.
        folder_names: Folders inside the one that a user names where it may lie, too.
        lookalikes: Other sets in the same format, known by their counts for each class.
        older: What to say when counts are right and pixels differ.
    """

    name: str
    class_names: tuple[str, ...]
    size_HW: tuple[int, int]
    parts: Mapping[Part, PartFacts]
    homepage: str
    mirrors: tuple[str, ...]
    debian_package: str
    debian_folder: Path
    folder_names: tuple[str, ...]
    lookalikes: Mapping[str, Mapping[Part, tuple[int, ...]]]
    older: str

    def files(self) -> list[File]:
        """All files, in the order in which they are fetched."""
        return [file for facts in self.parts.values() for file in (facts.images, facts.labels)]


@dataclass(frozen=True)
class _Place:
    """A folder that holds a part, and what to do if a file in it is damaged."""

    folder: Path
    remedy: str


def source(published: Published, folder: Path | None) -> Source:
    """The `Source` of a published data set; `folder` is the one that the user named, or None."""

    def where(part: Part) -> Path:
        return _find(published, part, folder).folder

    def load_part(part: Part) -> ImageSet:
        place = _find(published, part, folder)
        try:
            return _read(published, place.folder, part)
        except DataError as error:
            raise DataError(f"{error}\n{place.remedy}") from None

    return Source(
        name=published.name,
        where=where,
        load_part=load_part,
        class_names=published.class_names,
        test_counts_K=published.parts["test"].counts_K,
        is_published=True,
    )


# --- where it lies ----------------------------------------------------------------------------


def _find(published: Published, part: Part, folder: Path | None) -> _Place:
    named = places.named_folder(folder)
    if named is not None:
        return _in_named(published, part, *named)
    cache = _Place(
        places.cache_folder() / published.name,
        "It lies in the cache: delete the file and run again, then it is fetched anew.",
    )
    debian = _Place(
        published.debian_folder,
        f"Repair it with: apt-get install --reinstall {published.debian_package}. Or name "
        f"another folder with {places.DATA_VARIABLE}.",
    )
    tried = [f"a folder of yours: none is named ({places.DATA_VARIABLE} is not set)"]
    for place, words in ((cache, "the cache"), (debian, "Debian's folder")):
        lacking = _lacking(published, part, place.folder)
        if not lacking:
            return place
        tried.append(f"{words} {place.folder}: {lacking}")
    if _fetch(published, part, cache.folder, tried):
        return cache
    raise DataError(_nowhere(published, cache.folder, tried))


def _in_named(published: Published, part: Part, folder: Path, how: str) -> _Place:
    """The folder the user named, or one of the usual folders in it; nowhere else is searched."""
    for candidate in (folder, *(folder / name for name in published.folder_names)):
        if not _lacking(published, part, candidate):
            return _Place(candidate, "Put an undamaged file in its place, or name another folder.")
    raise DataError(
        f"{folder}, {how}: {_lacking(published, part, folder)}. Put the files of "
        f"{published.name!r} there, name another folder, or name none: then they are looked for "
        "and fetched."
    )


def _lacking(published: Published, part: Part, folder: Path) -> str:
    """Why the folder does not hold the part; nothing if it does."""
    if not folder.is_dir():
        return "no such folder"
    facts = published.parts[part]
    missing = [f.name for f in (facts.images, facts.labels) if _located(folder, f) is None]
    return f"lacks {' and '.join(missing)}" if missing else ""


def _located(folder: Path, file: File) -> Path | None:
    """A file under its published name, or unpacked."""
    for name in (file.name, file.name.removesuffix(".gz")):
        if (folder / name).is_file():
            return folder / name
    return None


def _nowhere(published: Published, cache: Path, tried: Sequence[str]) -> str:
    lines = "\n".join(f"  {number}. {why}" for number, why in enumerate(tried, 1))
    names = "\n".join(f"  {file.name}" for file in published.files())
    return (
        f"the data set {published.name!r} is not to be had. Tried, in this order:\n{lines}\n"
        f"To place it by hand: on a machine that has a network, get from {published.homepage}\n"
        f"{names}\n"
        f"and put them into {cache}, or into any folder that you name with "
        f"{places.DATA_VARIABLE}=FOLDER."
    )


# --- fetching it --------------------------------------------------------------------------------


def _fetch(published: Published, part: Part, cache: Path, tried: list[str]) -> bool:
    """Fetch what the cache lacks; add to `tried` what failed. True if the part is there."""
    try:
        with fetch.alone(cache) as is_alone:
            ways: list[tuple[str, Callable[[], None]]] = [
                (url, partial(_download, published, url, cache, is_alone))
                for url in published.mirrors
            ]
            apt = f"apt-get download {published.debian_package}"
            ways.append((apt, partial(_from_debian, published, cache)))
            for words, way in ways:
                if not _missing(published, cache):
                    break
                try:
                    way()
                except DataError as error:
                    tried.append(f"{words}: {error}")
                    fetch.say(tried[-1])
    except OSError as error:
        tried.append(
            f"the cache {cache} cannot be written: {error.strerror or error}. Name another with "
            f"{places.CACHE_VARIABLE}=FOLDER"
        )
    return not _lacking(published, part, cache)


def _missing(published: Published, cache: Path) -> list[File]:
    return [file for file in published.files() if _located(cache, file) is None]


def _download(published: Published, url: str, cache: Path, is_alone: bool) -> None:
    for file in _missing(published, cache):
        part = cache / f"{file.name}{'' if is_alone else f'.{os.getpid()}'}.part"
        was_begun = part.exists()
        try:
            _download_one(url, file, part)
        except _Unlike:
            if not was_begun:
                raise
            # The beginning came from another host, or from before a change.
            _download_one(url, file, part)
        atomic.place(part, cache / file.name)


def _download_one(url: str, file: File, part: Path) -> None:
    # Packing makes a file longer by no more than 5 bytes in 16 KB, and a header.
    max_bytes = file.num_bytes + file.num_bytes // 1000 + 1024
    with fetch.progress(f"{file.name} from {url}") as show:
        fetch.download(url.rstrip("/") + "/" + file.name, part, max_bytes, show)
    try:
        _check_bytes(part, file)
    except _Unlike:
        part.unlink()
        raise


def _from_debian(published: Published, cache: Path) -> None:
    fetch.say(f"asking apt for {published.debian_package} (it is unpacked, not installed)")
    with fetch.scratch(cache) as folder:
        root = fetch.unpack_debian_package(published.debian_package, folder)
        unpacked = root / published.debian_folder.relative_to("/")
        for file in _missing(published, cache):
            found = unpacked / file.name
            if not found.is_file():
                raise DataError(f"the package holds no {file.name}")
            _check_bytes(found, file)
            atomic.place(found, cache / file.name)


class _Unlike(DataError):
    """A fetched file is not the published one."""


def _check_bytes(path: Path, file: File) -> None:
    """Compare the SHA-256 of what a fetched file unpacks to with the published one.

    This is done with test files as well, and is no look at the test set: bytes run through a
    hash that answers yes or no; no array is made, no image decoded, no label counted, and nothing
    about them leaves this function. Leaving it out would find a broken test file only on the day
    when the seal opens, after that look was counted.
    """
    sha, num_bytes = hashlib.sha256(), 0
    try:
        with gzip.open(path, "rb") as stream:
            while num_bytes <= file.num_bytes and (chunk := stream.read(1 << 20)):
                sha.update(chunk)
                num_bytes += len(chunk)
    except (OSError, EOFError, zlib.error) as error:
        with path.open("rb") as start:
            words = sniff.seems(start.read(sniff.HEAD_BYTES))
        trouble = "a damaged gzip file" if words == "a gzip file" else words
        raise _Unlike(f"{file.name}: what came is {trouble} ({error})") from None
    if sha.hexdigest() != file.sha256:
        raise _Unlike(f"{file.name}: what came is another file than the published one")


# --- reading it ---------------------------------------------------------------------------------


def _read(published: Published, folder: Path, part: Part) -> ImageSet:
    facts = published.parts[part]
    images_path, labels_path = (_located(folder, f) for f in (facts.images, facts.labels))
    assert images_path is not None
    assert labels_path is not None
    _check_headers(published, part, images_path, labels_path)
    labels_N = idx.read(labels_path, "labels").astype(np.int64)
    _check_labels(published, part, labels_path, labels_N)
    images_NHW = idx.read(images_path, "images")
    low, high = int(images_NHW.min()), int(images_NHW.max())
    if (low, high) != (0, 255):
        raise DataError(f"{images_path}: pixels run from {low} to {high}; expected 0 to 255.")
    image_set = ImageSet(
        images_NCHW=images_NHW[:, np.newaxis],
        labels_N=labels_N,
        class_names=published.class_names,
        ids_N=np.arange(len(labels_N), dtype=np.int64),
        role=part,
        name=published.name,
    )
    if image_set.digest != facts.digest:
        raise DataError(
            f"{folder}: the {part} images or labels of {published.name!r} differ from the "
            f"published ones: digest {image_set.digest[:16]}..., expected {facts.digest[:16]}... "
            f"{published.older}"
        )
    return image_set


def _check_headers(published: Published, part: Part, images: Path, labels: Path) -> None:
    """Refuse what cannot be the part before its content is read."""
    headers = idx.read_header(images), idx.read_header(labels)
    if (headers[0].kind, headers[1].kind) == ("labels", "images"):
        raise DataError(f"{images} and {labels.name} are swapped: the first holds labels.")
    for path, header, kind in zip((images, labels), headers, ("images", "labels"), strict=True):
        if header.kind != kind:
            raise DataError(f"{path}: holds {header.kind} where {kind} are expected.")
        expected = sum(published.parts[part].counts_K)
        if header.shape[0] == expected:
            continue
        for other, facts in published.parts.items():
            if header.shape[0] == sum(facts.counts_K):
                raise DataError(
                    f"{path}: holds {header.shape[0]:,} {kind}, as many as the {other} part; "
                    f"expected {expected:,} of the {part} part. Are train and test files swapped?"
                )
        raise DataError(f"{path}: holds {header.shape[0]:,} {kind}; expected {expected:,}.")
    if headers[0].shape[1:] != published.size_HW:
        given, wanted = (" x ".join(map(str, s)) for s in (headers[0].shape[1:], published.size_HW))
        raise DataError(f"{images}: holds images of {given} pixels; expected {wanted}.")


def _check_labels(published: Published, part: Part, path: Path, labels_N: LabelsN) -> None:
    num_classes = len(published.class_names)
    if labels_N.max() >= num_classes:
        raise DataError(f"{path}: a label is {labels_N.max()}; expected 0 to {num_classes - 1}.")
    counts = tuple(np.bincount(labels_N, minlength=num_classes).tolist())
    if counts == published.parts[part].counts_K:
        return
    for name, known in published.lookalikes.items():
        if counts in known.values():
            raise DataError(
                f"{path}: this is {name}, not {published.name!r}: {counts[0]:,} images of the "
                f"first class, {counts[1]:,} of the second, and so on."
            )
    raise DataError(
        f"{path}: holds {counts} labels of the classes 0 to {num_classes - 1}; expected "
        f"{published.parts[part].counts_K}."
    )
