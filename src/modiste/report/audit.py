"""The report of an audit: what a reader should doubt about a data set, with pictures."""

from __future__ import annotations

from pathlib import Path

from modiste.evaluate.audit import by_kind
from modiste.evaluate.duplicates import KINDS, Counts
from modiste.evaluate.worth import Measured
from modiste.report import audit_found, audit_worth, html, markdown
from modiste.report.audit_found import share, share_with_interval
from modiste.report.audit_record import AuditReport
from modiste.report.audit_worth import interval
from modiste.report.blocks import (
    Block,
    CodeLine,
    Facts,
    Inline,
    Paragraph,
    Ref,
    SectionText,
    Strong,
)
from modiste.report.html import Head
from modiste.report.numbers import count, listing, plural, points, proportion
from modiste.runs import files


def write(report: AuditReport, folder: Path) -> list[Path]:
    """Write `audit.html` and `audit.md`; the same audit gives the same bytes.

    Raises:
        StoreError: If they cannot be written.
    """
    head = Head(
        f"What to doubt about {report.name}",
        "Audit of a data set",
        f"{count(len(report.audit.images))} images · {report.audit.images.num_classes} classes"
        f" · split seed {report.split_seed} · data {report.data_digest[:12]}",
        "the images and, where models are named, their saved answers",
        "audit.html",
    )
    built = [
        ("In short", "summary", _summary(report)),
        ("Duplicates", "duplicates", audit_found.duplicates(report)),
        ("Labels", "labels", audit_found.labels(report)),
        ("Outliers", "outliers", audit_found.outliers(report)),
        ("Classes", "classes", audit_found.balance(report)),
        ("What it is worth", "worth", audit_worth.worth(report)),
        ("The test set", "test", audit_worth.test_set(report)),
    ]
    sections = [
        SectionText(title, ident, str(number) if number else "", blocks)
        for number, (title, ident, blocks) in enumerate(built)
    ]
    paths = [folder / "audit.html", folder / "audit.md"]
    files.write_bytes(paths[0], files.to_utf8(html.render(head, sections)))
    files.write_bytes(paths[1], files.to_utf8(markdown.render(head, sections)))
    return paths


def _summary(report: AuditReport) -> list[Block]:
    audit = report.audit
    num_val, leaks = int(audit.is_val_N.sum()), int(audit.leaks_N.sum())
    kinds = by_kind(audit.train_twins_N[audit.is_val_N])
    lead: list[Inline] = [
        f"Of {count(num_val)} validation images, ",
        Strong(count(leaks)),
        (
            f" ({share_with_interval(leaks, num_val)}) "
            f"{'has' if leaks == 1 else 'have'} a duplicate among the "
            f"{count(len(audit.images) - num_val)} training images"
        ),
        f": {_kinds_in_words(kinds)}." if leaks else ", exact, mirrored or near.",
    ]
    suspects, outliers = len(audit.suspects), len(audit.outliers_M)
    more: list[Inline] = [
        (
            f"{count(suspects)} labels of {count(len(audit.images))} "
            f"({share(suspects, len(audit.images))}) are suspect, and {plural(outliers, 'image')} "
            f"{'lies' if outliers == 1 else 'lie'} far from all others. "
        )
    ]
    best = max(report.models, key=lambda model: model.accuracy, default=None)
    if best is not None:
        more += _worth_in_short(best)
    facts = [
        ("training images", count(len(audit.images) - num_val)),
        ("validation images", count(num_val)),
        ("closeness", f"{audit.closeness:g}"),
        ("small net, unseen images", proportion(audit.accuracy)),
        ("test set", "compared, no accuracy" if report.comparison else "not opened"),
    ]
    return [
        Paragraph(lead, "lead"),
        Facts(facts),
        Paragraph(more),
        CodeLine(report.command),
    ]


def _worth_in_short(model: Measured) -> list[Inline]:
    found = model.without["duplicates"]
    if found.difference is None:
        return ["No validation image is free of them."]
    return [
        "The best model here, ",
        Strong(model.name),
        (
            f", has an accuracy of {proportion(model.accuracy)} on all validation images and "
            f"{proportion(found.accuracy)} without the duplicates: {points(found.difference)} "
            f"points ({interval(found)}); see "
        ),
        Ref("worth"),
        ".",
    ]


def _kinds_in_words(counts: Counts) -> str:
    return listing([f"{count(counts[kind])} {kind}" for kind in KINDS])
