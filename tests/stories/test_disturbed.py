"""Killed, interrupted, doubled: the same command goes on, and finds what it would have found."""

from __future__ import annotations

import csv
import os
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from modiste.runs.files import read_json, read_npz
from modiste.search.children import NAME
from modiste.search.collect import collect
from modiste.search.study import Study
from tests import small
from tests.command_line import Cli, Place, new_place
from tests.driving import results
from tests.synthetic import write_idx

pytestmark = pytest.mark.slow  # child processes

# Three short runs, then one that takes seconds.
VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 100},
    model={"family": "mlp", "params": {"hidden": [16], "dropout": 0.2}},
    train={"epochs": 20, "batch_size": 50},
    stages=[
        {"name": "short", "grid": {"train.optimizer": ["adam", {"name": "sgd"}, "nadam"]}},
        {"name": "long", "final": True, "from": ["short"], "train": {"epochs": 250}},
    ],
)
# One run that never ends, and a short one beside it; for those that want to see it stopped.
ENDLESS = small.study(
    stages=[
        {"name": "endless", "train": {"epochs": 10**9}},
        {"name": "short", "train": {"epochs": 2}},
    ],
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    write_idx(tmp_path / "data")
    return new_place(tmp_path)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the study finds when nothing happens to it."""
    place = new_place(tmp_path_factory.mktemp("undisturbed"))
    write_idx(place.root / "data")
    answer = place.ask(*study_words(place, VALUES))
    assert answer.status == 0, answer.err
    found = results(Study(place.root / "out"))
    assert len(found) == 4
    return found


def study_words(place: Place, values: dict[str, Any]) -> list[str]:
    file = small.write_study(place.root / "study.yaml", values)
    words = ["study", str(file), "--data", str(place.root / "data")]
    return [*words, "--out", str(place.root / "out"), "--workers", "2"]


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """Lines of stderr up to the first that holds these words."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError(f"ended without {words!r}: {''.join(lines)}")


def group(process: subprocess.Popen[str]) -> list[int]:
    """The processes of its group that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == process.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The children among them that train."""
    return [pid for pid in group(process) if _name(pid) == NAME]


def servers(process: subprocess.Popen[str]) -> list[int]:
    """The process among them that workers are forked from."""
    return [pid for pid in group(process) if b"forkserver" in _command(pid) and _name(pid) != NAME]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def wait_for(is_true: Callable[[], bool]) -> None:
    """Ask again and again: what the kernel does has no event to wait for."""
    until = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.005)  # and leave the cores to what is waited for


def test_a_study_that_was_killed_goes_on_and_finds_what_it_would_have_found(
    place: Place, wanted: dict[str, Any]
) -> None:
    words = study_words(place, VALUES)
    with place.start(*words) as process:
        # Everybody at once, as when the power fails: no handler, no `finally` is run.
        read_until(process, "validation accuracy")
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    runs = (place.root / "out" / "runs").iterdir()
    done = len([run for run in runs if not run.name.startswith(".")])
    assert 1 <= done < 4
    assert not (place.root / "out" / "report.html").exists()

    after = place.run(*words)
    assert after.status == 0, after.err
    said = (
        rf"^{done} of \d runs are finished already(, and those of long, which wait for others)?\.$"
    )
    assert re.search(said, after.err, re.MULTILINE)
    assert results(Study(place.root / "out")) == wanted
    assert (place.root / "out" / "report.html").exists()


def test_a_kill_between_checkpoints_costs_a_slice_and_no_result(
    place: Place, wanted: dict[str, Any]
) -> None:
    # Through Python, because only there a slice can be made shorter than a test may take.
    code = (
        "import sys, modiste\n"
        "from modiste.search.work_folder import WorkFolder\n"
        "save = WorkFolder.save\n"
        "def loud(*args):\n"
        "    save(*args)\n"
        "    print('saved', flush=True)\n"
        "WorkFolder.save = loud\n"
        "study, done = modiste.run_study(sys.argv[1], out=sys.argv[2], data_folder=sys.argv[3],\n"
        "                                num_workers=2, slice_seconds=0.02)\n"
        "assert done\n"
    )
    file = small.write_study(place.root / "study.yaml", VALUES)

    # Killed after the third checkpoint, later once more, then left in peace.
    for num_saves in (3, 6, None):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(file), "out", str(place.root / "data")],
            cwd=place.root,
            env=place.variables(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            for number, _ in enumerate(process.stdout, start=1):
                if number == num_saves:
                    os.killpg(process.pid, signal.SIGKILL)
                    break
        assert process.returncode == (0 if num_saves is None else -signal.SIGKILL)
    assert results(Study(place.root / "out")) == wanted


@pytest.mark.parametrize(
    "moment", ["while what they need is loaded", "while workers are started", "while they work"]
)
def test_an_interrupt_ends_within_seconds_and_says_how_to_go_on(place: Place, moment: str) -> None:
    words = study_words(place, ENDLESS)
    with place.start(*words) as process:
        if moment == "while they work":
            read_until(process, "validation accuracy")
        else:
            # The driver, what Python keeps beside it, what loads torch for seconds, then a worker.
            num = 3 if moment == "while what they need is loaded" else 4
            wait_for(lambda: len(group(process)) >= num)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does in a terminal
        _, err = process.communicate(timeout=60)
        seconds = time.monotonic() - began
    assert process.returncode == 130
    wait_for(lambda: group(process) == [])
    # Workers that are just being started take some seconds to hear of it, on a busy machine more.
    assert seconds < 30
    assert "saving what is under way" in err
    assert "Traceback" not in err
    assert "worker process" not in err, "a worker died of it"
    command = err[err.index("Go on with:") :].splitlines()[1].strip()
    assert shlex.split(command) == ["modiste", *words]
    # What was under way is saved, and is taken up by that very command.
    work = place.root / "out" / "work"
    saved = [read_json(path)["newest_first"] for path in work.glob("*/checkpoints.json")]
    assert saved
    assert all(names for names in saved)


def test_an_interrupt_to_the_driver_alone_stops_its_workers_as_well(place: Place) -> None:
    with place.start(*study_words(place, ENDLESS)) as process:
        read_until(process, "validation accuracy")
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: group(process) == [])


def test_workers_end_when_their_driver_is_killed(place: Place) -> None:
    with place.start(*study_words(place, ENDLESS)) as process:
        read_until(process, "validation accuracy")
        process.kill()
        # The pipes close when the last process that holds them is gone: the workers hold them too.
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def test_two_interrupts_stop_even_workers_that_hang(place: Place) -> None:
    with place.start(*study_words(place, ENDLESS)) as process:
        read_until(process, "validation accuracy")
        for pid in workers(process):
            os.kill(pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGINT)
        read_until(process, "saving what is under way")
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Go on with:" in err
    wait_for(lambda: group(process) == [])


def test_two_interrupts_stop_at_once_while_torch_is_loaded(place: Place) -> None:
    with place.start(*study_words(place, ENDLESS)) as process:
        wait_for(lambda: servers(process) != [])
        (server,) = servers(process)
        os.kill(server, signal.SIGSTOP)  # a library on a disk that does not answer
        try:
            os.kill(process.pid, signal.SIGINT)
            read_until(process, "saving what is under way")
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(timeout=30) == 130
        finally:
            os.kill(server, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "Go on with:" in err


def test_an_interrupt_while_data_are_fetched_stops_at_once(
    place: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr("modiste.data.source.Source.load_train", interrupted)
    before = signal.getsignal(signal.SIGINT)
    words = study_words(place, VALUES)
    answer = cli(*words)
    assert answer.status == 130
    assert f"Go on with:\n  {shlex.join(['modiste', *words])}" in answer.err
    assert "Traceback" not in answer.err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_command_on_the_same_study_is_refused_by_name(place: Place, cli: Cli) -> None:
    words = study_words(place, ENDLESS)
    with place.start(*words) as process:
        read_until(process, "validation accuracy")
        second = cli(*words)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert second.status == 2
    assert re.search(rf"being worked on by process {process.pid} on ", second.err)
    assert "Traceback" not in second.err
    assert second.out == ""


# --- killed at any moment -------------------------------------------------------------------------


def search(num_kills: int) -> dict[str, Any]:
    """A search with rungs, and what confirms it: short runs, some for each kill."""
    return {
        "name": "search",
        "data": {"name": "idx", "num_val": 100},
        "model": {"family": "mlp", "params": {"hidden": [16]}},
        "train": {"epochs": 30, "batch_size": 50, "optimizer": {"name": "adam"}},
        "search": {
            "method": {"name": "tpe", "startup": 8, "lag": 4},
            "trials_per_value": 8 + 4 * num_kills,
            "tune": {
                "train.optimizer.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
                "model.params.dropout": {"low": 0.0, "high": 0.6},
            },
            "halving": {"name": "successive", "first_epochs": 10, "factor": 3},
        },
        "confirm": {"top": 1, "seeds": 2},
    }


def leaderboard(place: Place) -> list[dict[str, Any]]:
    table = Study.open(place.root / "out").table(each_seed=True)
    return [{**line, "seconds": 0} for line in table]


@pytest.mark.parametrize("num_kills", [5, pytest.param(30, marks=pytest.mark.long)])
def test_a_search_killed_at_random_moments_has_the_leaderboard_of_one_that_was_not(
    num_kills: int, tmp_path: Path
) -> None:
    alone, killed = new_place(tmp_path / "alone"), new_place(tmp_path / "killed")
    for place in (alone, killed):
        write_idx(place.root / "data")
    answer = alone.ask(*study_words(alone, search(num_kills)))
    assert answer.status == 0, answer.err

    chance = np.random.default_rng(num_kills)
    words = study_words(killed, search(num_kills))
    finished: dict[str, tuple[int, int]] = {}
    num_left = num_kills
    while num_left:
        with killed.start(*words, stderr=subprocess.DEVNULL) as process:
            goes_on = True
            while goes_on:
                # From the first moment of a driver on, and between two runs, and within them.
                num = len(finished_runs(killed.root / "out")) + int(chance.integers(2))
                wait_for(lambda num=num: len(finished_runs(killed.root / "out")) >= num)  # type: ignore[misc]
                time.sleep(chance.uniform(0.0, 0.5))
                assert process.poll() is None, "it ended before it was killed often enough"
                victim = ("driver", "worker", "server", "all")[chance.integers(4)]
                found = {"worker": workers, "server": servers}.get(victim, lambda _: [])(process)
                if found:
                    os.kill(found[chance.integers(len(found))], signal.SIGKILL)
                else:
                    kill(process, "driver" if victim == "driver" else "group")
                num_left -= 1
                goes_on = bool(found and num_left)
            if num_left == 0 and process.poll() is None:
                kill(process, "group")
            process.wait(timeout=60)
        after = finished_runs(killed.root / "out")
        assert after.items() >= finished.items(), "a finished run was lost, or done again"
        finished = after
    answer = killed.run(*words)
    assert answer.status == 0, answer.err
    assert finished_runs(killed.root / "out").items() >= finished.items()
    assert leaderboard(killed) == leaderboard(alone)
    assert results(Study(killed.root / "out")) == results(Study(alone.root / "out"))


# --- the reference study's own stage, on real images ----------------------------------------------

REFERENCE = Path(__file__).parents[2] / "studies" / "fashion-mnist.yaml"
NUM_EPOCHS = 10
# Who is killed, and how many of the five runs are finished by then, or more.
KILLS = (("driver", 0), ("worker", 0), ("group", 1), ("worker", 1), ("driver", 2))
# What nothing may touch once a run folder is there; weights may be dropped.
WRITTEN_ONCE = "spec.json environment.json history.csv metrics.json layers.json predictions-val.npz"


def capacity_words(place: Place, data: Path) -> list[str | Path]:
    """The command that runs the stage, cut down to seconds."""
    return [
        *("study", REFERENCE, "--profile", "full", "--stages", "mlp-capacity"),
        *("--set", f"train.epochs={NUM_EPOCHS}", "--set", "data.num_train=8_000"),
        *("--data", data, "--out", place.root / "out", "--workers", "2"),
    ]


class Terminal:
    """A terminal that stderr is shown on, read line by line."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.openpty()
        termios.tcsetwinsize(self.theirs, (40, 160))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._ours)

    def lines(self) -> Iterator[str]:
        """As they come, without colours, until the last process that writes here is gone."""
        text = ""
        while True:
            try:
                text += os.read(self._ours, 1 << 16).decode("utf-8", "replace")
            except OSError:  # what Linux says where a file would end
                return
            *whole, text = re.split(r"[\r\n]+", text)
            yield from (re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in whole)


def until_training(lines: Iterator[str], runs: Path, num_done: int, epoch: int) -> str:
    """Read what the live table shows until a run that is not finished trains in that epoch.

    Returns:
        The beginning of the run's fingerprint.
    """
    for line in lines:
        told = re.match(r" *([0-9a-f]{8}): epoch (\d+) of \d+, train", line)
        done = [path.name[:8] for path in runs.glob("[0-9a-f]*")]
        if told and told[1] not in done and int(told[2]) >= epoch and len(done) >= num_done:
            return told[1]
    raise AssertionError(f"it ended with fewer than {num_done} done, or none in epoch {epoch}")


def finished_runs(folder: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of each file of a finished run that is written once."""
    found = {}
    for run in (folder / "runs").glob("[0-9a-f]*"):
        for name in WRITTEN_ONCE.split():
            state = (run / name).stat()
            found[f"{run.name}/{name}"] = state.st_ino, state.st_mtime_ns
    return found


def processor_ticks(pid: int) -> int:
    """What a process has used so far; of two workers, the one with more has begun to train."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def kill(process: subprocess.Popen[str], victim: str) -> None:
    """Kill -9 the driver, one worker, or all of them at once."""
    if victim == "worker":
        os.kill(max(workers(process), key=processor_ticks), signal.SIGKILL)
    elif victim == "driver":
        os.kill(process.pid, signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)


def what_was_found(place: Place) -> dict[str, Any]:
    """The collected table, answers, ranking and everything else of the stage, less the time."""
    collect(Study(place.root / "out"), place.root / "collected")
    folder = place.root / "collected" / "mlp-capacity"
    with (folder / "table.csv").open(encoding="utf-8") as file:
        table = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    answers = read_npz((folder / "predictions.npz").read_bytes())
    return {
        "table": table,
        "answers": {name: array.tolist() for name, array in answers.items()},
        "ranking": read_json(place.root / "out" / "stages" / "mlp-capacity.json"),
        # Logits, histories and the weights that were kept, bit for bit.
        "results": results(Study(place.root / "out")),
    }


def test_a_stage_killed_five_times_gives_the_same_table(
    tmp_path: Path, fashion_mnist_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    alone, killed = new_place(tmp_path / "alone"), new_place(tmp_path / "killed")
    answer = alone.ask(*capacity_words(alone, fashion_mnist_folder))
    assert answer.status == 0, answer.err

    chance = np.random.default_rng(5)
    words, runs = capacity_words(killed, fashion_mnist_folder), killed.root / "out" / "runs"
    finished: dict[str, tuple[int, int]] = {}
    kills = list(KILLS)
    while kills:
        terminal = Terminal()
        with killed.start(*words, stderr=terminal.theirs) as process, terminal:
            os.close(terminal.theirs)
            lines = terminal.lines()
            victim = ""
            while victim in ("", "worker"):  # its driver goes on with another one
                victim, num_done = kills.pop(0)
                epoch = int(chance.integers(2, NUM_EPOCHS // 2 + 1))
                hit = until_training(lines, runs, num_done, epoch)
                kill(process, victim)
                if victim == "worker":
                    # The death of a worker that had nothing to do would not be told.
                    assert any("ended by SIGKILL" in line for line in lines)
            assert process.wait(timeout=60) == -signal.SIGKILL
        after = finished_runs(killed.root / "out")
        assert not any(name.startswith(hit) for name in after), "the run was finished by then"
        assert after.items() >= finished.items(), "a finished run was done again"
        finished = after
        assert not (runs.parent / "stages" / "mlp-capacity.json").exists()
    assert finished
    answer = killed.run(*words)
    assert answer.status == 0, answer.err
    assert finished_runs(killed.root / "out").items() >= finished.items()

    one, two = what_was_found(alone), what_was_found(killed)
    assert len(one["table"]) == 5
    assert one == two
