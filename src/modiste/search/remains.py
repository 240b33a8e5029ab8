"""What a person should know of the stages of a study when nothing more is to be run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from modiste.search.study import Stage, Study
from modiste.search.weights import no_model


def remains(
    study: Study, stages: Sequence[Stage], wanted: Collection[str], *, is_part: bool
) -> Iterator[str]:
    """One sentence for each stage that was asked for and waits, has points left, or has no model.

    Args:
        study: Whose.
        stages: All of them, as they stand.
        wanted: Names of those that were asked for.
        is_part: Whether only some points were asked for.
    """
    for stage in (stage for stage in stages if stage.spec.name in wanted):
        if why := no_model(study, stage):
            yield f"{stage.spec.name}: ends without a model: {why}."
        if stage.is_closed:
            continue
        if stage.waits_for:
            why = "because no row of {} came to a good end"
            if any(s.spec.name in stage.waits_for and not s.is_done for s in stages):
                why = "because {} has points left"
            yield f"{stage.spec.name}: not run, {why.format(' and '.join(stage.waits_for))}."
        elif is_part and not stage.is_done:
            done = sum(row.is_done for row in stage.chosen)
            yield (
                f"{stage.spec.name}: {done} of {len(stage.chosen) + stage.num_to_come} points are "
                "finished; "
                "--only left the others for another time."
            )
