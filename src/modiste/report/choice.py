"""What is remarked about how the rows of a stage were chosen between, and how sure runs are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from modiste.evaluate.miscalibration import Calibration, calibration
from modiste.evaluate.study_finding import Entry, Opened, Space, StudyFacts, study_findings
from modiste.report.blocks import Remark
from modiste.report.confirmed import overtuning
from modiste.report.context import Context
from modiste.report.facts import RowFacts, StageFacts, longest
from modiste.report.folds import scored
from modiste.report.numbers import listing
from modiste.runs.run import Run
from modiste.spec.space import Choices


def on_choice(context: Context, stage: StageFacts) -> list[Remark]:
    """What the checks of studies remark about the rows of one stage."""
    competing = _competing(context, stage)
    about = StudyFacts(
        _folded(context, stage) if stage.is_folded else _entries(context, competing),
        figure="held-out accuracy" if stage.is_folded else "validation accuracy",
        space=_space(stage),
        is_confirmed=_is_confirmed(context, stage),
        lead_covers="images and folds" if stage.is_folded else _covered(stage),
        chosen=overtuning(context, stage),
        opened=_opened(context, competing),
    )
    return [
        Remark(found.code, found.title, found.advice, 0, [("all rows", found.text)])
        for found in study_findings(about)
    ]


def calibration_of(context: Context, run: Run) -> Calibration | None:
    """How sure a run is of its validation answers; none without probabilities, or any answers."""
    if run.metrics["status"] != "finished" or not context.study.has_answers(run):
        return None
    answers = context.study.answers(run, context.epoch)
    confidences_N = answers.probabilities_N.astype(np.float64)
    if not np.isfinite(confidences_N).all():
        return None
    return calibration(confidences_N, answers.classes_N == answers.labels_N)


def _competing(context: Context, stage: StageFacts) -> list[RowFacts]:
    """Rows that were chosen between, best first; what halving cut was not, nor what broke."""
    if stage.is_folded:
        return [each.row for each in scored(context, stage)]
    return longest(stage.ranked)


def _entries(context: Context, competing: Sequence[RowFacts]) -> list[Entry]:
    entries = []
    for row in competing:
        accuracy = row.mean(context.epoch, "val", "accuracy")
        assert accuracy is not None  # of runs that all ended well
        error = row.standing.standard_error if row.standing and row.rank != 1 else None
        # Another seed would change nothing of what is fitted in one go.
        seeds = len(row.runs) if row.is_net else None
        total = row.runs[0].metrics["num_val"]
        entries.append(Entry(row.label, row.row.settings, accuracy, seeds, total, error))
    return entries


def _folded(context: Context, stage: StageFacts) -> list[Entry]:
    """Cross-validated rows: their trainings are no seeds, and their images are all images."""
    return [
        Entry(
            each.row.label,
            each.row.row.settings,
            each.mean,
            None,
            None,
            each.standing.standard_error if each.standing and number else None,
        )
        for number, each in enumerate(scored(context, stage))
    ]


def _space(stage: StageFacts) -> dict[str, Space]:
    """What a search was allowed to choose; empty where points were given."""
    search = stage.stage.spec.search
    tune = {} if search is None else search.tune
    return {
        key: Space(values=found.values)
        if isinstance(found, Choices)
        else Space(low=found.low, high=found.high, log=found.log)
        for key, found in tune.items()
    }


def _covered(stage: StageFacts) -> str:
    return "images and seeds" if stage.covers_seeds and stage.has_nets else "images only"


def _is_confirmed(context: Context, stage: StageFacts) -> bool:
    """Whether a later stage has finished training the best of these rows on fresh seeds."""
    spec = context.study.spec
    return any(
        (origin := spec.confirmed_by(other.stage.spec)) is not None
        and origin.name == stage.name
        and other.stage.chosen
        and other.stage.is_done
        for other in context.stages
    )


def _opened(context: Context, competing: Sequence[RowFacts]) -> Opened | None:
    """Whether the test set had been opened before rows that compete here were trained."""
    if not context.looks:
        return None
    first = min(context.looks, key=lambda look: _moment(look.opened_at))
    at = _moment(first.opened_at)
    seen = {run.fingerprint for run in first.runs}
    late, undated = 0, 0
    for row in competing:
        ended = [run.environment.get("finished_at", "") for run in row.runs]
        if any(_moment(text) > at for text in ended):
            late += 1
        # What was looked at had ended by then, whether it says so or not.
        elif not all(ended) and not seen.issuperset(run.fingerprint for run in row.runs):
            undated += 1
    names = sorted({run.stage for run in first.runs if run.stage}) or ["a model of this study"]
    if not late and not undated:
        return None
    return Opened(first.opened_at, listing(names), late, undated)


def _moment(text: str) -> datetime:
    """A time as it is recorded; the beginning of time where there is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
