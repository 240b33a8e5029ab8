"""What `modiste predict` prints: lines for people, CSV that is safe to open, or one JSON object.

Answers come one at a time and none is kept, so thousands of images need no more memory than a few.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from modiste.artifact.classify import Answer, Skipped
from modiste.cli.output import plain, say, shows_all_letters

_SHOWN = 4
_SIGNED = re.compile(r"[+-][0-9]+(\.[0-9]+)?")


def print_lines(answers: Iterable[Answer | Skipped], class_names: Sequence[str]) -> None:
    """Two lines for each image: the class, and the likeliest ones with their probabilities."""
    for answer in answers:
        if isinstance(answer, Skipped):
            say(f"left out: {plain(answer.reason)}")
            continue
        print(f"{plain(str(answer.path))}: {plain(answer.class_name)} ({answer.probability:.3f})")
        shares = zip(class_names, answer.probabilities, strict=True)
        ranked = sorted(shares, key=lambda pair: -pair[1])[:_SHOWN]
        print("   " + ", ".join(f"{plain(name)} {share:.3f}" for name, share in ranked))
        if answer.warning:
            print(f"   warning: {answer.warning}")


def print_csv(answers: Iterable[Answer | Skipped], class_names: Sequence[str]) -> None:
    """One row for each image; a cell that a spreadsheet would take for a formula is defused."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    head = ["image", "class", "probability", "warning"]
    writer.writerow([*head, *(f"p({plain(name)})" for name in class_names)])
    for answer in answers:
        if isinstance(answer, Skipped):
            say(f"left out: {plain(answer.reason)}")
            continue
        writer.writerow(
            [
                _cell(str(answer.path)),
                _cell(answer.class_name),
                f"{answer.probability:.6f}",
                answer.warning or "",
                *(f"{share:.6f}" for share in answer.probabilities),
            ]
        )


def print_object(
    answers: Iterable[Answer | Skipped], class_names: Sequence[str], model: Path
) -> None:
    """One JSON object, whole or not at all: it waits in a file until the last answer is there."""
    skipped: list[dict[str, str]] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write(f'{{\n  "model": {_json(_text(model))},\n  "predictions": [')
        is_first = True
        for answer in answers:
            if isinstance(answer, Skipped):
                skipped.append({"image": _text(answer.path), "reason": _text(answer.reason)})
                continue
            file.write(f"{'' if is_first else ','}\n    {_json(_row(answer, class_names))}")
            is_first = False
        file.write(f'\n  ],\n  "skipped": {_json(skipped)}\n}}\n')
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout)


def _row(answer: Answer, class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "image": _text(answer.path),
        "class": answer.class_name,
        "probability": answer.probability,
        "warning": answer.warning,
        "probabilities": dict(zip(class_names, answer.probabilities, strict=True)),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=not shows_all_letters(), allow_nan=False)


def _text(words: Path | str) -> str:
    """A path, or what names one, as text that can be written: bytes that are none as escapes."""
    return str(words).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _cell(text: str) -> str:
    """A cell that begins as formulas do gets an apostrophe before it, which spreadsheets hide.

    A number with a sign, such as the name of a class, is none.

    Example:
        >>> _cell("=cmd()"), _cell("-1.png"), _cell("-1"), _cell("a.png")
        ("'=cmd()", "'-1.png", '-1', 'a.png')
    """
    text = plain(text)
    is_formula = text.startswith(("=", "+", "-", "@")) and not _SIGNED.fullmatch(text)
    return f"'{text}" if is_formula else text
