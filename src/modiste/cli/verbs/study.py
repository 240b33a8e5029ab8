"""`modiste study`: run a study file, and write its report."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

NAME = "study"
SHORT = "Run a study file, and write its report."
EXAMPLE = "modiste study studies/fashion-mnist.yaml --profile quick"
HELP = f"""Run what is not finished of a study, write its report, and export its models.

The same command goes on after Ctrl-C, a crash or a loss of power, and repeats nothing. With
--budget it ends in time, says what it left out, and goes on from there the next time. The models
of final stages with `export: true` are exported at the end, as `modiste export` does it.

Example:  {EXAMPLE}
"""


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
        typer.Option(
            metavar="[STAGE:]KEY=VALUE", help="Run only points with this value; leave the others."
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Runs side by side, default one for each core; here: one after another in this "
            "process; ray: on a Ray cluster.",
            metavar="N|here|ray",
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="Of the Ray cluster; default RAY_ADDRESS, or this machine.",
            metavar="HOST:PORT|auto",
        ),
    ] = None,
    gpu_share: Annotated[
        float, typer.Option(help="Of a GPU, for each run on Ray, such as 0.25.", min=0.0)
    ] = 0.0,
    budget: Annotated[
        str | None,
        typer.Option(help="End by then with the best found so far: 20m, 1h30m.", metavar="TIME"),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="An Optuna database to mirror it: sqlite:///FILE, postgresql+psycopg://...",
            metavar="URL",
        ),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The folder that holds the data.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object at the end.")] = False,
) -> None:
    from modiste.api.study import run_study
    from modiste.cli.output import names_in, print_json, this_command, workers_in
    from modiste.cli.progress import Display, stop_on_interrupt
    from modiste.errors import Interrupted

    names = names_in("--stages", stages)
    with stop_on_interrupt() as should_stop, Display() as display:
        study, is_finished = run_study(
            file,
            profile=profile,
            out=out,
            seed=seed,
            stages=names,
            settings=settings or (),
            only=only or (),
            num_workers=workers_in(workers),
            ray_address=ray_address,
            gpu_share=gpu_share,
            data_folder=data,
            watcher=display,
            should_stop=should_stop,
            budget=budget,
            storage=storage,
            tell=display.looked,
        )
    if not is_finished:
        raise Interrupted(f"stopped; everything done is saved. Go on with:\n  {this_command()}")
    if json:
        print_json(_summary(study))
    else:
        print(study.folder / "report.html")
        _say_what_next(study.folder)


def _say_what_next(folder: Path) -> None:
    """The commands from a study's final models to a served one; the look, if there was none."""
    from modiste.artifact.exports import exports
    from modiste.cli.output import say

    places = exports(folder)
    if not places:
        return
    say("Next, when nothing is left to choose:")
    if not any((folder / "final").glob("*")):
        # Pasted as it is, a shell refuses it: a reason is for a person to give.
        say(f"  {shlex.join(['modiste', 'evaluate', str(folder), '--final', '--reason'])} <WHY>")
    for model in (model for model, place in places.items() if place is None):
        say(f"  {shlex.join(['modiste', 'export', str(model), '--to', 'DIR'])}")
    for place in dict.fromkeys(places.values()):
        say(f"  {shlex.join(['modiste', 'serve', 'DIR' if place is None else str(place)])}")


def _summary(study: object) -> dict[str, object]:
    from modiste.artifact.exports import exports
    from modiste.search.budget import left_out
    from modiste.search.study import Study

    assert isinstance(study, Study)
    epoch = study.spec.rank_epoch
    stages = []
    for stage in study.stages():
        best = study.winner(stage)
        stages.append(
            {
                "name": stage.spec.name,
                "done": sum(row.is_done for row in stage.chosen),
                "points": len(stage.chosen),
                "winner": best.label if best else None,
                "val_accuracy": best.mean(epoch, "val", "accuracy") if best else None,
                "left_out": left_out(stage) if stage.is_closed else "",
            }
        )
    return {
        "study": str(study.folder),
        "profile": study.profile,
        "seed": study.seed,
        "report": str(study.folder / "report.html"),
        "exported": [str(place) for place in exports(study.folder).values() if place],
        "stages": stages,
    }
