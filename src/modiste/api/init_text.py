"""The text of a study file for images of your own, from `templates/study.yaml`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modiste.report import own_data
from modiste.report.numbers import count, duration, plural
from modiste.search.draft import UNBALANCED, Draft

WIDTH = 98
# Where a comment beside a key begins.
BESIDE = 30
WIDEST = 110
TEMPLATE = Path(__file__).parent / "templates" / "study.yaml"


def study_text(
    file: Path,
    values: Mapping[str, Any],
    facts: Mapping[str, Any],
    plan: Draft,
    num_workers: int,
) -> str:
    """A study file, with comments that say what was found and why the plan is as it is.

    Args:
        file: What it will be called.
        values: What it is to say.
        facts: What was found of the data.
        plan: The rest of those values, with the time that it takes.
        num_workers: For which that was worked out.
    """
    from jinja2 import Environment, StrictUndefined

    # No page: nothing is escaped but what YAML would misread, by `word`.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {
        "comment": _comment,
        "word": _word,
        "flow": flow,
        "left": lambda text: f"{text.ljust(BESIDE - 2)}  ",
        "points": lambda stage: "\n".join(map(_point, stage["points"])),
        "repeats": _repeats,
    }
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    data = {"test_share": None, "skip_bad": False, "keep_duplicates": False, "decode": None}
    return template.render(
        file=_word(str(file)),
        name=values["name"],
        facts=facts,
        data=data | values["data"],
        train=values["train"],
        stages={stage["name"]: stage for stage in values["stages"]},
        num_images=plural(sum(map(sum, facts["parts"].values())), "image"),
        num_left=count(sum(facts["parts"]["train"])),
        num_bad=plural(len(facts["bad"]), facts["unit"]),
        is_val_given=facts["validation"] == "given",
        modes=own_data.counted(facts["modes"]),
        sizes=own_data.sizes(facts, 4),
        remarks="".join(f" {text[0].upper()}{text[1:]}." for text in own_data.remarks(facts)),
        duration=f"about {duration(plan.seconds)}",
        fits=plan.fits,
        is_enough=plan.is_enough,
        workers=plural(num_workers, "worker"),
        unbalanced=_unbalanced(facts),
    )


def flow(value: Any) -> str:
    """A value in one line of YAML.

    Example:
        >>> flow([{"label": "a: b", "model.params": {"hidden": [256], "C": 0.1}}])
        '[{label: "a: b", model.params: {hidden: [256], C: 0.1}}]'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return str(value) if isinstance(value, int | float) else _word(value)


def _point(point: Mapping[str, Any]) -> str:
    """A point in one line, or in two where that would be long."""
    line = f"      - {flow(point)}"
    return line if len(line) <= WIDEST else line.replace(", model: ", ",\n         model: ", 1)


def _word(text: str) -> str:
    """Words as YAML reads them: in quotation marks unless they are letters, points and strokes."""
    letters = text.translate(str.maketrans("", "", " -_/.+"))
    is_plain = letters.isascii() and letters.isalpha() and text[0].isalpha() and text[-1].isalpha()
    is_plain = is_plain and text.lower() not in ("yes", "no", "on", "off", "true", "false", "null")
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _repeats(stage: Mapping[str, Any]) -> str:
    if "repeats" not in stage:
        return ""
    return f"    repeats: {stage['repeats']}".ljust(BESIDE) + "# seeds of each point\n"


def _unbalanced(facts: Mapping[str, Any]) -> str:
    """Which classes have most and fewest images, where that differs much; else nothing."""
    parts = facts["parts"]
    counts = [sum(pair) for pair in zip(parts["train"], parts["val"], strict=True)]
    most, least = max(counts), min(counts)
    if most < UNBALANCED * least:
        return ""
    names = facts["class_names"]
    return (
        f"'{names[counts.index(most)]}' has {count(most)} images, "
        f"'{names[counts.index(least)]}' has {count(least)}."
    )


def _comment(text: str, indent: int = 0) -> str:
    start = " " * indent + "# "
    return textwrap.fill(text, WIDTH, initial_indent=start, subsequent_indent=start)
