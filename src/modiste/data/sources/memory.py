"""Images that somebody handed over as arrays: a data set with a name and no place."""

from __future__ import annotations

from pathlib import Path

from modiste.data.source import SOURCES, Part, Source
from modiste.data.types import ImageSet
from modiste.errors import DataError

NAME = "memory"
NOWHERE = (
    "these images were handed over as arrays (ImageClassifier.fit): no file holds them, and no "
    "test set of theirs is sealed. What asks for images again, as reproduce, export and audit do, "
    "needs a data set on disk: save them as uint8 with np.savez('all.npz', images=X, labels=y), "
    "and train with modiste.fit(modiste.load('all.npz'), MODEL) or a study (modiste init all.npz). "
    "ImageClassifier's own score(X, y), predictions(X, y) and export(FOLDER, X, y) take arrays."
)


@SOURCES.register(NAME)
def memory(folder: Path | None = None) -> Source:
    """What `ImageClassifier` was fitted on. A model of it can be read; its images cannot."""

    def where(part: Part) -> Path:
        raise DataError(NOWHERE)

    def load_part(part: Part) -> ImageSet:
        raise DataError(NOWHERE)

    return Source(name=NAME, where=where, load_part=load_part)
