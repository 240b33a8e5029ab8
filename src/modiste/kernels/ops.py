"""The compiled kernels, called.

Blocks and convolutions are operations that gradients flow through: their images lie as N x H x W
x C in memory (torch's channels_last), in float32 or bfloat16; what belongs to a channel is
float32. Those for dense layers and for batches are plain functions of float32.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modiste.kernels import build
from modiste.kernels.blocks import WORDS, BlockShape, BlockStep, Call, Kept
from modiste.kernels.convolutions import Conv1, Conv3

# Channels that winograd.cpp takes together.
PANEL = 16
# Up to so many outputs of a dense layer narrow.cpp is faster than libraries.
NARROW = 16

# What the plain functions return and take. Said once, a call costs less: converting each operand
# at each call took 5 % of the smallest net's step.
_P, _N, _T, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32, ctypes.c_float
_TAKEN = {
    "take_float32": (_T, [_P, _P, _P, _P, _N, _N, _N, _N, _T]),
    "narrow_float32_forward": (None, [_P, _P, _P, _P, _N, _N, _N, _T]),
    "narrow_float32_weights": (None, [_P, _P, _P, _P, _N, _N, _N, _T]),
    "narrow_float32_values": (None, [_P, _P, _P, _P, _F, _N, _N, _N, _T]),
    "relu_dropout_float32_forward": (None, [_P, _N, _P, _N, _T, _F, _T]),
    "relu_dropout_float32_backward": (None, [_P, _P, _N, _F, _T]),
}


@dataclass(frozen=True)
class Drawn:
    """What dropout keeps, as what it is drawn from.

    Attributes:
        words: Entropy of a NumPy `SeedSequence`, numbers of 32 bits; SFC64 draws from it a byte
            for each value, in the order that the values lie in memory.
        threshold: What has a lower byte is dropped; at least 1.
        scale: What is kept is multiplied by it.
    """

    words: Sequence[int]
    threshold: int
    scale: float


class Kernels:
    """The compiled library, ready to call.

    Args:
        folder: Where it is kept, and compiled into when it is not there.
        has_conv3: Whether `conv3` is to be used.

    Raises:
        SpecError: If it cannot be compiled.
    """

    def __init__(self, folder: Path, *, has_conv3: bool = False) -> None:
        self._library = build.library(folder)
        for name, (answer, operands) in _TAKEN.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = answer, operands
        self.has_conv3 = has_conv3

    def block(
        self,
        values: Tensor,
        bias: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        shape: BlockShape,
        kept: Kept | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``[relu(values + bias)] -> batch norm -> [relu] -> [max pool] -> [dropout]`` in training.

        Args:
            values: N x C x H x W.
            bias: For each channel, added before the first relu; none without one.
            scale: Of the norm, for each channel.
            shift: Of the norm, for each channel.
            shape: Which parts there are.
            kept: What dropout keeps of the output.

        Returns:
            The output, and the batch's mean and biased variance for each channel, which carry no
            gradient.
        """
        given = torch.zeros_like(shift) if bias is None else bias
        answer: tuple[Tensor, Tensor, Tensor] = BlockStep.apply(  # type: ignore[no-untyped-call]
            values, given, scale, shift, self._library, shape, kept
        )
        return answer

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
        """The same with given statistics and no dropout; carries no gradient."""
        given = torch.zeros_like(shift) if bias is None else bias
        tensors = {"values": values, "bias": given, "scale": scale, "shift": shift}
        tensors |= {"mean": mean, "variance": variance}
        return Call(self._library, shape, None, tensors, is_training=False).forward()

    def conv1(self, images: Tensor, kernel: Tensor) -> Tensor:
        """A convolution over one channel: stride 1, padding 'same', no bias.

        Args:
            images: N x 1 x H x W; no gradient flows to them.
            kernel: O x 1 x k x k, k odd and at most 7; of the same type, as is the output.
        """
        answer: Tensor = Conv1.apply(  # type: ignore[no-untyped-call]
            images, kernel, self._library
        )
        return answer

    def conv3(self, images: Tensor, kernel: Tensor) -> Tensor:
        """A convolution 3 x 3 by Winograd's minimal filtering: stride 1, padding 'same', no bias.

        Args:
            images: N x C x H x W; C a multiple of `PANEL`.
            kernel: O x C x 3 x 3; O a multiple of `PANEL`; of the same type, as is the output.

        Raises:
            ValueError: If they are something else.
            MemoryError: If there is not enough of it.
        """
        channels = images.shape[1] if images.dim() == 4 else 0
        is_right = kernel.shape[1:] == (channels, 3, 3) and channels % PANEL == 0
        is_one_kind = images.dtype == kernel.dtype and images.is_cpu and kernel.is_cpu
        if not (is_right and len(kernel) % PANEL == 0 and is_one_kind and images.dtype in WORDS):
            raise ValueError(
                f"conv3 takes N x C x H x W and O x C x 3 x 3, C and O multiples of {PANEL}, both "
                f"float32 or both bfloat16 on the CPU, not {tuple(images.shape)} of {images.dtype} "
                f"on {images.device} and {tuple(kernel.shape)} of {kernel.dtype} on "
                f"{kernel.device}."
            )
        answer: Tensor = Conv3.apply(  # type: ignore[no-untyped-call]
            images, kernel, self._library
        )
        return answer

    def taker(self, images: Tensor, factor: Tensor) -> Callable[[Tensor], Tensor]:
        """What cuts batches from a set: chosen images as numbers, each channel times its factor.

        Args:
            images: M x C x H x W, uint8, contiguous.
            factor: One for each channel, float32, contiguous.

        Returns:
            From N numbers of images, int64 and contiguous, to N x C x H x W, float32. It raises an
            `IndexError` if there is no such image.
        """
        assert images.dtype == torch.uint8
        assert images.is_contiguous()
        channels = images.shape[1]
        factor = factor.flatten()
        assert (factor.dtype, len(factor)) == (torch.float32, channels)
        sizes = (len(images), channels, images.shape[2:].numel())
        run = self._library.take_float32

        def take(which: Tensor) -> Tensor:
            assert which.dtype == torch.int64
            assert which.is_contiguous()
            out = torch.empty((len(which), *images.shape[1:]))
            places = [one.data_ptr() for one in (images, which, factor, out)]
            if not run(*places, *sizes, len(which), torch.get_num_threads()):
                raise IndexError(f"there are {len(images)} images, 0 to {len(images) - 1}.")
            return out

        return take

    def narrow(self, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """A dense layer of few outputs: N x O.

        Args:
            values: N x I; float32 and contiguous, as is all here.
            weight: O x I; O at most `NARROW`.
            bias: O.
        """
        assert values.shape[1:] == weight.shape[1:]
        assert len(bias) == len(weight) <= NARROW
        out = torch.empty((len(values), len(weight)))
        self._library.narrow_float32_forward(
            *map(_address, (values, weight, bias, out)),
            len(values),
            *reversed(weight.shape),
            torch.get_num_threads(),
        )
        return out

    def narrow_weights(
        self, slope: Tensor, values: Tensor, d_weight: Tensor, d_bias: Tensor
    ) -> None:
        """Write the gradients of its weight and bias.

        Args:
            slope: Of what came out, N x O.
            values: What came in, N x I.
            d_weight: Where to, O x I.
            d_bias: Where to, O.
        """
        assert (slope.shape[1], values.shape[1]) == d_weight.shape
        assert len(slope) == len(values)
        assert len(d_bias) == len(d_weight) <= NARROW
        self._library.narrow_float32_weights(
            *map(_address, (slope, values, d_weight, d_bias)),
            len(slope),
            *reversed(d_weight.shape),
            torch.get_num_threads(),
        )

    def narrow_values(
        self, slope: Tensor, weight: Tensor, let_through: Tensor | None = None, scale: float = 1.0
    ) -> Tensor:
        """The gradient of what came in, N x I; or of what came into relu and dropout before it.

        Args:
            slope: Of what came out, N x O.
            weight: O x I.
            let_through: What came in, where relu and perhaps dropout had given it.
            scale: What dropout kept was multiplied by it; 1 without.
        """
        assert slope.shape[1] == len(weight) <= NARROW
        out = torch.empty((len(slope), weight.shape[1]))
        assert let_through is None or let_through.shape == out.shape
        self._library.narrow_float32_values(
            *map(_address, (slope, weight)),
            None if let_through is None else _address(let_through),
            _address(out),
            scale,
            len(slope),
            *reversed(weight.shape),
            torch.get_num_threads(),
        )
        return out

    def relu_dropout(self, values: Tensor, drawn: Drawn | None) -> None:
        """relu, then dropout, in place; dropout if it is said what it draws from.

        Args:
            values: float32, of any shape, contiguous.
            drawn: The chance.
        """
        words, threshold, scale = (
            (drawn.words, drawn.threshold, drawn.scale) if drawn else ((), 0, 1)
        )
        self._library.relu_dropout_float32_forward(
            _address(values),
            values.numel(),
            (ctypes.c_uint32 * len(words))(*words),
            len(words),
            threshold,
            scale,
            torch.get_num_threads(),
        )

    def relu_dropout_backward(self, gradient: Tensor, values: Tensor, scale: float) -> None:
        """The gradient of what came in, in its place.

        Args:
            gradient: Of what came out; float32, contiguous.
            values: What came out.
            scale: What was kept was multiplied by it; 1 without dropout.
        """
        assert gradient.numel() == values.numel()
        self._library.relu_dropout_float32_backward(
            _address(gradient), _address(values), values.numel(), scale, torch.get_num_threads()
        )


def _address(tensor: Tensor) -> int:
    """Where its numbers begin; they are what the plain functions take."""
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    return tensor.data_ptr()
