"""What is proposed for a set where nobody says what its images become, or what tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median_high
from typing import Any

from modiste.data.decode import Look
from modiste.data.own import apart
from modiste.data.own.stock import Stock
from modiste.errors import DataError
from modiste.spec.run import DataSpec

# Longer sides that are proposed, in pixels; above the last, nets of this kind learn slowly.
SIDES = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64)
# Proportions that differ by less than this are taken for the same.
SAME_SHAPE = 1.1
TEST_SHARE = 0.2


def propose(stock: Stock, given: Mapping[str, Any]) -> DataSpec:
    """The keys of `data` that make a set usable as it is.

    Args:
        stock: The set.
        given: Keys that are settled; those of ``decode`` may be given one by one.

    Raises:
        SpecError: If what is given makes no sense.
        DataError: If no image of the set can be used.
    """
    listing = stock.listing
    keys: dict[str, Any] = {"name": listing.kind, **given}
    if not listing.has("test"):
        record = apart.of(listing)
        keys.setdefault("test_share", record.share if record else TEST_SHARE)
    looks = [one.look for one in stock.seen if one.look is not None]
    if not looks:
        first = [f"\n  {each.item.name}: {each.trouble}" for each in stock.seen if each.trouble][:3]
        more = f"\n  and {len(stock.seen) - 3:,} more" if len(stock.seen) > 3 else ""
        raise DataError(
            f"{listing.path}: holds no image that can be used; what docs/own_images.md names can "
            f"be:{''.join(first)}{more}"
        )
    keys["decode"] = {**_decode(looks), **given.get("decode", {})}
    return DataSpec.parse(keys, "data")


def _decode(looks: Sequence[Look]) -> dict[str, Any]:
    shapes = [look.size_HW[0] / look.size_HW[1] for look in looks]
    is_one_shape = max(shapes) <= SAME_SHAPE * min(shapes)
    sizes = {look.size_HW for look in looks}
    longer = median_high([max(look.size_HW) for look in looks])
    side = next((side for side in SIDES if side >= longer), SIDES[-1])
    if len(sizes) == 1 and longer <= SIDES[-1]:
        size = next(iter(sizes))
    elif is_one_shape:
        shape = median_high(shapes)
        size = (
            (side, max(1, round(side / shape)))
            if shape >= 1
            else (max(1, round(side * shape)), side)
        )
    else:
        size = (side, side)
    return {
        "size": list(size),
        "channels": 1 if all(look.is_grey for look in looks) else 3,
        "sizing": "stretch" if is_one_shape else "fit",
        "background": [_background(looks)] * 3,
    }


def _background(looks: Sequence[Look]) -> int:
    """Black or white, whichever what is seen of transparent images stands out from."""
    levels = [look.level for look in looks if 0 < look.opaque < 1]
    return 255 if levels and sum(levels) / len(levels) < 128 else 0
