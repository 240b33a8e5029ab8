"""Write what the docs say of the committed results: README's table of rows, and docs/claims.md.

python docs/results.py
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from modiste.report import markdown
from modiste.report.blocks import SectionText
from modiste.report.context import Context, gather
from modiste.report.facts import RowFacts, StageFacts, deviation
from modiste.report.html import Head
from modiste.report.looks import scores
from modiste.report.numbers import count, plural, points, proportion, spread
from modiste.report.sections import claims
from modiste.search.study import Study

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "fashion-mnist"
BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"


def main() -> None:
    """Write both."""
    context = gather(Study(RESULTS))
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text("utf-8"), context), "utf-8")
    (ROOT / "docs" / "claims.md").write_text(claims_page(context), "utf-8")


def claims_page(context: Context) -> str:
    """docs/claims.md: the claims, answered by the committed runs."""
    runs = plural(len(context.runs), "run")
    head = Head(
        "The study's claims, answered",
        "Made by docs/results.py",
        f"from the {runs} in results/fashion-mnist; the report there says the same",
    )
    return markdown.render(head, [SectionText("Claims", "claims", "", claims.build(context))])


def with_table(readme: str, context: Context) -> str:
    """The README with every published row beside ours."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + _table(context) + "\n" + END + after


def _table(context: Context) -> str:
    lines = [
        "| stage | row | published: val., test | ours: val. | n | difference | ours: test |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage in context.stages:
        lines += [_line(context, stage, row) for row in stage.rows if row.published]
    return "\n".join(lines) + "\n"


def _line(context: Context, stage: StageFacts, row: RowFacts) -> str:
    published = row.published
    assert published is not None
    theirs = [
        proportion(figure)
        for figure in (published.val_accuracy, published.test_accuracy)
        if figure is not None
    ]
    name = markdown.escape(row.label if len(stage.rows) > 1 else stage.title)
    cells = [stage.name, name, ", ".join(theirs)]
    ours = row.values("last", "val", "accuracy")
    if not ours:
        return "| " + " | ".join([*cells, "not run yet", "", "", ""]) + " |"
    mean = row.mean("last", "val", "accuracy")
    difference = ""
    if mean is not None and published.val_accuracy is not None:
        difference = points(mean - published.val_accuracy)
    test = _test(context, row) if published.test_accuracy is not None else ""
    cells += [spread(mean, deviation(ours)), count(len(ours)), difference, test]
    return "| " + " | ".join(cells) + " |"


def _test(context: Context, row: RowFacts) -> str:
    looked = [score.accuracy for score in scores(context.looks, row.row.fingerprints, "last")]
    return spread(fmean(looked), deviation(looked)) if looked else "not opened"


if __name__ == "__main__":
    main()
