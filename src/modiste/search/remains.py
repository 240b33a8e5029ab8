"""What a person should know of the stages of a study when nothing more is to be run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modiste.search.asked import Asked
from modiste.search.study import Stage, Study
from modiste.search.weights import no_model


def remains(study: Study, stages: Sequence[Stage], asked: Asked) -> Iterator[str]:
    """One sentence for each stage that was asked for and waits, has points left, or has no model.

    Args:
        study: Whose.
        stages: All of them, as they stand.
        asked: What was asked for.
    """
    for stage in (stage for stage in stages if stage.spec.name in asked.stages):
        if why := no_model(study, stage):
            yield f"{stage.spec.name}: ends without a model: {why}."
        if stage.is_closed:
            continue
        if stage.waits_for:
            why = "because no row of {} came to a good end"
            if any(s.spec.name in stage.waits_for and not s.is_done for s in stages):
                why = "because {} has points left"
            yield f"{stage.spec.name}: not run, {why.format(' and '.join(stage.waits_for))}."
        elif (asked.only or stage.spec.name in asked.parts) and not stage.is_done:
            done = sum(row.is_done for row in stage.chosen)
            why = "--only left the others for another time"
            if not asked.only:
                why = "no stage that was asked for needs the others"
            yield (
                f"{stage.spec.name}: {done} of {len(stage.chosen) + stage.num_to_come} points are "
                f"finished; {why}."
            )
