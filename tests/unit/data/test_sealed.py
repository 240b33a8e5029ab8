"""The seal opens for a reason, after the look was written down, and not otherwise."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from modiste.counts import UNKNOWN, Count
from modiste.data.key import Key
from modiste.data.sealed import SealedTest
from modiste.data.source import SOURCES, Source
from modiste.errors import DataError, SealError
from tests.synthetic import write_idx


class Book:
    """A ledger in memory that writes down what happens, in order."""

    def __init__(self, happened: list[str], looks: Count = 0, *, keeps: bool = True) -> None:
        self.happened = happened
        self.looks = looks
        self.keeps = keeps

    def count(self) -> Count:
        return self.looks

    def record(self, reason: str) -> str:
        self.happened.append(f"record {reason}")
        if self.keeps and isinstance(self.looks, int):
            self.looks += 1
        return "entry"


def watched(folder: Path, happened: list[str]) -> Source:
    """The IDX source, writing down what is asked of it."""
    real = SOURCES.get("idx")(folder)

    def where(part):
        happened.append(f"where {part}")
        return real.where(part)

    def load_part(part):
        happened.append(f"load {part}")
        return (
            real.load_train() if part == "train" else real.load_test(Key("idx", "a test of ours"))
        )

    return Source("small", where, load_part)


def test_the_look_is_written_down_before_the_images_are_read(tmp_path):
    happened: list[str] = []
    sealed = SealedTest(watched(write_idx(tmp_path), happened), Book(happened))
    images = sealed.open("  final figures ")
    assert images.role == "test"
    assert len(images) == 200
    assert happened == ["where test", "record final figures", "load test"]
    assert sealed.looks == 1


def test_every_opening_counts(tmp_path):
    sealed = SealedTest(SOURCES.get("idx")(write_idx(tmp_path)), Book([]))
    for number in (1, 2):
        sealed.open("again")
        assert sealed.looks == number


@pytest.mark.parametrize("reason", ["", "  \n"])
@pytest.mark.parametrize(
    ("looks", "words"),
    [(0, "0 time(s)"), (3, "3 time(s)"), (UNKNOWN, "an unknown number of times")],
)
def test_without_a_reason_it_stays_closed_and_says_what_to_use(tmp_path, reason, looks, words):
    happened: list[str] = []
    sealed = SealedTest(watched(tmp_path, happened), Book(happened, looks))
    with pytest.raises(SealError) as caught:
        sealed.open(reason)
    assert str(caught.value) == (
        f"the test set of 'small' opens only for a stated reason. Opened {words} so far.\n"
        "For choosing between models use the validation part instead."
    )
    assert happened == []


def test_a_ledger_that_keeps_nothing_leaves_it_closed(tmp_path):
    happened: list[str] = []
    sealed = SealedTest(watched(write_idx(tmp_path), happened), Book(happened, keeps=False))
    with pytest.raises(SealError, match="stays closed: its ledger did not keep the entry"):
        sealed.open("final figures")
    assert "load test" not in happened


def test_a_ledger_that_cannot_be_written_leaves_it_closed(tmp_path):
    class Full(Book):
        def record(self, reason: str) -> str:
            raise SealError("no space left")

    happened: list[str] = []
    sealed = SealedTest(watched(write_idx(tmp_path), happened), Full(happened))
    with pytest.raises(SealError, match="no space left"):
        sealed.open("final figures")
    assert happened == ["where test"]


def test_missing_test_files_cost_no_look(tmp_path):
    happened: list[str] = []
    sealed = SealedTest(watched(tmp_path, happened), Book(happened))
    with pytest.raises(DataError, match="t10k-images"):
        sealed.open("final figures")
    assert sealed.looks == 0


def test_a_ledger_that_lost_count_still_gets_the_entry(tmp_path):
    happened: list[str] = []
    sealed = SealedTest(watched(write_idx(tmp_path), happened), Book(happened, looks=UNKNOWN))
    assert len(sealed.open("final figures")) == 200
    assert "record final figures" in happened


# --- without the seal -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SOURCES.names())
def test_no_source_gives_its_test_part_to_whoever_asks(name, tmp_path):
    source = SOURCES.get(name)(write_idx(tmp_path))
    for asked in (
        lambda: source.load_part("test"),
        lambda: source.load_part("val"),
        lambda: source.load_test(None),
        lambda: source.load_test("test"),
        lambda: source.load_test(Key("another", "entry")),
        lambda: source.load_test(Key(name, "")),
    ):
        with pytest.raises(SealError, match=r"is sealed|does not open"):
            asked()


def test_what_is_said_names_the_way_that_is_counted(tmp_path):
    with pytest.raises(SealError) as caught:
        SOURCES.get("idx")(tmp_path).load_part("test")
    assert str(caught.value) == (
        "the part 'test' of 'idx' is sealed: training and choosing have the part 'train' alone. "
        "`modiste evaluate --final` opens the other, for a stated reason, and counts it."
    )


def test_a_source_made_from_another_stays_locked_and_opens_for_its_own_key(tmp_path):
    source = dataclasses.replace(SOURCES.get("idx")(write_idx(tmp_path)), name="renamed")
    with pytest.raises(SealError, match="of 'renamed' is sealed"):
        source.load_part("test")
    with pytest.raises(SealError, match="does not open"):
        source.load_test(Key("idx", "entry"))
    assert len(SealedTest(source, Book([])).open("to see")) == 200
    assert source.load_part("train").role == "train"
