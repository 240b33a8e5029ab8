"""The same as `pytorch`, compiled by `torch.compile`."""

from __future__ import annotations

from benchmarks.nets import Net
from benchmarks.peers import Run, Setting, pytorch

NEEDS = ("torch",)


def settings(net: Net, threads: int) -> list[Setting]:
    return [setting for setting in pytorch.settings(net, threads) if setting["fused_adam"]]


def build(net: Net, setting: Setting) -> Run:
    return pytorch.build(net, setting, is_compiled=True)
