"""`modiste plan`: what a study will take, before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from modiste.api.plan import Plan
    from modiste.search.plan import StageForecast

NAME = "plan"
SHORT = "How many runs, how long, how much memory and disk."
EXAMPLE = "modiste plan studies/fashion-mnist.yaml --profile full"
HELP = f"""Tell how many runs a study is, how long they take here, how much memory and disk.

A short probe begins each kind of run for a moment. Nothing is trained, and nothing is written.
What is finished in the study folder counts as done, and tells how long the rest will take.

Example:  {EXAMPLE}
"""


# What tells how many epochs a run takes, and how fast it goes.
EPOCHS_FROM = {
    "finished": "finished ones",
    "published": "published ones",
    "limit": "none, so to the limit",
}
PACE_FROM = {
    "finished": "by finished ones",
    "measured": "measured",
    "flops": "by the FLOPs of others",
}


def command(
    file: Annotated[Path, typer.Argument(help="A study file in YAML.", metavar="FILE")],
    profile: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    stages: Annotated[
        str | None, typer.Option(help="These stages and those they need.", metavar="NAME,...")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The study folder; default runs/NAME-PROFILE.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every point.", min=0)] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="[STAGE:]KEY=VALUE", help="Over everything in the file."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="[STAGE:]KEY=VALUE", help="Only points with this value."),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(help="Runs side by side; default one for each core.", metavar="N|here"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    from modiste.api.plan import plan_study
    from modiste.cli.output import duration, names_in, print_columns, print_json, say, workers_in
    from modiste.cli.progress import stop_on_interrupt
    from modiste.errors import SpecError
    from modiste.report.numbers import plural
    from modiste.search.probe import PROBE_SECONDS

    num_workers = workers_in(workers)
    if num_workers == "ray":
        raise SpecError(
            "--workers ray: a plan measures what this machine takes. Give a number of workers, or "
            "here."
        )
    with stop_on_interrupt():  # nobody asks whether to stop, so the first word ends it
        plan = plan_study(
            file,
            profile=profile,
            out=out,
            seed=seed,
            stages=names_in("--stages", stages),
            settings=settings or (),
            only=only or (),
            num_workers=num_workers,
            data_folder=data,
            tell=lambda kinds, at_once: say(
                f"Measuring {plural(kinds, 'kind')} of work with {plural(at_once, 'worker')} at "
                f"once, for at most about {duration(PROBE_SECONDS)} ..."
            ),
        )
    if json:
        print_json(summary(plan))
        return
    print_columns(("stage", "runs", "finished", "to do", "time", "at most"), list(rows(plan)))
    print()
    for line in lines(plan):
        print(line)


def rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """The table: a line for each stage, and one for all of them."""
    stages = list(plan.forecast.stages)
    for stage in stages:
        yield _row(stage.name + (" *" if stage.is_guessed else ""), [stage])
    yield _row("all", stages)


def _row(name: str, stages: Sequence[StageForecast]) -> tuple[str, ...]:
    from modiste.cli.output import duration

    todo = sum(stage.num_todo for stage in stages)
    counts = sum(s.num_runs for s in stages), sum(s.num_finished for s in stages), todo
    times = sum(s.seconds for s in stages), sum(s.most_seconds for s in stages)
    unknown = sum(stage.num_unknown for stage in stages)
    cells = ["" if unknown == todo else duration(time) for time in times]
    cells = [" + ".join([*([cell] if cell else []), *(["?"] if unknown else [])]) for cell in cells]
    return (name, *(f"{count:,}" for count in counts), *cells)


def lines(plan: Plan) -> Iterator[str]:
    """What is to be said below the table."""
    from modiste.report.numbers import listing, plural

    stages = plan.forecast.stages
    yield "Times are those of a stage's runs one after another."
    if any(stage.is_guessed for stage in stages):
        yield (
            "* waits for another stage, or searches: the best points so far, or the first ones, "
            "stand for the best ones, evenly spread ones for what will be learnt."
        )
    shared = [
        f"{stage.name} has {plural(count, 'run')} of {other}"
        for stage in stages
        for other, count in stage.shared.items()
    ]
    if shared:
        yield f"Each run is counted once, in the first stage that has it: {listing(shared)}."
    for name in plan.left:
        yield f"{name} will not be run: a stage that it needs has points left."
    yield ""
    if any(stage.num_todo for stage in stages):
        yield from (_time(plan), *_memory(plan), *_disk(plan), "", *_grounds(plan))
    else:
        yield "Nothing is left to do."


def _time(plan: Plan) -> str:
    from modiste.cli.output import duration
    from modiste.report.numbers import plural

    forecast = plan.forecast
    if not forecast.pace_from:
        return "Time: nothing tells it before a run like these is finished."
    text = f"Time: about {duration(forecast.seconds)} with {plural(forecast.num_workers, 'worker')}"
    how = _counted(forecast.epochs_from, EPOCHS_FROM)
    if list(forecast.epochs_from) == ["limit"]:
        return f"{text}; each run goes to its limit of epochs."
    if not how:
        return f"{text}."
    return (
        f"{text}, if each run stops when those most like it did ({how}); "
        f"at most {duration(forecast.most_seconds)}, if each goes to its limit of epochs."
    )


def _memory(plan: Plan) -> Iterator[str]:
    from modiste.cli.output import size
    from modiste.report.numbers import plural

    if plan.probed is None or not plan.probed.worker_bytes:
        return
    free = "" if plan.available_bytes is None else f"; {size(plan.available_bytes)} are free"
    workers = plural(plan.num_processes, "worker")
    yield (
        f"Memory: about {size(plan.memory_bytes)}, {size(plan.probed.driver_bytes)} for the driver "
        f"and {size(plan.probed.worker_bytes)} for each of {workers}{free}."
    )
    if plan.missing_memory_bytes:
        yield (
            f"WARNING: memory lacks {size(plan.missing_memory_bytes)}. Close something, or take "
            "fewer workers with --workers."
        )


def _disk(plan: Plan) -> Iterator[str]:
    from modiste.cli.output import size

    disk = plan.disk
    yield (
        f"Disk: at most {size(disk.end)} in {plan.folder} at the end, and {size(disk.peak)} before "
        f"weights are dropped; {size(disk.now)} are there, {size(plan.free_bytes)} are free."
    )
    if plan.missing_disk_bytes:
        yield (
            f"WARNING: the disk lacks {size(plan.missing_disk_bytes)}. Free some space, or choose "
            "another disk with --out DIR."
        )


def _grounds(plan: Plan) -> Iterator[str]:
    """What the estimate stands on."""
    from modiste.cli.output import duration
    from modiste.report.numbers import plural

    forecast, probed = plan.forecast, plan.probed
    text = f"An estimate. Pace of runs: {_counted(forecast.pace_from, PACE_FROM) or 'unknown'}."
    if probed is not None:
        text += (
            f" Measured: {plural(len(probed.paces), 'kind')} of work, in {probed.seconds:.0f} s, "
            f"with {plural(forecast.num_workers, 'worker')} at once."
        )
    yield text
    if unknown := sum(stage.num_unknown for stage in forecast.stages):
        yield (
            f"Not counted: {plural(unknown, 'run')} (?) of which nothing tells how long they take "
            "before one like them is finished."
        )
    if plan.misfits:
        yield (
            f"{plural(len(plan.misfits), 'run')} will fail at once, of points that make no model "
            f"for these images: {plan.misfits[0]}"
        )
    yield from (probed.broken if probed else ())
    if probed is not None and plan.alone_seconds is not None:
        yield (
            f"Other programs left the workers {probed.core_share:.0%} of their cores meanwhile. "
            f"Alone on this machine, the study takes about {duration(plan.alone_seconds)}."
        )


def _counted(numbers: Mapping[str, int], words: Mapping[str, str]) -> str:
    return ", ".join(f"{text}: {numbers[key]:,}" for key, text in words.items() if key in numbers)


def summary(plan: Plan) -> dict[str, Any]:
    """The same as one JSON object; bytes and seconds."""
    forecast, probed = plan.forecast, plan.probed
    return {
        "study": str(plan.folder),
        "profile": plan.profile,
        "workers": forecast.num_workers,
        "seconds": round(forecast.seconds, 1),
        "most_seconds": round(forecast.most_seconds, 1),
        "alone_seconds": plan.alone_seconds and round(plan.alone_seconds, 1),
        "stages": [
            {
                "name": stage.name,
                "runs": stage.num_runs,
                "finished": stage.num_finished,
                "to_do": stage.num_todo,
                "shared": stage.shared,
                "seconds": round(stage.seconds, 1),
                "most_seconds": round(stage.most_seconds, 1),
                "unknown": stage.num_unknown,
                "is_guessed": stage.is_guessed,
            }
            for stage in forecast.stages
        ],
        "misfits": list(plan.misfits),
        "left": list(plan.left),
        "epochs_from": forecast.epochs_from,
        "pace_from": forecast.pace_from,
        "memory": {
            "bytes": plan.memory_bytes,
            "driver_bytes": probed.driver_bytes if probed else 0,
            "worker_bytes": probed.worker_bytes if probed else 0,
            "available_bytes": plan.available_bytes,
        },
        "disk": {
            "now_bytes": plan.disk.now,
            "end_bytes": plan.disk.end,
            "peak_bytes": plan.disk.peak,
            "free_bytes": plan.free_bytes,
            "missing_bytes": plan.missing_disk_bytes,
        },
        "probe": {
            "seconds": round(probed.seconds, 1) if probed else 0.0,
            "kinds": len(probed.paces) if probed else 0,
            "broken": list(probed.broken) if probed else [],
            "core_share": round(probed.core_share, 2) if probed else None,
        },
    }
