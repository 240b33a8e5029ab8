"""The same nets as a user of PyTorch would write them: its own layers, Adam, a loop."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting
from benchmarks.peers.data import images_N11, labels_N

NEEDS = ("torch",)


def settings(net: Net, threads: int) -> list[Setting]:
    layouts = (False, True) if net.family == "cnn" else (False,)
    return [
        {"channels_last": layout, "fused_adam": fused, "threads": threads}
        for layout, fused in itertools.product(layouts, (False, True))
    ]


def model(net: Net) -> nn.Sequential:
    """Layer by layer what modiste builds under its preset `keras`."""
    layers: list[nn.Module] = []
    if net.family == "mlp":
        layers, width = [nn.Flatten()], 784
        for units in net.hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(net.rate)]
            width = units
        return nn.Sequential(*layers, nn.Linear(width, 10))
    channels, side = 1, 28
    for width in net.filters:
        layers += [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.Dropout(net.rate),
        ]
        channels, side = width, (side + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, 10))


def build(net: Net, setting: Setting, *, is_compiled: bool = False) -> Run:
    torch.set_num_threads(setting["threads"])
    torch.set_flush_denormal(True)
    layout = torch.channels_last if setting["channels_last"] else torch.contiguous_format
    module = model(net).train().to(memory_format=layout)
    optimizer = torch.optim.Adam(module.parameters(), 1e-3, eps=1e-7, fused=setting["fused_adam"])
    images = torch.from_numpy(images_N11()[:, None]).float() / 255
    labels = torch.from_numpy(labels_N())

    def loss_of(batch: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(module(batch), right)

    forward = torch.compile(loss_of) if is_compiled else loss_of

    def run(steps: int) -> None:
        for _ in range(steps):
            which = torch.randint(0, len(labels), (net.batch_size,))
            batch = images[which].contiguous(memory_format=layout)
            loss = forward(batch, labels[which])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return run
