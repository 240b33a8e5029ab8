"""Kinds of work, and how fast each goes: as measured, or by its FLOPs from others measured."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

import numpy as np

from modiste.models.layers import Dropout, Layer, Shape, table
from modiste.spec.base import Spec
from modiste.spec.parts import ModelFamily
from modiste.spec.run import RunSpec


@dataclass(frozen=True)
class Kind:
    """What decides how long an update and an inference take: equal kind, equal time.

    Attributes:
        family: Of the model.
        layers: Of the net; dropout of any rate takes the same time.
        batch_size: Images in one update.
        optimizer, augment: As JSON; of a hyperparameter that is a number, only whether it is 0.
        threads, device, kernels, precision: Of the run.
        flops: Of one image, forward.
        parameters: All of them, with moving statistics.
        views: What an answer is the mean of; two images take twice as long as one.
        averages: Whether each update moves an average of the weights, too.
    """

    family: str
    layers: tuple[Layer, ...]
    batch_size: int
    optimizer: str
    augment: str
    threads: int
    device: str
    kernels: str
    precision: str
    flops: int
    parameters: int
    views: str = "one"
    averages: bool = False

    @property
    def flops_per_update(self) -> int:
        """Backward takes twice what forward takes."""
        return 3 * self.flops * self.batch_size


class Pace(NamedTuple):
    """How fast work of a kind goes, in seconds."""

    per_update: float
    per_image_inferred: float


def kind_of(spec: RunSpec, shape_CHW: Shape, num_classes: int) -> Kind | None:
    """The kind of work a run is; none if its model is no net, and is fitted in one go.

    Raises:
        SpecError: If the spec makes no net for images of that shape.
    """
    params = spec.model.params
    if not isinstance(params, ModelFamily):
        return None
    layers = tuple(
        replace(layer, rate=0.5) if isinstance(layer, Dropout) else layer
        for layer in params.layers(shape_CHW, num_classes)
    )
    totals = table(layers, shape_CHW)
    return Kind(
        family=spec.model.family,
        layers=layers,
        batch_size=spec.train.batch_size,
        optimizer=_switches(spec.train.optimizer),
        augment=_switches(*spec.train.augment),
        threads=spec.threads,
        device=spec.device,
        kernels=spec.kernels,
        precision=spec.train.precision,
        flops=totals["flops_forward"],
        parameters=totals["parameters"]["total"],
        views=params.views,
        averages=spec.train.averaging is not None,
    )


def _switches(*parts: Spec) -> str:
    """What of these parts decides which arithmetic is done: words, and what is on or off."""
    values = [
        {key: value if isinstance(value, str) else bool(value) for key, value in part}
        for part in parts
    ]
    return json.dumps(values, sort_keys=True)


def pace_of_epochs(kind: Kind, num_train: int, num_val: int, seconds_per_epoch: float) -> Pace:
    """The pace behind the epochs of finished runs, taking forward for a third of an update."""
    num_updates = -(-num_train // kind.batch_size)
    images_per_update = 3 * kind.batch_size
    per_update = seconds_per_epoch / (num_updates + num_val / images_per_update)
    return Pace(per_update, per_update / images_per_update)


def pace_of(kind: Kind, known: Mapping[Kind, Pace]) -> Pace | None:
    """As it is known, or by FLOPs: at the rate of known kinds of the same family.

    The rate, in seconds for each FLOP, is taken between the two kinds nearest in FLOPs, on
    logarithmic scales; below the least and above the largest it is theirs.

    Returns:
        None if nothing is known of the family.
    """
    if kind in known:
        return known[kind]
    family = [(k, pace) for k, pace in known.items() if k.family == kind.family]
    if not family:
        return None
    updates = [(k.flops_per_update, pace.per_update) for k, pace in family]
    images = [(k.flops, pace.per_image_inferred) for k, pace in family]
    return Pace(_between(kind.flops_per_update, updates), _between(kind.flops, images))


def _between(flops: int, known: Sequence[tuple[int, float]]) -> float:
    """Seconds for so many FLOPs, from pairs of FLOPs and seconds."""
    rates = defaultdict(list)
    for at, seconds in known:
        rates[at].append(math.log(seconds / at))
    places = sorted(rates)
    means = [fmean(rates[at]) for at in places]
    return flops * math.exp(float(np.interp(math.log(flops), np.log(places), means)))


def in_order(kinds: Mapping[Kind, float]) -> list[Kind]:
    """Kinds in the order in which they are worth measuring, should there be no time for all.

    First the dearest and the cheapest of each family, between which the others can be told. Then
    in turn the one that makes up most of the study, for the total, and the cheapest, for the
    stages that make up little.

    Args:
        kinds: With the FLOPs that the study will spend on each.
    """
    cheap = sorted(kinds, key=lambda kind: kind.flops_per_update)
    ends = {kind.family: kind for kind in cheap}, {kind.family: kind for kind in reversed(cheap)}
    most = sorted(kinds, key=lambda kind: -kinds[kind])
    turns = itertools.chain.from_iterable(zip(most, cheap, strict=True))
    return list(dict.fromkeys([*ends[0].values(), *ends[1].values(), *turns]))
