"""Comparing with test images: counted in the ledger as what it is, and only counts come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from modiste.counts import UNKNOWN
from modiste.data.key import Key
from modiste.data.source import SOURCES, Part, Source
from modiste.data.split import stratified
from modiste.data.types import ImageSet
from modiste.errors import DataError, SealError
from modiste.evaluate.audit import Audit
from modiste.evaluate.duplicates import CLOSENESS, find_twins
from modiste.evaluate.label_errors import suspects
from modiste.final.compare import compare, openings
from modiste.runs.ledger import Ledger
from tests.planted import NUM_VAL, Planted, write_planted

REASON = "is the test set in the training set?"


@pytest.fixture(scope="module", name="planted")
def _planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As `examine` does."""
    with threadpool_limits(1):
        yield


@pytest.fixture(name="source")
def _source(planted: Planted) -> Source:
    return SOURCES.get("idx")(planted.folder)


@pytest.fixture(name="audit")
def _audit(source: Source) -> Audit:
    """What a comparison reads of an audit; the doubts about labels are no part of it."""
    images = source.load_train()
    is_val_N = np.zeros(len(images), bool)
    is_val_N[stratified(images.labels_N, NUM_VAL, 0).val_indices] = True
    chances = np.eye(images.num_classes)[images.labels_N]
    found = suspects(chances, images.labels_N)
    twins = find_twins(images.images_NCHW)
    return Audit(images, is_val_N, CLOSENESS, twins, found, chances, 1.0)


def with_test(source: Source, change: Callable[[ImageSet], ImageSet]) -> Source:
    def load_part(part: Part) -> ImageSet:
        if part == "train":
            return source.load_train()
        return change(source.load_test(Key(source.name, "a test of ours")))

    return dataclasses.replace(source, load_part=load_part)


def known(ledger: Ledger) -> list[dict[str, Any]]:
    """Openings by a ledger that must add up."""
    found = openings(ledger)
    assert found != UNKNOWN
    return found


def test_planted_leaks_are_counted_and_nothing_else(
    source: Source, audit: Audit, planted: Planted
) -> None:
    found = compare(source, audit, REASON, Ledger(audit.images.digest))
    none = dict.fromkeys(("exact", "mirrored", "near", "near mirrored"), 0)
    assert found.num_images == 200
    assert found.in_train == found.in_either == found.with_train == {**none, **planted.num_test}
    assert found.in_val == found.with_val == found.within == none


def test_what_comes_back_is_counts_alone(source: Source, audit: Audit) -> None:
    found = compare(source, audit, REASON, Ledger(audit.images.digest))
    for value in dataclasses.asdict(found).values():
        numbers = value.values() if isinstance(value, dict) else [value]
        assert all(type(number) is int for number in numbers)


def test_the_counts_stand_in_the_ledger_after_the_opening(source: Source, audit: Audit) -> None:
    ledger = Ledger(audit.images.digest)
    found = compare(source, audit, REASON, ledger)
    result = ledger.chain().entries[-1]
    assert (result["kind"], result["of"]) == ("result", "comparison")
    assert result["counts"] == dataclasses.asdict(found)


def test_test_labels_are_no_part_of_it(source: Source, audit: Audit) -> None:
    def mixed(images: ImageSet) -> ImageSet:
        return dataclasses.replace(images, labels_N=images.labels_N[::-1].copy())

    ledger = Ledger(audit.images.digest)
    one = compare(source, audit, REASON, ledger)
    assert compare(with_test(source, mixed), audit, REASON, ledger) == one


def test_it_is_an_entry_of_its_own_kind_and_no_look(source: Source, audit: Audit) -> None:
    ledger = Ledger(audit.images.digest)
    compare(source, audit, f"  {REASON} ", ledger)
    entries = ledger.entries()
    assert entries != UNKNOWN
    assert [entry["kind"] for entry in entries] == ["comparison", "result"]
    assert (entries[0]["reason"], entries[0]["closeness"]) == (REASON, CLOSENESS)
    assert (ledger.count(), ledger.tally().comparisons) == (0, 1)
    ledger.append("look", {"reason": "final figures", "runs": []})
    ledger.append("result", {"results": []})
    compare(source, audit, "again", ledger)
    assert ledger.count() == 1
    kinds = [(e["kind"], e["reason"]) for e in known(ledger)]
    assert kinds == [("comparison", REASON), ("look", "final figures"), ("comparison", "again")]


def test_the_entry_is_written_before_the_images_are_read(source: Source, audit: Audit) -> None:
    ledger = Ledger(audit.images.digest)

    def stop(images: ImageSet) -> ImageSet:
        assert len(known(ledger)) == 1
        raise RuntimeError

    with pytest.raises(RuntimeError):
        compare(with_test(source, stop), audit, REASON, ledger)
    assert len(known(ledger)) == 1


def test_without_a_reason_it_stays_closed(source: Source, audit: Audit) -> None:
    ledger = Ledger(audit.images.digest)
    with pytest.raises(SealError, match="opens only for a stated reason"):
        compare(source, audit, " ", ledger)
    assert openings(ledger) == []


def test_a_ledger_that_cannot_be_written_keeps_it_closed(
    source: Source, audit: Audit, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_bytes(b"")

    def never(images: ImageSet) -> ImageSet:
        raise AssertionError("the images were read")

    ledger = Ledger(audit.images.digest, folder=tmp_path / "plain" / "ledger")
    with pytest.raises(SealError, match="stays closed"):
        compare(with_test(source, never), audit, REASON, ledger)


def test_a_ledger_that_does_not_add_up_still_gets_the_entry(source: Source, audit: Audit) -> None:
    ledger = Ledger(audit.images.digest, known_heads=["ab" * 32])
    assert compare(source, audit, REASON, ledger).num_images == 200
    assert openings(ledger) == UNKNOWN
    kinds = [entry["kind"] for entry in Ledger(audit.images.digest).chain().entries]
    assert kinds == ["broken", "comparison", "result"]


def test_images_of_another_shape_are_refused(source: Source, audit: Audit) -> None:
    def cut(images: ImageSet) -> ImageSet:
        return dataclasses.replace(images, images_NCHW=images.images_NCHW[:, :, 2:])

    with pytest.raises(DataError, match=r"shape \(1, 26, 28\).*\(1, 28, 28\)"):
        compare(with_test(source, cut), audit, REASON, Ledger(audit.images.digest))
