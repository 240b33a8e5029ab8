"""What a scan found of images of your own, in words: for the report and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modiste.data.decode import SIZING_WORDS
from modiste.report.numbers import count, listing, plural


def counted(numbers: Mapping[str, int]) -> str:
    """Numbers by name.

    Example:
        >>> counted({"RGB": 1200, "L": 3})
        '1,200 RGB, 3 L'
    """
    return ", ".join(f"{count(number)} {name}" for name, number in numbers.items()) or "none"


def sizes(facts: Mapping[str, Any], most: int) -> str:
    """Widths and heights, the most frequent first."""
    shown = facts["sizes"][:most]
    if not shown:
        return "none"
    if facts["num_sizes"] == 1:
        return f"all {_pixels(shown[0]['width'], shown[0]['height'])}"
    words = [f"{count(s['count'])} of {s['width']} × {s['height']}" for s in shown]
    rest = facts["num_sizes"] - len(shown)
    order = "" if all(s["width"] == s["height"] for s in shown) else " (width × height)"
    return ", ".join(words) + (f" and {plural(rest, 'other size')}" if rest else "") + order


def _pixels(width: int, height: int) -> str:
    """A size, with the order of its numbers where they differ: `decode.size` has the other one.

    Example:
        >>> _pixels(28, 28), _pixels(24, 20)
        ('28 × 28 pixels', '24 × 20 pixels (width × height)')
    """
    return f"{width} × {height} pixels" + ("" if width == height else " (width × height)")


def rule(facts: Mapping[str, Any]) -> str:
    """What every image becomes, in a sentence."""
    found = facts["rule"]
    height, width = found["size_HW"]
    kind = "grey" if found["channels"] == 1 else "red, green and blue"
    text = f"Every image becomes {_pixels(width, height)} of {kind}"
    if facts["num_sizes"] > 1 or (facts["sizes"] and not _is_size(facts["sizes"][0], found)):
        text += f" ({found['sizing']}: {SIZING_WORDS[found['sizing']]}; filter {found['resize']})"
    if facts["num_transparent"] or found["sizing"] in ("fit", "pad"):
        text += f", on a background of {_colour(found['background'])}"
    return text + ". The rule travels with the models."


def of_test_part(facts: Mapping[str, Any]) -> str:
    """Where the test part came from."""
    test = facts["test"]
    number = sum(facts["parts"]["test"]) + test["num_gone"]
    if test["origin"] == "none":
        return "The set has no test part."
    if test["origin"] == "given":
        return f"The set came with a test part of {plural(number, 'image')}."
    text = (
        f"The set came without a test part, so {plural(number, 'image')} were split off, of each "
        "class its share, by the digests of the pictures"
    )
    if test["sealed_at"]:
        text += f", and sealed on {test['sealed_at'][:10]}; which they are is written down"
    text += ". They depend on no name and no order, and equal pictures are on one side."
    if test["num_gone"]:
        text += f" Of them {count(test['num_gone'])} were not there when this was written."
    return text


def remarks(facts: Mapping[str, Any]) -> list[str]:
    """What else a reader should know, each a line; what is not the case is not said."""
    answer = []
    for key, words in (
        ("num_turned", "turned by their EXIF data"),
        ("num_16_bit", "of 16 bits, of which the upper 8 are kept"),
        ("num_transparent", "with transparency"),
        ("num_empty", "with nothing but transparency"),
        ("num_ambiguous", "shown in more than one class, so that no answer is right for all"),
    ):
        if facts.get(key):
            answer.append(f"{plural(facts[key], 'image')} {words}")
    if facts["num_grey"] == facts["num_seen"] and "L" not in facts["modes"]:
        answer.append("no image has a colour, whatever its mode")
    if copies := facts.get("copies"):
        answer.append(
            f"{count(len(copies))} left out as copies of others in their class (first: {copies[0]})"
        )
    if facts["passed_over"]:
        seen = [f"{count(n)} × {what}" for what, n in facts["passed_over"].items()]
        answer.append(f"passed over: {listing(seen)}")
    return answer


def _is_size(size: Mapping[str, int], found: Mapping[str, Any]) -> bool:
    return [size["height"], size["width"]] == list(found["size_HW"])


def _colour(levels: list[int]) -> str:
    red, green, blue = levels
    names = {(0, 0, 0): "black", (255, 255, 255): "white"}
    return names.get((red, green, blue), f"red {red}, green {green}, blue {blue}")
