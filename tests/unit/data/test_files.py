"""A file appears whole or not at all."""

from __future__ import annotations

import os

import pytest

from modiste.atomic import place, write_whole


def test_a_file_is_written_with_its_folders_and_nothing_beside_it(tmp_path):
    write_whole(tmp_path / "a/b.json", b"content")
    assert (tmp_path / "a/b.json").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    write_whole(tmp_path / "f", b"old")

    def no_space(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [path.name for path in (tmp_path).iterdir()] == ["f"]


def test_placing_replaces_what_was_there(tmp_path):
    (tmp_path / "temporary").write_bytes(b"new")
    (tmp_path / "final").write_bytes(b"old")
    place(tmp_path / "temporary", tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"new"
    assert [path.name for path in (tmp_path).iterdir()] == ["final"]
