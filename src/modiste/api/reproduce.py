"""Train a run again from its record, and say whether the same came out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from modiste.api.devices import is_here
from modiste.api.places import path_for_run, run_of
from modiste.data.load import TrainingData, divide
from modiste.data.source import open_source
from modiste.errors import Interrupted, SpecError, StoreError, need_path
from modiste.evaluate.agreement import (
    RULES,
    AccuracyAgreement,
    ArrayAgreement,
    BoolsN,
    HistoryAgreement,
    changes,
    compare_accuracies,
    compare_answers,
    compare_arrays,
    compare_histories,
    decide,
    likely_cause,
    not_recorded,
)
from modiste.evaluate.contrast import Pooled
from modiste.runs import files
from modiste.runs.run import EPOCHS, Epoch, Run, RunRecord, write_run
from modiste.search.answers import Answers, answers_of
from modiste.search.collect import short
from modiste.search.driver import SLICE_SECONDS
from modiste.search.standing import SeedSpreads, Value, of_an_image, said_in
from modiste.search.study import Study
from modiste.search.work_folder import Lock, WorkFolder
from modiste.spec.parts import ModelFamily
from modiste.spec.run import RunSpec
from modiste.train.checkpoint import history_of
from modiste.train.machine import put_back
from modiste.train.record import record as blank_record
from modiste.train.task import Progress, Task
from modiste.train.work import Worker

# Runs whose end says something of the machine, and nothing of the numbers.
WITHOUT_NUMBERS = ("failed", "out_of_memory")


@dataclass(frozen=True)
class _Again:
    """What came out of training again.

    Attributes:
        history: As far as it went.
        environment: Where.
        record, folder: Of the whole run; none if only its first epochs were asked for.
    """

    history: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]
    record: RunRecord | None = None
    folder: Path | None = None


def reproduce(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    folder: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] = "runs/reproduced",
    epochs: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    data_folder: str | os.PathLike[str] | None = None,
    tell: Callable[[Progress], Any] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    slice_seconds: float = SLICE_SECONDS,
) -> dict[str, Any]:
    """Train a run again from its record, in this process, and compare what comes out.

    The run is trained anew each time and written into a folder of its own under `out`, with the
    answer beside it; the record itself is only read.

    Args:
        folder: A run folder, or a model folder in its study.
        out: Holds the new runs, and unfinished work that the same call goes on with.
        epochs: Train and compare only so many of the first epochs; nothing is then written.
        threads: In place of the record's own number.
        device: In place of the record's own: ``cpu`` or ``cuda``.
        data_folder: Where the data set lies; looked for if not given.
        tell: Called now and then with how the run stands.
        should_stop: Asked now and then; the work under way is then saved.
        slice_seconds: How often it is saved in any case.

    Returns:
        ``verdict`` (``identical``, ``within noise`` or ``different``), what was compared with what
        result (``parts``, ``accuracies``), what differs between the record's surroundings and
        these (``changes``), the likely ``cause``, and ``notes``.

    Raises:
        StoreError: If the folder is no run, a file in it was changed, it holds no numbers that
            could come out again, or `out` cannot be written.
        SpecError: If the record's spec, or what is asked, makes no sense.
        DataError: If the data cannot be had.
        Interrupted: If it was to stop; what is under way is saved, and the same call goes on.
    """
    run = _run(need_path(folder, "folder"))
    spec = _spec(run, threads, device)
    limit = _limit(run, epochs)
    place = Path(data_folder) if data_folder is not None else path_for_run(run.folder)
    source = open_source(spec.data, place)
    data = divide(source.load_train(), spec.data)
    files.need_writable(Path(out))  # makes it: nothing is left where there are no images
    again = _train(spec, data, Path(out), limit, tell, should_stop, slice_seconds)
    if again is None:
        raise Interrupted("stopped; everything done is saved, and the same call goes on with it.")
    answer = _compare(run, again, data, limit)
    if again.folder is not None:
        files.write_json(again.folder.with_suffix(".json"), answer)
    return answer


def _run(folder: Path) -> Run:
    run = run_of(folder)
    status, reason = run.metrics["status"], run.metrics.get("reason") or "no reason is known"
    if status in WITHOUT_NUMBERS:
        raise StoreError(
            f"{run.folder}: this run has no numbers that could come out again: {status} ({reason})."
        )
    # Before anything is trained: a record that was changed is worth no comparison.
    files.check_folder(run.folder)
    return run


def _spec(run: Run, threads: int | None, device: str | None) -> RunSpec:
    asked = {"threads": threads, "device": device}
    more = {key: value for key, value in asked.items() if value is not None}
    spec = RunSpec.parse({**run.spec.to_dict(), **more}) if more else run.spec
    if not is_here(spec.device):
        raise SpecError(
            f"{run.folder}: was trained on a GPU (device: cuda), and PyTorch finds none here. "
            "--device cpu (`device=` in Python) trains it on the processor; the last bits will "
            "then differ."
        )
    return spec


def _limit(run: Run, epochs: int | None) -> int | None:
    """How many epochs to train; none for all of them."""
    if epochs is None:
        return None
    if epochs < 1:
        raise SpecError(f"--epochs {epochs}: expected 1 or more.")
    num_recorded = len(run.history)
    if not num_recorded:
        raise SpecError(
            f"--epochs {epochs}: {run.folder} has no epoch to compare. Leave --epochs out."
        )
    return epochs if epochs < num_recorded else None


def _train(
    spec: RunSpec,
    data: TrainingData,
    out: Path,
    limit: int | None,
    tell: Callable[[Progress], Any],
    should_stop: Callable[[], bool],
    slice_seconds: float,
) -> _Again | None:
    fingerprint = spec.fingerprint(data.digest)
    # The first epochs have a place of their own: they neither use nor spend work on the whole run.
    work = WorkFolder(out / "work" / f"first-{limit}" if limit else out / "work")
    worker = Worker(lambda _: data)
    epoch = 0

    def hear(progress: Progress) -> None:
        nonlocal epoch
        epoch = progress.epoch
        tell(progress)

    def is_enough() -> bool:
        return should_stop() or (limit is not None and epoch >= limit)

    with Lock(out / "work" / "lock"), put_back():
        checkpoint = work.load(fingerprint)
        while True:
            outcome = worker.work(
                Task(spec, fingerprint, checkpoint, slice_seconds), hear, is_enough
            )
            if outcome.record is not None:
                work.forget(fingerprint)
                return _finished(outcome.record, out, is_whole=limit is None)
            if outcome.checkpoint is None:  # fitted in one go, and given up
                return None
            checkpoint = outcome.checkpoint
            history = [asdict(row) for row in history_of(checkpoint)]
            if limit is not None and len(history) >= limit:
                work.forget(fingerprint)
                return _Again(history, blank_record(spec, data, "running", "").environment)
            work.save(fingerprint, checkpoint)
            if should_stop():
                return None


def _finished(record: RunRecord, out: Path, *, is_whole: bool) -> _Again:
    if record.metrics["status"] in WITHOUT_NUMBERS:
        raise StoreError(
            f"training again gave no numbers to compare: {record.metrics['status']} "
            f"({record.metrics['reason']}). Free some memory and try again."
        )
    if not is_whole:
        return _Again(record.history, record.environment)
    name = record.fingerprint[:16]
    number = 1
    while (folder := out / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    write_run(record, folder)
    return _Again(Run(folder).history, record.environment, record, folder)


# --- the answer -----------------------------------------------------------------------------------


def _compare(run: Run, again: _Again, data: TrainingData, limit: int | None) -> dict[str, Any]:
    folder = run.folder.parent.parent
    study = Study(folder) if (folder / "study.json").is_file() else None
    digests = str(run.metrics["data_digest"]), data.digest
    same_data = digests[0] == digests[1]
    notes: list[str] = []
    parts: dict[str, dict[str, Any]] = {}
    history = compare_histories(run.history, again.history, limit)
    if run.history or again.history:
        parts["history"] = _part(history)
    same_end = True
    if again.record is None:
        accuracies = _at_epoch(run, again, study if same_data else None, history.num_compared)
    else:
        same_end = run.metrics["status"] == again.record.metrics["status"]
        parts["end"] = _end(run, again.record)
        parts["figures"] = _figures(run, again.record)
        parts |= _arrays(run, again.record, study, notes)
        accuracies = _accuracies(run, again.record, study, same_data=same_data)
    verdict = decide([p["is_identical"] for p in parts.values()], accuracies, same_end=same_end)
    found = changes(run.environment, again.environment, digests)
    unknown = not_recorded(run.environment, again.environment)
    cause = None if verdict == "identical" else likely_cause(found, unknown)
    if verdict != "identical" and cause is None:
        notes.append(_UNEXPLAINED)
    moves_by_seed = isinstance(run.spec.model.params, ModelFamily)
    if moves_by_seed and any(a.difference and a.seed_error is None for a in accuracies):
        notes.append(_SEEDS_UNKNOWN)
    return {
        "schema": 1,
        "verdict": verdict,
        "run": str(run.folder),
        "reproduced": None if again.folder is None else str(again.folder),
        "epochs": limit,
        "parts": parts,
        "accuracies": [
            {**asdict(row), "difference": row.difference, "is_within": row.is_within}
            for row in accuracies
        ],
        "cause": cause,
        "because": RULES[cause] if cause else "",
        "changes": [change._asdict() for change in found],
        "not_recorded": unknown,
        "notes": notes,
    }


_UNEXPLAINED = (
    "Nothing that is recorded differs, and equal fingerprints should give equal bits: arithmetic "
    "whose order is not fixed (as on a GPU) is the likely cause, or a mistake of ours. Please "
    "report it."
)


_SEEDS_UNKNOWN = (
    "How far another seed moves the accuracy is not known: too few comparable points were "
    "repeated. The intervals cover the choice of images alone, and trainings that differ by "
    'chance alone may be called "different" more often than once in a hundred.'
)


def _part(found: HistoryAgreement | ArrayAgreement) -> dict[str, Any]:
    value = {**asdict(found), "is_identical": found.is_identical}
    if isinstance(found, HistoryAgreement):
        value["first"] = None if found.first is None else found.first._asdict()
    return value


def _end(run: Run, record: RunRecord) -> dict[str, Any]:
    """How both ended, in words; of a run that diverged they hold the update and its loss."""
    texts = [f"{m['status']}: {m.get('reason', '')}" for m in (run.metrics, record.metrics)]
    return {"recorded": texts[0], "here": texts[1], "is_identical": texts[0] == texts[1]}


def _figures(run: Run, record: RunRecord) -> dict[str, Any]:
    """Loss, accuracy and right answers of both epochs, on training and validation images."""
    old, new = (
        {
            f"{epoch} {part} {figure}": value
            for epoch in EPOCHS
            for part, values in metrics.get(epoch, {}).items()
            if isinstance(values, Mapping)
            for figure, value in values.items()
        }
        for metrics in (run.metrics, record.metrics)
    )
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {"num_compared": len(old), "different": names, "is_identical": not names}


def _arrays(
    run: Run, record: RunRecord, study: Study | None, notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Logits, or the classes that were kept of them, and weights, as far as the record has them."""
    found = {}
    if run.has_predictions:
        names = [f"logits_{epoch}_NK" for epoch in EPOCHS]
        kept, made = run.predictions, record.predictions
        old = {name: kept[name] for name in names if name in kept}
        # Collected results keep the epoch that does not count in 16 bits.
        new = {
            name: short(made[name]) if old[name].dtype == np.float16 else made[name]
            for name in old
            if name in made
        }
        found["logits"] = _part(compare_arrays(old, new))
    elif record.predictions and _kept(run, study, "last") is not None:
        assert study is not None
        old = {epoch: study.answers(run, epoch).classes_N for epoch in EPOCHS}
        new = {
            epoch: record.predictions[f"logits_{epoch}_NK"].argmax(axis=1).astype(np.int64)
            for epoch in EPOCHS
        }
        found["answers"] = _part(compare_arrays(old, new))
        notes.append("The record's logits were dropped; the classes it answered were kept.")
    elif record.predictions:
        notes.append("The record keeps neither logits nor answers: its figures were compared.")
    if run.has_weights:
        old = {f"{e}/{name}": array for e in EPOCHS for name, array in run.weights(e).items()}
        found["weights"] = _part(compare_arrays(old, record.weights))
    elif record.weights:
        notes.append("The record's weights were dropped, so they could not be compared.")
    return found


def _accuracies(
    run: Run, record: RunRecord, study: Study | None, *, same_data: bool
) -> list[AccuracyAgreement]:
    found = []
    for epoch in EPOCHS:
        if epoch not in run.metrics or epoch not in record.metrics:
            continue
        old, new = run.metrics[epoch]["val"], record.metrics[epoch]["val"]
        value = partial(_accuracy, epoch=epoch)
        seeds = _seeds(run, study if same_data else None, value, epoch)
        pair = _answers(run, record, study, epoch) if same_data else None
        if pair is not None:
            found.append(compare_answers(epoch, *pair, *seeds))
        else:
            totals = old["total"], new["total"]
            accuracies = old["accuracy"], new["accuracy"]
            found.append(compare_accuracies(epoch, *accuracies, totals, *seeds))
    return found


def _accuracy(run: Run, epoch: Epoch) -> float:
    return float(run.metrics[epoch]["val"]["accuracy"])


def _answers(
    run: Run, record: RunRecord, study: Study | None, epoch: Epoch
) -> tuple[BoolsN, BoolsN] | None:
    """Which validation images each side got right; none where that was not kept."""
    old, new = _kept(run, study, epoch), record.predictions
    if (
        old is None
        or not np.array_equal(old.image_ids_N, new["image_ids"])
        or not np.array_equal(old.labels_N, new["labels"])
    ):
        return None
    here_N = new[f"logits_{epoch}_NK"].argmax(axis=1) == old.labels_N
    return old.classes_N == old.labels_N, here_N


def _kept(run: Run, study: Study | None, epoch: Epoch) -> Answers | None:
    if run.has_predictions:
        return answers_of(run, epoch)
    return study.answers(run, epoch) if study is not None and study.has_answers(run) else None


def _at_epoch(run: Run, again: _Again, study: Study | None, epoch: int) -> list[AccuracyAgreement]:
    """The validation accuracies of the last epoch that both have."""
    if not epoch:
        return []

    def accuracy(other: Run) -> float | None:
        return other.history[epoch - 1]["val_accuracy"] if len(other.history) >= epoch else None

    old, new = run.history[epoch - 1], again.history[epoch - 1]
    total = int(run.metrics["num_val"])
    return [
        compare_accuracies(
            f"epoch {epoch}",
            old["val_accuracy"],
            new["val_accuracy"],
            (total, total),
            *_seeds(run, study, accuracy),
        )
    ]


def _seeds(
    run: Run, study: Study | None, value: Value, epoch: Epoch | None = None
) -> tuple[Pooled | None, int]:
    """How much a seed moves that figure, by comparable points of the study, and by how many runs.

    `epoch` is that of the answers whose accuracy the figure is; none where none were kept.
    Whose seeds count is decided as for every table: docs/decisions/0042-whose-seeds.md.
    """
    if study is None:
        return None, 1
    stages = study.stages()
    for stage in stages:
        for row in stage.rows:
            if run.fingerprint in row.fingerprints:
                said = None if epoch is None else said_in([study], epoch)
                spreads = SeedSpreads(stages, value, step=of_an_image, said=said)
                spread = spreads.of(stage.spec.name, row)
                if spread is not None:
                    return spread.pooled, spread.num_runs
    return None, 1
