"""Files appear whole or not at all, and are noticed when they change."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modiste import atomic
from modiste.errors import StoreError
from modiste.runs import files

FILES = {"a.json": b"{}\n", "b.bin": bytes(range(256)), "empty": b""}


class Died(BaseException):
    """The process is gone: no `except Exception` of ours may stop it."""


def dies(*_: Any, **__: Any) -> Any:
    raise Died


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_name_that_is_no_text_is_written_and_read_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"st\xfcdy.yaml")
    files.write_json(tmp_path / "a.json", {"file": name, "dress": "👗"})
    assert files.read_json(tmp_path / "a.json") == {"file": name, "dress": "👗"}


# --- one file -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_litter(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")
    monkeypatch.setattr(step, full)
    with pytest.raises(StoreError, match=r"file: cannot be written \(No space left on device\)"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert listed(tmp_path) == ["file"]


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_a_death_before_the_rename_leaves_the_old_file_whole(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")
    monkeypatch.setattr(step, dies)
    with pytest.raises(Died):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"


def test_content_is_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        happened.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        happened.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    files.write_bytes(tmp_path / "file", b"new")
    assert happened == ["file", "rename", "folder"]


def test_folders_on_the_way_are_made_and_anyone_may_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_place_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be written") as error:
        files.write_bytes(tmp_path / "plain" / "file", b"new")
    assert "\n" not in str(error.value)
    assert "choose another folder" in str(error.value)


def test_place_moves_and_replaces(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"2")
    atomic.place(tmp_path / "one", tmp_path / "two")
    assert listed(tmp_path) == ["two"]
    assert (tmp_path / "two").read_bytes() == b"1"


# --- JSON and arrays ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_mistakes_of_ours(number: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"a": number})
    assert listed(tmp_path) == []


def test_words_stay_readable_and_keys_in_order() -> None:
    text = files.to_json({"z": "größe", "a": [1]}).decode()
    assert list(json.loads(text)) == ["z", "a"]
    assert "größe" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b'{"a": 1', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[1]", "expected a JSON object"),
    ],
    ids=["empty", "cut", "no text", "a list"],
)
def test_json_that_is_none_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StoreError, match=said):
        files.read_json(tmp_path / "a.json")
    with pytest.raises(StoreError, match="there is no such file"):
        files.read_json(tmp_path / "b.json")


def test_arrays_go_through_and_pickles_do_not() -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1, 2])}
    again = files.read_npz(files.to_npz(arrays))
    assert list(again) == ["a", "b"]
    assert all(np.array_equal(again[k], arrays[k]) for k in arrays)
    with pytest.raises(ValueError, match="allow_pickle"):
        files.to_npz({"a": np.array([object()], dtype=object)})


# --- whole folders --------------------------------------------------------------------------------


def test_a_folder_holds_what_was_written_and_the_hash_of_each_file(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "run", FILES)
    assert listed(tmp_path) == ["run"]
    assert listed(tmp_path / "run") == sorted([*FILES, "manifest.json"])
    for name, content in FILES.items():
        assert files.read_checked(tmp_path / "run", name) == content


@pytest.mark.parametrize("how", [full, dies], ids=["the disk is full", "the process dies"])
@pytest.mark.parametrize("number", range(6))
def test_a_folder_appears_whole_or_not_at_all(
    number: int, how: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    fsync, rename = os.fsync, Path.rename

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            return how() if calls == number + 1 else real(*args)

        return call

    monkeypatch.setattr(os, "fsync", counted(fsync))
    monkeypatch.setattr(Path, "rename", counted(rename))
    # Four files with their manifest and the folder, all at once, then the rename: six steps before
    # it is there.
    with pytest.raises((StoreError, Died)):
        files.write_folder(tmp_path / "run", FILES)
    assert number + 1 <= calls <= 6
    assert not (tmp_path / "run").exists()
    assert listed(tmp_path) == []


def test_what_is_written_is_written_once(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "run", FILES)
    with pytest.raises(StoreError, match="cannot be written"):
        files.write_folder(tmp_path / "run", {"a.json": b"other"})
    assert files.read_checked(tmp_path / "run", "a.json") == FILES["a.json"]
    assert listed(tmp_path) == ["run"]


@pytest.mark.parametrize("name", [name for name, content in FILES.items() if content])
def test_one_flipped_bit_is_noticed_in_any_byte(name: str, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "run", FILES)
    path = tmp_path / "run" / name
    content = FILES[name]
    for position in range(0, 8 * len(content), 13):
        changed = bytearray(content)
        changed[position // 8] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(StoreError, match="not what was written"):
            files.read_checked(tmp_path / "run", name)
    path.write_bytes(content)
    assert files.read_checked(tmp_path / "run", name) == content


@pytest.mark.parametrize("name", FILES)
def test_a_cut_a_longer_and_a_lost_file_are_noticed(name: str, tmp_path: Path) -> None:
    files.write_folder(tmp_path / "run", FILES)
    path = tmp_path / "run" / name
    if FILES[name]:
        path.write_bytes(FILES[name][:-1])
        with pytest.raises(StoreError, match="not what was written"):
            files.read_checked(tmp_path / "run", name)
    path.write_bytes(FILES[name] + b"\0")
    with pytest.raises(StoreError, match=r"not what was written .* restore it from a copy"):
        files.read_checked(tmp_path / "run", name)
    path.unlink()
    with pytest.raises(StoreError, match=r"cannot be read \(No such file"):
        files.read_checked(tmp_path / "run", name)


@pytest.mark.parametrize(
    ("place", "is_study", "said"),
    [
        ("runs/id", True, "run its study again, which sets the run aside and does it anew."),
        ("models/final", True, "run its study again, which writes the model anew."),
        ("final/id", True, "cannot be had again without another look, which is counted."),
        ("final/id", False, "cannot be had again without another look, which is counted."),
        ("runs/id", False, "restore it from a copy, or move the folder away."),
        ("other/id", True, "restore it from a copy, or move the folder away."),
    ],
)
def test_what_helps_is_said_as_it_is_true_of_the_folder(
    place: str, is_study: bool, said: str, tmp_path: Path
) -> None:
    if is_study:
        (tmp_path / "study.json").write_bytes(b"{}")
    folder = tmp_path / place
    files.write_folder(folder, FILES, files.sealed({"schema": 2, "files": files.entries(FILES)}))
    manifest = (folder / "manifest.json").read_bytes()
    for content in (manifest[:-1], manifest):
        (folder / "manifest.json").write_bytes(content)
        (folder / "a.json").write_bytes(b"other")
        with pytest.raises(StoreError) as caught:
            files.read_checked(folder, "a.json")
        assert str(caught.value).endswith(said)
    (folder / "a.json").unlink()
    with pytest.raises(StoreError) as caught:
        files.read_checked(folder, "a.json")
    assert str(caught.value).endswith(said)


def test_a_file_that_was_added_or_a_broken_manifest_is_noticed(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "run", FILES)
    (tmp_path / "run" / "added").write_bytes(b"")
    with pytest.raises(StoreError, match="knows no such file"):
        files.read_checked(tmp_path / "run", "added")
    (tmp_path / "run" / "manifest.json").write_bytes(b"{")
    with pytest.raises(StoreError, match=r"manifest\.json: cannot be read"):
        files.read_checked(tmp_path / "run", "a.json")


def test_a_file_that_was_dropped_says_why_and_the_others_stay(tmp_path: Path) -> None:
    files.write_folder(tmp_path / "run", FILES)
    files.drop_file(tmp_path / "run", "b.bin", "dropped: too large")
    assert not (tmp_path / "run" / "b.bin").exists()
    with pytest.raises(StoreError, match=r"b\.bin: dropped: too large"):
        files.read_checked(tmp_path / "run", "b.bin")
    assert files.read_checked(tmp_path / "run", "a.json") == FILES["a.json"]
    # Again, and of a file there never was: nothing happens.
    files.drop_file(tmp_path / "run", "b.bin", "another reason")
    files.drop_file(tmp_path / "run", "c", "no reason")
    with pytest.raises(StoreError, match="dropped: too large"):
        files.read_checked(tmp_path / "run", "b.bin")


def test_a_death_while_dropping_never_leaves_a_lost_file_unexplained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_folder(tmp_path / "run", FILES)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", dies)
        with pytest.raises(Died):
            files.drop_file(tmp_path / "run", "b.bin", "dropped")
    with pytest.raises(StoreError, match=r"b\.bin: dropped"):
        files.read_checked(tmp_path / "run", "b.bin")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_process_that_was_forked_writes_folders_too(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from modiste.runs.files import check_folder, write_folder\n"
        "write_folder(Path('one'), {'a': b'1'})\n"
        "child = os.fork()\n"
        "write_folder(Path('two' if child else 'three'), {'a': b'1'})\n"
        "assert not child or os.waitpid(child, 0)[1] == 0\n"
        "check_folder(Path('two' if child else 'three'))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    assert {path.name for path in tmp_path.iterdir()} >= {"one", "two", "three"}
