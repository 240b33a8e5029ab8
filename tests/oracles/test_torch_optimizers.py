"""Our update rules under the preset `torch`, against the classes of `torch.optim` themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from modiste.spec.parts import OPTIMIZERS, with_preset

# Our name and options, and theirs; all else is left to the preset here, to the defaults there.
PAIRS = [
    pytest.param("sgd", {}, torch.optim.SGD, {}, id="sgd"),
    pytest.param("sgd", {"momentum": 0.9}, torch.optim.SGD, {"momentum": 0.9}, id="sgd-momentum"),
    pytest.param(
        "sgd",
        {"momentum": 0.9, "nesterov": True},
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True},
        id="sgd-nesterov",
    ),
    pytest.param("adagrad", {}, torch.optim.Adagrad, {}, id="adagrad"),
    pytest.param("adadelta", {}, torch.optim.Adadelta, {}, id="adadelta"),
    pytest.param("rmsprop", {}, torch.optim.RMSprop, {}, id="rmsprop"),
    pytest.param(
        "rmsprop", {"momentum": 0.9}, torch.optim.RMSprop, {"momentum": 0.9}, id="rmsprop-momentum"
    ),
    pytest.param("adam", {}, torch.optim.Adam, {}, id="adam"),
    pytest.param("adam", {"amsgrad": True}, torch.optim.Adam, {"amsgrad": True}, id="amsgrad"),
    pytest.param("nadam", {}, torch.optim.NAdam, {}, id="nadam"),
    pytest.param("adamw", {}, torch.optim.AdamW, {}, id="adamw"),
    pytest.param(
        "adamw", {"amsgrad": True}, torch.optim.AdamW, {"amsgrad": True}, id="adamw-amsgrad"
    ),
]


# Both sides round each of about ten operations of an update once, in another order: at worst the
# path that a weight went differs by 20 roundings.
ROUNDINGS = 20


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def dtype(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    """Also the default: NAdam of torch.optim keeps its product of momentums in that."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.parametrize(("name", "ours", "theirs_class", "theirs"), PAIRS)
def test_fifty_updates_with_a_drop_of_the_rate_agree(
    name: str,
    ours: dict[str, Any],
    theirs_class: type[torch.optim.Optimizer],
    theirs: dict[str, Any],
    dtype: torch.dtype,
) -> None:
    chance = torch.Generator().manual_seed(0)
    start = torch.randn(601, generator=chance) * 0.05
    start[::2] = 0.0  # here even the smallest step is not lost in rounding
    # From far below every epsilon to far above: a misplaced epsilon shows.
    sizes = 10.0 ** torch.linspace(-10, 1, 601)[torch.randperm(601, generator=chance)]
    grads = [torch.randn(601, generator=chance) * sizes for _ in range(50)]

    cls = OPTIMIZERS.get(name)
    optimizer = cls.parse(with_preset(cls, ours, "torch"))
    weights = start.clone()
    state = optimizer.start(weights)
    parameter = torch.nn.Parameter(start.clone())
    peer = theirs_class([parameter], **theirs)
    (group,) = peer.param_groups
    epsilon = torch.finfo(dtype).eps
    path, sums = torch.zeros_like(start), torch.zeros_like(start)
    for step, grad in enumerate(grads, start=1):
        rate = optimizer.learning_rate * (1.0 if step < 25 else 0.1)
        optimizer.update(weights, grad, state, step, rate)
        if step == 25:
            group["lr"] *= 0.1
        before = parameter.detach().clone()
        parameter.grad = grad.clone()
        peer.step()
        path += (parameter.detach() - before).abs()
        # Weight plus step rounds by half a unit in the last place of the weight, on both sides.
        sums += epsilon * before.abs()

    assert (path[::2] > 0).all(), "too little moved to tell"
    apart = (weights - parameter.detach()).abs()
    assert (apart <= ROUNDINGS * epsilon * path + sums).all()
