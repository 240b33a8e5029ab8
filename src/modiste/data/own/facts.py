"""What is told of a set that was looked at, as JSON values: on a terminal, and in a report."""

from __future__ import annotations

from collections import Counter
from typing import Any

from modiste.data.own.division import Division
from modiste.data.own.names import called, shown
from modiste.data.own.stock import Stock

SCHEMA = 1
# Sizes that are named, the most frequent first; the others are counted.
NUM_SIZES = 12
# Of a set with more images no names are kept.
MOST_NAMES = 100_000


def of_stock(stock: Stock) -> dict[str, Any]:
    """What the images are like, whatever becomes of them.

    Names are escaped where something in them could not be seen.
    """
    listing = stock.listing
    looks = [one.look for one in stock.seen if one.look is not None]
    sizes = Counter(look.size_HW for look in looks)
    return {
        "schema": SCHEMA,
        "source": listing.kind,
        "name": called(listing.path),
        "unit": listing.unit,
        "class_names": list(listing.class_names),
        "num_seen": len(stock.seen),
        "formats": _counted(look.format for look in looks),
        "modes": _counted(look.mode for look in looks),
        "sizes": [
            {"width": width, "height": height, "count": count}
            for (height, width), count in sizes.most_common(NUM_SIZES)
        ],
        "num_sizes": len(sizes),
        "num_turned": sum(look.is_turned for look in looks),
        "num_16_bit": sum(look.bits == 16 for look in looks),
        "num_transparent": sum(look.opaque < 1 for look in looks),
        "num_empty": sum(look.opaque == 0 for look in looks),
        "num_grey": sum(look.is_grey for look in looks),
        "bad": [
            {
                "name": shown(one.item.name),
                "part": one.item.part,
                "why": shown(one.trouble),
                "sha256": one.digest,
            }
            for one in stock.bad
        ],
        "passed_over": dict(listing.passed_over),
        "came": {part: listing.counts(part) for part in ("train", "val", "test")},
    }


def of_division(found: Division) -> dict[str, Any]:
    """The same, with what becomes of the images."""
    both = (*found.train, *found.val)
    return {
        **of_stock(found.stock),
        "parts": {part: found.counts(part) for part in ("train", "val", "test")},
        "validation": "given" if found.val else "drawn",
        "test": {
            "origin": found.origin,
            "sealed_at": found.record.sealed_at if found.record else None,
            "num_gone": found.num_gone,
        },
        "copies": [shown(one.item.name) for one in found.copies],
        "num_ambiguous": found.num_ambiguous,
        "rule": found.rule.to_dict(),
        "images": [shown(one.item.name) for one in both] if len(both) <= MOST_NAMES else None,
    }


def _counted(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common())
