"""What is answered: shapes that OpenAPI documents, and the jobs that fill them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from modiste.artifact import folder as folders
from modiste.artifact.golden import TOLERANCE, Golden, ask, read_golden
from modiste.artifact.model import Artifact
from modiste.data.decode import decode
from modiste.errors import ArtifactError, DataError
from modiste.serve.body import Upload
from modiste.serve.engine import Deadline
from modiste.serve.occlusion import occlusion
from modiste.serve.problem import Problem

Pixels = npt.NDArray[np.uint8]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prediction(_Answer):
    """What the model says of one image; the keys are those of `modiste predict --json`."""

    image: str | None = Field(description="As the client called it; null if it did not.")
    class_name: str = Field(alias="class", description="The likeliest class.")
    probability: float = Field(ge=0, le=1, description="Of that class.")
    warning: str | None = Field(
        description="Why the image is unlike the training images; null if it is not."
    )
    probabilities: dict[str, float] = Field(description="Of each class; they add up to 1.")


class Predictions(_Answer):
    """In the order of the images."""

    model: str = Field(description="SHA-256 of the exported folder's manifest.")
    predictions: list[Prediction]


class Occluded(_Answer):
    """What covering parts of the image took from its class."""

    window: tuple[int, int] = Field(description="Height and width of the covered part, in pixels.")
    drops: list[list[float]] = Field(
        description="Probability lost with the window there, by rows and columns of places that "
        "spread evenly over the image; negative where it gained."
    )
    evaluations: int = Field(description="Images that the model was asked for this.")


class Explanation(_Answer):
    """One image, what the model sees of it, its answer, and which part decided."""

    model: str
    prediction: Prediction
    seen: str = Field(description="The image at the model's size: a PNG as a data: URL.")
    occlusion: Occluded


class Ready(_Answer):
    """The server is there."""

    status: str


class Sample(_Answer):
    """An image that was exported with the model."""

    number: int
    label: str | None = Field(description="Its right class, where it has one.")


class Description(_Answer):
    """The model that answers."""

    model: str = Field(description="SHA-256 of the exported folder's manifest.")
    name: str
    family: str
    data: str = Field(description="The data set that it learnt from.")
    bits: int = Field(description="32, or 8 if it was quantised.")
    parameters: int
    class_names: list[str]
    size: tuple[int, int, int] = Field(description="Height, width, channels (1 grey, 3 colour).")
    background: tuple[int, int, int] = Field(description="What transparency is laid on.")
    accuracy: float | None = Field(description="On validation images.")
    accuracy_interval: tuple[float, float] | None = Field(description="At 95 %.")
    samples: list[Sample]
    limits: dict[str, int] = Field(description="Of one request: bytes, images.")


class ErrorBody(_Answer):
    """A code for programs, a message for people."""

    code: str
    message: str


class Error(_Answer):
    """Every refusal."""

    error: ErrorBody


@dataclass(frozen=True)
class Served:
    """A model that answered its golden images here as it did where it was exported.

    Attributes:
        artifact: The model.
        golden: Its golden images.
        labels: Their right classes, where there are any.
        certificate: `certificate.json`.
        card: `README.md`.
        is_int8: Whether the graph of 8 bits answers.
    """

    artifact: Artifact
    golden: Golden
    labels: tuple[str | None, ...]
    certificate: dict[str, Any]
    card: str
    is_int8: bool

    @property
    def digest(self) -> str:
        return self.artifact.folder.digest

    def sample(self, number: int) -> bytes:
        """A golden image as PNG.

        Raises:
            Problem: ``not_found``.
        """
        images = self.golden.images_NCHW
        if not 0 <= number < len(images):
            raise Problem("not_found", f"there is no sample {number}; there are {len(images)}.")
        return png(images[number])

    def predict(self, uploads: Sequence[Upload], deadline: Deadline) -> dict[str, Any]:
        """As `Predictions`, in plain values."""
        pixels = []
        for number, upload in enumerate(uploads, start=1):
            deadline.check()
            pixels.append(self._decoded(upload, number, len(uploads)))
        names = [upload.name for upload in uploads]
        answers = self._answers(np.stack(pixels), names, deadline)
        return {"model": self.digest, "predictions": answers}

    def explain(self, upload: Upload, deadline: Deadline) -> dict[str, Any]:
        """As `Explanation`, in plain values."""
        image_CHW = self._decoded(upload, 1, 1)
        (prediction,) = self._answers(image_CHW[np.newaxis], [upload.name], deadline)
        label = self.artifact.class_names.index(prediction["class"])
        asked = partial(self._shares, deadline=deadline)
        found = occlusion(image_CHW, asked, prediction["probability"], label)
        return {
            "model": self.digest,
            "prediction": prediction,
            "seen": "data:image/png;base64," + base64.b64encode(png(image_CHW)).decode(),
            "occlusion": {
                "window": list(found.window_HW),
                "drops": found.drops.tolist(),
                "evaluations": found.evaluations,
            },
        }

    def _decoded(self, upload: Upload, number: int, total: int) -> Pixels:
        name = f"image {number}" + (f" of {total}" if total > 1 else "")
        name += f" ({upload.name[:80]!r})" if upload.name else ""
        try:
            return decode(upload.content, self.artifact.rule, name)
        except DataError as error:
            raise Problem("bad_image", str(error)) from None

    def _shares(self, images_NCHW: Pixels, deadline: Deadline) -> npt.NDArray[np.float64]:
        """Probabilities, N x K; the deadline is looked at before each batch."""
        size = self.artifact.batch_size
        rows = []
        for start in range(0, len(images_NCHW), size):
            deadline.check()
            rows.append(self.artifact.probabilities(images_NCHW[start : start + size]))
        return np.concatenate(rows)

    def _answers(
        self, images_NCHW: Pixels, names: Sequence[str | None], deadline: Deadline
    ) -> list[dict[str, Any]]:
        artifact = self.artifact
        shares_NK = self._shares(images_NCHW, deadline)
        return [
            {
                "image": name,
                "class": artifact.class_names[int(shares_K.argmax())],
                # A sum of roundings may exceed 1 by one of them.
                "probability": min(1.0, float(shares_K.max())),
                "warning": warning,
                "probabilities": dict(zip(artifact.class_names, shares_K.tolist(), strict=True)),
            }
            for name, shares_K, warning in zip(
                names, shares_NK, artifact.warnings(images_NCHW), strict=True
            )
        ]


def prepare(artifact: Artifact, *, is_int8: bool = False) -> Served:
    """Ask the golden images, and read what the pages show.

    Raises:
        ArtifactError: If an answer differs from what it was where the model was exported, or a
            file is not what was exported.
    """
    folder = artifact.folder
    golden = read_golden(folder, artifact.rule, len(artifact.class_names))
    difference, flips = ask(artifact.session, golden)
    # In 8 bits kernels differ, and so do answers; `modiste verify` says by how much.
    if not is_int8 and (flips or not difference <= TOLERANCE):
        raise ArtifactError(
            f"{folder.path}: {flips} golden images get another answer here than where it was "
            f"exported (largest difference {difference:.2g}, allowed {TOLERANCE:g}). It is not "
            "served. `modiste verify` says more."
        )
    rows = folder.read_json(folders.GOLDEN)["images"]
    labels = tuple(None if row.get("label") is None else str(row["label"]) for row in rows)
    card = folder.read(folders.CARD).decode("utf-8", "replace")
    return Served(artifact, golden, labels, folder.read_json(folders.CERTIFICATE), card, is_int8)


def describe(served: Served, limits: dict[str, int]) -> Description:
    """What `/model` answers.

    Raises:
        ArtifactError: If the folder's configuration lacks something of it.
    """
    artifact, config = served.artifact, served.artifact.config
    try:
        accuracy = served.certificate["figures"]["accuracy"]
        low, high = accuracy["interval"]
        return Description(
            model=served.digest,
            name=folders.model_name(config),
            family=str(config["model"]["family"]),
            data=folders.data_name(config),
            bits=8 if served.is_int8 else 32,
            parameters=int(config["parameters"]["total"]),
            class_names=list(artifact.class_names),
            size=(*artifact.rule.size_HW, artifact.rule.channels),
            background=artifact.rule.background,
            accuracy=None if served.is_int8 else float(accuracy["value"]),
            accuracy_interval=None if served.is_int8 else (float(low), float(high)),
            samples=[Sample(number=n, label=label) for n, label in enumerate(served.labels)],
            limits=limits,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{artifact.folder.path}: not what `modiste export` writes ({error!r})."
        ) from None


def png(image_CHW: Pixels) -> bytes:
    """An image as the content of a PNG file."""
    content = io.BytesIO()
    pixels = image_CHW[0] if len(image_CHW) == 1 else image_CHW.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, "PNG")
    return content.getvalue()
