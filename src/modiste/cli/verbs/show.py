"""`modiste show`: what a run folder says of its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "show"
SHORT = "What a run is, what came out, and whether its files are whole."
EXAMPLE = "modiste show results/fashion-mnist/runs/d97efae8aa5eba15"
HELP = f"""Show a run: its settings, figures and epochs, where it was computed, and its files.

Each file is checked against the SHA-256 that was written beside it.

Example:  {EXAMPLE}
"""
# Lines of the history: the first, the last, and what is between them left out.
FIRST, LAST = 3, 5


def command(
    run: Annotated[
        Path, typer.Argument(help="A run folder, or a model folder in its study.", metavar="RUN")
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.reading import show
    from modiste.cli.output import print_json

    found = show(run)
    if json:
        print_json(found)
        return
    for line in lines(found):
        print(line)


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The run in words and numbers."""
    from modiste.cli.output import duration
    from modiste.report.numbers import plural

    yield f"{found['run']}: {found['status']} ({found['reason']})"
    flops = "" if found["flops"] is None else f", {found['flops']:,} FLOPs for one image"
    yield (
        f"{plural(found['epochs'], 'epoch')} in {duration(found['seconds'])}; "
        f"{found['parameters']:,} parameters{flops}"
    )
    yield f"trained on {found['data']}; fingerprint {found['fingerprint']}"
    yield ""
    yield from _figures(found["figures"])
    yield from _settings(found["spec"])
    yield from _history(found["history"])
    yield from _environment(found["environment"])
    yield "files"
    for name, file in found["files"].items():
        why = f": {file['why']}" if file["why"] else ""
        yield f"  {name}, {file['bytes']:,} bytes, {file['state']}{why}"
    if found["findings"]:
        yield ""
    for finding in found["findings"]:
        yield f"{finding['code']} {finding['title']}: {finding['text']}. {finding['advice']}"


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, epoch in figures.items():
        number = f" epoch {epoch['epoch']}" if epoch["epoch"] else ""
        yield f"{name}{number}"
        for part in ("train", "val", "held"):
            if part in epoch:
                values = epoch[part]
                loss = "" if values["loss"] is None else f", loss {values['loss']:.4f}"
                yield (
                    f"  {part}: accuracy {values['accuracy']:.4f} (95 % {values['low']:.4f} to "
                    f"{values['high']:.4f}, {values['total']:,} images){loss}"
                )
    if figures:
        yield ""


def _settings(spec: Mapping[str, Any]) -> Iterator[str]:
    from modiste.report.cuts import show
    from modiste.spec.settings import flatten

    yield "settings"
    for key, value in flatten(spec).items():
        yield f"  {key}: {show(value)}"
    yield ""


def _history(history: list[Mapping[str, float]]) -> Iterator[str]:
    if not history:
        return
    yield "epoch  train loss  accuracy  val. loss  accuracy  rate      seconds"
    rows = [*history[:FIRST], None, *history[-LAST:]]
    for row in rows if len(history) > FIRST + LAST else history:
        if row is None:
            yield "  ..."
            continue
        yield (
            f"{row['epoch']:5d}  {row['train_loss']:10.4f}  {row['train_accuracy']:8.4f}  "
            f"{row['val_loss']:9.4f}  {row['val_accuracy']:8.4f}  {row['learning_rate']:<8.3g}  "
            f"{row['seconds']:7.1f}"
        )
    yield ""


def _environment(environment: Mapping[str, Any]) -> Iterator[str]:
    packages = ", ".join(f"{name} {v}" for name, v in environment.get("packages", {}).items())
    yield "computed on"
    yield f"  {environment.get('cpu')}, {environment.get('threads')} thread(s), {packages}"
    yield f"  {environment.get('platform')}, commit {environment.get('git_commit') or 'unknown'}"
    yield ""
