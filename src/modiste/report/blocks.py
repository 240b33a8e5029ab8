"""What a report is made of, before it is HTML or Markdown.

Sections build these; `html` and `markdown` only print them, so both forms say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal


@dataclass(frozen=True)
class Strong:
    """Words that carry the sentence."""

    text: str


@dataclass(frozen=True)
class Code:
    """A key, a name or a command inside a sentence."""

    text: str


@dataclass(frozen=True)
class Ref:
    """A pointer to a section, table or figure by its `ident`; prints its number, or `text`."""

    ident: str
    text: str = ""


Inline = str | Strong | Code | Ref
Words = Sequence[Inline]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `role` says how it is set: body, lead (larger) or note (smaller)."""

    kind: ClassVar = "paragraph"
    words: Words
    role: Literal["body", "lead", "note"] = "body"


@dataclass(frozen=True)
class Bullets:
    """A list of short paragraphs."""

    kind: ClassVar = "bullets"
    items: Sequence[Words]


@dataclass(frozen=True)
class Heading:
    """Begins a subsection, or a part of one (`level` 4)."""

    kind: ClassVar = "heading"
    text: str
    ident: str
    level: Literal[3, 4] = 3


@dataclass(frozen=True)
class Facts:
    """Names and values, set in the margin where there is one."""

    kind: ClassVar = "facts"
    pairs: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its heading.
        group: A heading shared with its neighbours.
        is_number: Set flush right, with digits of equal width.
    """

    title: str
    group: str = ""
    is_number: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What it says.
        value: What it sorts by, if not by its text.
        note: A smaller second line.
        is_muted: Printed more quietly: there for orientation, not for comparison.
        is_strong: The best of its column.
        mark: A footnote sign after the text.
        heat: Depth of its background, 0 to 1; none for a plain cell.
        span: Columns that it fills.
    """

    text: str
    value: float | None = None
    note: str = ""
    is_muted: bool = False
    is_strong: bool = False
    mark: str = ""
    heat: float | None = None
    span: int = 1


@dataclass(frozen=True)
class TableRow:
    """Cells, the first of them the row's name.

    Attributes:
        is_muted: Was not run.
        is_rest: Stands for many, and stays last however the table is sorted.
    """

    cells: Sequence[Cell]
    is_muted: bool = False
    is_rest: bool = False


@dataclass(frozen=True)
class Table:
    """A numbered table.

    Attributes:
        ident: For `Ref`; begins with ``table-``.
        caption: Stands above it.
        notes: Stand below it: what its signs mean, what was cut.
        command: Makes its numbers again; where it takes several, each is a line.
        is_sortable: By any column, in HTML.
        is_matrix: Square cells, column headings turned.
        gives_way: It is named by whoever wrote the study; another block of that name keeps it.
    """

    kind: ClassVar = "table"
    ident: str
    caption: Words
    columns: Sequence[Column]
    rows: Sequence[TableRow]
    notes: Sequence[Words] = ()
    command: str = ""
    is_sortable: bool = False
    is_matrix: bool = False
    gives_way: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings of neighbouring columns, each with the number of its columns."""
        answer: list[tuple[str, int]] = []
        for column in self.columns:
            if column.group and answer and answer[-1][0] == column.group:
                answer[-1] = (column.group, answer[-1][1] + 1)
            else:
                answer.append((column.group, 1))
        return answer

    @property
    def is_short(self) -> bool:
        """Fits on part of a page, so that it is better not broken over two."""
        num_words = sum(not column.is_number for column in self.columns)
        return len(self.rows) <= 16 and num_words <= 2

    @property
    def has_groups(self) -> bool:
        return any(column.group for column in self.columns)


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure: clean inline SVG, and what it shows for those who cannot see it."""

    svg: str
    label: str
    min_width_px: int = 0


@dataclass(frozen=True)
class LegendItem:
    """A line of a legend: the number of its style, or none for the many drawn alike."""

    label: str
    style: int | None
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A numbered figure of one or more panels; `gives_way` as a table does."""

    kind: ClassVar = "figure"
    ident: str
    caption: Words
    panels: Sequence[Panel]
    legend: Sequence[LegendItem] = ()
    gives_way: bool = False


@dataclass(frozen=True)
class Picture:
    """A small image with what is to be said of it.

    Attributes:
        png: The whole file.
        label: What it shows, for those who cannot see it.
        lines: Stand below it.
        more: Lines that unfold when asked for.
        keys: What the gallery can be sorted by: words rise, numbers fall.
    """

    png: bytes
    label: str
    lines: Sequence[str]
    more: Sequence[str] = ()
    keys: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Gallery:
    """A numbered figure of many small images."""

    kind: ClassVar = "gallery"
    ident: str
    caption: Words
    pictures: Sequence[Picture]

    @property
    def keys(self) -> list[str]:
        """What it can be sorted by: what every picture has."""
        if len(self.pictures) < 2:
            return []
        first, *rest = self.pictures
        return [key for key in first.keys if all(key in picture.keys for picture in rest)]


@dataclass(frozen=True)
class Remark:
    """A finding, with the models it was made about, `total` being all that were looked at.

    One about the rows of a table together has a `total` of 0, and says once what was seen.
    """

    code: str
    title: str
    advice: str
    total: int
    about: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Remarks:
    """What a reader should know about some of the runs."""

    kind: ClassVar = "remarks"
    remarks: Sequence[Remark]


@dataclass(frozen=True)
class CodeLine:
    """A command on a line of its own, to be copied."""

    kind: ClassVar = "code"
    text: str


@dataclass(frozen=True)
class Beside:
    """Tables that stand side by side where there is room."""

    kind: ClassVar = "beside"
    tables: Sequence[Table]


Block = (
    Beside | Paragraph | Bullets | Heading | Facts | Table | Figure | Gallery | Remarks | CodeLine
)


@dataclass(frozen=True)
class SectionText:
    """A section as it is printed; `number` is empty for the one that opens the report."""

    title: str
    ident: str
    number: str
    blocks: Sequence[Block] = field(default=())
