"""The report of a study, written from its folder alone: one HTML file, and Markdown beside it.

    write(study)    STUDY/report.html and STUDY/report.md

Sections stand in `modiste.report.sections`, one file each.
"""

from __future__ import annotations

from modiste.report.write import write

__all__ = ["write"]
