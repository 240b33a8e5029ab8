"""M015: how sure a model is of its answers is not how often they are right."""

from __future__ import annotations

from modiste.evaluate.finding import FINDINGS, Check, RunFacts

# Of the calibration error, as a proportion: less than a point matters to hardly anybody, and with
# enough images every trained net is significantly off.
_LEAST = 0.01


def _look(run: RunFacts) -> str:
    found = run.calibration
    if found is None or found.interval.low <= _LEAST:
        return ""
    low, high = found.interval
    way = "sure" if found.pride > 0 else "unsure"
    return (
        f"too {way} by {100 * abs(found.pride):.1f} points in the mean; calibration error "
        f"{100 * found.error:.1f} points, 95 % interval {100 * low:.1f} to {100 * high:.1f}; a "
        f"calibrated model would show {100 * found.calibrated:.1f}"
    )


FINDINGS.add(
    "M015",
    Check(
        "M015",
        "uncalibrated",
        "On validation images, the probability that the run gives its answers lies more than one "
        "percentage point from the share of them that is right, in the mean over 15 bins of "
        "confidence: the whole 95 % interval of the calibration error lies above that. It is "
        "silent about models that give no probabilities, and where answers were not kept.",
        "Whoever acts on a probability, such as by passing on what a model is unsure of, acts on "
        "a wrong number. The share of right answers says nothing of it.",
        "Divide the logits by a temperature that is fitted on validation images, as exported "
        "models do; it changes no answer. Or stop earlier: nets grow prouder as they overfit.",
        _look,
    ),
)
