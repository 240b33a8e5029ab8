"""Study folders with invented runs, for tests of the report; nothing in them was ever trained.

Histories are smooth curves whose ends depend on the model's size; predictions are drawn so that
they have the accuracy that the history ends with, and so that models err on the same images, as
real ones do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modiste.counts import Count
from modiste.evaluate.metrics import probabilities
from modiste.models.layers import describe
from modiste.runs import files
from modiste.runs.ledger import Tally
from modiste.runs.run import RunRecord, write_run
from modiste.search.study import Stage, Study
from modiste.spec.files import read_study
from modiste.spec.parts import Estimator
from modiste.spec.run import RunSpec
from modiste.spec.study import Override, StudySpec

ROOT = Path(__file__).parents[1]
STUDY_FILE = ROOT / "studies" / "fashion-mnist.yaml"
CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
DIGEST = "5" * 64
NO_LOOKS = Tally(looks=0, comparisons=0, head="0" * 64, num_entries=0)
# Which class each is taken for, if it is not recognised: tops for tops, shoes for shoes.
_TAKEN_FOR = (6, 3, 4, 6, 2, 7, 0, 9, 5, 7)
_HARD = np.array([1.2, 0.2, 1.5, 0.8, 1.5, 0.3, 2.6, 0.4, 0.2, 0.3])


_IN_ONE_GO = {"majority": 0.1, "logistic_regression": 0.86, "knn": 0.855, "svm": 0.92}


@dataclass(frozen=True)
class Invented:
    """What a run is to look like.

    Attributes:
        accuracy: Of the last epoch, on validation images.
        epochs: Trained for; 0 for what is fitted in one go.
        overfit: How much of its lowest validation loss is added by the end.
        status: How it ended.
    """

    accuracy: float
    epochs: int
    overfit: float = 0.0
    status: str = "finished"


def make_study(
    folder: Path,
    *,
    profile: str = "full",
    spec: StudySpec | None = None,
    published: dict[str, Any] | None = None,
    stages: Sequence[str] | None = None,
    num_val: int = 600,
    class_names: Sequence[str] = CLASSES,
    overrides: Sequence[Override] = (),
    diverging: Sequence[str] = (),
) -> Study:
    """A study folder whose chosen points are all there, invented.

    Args:
        folder: Is made.
        profile: ``quick`` or ``full``.
        spec: The reference study, if not given.
        published: Figures beside `spec`.
        stages: Only these are filled; all, if not given.
        num_val: Validation images of each run, a multiple of the number of classes.
        class_names: K names.
        overrides: As from ``--set``.
        diverging: Labels of points whose runs diverge.
    """
    if spec is None:
        spec, published = read_study(STUDY_FILE)
    study = Study.create(
        folder,
        spec,
        profile=profile,
        seed=spec.seed,
        data_digest=DIGEST,
        overrides=overrides,
        published=published,
        file=f"studies/{spec.name}.yaml",
    )
    for number in range(len(spec.stages)):
        stage = study.stages()[number]
        if stages is None or stage.spec.name in stages:
            _fill(study, stage, num_val, class_names, diverging)
    return study


def _fill(
    study: Study, stage: Stage, num_val: int, class_names: Sequence[str], diverging: Sequence[str]
) -> None:
    for row in stage.chosen:
        for spec, fingerprint in zip(row.specs, row.fingerprints, strict=True):
            if study.find_run(fingerprint) is None:
                how = invent(spec, is_diverging=row.label in diverging)
                record = invented_record(spec, fingerprint, how, num_val, class_names)
                write_run(record, study.run_folder(fingerprint))


def invent(spec: RunSpec, *, is_diverging: bool = False) -> Invented:
    """How a run of this spec might end; bigger nets and convolutions do better, cut ones worse."""
    if isinstance(spec.model.params, Estimator):
        is_linear = getattr(spec.model.params, "kernel", "") == "linear"
        return Invented(_IN_ONE_GO.get(spec.model.family, 0.8) - 0.03 * is_linear, epochs=0)
    layers = describe(spec.model.params, (1, 28, 28), 10)
    chance = np.random.default_rng([spec.seed, len(json.dumps(spec.to_dict()))])
    size = math.log10(layers["parameters"]["total"])
    is_conv = spec.model.family == "cnn"
    ceiling = (0.885 + 0.0095 * size) if is_conv else (0.832 + 0.0135 * size)
    natural = int(40 + 8 * chance.random()) if not is_conv else int(30 + 8 * chance.random())
    if getattr(spec.train.optimizer, "momentum", 0):
        natural *= 2
    epochs = min(natural, spec.train.epochs)
    short = 0.03 * math.exp(-epochs / 7)
    accuracy = (
        ceiling - short + 0.0015 * chance.standard_normal() + 0.004 * bool(spec.train.augment)
    )
    if is_diverging:
        return Invented(accuracy, min(3, epochs), status="diverged")
    return Invented(accuracy, epochs, overfit=0.15 if epochs > 30 and not is_conv else 0.0)


def invented_record(
    spec: RunSpec,
    fingerprint: str,
    how: Invented,
    num_val: int,
    class_names: Sequence[str] = CLASSES,
) -> RunRecord:
    """All that such a run would have left behind."""
    chance = np.random.default_rng(int(fingerprint[:8], 16))
    history = _history(spec, how, chance)
    layers = describe(spec.model.params, (1, 28, 28), len(class_names))
    if not how.epochs:
        layers["parameters"] = {"total": 7_850, "trainable": 7_850}
    metrics: dict[str, Any] = {
        "schema": 1,
        "status": how.status,
        "reason": _reason(spec, how),
        "epochs": len(history),
        "updates": 375 * len(history),
        "seconds": round(sum(row["seconds"] for row in history), 3),
        "dropout_really": {},
        "data_digest": DIGEST,
        "num_train": 4 * num_val,
        "num_val": num_val,
    }
    predictions: dict[str, Any] = {}
    if how.status == "finished" and not how.epochs:
        labels = np.arange(num_val) % len(class_names)
        logits_NK = _logits(labels, how.accuracy, len(class_names), chance)
        scored = _scored(logits_NK, labels, {"val_loss": None})
        if getattr(spec.model.params, "gives_probabilities", False):
            scored["loss"] = 0.4
        for name in ("best", "last"):
            predictions[f"logits_{name}_NK"] = logits_NK
            metrics[name] = {"epoch": 0, "val": scored}
        predictions |= {"labels": labels, "image_ids": np.arange(num_val) * 5}
    elif how.status == "finished":
        best = min(range(len(history)), key=lambda i: history[i]["val_loss"])
        labels = np.arange(num_val) % len(class_names)
        for name, at in (("best", best), ("last", len(history) - 1)):
            logits_NK = _logits(labels, history[at]["val_accuracy"], len(class_names), chance)
            predictions[f"logits_{name}_NK"] = logits_NK
            metrics[name] = {
                "epoch": at + 1,
                "train": {
                    "loss": 0.9 * history[at]["train_loss"],
                    "accuracy": history[at]["train_accuracy"],
                    "correct": round(history[at]["train_accuracy"] * 4 * num_val),
                    "total": 4 * num_val,
                },
                "val": _scored(logits_NK, labels, history[at]),
            }
        predictions["labels"] = labels
        predictions["image_ids"] = np.arange(num_val) * 5
    return RunRecord(
        fingerprint=fingerprint,
        spec=spec.to_dict(),
        environment=_environment(spec),
        history=history,
        metrics=metrics,
        layers={
            **layers,
            "class_names": list(class_names),
            "preprocess": {"scaling": spec.data.scaling, "mean": [0.0], "std": [1.0]},
        },
        predictions=predictions,
        weights={},
    )


def make_look(
    study: Study, stages: Sequence[str], *, num_test: int = 500, looks: Count = 1
) -> Path:
    """One invented opening of the test set for all runs of these stages."""
    folder = study.folder / "final" / "0123456789abcdef"
    content: dict[str, bytes] = {}
    runs = [
        _looked(content, stage, run, row.label, num_test)
        for stage in study.stages()
        if stage.spec.name in stages
        for row in stage.chosen
        for run in row.runs
    ]
    content["look.json"] = files.to_json(
        {
            "schema": 1,
            "reason": "the pinned models of the study, once",
            "opened_at": "2026-01-02T03:04:05Z",
            **Tally(looks, 0, "a" * 64, 2).to_dict(),
            "stages": list(stages),
            "runs": runs,
        }
    )
    files.write_folder(folder, content)
    return folder


def errors_arrays(num: int, num_classes: int = 10) -> dict[str, Any]:
    """Invented errors with their images, as `modiste.report.worst_errors` gives them."""
    chance = np.random.default_rng(7)
    y, x = np.mgrid[:28, :28]
    images = []
    for _ in range(num):
        a, b = chance.uniform(6, 12, 2)
        shape = np.exp(-(((x - 14) / a) ** 4) - ((y - 14) / b) ** 4)
        images.append(np.clip(255 * shape * chance.uniform(0.4, 1), 0, 255).astype(np.uint8))
    labels = chance.integers(0, num_classes, num)
    predicted = (labels + 1 + chance.integers(0, num_classes - 1, num)) % num_classes
    chances_NK = np.full((num, num_classes), 0.001, np.float32)
    chances_NK[np.arange(num), predicted] = 0.99
    return {
        "images": np.stack(images),
        "labels": labels,
        "predicted": predicted,
        "probabilities_NK": chances_NK,
        "image_ids": np.arange(num),
    }


def _looked(
    content: dict[str, bytes], stage: Stage, run: Any, label: str, num_test: int
) -> dict[str, Any]:
    chance = np.random.default_rng(3)
    labels = np.arange(num_test) % 10
    scores, arrays = {}, {"labels": labels, "image_ids": np.arange(num_test)}
    for epoch in ("best", "last"):
        accuracy = run.metrics[epoch]["val"]["accuracy"] - 0.004
        logits_NK = _logits(labels, accuracy, 10, chance)
        correct = int((logits_NK.argmax(axis=1) == labels).sum())
        loss = run.metrics[epoch]["val"]["loss"]
        scores[epoch] = {
            "loss": None if loss is None else loss + 0.01,
            "accuracy": correct / num_test,
            "correct": correct,
            "total": num_test,
        }
        arrays[f"logits_{epoch}_NK"] = logits_NK
    content[f"predictions-{run.fingerprint[:16]}.npz"] = files.to_npz(arrays)
    content[f"errors-{run.fingerprint[:16]}.npz"] = files.to_npz(errors_arrays(16))
    return {
        "stage": stage.spec.name,
        "label": label,
        "seed": run.spec.seed,
        "fingerprint": run.fingerprint,
        "parameters": run.layers["parameters"]["total"],
        **scores,
    }


def _history(spec: RunSpec, how: Invented, chance: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    pace = 22.0 if getattr(spec.train.optimizer, "momentum", 0) else 9.0
    floor = 1.05 - how.accuracy
    for epoch in range(1, how.epochs + 1):
        left = math.exp(-epoch / pace * 2)
        noise = chance.standard_normal(2)
        late = max(0.0, epoch / how.epochs - 0.5)
        val_loss = 2.4 * floor + 0.42 * left + 2 * how.overfit * late * floor * 2
        rows.append(
            {
                "epoch": epoch,
                "train_loss": 2.2 * floor * (1 - 0.55 * epoch / how.epochs) + 0.5 * left,
                "train_accuracy": min(
                    0.999, how.accuracy + 0.045 * epoch / how.epochs - 0.2 * left
                ),
                "val_loss": val_loss + 0.004 * noise[0],
                "val_accuracy": how.accuracy
                - 0.13 * left
                + 0.0012 * noise[1] * (epoch < how.epochs),
                "learning_rate": spec.train.optimizer.learning_rate
                * 0.1 ** int(2.6 * late * 2 * (how.epochs > 20)),
                "seconds": 2.0 + chance.random(),
            }
        )
    return rows


def _logits(
    labels: np.ndarray, accuracy: float, num_classes: int, chance: np.random.Generator
) -> np.ndarray:
    num = len(labels)
    # The same for every model: how hard each image is.
    hard = np.random.default_rng(99).exponential(_HARD[labels % 10])
    order = np.argsort(-(hard + 0.25 * chance.standard_normal(num)), kind="stable")
    wrong = order[: round((1 - accuracy) * num)]
    logits_NK = chance.normal(0, 1, (num, num_classes)).astype(np.float32)
    guess = labels.copy()
    usual = np.array(_TAKEN_FOR)[labels % 10] % num_classes
    other = (labels + 1 + chance.integers(0, num_classes - 1, num)) % num_classes
    taken = np.where((chance.random(num) < 0.7) & (usual != labels), usual, other)
    guess[wrong] = taken[wrong]
    logits_NK[np.arange(num), guess] = 5 + chance.exponential(2, num)
    return logits_NK


def _scored(logits_NK: np.ndarray, labels: np.ndarray, row: dict[str, Any]) -> dict[str, Any]:
    correct = int((probabilities(logits_NK).argmax(axis=1) == labels).sum())
    return {
        "loss": row["val_loss"],
        "accuracy": correct / len(labels),
        "correct": correct,
        "total": len(labels),
    }


def _reason(spec: RunSpec, how: Invented) -> str:
    if how.status == "diverged":
        return "training loss no longer finite at epoch 4, update 1501, learning rate 0.1"
    if not how.epochs:
        return "fitted in one go"
    if how.epochs >= spec.train.epochs:
        return f"epoch limit of {spec.train.epochs}"
    return "early stopping: no better val_loss for 20 epochs"


def _environment(spec: RunSpec) -> dict[str, Any]:
    return {
        "schema": 1,
        "python": "3.11.7",
        "packages": {"modiste": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6"},
        "numerics_version": 1,
        "platform": "Linux-6.1-x86_64",
        "cpu": "an invented processor",
        "cores": 2,
        "git_commit": "0123456789ab",
        "flush_denormal": True,
        "threads": spec.threads,
        "device": spec.device,
    }
