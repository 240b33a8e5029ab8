"""What the publication concluded, and what our runs say to it."""

from __future__ import annotations

from collections.abc import Sequence

from modiste.report import claims
from modiste.report.blocks import Block, Cell, Column, Inline, Paragraph, Table, TableRow, Words
from modiste.report.claims import ClaimAnswer, Side, TestAnswer
from modiste.report.context import Context
from modiste.report.numbers import NONE, bound, count, listing, plural, points
from modiste.report.section import SECTIONS, Section
from modiste.spec.published import ClaimTest

_FIGURES = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
    "gap": "training less validation accuracy",
    "epochs": "epochs until it stopped",
    "best_epoch": "epoch of the lowest validation loss",
    "seconds_per_epoch": "seconds for an epoch",
}
_EXPECT = {
    "more": "more than",
    "less": "less than",
    "same": "the same as",
    "not_less": "not less than",
    "not_more": "not more than",
}
_VERDICTS = (
    ("holds", "holds", "hold"),
    ("fails", "fails", "fail"),
    ("undecided", "is undecided", "are undecided"),
)


def build(context: Context) -> Sequence[Block]:
    """Each claim with its answer, and the tests behind it; nothing where nothing was claimed."""
    if not context.published.claims:
        return []
    if context.is_cut:
        text = (
            "The publication's claims are about trainings that came to their end; runs that were "
            "cut say nothing to them. The full profile answers them."
        )
        return [Paragraph([text.replace("'", "’")])]
    answers = claims.answer(context)
    return [
        Paragraph(_in_short(answers)),
        _claims_table(context, answers),
        Paragraph(_reading(), "note"),
        _tests_table(context, answers),
    ]


def _in_short(answers: Sequence[ClaimAnswer]) -> Words:
    parts = []
    for verdict, one, many in _VERDICTS:
        ids = [found.claim.id for found in answers if found.verdict == verdict]
        if ids:
            parts.append(f"{count(len(ids))} {one if len(ids) == 1 else many} ({', '.join(ids)})")
    return [f"Of {plural(len(answers), 'claim')}, {listing(parts)}."]


def _reading() -> Words:
    return [
        (
            "How a claim is put to the runs: two groups of points are compared in one figure, at "
            "the last epoch, each point counting once, both groups from one stage wherever they "
            "can be. The interval is at 95 % and covers seeds (by the repeats of the stage, or "
            "else of the family on the same data) and, where validation accuracy is in the "
            "figure, images. Where "
            "no comparable point was repeated, the spread over seeds is not known, and nothing is "
            "decided on images only; nor on seeds only, where the points of a group answered "
            "different images. A test holds or fails only if its interval lies wholly on "
            "one side, and once all its points have run, every run to a good end and as far as the "
            "figure asks; a claim holds if all the tests that decide it hold, and fails if one "
            "fails. "
            "The mean of a group is known better than any of its points, so a claim about groups "
            "can hold although no two single points can be told apart. "
            "No allowance is made for their number: among twenty tests of nothing, one would "
            "come out wrong; an answer that such an allowance would take back is marked ¤. "
            "Accuracies differ in percentage points, losses in nats; training accuracy and loss "
            "are those of the trained net on its training images, not those seen in training."
        )
    ]


def _claims_table(context: Context, answers: Sequence[ClaimAnswer]) -> Table:
    rows = []
    for found in answers:
        claim = found.claim
        note = " ".join(part for part in (claim.note, claim.because) if part)
        verdict = Cell(found.verdict, mark="" if found.is_firm else "¤", is_strong=True)
        cells = [Cell(claim.id), Cell(claim.says, note=note), verdict]
        rows.append(TableRow(cells))
    columns = [
        Column("claim", is_number=False),
        Column("what the publication concludes", is_number=False),
        Column("here it", is_number=False),
    ]
    return Table(
        "table-claims",
        ["The publication’s claims, answered."],
        columns,
        rows,
        notes=_softly(context, answers),
    )


def _softly(context: Context, shown: Sequence[ClaimAnswer | TestAnswer]) -> list[Words]:
    """What the mark at an answer means that does not bear an allowance; none without such."""
    if all(each.is_firm for each in shown):
        return []
    return [
        [
            (
                f"¤ Not if one allows for all {count(claims.num_deciding(context))} tests that "
                "decide claims (Bonferroni): the interval is wider then, and leaves the other "
                "answer open."
            )
        ]
    ]


def _tests_table(context: Context, answers: Sequence[ClaimAnswer]) -> Table:
    rows = [
        TableRow(_test_cells(found.claim.id, test)) for found in answers for test in found.tests
    ]
    columns = [
        Column("claim", is_number=False),
        Column("expected", is_number=False),
        Column("points"),
        Column("runs"),
        Column("first"),
        Column("second"),
        Column("difference"),
        Column("95 % interval"),
        Column("published"),
        Column("answer", is_number=False),
    ]
    stages = [
        name
        for found in answers
        for test in found.claim.tests
        for group in (test.one, test.two)
        for name in group.stages
    ]
    shown = [test for found in answers for test in found.tests]
    notes: list[Words] = [
        *_softly(context, shown),
        ["* Shown beside; the claim does not stand or fall with it."],
        [
            (
                "Points and runs: those of the first group v those of the second, as far as they "
                "ran; beside a published difference, the rows behind it, where they are others: "
                "those that were printed may be the best of more."
            )
        ],
    ]
    if any(test.found is not None and not test.covers_seeds for test in shown):
        notes.append(["‖ Images only; the spread over seeds is not known, so nothing is decided."])
    if any(map(_is_of_seeds_only, shown)):
        notes.append(
            [
                (
                    "† Seeds only: the points of a group answered different images, so nothing is "
                    "decided."
                )
            ]
        )
    if any(side.has_broken for test in shown for side in (test.one, test.two)):
        notes.append(
            ["¶ Some runs diverged or ran out of memory; what survived of a point decides nothing."]
        )
    if any(test.num_without for test in shown):
        notes.append(
            [
                (
                    "‡ Some runs have no such figure, as where they ended before that epoch; those "
                    "that have it decide nothing."
                )
            ]
        )
    if any(test.found is not None and not test.is_of_one_stage for test in shown):
        notes.append(["§ The groups stand in two stages: they name none that they have in common."])
    return Table(
        "table-claim-tests",
        ["What each claim says of our runs, and what they say to it."],
        columns,
        rows,
        notes=notes,
        command=context.whole_command(*dict.fromkeys(stages)),
    )


def _test_cells(claim: str, answer: TestAnswer) -> list[Cell]:
    test, found = answer.test, answer.found
    apart = "§" if found is not None and not answer.is_of_one_stage else ""
    cells = [
        Cell(claim),
        Cell(_expected(test), mark="" if test.decides else "*"),
        Cell(f"{_points(answer.one)} v {_points(answer.two)}", mark=apart),
        Cell(
            f"{answer.one.num_runs} v {answer.two.num_runs}",
            mark=_of_runs(answer),
        ),
    ]
    published = _published(answer)
    if found is None:
        why = _why_unknown(answer.one, answer.two)
        return [*cells, Cell(why, span=4), published, Cell("undecided")]
    interval = Cell("seeds unknown")
    if found.low is not None and found.high is not None:
        ends = f"{_end(test, found.low)} to {_end(test, found.high)}"
        images = "†" if _is_of_seeds_only(answer) else ""
        interval = Cell(ends, mark=images if answer.covers_seeds else "‖")
    return [
        *cells,
        Cell(_value(test, found.one), found.one),
        Cell(_value(test, found.two), found.two),
        Cell(_difference(test, found.difference), found.difference),
        interval,
        published,
        Cell(
            answer.verdict,
            mark="" if answer.is_firm else "¤",
            is_strong=answer.verdict != "undecided",
        ),
    ]


def _of_runs(answer: TestAnswer) -> str:
    """The marks beside the number of runs."""
    broken = "¶" if answer.one.has_broken or answer.two.has_broken else ""
    return broken + ("‡" if answer.num_without else "")


def _is_of_seeds_only(answer: TestAnswer) -> bool:
    return answer.covers_seeds and not answer.covers_images


def _why_unknown(one: Side, two: Side) -> str:
    if any(side.has_broken and not side.done for side in (one, two)):
        return "no run ended well"
    return "not known of every point" if one.done and two.done else "not run yet"


def _published(answer: TestAnswer) -> Cell:
    """The published difference, with its rows where it stands on others than ours."""
    theirs = answer.published
    if theirs is None:
        return Cell(NONE)
    ours = len(answer.one.rows), len(answer.two.rows)
    note = "" if theirs.num_rows == ours else "{} v {} rows".format(*theirs.num_rows)
    return Cell(_difference(answer.test, theirs.difference), theirs.difference, note=note)


def _expected(test: ClaimTest) -> str:
    figure = _FIGURES.get(test.figure)
    if figure is None:
        figure = f"training loss in epoch {test.figure.partition('@')[2]}"
    words: list[Inline] = [f"{figure}: {test.one.name} {_EXPECT[test.expect]} {test.two.name}"]
    if test.margin:
        words.append(f", within {_size(test, test.margin)}")
    return "".join(str(word) for word in words)


def _points(side: Side) -> str:
    done, total = len(side.done), len(side.rows)
    return count(done) if done == total else f"{done} of {total}"


def _is_share(test: ClaimTest) -> bool:
    return test.figure.endswith("accuracy") or test.figure == "gap"


def _digits(test: ClaimTest) -> int:
    return 4 if _is_share(test) or "loss" in test.figure else 1


def _value(test: ClaimTest, value: float) -> str:
    return f"{value:.{_digits(test)}f}".replace("-", "−")


def _difference(test: ClaimTest, value: float | None) -> str:
    if value is None:
        return NONE
    return points(value) if _is_share(test) else f"{value:+.{_digits(test)}f}".replace("-", "−")


def _end(test: ClaimTest, value: float) -> str:
    """Of an interval: one sees on which side of 0 it lies."""
    return bound(value) if _is_share(test) else _difference(test, value)


def _size(test: ClaimTest, value: float) -> str:
    return f"{100 * value:g} points" if _is_share(test) else f"{value:g}"


SECTIONS.add("claims", Section("The publication’s claims", 35, build))
