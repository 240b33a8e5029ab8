"""What a stage decided, written down: `STUDY/stages/NAME.json`."""

from __future__ import annotations

from modiste.runs import files
from modiste.search.goals import front_of
from modiste.search.study import Stage, Study

SCHEMA = 1


def write_decision(study: Study, stage: Stage) -> None:
    """The rows of a decided stage in order, its winner, and of several goals the front.

    Nothing is written if that stands there.
    """
    path = study.folder / "stages" / f"{stage.spec.name}.json"
    value = _decision(study, stage)
    if not path.exists() or files.read_json(path) != value:
        files.write_json(path, value)


def _decision(study: Study, stage: Stage) -> dict[str, object]:
    epoch = study.spec.rank_epoch
    best = study.winner(stage)
    front = front_of(study, stage)
    return {
        "schema": SCHEMA,
        "stage": stage.spec.name,
        "ranked_by": f"validation accuracy at the {epoch} epoch, mean of the seeds",
        "winner": best.label if best else None,
        **({} if front is None else {"front": [row.label for row in front]}),
        "rows": [
            {"label": row.label, "settings": row.settings, "fingerprints": [*row.fingerprints]}
            for row in stage.ranked(epoch)
        ],
    }
