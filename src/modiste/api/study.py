"""A study from Python: run it, read it, look at the test set, write its report.

What needs torch, or draws, is imported where it is used: who drives workers needs neither, and a
study that cannot begin says so at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from modiste.api.counting import counted, ledger_of
from modiste.api.finals import export_finals, save_finals, write_cards
from modiste.api.given import each_name, need_workers
from modiste.api.opening import Opened, open_study
from modiste.api.places import path_for_run
from modiste.api.progress import StudyBar, looking
from modiste.cores import num_cores
from modiste.data.load import divide
from modiste.data.source import Source, Tell, open_source, silent
from modiste.data.types import ImageSet
from modiste.errors import DataError, SpecError, StoreError
from modiste.evaluate.leaks import equal_across
from modiste.final.stored import Candidate, folder_of, is_stored
from modiste.report.leaks import exact_file, exact_record
from modiste.runs import files
from modiste.runs.ledger import Ledger
from modiste.search.budget import Budget
from modiste.search.collect import LEDGER, collect
from modiste.search.driver import SLICE_SECONDS, Driver, Watcher
from modiste.search.mirror import mirrored
from modiste.search.pool import Start
from modiste.search.ray_pool import RayPool, need_ray
from modiste.search.study import DATA_FACTS, Study
from modiste.spec.duration import seconds_in
from modiste.spec.run import DataSpec


def run_study(  # noqa: PLR0913 (by keyword; each is an option of the verb)
    file: str | os.PathLike[str] | Mapping[str, Any],
    *,
    profile: str = "quick",
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    stages: str | Iterable[str] | None = None,
    settings: str | Iterable[str] | Mapping[str, Any] = (),
    only: str | Iterable[str] | Mapping[str, Any] = (),
    num_workers: int | Literal["here", "ray"] | None = None,
    ray_address: str | None = None,
    gpu_share: float = 0.0,
    data_folder: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    slice_seconds: float = SLICE_SECONDS,
    verbose: bool = False,
    budget: str | float | None = None,
    storage: str | None = None,
    tell: Tell = silent,
) -> tuple[Study, bool]:
    """Run what is not finished of a study, and write its report when all of it is.

    The models of final stages that say so (``export: true``) are exported.

    Worker processes read the script that started them again, so that in a script this call stands
    below ``if __name__ == "__main__":``. With ``num_workers="here"``, in a notebook and at a prompt
    nothing of the kind is needed.

    Args:
        file: A study file, or what would stand in one, as a dictionary; it is then written into
            the study folder as ``NAME.yaml``. A `pathlib.Path` in it is seen from the working
            directory, a path as text from the study folder.
        profile: ``quick`` or ``full``.
        out: The study folder; ``runs/NAME-PROFILE`` if not given.
        seed: Of every point; the file's if not given.
        stages: Run these and those they need; all if not given.
        settings: ``[STAGE:]KEY=VALUE``, one or several, over everything in the file; or keys and
            values, such as ``{"train.epochs": 5}``.
        only: The same: run the points that agree, and leave the others.
        num_workers: Runs side by side (threads in all); one for each core if not given. ``ray``
            hands them to a Ray cluster, as many as it has room for. ``here`` starts no processes:
            runs come one after another in this one, and a run that crashes takes it along.
        ray_address: Of the cluster; what ``RAY_ADDRESS`` says, or one on this machine, if not
            given.
        gpu_share: Of a GPU, for each run that Ray is handed.
        data_folder: Where the data set lies; looked for if not given.
        watcher: Is told what happens.
        should_stop: Asked all the time; everything is then saved and the call returns.
        slice_seconds: How often runs under way are saved.
        verbose: Show a bar, in a notebook as well; not where a watcher is told.
        budget: How long it may take, the report included: seconds, or ``20m``. Stages are closed
            in time for what comes after them; the report says what was left out. One that is too
            short for a report is overrun by what the watcher is told beforehand.
        storage: The URL of an Optuna database that is to mirror the study as it goes on.
        tell: Told how many images of a set of your own were looked at, of how many.

    Returns:
        The study, and whether everything asked for is finished, or was closed by the budget.

    Raises:
        SpecError: If the file, a setting, a stage or the number of workers makes no sense.
        DataError: If the data cannot be had.
        StoreError: If the folder cannot be written, or holds another study.
    """
    time_for_it = _budget(budget)
    workers = need_workers(num_workers, "here", "ray")
    if workers == "ray":
        need_ray()
    elif ray_address is not None or gpu_share:
        raise SpecError(
            "--ray-address and --gpu-share are for --workers ray (`num_workers=` in Python)."
        )
    if workers == "here" and time_for_it is not None:
        raise SpecError(
            "--workers here: nobody looks at the clock while a run is under way, so that no budget "
            "of time can be kept. Give a number of workers (`num_workers=` in Python), such as 1, "
            "or leave --budget out."
        )
    with looking(tell, is_shown=verbose and watcher is None) as told:
        opened = open_study(
            file,
            profile=profile,
            out=out,
            seed=seed,
            stages=stages,
            settings=settings,
            only=only,
            data_folder=data_folder,
            is_here=workers != "ray",
            tell=told,
        )
    study, images = opened.study, opened.images
    with StudyBar(study.name, is_shown=verbose and watcher is None) as bar:
        watcher = watcher or bar
        _write_down(opened, watcher)
        if time_for_it is not None:
            time_for_it = _paced(time_for_it, watcher)
        start: Start | None = None
        if workers == "ray":
            start = partial(RayPool, address=ray_address, gpu_share=gpu_share)
        elif workers == "here":
            from modiste.search.here import Here

            start = partial(Here, tell=watcher.progress, should_stop=should_stop)
        driver = Driver(
            study,
            images,
            workers if isinstance(workers, int) else num_cores(),
            watcher,
            should_stop,
            slice_seconds,
            opened.only,
            time_for_it,
            start=start,
        )
        with nullcontext() if storage is None else mirrored(study.folder, storage, watcher.note):
            is_finished = driver.run(opened.stages)
        if is_finished:  # else whoever stopped it waits, and the next call does this
            _finish(opened, data_folder, watcher)
    return study, is_finished


def _finish(opened: Opened, data_folder: str | os.PathLike[str] | None, watcher: Watcher) -> None:
    """What a study ends with: pictures, models, exports, and the report, which names them."""
    study, images = opened.study, opened.images
    _draw_data(study, images, opened.source, opened.data)
    _look_for_leaks(study, images, opened.data)
    save_finals(study, images)
    exported = export_finals(study, data_folder)
    write_report(study)
    for said in exported:
        watcher.note(said)


def _write_down(opened: Opened, watcher: Watcher) -> None:
    """What has to be known of a set of your own before anything is trained on it."""
    if said := opened.source.seal():
        watcher.note(said)
    if opened.source.facts is not None:
        files.write_json(opened.study.folder / DATA_FACTS, opened.source.facts())


def _budget(text: str | float | None) -> Budget | None:
    """One that begins now."""
    if text is None:
        return None
    seconds = seconds_in(text) if isinstance(text, str) else float(text)
    if not seconds > 0:
        raise SpecError(f"budget: expected more than 0 seconds, got {seconds:g}.")
    return Budget.of(seconds)


def _paced(budget: Budget, watcher: Watcher) -> Budget:
    """The same with how fast reports are written here; says so if it is too short for one."""
    from modiste.report.pace import slowness

    budget = replace(budget, slowness=slowness())
    if budget.warning:
        watcher.note(budget.warning)
    return budget


def write_report(study: str | os.PathLike[str]) -> Path:
    """Write `report.html` and `report.md` into the study folder; returns the first.

    Looks at the test set are counted by the ledger that travels with collected results, or by
    the user's own. The cards of the study's models are brought up to date with it.

    Args:
        study: A `Study`, or its folder.

    Raises:
        StoreError: If it is no study folder, or cannot be read or written.
    """
    from modiste.report import write as report

    study = study if isinstance(study, Study) else Study(study)
    tally = ledger_of(study.folder, study.data_digest).tally()
    write_cards(study, tally)
    return report.write(study, tally)


def collect_results(
    study: Study, target: str | os.PathLike[str], *, light: Collection[str] = ()
) -> list[Path]:
    """Copy a study's results without the bulk, and write their report; returns the tables.

    Final models and their logits are no bulk, except those of the stages named as light.

    Raises:
        SpecError: If no stage has a name given.
        StoreError: If the target cannot be written, lies in the study itself or holds the results
            of another study.
        SealError: If its ledger cannot be written.
    """
    tables = collect(study, Path(target), _ledgers(study), light=light)
    write_report(Study(Path(target)))
    return tables


def look_at_test(
    study: Study,
    reason: str,
    stages: str | Iterable[str] | None = None,
    data_folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Open the test set, once and counted, for the final models of a study.

    Args:
        study: Whose winners of its final stages are measured, all seeds of each.
        reason: What the look is for; it stands in the ledger for good.
        stages: These final stages only.
        data_folder: Where the data set lies; looked for if not given.

    Returns:
        The folder of the look.

    Raises:
        SealError: Without a reason, or if the ledger cannot be written.
        StoreError: If nothing is finished that could be measured.
    """
    candidates = winners(study, stages)
    unique = {candidate.run.fingerprint: candidate for candidate in reversed(candidates)}
    return look_at_runs(
        list(reversed(unique.values())), reason, study.folder / "final", data_folder
    )


def _ledgers(study: Study) -> list[Ledger]:
    """The ledger that a study brought along, if it did, and the user's own."""
    folders = [study.folder / LEDGER, None]
    return [Ledger(study.data_digest, folder=folder) for folder in folders]


def winners(study: Study, stages: str | Iterable[str] | None = None) -> list[Candidate]:
    """All seeds of the winners of these stages (a study's final ones, if not given).

    Raises:
        SpecError: If the study has no stage of that name.
        StoreError: If none of them is finished.
    """
    wanted = set(each_name(stages, "stages")) if stages is not None else None
    for name in wanted or ():
        if study.spec.stage(name).folds is not None:
            raise SpecError(
                f"--stages {name}: its trainings are those of cross-validation; each has seen a "
                "part of the images, and none of them is a model to be measured. Name a stage "
                f"that trains its winner whole, such as one with `from: [{name}]`."
            )
    candidates = []
    for stage in study.stages():
        if stage.spec.name in wanted if wanted is not None else stage.spec.is_final:
            best = study.winner(stage)
            if best is not None and stage.chosen:
                candidates += [Candidate(stage.spec.name, best.label, run) for run in best.runs]
    if not candidates:
        names = sorted(wanted) if wanted else [s.name for s in study.spec.stages if s.is_final]
        why = f"not finished yet: {', '.join(names)}. `modiste study` goes on with it."
        if wanted is None and not any(stage.is_final for stage in study.spec.stages):
            why = (
                "no stage of it is marked `final: true`. Name the stages with --stages (`stages=` "
                "in Python)."
            )
        raise StoreError(f"{study.folder}: {why}")
    return candidates


def look_at_runs(
    candidates: Sequence[Candidate],
    reason: str,
    folder: Path,
    data_folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Open the test set, once and counted, for a frozen list of runs of one data set.

    Args:
        candidates: The list.
        reason: What the look is for; it stands in the ledger for good.
        folder: Holds one folder for each look.
        data_folder: Where the data set lies; looked for if not given.

    Returns:
        The folder of the look. A list that was looked at before opens nothing. Report and cards
        around it are left to who calls this.

    Raises:
        SealError: Without a reason, or if the ledger cannot be written.
        DataError: If the folder holds other images than those that were trained on.
    """
    place = folder_of(candidates, folder)
    if is_stored(place):
        return place
    first = candidates[0].run
    digest = str(first.metrics["data_digest"])
    path = Path(data_folder) if data_folder else path_for_run(first.folder)
    source = open_source(first.spec.data, path)
    # A published set is told by its own digests; any other folder could hold anything.
    if not source.is_published and source.load_train().digest != digest:
        raise DataError(
            f"{source.where('train')} holds other images than those that {first.folder} was "
            "trained on: its test part is not theirs. Name the right folder."
        )
    from modiste.final.look import look

    with counted(folder.parent, digest) as ledger:
        return look(source, candidates, reason, ledger, folder)


def _draw_data(study: Study, images: ImageSet, source: Source, spec: DataSpec) -> None:
    folder = study.folder / "figures"
    if not list(folder.glob("*.svg")):
        from modiste.report.data_figures import render

        data = divide(images, spec, study.data_digest)
        counts_K = source.test_counts_K
        if source.facts is not None:
            found = source.facts()["parts"]["test"]
            counts_K = found if any(found) else None
        render(images, data.split, folder, name=data.name, test_counts_K=counts_K)


def _look_for_leaks(study: Study, images: ImageSet, spec: DataSpec) -> None:
    """Write down which validation images equal a training image, for the report to say so."""
    if not exact_file(study).exists():
        data = divide(images, spec, study.data_digest)
        found = equal_across(data.train.images_NCHW, data.val.images_NCHW)
        ids = data.val.ids_N[found].tolist()
        record = exact_record(study, len(data.train), ids, len(data.val))
        files.write_json(exact_file(study), record)
