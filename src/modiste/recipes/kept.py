"""Laps of a counted look, kept as they finish, so that an interruption costs no finished one."""

from __future__ import annotations

from pathlib import Path

from modiste.recipes.laps import Lap
from modiste.runs import files
from modiste.runs.environment import environment
from modiste.runs.run import Run, RunRecord, write_run
from modiste.spec.run import RunSpec


class KeptLaps:
    """The laps in a folder: runs under ``runs``, what each took under ``laps``.

    Args:
        folder: Of the look; made when the first lap is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, spec: RunSpec, fingerprint: str) -> Lap | None:
        """A lap that was kept, if this machine and these packages timed it; else nothing.

        Raises:
            StoreError: If it is damaged.
        """
        path = self._seconds_path(fingerprint)
        if not path.is_file():
            return None
        timed = files.read_sealed(path)
        if timed["environment"] != _timed_by():
            return None
        run = Run(self._run_folder(fingerprint))
        val = run.metrics["last"]["val"]
        return Lap(spec, timed["seconds"], val["correct"], val["total"], run)

    def put(self, lap: Lap) -> None:
        """Keep a lap that was run.

        Raises:
            StoreError: If it cannot be written.
        """
        fingerprint = lap.run.fingerprint
        folder = self._run_folder(fingerprint)
        if isinstance(lap.run, RunRecord) and not (folder / "manifest.json").is_file():
            write_run(lap.run, folder)
        timed = {"fingerprint": fingerprint, "seconds": lap.seconds, "environment": _timed_by()}
        content = files.sealed({"schema": 1, **timed})
        files.write_bytes(self._seconds_path(fingerprint), content)

    def run(self, lap: Lap) -> Run:
        """The run folder of a lap that is kept."""
        return Run(self._run_folder(lap.run.fingerprint))

    def _run_folder(self, fingerprint: str) -> Path:
        return self._folder / "runs" / fingerprint[:16]

    def _seconds_path(self, fingerprint: str) -> Path:
        return self._folder / "laps" / f"{fingerprint[:16]}.json"


def _timed_by() -> dict[str, object]:
    """What seconds depend on, of what is known: those of other machines are not mixed in."""
    here = environment()
    return {key: here[key] for key in ("cpu", "cores", "packages", "kernel_settings")}
