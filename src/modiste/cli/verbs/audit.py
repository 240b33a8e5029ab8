"""`modiste audit`: what should be doubted about a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "audit"
SHORT = "Duplicates, doubtful labels and outliers of a data set."
EXAMPLE = "modiste audit fashion-mnist --study results/fashion-mnist"
HELP = f"""Look for what should be doubted about a data set.

Exact, mirrored and near duplicates within and across the splits, labels that are probably wrong,
outliers, class balance. With --study: what all of that is worth, from the saved validation answers
of its models; a study keeps the audit, and its report shows what crosses the split. With
--with-test and --reason, duplicates are counted in the test set, too; that is
written into its ledger, and no accuracy comes of it.

Example:  {EXAMPLE}
"""
_KINDS = ("exact", "mirrored", "near", "near mirrored")


def command(
    name: Annotated[
        str,
        typer.Argument(help="A data source, such as fashion-mnist, or a folder.", metavar="DATA"),
    ],
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the report goes; if not given, STUDY/audit or runs/audit-DATA."),
    ] = None,
    num_val: Annotated[
        int | None,
        typer.Option(help="Images kept for validation; a fifth, or the study's.", min=1),
    ] = None,
    split_seed: Annotated[
        int | None, typer.Option(help="Seed of the split; 0, or the study's.", min=0)
    ] = None,
    closeness: Annotated[
        float,
        typer.Option(help="Near duplicates are so much closer than the tenth nearest image."),
    ] = 0.5,
    study: Annotated[
        Path | None,
        typer.Option(help="A study, run or model folder: what the finds are worth to it."),
    ] = None,
    with_test: Annotated[
        bool, typer.Option("--with-test", help="Count duplicates in the test set, too.")
    ] = False,
    reason: Annotated[str, typer.Option(help="What that comparison is for.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.audit import audit
    from modiste.cli.output import print_json, say

    found = audit(
        name,
        data_folder=data,
        out=out,
        num_val=num_val,
        split_seed=split_seed,
        closeness=closeness,
        study=study,
        with_test=with_test,
        reason=reason,
        note=say,
    )
    if json:
        print_json(found)
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    from modiste.cli.output import print_columns

    print(
        f"{found['data']}: {found['num_train']:,} images to train on, {found['num_val']:,} to "
        f"validate on, {len(found['classes'])} classes"
    )
    pairs, suspects = found["duplicates"]["num_pairs"], found["suspects"]
    rows = [
        (f"{kind} duplicates", *(f"{pairs[part][kind]:,}" for part in ("train", "val", "across")))
        for kind in _KINDS
    ]
    parts = [image["part"] for image in found["outliers"]["images"]]
    rows += [
        ("suspect labels", f"{suspects['train']:,}", f"{suspects['val']:,}", ""),
        ("outliers", f"{parts.count('train'):,}", f"{parts.count('val'):,}", ""),
    ]
    print_columns(("found", "training", "validation", "across"), rows)
    leaks = found["duplicates"]["val_with_duplicate_in_train"]
    share = _share(leaks["count"], found["num_val"])
    others = sum(leaks["other_label"].values())
    print(
        f"Validation images with a duplicate in training: {share}; {others:,} of them with another "
        "label only."
    )
    _print_test(found["test"])
    if found["models"]:
        _print_models(found["models"])
    for line in (*found["notes"], *found["files"]):
        print(line)


def _print_test(test: dict[str, Any] | None) -> None:
    if test is None:
        print("The test set stays closed.")
        return
    share = _share(sum(test["in_either"].values()), test["num_images"])
    print(f"Test images with a duplicate among them: {share}. The comparison is in the ledger.")


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.2f} %)"


def _print_models(models: list[dict[str, Any]]) -> None:
    from modiste.cli.output import print_columns
    from modiste.report.numbers import points

    keys = ("duplicates", "suspects", "outliers", "all")
    print("\nAccuracy on validation images, and what leaving out the finds adds to it, in points:")
    print_columns(
        ("model", "seeds", "accuracy", *keys),
        [
            (
                model["name"],
                str(model["num_seeds"]),
                f"{model['accuracy']:.4f}",
                *(points(model["without"][key]["difference"]) for key in keys),
            )
            for model in models
        ],
    )
