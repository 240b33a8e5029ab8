"""What a run leaves behind, as far as nothing has to be computed for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from modiste.data.load import TrainingData
from modiste.errors import SpecError
from modiste.models.layers import Dropout, describe, nothing_of
from modiste.models.places import every_place
from modiste.runs.environment import environment
from modiste.runs.run import RunRecord
from modiste.spec.parts import Estimator, ModelFamily
from modiste.spec.run import RunSpec
from modiste.train.kept import kept_share


def record(spec: RunSpec, data: TrainingData, status: str, reason: str) -> RunRecord:
    """What a run leaves behind that has computed nothing, or nothing yet.

    A model that does not fit the images has no layers; its run can only have failed.
    """
    params, shape_CHW, num_classes = spec.model.params, data.train.shape_CHW, data.train.num_classes
    try:
        described = describe(params, shape_CHW, num_classes)
        layers = params.layers(shape_CHW, num_classes) if isinstance(params, ModelFamily) else ()
    except SpecError:
        if status != "failed":
            raise
        described, layers = nothing_of(shape_CHW), ()
    found = (place.layer for place in every_place(layers, shape_CHW))
    rates = {layer.rate for layer in found if isinstance(layer, Dropout)}
    device = "cpu" if isinstance(params, Estimator) else spec.device
    return RunRecord(
        fingerprint=spec.fingerprint(data.digest),
        spec=spec.to_dict(),
        environment={
            **environment(),
            **_device_facts(device, spec.threads),
            # So that a report can say what was trained after a look at the test set.
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        history=[],
        metrics={
            "schema": 1,
            "status": status,
            "reason": reason,
            "epochs": 0,
            "updates": 0,
            "seconds": 0.0,
            "restored": _restored(spec),
            "dropout_really": {f"{rate:g}": 1.0 - kept_share(rate) for rate in sorted(rates)},
            "data_name": data.name,
            "data_digest": data.digest,
            "split_digest": data.split.digest,
            "num_train": len(data.train),
            "num_val": len(data.val),
        },
        layers={
            **described,
            "class_names": list(data.train.class_names),
            "preprocess": data.preprocess.to_dict(),
        },
        predictions={},
        weights={},
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory did not last, as Python, torch and CUDA each say it."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate" in text


def _restored(spec: RunSpec) -> str:
    """Whose weights are the model's where nobody says otherwise."""
    stopping = spec.train.early_stopping
    return "best" if stopping is not None and stopping.restore_best else "last"


def _device_facts(device: str, threads: int) -> dict[str, Any]:
    """What a run computes with, for its `environment.json`."""
    facts: dict[str, Any] = {"threads": threads, "device": device}
    if device == "cuda":
        import torch  # seconds, and only needed here

        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    return facts
