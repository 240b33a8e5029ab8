"""`modiste compare`: two studies side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

NAME = "compare"
SHORT = "Two studies side by side: points, rankings, winners."
EXAMPLE = "modiste compare results/fashion-mnist runs/fashion-mnist-full"
HELP = f"""Put two studies side by side: the points that both have finished, and their rankings.

Differences are the first less the second, in points, with 95 % intervals that cover images (paired,
where they are the same) and, where points were repeated, seeds. Of cross-validated points they are
paired by training; there are none where the two studies divide otherwise.

Example:  {EXAMPLE}
"""


def command(
    one: Annotated[Path, typer.Argument(help="A study folder.", metavar="STUDY")],
    two: Annotated[Path, typer.Argument(help="Another one.", metavar="STUDY")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.reading import compare_studies
    from modiste.cli.output import print_columns, print_json

    found = compare_studies(one, two)
    if json:
        print_json(found)
        return
    for line in _heads(found):
        print(line)
    for stage in found["stages"]:
        print()
        print(stage["name"])
        if stage["points"]:
            rows = [_row(point) for point in stage["points"]]
            print_columns(("point", "first", "second", "difference", "95 % interval", ""), rows)
        for line in _stage(stage):
            print(line)


def _heads(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"first:  {found['studies'][0]}"
    yield f"second: {found['studies'][1]}"
    for key, (first, second) in found["differs"].items():
        yield f"not the same: {key}: {_plain(first)} and {_plain(second)}"
    for which, names in zip(("first", "second"), found["only"], strict=True):
        if names:
            yield f"stages of the {which} alone: {', '.join(names)}"
    if not found["stages"]:
        yield "They have no stage in common."


def _row(point: Mapping[str, Any]) -> tuple[str, ...]:
    from modiste.report.numbers import NONE, points, proportion

    low, high = point["low"], point["high"]
    return (
        point["point"],
        *(proportion(value) for value in point["val_accuracy"]),
        points(point["difference"]),
        NONE if low is None else f"{points(low)} to {points(high)}",
        _shared(point),
    )


def _shared(point: Mapping[str, Any]) -> str:
    from modiste.report.numbers import plural

    if not point["same_runs"]:
        return ""
    if point["low"] is None and not point["difference"]:  # all of them: nothing is in doubt
        return "the same runs"
    return f"{plural(point['same_runs'], 'run')} in both"


def _stage(stage: Mapping[str, Any]) -> Iterator[str]:
    from modiste.report.numbers import plural

    if not stage["points"]:
        yield "Nothing is finished in both."
    if stage["tau"] is not None:
        low, high = stage["tau_low"], stage["tau_high"]
        between = "" if low is None else f" (95 % {low:.2f} to {high:.2f}, over points)"
        number = plural(len(stage["points"]), "point")
        yield f"Kendall's tau of the two rankings: {stage['tau']:.2f}{between}, {number}."
    first, second = stage["winners"]
    if first is not None and second is not None:
        same = first == second
        yield f"Winner of both: {first}." if same else f"Winners: {first}; and {second}."
    alone = stage["only"]
    for which, number in zip(("first", "second"), alone, strict=True):
        if number:
            yield f"Finished in the {which} alone: {plural(number, 'point')}."


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text
