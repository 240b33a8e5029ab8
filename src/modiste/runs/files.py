"""Files that appear whole or not at all, and are noticed when they change."""

from __future__ import annotations

import errno
import functools
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.atomic import sync, write_whole
from modiste.errors import StoreError

# What else helps against a damaged file, by the folder that its own lies in.
_OTHERWISE = {
    "runs": ", move the folder away, or run its study again, which sets the run aside and does it "
    "anew.",
    "models": ", or run its study again, which writes the model anew.",
    "final": ". What a look at the test set said cannot be had again without another look, which "
    "is counted.",
}
# To be asked for nine files one after the other, a disk answers sooner than that.
SLOW_DISK_SECONDS = 0.002
# How a sealed file ends.
_SEAL = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n}\n\Z')


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step: temporary file, fsync, rename, fsync the folder.

    Raises:
        StoreError: If the folder is read-only, full or gone; the old file is untouched.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step; NaN and infinity are mistakes of ours."""
    write_bytes(path, to_json(value))


def to_json(value: Mapping[str, Any]) -> bytes:
    """Readable JSON, keys in the order given."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    return to_utf8(f"{text}\n")


def to_utf8(text: str) -> bytes:
    r"""Text as files hold it. Names of files need not be text: what is none, as JSON escapes it.

    Example:
        >>> to_utf8("caf\udce9")
        b'caf\\udce9'
    """
    return text.encode(errors="backslashreplace")


def to_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Arrays by name as a compressed `.npz`, with no pickles in it."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def to_small_npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The same, packed by LZMA: a fifth smaller, ten times slower; `np.load` reads it as well."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            packed = io.BytesIO()
            np.lib.format.write_array(packed, np.asanyarray(array), allow_pickle=False)
            # A date of its own would make other bytes of the same arrays.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), packed.getvalue(), zipfile.ZIP_LZMA)
    return content.getvalue()


def read_npz(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """What `to_npz` gave."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of ours.

    Raises:
        StoreError: If it is not there, cannot be read, or is no JSON object.
    """
    return _read_json(path)[0]


def _read_json(path: Path) -> tuple[dict[str, Any], bytes]:
    """A JSON object, and the bytes that it was read from."""
    try:
        content = path.read_bytes()
        value = json.loads(content)
    except FileNotFoundError:
        raise StoreError(f"{path}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}).") from None
    if not isinstance(value, dict):
        raise StoreError(f"{path}: expected a JSON object.")
    return value, content


def sealed(value: Mapping[str, Any]) -> bytes:
    """What `to_json` gives, with the SHA-256 of that as one more key, the last."""
    rest = to_json({key: item for key, item in value.items() if key != "sha256"})
    seal = f',\n  "sha256": "{hashlib.sha256(rest).hexdigest()}"\n}}\n'
    return rest.removesuffix(b"\n}\n") + seal.encode()


def read_sealed(path: Path) -> dict[str, Any]:
    """A JSON object that `sealed` made.

    One of schema 1 has no seal, because there were none then; it is taken as it is.

    Raises:
        StoreError: If it is not there, or not what was written, to the bit.
    """
    value, content = _read_json(path)
    if value.get("schema") == 1 and "sha256" not in value:
        return value
    found = _SEAL.search(content)
    rest = content[: found.start()] + b"\n}\n" if found else b""
    if found is None or hashlib.sha256(rest).hexdigest().encode() != found[1]:
        raise StoreError(f"{path}: is not what was written. {_remedy(path.parent)}")
    return value


def _remedy(folder: Path) -> str:
    """What to do about a damaged file of a folder that was published."""
    kind, place = folder.absolute().parent.name, folder.absolute().parent.parent
    is_known = kind == "final" or (place / "study.json").is_file()
    otherwise = _OTHERWISE.get(kind if is_known else "", ", or move the folder away.")
    return f"The disk or somebody changed it: restore it from a copy{otherwise}"


def write_folder(folder: Path, files: Mapping[str, bytes], manifest: bytes | None = None) -> None:
    """Publish a folder of files with their SHA-256 in `manifest.json`: whole, or not at all.

    An existing folder of that name is an error: what is written is written once.

    Args:
        folder: Appears when everything in it is on the disk.
        files: By name; ``golden/000.png`` lies in a folder inside.
        manifest: Made from the files if not given.
    """
    manifest = manifest or to_json({"schema": 1, "files": entries(files)})
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            paths, folders = [], {temporary}
            for name, content in {**files, "manifest.json": manifest}.items():
                path = temporary / name
                if path.parent not in folders:
                    path.parent.mkdir(exist_ok=True)
                    folders.add(path.parent)
                path.write_bytes(content)
                paths.append(path)
            temporary.chmod(0o755)
            _sync_all([*paths, *folders])
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync(folder.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _sync_all(paths: Sequence[Path]) -> None:
    """Make files and folders survive a loss of power.

    Where the disk answers slowly the rest is asked for at once, so that it is waited for once or
    twice and not for each of them; threads take longer than a disk that answers at once.
    """
    left = list(paths)
    while left:
        start = time.perf_counter()
        sync(left.pop())
        if time.perf_counter() - start > SLOW_DISK_SECONDS:
            break
    list(_syncing().map(sync, left))


@functools.cache
def _syncing() -> ThreadPoolExecutor:
    """Threads that wait for the disk, kept from one folder to the next."""
    return ThreadPoolExecutor(16, thread_name_prefix="sync")


if hasattr(os, "register_at_fork"):  # threads are not there in a process that was forked
    os.register_at_fork(after_in_child=_syncing.cache_clear)


def finish_folder(folder: Path) -> bool:
    """Put a folder in its place that was written whole and never renamed, as a kill leaves it.

    Returns:
        Whether there was one.

    Raises:
        StoreError: If it cannot be renamed.
    """
    for left in folder.parent.glob(f".{folder.name}.*"):
        try:
            check_folder(left)
        except StoreError:  # killed before it was whole
            continue
        try:
            left.rename(folder)
            sync(folder.parent)
        except OSError as error:
            raise cannot_write(folder, error) from error
        return True
    return False


def entries(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What a manifest says of files: SHA-256 and size of each, by name."""
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
    }


def read_checked(folder: Path, name: str) -> bytes:
    """A file of a published folder, if it still is what the manifest says.

    Raises:
        StoreError: If it is missing, dropped, cut or changed; names the file and the remedy.
    """
    return _checked(folder, name, read_manifest(folder))


def _checked(folder: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    entry = manifest["files"].get(name)
    path = folder / name
    if entry is None:
        raise StoreError(f"{path}: the manifest beside it knows no such file.")
    if entry.get("dropped"):
        raise StoreError(f"{path}: {entry['dropped']}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise StoreError(f"{path}: {why}. {_remedy(folder)}") from None
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise StoreError(
            f"{path}: {len(content)} bytes that are not what was written "
            f"({entry['bytes']} bytes, SHA-256 {entry['sha256'][:12]}...). {_remedy(folder)}"
        )
    return content


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `manifest.json` of a published folder says.

    Raises:
        StoreError: If it is not there, or damaged.
    """
    path = folder / "manifest.json"
    manifest = read_sealed(path)
    entries = manifest.get("files")
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        raise StoreError(f"{path}: is not what was written. {_remedy(folder)}")
    return manifest


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("sha256"), str)
        and isinstance(entry.get("bytes"), int)
    )


def check_folder(folder: Path) -> None:
    """Read every file of a published folder.

    Raises:
        StoreError: If any was changed, cut or lost; names it.
    """
    manifest = read_manifest(folder)
    for name, entry in manifest["files"].items():
        if not entry.get("dropped"):
            _checked(folder, name, manifest)


def damaged(runs: Path) -> Iterator[tuple[Path, StoreError]]:
    """Run folders of a study that are not what was written, and what of them is not."""
    for path in sorted(runs.glob("[0-9a-f]" * 16)):
        try:
            check_folder(path)
        except StoreError as error:
            yield path, error


def set_aside(folder: Path, among: Path) -> Path:
    """Move a folder that is damaged in among others of its kind; returns where it lies now.

    Raises:
        StoreError: If it cannot be moved.
    """
    taken = {path.name for path in among.glob(f"{folder.name}*")}
    numbers = (f"{folder.name}-{number}" for number in itertools.count(2))
    target = among / next(n for n in itertools.chain([folder.name], numbers) if n not in taken)
    try:
        among.mkdir(exist_ok=True)
        folder.rename(target)
        sync(among)
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def drop_file(folder: Path, name: str, reason: str) -> None:
    """Delete a file of a published folder, and say so in its manifest first."""
    manifest = read_manifest(folder)
    entry = manifest["files"].get(name)
    if entry is None:
        return
    if not entry.get("dropped"):
        entry["dropped"] = reason
        write_bytes(folder / "manifest.json", resealed(manifest))
    (folder / name).unlink(missing_ok=True)


def put_back(folder: Path, name: str, content: bytes, otherwise: str) -> bool:
    """Bring back a file that was dropped, if this is it to the bit.

    Args:
        folder: A published folder.
        name: Of the file.
        content: What may be it.
        otherwise: Why the file stays away, if it is not.

    Returns:
        Whether it is there again.
    """
    manifest = read_manifest(folder)
    entry = manifest["files"][name]
    is_it = hashlib.sha256(content).hexdigest() == str(entry["sha256"])
    if is_it:
        # The manifest comes after it: until then the file counts as dropped, as it did.
        write_bytes(folder / name, content)
        del entry["dropped"]
    else:
        entry["dropped"] = otherwise
    write_bytes(folder / "manifest.json", resealed(manifest))
    return is_it


def resealed(manifest: Mapping[str, Any]) -> bytes:
    """A manifest after a change, sealed again if it was."""
    return sealed(manifest) if "sha256" in manifest else to_json(manifest)


def need_writable(folder: Path) -> None:
    """Find out before training whether a folder can be written.

    Raises:
        StoreError: If it cannot; says why.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)  # another start may have been quicker
    except OSError as error:
        raise cannot_write(folder, error) from None


def need_own(folder: Path, remedy: str) -> None:
    """Refuse a folder that holds something, of which nobody knows what a study may do to it.

    Args:
        folder: Without a `study.json`.
        remedy: What to do instead.

    Raises:
        StoreError: If it is no folder, or holds anything but what a killed start leaves behind.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise StoreError(f"{folder}: is no folder. {remedy}")
    others = sorted(path.name for path in folder.iterdir() if path.name[0] != ".")
    others = [name for name in others if name != "work"]
    if others:
        some = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        raise StoreError(f"{folder}: holds no study, but something else ({some}). {remedy}")


def cannot_write(path: Path, error: OSError) -> StoreError:
    """One line for a full, read-only or missing place."""
    what = error.strerror or str(error)
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "Free some space" if is_full else "Make it writable"
    return StoreError(f"{path}: cannot be written ({what}). {remedy}, or choose another folder.")
