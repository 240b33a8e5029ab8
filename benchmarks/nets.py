"""The reference nets that step times are measured on, as modiste and as plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Net:
    """One net of the reference study, with the batch size the study trains it at."""

    name: str
    family: str
    params: dict[str, object]
    batch_size: int
    steps: int


NETS = (
    Net("MLP 768", "mlp", {"hidden": [768], "dropout": 0.3}, 128, 120),
    Net("CNN 8-16-32-64", "cnn", {"num_layers": 4, "filters": 8, "dropout": 0.2}, 128, 40),
    Net("CNN 32-64-128", "cnn", {"num_layers": 3, "filters": 32, "dropout": 0.25}, 256, 12),
    Net("CNN 128-256-512", "cnn", {"num_layers": 3, "filters": 128, "dropout": 0.25}, 256, 4),
)


def plain_torch(net: Net) -> nn.Sequential:
    """The same net as anybody would write it, with PyTorch's own layers."""
    params = net.params
    rate = float(str(params["dropout"]))
    if net.family == "mlp":
        hidden = params["hidden"]
        assert isinstance(hidden, Sequence)
        layers: list[nn.Module] = [nn.Flatten()]
        width = 784
        for units in hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(rate)]
            width = units
        return nn.Sequential(*layers, nn.Linear(width, 10))
    filters, num_layers = params["filters"], params["num_layers"]
    assert isinstance(filters, int)
    assert isinstance(num_layers, int)
    layers, channels, size = [], 1, 28
    for index in range(num_layers):
        width = filters * 2**index
        layers += [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Dropout(rate),
        ]
        channels, size = width, (size + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * size * size, 10))
