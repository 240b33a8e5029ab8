"""Write what the docs say of the committed results: README's table of rows, and docs/claims.md.

python -m docs.results
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from docs.made.markdown import between, table
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
HEAD = ("stage", "row", "published: val., test", "ours: val.", "n", "difference", "ours: test")


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
        f"From the {runs} in results/fashion-mnist; the report there says the same",
    )
    return markdown.render(head, [SectionText("Claims", "claims", "", claims.build(context))])


def with_table(readme: str, context: Context) -> str:
    """The README with every published row beside ours."""
    stages = context.stages
    rows = [(stage, row) for stage in stages for row in stage.rows if row.published]
    lines = (_cells(context, stage, row) for stage, row in rows)
    return between("results", readme, table(HEAD, lines))


def _cells(context: Context, stage: StageFacts, row: RowFacts) -> list[str]:
    published = row.published
    assert published is not None
    theirs = [proportion(published.val_accuracy)]
    if published.test_accuracy is not None:
        theirs.append(proportion(published.test_accuracy))
    name = markdown.escape(row.label if len(stage.rows) > 1 else stage.title)
    cells = [stage.name, name, ", ".join(theirs)]
    ours = row.values("last", "val", "accuracy")
    if not ours:
        return [*cells, "not run yet", "", "", ""]
    mean = row.mean("last", "val", "accuracy")
    difference = ""
    if mean is not None and published.val_accuracy is not None:
        difference = points(mean - published.val_accuracy)
    test = _test(context, row) if published.test_accuracy is not None else ""
    return [*cells, spread(mean, deviation(ours)), count(len(ours)), difference, test]


def _test(context: Context, row: RowFacts) -> str:
    looked = [score.accuracy for score in scores(context.looks, row.row.fingerprints, "last")]
    return spread(fmean(looked), deviation(looked)) if looked else "not opened"


if __name__ == "__main__":
    main()
