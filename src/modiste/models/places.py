"""Where each layer stands in its net: what comes into it, its name, and its number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modiste.models.layers import Layer, Residual, Shape


@dataclass(frozen=True)
class Place:
    """A layer where it stands.

    Attributes:
        shape: Of what comes into it.
        name: Its kind and number, such as ``conv_0``; inside a residual layer behind its name.
        index: Among all layers, inner ones included; dropout draws by it.
        number: Among those of its kind beside it, as its title counts.
    """

    layer: Layer
    shape: Shape
    name: str
    index: int
    number: int


def places_of(
    layers: Sequence[Layer], shape: Shape, inside: str = "", first: int = 0
) -> list[Place]:
    """The places of these layers, one after another; inner layers have places of their own."""
    counts: dict[str, int] = {}
    places, index = [], first
    for layer in layers:
        number = counts.setdefault(layer.kind, 0)
        counts[layer.kind] += 1
        places.append(Place(layer, shape, f"{inside}{layer.kind}_{number}", index, number))
        index += _size(layer)
        shape = layer.output_shape(shape)
    return places


def inner_places(place: Place) -> list[Place]:
    """The places of a residual layer's inner layers; none of any other's."""
    if not isinstance(place.layer, Residual):
        return []
    return places_of(place.layer.inner, place.shape, f"{place.name}.", place.index + 1)


def every_place(layers: Sequence[Layer], shape: Shape) -> Iterator[Place]:
    """All places of a net, each residual layer before its inner ones."""
    queue = places_of(layers, shape)
    while queue:
        place = queue.pop(0)
        yield place
        queue[:0] = inner_places(place)


def _size(layer: Layer) -> int:
    inner = layer.inner if isinstance(layer, Residual) else ()
    return 1 + sum(map(_size, inner))
