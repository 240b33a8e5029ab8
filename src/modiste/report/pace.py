"""How fast reports are written on this machine, as busy as it is just now."""

from __future__ import annotations

import time

from modiste.report.figures import Curve, draw

# Of one panel, on the machine where a report's own seconds were measured (`search.budget`).
USUAL_SECONDS = 0.1
NUM_PANELS = 5


def slowness() -> float:
    """How many times as long as usual it takes to draw, which is most of the work of a report."""
    epochs = [float(number) for number in range(1, 31)]
    losses = [1 / epoch for epoch in epochs]
    curve = Curve(0, epochs, losses, losses)
    draw([curve], "Loss", "nats")  # what is loaded the first time is no pace
    began = time.monotonic()
    for _ in range(NUM_PANELS):
        draw([curve], "Loss", "nats")
    return (time.monotonic() - began) / (NUM_PANELS * USUAL_SECONDS)
