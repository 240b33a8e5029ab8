"""What every section of a report is written from."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from functools import cached_property

from modiste.report import looks as final
from modiste.report.cuts import Cut, cut_of
from modiste.report.facts import RowFacts, StageFacts, stage_facts
from modiste.report.looks import Look
from modiste.report.searching import Searched, searches
from modiste.runs.ledger import NOT_ASKED, Tally
from modiste.runs.run import Epoch, Run
from modiste.search import published as publication
from modiste.search.row import Row
from modiste.search.standing import SeedSpreads, seed_spreads, spread_for
from modiste.search.study import Stage, Study
from modiste.spec.published import PublishedRow, PublishedSpec


@dataclass(frozen=True)
class Context:
    """A study, read once.

    Attributes:
        study: The folder.
        stages: With the figures of their rows, in the order of the study.
        published: Figures to compare with; empty if there are none.
        looks: Openings of the test set for runs of this study.
        tally: Openings of this test set in all, by its ledger.
    """

    study: Study
    stages: tuple[StageFacts, ...]
    published: PublishedSpec
    looks: tuple[Look, ...]
    tally: Tally

    @property
    def epoch(self) -> Epoch:
        """Which epoch's validation accuracy ranks."""
        return self.study.spec.rank_epoch

    @property
    def cuts(self) -> dict[str, Cut]:
        """By stage; those that wait for another are not in it."""
        return {stage.name: stage.cut for stage in self.stages if stage.cut is not None}

    @property
    def is_cut(self) -> bool:
        """Whether any run of this study is another than its full profile's."""
        return any(cut.touches_runs for cut in self.cuts.values())

    @cached_property
    def runs(self) -> list[Run]:
        """Every run of the study, each once, in the order of the stages."""
        found = {
            run.fingerprint: run
            for stage in self.stages
            for row in stage.rows
            for run in row.row.runs
        }
        return list(found.values())

    @cached_property
    def published_spreads(self) -> SeedSpreads:
        """How much a seed moves an accuracy at the epoch that published figures stand beside."""
        stages = [facts.stage for facts in self.stages]
        return seed_spreads(stages, self.published.epoch, studies=[self.study])

    @cached_property
    def searches(self) -> list[Searched]:
        """Every stage that searches and has a trial with figures."""
        return searches(self.stages, self.study.profile, self.epoch)

    @property
    def class_names(self) -> list[str]:
        for run in self.runs:
            return [str(name) for name in run.layers.get("class_names", [])]
        return []

    @property
    def finals(self) -> list[tuple[StageFacts, RowFacts | None]]:
        """The models that the study ends with, each with the row that stands for it.

        These are the winners of the stages that the study file calls final, and models whose
        test accuracy was published. A study that calls none so ends with its last stage.
        """
        answer: list[tuple[StageFacts, RowFacts | None]] = []
        has_finals = any(stage.stage.spec.is_final for stage in self.stages)
        for stage in self.stages:
            published = self.published.stages.get(stage.name)
            is_tested = published and any(row.test_accuracy is not None for row in published.rows)
            is_last = stage is self.stages[-1] and not has_finals
            if stage.stage.spec.is_final or is_tested or is_last:
                best = stage.ranked[0] if stage.ranked else None
                single = stage.rows[0] if len(stage.rows) == 1 else None
                answer.append((stage, best or single))
        return answer

    @property
    def detailed(self) -> list[tuple[StageFacts, RowFacts]]:
        """The models that are shown in detail: every final one with a finished run, each once.

        In a study that calls no stage final, all of `finals`. None of cross-validation: its
        trainings are no models, and each answered other images.
        """
        done = [
            (stage, row)
            for stage, row in self.finals
            if row is not None and row.runs and not row.is_folded
        ]
        done = [pair for pair in done if pair[0].stage.spec.is_final] or done
        unique: dict[tuple[str, ...], tuple[StageFacts, RowFacts]] = {}
        for stage, row in done:
            unique.setdefault(row.row.fingerprints, (stage, row))
        return list(unique.values())

    @cached_property
    def best_of_families(self) -> list[tuple[StageFacts, RowFacts]]:
        """Of each family, the row with the highest validation accuracy and its first stage.

        Of a point that was trained again on fresh seeds these speak: what chose it flattered it. A
        point that stood behind one of these competes no more: it was passed over by figures that
        flattered it as well.
        """
        found: dict[str, tuple[StageFacts, RowFacts]] = {}
        for stage in self.stages:
            confirmed: set[str] = set()
            for row in stage.ranked:
                # Trainings of cross-validation saw fewer images, and none of them is the model.
                if not row.runs or row.broken or row.is_folded or row.row.until is not None:
                    continue
                if self.on_fresh_seeds(stage, row):
                    confirmed.add(row.family)
                if row.family in confirmed:
                    continue
                before = found.get(row.family)
                if before is None or self._accuracy(row) > self._accuracy(before[1]):
                    found[row.family] = (stage, row)
        return list(found.values())

    def on_fresh_seeds(self, stage: StageFacts, row: RowFacts) -> list[tuple[StageFacts, RowFacts]]:
        """The same point in stages that confirm this one, where all its seeds are finished."""
        confirming = (
            other
            for other in self.stages
            if (origin := self.study.spec.confirmed_by(other.stage.spec)) is not None
            and origin.name == stage.name
        )
        return [
            (other, again)
            for other in confirming
            for again in other.rows
            if again.row.label == row.row.label and again.row.is_done and not again.broken
        ]

    @property
    def same_as_another(self) -> list[tuple[StageFacts, StageFacts]]:
        """Final stages whose model is, run for run, that of an earlier one, each with that one."""
        first: dict[tuple[str, ...], StageFacts] = {}
        answer = []
        for stage, row in self.finals:
            if row is None or not row.runs or not stage.stage.spec.is_final:
                continue
            other = first.setdefault(row.row.fingerprints, stage)
            if other is not stage:
                answer.append((stage, other))
        return answer

    def _accuracy(self, row: RowFacts) -> float:
        return row.mean(self.epoch, "val", "accuracy") or 0.0

    def stage(self, name: str) -> StageFacts:
        """A stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)

    def fed_by(self, name: str) -> list[StageFacts]:
        """Stages that take over the winner of this one."""
        return [stage for stage in self.stages if name in stage.stage.spec.from_]

    def command(self, *stages: str) -> str:
        """The command that makes the numbers of these stages again; of all, if none is given."""
        study = self.study
        words = ["modiste", "study", study.file]
        if stages:
            words += ["--stages", ",".join(stages)]
        words += ["--profile", study.profile, "--seed", str(study.seed)]
        for override in study.overrides:
            where = f"{override.stage}:" if override.stage else ""
            value = override.value
            value = value if isinstance(value, str) else json.dumps(value)
            words += ["--set", f"{where}{override.key}={value}"]
        if study.out != f"runs/{study.name}-{study.profile}":
            words += ["--out", study.out]
        return shlex.join(words)

    def whole_command(self, *stages: str) -> str:
        """The command that makes figures of these stages again, with their intervals.

        It adds the stages by whose repeats it is known how much a seed moves these figures.
        """
        spreads = (row.spread for name in stages for row in self.stage(name).rows if row.runs)
        behind = (name for spread in spreads if spread is not None for name in spread.stages)
        return self.command(*dict.fromkeys([*stages, *behind]))

    def stored_command(self, look: Look) -> str:
        """Shows what a look has stored, and opens nothing: for the folder of the report."""
        stages = ",".join(sorted({run.stage for run in look.runs} - {""}))
        return shlex.join(["modiste", "evaluate", ".", *(["--stages", stages] if stages else [])])


def gather(study: Study, tally: Tally = NOT_ASKED) -> Context:
    """Read a study folder.

    Args:
        study: The folder.
        tally: Of the ledger of its test set; unknown, if no ledger was asked.

    Raises:
        StoreError: If a run or a look cannot be read, or is not what was written.
        SpecError: If the published figures make no sense.
    """
    published = publication.read(study.published)
    published.check_claims([stage.name for stage in study.spec.stages], "published")
    stages = study.stages()
    looks = final.read(study.folder / "final")
    epoch = study.spec.rank_epoch
    spreads = seed_spreads(stages, epoch, studies=[study])

    def facts(stage: Stage) -> StageFacts:
        cut = None if stage.waits_for else cut_of(study, stage)

        def find(row: Row) -> PublishedRow | None:
            return publication.find(published, stage.spec.name, row.specs[0])

        committed = study.committed.get(stage.spec.name, {})
        known = spread_for(stage, spreads)
        return stage_facts(stage, cut, epoch, find, study.answers, committed, known)

    return Context(study, tuple(facts(stage) for stage in stages), published, tuple(looks), tally)
