"""A count that may be unknown, which is a value of its own: neither none nor zero.

It is a word, so that it reads the same in a sentence, in a table and in JSON.

Example:
    >>> f"Opened {UNKNOWN} time(s) so far."
    'Opened unknown time(s) so far.'
"""

from __future__ import annotations

from typing import Final, Literal

Unknown = Literal["unknown"]
UNKNOWN: Final = "unknown"
Count = int | Unknown
