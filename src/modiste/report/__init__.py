"""The report of a study, written from its folder alone: one HTML file, and Markdown beside it.

    write.write(study)    STUDY/report.html and STUDY/report.md

Sections stand in `modiste.report.sections`, one file each. Nothing is loaded here: what only writes
numbers as words needs no figures.
"""
