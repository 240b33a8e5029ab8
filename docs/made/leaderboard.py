"""LEADERBOARD.md."""

from __future__ import annotations

from docs.made import beside


def text() -> str:
    """The whole of it."""
    return beside.page("LEADERBOARD.md")
