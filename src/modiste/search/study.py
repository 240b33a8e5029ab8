"""A study on disk: what was asked, which runs belong to it, and what they decided.

    STUDY/
      study.json        the study as it was read, profile, seed, overrides, published figures
      trials/NAME.json  of a stage that searches, the points it has chosen so far
      stages/NAME.json  the points of a stage with the fingerprints of their runs; its winner
      runs/ID/          run folders, shared by all stages: ID begins the fingerprint
      final/ID/         what the test set said of a frozen list of runs, once opened
      models/NAME/      the models of the stages that a study ends with
      exported/NAME/    those of them that are exported
      damaged/ID/       runs that were no longer what was written; nobody reads them
      split-*.json      which images were trained on, and which validated on
      data.json         what was found of images of your own
      duplicates.json   which validation images equal a training image
      budget.json       the stages that a budget of time has closed, if any are
      latency.json      how long an image takes, where a search weighs that
      timeline.jsonl    which worker had which run, and when
      audit/            what an audit of its data found, if there was one
      figures/          pictures for the report
      work/             unfinished work; nothing in it is needed to read results
      report.html, report.md

All but runs, looks and what was timed can be made again from these and `study.json`. Collected
results have `ledger/` and a folder NAME/ for each stage besides; see `collect`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modiste.errors import ResumeError, StoreError, need_path
from modiste.runs import files
from modiste.runs.run import Epoch, Run
from modiste.search import shown, study_json, trial_log
from modiste.search.answers import Answers, Kept
from modiste.search.changes import counted, differences, moved, without_place
from modiste.search.climbing import Trial, climb
from modiste.search.closing import closed_stages
from modiste.search.leaderboard import leaderboard
from modiste.search.made import Made, Printed
from modiste.search.row import Row, rank_key
from modiste.search.table import Table
from modiste.search.work_folder import Lock
from modiste.spec.match import holds
from modiste.spec.run import RunSpec, versions_here
from modiste.spec.settings import Settings, layered
from modiste.spec.study import Found, Override, StageSpec, StudySpec, inherited

if TYPE_CHECKING:
    import pandas as pd

# What was found of images of your own, when they were read.
DATA_FACTS = "data.json"
ELSEWHERE = "Choose another folder with --out DIR (`out=` in Python), or move that one away."


@dataclass(frozen=True)
class Stage:
    """A stage with its rows.

    Attributes:
        spec: As the study file has it.
        rows: Every point of the published protocol, run or not; empty while the stage waits for
            the winner of another. Of a search, those it has chosen, as far as they were let up.
        skipped: Why this profile runs nothing of it; empty if it does.
        waits_for: Stages whose winners it needs and that are not finished.
        given: What those that it needs have handed on, by name; empty while it waits.
        inherited: What it took over from their winners.
        stands_aside_for: The stage that it would confirm, did the profile not skip it or a budget
            close it: where it has no winner itself, that one's is handed on in its place.
        trials: Of a search, a trial for each row.
        listed: Of a search, its points as its list has them, by combination of compared values.
        num_to_come: Of a search, points that it has not chosen yet.
        is_foreseen: Some of its trials are guesses, as a plan makes them.
        is_closed: A budget of time has closed it: what it has found by then is its result.
        rank_epoch: Whose validation accuracy ranks.
    """

    spec: StageSpec
    rows: tuple[Row, ...]
    skipped: str = ""
    waits_for: tuple[str, ...] = ()
    given: Mapping[str, Found] = field(default_factory=dict)
    inherited: Settings = field(default_factory=dict)
    stands_aside_for: Stage | None = None
    trials: tuple[Trial, ...] = ()
    listed: trial_log.Chosen = field(default_factory=list)
    num_to_come: int = 0
    is_foreseen: bool = False
    is_closed: bool = False
    rank_epoch: Epoch = "last"

    @cached_property
    def chosen(self) -> list[Row]:
        return [row for row in self.rows if row.is_chosen]

    @property
    def lower(self) -> list[Row]:
        """Rows of the rungs that trials have left behind; of a closed search, all other rungs."""
        return [row for trial in self.trials for row in trial.rungs if row is not trial.row]

    @property
    def tops(self) -> list[Row]:
        """What is to be run of it: chosen rows; of a search, up to where its trials were let."""
        rows = [trial.top for trial in self.trials] if self.trials else self.rows
        return [row for row in rows if row.is_chosen]

    @cached_property
    def is_done(self) -> bool:
        is_all = not self.waits_for and not self.num_to_come
        return is_all and all(row.is_done for row in self.tops)

    @property
    def is_decided(self) -> bool:
        """Whether later stages may begin with what it has found."""
        return self.is_done or self.is_closed

    def ranked(self, epoch: Epoch) -> list[Row]:
        """Finished rows, best first.

        Those that were trained to the end come before those that were cut, and these by how far
        they got; then by `rank_key`. Those that broke come last.
        """

        def key(item: tuple[int, Row]) -> tuple[bool, float, tuple[float, int, int]]:
            position, row = item
            rank = rank_key(row, epoch, position)
            until = math.inf if row.until is None else row.until
            return math.isinf(rank[0]), -until, rank

        done = [item for item in enumerate(self.rows) if item[1].is_done and item[1].is_chosen]
        return [row for _, row in sorted(done, key=key)]


class Study:
    """A study folder.

    Args:
        folder: Holds `study.json`.
        value: What `study.json` is to hold; read from it if not given.
        without: Names of run folders that are taken as not there.

    Raises:
        SpecError: If the folder is no path.
        StoreError: If there is no `study.json`, or it cannot be read.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        value: dict[str, Any] | None = None,
        without: Collection[str] = (),
    ) -> None:
        self.folder = folder = need_path(folder, "folder")
        self._without = without
        value = study_json.checked(folder, value)
        self.spec = StudySpec.parse(value["spec"], f"{folder}/study.json")
        self.file: str = value["file"]
        self.out: str = value["out"]
        self.profile: str = value["profile"]
        self.seed: int = value["seed"]
        self.data_digest: str = value["data_digest"]
        self.versions: dict[str, Any] = value["versions"]
        self.published: dict[str, Any] = value.get("published") or {}
        self.committed: dict[str, dict[str, Any]] = value.get("committed") or {}
        self._runs: dict[str, Run] = {}
        self._run_folders = f"{folder / 'runs'}{os.sep}"
        self._kept = Kept(folder)
        self.overrides = [Override(**override) for override in value.get("overrides", [])]
        given = self.spec, self.profile, self.seed, self.overrides
        self._made = Made(*given, self._fingerprint)

    @classmethod
    def create(  # noqa: PLR0913 (by keyword: what a study folder holds)
        cls,
        folder: Path,
        spec: StudySpec,
        *,
        profile: str,
        seed: int,
        data_digest: str,
        overrides: Sequence[Override] = (),
        published: dict[str, Any] | None = None,
        committed: dict[str, dict[str, Any]] | None = None,
        file: str = "",
        is_written: bool = True,
    ) -> Study:
        """Make the folder, or open it if it holds this study, or one that this one continues.

        A study file may grow between two calls (more stages, more points of a grid, other words,
        another profile): whatever is finished must have its place in the new one, too.

        Args:
            folder: Where it goes.
            spec: What was asked.
            profile: ``quick`` or ``full``.
            seed: Of every point.
            data_digest: Of the images that may be trained on.
            overrides: Over everything in the spec.
            published: Figures to compare with, as they were read.
            committed: What `summary` said of collected results of the full profile.
            file: The study file, as it was named; commands in the report repeat it.
            is_written: If not, nothing is: what comes back is the study as it would be.

        Raises:
            ResumeError: If the folder holds another profile, seed, data, versions or overrides,
                or finished runs that this study has no place for; names what differs.
            StoreError: If something is to change while another process works on the folder.
        """
        value = {
            "schema": study_json.SCHEMA,
            "file": file or f"studies/{spec.name}.yaml",
            "out": str(folder),
            "profile": profile,
            "seed": seed,
            "data_digest": data_digest,
            "versions": dict(versions_here()),
            "overrides": [vars(override) for override in overrides],
            "spec": spec.to_dict(),
            "published": published,
            "committed": committed,
        }
        path = folder / "study.json"
        if path.exists():
            there = files.read_json(path)
            if differs := differences(there, value):
                raise ResumeError(
                    f"{folder} holds a study that differs in: {'; '.join(differs)}. {ELSEWHERE}"
                )
            if there["spec"] != value["spec"]:
                cls._need_places(folder, there, value)
        if not is_written:
            return cls(folder, value)
        if not path.exists():
            files.need_own(folder, ELSEWHERE)
        if not path.exists() or there != value:
            with Lock(folder / "work" / "lock"):  # not under the hands of who works on the old one
                files.write_json(path, value)
        return cls(folder)

    @classmethod
    def _need_places(cls, folder: Path, there: dict[str, Any], value: dict[str, Any]) -> None:
        """Refuse a study that has no place for a finished run of the one that is there."""
        # Whoever drives on sets damaged runs aside: there is nothing to be lost of them.
        damaged = {path.name for path, _ in files.damaged(folder / "runs")}
        new, old = (cls(folder, each, damaged) for each in (value, there))
        if lost := without_place(old, new):
            raise ResumeError(
                f"{folder} holds finished runs that the study file has no place for any more: "
                f"{counted(lost)}.{moved(old, new, lost)} {ELSEWHERE[0].lower()}{ELSEWHERE[1:]}"
            )

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Study:
        """A study folder that is there.

        Raises:
            StoreError: If it is none, or cannot be read.
        """
        return cls(folder)

    def table(self, stage: str | None = None, *, each_seed: bool = False) -> Table:
        """The leaderboard as a list of dictionaries; `Table.to_frame` makes a DataFrame of it.

        Args:
            stage: One stage; all of them, if not given.
            each_seed: A line for each run, not for each row.

        Returns:
            See `modiste.search.leaderboard.leaderboard`, which says what the columns are.
        """
        return leaderboard(self, stage, each_seed=each_seed)

    @cached_property
    def name(self) -> str:
        return self.spec.name

    @property
    def data_place(self) -> Path | None:
        """Where the images lie, as far as the study says so, seen from where its file is named."""
        return self.spec.data_place(self.file)

    def __fspath__(self) -> str:
        """A study goes wherever its folder does."""
        return str(self.folder)

    def __repr__(self) -> str:
        return f"Study({str(self.folder)!r})"

    def to_frame(self) -> pd.DataFrame:
        """Every finished run as a row of a DataFrame.

        Columns: stage, row, seed, fold, fingerprint, status, epochs, seconds, parameters; of the
        best and the last epoch validation accuracy and loss, such as ``val_accuracy_last``, and the
        accuracy on the fold held out; then what the rows set, under full keys. A run that two
        stages share is a row of each.

        Raises:
            InstallError: If pandas is not installed.
        """
        return shown.frame(self)

    def _repr_html_(self) -> str:
        return shown.html(self)

    def _fingerprint(self, spec: RunSpec) -> str:
        return spec.fingerprint(self.data_digest, self.versions)

    def run_folder(self, fingerprint: str) -> Path:
        """Where the run of that fingerprint lies, or will."""
        return self.folder / "runs" / fingerprint[:16]

    def find_run(self, fingerprint: str) -> Run | None:
        """The finished run of that fingerprint, if there is one."""
        if fingerprint in self._runs:
            return self._runs[fingerprint]
        # Asked of every run to come after each that ends: paths of text are a fifth of the work.
        if (
            fingerprint[:16] in self._without
            or not os.path.isfile(  # noqa: PTH113
                f"{self._run_folders}{fingerprint[:16]}/manifest.json"
            )
        ):
            return None
        folder = self.run_folder(fingerprint)
        run = Run(folder)
        if run.fingerprint != fingerprint:
            raise StoreError(f"{folder}: holds another run ({run.fingerprint[:16]}); move it away.")
        self._runs[fingerprint] = run
        return run

    def has_answers(self, run: Run) -> bool:
        """Whether a run's validation answers can still be told; see `answers`."""
        return run.has_predictions or run.fingerprint in self._kept

    def answers(self, run: Run, epoch: Epoch) -> Answers:
        """A run's validation answers: as `collect` kept them, or from its logits.

        Raises:
            StoreError: If neither is there.
        """
        return self._kept.answers(run, epoch)

    def held_answers(self, run: Run, epoch: Epoch) -> Answers:
        """A run's answers for the fold that was held out from it: its out-of-fold predictions.

        Over the folds of one repeat they are of every image once, by a model that had no part of
        it in fitting, stopping or choosing.

        Raises:
            StoreError: If there was no such fold, or its answers were not kept.
        """
        return self._kept.held_answers(run, epoch)

    def stages(self) -> list[Stage]:
        """Every stage, in order, with what is finished of it."""
        answer: list[Stage] = []
        closed = closed_stages(self.folder)
        for spec in self.spec.stages:
            answer.append(self._stage(spec, answer, is_closed=spec.name in closed))
        return answer

    def stage(self, name: str) -> Stage:
        """One stage, with what is finished of it."""
        self.spec.stage(name)
        return next(stage for stage in self.stages() if stage.spec.name == name)

    def winner(self, stage: Stage) -> Row | None:
        """The best row of a stage that is decided; none where every row has a run that broke."""
        ranked = stage.ranked(self.spec.rank_epoch) if stage.is_decided else []
        has_figures = ranked and not math.isnan(ranked[0].mean("last", "val", "correct"))
        return ranked[0] if has_figures else None

    def hands_on(self, stage: Stage, among: Settings | None = None) -> Found | None:
        """What later stages take over from one that is decided; none where it has no winner.

        Args:
            stage: Whose rows.
            among: Only those that agree with these full keys count, or need be finished.
        """
        if among:
            rows = tuple(row for row in stage.rows if holds(row.specs[0].to_dict(), among))
            trials = tuple(t for t in stage.trials if any(t.row is row for row in rows))
            return self.hands_on(replace(stage, rows=rows, trials=trials))
        if self.winner(stage) is None:
            aside = stage.stands_aside_for
            confirm = stage.spec.confirm
            among = confirm.among if confirm else None
            return None if aside is None else self.hands_on(aside, among)
        ranked = stage.ranked(self.spec.rank_epoch)
        good = [row for row in ranked if not math.isnan(row.mean("last", "val", "correct"))]
        return Found(tuple((row.label, layered(stage.inherited, row.settings)) for row in good))

    def _stage(self, spec: StageSpec, earlier: Sequence[Stage], *, is_closed: bool) -> Stage:
        found: dict[str, Found] = {}
        waits = []
        origin = None
        for name in self.spec.needs(spec):
            origin = next(stage for stage in earlier if stage.spec.name == name)
            handed = self.hands_on(origin, spec.confirm.among if spec.confirm else None)
            if handed is None:
                waits.append(name)
            else:
                found[name] = handed
        skipped = spec.profile(self.profile).skip or ""
        aside = origin if spec.confirm and (skipped or is_closed) else None
        stage = Stage(
            spec,
            (),
            skipped,
            tuple(waits),
            stands_aside_for=aside,
            is_closed=is_closed,
            rank_epoch=self.spec.rank_epoch,
        )
        if waits:
            return stage
        stage = replace(stage, given=found, inherited=inherited(spec, found))
        if spec.search is not None:
            return self._searched(spec, found, stage)
        return replace(stage, rows=self.rows(spec, found))

    def rows(self, spec: StageSpec, found: Mapping[str, Found]) -> tuple[Row, ...]:
        """The rows of a stage that does not search, given what those that it needs have found."""
        return tuple(map(self.row, self._made.given(spec, found)))

    def _searched(self, spec: StageSpec, found: Mapping[str, Found], stage: Stage) -> Stage:
        """A stage that searches, with the points it has chosen so far."""
        search = spec.searched(self.profile)
        assert search is not None
        chosen = trial_log.read(self.folder, spec.name, search, stage.inherited)
        trials = self.climbed(spec, found, chosen)
        if stage.is_closed:
            trials = [trial.closed for trial in trials]
        to_come = sum(
            search.num_trials(group) - len(points)
            for group, points in zip(search.groups(), chosen, strict=True)
            if spec.is_chosen(self.profile, group)
        )
        rows = tuple(trial.row for trial in trials)
        return replace(stage, rows=rows, trials=tuple(trials), listed=chosen, num_to_come=to_come)

    def climbed(
        self,
        spec: StageSpec,
        found: Mapping[str, Found],
        chosen: Sequence[Sequence[Settings]],
        *,
        foresees: bool = False,
    ) -> list[Trial]:
        """The trials of a search, as far as they have been let up.

        Args:
            spec: Of the stage.
            found: What the stages that it needs have found.
            chosen: Points of each combination of compared values.
            foresees: Up to where some of them will come in the end; see `climb`.
        """
        search = spec.searched(self.profile)
        assert search is not None

        def cut(row: Row, until: int) -> Row:
            return self.row(self._made.cut(spec, found, row, until))

        trials: list[Trial] = []
        for index, group in enumerate(search.groups()):
            points = self._made.chosen(spec, found, index, group, chosen[index])
            trials += climb(
                index,
                list(map(self.row, points)),
                search.brackets(group),
                cut,
                self.spec.rank_epoch,
                foresees=foresees,
            )
        return trials

    def row(self, printed: Printed) -> Row:
        """A point with the runs that it has so far."""
        known = printed.row
        if known is not None and known.is_done:  # nothing more will come
            return known
        point, names = printed.point, printed.fingerprints
        runs = tuple(run for run in map(self.find_run, names) if run is not None)
        if known is None or known.runs != runs:
            given = point.label, point.settings, point.specs, names, point.is_chosen, runs
            known = printed.row = Row(*given, point.specs[0].train.until)
        return known
