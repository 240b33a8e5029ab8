"""Drawings inside a page: their paths in fewer letters, and the same shapes."""

from __future__ import annotations

import re

import pytest

from modiste.report.svg import clean


def path(commands: str) -> str:
    """The path of a drawing after it was made fit for a page."""
    text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="{commands}"/></svg>'
    found = re.search(r' d="([^"]*)"', clean(text, "one"))
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("commands", "short"),
    [
        ("M 10.04 20.06 \nL 30.5 40 \nL 5 6 \nz", "M 10 20.1 30.5 40 5 6 z"),
        ("M 1 2 L 3 4 M 5 6 L 7 8", "M 1 2 3 4 M 5 6 7 8"),
        # After a curve or the end of a shape, a point alone would mean something else.
        ("M 1 2 C 3 4 5 6 7 8 L 9 10 L 11 12", "M 1 2 C 3 4 5 6 7 8 L 9 10 11 12"),
        ("M 1 2 L 3 4 z L 5 6", "M 1 2 3 4 z L 5 6"),
        # A small shape, such as the sign of a series, is drawn more finely.
        ("M 0.106081 -2.25 L -0.0004 9.996", "M 0.106 -2.25 -0.0004 10"),
        ("M1,2L3,4", "M1,2L3,4"),
    ],
)
def test_a_path_says_the_same_in_fewer_letters(commands: str, short: str) -> None:
    assert path(commands) == short
