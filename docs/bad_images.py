"""Writes docs/bad_images.md: what is answered to each kind of bad data.

    python -m docs.bad_images

The kinds and the files that stand for them are those of tests/bad_images.py; a test compares the
page with what is answered.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from docs.made.markdown import table
from modiste.api.data import scan
from modiste.errors import ModisteError
from modiste.report.markdown import escape
from tests.bad_images import ARRAYS, FILES, FOLDERS, TABLES, Maker
from tests.own_images import write_classes

PAGE = Path(__file__).parent / "bad_images.md"
HEAD = """# What is answered to bad data

Every kind of file, folder, table and array below is made by a test, given to `modiste data scan`,
and answered so, with exit status 2 and before any training; `modiste study` answers the same, and
so does `modiste init`, but that it takes in images that came after a test part was sealed. Written
by `python -m docs.bad_images`; how to bring images in is in [own_images.md](own_images.md).
"""
FILES_TEXT = """A set with one of these is refused, with its name. `--skip-bad`, or
`data.skip_bad: true`, leaves up to 1 % of all files out instead, and the report lists them with
their SHA-256."""
TABLES_TEXT = "The answer names the line; a file that is not there is answered like a bad one."
GROUPS: tuple[tuple[str, str, Mapping[str, Maker]], ...] = (
    ("Files", FILES_TEXT, FILES),
    ("Folders", "None of these can be left out.", FOLDERS),
    ("Tables", TABLES_TEXT, TABLES),
    ("Arrays", "A header is a claim: it is checked before memory is taken.", ARRAYS),
)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for title, text, kinds in GROUPS:
        rows = [(kind, words(answer_to(maker))) for kind, maker in kinds.items()]
        parts.append(f"## {title}\n\n{text}\n\n{table(['kind', 'answer'], rows)}\n")
    return "\n".join(parts)


def words(answer: str) -> str:
    """An answer as Markdown; a command in it stays one."""
    return escape(answer).replace("\\`", "`")


def answer_to(maker: Maker) -> str:
    """What is answered, without where it lies and what could be done about it."""
    with tempfile.TemporaryDirectory() as folder:
        root = write_classes(Path(folder) / "pets")
        where = maker(root) or root
        try:
            trouble = scan(str(where))["trouble"]
        except ModisteError as error:
            trouble = str(error)
        assert trouble is not None, "it was taken"
        return shortened(trouble.replace(f"{folder}/", ""))


def shortened(text: str) -> str:
    """The words that say what is wrong; Pillow's own change with its version."""
    first, *rest = text.splitlines()
    words = first if not rest else rest[0].strip()
    if rest and not first.endswith("cannot be used:"):
        words = f"{first} {words}"
    return re.sub(r"a damaged image \(.*?\)\. It", "a damaged image (...). It", words)


if __name__ == "__main__":
    main()
