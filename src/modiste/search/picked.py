"""Which runs of a study validation images picked, among several or by what they begin with."""

from __future__ import annotations

from modiste.search.study import Study

# What they then chose, beside what `Run.chosen_by_val` says of the training itself.
KEPT = "which models of the study to keep"


def picked_by_val(study: Study) -> frozenset[str]:
    """Fingerprints of the runs whose validation figures lean because they were picked by them.

    Those of every stage that begins with what another one found, and of the winner of several
    points. A run that stages share was picked if one of them picked it.
    """
    picked: set[str] = set()
    for stage in study.stages():
        best = study.winner(stage) if len(stage.chosen) > 1 else None
        begins_with_others = bool(study.spec.needs(stage.spec))
        for row in stage.rows if begins_with_others else [best] if best else []:
            picked.update(row.fingerprints)
    return frozenset(picked)
