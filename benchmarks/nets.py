"""The reference nets that step times are measured on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Net:
    """One net of the reference study, with the batch size the study trains it at.

    Attributes:
        multiply_adds: Of one image forward, in millions.
        first_multiply_adds: Of the first layer alone, which needs no gradient of its input.
        block: Steps in one turn: enough to be timed, and at least 1.
    """

    name: str
    family: str
    params: Mapping[str, Any]
    batch_size: int
    multiply_adds: float
    first_multiply_adds: float
    block: int

    @property
    def hidden(self) -> list[int]:
        """Units of each hidden layer of an MLP."""
        return list(self.params.get("hidden", ()))

    @property
    def filters(self) -> list[int]:
        """Filters of each layer of a CNN."""
        return [self.params["filters"] * 2**i for i in range(self.params["num_layers"])]

    @property
    def rate(self) -> float:
        """Of dropout."""
        return float(self.params.get("dropout", 0.0))


def mlp(hidden: list[int], rate: float, block: int = 1) -> Net:
    """An MLP as the study trains it, with dropout after each hidden layer."""
    widths = [784, *hidden, 10]
    products = [a * b / 1e6 for a, b in itertools.pairwise(widths)]
    name = f"MLP {'-'.join(map(str, hidden)) or 'no hidden layer'}"
    params = {"hidden": hidden, "dropout": rate}
    return Net(name, "mlp", params, 128, sum(products), products[0], block)


def _cnn(num_layers: int, filters: int, rate: float, batch_size: int, block: int) -> Net:
    channels, side, products = 1, 28, []
    for index in range(num_layers):
        width = filters * 2**index
        products.append(side**2 * 9 * channels * width / 1e6)
        channels, side = width, (side + 1) // 2
    products.append(channels * side**2 * 10 / 1e6)
    params = {"num_layers": num_layers, "filters": filters, "dropout": rate}
    name = "CNN " + "-".join(str(filters * 2**i) for i in range(num_layers))
    return Net(name, "cnn", params, batch_size, sum(products), products[0], block)


NETS = (
    mlp([], 0.0, 100),
    mlp([768], 0.3, 20),
    mlp([768, 512, 256], 0.3, 15),
    _cnn(1, 8, 0.2, 128, 10),
    _cnn(4, 8, 0.2, 128, 5),
    _cnn(3, 32, 0.25, 256, 2),
    _cnn(3, 128, 0.25, 256, 1),
)


def named(name: str) -> Net:
    """The net of that name."""
    return next(net for net in NETS if net.name == name)
