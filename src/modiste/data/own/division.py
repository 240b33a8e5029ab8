"""A set that was looked at, put to the test and divided: into what trains, chooses and tests.

Whatever speaks against training is said here, before any of it begins.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from modiste.data.decode import Rule, rule_of
from modiste.data.own import apart
from modiste.data.own.listing import PLACES, Place
from modiste.data.own.names import shown
from modiste.data.own.stock import Seen, Stock
from modiste.data.split import MIN_PER_CLASS
from modiste.errors import DataError, SpecError, StoreError
from modiste.spec.run import DataSpec

# Of all images, how many may be left out as unreadable where that was asked for.
MOST_BAD = 0.01
# Examples in a message.
NUM_NAMED = 5
Origin = Literal["given", "split off", "none"]


@dataclass(frozen=True)
class Division:
    """What becomes of each image.

    Attributes:
        train, val, test: In the order in which they are used. `val` is empty where the set came
            without a validation part, and one is drawn from `train` as a spec says. Pictures of
            a test part that was split off are in neither, in whichever folder they lie.
        copies: Training images that show the same as one of their class, which is kept.
        origin: Of the test part.
        record: What was written down of it, where it was split off.
        num_gone: Pictures of the written test part that are no longer there.
        rule: What images become.
    """

    stock: Stock
    train: tuple[Seen, ...]
    val: tuple[Seen, ...]
    test: tuple[Seen, ...]
    copies: tuple[Seen, ...]
    origin: Origin
    record: apart.Record | None
    num_gone: int
    rule: Rule

    def counts(self, part: Place) -> list[int]:
        """Images of each class."""
        found = Counter(one.item.label for one in getattr(self, part))
        return [found[label] for label in range(len(self.stock.listing.class_names))]

    @cached_property
    def num_ambiguous(self) -> int:
        """Pictures that lie in two classes or more, so that no answer is right for all."""
        labels = defaultdict(set)
        for one in (*self.train, *self.val, *self.test):
            labels[_picture(one)].add(one.item.label)
        return sum(len(some) > 1 for some in labels.values())


def divide(stock: Stock, spec: DataSpec, *, is_growing: bool = False) -> Division:
    """Put a set to the test, and divide it as a spec says.

    Args:
        stock: The set.
        spec: How it is divided, and what its images become.
        is_growing: Let a test part that was written down have its share of images that came
            later; else they are refused.

    Raises:
        DataError: If images cannot be used, or too few are left, or parts share pictures.
        SpecError: If the spec does not fit the set.
    """
    _check_bad(stock, is_skipped=spec.skip_bad)
    good = [one for one in stock.seen if not one.trouble]
    if not stock.listing.is_ordered:  # mixes the classes, and depends on no name
        good.sort(key=lambda one: one.digest)
    parts = {part: [one for one in good if one.item.part == part] for part in PLACES}
    train, copies = _without_copies(parts["train"])
    if not spec.keep_duplicates:
        _check_apart(stock, parts)
    _check_varied(stock, train)
    origin, record, sealed = _test_part(stock, spec, train, is_growing=is_growing)
    # What is sealed follows from the picture and not from where it lies: train/ or val/.
    split, _ = _without_copies([one for one in (*train, *parts["val"]) if _picture(one) in sealed])
    test = split or parts["test"]
    train, val = (
        [one for one in some if _picture(one) not in sealed] for some in (train, parts["val"])
    )
    here = {_picture(one) for one in test}
    found = Division(
        stock=stock,
        train=tuple(train),
        val=tuple(val),
        test=tuple(test),
        copies=tuple(copies),
        origin=origin,
        record=record,
        num_gone=len(sealed - here),
        rule=rule_for(stock, spec),
    )
    _check_enough(found)
    return found


def seal(found: Division, share: float) -> str:
    """Write down which pictures are the test part that was split off.

    Returns:
        Nothing; where it cannot be written beside the images, why, and what that means.

    Raises:
        DataError: If somebody else has written it since these images were divided.
        StoreError: If what came later cannot be added to it.
    """
    every = (*found.train, *found.val, *found.test)
    path = found.stock.listing.path
    if apart.load(path) != found.record:
        raise DataError(
            f"{shown(apart.place(path))}: somebody else has sealed the test part meanwhile. Do it "
            "again, now with what stands there."
        )
    try:
        apart.save(path, share, pictures(found.test), pictures(every), found.record)
    except OSError as error:
        if found.record is not None:
            raise StoreError(f"{shown(apart.place(path))}: {error.strerror}.") from None
        return (
            f"Which images are the test part could not be written beside them ({error.strerror}). "
            "It follows from the images alone, so it stays the same as long as none comes, goes "
            "or changes."
        )
    return ""


def rule_for(stock: Stock, spec: DataSpec) -> Rule:
    """What images become: as the spec says, or as they are where all have one size.

    Raises:
        SpecError: If the spec says nothing, and sizes differ.
    """
    if spec.decode is not None:
        return rule_of(spec, (spec.decode.channels, *spec.decode.size))
    looks = [one.look for one in stock.seen if one.look is not None]
    sizes = Counter(look.size_HW for look in looks)
    if len(sizes) > 1:
        most = ", ".join(f"{w} x {h} ({count:,})" for (h, w), count in sizes.most_common(3))
        raise SpecError(
            f"data.decode: the images have {len(sizes):,} sizes: {most} and so on. Say what they "
            "become, such as {size: [32, 32], channels: 3, sizing: fit}; `modiste init` proposes "
            "it."
        )
    return Rule(next(iter(sizes)), 1 if all(look.is_grey for look in looks) else 3)


def pictures(seen: Sequence[Seen]) -> list[str]:
    """The marks that images are sealed by."""
    return [_picture(one) for one in seen]


def _picture(seen: Seen) -> str:
    assert seen.look is not None
    return apart.picture(seen.look.pixels)


def _check_bad(stock: Stock, *, is_skipped: bool) -> None:
    bad, total = stock.bad, len(stock.seen)
    is_too_many = len(bad) > MOST_BAD * total
    if not bad or (is_skipped and not is_too_many):
        return
    lines = [f"  {shown(one.item.name)}: {shown(one.trouble)}." for one in bad[:NUM_NAMED]]
    if len(bad) > NUM_NAMED:
        lines.append(f"  and {len(bad) - NUM_NAMED:,} more, which `modiste data scan` lists.")
    them = "it" if len(bad) == 1 else "them"
    remedy = f"Mend or remove {them}, or have {them} left out and listed: --skip-bad, or "
    remedy += "data.skip_bad: true."
    if is_too_many:
        limit = f"{100 * MOST_BAD:g} %"
        remedy = f"Mend or remove {them}. More than {limit} of all is too much to leave out."
    head = f"{shown(stock.listing.path)}: {len(bad):,} of {total:,} {stock.listing.unit}s "
    raise DataError("\n".join([f"{head}cannot be used:", *lines, remedy]))


def _without_copies(train: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """Training images with each picture once in a class, and what was left out for it.

    Of several, the first by name stays.
    """
    first: dict[tuple[int, str], Seen] = {}
    for one in sorted(train, key=lambda one: one.item.name):
        first.setdefault((one.item.label, _picture(one)), one)
    kept = {id(one) for one in first.values()}
    return (
        [one for one in train if id(one) in kept],
        [one for one in train if id(one) not in kept],
    )


def _check_apart(stock: Stock, parts: dict[Place, list[Seen]]) -> None:
    """No picture lies in two of the parts that the set came with."""
    seen: dict[str, Seen] = {}
    shared = []
    for part in PLACES:
        for one in parts[part]:
            before = seen.setdefault(_picture(one), one)
            if before.item.part != part:
                shared.append((before, one))
    if not shared:
        return
    lines = [f"  {_full(before)} and {_full(one)}" for before, one in shared[:NUM_NAMED]]
    if len(shared) > NUM_NAMED:
        lines.append(f"  and {len(shared) - NUM_NAMED:,} more")
    raise DataError(
        f"{shown(stock.listing.path)}: {len(shared):,} picture(s) lie in two parts:\n"
        + "\n".join(lines)
        + "\nWhat was trained on cannot test. Remove them from one part, or, to compare with "
        "others who used these parts, keep them: --keep-duplicates, or data.keep_duplicates: true."
    )


def _full(seen: Seen) -> str:
    return f"{shown(seen.item.name)} ({seen.item.part})"


def _check_varied(stock: Stock, train: Sequence[Seen]) -> None:
    if len(train) > 1 and len({_picture(one) for one in train}) == 1:
        raise DataError(
            f"{shown(stock.listing.path)}: all {len(train):,} training images show the same; there "
            "is nothing to learn."
        )


def _test_part(
    stock: Stock, spec: DataSpec, train: Sequence[Seen], *, is_growing: bool
) -> tuple[Origin, apart.Record | None, frozenset[str]]:
    listing = stock.listing
    if spec.test_share is None:
        if not listing.is_in_memory:
            need_no_record(listing.path, has_test=listing.has("test"))
        return "given" if listing.has("test") else "none", None, frozenset()
    record = apart.of(listing)
    where = shown(apart.place(listing.path))
    if listing.has("test"):
        raise SpecError(
            f"data.test_share: {spec.test_share:g}, but {shown(listing.path)} came with a test "
            "part. Take the key out."
        )
    marks, labels = pictures(train), [one.item.label for one in train]
    if record is None:
        return "split off", None, apart.split_off(marks, labels, spec.test_share)
    if record.share != spec.test_share:
        raise SpecError(
            f"data.test_share: {spec.test_share:g}, but the test part was split off with "
            f"{record.share:g} ({where}). Say that. To draw another one for good, delete the file: "
            "what was measured on the old one is then worth nothing."
        )
    new = set(marks) - record.sealed - record.others
    if new and is_growing:
        return "split off", record, apart.split_off(marks, labels, spec.test_share, record)
    if new:
        first = next(one for one in train if _picture(one) in new)
        raise DataError(
            f"{shown(listing.path)}: {len(new):,} image(s) came after the test part was split off "
            f"(first: {shown(first.item.name)}). Run `modiste init {_typed(listing.path)} --out "
            "NEW.yaml`: it gives each class its share of them, and moves none of the old."
        )
    return "split off", record, record.sealed


def _typed(path: Path) -> str:
    """A path as a shell takes it for one word."""
    return shlex.quote(shown(path))


def need_no_record(path: Path, *, has_test: bool) -> None:
    """Refuse to train on images of which a test part was split off.

    Raises:
        SpecError: If a record says so, and the set came with no test part of its own.
    """
    record = None if has_test else apart.load(path)
    if record is not None:
        raise SpecError(
            f"data.test_share: a test part was split off from these images "
            f"({shown(apart.place(path))}). Say data.test_share: {record.share:g}, so that nobody "
            "trains on it; or, if nothing was ever measured on that part, delete the file."
        )


def _check_enough(found: Division) -> None:
    listing = found.stock.listing
    sealed = found.counts("test") if found.origin == "split off" else [0] * len(listing.class_names)
    counts = zip(listing.class_names, found.counts("train"), sealed, strict=True)
    for name, number, num_sealed in counts:
        if number < MIN_PER_CLASS:
            few = f"{number} image(s)"
            if num_sealed:
                few = f"{number + num_sealed} image(s), {number} without the test part"
            raise DataError(
                f"{shown(listing.path)}: the class '{shown(name)}' has {few}, copies left out; "
                f"expected {MIN_PER_CLASS} or more. Add some, or take the class out."
            )
