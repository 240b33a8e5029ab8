"""Saved runs as one model: the mean of their probabilities, evaluated like any model."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modiste.api.evaluation import leaning, were_picked
from modiste.api.given import each_folder
from modiste.api.places import run_of
from modiste.api.study import winners
from modiste.errors import DataError, SpecError, StoreError
from modiste.evaluate.ensemble import Ensemble, Gain, evaluate_together
from modiste.evaluate.intervals import difference_interval
from modiste.evaluate.summary import Summary
from modiste.final.stored import Candidate
from modiste.report.ensembles import best_single
from modiste.runs import files
from modiste.runs.run import EPOCHS, Run
from modiste.search.study import Study

Arrays = dict[str, npt.NDArray[Any]]
_FIGURES = ("accuracy", "top_two", "macro_f1", "loss", "brier", "calibration_error")


def together(
    folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    stages: str | Iterable[str] | None = None,
) -> dict[str, Any]:
    """What saved runs are worth as one model, by the mean of their probabilities.

    Nothing is computed again and no seal is opened: validation logits are those that the runs
    kept, and test logits those that looks have stored, where they did so for every run. Where only
    these are left, as of collected results of which little is kept, nothing else is said.

    Args:
        folders: Runs, models in their studies, or studies; of a study, all seeds of its winners.
        stages: Of studies: the winners of these stages; of the final ones if not given.

    Returns:
        ``members`` (label, seed, fingerprint), ``parts`` and ``notes``. In ``parts``, under
        ``validation`` and, if all members were shown the test set, ``test``: ``num_images``, and
        under ``last`` and ``best`` the figures of ``together`` and of the ``best_single`` one,
        each a ``value`` with its 95 % ``interval``, and what the former ``adds`` to the latter
        and to a member in the mean: ``difference``, ``standard_error`` and ``interval``. None where
        a loss is infinite, and in place of an interval that too few wrong answers tell.

    Raises:
        SpecError: If fewer than two runs are named, one is named twice, or the scores of one are
            no probabilities.
        StoreError: If a folder is none of these, or the logits of a run were not kept, and not all
            were shown the test set.
        DataError: If they did not answer the same images.
    """
    places = each_folder(folders, "folders")
    members = [member for place in places for member in _members(Path(place), stages)]
    _check(members)
    runs = [member.run for member in members]
    shown = [_shown(run) for run in runs]
    stored = [arrays for arrays in shown if arrays is not None]
    parts: dict[str, Any] = {}
    notes = []
    num_kept = sum(run.has_predictions for run in runs)
    if num_kept == len(runs) or len(stored) < len(runs):
        parts["validation"] = _part([_validation(member) for member in members], members)
        notes += leaning(runs, is_picked=were_picked(runs))
    else:
        notes.append(
            f"{num_kept} of {len(runs)} runs kept their validation logits: nothing is said of "
            "validation images."
        )
    if len(stored) == len(members):
        parts["test"] = _part(stored, members)
        notes.append(
            "Test figures are of answers that looks have stored; nothing was opened. To pick an "
            "ensemble by them would be to choose by test images."
        )
    elif stored:
        notes.append(
            f"{len(stored)} of {len(members)} runs were shown the test set: nothing is said of it."
        )
    return {
        "schema": 1,
        "members": [
            {
                "label": member.stage or member.label,
                "seed": member.run.spec.seed,
                "fingerprint": member.run.fingerprint,
            }
            for member in members
        ],
        "parts": parts,
        "notes": notes,
    }


def _members(folder: Path, stages: str | Iterable[str] | None) -> list[Candidate]:
    if (folder / "study.json").is_file():
        return winners(Study(folder), stages)
    return [Candidate("", folder.name, run_of(folder))]


def _check(members: Sequence[Candidate]) -> None:
    """Everything that can be said before any logits are read."""
    if len(members) < 2:
        raise SpecError(
            "--together (`modiste.together` in Python) averages several runs, and only one was "
            "named. Name more of them, or a study, of which all seeds are taken."
        )
    seen: set[str] = set()
    for member in members:
        run = member.run
        if run.fingerprint in seen:
            raise SpecError(
                f"{run.folder}: is named twice, by itself or by its study, and would count twice. "
                "Name each run once."
            )
        seen.add(run.fingerprint)
        if (status := run.metrics["status"]) != "finished":
            raise StoreError(f"{run.folder}: this run has no answers: {status}.")
        if run.metrics["last"]["val"]["loss"] is None:
            raise SpecError(
                f"{run.folder}: the scores of {run.spec.model.family!r} are no probabilities, so "
                "there is no mean of them. Leave it out."
            )


def _validation(member: Candidate) -> Arrays:
    run = member.run
    if not run.has_predictions:
        raise StoreError(
            f"{run.folder}: its logits were not kept, only its answers; probabilities of all "
            "classes are needed. Collected results keep logits of final stages alone: name such "
            "a run, or the run's folder in the study that trained it."
        )
    return run.predictions


def _shown(run: Run) -> Arrays | None:
    """The test logits that a look has stored of a run; none if no look was for it."""
    name = f"predictions-{run.fingerprint[:16]}.npz"
    for look in sorted((run.folder.absolute().parent.parent / "final").glob("[!.]*/")):
        if (look / name).is_file():
            return files.read_npz(files.read_checked(look, name))
    return None


def _part(arrays: Sequence[Arrays], members: Sequence[Candidate]) -> dict[str, Any]:
    """Both epochs, on images that all of them answered."""
    first = arrays[0]
    for member, other in zip(members, arrays, strict=True):
        if any(not np.array_equal(first[key], other[key]) for key in ("image_ids", "labels")):
            raise DataError(
                f"{member.run.folder}: answered other images than {members[0].run.folder}; they "
                "were divided in another way, or by folds, and have no mean on the same images."
            )
    runs = [member.run for member in members]
    answer: dict[str, Any] = {"num_images": len(first["labels"])}
    for epoch in EPOCHS:
        best = best_single(runs, epoch)
        logits = [each[f"logits_{epoch}_NK"] for each in arrays]
        found = evaluate_together(logits, first["labels"], best)
        answer[epoch] = _found(found, members[best])
    return answer


def _found(found: Ensemble, best: Candidate) -> dict[str, Any]:
    return {
        "together": _summary(found.figures),
        "best_single": {
            "label": best.stage or best.label,
            "seed": best.run.spec.seed,
            "fingerprint": best.run.fingerprint,
            **_summary(found.best_figures),
        },
        "adds": {
            "to_the_best_single": _gain(found.over_best),
            "to_one_in_the_mean": _gain(found.over_mean),
        },
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return {key: getattr(summary, key).to_dict() for key in _FIGURES}


def _gain(gain: Gain) -> dict[str, Any]:
    return {
        key: {
            "difference": found.mean,
            "standard_error": found.standard_error,
            "interval": list(difference_interval(found)),
        }
        if math.isfinite(found.mean)
        else dict.fromkeys(("difference", "standard_error", "interval"))
        for key, found in (
            ("accuracy", gain.accuracy),
            ("loss", gain.loss),
            ("brier", gain.brier),
        )
    }
