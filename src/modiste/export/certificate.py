"""What is measured of an exported model: does it answer as the trained net does, and how fast."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.artifact.golden import TOLERANCE
from modiste.artifact.model import Session
from modiste.errors import ArtifactError
from modiste.evaluate.calibration import tempered_logits
from modiste.evaluate.intervals import difference_interval, paired_difference, wilson
from modiste.evaluate.summary import summarise
from modiste.runs.environment import environment

Shares = npt.NDArray[np.floating]
Labels = npt.NDArray[np.int64]

LATENCY_BATCH = 32
# A table of more classes is a megabyte of certificate, and no page shows it.
LARGEST_CONFUSION = 100
# The median of so many is steady to a few hundredths on an idle machine.
_LEAST_RUNS, _LEAST_SECONDS, _MOST_RUNS = 20, 0.5, 2_000


@dataclass(frozen=True)
class Parity:
    """Two sets of probabilities for the same validation images.

    Attributes:
        flips: Images that get another class.
        largest_difference: Between two probabilities of the same image and class.
    """

    images: int
    flips: int
    largest_difference: float
    correct_before: int
    correct_after: int

    def check(self, name: str) -> None:
        """Refuse what does not answer as the trained net does.

        Raises:
            ArtifactError: If an image gets another class, or a probability moved by more than
                roundings do.
        """
        if self.flips or not self.largest_difference <= TOLERANCE:
            raise ArtifactError(
                f"{name}: onnxruntime answers {self.flips} of {self.images:,} validation images "
                f"otherwise than PyTorch; largest difference of a probability "
                f"{self.largest_difference:.2g}, allowed {TOLERANCE:g}. Nothing was written. Try "
                "another version of onnxruntime, or another epoch's weights; if that does not "
                "help, it is a bug of ours: report it."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"part": "validation", **asdict(self), "tolerance": TOLERANCE}


def compare(before_NK: Shares, after_NK: Shares, labels_N: Labels) -> Parity:
    """Probabilities of one model beside those of what was made of it."""
    answers_before_N, answers_after_N = before_NK.argmax(axis=1), after_NK.argmax(axis=1)
    return Parity(
        images=len(labels_N),
        flips=int((answers_before_N != answers_after_N).sum()),
        largest_difference=float(np.abs(before_NK - after_NK).max()),
        correct_before=int((answers_before_N == labels_N).sum()),
        correct_after=int((answers_after_N == labels_N).sum()),
    )


def accuracy_change(before_NK: Shares, after_NK: Shares, labels_N: Labels) -> dict[str, Any]:
    """How much accuracy moved, with standard error and 95 % interval: paired, over the images."""
    right = [(shares.argmax(axis=1) == labels_N)[np.newaxis] for shares in (after_NK, before_NK)]
    difference = paired_difference(*right)
    return {
        "mean": difference.mean,
        "standard_error": difference.standard_error,
        "interval": list(difference_interval(difference)),
    }


def figures(logits_NK: Shares, temperature: float, labels_N: Labels) -> dict[str, Any]:
    """What validation images say of the trained net, each figure with its 95 % interval.

    None in place of an interval that these images cannot tell, and of a loss that is infinite.

    Calibration after temperature is measured on images that had no part in fitting it: each half
    of them by the temperature of the other half.
    """
    before = summarise(logits_NK, labels_N)
    after = before  # of a temperature of 1, which divides nothing
    if temperature != 1:
        after = summarise(tempered_logits(logits_NK, labels_N), labels_N)
    answers_N = logits_NK.argmax(axis=1)
    return {
        "part": "validation",
        "images": len(labels_N),
        "seeds": 1,
        **{name: getattr(before, name).to_dict() for name in ("accuracy", "top_two", "macro_f1")},
        "temperature": temperature,
        **{
            when: {
                name: getattr(summary, name).to_dict()
                for name in ("loss", "brier", "calibration_error")
            }
            for when, summary in (("before_temperature", before), ("after_temperature", after))
        },
        "recall": [
            _share(int((answers_N[labels_N == label] == label).sum()), int(count))
            for label, count in enumerate(np.bincount(labels_N, minlength=logits_NK.shape[1]))
        ],
        **_confusion(answers_N, labels_N, logits_NK.shape[1]),
    }


def latency(session: Session, images_NHWC: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Milliseconds of one image, and of each of a batch; one thread, decoding not counted."""
    one = _milliseconds(session, images_NHWC[:1])
    batch = np.resize(images_NHWC, (LATENCY_BATCH, *images_NHWC.shape[1:]))
    many = _milliseconds(session, batch)
    return {
        "threads": 1,
        "single_ms": {"median": _rounded(np.median(one)), "p95": _rounded(np.quantile(one, 0.95))},
        "single_runs": len(one),
        "batch_size": LATENCY_BATCH,
        "batch_ms_per_image": _rounded(np.median(many) / LATENCY_BATCH),
        "batch_runs": len(many),
    }


def made_by() -> dict[str, Any]:
    """When, with what and on what processor."""
    here = environment()
    libraries = {name: version(name) for name in ("onnx", "onnxruntime")}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": {**here["packages"], **libraries},
        "python": here["python"],
        "cpu": here["cpu"],
        "vector_instructions": here["vector_instructions"],
        "git_commit": here["git_commit"],
    }


def _confusion(answers_N: Labels, labels_N: Labels, num_classes: int) -> dict[str, Any]:
    """Images by right class (rows) and answer (columns); left out where nobody could read it."""
    if num_classes > LARGEST_CONFUSION:
        return {}
    counts = np.bincount(labels_N * num_classes + answers_N, minlength=num_classes**2)
    return {"confusion": counts.reshape(num_classes, num_classes).tolist()}


def _share(correct: int, total: int) -> dict[str, Any]:
    if not total:
        return {"value": None, "interval": None, "images": 0}
    return {"value": correct / total, "interval": list(wilson(correct, total)), "images": total}


def _milliseconds(session: Session, images_NHWC: npt.NDArray[np.uint8]) -> list[float]:
    for _ in range(3):  # the first ones find memory and kernels
        session.run(images_NHWC)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < _LEAST_RUNS or (
        time.perf_counter() - begun < _LEAST_SECONDS and len(times) < _MOST_RUNS
    ):
        start = time.perf_counter()
        session.run(images_NHWC)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _rounded(milliseconds: Any) -> float:
    return float(f"{float(milliseconds):.3g}")
