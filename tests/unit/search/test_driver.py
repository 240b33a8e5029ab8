"""A study goes on after anything: stops, deaths, lost and damaged checkpoints."""

from __future__ import annotations

import functools
import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modiste.errors import ResumeError, SpecError, StoreError
from modiste.runs import files
from modiste.runs.files import read_json
from modiste.search.driver import DEATHS_ALLOWED, Driver
from modiste.search.pool import Pool, Trouble, raise_trouble
from modiste.search.study import Study
from modiste.search.work_folder import WorkFolder
from modiste.spec.run import RunSpec
from modiste.spec.study import StudySpec
from modiste.train.task import Task
from tests import small
from tests.driving import Script, Watched, drive, make, results

# Three runs: an MLP with dropout twice (two seeds), and a CNN with everything that has a state.
VALUES: dict[str, Any] = small.study(
    data={"name": "idx", "num_val": 30},
    train={"epochs": 2, "batch_size": 30, "optimizer": {"name": "adam", "learning_rate": 0.01}},
    stages=[
        {
            "name": "mlp",
            "model": {"params": {"hidden": [6], "dropout": 0.2}},
            "repeats": 2,
        },
        {
            "name": "cnn",
            "model": {"family": "cnn", "params": {"filters": [2], "dropout": 0.2}},
            "points": [
                {
                    "label": "all",
                    "train.augment": ["mirror", "shift"],
                    "train.early_stopping": {"patience": 2},
                    "train.schedule": "reduce_on_plateau",
                }
            ],
        },
    ],
)


@functools.cache
def in_one_piece(folder: Path) -> dict[str, Any]:
    """What the study finds when nothing happens to it."""
    study = make(folder, VALUES)
    assert drive(study, slice_seconds=math.inf)
    found = results(study)
    assert len(found) == 3
    return found


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory, script: Script) -> dict[str, Any]:
    found = in_one_piece(tmp_path_factory.getbasetemp() / "undisturbed")
    script.tasks.clear()
    return found


# --- the plain case -------------------------------------------------------------------------------


def test_slices_however_short_change_no_result(
    tmp_path: Path, script: Script, undisturbed: dict[str, Any]
) -> None:
    study, watched = make(tmp_path / "study", VALUES), Watched()
    assert drive(study, watched)
    assert results(study) == undisturbed
    # 90 images in batches of 30: three updates an epoch, each a slice; and one to infer.
    assert len(script.tasks) == 3 * (2 * 3 + 1)
    assert sorted(watched.labels) == ["all", "mlp", "mlp"]
    assert watched.notes == []


def test_a_second_time_nothing_is_done_and_nothing_written(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    work = study.folder / "work"

    def state() -> dict[str, tuple[int, bytes]]:
        kept = [p for p in study.folder.rglob("*") if p.is_file() and work not in p.parents]
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in kept}

    before, num_tasks = state(), len(script.tasks)
    assert before
    again = make(study.folder, VALUES)
    assert drive(again)
    assert state() == before
    assert len(script.tasks) == num_tasks


def test_the_same_run_in_two_stages_is_done_once(tmp_path: Path, script: Script) -> None:
    twin = {"name": "twin", "points": [{"label": "again", "model.params.hidden": [6]}]}
    values = small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 1},
        stages=[{"name": "one", "model": {"params": {"hidden": [6]}}, "keep_weights": 0}, twin],
    )
    study = make(tmp_path / "study", values)
    assert drive(study)
    one, two = study.stages()
    assert one.rows[0].fingerprints == two.rows[0].fingerprints
    assert len(script.begun) == 1
    assert len(list((study.folder / "runs").iterdir())) == 1
    # One stage keeps no weights, the other does: they stay.
    assert one.rows[0].runs[0].has_weights


def test_weights_of_the_best_are_kept_and_all_else_of_the_others(
    tmp_path: Path, script: Script
) -> None:
    values = small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 2},
        stages=[
            {"name": "one", "grid": {"model.params.hidden": [[3], [4], [5]]}, "keep_weights": 1}
        ],
    )
    study = make(tmp_path / "study", values)
    assert drive(study)
    ranked = study.stages()[0].ranked("last")
    assert [row.runs[0].has_weights for row in ranked] == [True, False, False]
    for row in ranked:
        assert len(row.runs[0].predictions["labels"]) == 30
    with pytest.raises(StoreError, match="not among the best of its stage"):
        ranked[1].runs[0].weights("last")
    # A run without weights is a finished run all the same.
    num_tasks = len(script.tasks)
    assert drive(study)
    assert len(script.tasks) == num_tasks


def test_a_decision_is_written_down_with_its_rows_in_order(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", small.study(data={"name": "idx", "num_val": 30}))
    assert drive(study)
    grid = study.stages()[0]
    value = read_json(study.folder / "stages" / "grid.json")
    ranked = grid.ranked("last")
    assert value["winner"] == ranked[0].label
    assert [row["label"] for row in value["rows"]] == [row.label for row in ranked]
    assert value["rows"][0]["fingerprints"] == list(ranked[0].fingerprints)
    assert "last epoch" in value["ranked_by"]


def test_every_division_that_a_run_uses_is_stored(tmp_path: Path, script: Script) -> None:
    values = small.study(
        data={"name": "idx", "num_val": 30},
        train={"epochs": 1},
        stages=[
            *(
                {"name": f"of-{num}-{seed}", "data": {"num_val": num, "split_seed": seed}}
                for num in (20, 30)
                for seed in (0, 4)
            ),
            {"name": "fewer", "data": {"num_train": 50}},
        ],
    )
    study = make(tmp_path / "study", values)
    assert drive(study)
    names = {path.name for path in study.folder.glob("split-*.json")}
    assert names == {
        *(f"split-{num}-{seed}.json" for num in (20, 30) for seed in (0, 4)),
        "split-30-0-50.json",
    }
    for name, num_train in (("split-20-4.json", 100), ("split-30-0-50.json", 50)):
        assert len(read_json(study.folder / name)["train_indices"]) == num_train
    for stage, num_val in zip(study.stages(), (20, 20, 30, 30, 30), strict=True):
        assert {row.runs[0].metrics["num_val"] for row in stage.rows} == {num_val}


# --- stops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 4, 5, 8, 14, 19, 20])
def test_a_stop_after_any_slice_loses_nothing(
    after: int, tmp_path: Path, script: Script, undisturbed: dict[str, Any]
) -> None:
    study = make(tmp_path / "study", VALUES)
    assert not drive(study, should_stop=lambda: len(script.tasks) > after)
    stopped = {p.name for p in (study.folder / "runs").glob("*")}
    begun = len(script.tasks)
    again = make(study.folder, VALUES)
    assert drive(again)
    assert results(again) == undisturbed
    assert len(stopped) <= 3
    # Nothing that was done is done again: the slices of both parts add up, but for those that
    # were asked to stop at once, two at most, which got on by an update all the same.
    assert len(script.tasks) <= 21 + 2
    assert begun <= len(script.tasks)
    assert len(set(script.begun)) == len(script.begun) == 3


def test_a_stop_at_every_slice_still_comes_to_the_end(
    tmp_path: Path, script: Script, undisturbed: dict[str, Any]
) -> None:
    study, is_done, rounds = make(tmp_path / "study", VALUES), False, 0
    while not is_done:
        rounds += 1
        assert rounds < 50, "it does not get on"
        start = len(script.tasks)
        is_done = drive(study, should_stop=lambda start=start: len(script.tasks) > start)  # type: ignore[misc]
    assert results(study) == undisturbed


# --- deaths ---------------------------------------------------------------------------------------


def test_a_worker_that_dies_is_replaced_and_the_result_is_the_same(
    tmp_path: Path, script: Script, undisturbed: dict[str, Any]
) -> None:
    # Every run loses a worker twice over each of its slices.
    seen: dict[tuple[str, bytes | None], int] = {}

    def dies(task: Task) -> bool:
        key = task.fingerprint, task.checkpoint
        seen[key] = seen.get(key, 0) + 1
        return seen[key] < DEATHS_ALLOWED

    script.dies = dies
    study, watched = make(tmp_path / "study", VALUES), Watched()
    assert drive(study, watched)
    assert results(study) == undisturbed
    assert len(watched.notes) == 2 * 21
    assert "ended by SIGKILL (the kernel does so when memory runs out)" in watched.notes[0]
    assert "cnn, all" in " ".join(watched.notes)


def test_three_deaths_without_a_checkpoint_are_a_result(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", small.study(data={"name": "idx", "num_val": 30}))
    doomed = study.stages()[0].rows[1].fingerprints[0]
    script.dies = lambda task: task.fingerprint == doomed
    watched = Watched()
    assert drive(study, watched)
    assert len(watched.notes) == DEATHS_ALLOWED
    grid, final = study.stages()
    run = grid.rows[1].runs[0]
    assert run.metrics["status"] == "failed"
    assert "SIGKILL" in run.metrics["reason"]
    assert "3 times with no checkpoint between" in run.metrics["reason"]
    assert [row.label for row in grid.ranked("last")] == ["hidden=[8]", "hidden=[16]"]
    assert final.is_done
    # It was given up for good: another try begins by moving the folder away.
    script.dies = lambda _: False
    num_tasks = len(script.tasks)
    assert drive(study)
    assert len(script.tasks) == num_tasks
    shutil.rmtree(run.folder)
    assert drive(make(study.folder, small.study(data={"name": "idx", "num_val": 30})))
    assert Study(study.folder).stages()[0].rows[1].runs[0].metrics["status"] == "finished"


def test_a_run_that_diverges_ranks_last_and_stops_nothing(tmp_path: Path, script: Script) -> None:
    rates = {"train.optimizer": [{"name": "sgd", "learning_rate": r} for r in (1e30, 0.01)]}
    values = small.study(
        data={"name": "idx", "num_val": 30},
        model={"family": "mlp", "params": {"hidden": [8, 8]}},
        stages=[{"name": "grid", "grid": rates}, {"name": "final", "from": ["grid"]}],
    )
    study = make(tmp_path / "study", values)
    assert drive(study)
    grid, final = study.stages()
    assert grid.rows[0].runs[0].metrics["status"] == "diverged"
    best = study.winner(grid)
    assert best is grid.rows[1]
    assert final.rows[0].specs[0].train.optimizer.learning_rate == 0.01


# --- checkpoints ----------------------------------------------------------------------------------


def stopped_study(folder: Path, script: Script) -> Study:
    study = make(folder, VALUES)
    assert not drive(study, should_stop=lambda: len(script.tasks) > 8)
    return study


def checkpoints(study: Study) -> list[Path]:
    """The newest checkpoint of each run under way."""
    indices = (study.folder / "work").glob("*/checkpoints.json")
    found = [index.parent / read_json(index)["newest_first"][0] for index in indices]
    assert found
    return found


@pytest.mark.parametrize("damage", ["a flipped bit", "cut", "empty", "gone", "the index", "all"])
def test_a_damaged_checkpoint_costs_time_and_no_result(
    damage: str, tmp_path: Path, script: Script, undisturbed: dict[str, Any]
) -> None:
    study = stopped_study(tmp_path / "study", script)
    for path in checkpoints(study):
        content = bytearray(path.read_bytes())
        if damage == "a flipped bit":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        elif damage == "cut":
            path.write_bytes(content[:-1])
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "gone":
            path.unlink()
        elif damage == "the index":
            (path.parent / "checkpoints.json").write_bytes(b'{"newest_first": ')
        else:
            shutil.rmtree(path.parent)
    script.tasks.clear()
    assert drive(make(study.folder, VALUES))
    assert results(study) == undisturbed
    if damage not in ("the index", "all"):
        # The checkpoint before the damaged one was taken: nothing under way began anew.
        assert all(task.checkpoint is not None for task in script.tasks[:2])


def test_the_last_two_checkpoints_are_kept_and_the_newest_whole_one_is_taken(
    tmp_path: Path,
) -> None:
    work = WorkFolder(tmp_path)
    assert work.load("f" * 64) is None
    for content in (b"one", b"two", b"three"):
        work.save("f" * 64, content)
        assert work.load("f" * 64) == content
    folder = tmp_path / ("f" * 16)
    assert len(list(folder.glob("*.safetensors"))) == 2
    newest, older = read_json(folder / "checkpoints.json")["newest_first"]
    (folder / newest).write_bytes(b"thre")
    assert work.load("f" * 64) == b"two"
    (folder / older).unlink()
    assert work.load("f" * 64) is None
    work.save("f" * 64, b"four")
    assert work.load("f" * 64) == b"four"
    work.save("f" * 64, b"four")
    assert work.load("f" * 64) == b"four"
    work.forget("f" * 64)
    assert work.load("f" * 64) is None
    work.forget("f" * 64)


def test_a_finished_run_leaves_no_unfinished_work(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    assert {path.name for path in (study.folder / "work").iterdir()} == {"data", "lock"}


def test_what_a_killed_driver_had_begun_to_write_is_swept_away(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", VALUES)
    half = study.folder / "runs" / ".0123456789abcdef.x7"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(bytes(10))
    assert drive(study)
    assert len(list((study.folder / "runs").iterdir())) == 3
    assert not half.exists()


def test_a_checkpoint_of_a_run_that_was_stored_is_swept_away(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    runs = {run.fingerprint: run for row in study.stage("mlp").rows for run in row.runs}
    stored, other = runs
    shutil.rmtree(study.run_folder(other))
    work = WorkFolder(study.folder / "work")
    for name in runs:  # as a driver leaves them that is killed between storing and forgetting
        work.save(name, b"0123456789")
    assert not drive(Study(study.folder), should_stop=lambda: True)
    assert work.load(stored) is None
    assert work.load(other) == b"0123456789", "of a run that is not finished"


# --- what goes wrong ------------------------------------------------------------------------------


def test_a_run_that_no_worker_can_hold_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    asked: list[int] = []

    class Small(Pool):
        """Has room for runs of two threads."""

        num_threads = 2  # type: ignore[assignment]

        def need_room(self, specs: Sequence[RunSpec]) -> None:
            asked.append(max(spec.threads for spec in specs))
            if asked[-1] > 2:
                raise SpecError("no room")

        def submit(self, task: Task) -> None:
            raise AssertionError("trained")

    grid = {"name": "grid", "grid": {"model.params.hidden": [[3], [4]]}}
    large = {"name": "large", "from": ["grid"], "threads": 4}
    study = make(tmp_path / "study", small.study(stages=[grid, large]))
    for names, threads, error in (
        (["large"], 4, SpecError),  # whose points nobody knows yet
        (["grid"], 1, AssertionError),
    ):
        driver = Driver(study, small.images(), 2, Watched(), start=Small)
        with pytest.raises(error):
            driver.run(names)
        assert asked.pop() == threads


def test_a_run_folder_that_was_changed_is_named_and_not_believed(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    run = study.stages()[0].rows[0].runs[0]
    metrics = json.loads((run.folder / "metrics.json").read_bytes())
    metrics["last"]["val"]["correct"] = 30
    (run.folder / "metrics.json").write_text(json.dumps(metrics))
    # By whoever only reads, too.
    with pytest.raises(StoreError, match=r"metrics\.json: .* run its study again"):
        Study(study.folder).table()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        (flip, "manifest.json"),
        (Path.unlink, "manifest.json"),
        (flip, "predictions-val.npz"),
        (cut, "model.safetensors"),
        (Path.unlink, "history.csv"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_damaged_run_is_named_set_aside_and_done_again(
    damage: Callable[[Path], None],
    name: str,
    tmp_path: Path,
    script: Script,
    undisturbed: dict[str, Any],
) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    run = study.stages()[0].rows[0].runs[0]
    for times in (1, 2):
        damage(run.folder / name)
        script.tasks.clear()
        watched = Watched()
        assert drive(make(study.folder, VALUES), watched)
        assert script.begun == [run.fingerprint]
        assert f"{run.folder.name}/{name}: " in watched.notes[0]
        assert "damaged/" in watched.notes[0]
        assert results(study) == undisturbed
        assert len(list((study.folder / "damaged").iterdir())) == times


@pytest.mark.parametrize("name", ["metrics.json", "manifest.json"])
def test_a_damaged_run_of_a_study_that_grew_is_done_again_once(
    name: str, tmp_path: Path, script: Script
) -> None:
    values = {**VALUES, "stages": [*VALUES["stages"][:1], {"name": "next", "from": ["mlp"]}]}
    study = make(tmp_path / "study", values)
    assert drive(study)
    run = study.stages()[0].rows[0].runs[0]
    cut(run.folder / name)
    more = {**values, "stages": [*values["stages"], *VALUES["stages"][1:]]}
    script.tasks.clear()
    watched = Watched()
    assert drive(make(study.folder, more), watched)
    (new,) = Study(study.folder).stage("cnn").rows
    assert set(script.begun) == {run.fingerprint, *new.fingerprints}
    assert f"{name}: " in watched.notes[0]
    assert [path.name for path in (study.folder / "damaged").iterdir()] == [run.folder.name]
    watched.notes.clear()
    assert drive(make(study.folder, {**more, "about": "Other words."}), watched)
    assert watched.notes == []


def test_a_run_without_a_place_is_named_beside_a_damaged_one(
    tmp_path: Path, script: Script
) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    cut(study.stages()[0].rows[0].runs[0].folder / "manifest.json")
    with pytest.raises(ResumeError, match="no place for any more: 1 of cnn"):
        make(study.folder, {**VALUES, "stages": VALUES["stages"][:1]})
    assert not (study.folder / "damaged").exists()


def test_a_file_that_makes_no_sense_with_its_winners_can_be_mended(
    tmp_path: Path, script: Script
) -> None:
    first = {"name": "first", "points": [{"label": "k", "model": {"family": "knn"}}]}
    then = {"name": "then", "from": ["first"], "grid": {"model.params.dropout": [0.0, 0.3]}}
    values = {**VALUES, "stages": [first, then]}
    # It was begun when nobody looked at what each winner would bring.
    given = {"profile": "full", "seed": 0, "data_digest": small.images().digest}
    study = Study.create(tmp_path / "study", StudySpec.parse(values), **given)
    with pytest.raises(SpecError, match="dropout"):
        drive(study)
    study = make(study.folder, {**values, "stages": [first, {"name": "then", "from": ["first"]}]})
    assert drive(study)
    assert study.stage("first").rows[0].is_done


def test_a_run_folder_under_a_wrong_name_is_not_believed(tmp_path: Path, script: Script) -> None:
    study = make(tmp_path / "study", VALUES)
    assert drive(study)
    one, two = (path for path in sorted((study.folder / "runs").iterdir())[:2])
    shutil.rmtree(one)
    shutil.copytree(two, one)
    with pytest.raises(StoreError, match="holds another run"):
        drive(Study(study.folder))


def test_trouble_in_a_child_is_a_message_or_a_bug_and_never_lost() -> None:
    with pytest.raises(SpecError, match="does not fit"):
        raise_trouble(Trouble("f" * 64, "it does not fit", is_ours=False))
    with pytest.raises(RuntimeError, match=r"(?s)run ffffffffffffffff:\nTraceback"):
        raise_trouble(Trouble("f" * 64, "Traceback ...", is_ours=True))


def test_a_folder_that_cannot_be_written_is_found_out_first(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    for place in (tmp_path / "plain", tmp_path / "plain" / "below", Path("/proc/none")):
        with pytest.raises(StoreError, match=r"cannot be written .* another folder"):
            files.need_writable(place)
    files.need_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_disk_that_fills_up_while_it_runs_is_said_and_loses_nothing(
    tmp_path: Path, script: Script, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(tmp_path / "study", VALUES)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    save, calls = WorkFolder.save, 0
    with monkeypatch.context() as patch:

        def until_full(self: WorkFolder, fingerprint: str, checkpoint: bytes) -> None:
            nonlocal calls
            calls += 1
            if calls == 7:
                patch.setattr("modiste.runs.files.write_whole", full)
            save(self, fingerprint, checkpoint)

        patch.setattr(WorkFolder, "save", until_full)
        with pytest.raises(StoreError, match=r"No space left on device\)\. Free some space"):
            drive(study)
    assert calls == 7
    assert drive(make(study.folder, VALUES))
    assert results(study) == undisturbed
