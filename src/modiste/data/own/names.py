"""Names that strangers chose: which are refused, and how one is shown.

A class's name comes into pages, tables, terminals and cards; a file's into messages. All of them
escape what they print. What is refused here is what would deceive a reader all the same, or run
where a table is opened by a spreadsheet.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

MAX_LETTERS = 100
# Of the invisible ones, these two are part of words and of emoji.
_JOINERS = "\u200c\u200d"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


def shown(name: object) -> str:
    r"""A name as it can be printed anywhere: what is invisible, or turns text around, as a code.

    Example:
        >>> shown("a\x1b[31m\u202egnp.exe")
        'a\\x1b[31m\\u202egnp.exe'
    """
    return "".join(_code(c) if _is_hidden(c) else c for c in str(name))


def called(path: Path) -> str:
    """What people call the data set at that path: its folder or file, by its own name.

    Example:
        >>> called(Path("pets")), called(Path("pets/train/..")), called(Path("digits.npz"))
        ('pets', 'pets', 'digits.npz')
    """
    # Not where a link leads: whoever made it chose its name.
    return shown(Path(os.path.abspath(path)).name)  # noqa: PTH100 (resolve() would follow links)


def _code(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _is_hidden(letter: str) -> bool:
    return letter not in _JOINERS and unicodedata.category(letter) in _HIDDEN


def trouble_with_file(name: str) -> str:
    """Why a file of that name is refused; empty if it is not."""
    if any(unicodedata.category(c) == "Cs" for c in name):
        return "its name is not written in UTF-8"
    if found := next((c for c in name if _is_hidden(c)), ""):
        return f"its name holds {_code(found)}, which nobody sees"
    if found := next((c for c in "<>\\" if c in name), ""):
        return f"its name holds {found}, which means something else in a page or a path"
    if name.startswith("="):
        return "its name begins with =, as a formula does in a table"
    return ""


def trouble_with_class(name: str) -> str:
    """Why a class of that name is refused; empty if it is not."""
    if not name or name != name.strip():
        return "its name is empty, or begins or ends with a space"
    if len(name) > MAX_LETTERS:
        return f"its name has {len(name)} letters; {MAX_LETTERS} are enough"
    if trouble := trouble_with_file(name):
        return trouble
    if "/" in name:
        return "its name holds /, which means something else in a path"
    if name[0] in "+-@" and not _NUMBER.fullmatch(name):
        return f"its name begins with {name[0]}, as a formula does in a table"
    return ""


def in_order(names: set[str]) -> tuple[str, ...]:
    """Class names in the order of their labels: numbers by value, else by their letters.

    Example:
        >>> in_order({"10", "9", "0"}), in_order({"b", "a10", "a9"})
        (('0', '9', '10'), ('a10', 'a9', 'b'))
    """
    if all(name.isascii() and name.isdigit() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def twins(names: set[str]) -> tuple[str, str] | None:
    """Two names that look the same and are not: composed and decomposed letters."""
    seen: dict[str, str] = {}
    for name in sorted(names):
        plain = unicodedata.normalize("NFC", name)
        if plain in seen:
            return seen[plain], name
        seen[plain] = name
    return None
