"""Every image of a set looked at: what each is like, and which cannot be used."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

from modiste.cores import num_cores
from modiste.data.decode import Look, Pixels, Rule, examine, examine_array
from modiste.data.own import keep
from modiste.data.own.listing import Content, Item, Listing
from modiste.data.own.names import shown
from modiste.data.source import Tell, silent
from modiste.errors import DataError

S = TypeVar("S")
T = TypeVar("T")

# One side of an image may be so many times the other; beyond, nothing is left of it in a square.
MOST_OBLONG = 32
# Of all decoded images together.
MAX_BYTES = 1 << 32


@dataclass(frozen=True)
class Seen:
    """An image that was looked at.

    Attributes:
        digest: SHA-256 of its content; empty if that cannot be read.
        look: What it is like; none if it cannot be used.
        trouble: Why it cannot; empty if it can.
    """

    item: Item
    digest: str
    look: Look | None
    trouble: str = ""


@dataclass(frozen=True)
class Stock:
    """A set of which every image was looked at."""

    listing: Listing
    seen: tuple[Seen, ...]

    @property
    def bad(self) -> list[Seen]:
        """Those that cannot be used."""
        return [one for one in self.seen if one.trouble]


def take_stock(listing: Listing, tell: Tell = silent) -> Stock:
    """Decode every image once, several side by side.

    What was seen of the same contents before comes out of the cache: then their bytes are read,
    and only those that cannot be used are tried again.

    Args:
        listing: What to look at.
        tell: Told how many are done, of how many.
    """
    digests = in_parallel(lambda item: _digest(listing, item), listing.items)
    name = keep.name_of(["looks", listing.kind, *(digest for digest, _ in digests)])
    kept = _kept(keep.load_json(name), len(listing.items))

    def look_at(position: int) -> Seen:
        item, (digest, trouble), look = listing.items[position], digests[position], kept[position]
        if look is None and not trouble:
            look, trouble = _looked_at(listing, item)
        return Seen(item, digest, None if trouble else look, trouble)

    seen = tuple(in_parallel(look_at, range(len(listing.items)), tell))
    if any(one.look is not None and was is None for one, was in zip(seen, kept, strict=True)):
        keep.save_json(name, [one.look and asdict(one.look) for one in seen])
    return Stock(listing, seen)


def decoded(
    stock: Stock, chosen: Sequence[Seen], rule: Rule, tell: Tell = silent, *, is_kept: bool = True
) -> Pixels:
    """Images by a rule, N x C x H x W.

    Args:
        stock: That they are part of.
        chosen: Which of them, in that order; all can be used.
        rule: What they become.
        tell: Told how many are done, of how many.
        is_kept: Whether they may lie in the cache.

    Raises:
        DataError: If they are too many for memory, or one was changed since it was looked at.
    """
    height, width = rule.size_HW
    shape = (len(chosen), rule.channels, height, width)
    if math.prod(shape) > MAX_BYTES:
        raise DataError(
            f"{shown(stock.listing.path)}: {len(chosen):,} images of {width} x {height} pixels and "
            f"{rule.channels} channel(s) are {math.prod(shape):,} bytes; the limit is "
            f"{MAX_BYTES:,}. Make data.decode.size smaller."
        )
    digests = [one.digest for one in chosen]
    name = keep.name_of(["images", stock.listing.kind, repr(rule), *digests])
    found = keep.load_images(name, shape) if is_kept else None
    if found is not None:
        return found
    images_NCHW = np.empty(shape, np.uint8)

    def put(position: int) -> None:
        images_NCHW[position] = _decoded(stock.listing, chosen[position], rule)

    in_parallel(put, range(len(chosen)), tell)
    if is_kept:
        keep.save_images(name, images_NCHW)
    return images_NCHW


def in_parallel(work: Callable[[S], T], things: Sequence[S], tell: Tell = silent) -> list[T]:
    """Work on things side by side, in threads: what decodes images lets others run meanwhile."""
    answers: list[T] = []
    pool = ThreadPoolExecutor(num_cores())
    try:
        for answer in pool.map(work, things):
            answers.append(answer)
            tell(len(answers), len(things))
    finally:  # somebody who stops does not wait for what has not begun
        pool.shutdown(cancel_futures=True)
    return answers


def _digest(listing: Listing, item: Item) -> tuple[str, str]:
    """Of an item's content, and why it cannot be read; one of both is empty."""
    if item.trouble:
        return "", item.trouble
    try:
        return _sha256(listing.read(item)), ""
    except DataError as error:
        return "", str(error)


def _sha256(content: Content) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    head = f"{content.dtype.str} {content.shape} ".encode()
    return hashlib.sha256(head + content.tobytes()).hexdigest()


def _looked_at(listing: Listing, item: Item) -> tuple[Look | None, str]:
    """What an image is like, and why it cannot be used; one of both is empty."""
    try:
        look, _ = _examined(listing.read(item), None)
    except DataError as error:
        return None, _without_name(str(error))
    longer, shorter = max(look.size_HW), min(look.size_HW)
    if longer > MOST_OBLONG * shorter:
        height, width = look.size_HW
        words = f"{width:,} x {height:,} pixels"
        return None, f"{words}: one side is more than {MOST_OBLONG} times the other"
    return look, ""


def _decoded(listing: Listing, seen: Seen, rule: Rule) -> Pixels:
    content = listing.read(seen.item)
    if _sha256(content) != seen.digest:
        raise DataError(f"{shown(seen.item.name)}: was changed while it was read. Try again.")
    _, pixels = _examined(content, rule)
    assert pixels is not None
    return pixels


_NAME = "it"


def _examined(content: Content, rule: Rule | None) -> tuple[Look, Pixels | None]:
    if isinstance(content, bytes):
        return examine(content, rule, _NAME)
    return examine_array(content, rule)


def _without_name(text: str) -> str:
    """What an error says beside the name of the image, which whoever lists it puts before it."""
    return text.removeprefix(f"{_NAME}: ").rstrip(".")


def _kept(value: Any, number: int) -> list[Look | None]:
    """What the cache has of that many images; nothing of any if it is not that."""
    nothing: list[Look | None] = [None] * number
    if not isinstance(value, list) or len(value) != number:
        return nothing
    try:
        return [one and Look(**{**one, "size_HW": tuple(one["size_HW"])}) for one in value]
    except (TypeError, KeyError):
        return nothing
