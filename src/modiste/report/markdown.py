"""The report as Markdown: the same words, tables and numbers; drawings are named, not shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

from modiste.report.blocks import (
    Beside,
    Block,
    Bullets,
    Cell,
    Code,
    CodeLine,
    Facts,
    Figure,
    Gallery,
    Heading,
    Paragraph,
    Ref,
    Remark,
    Remarks,
    SectionText,
    Strong,
    Table,
    Words,
)
from modiste.report.explained import IDENT, check_of
from modiste.report.html import Head, Numbers

# Runs that a remark names one by one; the page lists them all.
_FEW = 3
_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&])")


def render(head: Head, sections: Sequence[SectionText]) -> str:
    """The whole file."""
    numbers = Numbers.of(sections)
    parts = [f"# {escape(head.title)}", f"{escape(head.kicker)}. {escape(head.byline)}"]
    for section in sections:
        number = f"{section.number} " if section.number else ""
        parts.append(f"## {number}{escape(section.title)}")
        parts += [_block(block, numbers, head.page) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    r"""Text in which nothing is read as Markdown or HTML.

    Example:
        >>> escape("a|b <i>_c_")
        'a\\|b \\<i\\>\\_c\\_'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """A code span that holds any text; not for a table, whose cells end at any `|`."""
    text = " ".join(text.split())
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _block(block: Block, numbers: Numbers, page: str) -> str:
    match block:
        case Paragraph():
            return _words(block.words, numbers)
        case Bullets():
            return "\n".join(f"- {_words(item, numbers)}" for item in block.items)
        case Heading():
            number = numbers[block.ident].removeprefix("section ") if block.level == 3 else ""
            return f"{'#' * block.level} {number} {escape(block.text)}".replace("  ", " ")
        case Facts():
            title = f"{escape(block.title)}: " if block.title else ""
            return title + "; ".join(f"{escape(k)}: {escape(v)}" for k, v in block.pairs) + "."
        case Beside():
            return "\n\n".join(_table(table, numbers) for table in block.tables)
        case Table():
            return _table(block, numbers)
        case Figure() | Gallery():
            return (
                f"**{numbers[block.ident]}.** {_words(block.caption, numbers)} "
                f"(Drawn in {escape(page)}.)"
            )
        case Remarks():
            return "\n".join(_remark(remark, numbers, page) for remark in block.remarks)
        case CodeLine():
            return f"```sh\n{block.text}\n```"
        case _:
            assert_never(block)


def _remark(remark: Remark, numbers: Numbers, page: str) -> str:
    """One item, and a line for each of the first few runs that it is about."""
    head = f"- **{_code(remark.code, numbers)} {remark.title}**:"
    if not remark.total:
        return (
            f"{head} {'; '.join(escape(text) for _, text in remark.about)}. {escape(remark.advice)}"
        )
    runs = "run" if remark.total == 1 else "runs"
    lines = [f"{head} {len(remark.about)} of {remark.total} {runs}. {escape(remark.advice)}"]
    lines += [f"  - {escape(name)}: {escape(text)}." for name, text in remark.about[:_FEW]]
    if len(remark.about) > _FEW:
        lines.append(f"  - And {len(remark.about) - _FEW} more, listed in {escape(page)}.")
    return "\n".join(lines)


def _code(code: str, numbers: Numbers) -> str:
    """A finding's code, which leads to its paragraph, where the text has one."""
    ident = f"{IDENT}{code}"
    if ident not in numbers:
        return code
    heading = f"{numbers[ident].removeprefix('section ')} {code} {check_of(code).title}"
    return f"[{code}](#{anchor(heading)})"


def anchor(heading: str) -> str:
    """What a heading is called in links, as GitHub and others do it.

    Example:
        >>> anchor("8.1 M007 single seed")
        '81-m007-single-seed'
    """
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _table(table: Table, numbers: Numbers) -> str:
    heads = [
        f"{column.group}: {column.title}" if column.group else column.title
        for column in table.columns
    ]
    lines = [
        _line([escape(head) for head in heads]),
        _line(["---:" if column.is_number else "---" for column in table.columns]),
    ]
    for row in table.rows:
        cells = []
        for cell in row.cells:
            cells += [_cell(cell)] + [""] * (cell.span - 1)
        lines.append(_line(cells))
    parts = [
        f"**{numbers[table.ident]}.** {_words(table.caption, numbers)}",
        "\n".join(lines),
        *(_words(note, numbers) for note in table.notes),
    ]
    if table.command:
        parts.append(f"```sh\n{table.command}\n```")
    return "\n\n".join(parts)


def _cell(cell: Cell) -> str:
    text = escape(cell.text) + cell.mark
    text = f"**{text}**" if cell.is_strong else text
    return f"{text} ({escape(cell.note)})" if cell.note else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _words(words: Words, numbers: Numbers) -> str:
    answer = ""
    for part in words:
        match part:
            case str():
                answer += escape(part) if part.strip() == part else _spaced(part)
            case Strong():
                answer += f"**{escape(part.text)}**"
            case Code():
                answer += code(part.text)
            case Ref():
                text = escape(numbers.text(part))
                answer += f"*{text}*" if part.text else text
            case _:
                assert_never(part)
    return answer


def _spaced(text: str) -> str:
    """Escaped, with the spaces at its ends."""
    left = " " if text[:1].isspace() else ""
    right = " " if text[-1:].isspace() and text.strip() else ""
    return f"{left}{escape(text)}{right}"
