"""Blocks of layers on a GPU: torch's own compiler makes a few kernels of what else is a dozen.

A convolution's neighbours do little arithmetic, and each of them reads and writes all values; taken
together they do so once or twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from modiste.errors import SpecError, first_sentence
from modiste.kernels.blocks import BlockShape


@dataclass(frozen=True)
class Chance:
    """What dropout keeps, still to be made of bytes.

    Attributes:
        draws: A random byte for each value, N x C x H x W or N x F, as it lies in memory.
        threshold: Bytes below it drop their value.
        scale: What is kept is multiplied by it.
    """

    draws: Tensor
    threshold: int
    scale: float


class BlocksOnGPU:
    """The blocks of one net; batches of another size are computed by torch as they are.

    The last one of an epoch is of another, and compiling for it would take seconds.

    Args:
        batch_size: For which blocks are compiled.
    """

    conv1 = None  # convolutions are cuDNN's

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def block(
        self,
        values: Tensor,
        bias: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        shape: BlockShape,
        kept: Chance | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``[relu(values + bias)] -> batch norm -> [relu] -> [max pool] -> [dropout]`` in training.

        Args and what comes back are those of `modiste.kernels.ops.Kernels.block`, but for `kept`.
        """
        which = _compiled_block_of if len(values) == self._batch_size else _block_of
        chance = () if kept is None else (kept.draws, *_constants(kept, scale.dtype))
        out: tuple[Tensor, Tensor, Tensor] = which(shape)(values, bias, scale, shift, *chance)
        return out

    def infer(
        self,
        values: Tensor,
        bias: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        shape: BlockShape,
        mean: Tensor,
        variance: Tensor,
    ) -> Tensor:
        """The same with given statistics and no dropout."""
        values = _before(values, bias, shape)
        values = F.batch_norm(values, mean, variance, scale, shift, False, 0.0, shape.epsilon)
        return _after(values, shape)


def _constants(kept: Chance, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    device = kept.draws.device
    return _constant(kept.threshold, torch.uint8, device), _constant(kept.scale, dtype, device)


@functools.cache
def _constant(value: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A number where a kernel finds it: one that stood in its code would have it compiled anew."""
    return torch.tensor(value, dtype=dtype, device=device)


@functools.cache
def _compiled_block_of(shape: BlockShape) -> Callable[..., Any]:
    # Seconds, and only needed here.
    from torch._dynamo import config as tracing
    from torch._dynamo.exc import BackendCompilerFailed
    from torch._inductor import config as compiling
    from torch._inductor.exc import GPUTooOldForTriton, TritonMissing

    compiled = torch.compile(_block_of(shape), dynamic=False, fullgraph=True)

    def block(*tensors: Tensor | None) -> Any:
        # The rest of this process keeps its own settings. Each shape of values is compiled once,
        # and so are all that a search may try; runs side by side compile side by side.
        with (
            tracing.patch(recompile_limit=1 << 10, accumulated_recompile_limit=1 << 12),
            compiling.patch(compile_threads=1),
        ):
            try:
                return compiled(*tensors)
            except (BackendCompilerFailed, GPUTooOldForTriton, TritonMissing) as error:
                if "out of memory" in str(error).lower():
                    raise  # it is said to be that by whoever trains
                raise SpecError(_cannot_compile(error)) from error

    return block


def _cannot_compile(error: Exception) -> str:
    why = first_sentence(getattr(error, "inner_exception", error))
    return (
        "kernels: 'fused' on a GPU needs Triton and a C compiler, and torch could not compile with "
        f"what is here: {why}. Install what is missing, such as Debian's package gcc, or say "
        "`kernels: torch`."
    )


@functools.cache
def _block_of(shape: BlockShape) -> Callable[..., Any]:
    def block(
        values: Tensor,
        bias: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        *chance: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        wide = _before(values.to(scale.dtype), bias, shape)
        variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
        factor = scale * torch.rsqrt(variance + shape.epsilon)
        normed = (wide - mean[:, None, None]) * factor[:, None, None] + shift[:, None, None]
        out = _after(normed, shape)
        if chance:
            draws, threshold, kept_scale = chance
            out = out * ((draws >= threshold).to(out.dtype) * kept_scale)
        return out.to(values.dtype), mean.detach(), variance.detach()

    return block


def _before(values: Tensor, bias: Tensor | None, shape: BlockShape) -> Tensor:
    if not shape.is_act_first:
        return values
    return F.relu(values if bias is None else values + bias[:, None, None])


def _after(values: Tensor, shape: BlockShape) -> Tensor:
    if shape.is_relu_after:
        values = F.relu(values)
    return F.max_pool2d(values, 2, 2, ceil_mode=True) if shape.is_pooled else values
