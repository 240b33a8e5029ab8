"""An exported model that answers: onnxruntime on bytes that were checked first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from modiste.artifact import folder as folders
from modiste.artifact.check import parse
from modiste.artifact.folder import Folder
from modiste.artifact.graph import INPUT, OUTPUT
from modiste.artifact.unlike import Typical
from modiste.data.decode import Rule
from modiste.data.types import ImagesNCHW
from modiste.errors import ArtifactError, InputError, SpecError

# A batch is as large as pays, and no larger than this much memory holds.
LARGEST_BATCH = 64
_BATCH_BYTES = 1 << 28


@dataclass(frozen=True)
class Session:
    """A graph that is ready to run.

    Attributes:
        name: What to call it in errors.
        shape_HWC: Of one image.
        num_classes: K.
        batch_size: Images to give it at once, at most.
    """

    runtime: onnxruntime.InferenceSession
    name: str
    shape_HWC: tuple[int, int, int]
    num_classes: int
    batch_size: int

    def run(self, images_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities, N x K, of any number of images.

        Raises:
            ArtifactError: If the graph, which somebody else wrote, cannot answer them.
        """
        starts = range(0, max(1, len(images_NHWC)), self.batch_size)
        return np.concatenate([self._run(images_NHWC[s : s + self.batch_size]) for s in starts])

    def _run(self, images_NHWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        try:
            (shares_NK,) = self.runtime.run([OUTPUT], {INPUT: np.ascontiguousarray(images_NHWC)})
        except Exception as error:
            raise _cannot(self.name, error) from error
        if shares_NK.shape != (len(images_NHWC), self.num_classes):
            raise ArtifactError(f"{self.name}: gives no row of {OUTPUT} for each image.")
        return np.asarray(shares_NK)


def open_session(content: bytes, name: str, threads: int = 1) -> Session:
    """Check an ONNX file and make it ready.

    Args:
        content: Of the file; onnxruntime is never told where it lies.
        name: What to call it in errors.
        threads: For the arithmetic of one batch.

    Raises:
        ArtifactError: If it holds anything that ours do not, or onnxruntime refuses it.
    """
    checked = parse(content, name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions, and are not printed as well
    # A thread that waits for work shall not keep a core busy with waiting.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        runtime = onnxruntime.InferenceSession(
            checked.runnable,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # there is nothing to fall back to, and it prints
        )
    except Exception as error:
        raise _cannot(name, error) from error
    batch_size = min(max(1, _BATCH_BYTES // checked.bytes_per_image), LARGEST_BATCH)
    return Session(runtime, name, checked.shape_HWC, checked.num_classes, batch_size)


def _cannot(name: str, error: Exception) -> ArtifactError:
    """Its errors are of a dozen kinds without a common base; they all mean this."""
    why = " ".join(str(error).split())[:200]
    return ArtifactError(f"{name}: onnxruntime cannot run it ({why}).")


@dataclass(frozen=True, repr=False)
class Artifact:
    """An exported model, checked and ready to answer.

    Attributes:
        folder: Where it lies, and what its manifest says.
        config: `config.json`.
        class_names: In the order of the probabilities.
        rule: How image files become its input.
        typical: What its training images looked like.
        session: What computes.
    """

    folder: Folder
    config: Mapping[str, Any]
    class_names: tuple[str, ...]
    rule: Rule
    typical: Typical
    session: Session

    def __repr__(self) -> str:
        height, width, channels = self.session.shape_HWC
        return (
            f"Artifact({str(self.folder.path)!r}: {len(self.class_names)} classes, images of "
            f"{height} x {width} x {channels})"
        )

    @property
    def batch_size(self) -> int:
        return self.session.batch_size

    def probabilities(self, images_NCHW: ImagesNCHW) -> npt.NDArray[np.float64]:
        """Of each class, N x K.

        Args:
            images_NCHW: uint8, of the model's own size (`rule`), channels first.

        Raises:
            InputError: If they are not.
            ArtifactError: If the graph cannot answer them.
        """
        images_NHWC = self._fitting(images_NCHW).transpose(0, 2, 3, 1)
        return self.session.run(images_NHWC).astype(np.float64)

    def warnings(self, images_NCHW: ImagesNCHW) -> list[str | None]:
        """For each image what is unlike the training images, in words; none where nothing is.

        Args:
            images_NCHW: As for `probabilities`.

        Raises:
            InputError: If they are of another size or kind.
        """
        return self.typical.unlike(self._fitting(images_NCHW))

    def _fitting(self, images: Any) -> ImagesNCHW:
        height, width, channels = self.session.shape_HWC
        expected = (channels, height, width)
        found = np.asarray(images)
        if found.ndim == 4 and found.shape[1:] == expected and found.dtype == np.uint8:
            return found
        hint = ""
        if found.ndim == 4 and found.shape[1:] == self.session.shape_HWC:
            hint = " Channels come first: images.transpose(0, 3, 1, 2)."
        elif found.shape == expected:
            hint = " A single image is images[np.newaxis]."
        elif channels == 1 and found.shape[1:] == (height, width):
            hint = " The channel has an axis of its own: images[:, np.newaxis]."
        raise InputError(
            f"images: {found.dtype} of shape {found.shape}; expected uint8, 0 to 255, of shape "
            f"(N, {', '.join(map(str, expected))}).{hint}"
        )


def load_artifact(path: str | Path, *, is_int8: bool = False, threads: int = 1) -> Artifact:
    """Read an exported folder; every file that is used is checked against its hash first.

    Args:
        path: What `modiste export` wrote.
        is_int8: Answer with the model of 8 bits, if the folder holds one.
        threads: For the arithmetic of one batch.

    Raises:
        ArtifactError: If it is no exported folder, or not what was exported.
    """
    folder = folders.open_folder(Path(path))
    name = folders.INT8 if is_int8 else folders.ONNX
    if is_int8 and name not in folder:
        raise ArtifactError(f"{path}: exported without --int8; it holds no {name}.")
    config = folder.read_json(folders.CONFIG)
    where = f"{path}/{folders.CONFIG}"
    try:
        class_names = tuple(map(str, config["class_names"]))
        rule = Rule.from_dict(config["decode"])
        typical = Typical.from_dict(config["typical"])
    except SpecError as error:
        raise ArtifactError(f"{where}: {error}") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ArtifactError(f"{where}: not what `modiste export` writes ({error!r}).") from None
    session = open_session(folder.read(name), f"{path}/{name}", threads)
    if (*rule.size_HW, rule.channels) != session.shape_HWC or (
        len(class_names) != session.num_classes
    ):
        raise ArtifactError(
            f"{where}: speaks of {len(class_names)} classes and images of {rule.size_HW} pixels, "
            f"and {name} of {session.num_classes} and {session.shape_HWC[:2]}: they do not belong "
            "together."
        )
    return Artifact(folder, config, class_names, rule, typical, session)
