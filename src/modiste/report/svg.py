"""SVG made fit to stand inside a page: nothing active, names of its own, the page's colours."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from modiste.errors import StoreError

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_SHAPES = frozenset(
    (
        "svg g defs path use clipPath rect circle line polyline polygon text tspan image pattern"
    ).split()
)
_KEPT = frozenset(
    (
        "d x y x1 y1 x2 y2 cx cy r width height points transform style clip-path viewBox id href "
        "fill stroke stroke-width preserveAspectRatio patternUnits patternTransform"
    ).split()
)

# What stand-in colours of our drawings become; the page defines these for light and dark.
COLOURS = {
    "#010101": "var(--ink)",
    "#010102": "var(--rule)",
    "#010103": "var(--rest)",
    **{f"#01011{n}": f"var(--series-{n})" for n in range(1, 7)},
    # The figures of the data come with real colours.
    "#1a1a1a": "var(--ink)",
    "#ffffff": "var(--paper)",
    "#0072b2": "var(--series-1)",
    "#e69f00": "var(--series-6)",
    "#999999": "var(--rest)",
}
_HEX = re.compile(r"#[0-9a-fA-F]{6}\b")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SMALL = 10.0
# Text is set in the page's own font; drawings say only how large.
_FONT = re.compile(r"font(?:-family|-weight)?:[^;]*;?")
_SIZE = re.compile(r"font(?:-size)?:\s*(?:\w+ )*?([\d.]+)px")


def clean(text: str, prefix: str) -> str:
    """An SVG file as an element of a page.

    Keeps shapes, text and embedded pictures; drops scripts, links, styles of the whole page and
    whatever else is not known. Names inside get a prefix, so that two drawings never share one.

    Args:
        text: The file.
        prefix: Different for each drawing of a page.

    Raises:
        StoreError: If it is no SVG.
    """
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise StoreError(f"a figure named {prefix} is no SVG ({error}).") from None
    if root.tag != f"{{{_SVG}}}svg":
        raise StoreError(f"a figure named {prefix} is no SVG (its root is {root.tag!r}).")
    used = set(re.findall(r"(?:url\(#|href=\"#)([\w.-]+)", text))
    _prune(root)
    for element in root.iter():
        _tidy(element, prefix, used)
    _, _, width, height = _view_box(root)
    root.attrib = {"viewBox": f"0 0 {width:g} {height:g}"}
    return ET.tostring(root, encoding="unicode")


def _prune(element: ET.Element) -> None:
    for child in list(element):
        if _plain(child.tag) not in _SHAPES:
            element.remove(child)
        else:
            _prune(child)


def _tidy(element: ET.Element, prefix: str, used: set[str]) -> None:
    element.tag = _plain(element.tag)
    kept: dict[str, str] = {}
    for name, value in element.attrib.items():
        plain = "href" if name == _XLINK else name
        if plain in _KEPT and (new := _attribute(plain, value, prefix, used)) is not None:
            kept[plain] = new
    element.attrib.clear()
    element.attrib.update(kept)
    if element.text is not None and not element.text.strip():
        element.text = None
    if element.tail is not None and not element.tail.strip():
        element.tail = None


def _attribute(name: str, value: str, prefix: str, used: set[str]) -> str | None:
    """The value as it may stand in a page; none if it may not."""
    if name == "id":
        return f"{prefix}-{value}" if value in used else None
    if name == "href":
        if value.startswith("#"):
            return f"#{prefix}-{value[1:]}"
        return value if value.startswith("data:image/png;base64,") else None
    return _path(value) if name == "d" else _value(value, prefix)


def _path(commands: str) -> str:
    """A path in fewer letters: to a tenth of a pixel, and points of one line after each other.

    Example:
        >>> _path("M 1.23456 20.00001 L 30.49999 4 L 5 6 z")
        'M 1.23 20 30.5 4 5 6 z'
    """
    short, last = [], ""
    for word in commands.split():
        if _NUMBER.fullmatch(word):
            short.append(_coordinate(float(word)))
        elif word == "L" and last in {"M", "L"}:
            continue  # after these, more numbers are more points of a line
        else:
            short.append(word)
            last = word
    return " ".join(short)


def _coordinate(value: float) -> str:
    """To a tenth of a pixel; small shapes that are drawn again and again more finely."""
    if abs(value) < _SMALL:
        return f"{value:.3g}"
    return f"{value:.1f}".removesuffix(".0")


def _value(value: str, prefix: str) -> str:
    value = value.replace("url(#", f"url(#{prefix}-")
    if re.search(r"url\((?!#)", value):
        return ""
    if match := _SIZE.search(value):
        rest = _FONT.sub("", re.sub(r"font-size:[^;]*;?", "", value)).strip()
        value = f"font-size: {match[1]}px; {rest}"
    value = _HEX.sub(lambda match: COLOURS.get(match[0].lower(), match[0]), value)
    # Five digits are a hundredth of a pixel, and leave the small scales of glyphs alone.
    return " ".join(_LONG.sub(lambda match: f"{float(match[0]):.5g}", value).split())


def _plain(tag: str) -> str:
    return tag.removeprefix(f"{{{_SVG}}}")


def _view_box(root: ET.Element) -> tuple[float, float, float, float]:
    numbers = [float(number) for number in root.get("viewBox", "0 0 100 100").split()]
    return numbers[0], numbers[1], numbers[2], numbers[3]
