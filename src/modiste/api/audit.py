"""The data's own doubt: duplicates, labels, outliers, balance, and what they are worth."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modiste.api.counting import counted, study_around
from modiste.api.data import open_data
from modiste.api.given import need_source
from modiste.api.places import run_of
from modiste.api.study import write_report
from modiste.counts import Unknown
from modiste.data.load import TrainingData, usual_num_val
from modiste.data.types import ImageSet
from modiste.errors import DataError, SealError, SpecError, StoreError
from modiste.evaluate.audit import Audit, examine
from modiste.evaluate.duplicates import CLOSENESS
from modiste.evaluate.worth import Measured, measure
from modiste.final.compare import compare, openings
from modiste.report import audit as pages
from modiste.report import kept_audit
from modiste.report.audit_record import AuditReport, record, to_lines
from modiste.runs import files
from modiste.runs.run import Run
from modiste.search.answers import Answers, answers_of
from modiste.search.study import Study
from modiste.spec.run import DataSpec

DEFAULTS = DataSpec()
_NO_OPENINGS: Sequence[dict[str, Any]] | Unknown = ()


def audit(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    name: str | os.PathLike[str],
    *,
    data_folder: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    num_val: int | None = None,
    split_seed: int | None = None,
    closeness: float = CLOSENESS,
    study: str | os.PathLike[str] | None = None,
    with_test: bool = False,
    reason: str = "",
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Look for duplicates, doubtful labels and outliers, and write a report of them.

    Args:
        name: A data source, or the path of images of your own.
        data_folder: Where it lies; looked for if not given.
        out: Where the report goes. If not given, into the study that is named, which keeps it and
            says in its own report what crosses the split; else ``runs/audit-NAME``.
        num_val: Images kept for validation; the study's, or a fifth.
        split_seed: Seed of that division; the study's, or 0.
        closeness: How near a near duplicate is; see `modiste.evaluate.duplicates`.
        study: A study, run or model folder whose saved validation answers say what the finds are
            worth.
        with_test: Compare with the test images, too: counts of duplicates, and no accuracy. It is
            written into the ledger that the study came with, too, and its report then says so.
        reason: What that comparison is for; it stands in the ledger of the test set for good.
        note: Is told what begins.

    Returns:
        What `audit.json` holds, and under ``files`` the paths that were written, with that of the
        study's report if the study keeps the audit.

    Raises:
        SpecError: If an argument makes no sense, or is another than the study's.
        DataError: If the images cannot be had, or are not those of the study.
        SealError: For the test images without a reason.
        StoreError: If something cannot be read or written.
    """
    name, study = need_source(name), None if study is None else Path(study)
    if reason and not with_test:
        raise SealError(
            "--reason belongs to --with-test (`with_test=True` in Python): without it the test set "
            "stays closed."
        )
    if with_test and not reason.strip():
        raise SealError(
            "--with-test opens the test set, which needs a stated reason: --reason TEXT (`reason=` "
            "in Python)."
        )
    if not 0 < closeness < 1:
        raise SpecError(f"closeness: expected a proportion between 0 and 1, got {closeness}.")
    keeper = _keeper(study) if out is None else None
    folder = Path(out) if out is not None else Path("runs") / f"audit-{Path(name).stem}"
    if keeper is not None:
        folder = keeper.folder / kept_audit.FOLDER
    answered = [] if study is None else _answered(study)
    as_studied = _division(answered)
    if as_studied is None:
        opened = open_data(name, data_folder, num_val=num_val, split_seed=split_seed)
    else:
        _need_as_asked(as_studied, num_val, split_seed)
        opened = open_data(name, data_folder, spec=as_studied)
    _need_same_images(opened.images, answered, str(study))
    files.need_writable(folder)
    spec, source, data = opened.spec, opened.source, opened.divided()
    found = examine(*_pool(data), closeness, note=note)
    models, notes = _measured(found, answered, spec)
    around = None if study is None else study_around(study)
    comparison, seen = None, _NO_OPENINGS
    if with_test:
        note("comparing with the test images")
        with counted(around, data.digest) as ledger:
            comparison = compare(source, found, reason, ledger)
            seen = openings(ledger)
    report = AuditReport(
        name=str(name),
        audit=found,
        split_seed=spec.split_seed,
        data_digest=data.digest,
        models=models,
        study=str(study or ""),
        notes=notes,
        comparison=comparison,
        reason=reason.strip(),
        openings=seen,
        words=_words(spec, usual_num_val(opened.images), closeness, study),
    )
    content = record(report)
    files.write_bytes(folder / kept_audit.PAIRS, files.to_npz(kept_audit.across_arrays(found)))
    files.write_bytes(folder / kept_audit.RECORD, files.to_utf8(f"{to_lines(content)}\n"))
    paths = [folder / kept_audit.RECORD, folder / kept_audit.PAIRS, *pages.write(report, folder)]
    told = keeper or (Study(around) if with_test and around is not None else None)
    if told is not None:
        paths.append(write_report(told))
    return {**content, "files": [str(path) for path in paths]}


def _keeper(study: Path | None) -> Study | None:
    """The study that keeps the audit, if one is named and not a run or a model alone."""
    if study is None or not (study / "study.json").is_file():
        return None
    return Study(study)


@dataclass(frozen=True)
class _Answered:
    """A model of a study, or a run on its own, with what its runs said of validation images."""

    name: str
    runs: Sequence[Run]
    answers: Sequence[Answers]

    @property
    def spec(self) -> DataSpec:
        return self.runs[0].spec.data

    @property
    def is_of_one_division(self) -> bool:
        """Whether all its runs saw the same images, as folds do not."""
        return all(_split_of(run.spec.data) == _split_of(self.spec) for run in self.runs)


def _answered(place: Path) -> list[_Answered]:
    """The best finished model of each stage; of a run or model folder, that run alone."""
    if not (place / "study.json").is_file():
        run = run_of(place)
        return [_Answered(place.name, [run], [answers_of(run, "last")])]
    study = Study(place)
    epoch = study.spec.rank_epoch
    found: dict[tuple[str, ...], _Answered] = {}
    for stage in study.stages():
        for row in stage.ranked(epoch)[:1]:
            if all(run.metrics["status"] == "finished" for run in row.runs):
                answers = [study.answers(run, epoch) for run in row.runs]
                name = f"{stage.spec.name}: {row.label}"
                found.setdefault(row.fingerprints, _Answered(name, row.runs, answers))
    if not found:
        raise StoreError(f"{place}: no stage of this study has a finished run yet.")
    return list(found.values())


def _division(answered: Sequence[_Answered]) -> DataSpec | None:
    """How the study has divided the images, where there is one."""
    whole = (model.spec for model in answered if model.is_of_one_division)
    return next(whole, answered[0].spec if answered else None)


def _need_as_asked(spec: DataSpec, num_val: int | None, split_seed: int | None) -> None:
    """That no other division is asked for than the study's."""
    for key, value in (("num_val", num_val), ("split_seed", split_seed)):
        own = getattr(spec, key)
        if value is not None and value != own:
            option = f"--{key.replace('_', '-')}"
            raise SpecError(
                f"{option} {value}: the models of --study were trained with data.{key} {own}. "
                f"Leave {option} out: an audit with a study takes the study's division."
            )


def _need_same_images(images: ImageSet, answered: Sequence[_Answered], study: str) -> None:
    for model in answered:
        for run in model.runs:
            if run.metrics["data_digest"] != images.digest:
                raise DataError(
                    f"{study}: its models were trained on other images (data digest "
                    f"{run.metrics['data_digest'][:12]}, here {images.digest[:12]}). Name the data "
                    "that they were trained on."
                )


def _pool(data: TrainingData) -> tuple[ImageSet, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Training and validation images together, in the order of the source."""
    both = np.sort(np.concatenate([data.split.train_indices, data.split.val_indices]))
    return data.source_images.take(both, "train"), np.isin(both, data.split.val_indices)


def _measured(
    found: Audit, answered: Sequence[_Answered], spec: DataSpec
) -> tuple[list[Measured], list[str]]:
    """What the finds are worth to each model; and why a model was left out."""
    is_val_N = found.is_val_N
    ids_V, labels_V = found.images.ids_N[is_val_N], found.images.labels_N[is_val_N]
    leaks_V = found.leaks_N[is_val_N]
    suspects_V, outliers_V = found.is_suspect_N[is_val_N], found.is_outlier_N[is_val_N]
    left_out = {
        "duplicates": leaks_V,
        "suspects": suspects_V,
        "outliers": outliers_V,
        "all": leaks_V | suspects_V | outliers_V,
    }
    models, notes = [], []
    for model in answered:
        if any(_split_of(run.spec.data) != _split_of(spec) for run in model.runs):
            notes.append(f"{model.name} was divided in another way, so it is left out.")
            continue
        rights = []
        for answers in model.answers:
            order = np.argsort(answers.image_ids_N)
            if not np.array_equal(answers.image_ids_N[order], ids_V):
                raise DataError(f"{model.name}: answers for other images than those of its split.")
            rights.append(answers.classes_N[order] == labels_V)
        models.append(measure(model.name, np.stack(rights), labels_V, left_out, leaks_V))
    return models, notes


def _split_of(spec: DataSpec) -> dict[str, Any]:
    """All that decides which image is where; scaling does not."""
    return spec.model_dump(exclude={"scaling"})


def _words(spec: DataSpec, usual: int, closeness: float, study: Path | None) -> list[str]:
    """The options that differ from their defaults; a place to write is nobody else's business."""
    words = []
    if study is not None:
        words += ["--study", str(study)]
    elif spec.num_val != usual or spec.split_seed != DEFAULTS.split_seed:
        words += ["--num-val", str(spec.num_val), "--split-seed", str(spec.split_seed)]
    if closeness != CLOSENESS:
        words += ["--closeness", f"{closeness:g}"]
    return words
