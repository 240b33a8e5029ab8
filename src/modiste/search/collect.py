"""A study's results made small, for a repository or a reader: everything but the bulk.

    TARGET/                 a study folder: `modiste report TARGET` writes its report again
      study.json, trials/, stages/, figures/, final/, models/, audit/, duplicates.json
      runs/ID/              as in the study, less weights and logits, as each manifest says
      ledger/               the ledger of looks at the test set, as far as it goes
      NAME/table.csv        of each stage, one row for each run
      NAME/predictions.npz  of each stage, the class and its probability for each validation image,
                            and for each image of the fold that was held out, where there is one

Runs of final stages keep their logits, also those that were collected before they were known to be
such: to the bit at the epoch that counts, and at the other in 16 bits, which take half the room and
say the same classes. Final stages that are to be light are kept as all others are: no logits, and
no model of theirs; a look at the test set is whole always. Of a figure that is there as SVG and as
PNG the SVG is kept, which the report takes; JSON is written closely. Everything is read and put
together beside the target first: what cannot be collected leaves the target as it was.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.errors import StoreError
from modiste.runs import files
from modiste.runs.ledger import Ledger
from modiste.runs.run import EPOCHS, PREDICTIONS, WEIGHTS, Epoch, Run
from modiste.search import closing, latency, timeline
from modiste.search.changes import differences
from modiste.search.row import Row
from modiste.search.study import DATA_FACTS, Stage, Study

COPIED = ("trials", "stages", "figures", "audit")
# The last one: which validation images equal a training image; see `modiste.report.leaks`.
FILES = (
    "study.json",
    DATA_FACTS,
    closing.FILE,
    latency.FILE,
    timeline.FILE,
    "duplicates.json",
)
# Of these, what the target must not keep when the study has it no more.
PASSING = (closing.FILE,)
# Folders of folders that were written whole, with a manifest.
CHECKED = ("final", "models")
LEDGER = "ledger"
COLUMNS = (
    "point",
    "seed",
    "status",
    "epochs",
    "best_epoch",
    *(
        f"{epoch}_{part}_{figure}"
        for epoch in ("last", "best")
        for part in ("train", "val")
        for figure in ("loss", "accuracy")
    ),
    "train_loss_as_seen",
    "train_accuracy_as_seen",
    "final_learning_rate",
    "parameters",
    "flops_forward",
    "seconds",
    "threads",
    "fingerprint",
)


def collect(
    study: Study,
    target: Path,
    ledgers: Sequence[Ledger] = (),
    *,
    light: Collection[str] = (),
) -> list[Path]:
    """Write the results of every stage that has any; what is there is brought up to date.

    Args:
        study: Whose results.
        target: Where they go.
        ledgers: Of looks at its test set; the target's own is made to hold the looks of all.
        light: Names of final stages whose logits and models are left out, too. What the target has
            of them already stays there.

    Returns:
        The tables written.

    Raises:
        SpecError: If no stage has a name given.
        StoreError: If something in the study is not what was written, or the target cannot be
            written, lies in the study itself or holds the results of another study.
        SealError: If the ledger cannot be written.
    """
    for name in light:
        study.spec.stage(name)
    place, source = target.resolve(), study.folder.resolve()
    if source in (place, *place.parents):
        where = "is the study itself" if place == source else f"lies inside the study {source}"
        raise StoreError(f"{target}: {where}; choose another folder.")
    _need_own(study, target)
    stages = [stage for stage in study.stages() if any(row.runs for row in stage.rows)]
    with _beside(target) as new:
        _copy_files(study, new, without_models_of=light)
        whole = [stage for stage in stages if stage.spec.is_final and stage.spec.name not in light]
        _copy_runs(study, stages, new, target, whole=whole)
        for stage in stages:
            _write_stage(study, stage, new / stage.spec.name)
        # Before what was seen: a ledger may speak of looks that are not there, and not the reverse.
        for ledger in ledgers:
            ledger.copy_to(target / LEDGER)
    return [target / stage.spec.name / "table.csv" for stage in stages]


def _need_own(study: Study, target: Path) -> None:
    """Refuse a folder with results of another study; those of the same one may have grown."""
    there = target / "study.json"
    if not there.exists():
        files.need_own(target, "Name another folder with --to, or move that one away.")
        return
    differs = differences(files.read_json(there), files.read_json(study.folder / there.name))
    if differs:
        raise StoreError(
            f"{target}: holds the results of a study that differs in: {'; '.join(differs)}. Name "
            "another folder with --to, or move that one away."
        )


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder inside the target, whose content takes its place there if nothing fails."""
    is_new = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for left in target.glob(".new.*"):  # by a call that was killed
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(dir=target, prefix=".new."))
    except OSError as error:
        raise files.cannot_write(target, error) from error
    try:
        yield new
        gone = [target / name for name in PASSING if not (new / name).exists()]
        _move_in(new, target)
        for path in gone:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise files.cannot_write(target, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if is_new and not any(target.iterdir()):
            target.rmdir()


def _move_in(new: Path, place: Path) -> None:
    """Files one by one; as a whole, folders that were not there and those with a manifest.

    What a look left behind is written once: where both have it, the target keeps its own.
    """
    for path in sorted(new.iterdir()):
        there = place / path.name
        if path.is_file() or not there.exists():
            path.replace(there)
        elif not _is_whole(path):
            _move_in(path, there)
        elif place.name != "final":
            shutil.rmtree(there)
            path.replace(there)


def _is_whole(folder: Path) -> bool:
    return (folder / "manifest.json").is_file()


def _copy_files(study: Study, new: Path, *, without_models_of: Collection[str]) -> None:
    """All but runs and tables."""
    source, epoch = study.folder, study.spec.rank_epoch
    for name in FILES:
        if (source / name).is_file():
            files.write_bytes(new / name, (source / name).read_bytes())
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, new / name, ignore=_drawn_twice)
    for path in new.rglob("*.json"):
        files.write_bytes(path, closely(path.read_bytes()))
    for path in (path for name in CHECKED for path in sorted((source / name).glob("[!.]*/"))):
        if path.parent.name == "models" and path.name in without_models_of:
            continue
        manifest = files.read_manifest(path)
        content = {name: files.read_checked(path, name) for name in manifest["files"]}
        for name in fnmatch.filter(content, "predictions-*.npz"):
            content[name] = lighter(content[name], epoch)
            manifest["files"] |= files.entries({name: content[name]})
        there = new / path.parent.name / path.name
        files.write_folder(there, content, files.resealed(manifest))


def _drawn_twice(folder: str, names: list[str]) -> list[str]:
    """Pictures that lie beside the drawing which the report takes."""
    stems = {Path(name).stem for name in names if name.endswith(".svg")}
    return [name for name in names if name.endswith(".png") and Path(name).stem in stems]


def closely(text: bytes) -> bytes:
    """JSON without the spaces and line ends that people like to see; what is none, as it is.

    Example:
        >>> closely(b'{ "a": [1.0, "two"] }').decode().strip()
        '{"a":[1.0,"two"]}'
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return files.to_utf8(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) + b"\n"


def lighter(predictions: bytes, epoch: Epoch) -> bytes:
    """Predictions, `logits_best_NK` and so on, with those of the epoch that does not count short.

    Args:
        predictions: An ``.npz``.
        epoch: The one that counts.
    """
    arrays = files.read_npz(predictions)
    for key in arrays:
        if "logits_" in key and f"logits_{epoch}_" not in key:
            arrays[key] = short(arrays[key])
    return files.to_small_npz(arrays)


def short(logits_NK: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Logits in 16 bits, with the same class in each row; as they are where 16 bits hold no number.

    Two classes that lie closer than 16 bits can tell are set apart by the smallest step.

    Example:
        >>> logits_NK = np.array([[1.0, 1.0001]], np.float32)
        >>> logits_NK.astype(np.float16).argmax(), short(logits_NK).argmax()
        (np.int64(0), np.int64(1))
    """
    with np.errstate(over="ignore"):
        answer = logits_NK.astype(np.float16)
    said_N, every = logits_NK.argmax(axis=1), np.arange(len(answer))
    is_other_N = answer.argmax(axis=1) != said_N
    above_N = np.nextafter(answer.max(axis=1), np.float16(np.inf))
    answer[every[is_other_N], said_N[is_other_N]] = above_N[is_other_N]
    return answer if np.isfinite(answer).all() else logits_NK


def _copy_runs(
    study: Study, stages: Sequence[Stage], new: Path, target: Path, *, whole: Sequence[Stage]
) -> None:
    """Those that the target lacks, or has without logits that it keeps; stages may share a run.

    Args:
        study: Whose.
        stages: All whose runs are copied.
        new: Where they go.
        target: What is there already.
        whole: Of the stages, those whose runs keep their logits.
    """
    kept = {run.fingerprint for stage in whole for run in _runs(stage.rows)}
    found = {run.folder.name: run for stage in stages for run in _runs([*stage.rows, *stage.lower])}
    for name, run in found.items():
        there, with_logits = target / "runs" / name, run.fingerprint in kept
        # Without them came what was collected before it was known to be a final stage's.
        is_wanting = with_logits and run.has_predictions and not (there / PREDICTIONS).is_file()
        if is_wanting or not _is_whole(there):
            epoch = study.spec.rank_epoch if with_logits else None
            _copy_run(run, new / "runs" / name, logits_of=epoch)


def _write_stage(study: Study, stage: Stage, folder: Path) -> None:
    """Its table, and what its runs said of validation images."""
    files.write_bytes(folder / "table.csv", _table(stage))
    predictions = compact(study, _runs(stage.rows))
    if predictions:
        files.write_bytes(folder / "predictions.npz", files.to_small_npz(predictions))


def summary(study: Study) -> dict[str, dict[str, Any]]:
    """Validation accuracies at the last epoch, by stage and point, of rows that are finished.

    Returns:
        For each stage, and in it for each label: ``val_accuracy`` and ``epochs`` of every seed.
    """
    found: dict[str, dict[str, Any]] = {}
    for stage in study.stages():
        for row in stage.rows:
            if row.is_done and all(run.metrics["status"] == "finished" for run in row.runs):
                found.setdefault(stage.spec.name, {})[row.label] = {
                    "val_accuracy": [run.metrics["last"]["val"]["accuracy"] for run in row.runs],
                    "epochs": [run.metrics["epochs"] for run in row.runs],
                }
    return found


def compact(study: Study, runs: Iterable[Run]) -> dict[str, npt.NDArray[Any]]:
    """Class and probability of each validation image, for several runs.

    Returns:
        ``fingerprints_R``, for both epochs ``classes_last_RN`` (uint8 up to 256 classes) and
        ``probabilities_last_RN`` (float16; NaN for a model that gives none), and ``labels_N`` and
        ``image_ids_N``, or with folds ``labels_RN`` and ``image_ids_RN``. With folds also the
        same of the held-out images, run after run, as folds may differ by a few images:
        ``held_classes_last_M`` and so on, and where each run's end, ``held_ends_R``. Empty if no
        run has predictions.

    Raises:
        StoreError: If the runs were validated on different numbers of images.
    """
    finished = [
        run for run in runs if run.metrics["status"] == "finished" and study.has_answers(run)
    ]
    if not finished:
        return {}
    arrays: dict[str, npt.NDArray[Any]] = {
        "fingerprints_R": np.array([run.fingerprint for run in finished])
    }
    found = [study.answers(run, "last") for run in finished]
    first = found[0]
    is_many = len(finished[0].layers["class_names"]) > 256
    label_type = np.uint16 if is_many else np.uint8
    for run, answers in zip(finished, found, strict=True):
        if len(answers.labels_N) != len(first.labels_N):
            raise StoreError(f"{run.folder}: validated on more or fewer images than its stage.")
    if all(np.array_equal(first.image_ids_N, answers.image_ids_N) for answers in found):
        arrays["labels_N"] = first.labels_N.astype(label_type)
        arrays["image_ids_N"] = first.image_ids_N.astype(np.int32)
    else:
        arrays["labels_RN"] = np.stack([a.labels_N for a in found]).astype(label_type)
        arrays["image_ids_RN"] = np.stack([a.image_ids_N for a in found]).astype(np.int32)
    for epoch in EPOCHS:
        said = [study.answers(run, epoch) for run in finished]
        arrays[f"classes_{epoch}_RN"] = np.stack([a.classes_N for a in said]).astype(label_type)
        # Column by column: what several runs say of an image is alike; a quarter smaller, packed.
        arrays[f"probabilities_{epoch}_RN"] = np.column_stack([a.probabilities_N for a in said]).T
    if all(run.spec.data.folds is not None for run in finished):
        arrays |= _held(study, finished, label_type)
    return arrays


def _held(
    study: Study, runs: Sequence[Run], label_type: npt.DTypeLike
) -> dict[str, npt.NDArray[Any]]:
    """Out-of-fold answers, run after run."""
    found = [study.held_answers(run, "last") for run in runs]
    arrays: dict[str, npt.NDArray[Any]] = {
        "held_ends_R": np.cumsum([len(answers.labels_N) for answers in found]).astype(np.int64),
        "held_labels_M": np.concatenate([a.labels_N for a in found]).astype(label_type),
        "held_image_ids_M": np.concatenate([a.image_ids_N for a in found]).astype(np.int32),
    }
    for epoch in EPOCHS:
        said = [study.held_answers(run, epoch) for run in runs]
        classes = np.concatenate([answers.classes_N for answers in said])
        arrays[f"held_classes_{epoch}_M"] = classes.astype(label_type)
        arrays[f"held_probabilities_{epoch}_M"] = np.concatenate([a.probabilities_N for a in said])
    return arrays


def _runs(rows: Sequence[Row]) -> list[Run]:
    return [run for row in rows for run in row.runs]


def _copy_run(run: Run, target: Path, *, logits_of: Epoch | None) -> None:
    """A run without its bulk; with logits if an epoch is named, whose own are kept to the bit."""
    manifest = files.read_manifest(run.folder)
    content = {}
    for name, entry in manifest["files"].items():
        is_bulk = name == WEIGHTS or (name == PREDICTIONS and logits_of is None)
        if entry.get("dropped"):
            continue
        if is_bulk:
            entry["dropped"] = "not kept in the collected results"
        else:
            content[name] = files.read_checked(run.folder, name)
    if logits_of is not None and PREDICTIONS in content:
        content[PREDICTIONS] = lighter(content[PREDICTIONS], logits_of)
        manifest["files"] |= files.entries({PREDICTIONS: content[PREDICTIONS]})
    files.write_folder(target, content, files.resealed(manifest))


def _table(stage: Stage) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in stage.rows:
        for run in row.runs:
            writer.writerow(_line(row, run))
    return files.to_utf8(text.getvalue())


def _line(row: Row, run: Run) -> dict[str, Any]:
    metrics, history = run.metrics, run.history
    line: dict[str, Any] = {
        "point": row.label,
        "seed": run.spec.seed,
        "status": metrics["status"],
        "epochs": metrics["epochs"],
        "parameters": run.layers["parameters"]["total"],
        "flops_forward": run.layers["flops_forward"],
        "seconds": metrics["seconds"],
        "threads": run.spec.threads,
        "fingerprint": run.fingerprint,
    }
    for epoch in ("last", "best"):
        for part in ("train", "val"):
            for figure in ("loss", "accuracy"):
                value = metrics.get(epoch, {}).get(part, {}).get(figure)
                line[f"{epoch}_{part}_{figure}"] = "" if value is None else f"{value:.6f}"
    if "best" in metrics:
        line["best_epoch"] = metrics["best"]["epoch"] or ""
    if history:
        line |= {
            "train_loss_as_seen": f"{history[-1]['train_loss']:.6f}",
            "train_accuracy_as_seen": f"{history[-1]['train_accuracy']:.6f}",
            "final_learning_rate": f"{history[-1]['learning_rate']:g}",
        }
    return line
