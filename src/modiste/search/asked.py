"""Which points of a study are asked for: whole stages with those they need, and parts of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modiste.errors import SpecError
from modiste.search.study import Stage
from modiste.spec.match import has, holds
from modiste.spec.run import RunSpec
from modiste.spec.settings import Settings
from modiste.spec.study import Override, StageSpec, StudySpec

# Labels in a message.
SHOWN = 8


@dataclass(frozen=True)
class Asked:
    """What is to be run.

    Attributes:
        stages: Names of the stages.
        only: Of their points, those that agree with each of these, in the stages they speak of.
        parts: Stages that are needed in part: of their points, those that agree with one of these.
    """

    stages: frozenset[str]
    only: tuple[Override, ...] = ()
    parts: Mapping[str, tuple[Settings, ...]] = field(default_factory=dict)

    def includes(self, stage: str, spec: RunSpec) -> bool:
        """Whether a point of that stage, with such runs, is to be run."""
        if stage not in self.stages:
            return False
        only = [{part.key: part.value} for part in self.only if part.stage in ("", stage)]
        parts = self.parts.get(stage, ())
        values = spec.to_dict() if only or parts else {}
        return all(holds(values, one) for one in only) and (
            not parts or any(holds(values, one) for one in parts)
        )

    def seen(self, stages: Sequence[Stage]) -> list[Stage]:
        """Those stages as far as they concern whoever waits for them: without what is left out.

        What is finished is there, asked for or not: the best so far may be among it.
        """
        if not self.only and not self.parts:
            return [stage for stage in stages if stage.spec.name in self.stages]
        return [
            replace(
                stage,
                rows=tuple(
                    row
                    for row in stage.rows
                    if row.is_done or stage.trials or self.includes(stage.spec.name, row.specs[0])
                ),
            )
            for stage in stages
            if stage.spec.name in self.stages
        ]

    def check(self, stages: Sequence[Stage]) -> None:
        """Each part of `only` must speak of some point, in case a key or a value is misspelt.

        Args:
            stages: With guesses for what is not known yet; what a search will learn to try is not,
                so of its values nothing is asked.

        Raises:
            SpecError: If one agrees with no point of these stages that are asked for.
        """
        for part in self.only:
            meant = [
                stage
                for stage in stages
                if stage.spec.name in self.stages and part.stage in ("", stage.spec.name)
            ]
            rows = [row for stage in meant for row in stage.chosen]
            text = f"--only {part.stage + ':' if part.stage else ''}{part.key}={part.value}"
            if rows and not any(has(row.specs[0].to_dict(), part.key) for row in rows):
                raise SpecError(
                    f"{text}: no point of these stages has the key {part.key!r}. "
                    "Give a full key, such as model.params.hidden or train.batch_size."
                )
            # What waits for a winner has the values of whichever that will be.
            sure = [row for stage in meant if not stage.waits_for for row in stage.chosen]
            if not sure or any(stage.is_foreseen for stage in meant):
                continue
            if not any(holds(row.specs[0].to_dict(), {part.key: part.value}) for row in sure):
                labels = "; ".join(row.label for row in sure[:SHOWN])
                more = f"; and {len(sure) - SHOWN} more" if len(sure) > SHOWN else ""
                raise SpecError(f"{text}: agrees with no point. There are: {labels}{more}.")


def asked_for(
    study: StudySpec, stages: Iterable[str] | None = None, only: Sequence[Override] = ()
) -> Asked:
    """Stages by name (all, if not given) and those they need, and which of their points.

    Raises:
        SpecError: If the study has no stage of that name.
    """
    names = [stage.name for stage in study.stages] if stages is None else list(stages)
    everything: Settings = {}
    queue = [(name, everything) for name in names]
    wanted: dict[str, list[Settings]] = {}
    while queue:
        name, part = queue.pop()
        stage = study.stage(name)
        if name not in wanted:
            queue += [(other, needed(study, stage, other)) for other in study.needs(stage)]
        wanted.setdefault(name, []).append(part)
    parts = {name: tuple(some) for name, some in wanted.items() if all(some)}
    return Asked(frozenset(wanted), tuple(only), parts)


def needed(study: StudySpec, stage: StageSpec, other: str) -> Settings:
    """With what those points of another stage agree that a stage needs; with nothing if all do."""
    origin = study.confirmed_by(stage)
    # What a search has not come to yet might be among them, so it is needed whole.
    if stage.confirm is None or origin is None or origin.name != other or origin.search is not None:
        return {}
    return stage.confirm.among
