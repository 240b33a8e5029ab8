"""How kernels and biases start."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from modiste import seeds
from modiste.spec.parts import Initialisation


def initialise(named: dict[str, Tensor], initialisation: Initialisation, seed: int) -> None:
    """Fill kernels, biases, scales and shifts in place, each from a stream of its own.

    Args:
        named: Kernels end in ``.weight`` and are (units, inputs) or O x I x kH x kW.
        initialisation: ``glorot_uniform``: within sqrt(6 / (fan in + fan out)), biases 0.
            ``kaiming_uniform``: kernels and biases within 1 / sqrt(fan in), as PyTorch's layers
            start. ``he_normal``: deviation sqrt(2 / fan in), biases 0.
        seed: Of the run.

    Source:
        Glorot and Bengio, AISTATS 2010, eq. 16; He et al., arXiv:1502.01852, eq. 10.
    """
    fan_in = 1
    for index, (name, tensor) in enumerate(named.items()):
        chance = seeds.generator(seed, "init", index)
        shape = tuple(tensor.shape)
        if name.endswith(".weight"):
            area = math.prod(shape[2:])
            fan_in, fan_out = shape[1] * area, shape[0] * area
            if initialisation == "glorot_uniform":
                limit = math.sqrt(6.0 / (fan_in + fan_out))
                values = chance.uniform(-limit, limit, shape)
            elif initialisation == "he_normal":
                values = chance.normal(0.0, math.sqrt(2.0 / fan_in), shape)
            else:
                limit = 1.0 / math.sqrt(fan_in)
                values = chance.uniform(-limit, limit, shape)
        elif name.endswith(".bias") and initialisation == "kaiming_uniform":
            limit = 1.0 / math.sqrt(fan_in)
            values = chance.uniform(-limit, limit, shape)
        else:
            values = np.full(shape, 1.0 if name.endswith(".scale") else 0.0)
        tensor.copy_(torch.from_numpy(values))
