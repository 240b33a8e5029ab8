"""The first screen: the answer, the final models beside the published ones, what was cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modiste.report import answer, cells, looks, prose
from modiste.report.blocks import (
    Block,
    Cell,
    Code,
    Column,
    Facts,
    Inline,
    Paragraph,
    Ref,
    Table,
    TableRow,
    Words,
)
from modiste.report.context import Context
from modiste.report.cuts import all_cut
from modiste.report.facts import RowFacts, StageFacts, mean
from modiste.report.numbers import NONE, count, duration, listing, plural, proportion
from modiste.report.section import SECTIONS, Section
from modiste.runs.run import Epoch
from modiste.search.standing import own_interval
from modiste.search.weights import no_model
from modiste.spec.published import PublishedRow


def build(context: Context) -> Sequence[Block]:
    """Three sentences, a few facts, one table."""
    sentences = (answer.best(context), answer.beside(context), answer.evidence(context))
    return [
        Paragraph(prose.joined(*sentences), "lead"),
        Facts(_facts(context)),
        *([Paragraph(caveats, "note")] if (caveats := answer.caveats(context)) else []),
        _table(context),
    ]


def _facts(context: Context) -> list[tuple[str, str]]:
    pairs = [
        ("profile", context.study.profile),
        ("what was cut", all_cut(context.cuts) or "nothing"),
    ]
    skipped = [answer.in_text(stage.title) for stage in context.stages if stage.stage.skipped]
    if skipped:
        pairs.append(("not run", listing(skipped)))
    closed = [answer.in_text(stage.title) for stage in context.stages if stage.stage.is_closed]
    if closed:
        pairs.append(("closed by the budget", listing(closed)))
    bare = [stage for stage in context.stages if no_model(context.study, stage.stage)]
    if bare:
        pairs.append(("without a model", listing([answer.in_text(stage.title) for stage in bare])))
    if context.runs:
        seconds = sum(run.metrics["seconds"] for run in context.runs)
        runs = plural(len(context.runs), "run")
        pairs.append(("trained here", f"{runs} in {duration(seconds)}"))
    pairs.append(("test set", "opened" if context.looks else "not opened"))
    return [*pairs, *looks.tally_facts(context.tally)]


@dataclass(frozen=True)
class _Model:
    """A line of the table; `row` is none while its stage waits for another."""

    context: Context
    stage: StageFacts
    row: RowFacts | None

    @property
    def published(self) -> PublishedRow | None:
        return self.row.published if self.row else None

    @property
    def mark(self) -> str:
        """Set at our figures that stand beside published ones and are not comparable."""
        return "‡" if self.stage.touches_runs and self.published else ""

    def name(self) -> Cell:
        stage = self.stage
        if self.row is None:
            return Cell(stage.title, note=_why_none(stage))
        if len(stage.rows) > 1:
            return Cell(stage.title, note=f"best of its points: {self.row.label}")
        return Cell(stage.title, note=self.row.status)

    def parameters(self) -> Cell:
        total = self.row.parameters if self.row else None
        if total is None and self.published and self.published.parameters:
            total = self.published.parameters.total
        return Cell(count(total), total)

    def published_test(self) -> Cell:
        return Cell(proportion(self.published.test_accuracy if self.published else None))

    def published_val(self) -> Cell:
        return Cell(proportion(self.published.val_accuracy if self.published else None))

    def test(self) -> Cell:
        values = [score.accuracy for score in self._scores]
        if not values:
            words = "not tested" if self.context.looks else "not opened"
            return Cell(words if self.row else NONE, is_muted=True)
        return cells.over_seeds(values, mark=self.mark)

    def test_interval(self) -> Cell:
        scores = self._scores
        return cells.interval([s.accuracy for s in scores], scores[0].total if scores else 0)

    def val(self) -> Cell:
        return cells.over_seeds(self._val, mark=self.mark)

    def val_interval(self) -> Cell:
        """That of the stage's table, so that one number has one interval; or of another epoch."""
        context, row = self.context, self.row
        found = row.interval if row else None
        if row is not None and _is_of_another_epoch(context):
            spread = context.published_spreads.of(self.stage.name, row.row)
            found = own_interval(row.row, _epoch(context), context.study.answers, spread)
        if found is None:
            return Cell(NONE)
        return Cell(f"{proportion(found.low)}–{proportion(found.high)}", found.low)

    def seeds(self) -> Cell:
        if self.row is None or not self.row.runs:
            return Cell(NONE)
        is_folded = self.row.is_folded
        return Cell(self.row.trainings if is_folded else count(len(self.row.runs)))

    def epochs(self) -> Cell:
        return Cell(count(mean(self.row.epochs("last")) if self.row else None))

    def time(self) -> Cell:
        return Cell(duration(self.row.seconds if self.row else None))

    @property
    def _scores(self) -> list[looks.Score]:
        if self.row is None:
            return []
        return looks.scores(self.context.looks, self.row.row.fingerprints, _epoch(self.context))

    @property
    def _val(self) -> list[float]:
        return self.row.values(_epoch(self.context), "val", "accuracy") if self.row else []


def _models(context: Context) -> list[_Model]:
    """The lines of the table; of several points, one that broke stands for no stage."""
    return [
        _Model(context, stage, None if row and row.broken and len(stage.rows) > 1 else row)
        for stage, row in context.finals
    ]


def _why_none(stage: StageFacts) -> str:
    """Why no row stands for a stage, in a few words."""
    if stage.stage.skipped:
        return "not run in this profile"
    if stage.stage.waits_for:
        return f"waits for {listing(list(stage.stage.waits_for))}"
    if stage.ranked and stage.stage.is_decided:
        how = listing(sorted({row.status for row in stage.ranked}))
        return f"no point ended well: {how}"
    return "not finished yet"


def _epoch(context: Context) -> Epoch:
    """Whose accuracies the table shows: of the published epoch, else of the one that ranks."""
    return context.published.epoch if context.published.stages else context.epoch


def _is_of_another_epoch(context: Context) -> bool:
    """Whether the table shows another epoch than the tables of the stages have intervals of."""
    return _epoch(context) != context.epoch


def _table(context: Context) -> Table:
    models = _models(context)
    columns = _columns(context, models)
    rows = [
        TableRow(
            [cell(model) for _, cell in columns],
            is_muted=model.row is None or not model.row.runs,
        )
        for model in models
    ]
    return Table(
        "table-summary",
        _caption(context),
        [column for column, _ in columns],
        rows,
        notes=_notes(context),
        command=_commands(context),
    )


def _commands(context: Context) -> str:
    """One that trains what is shown, and those that show what looks have stored of it."""
    trained = context.whole_command(*[stage.name for stage, _ in context.finals])
    return "\n".join([trained, *_stored(context)])


def _stored(context: Context) -> list[str]:
    """Commands that show the test figures of the table."""
    shown = {name for _, row in context.finals if row for name in row.row.fingerprints}
    looks_at_them = [
        look for look in context.looks if any(run.fingerprint in shown for run in look.runs)
    ]
    return list(dict.fromkeys(map(context.stored_command, looks_at_them)))


def _columns(
    context: Context, models: Sequence[_Model]
) -> list[tuple[Column, Callable[[_Model], Cell]]]:
    """What the table has room for: no column for what nobody published, or nobody asked."""
    has_published = bool(context.published.stages)
    is_tested = any(model.published and model.published.test_accuracy for model in models)
    test, val = "test accuracy", f"validation accuracy, {_epoch(context)} epoch"
    columns: list[tuple[Column, Callable[[_Model], Cell]]] = [
        (Column("model", is_number=False), _Model.name),
        (Column("parameters"), _Model.parameters),
    ]
    if is_tested:
        columns.append((Column("published", test), _Model.published_test))
    if is_tested or context.looks:
        columns.append((Column("ours", test), _Model.test))
        columns.append((Column("95 % interval", test), _Model.test_interval))
    if has_published:
        columns.append((Column("published", val), _Model.published_val))
    return [
        *columns,
        (Column("ours", val), _Model.val),
        (Column("95 % interval", val), _Model.val_interval),
        (Column("seeds"), _Model.seeds),
        (Column("epochs"), _Model.epochs),
        (Column("time"), _Model.time),
    ]


def _caption(context: Context) -> Words:
    words: list[Inline] = ["The models that the study ends with."]
    if context.published.stages:
        words = [
            (
                "The models that the study ends with, and whatever else has a published test "
                "accuracy, beside the published figures."
            )
        ]
    if any(stage.touches_runs for stage, _ in context.finals):
        words.append(
            f" Cut in this {context.study.profile} profile, and so not comparable: the trainings "
            f"were {answer.limits(context)}."
        )
    return words


_TIMES = (
    "Times are of one training, of several seeds in the mean, on the processor and beside the "
    "other work of that hour: they tell what it took, and compare no two models."
)


def _notes(context: Context) -> list[Words]:
    notes: list[Words] = [_intervals(context)]
    if any(model.row is not None and model.row.runs for model in _models(context)):
        notes.append([_TIMES])
    if any(model.mark for model in _models(context)):
        notes.append(["‡ A training that was cut; the published one beside it was not."])
    for stage, row in context.finals:
        theirs = context.published.stages.get(stage.name)
        if theirs is not None and theirs.source and row is not None and row.published is not None:
            notes.append([f"Published for “{stage.title}” by another source: {theirs.source}"])
    return notes


def _intervals(context: Context) -> Words:
    are = "are the ones of "
    if _is_of_another_epoch(context):
        are = f"belong to the {_epoch(context)} epoch, and are worked out as those of "
    words: list[Inline] = [
        f"Intervals are at 95 %. Those of validation accuracies {are}",
        Ref("stages"),
        (
            ": they cover the choice of images and, where the spread between seeds is known, that "
            "of seeds."
        ),
    ]
    if context.looks:
        words.append(
            " Those of test accuracies are Wilson’s and cover the choice of images alone; how far "
            "seeds move these is taken from validation images."
        )
    if _stored(context):
        words += [
            " Below, ",
            Code("modiste evaluate"),
            " is meant for the folder of this report: it shows what is stored, and opens nothing.",
        ]
    return words


SECTIONS.add("summary", Section("In short", 0, build))
