"""skorch around PyTorch's own layers: its training step, batch by batch."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting, pytorch
from benchmarks.peers.data import images_N11, labels_N

NEEDS = ("torch", "skorch")


def settings(net: Net, threads: int) -> list[Setting]:
    return [setting for setting in pytorch.settings(net, threads) if setting["fused_adam"]]


def build(net: Net, setting: Setting) -> Run:
    from skorch import NeuralNetClassifier

    torch.set_num_threads(setting["threads"])
    torch.set_flush_denormal(True)
    layout = torch.channels_last if setting["channels_last"] else torch.contiguous_format
    learner = NeuralNetClassifier(
        pytorch.model(net).to(memory_format=layout),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__lr=1e-3,
        optimizer__eps=1e-7,
        optimizer__fused=True,
        train_split=None,
        verbose=0,
    ).initialize()
    images = torch.from_numpy(images_N11()[:, None]).float() / 255
    labels = torch.from_numpy(labels_N())

    def run(steps: int) -> None:
        for _ in range(steps):
            which = torch.randint(0, len(labels), (net.batch_size,))
            batch = images[which].contiguous(memory_format=layout)
            learner.train_step((batch, labels[which]))

    return run
