"""How good a model is: what validation images said, and what counted looks at the test set did."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modiste.api.counting import study_around, tally_of
from modiste.api.finals import export_finals, write_cards
from modiste.api.given import each_name
from modiste.api.places import run_of
from modiste.api.results import Evaluation, figures
from modiste.api.study import look_at_runs, look_at_test, winners, write_report
from modiste.errors import SealError, SpecError, need_path, without_reason
from modiste.final.stored import Candidate, folder_of, is_stored
from modiste.report.looks import Look
from modiste.report.looks import read as read_looks
from modiste.runs.ledger import Tally
from modiste.runs.run import EPOCHS, Run
from modiste.search.picked import KEPT, picked_by_val
from modiste.search.study import Study

# What every answer says of the ledger.
LEDGER_KEYS = ("looks", "comparisons", "ledger_head", "ledger_entries")


def evaluate(
    folder: str | os.PathLike[str],
    *,
    final: bool = False,
    reason: str = "",
    stages: str | Iterable[str] | None = None,
    data_folder: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Accuracy and loss of a model, a run, or the final models of a study.

    After a look, the report, the cards and the exports of the study around are brought up to date.

    Args:
        folder: A model, run or study folder.
        final: Open the test set, once and counted, for all of them together.
        reason: What that look is for.
        stages: Of a study: this stage only, or these; its final ones if not given.
        data_folder: Where the data set lies; looked for if not given.

    Returns:
        ``part`` (``validation`` or ``test``), ``num_images``, ``runs`` (label, seed, fingerprint
        and for each epoch accuracy, its 95 % Wilson interval, loss) and ``notes``; prints as a
        table. What the ledger says: ``looks`` (a number or ``unknown``), ``comparisons``,
        ``ledger_head``, ``ledger_entries``. Without `final`, ``stored`` holds
        the looks at the test set that included any of these runs: ``file``, ``opened_at``,
        ``reason``, ``looks`` (as the ledger said then), ``num_images`` and ``runs``.

    Raises:
        SpecError: If the study has no stage of that name, or stages are named of what is no study.
        StoreError: If the folder is none of these, or a file in it was changed.
        SealError: For the test set without a reason.
    """
    place = need_path(folder, "folder")
    names = None if stages is None else each_name(stages, "stages")
    if reason and not final:
        raise SealError(
            "--reason belongs to --final (`final=True` in Python): without it the test set stays "
            "closed."
        )
    study = Study(place) if (place / "study.json").is_file() else None
    looks = _looks_folder(place) if study is None else place / "final"
    candidates = [_candidate(place)] if study is None else winners(study, names)
    if names is not None and study is None:
        raise SpecError(
            f"--stages {','.join(names)}: {place} is no study, and has no stages. Leave --stages "
            "out, or name the study folder."
        )
    if not final:
        picked = were_picked(each.run for each in candidates)
        return _validation(candidates, looks, tally_of(place), is_picked=picked)
    _need_reason(reason, candidates, looks, place)
    before = {each.folder for each in read_looks(looks)}
    if study is None:
        look = look_at_runs(candidates, reason, looks, data_folder)
    else:
        look = look_at_test(study, reason, names, data_folder)
    around = study_around(place)
    renewed = []
    if around is not None:
        study = study or Study(around)
        write_cards(study, tally_of(study.folder))
        renewed = export_finals(study, data_folder, is_renewal=True)
        write_report(study)
    (found,) = (each for each in read_looks(look.parent) if each.folder == look)
    again = reason if look in before else None
    return _test(found, tally_of(place), renewed, again)


def _candidate(place: Path) -> Candidate:
    """A run, with the stage and the point that it stands for in its study."""
    run, around = run_of(place), study_around(place)
    stages = Study(around).stages() if around is not None else []
    # A model has the name of its stage; a run may be part of several, and a final one is its last.
    for stage in sorted(
        stages, key=lambda stage: (stage.spec.name != place.name, not stage.spec.is_final)
    ):
        for row in stage.rows:
            if run.fingerprint in row.fingerprints:
                return Candidate(stage.spec.name, row.label, run)
    return Candidate("", place.name, run)


def were_picked(runs: Iterable[Run]) -> bool:
    """Whether validation images picked any of these runs in the study around it."""
    around: dict[Path, set[str]] = {}
    for run in runs:
        if (folder := study_around(run.folder)) is not None:
            around.setdefault(folder, set()).add(run.fingerprint)
    return any(not picked_by_val(Study(folder)).isdisjoint(own) for folder, own in around.items())


def _need_reason(reason: str, candidates: list[Candidate], looks: Path, place: Path) -> None:
    """Refuse to open the test set without a reason, before anything is looked for.

    A look that is stored needs none.
    """
    unique = {candidate.run.fingerprint: candidate for candidate in candidates}
    if reason.strip() or is_stored(folder_of(list(unique.values()), looks)):
        return
    raise SealError(without_reason(candidates[0].run.data_name, tally_of(place).looks))


def _looks_folder(place: Path) -> Path:
    """``final`` of the study that holds this run or model."""
    return place.absolute().parent.parent / "final"


def _validation(
    candidates: list[Candidate], looks: Path, tally: Tally, *, is_picked: bool = False
) -> Evaluation:
    rows = []
    notes = leaning([candidate.run for candidate in candidates], is_picked=is_picked)
    for candidate in candidates:
        metrics = candidate.run.metrics
        if metrics["status"] != "finished":
            label = candidate.stage or candidate.label
            notes.append(f"{label}: {metrics['status']} ({metrics['reason']}).")
        rows.append(
            {
                "label": candidate.stage or candidate.label,
                "seed": candidate.run.spec.seed,
                "fingerprint": candidate.run.fingerprint,
                **{str(e): _figures(metrics[e]["val"]) for e in EPOCHS if e in metrics},
            }
        )
    return Evaluation(
        {
            "schema": 1,
            "part": "validation",
            "num_images": candidates[0].run.metrics["num_val"],
            "runs": rows,
            "stored": _stored(looks, {candidate.run.fingerprint for candidate in candidates}),
            **_ledger(tally),
            "notes": [*notes, tally.words],
        }
    )


def _test(found: Look, tally: Tally, renewed: list[str], again: str | None) -> Evaluation:
    """What a look showed; `again` is the reason of one that was asked for a second time.

    What was `renewed` in the study around is said at the end.
    """
    look = _look(found)
    notes = [f"Reason: {found.reason}"]
    if again is not None:
        opened = f" on {found.opened_at[:10]}" if found.opened_at else ""
        notes.insert(
            0,
            f"The test set was opened for this list{opened}; what was stored then is shown again, "
            "and nothing was opened or counted.",
        )
        if again.strip() not in ("", found.reason):
            notes.append("The reason that was given now stands nowhere.")
    return Evaluation(
        {
            "schema": 1,
            "part": "test",
            **{key: look[key] for key in ("num_images", "reason", "opened_at", "file", "runs")},
            **_ledger(tally),
            "notes": [*notes, tally.words, *renewed],
        }
    )


def leaning(runs: Iterable[Run], *, is_picked: bool = False) -> list[str]:
    """A note on what validation images chose; none if they chose nothing.

    Args:
        runs: Whose trainings.
        is_picked: They are the best of several.
    """
    finished = [run for run in runs if run.metrics["status"] == "finished"]
    chosen = dict.fromkeys(what for run in finished if (what := run.chosen_by_val("last")))
    if is_picked:
        chosen[KEPT] = None
    if chosen:
        words = " and ".join(chosen)
        return [f"Validation images chose {words}: their figures lean to the bright side."]
    if any(run.chosen_by_val("best") for run in finished):
        return ["Validation images chose the best epoch: its figures lean to the bright side."]
    return []


def _stored(looks: Path, fingerprints: set[str]) -> list[dict[str, Any]]:
    """Looks that included any of these runs, the oldest first."""
    return [
        _look(look)
        for look in read_looks(looks)
        if fingerprints & {run.fingerprint for run in look.runs}
    ]


def _look(look: Look) -> dict[str, Any]:
    """A look at the test set as it was stored."""
    return {
        "file": str(look.folder / "look.json"),
        "opened_at": look.opened_at,
        "reason": look.reason,
        "looks": look.tally.looks,
        "num_images": look.runs[0].scores["last"].total,
        "runs": [
            {
                "label": run.stage or run.label,
                "seed": run.seed,
                "fingerprint": run.fingerprint,
                **{str(e): _figures(vars(run.scores[e])) for e in EPOCHS},
            }
            for run in look.runs
        ],
    }


def _ledger(tally: Tally) -> dict[str, Any]:
    return {key: tally.to_dict()[key] for key in LEDGER_KEYS}


def _figures(measured: dict[str, Any]) -> dict[str, Any]:
    return figures(measured["correct"], measured["total"], measured["loss"])
