"""What `scripts/setup.py` decides, with the machine, the hosts and pip played by the test."""

import ast
import base64
import hashlib
import importlib.util
import json
import os
import re
import sys
import threading
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "setup.py"


@pytest.fixture(scope="module")
def setup():
    spec = importlib.util.spec_from_file_location("setup_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def never():
    raise AssertionError("this must not be asked")


# --- Which torch ---------------------------------------------------------------------------------


def test_a_local_cpu_wheel_is_taken_before_any_host_is_asked(setup):
    local = setup.Source("a local wheel", "torch==2.13.0+cpu", ("--no-index",), {})
    assert setup.torch_source("2.13.0", "", True, lambda: local, never) is local


def test_without_a_local_wheel_the_cpu_index_is_the_only_index(setup):
    source = setup.torch_source("2.13.0", "", True, lambda: None, lambda: setup.Answer(200, ""))
    assert source.requirement == "torch==2.13.0"
    assert set(source.settings.values()) == {"https://download.pytorch.org/whl/cpu"}


@pytest.mark.parametrize(
    ("status", "why", "said"),
    [(None, "no answer within 5 seconds", "no answer within 5 seconds"), (403, "", "status 403")],
)
def test_without_either_it_stops_and_states_the_size_of_cuda(setup, status, why, said):
    with pytest.raises(setup.Stop) as stopped:
        setup.torch_source("2.13.0", "", True, lambda: None, lambda: setup.Answer(status, why))
    message = str(stopped.value)
    assert said in message
    assert re.search(r"\d GB to download", message)
    assert "TORCH=default make setup" in message


@pytest.mark.parametrize(("choice", "cpu_only"), [("default", True), ("", False)])
def test_asked_for_or_with_a_gpu_or_off_linux_pip_chooses(setup, choice, cpu_only):
    source = setup.torch_source("2.13.0", choice, cpu_only, never, never)
    assert (source.requirement, source.options, source.settings) == ("torch==2.13.0", (), {})


def test_an_unknown_choice_of_torch_is_refused(setup):
    with pytest.raises(setup.Stop, match="TORCH=cuda: no such choice"):
        setup.torch_choice({"TORCH": "cuda"})


def found(version, *requires):
    url = f"file:///wheels/torch-{version}-cp311-cp311-linux_x86_64.whl"
    return {"metadata": {"requires_dist": list(requires)}, "download_info": {"url": url}}


LINKS_ONLY = {
    "index_url": "https://index.example/simple",
    "extra_index_urls": ["file:///mirror/simple"],
    "no_index": False,
    "proxy": None,
}


def test_a_local_wheel_that_asks_for_cuda_is_none_for_the_cpu(setup):
    wheels = {"torch==2.13.0": found("2.13.0", "filelock", "nvidia-cublas==13.1; extra == 'x'")}
    assert setup.find_local_torch("2.13.0", LINKS_ONLY, lambda name, *_: wheels.get(name)) is None


def test_a_cpu_wheel_is_found_beside_a_cuda_wheel_of_a_higher_local_version(setup):
    wheels = {
        "torch==2.13.0": found("2.13.0+cu130", "nvidia-cublas==13.1"),
        "torch==2.13.0+cpu": found("2.13.0+cpu", "filelock"),
    }
    source = setup.find_local_torch("2.13.0", LINKS_ONLY, lambda name, *_: wheels.get(name))
    assert source.requirement == "torch==2.13.0+cpu"
    assert "/wheels" in source.label


def test_the_search_for_a_local_wheel_asks_no_host(setup):
    asked = []
    setup.find_local_torch("2.13.0", LINKS_ONLY, lambda *call: asked.append(call))
    without = dict(LINKS_ONLY, extra_index_urls=[])
    setup.find_local_torch("2.13.0", without, lambda *call: asked.append(call))
    assert len(asked) == 4
    for _, options, settings in asked:
        assert "--no-index" in options or set(settings.values()) == {"file:///mirror/simple"}


def test_the_size_of_the_cuda_download_was_measured_for_the_pinned_torch(setup):
    pins = (ROOT / "constraints.txt").read_text()
    assert setup.pinned(pins, "torch") == setup.CUDA_DOWNLOAD_VERSION


# --- Which Python --------------------------------------------------------------------------------


def pythons(setup, **described):
    """A machine with these: command -> (version, whether it has ensurepip)."""
    return lambda command: (
        setup.Python(command, *described[command]) if command in described else None
    )


def test_the_python_that_runs_is_taken_if_it_will_do(setup):
    describe = pythons(setup, mine=((3, 12, 1), True), other=((3, 13, 0), True))
    assert setup.find_python("mine", ["other"], describe).path == "mine"


@pytest.mark.parametrize("mine", [((3, 9, 2), True), ((3, 11, 2), False)])
def test_another_is_looked_for_if_it_is_too_old_or_lacks_ensurepip(setup, mine):
    describe = pythons(setup, mine=mine, b=((3, 11, 0), True))
    assert setup.find_python("mine", ["a", "b"], describe).path == "b"


def test_too_old_and_nothing_else_names_the_version_and_the_remedy(setup):
    describe = pythons(setup, mine=((3, 10, 13), True))
    with pytest.raises(
        setup.Stop, match=r"(?s)Python 3\.10\.13 is too old.*3\.11.*make setup PYTHON="
    ):
        setup.find_python("mine", ["python3.13"], describe)


def test_a_python_without_ensurepip_names_the_package_to_install(setup):
    describe = pythons(setup, mine=((3, 11, 2), False))
    with pytest.raises(setup.Stop, match=r"(?s)ensurepip is missing.*apt install python3\.11-venv"):
        setup.find_python("mine", [], describe)


def test_a_python_describes_itself_and_a_missing_one_does_not(setup):
    assert setup.describe_python(sys.executable).version == sys.version_info[:3]
    assert setup.describe_python("/nowhere/python3") is None


def test_python_3_6_can_read_the_script():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))
    assert "from __future__ import annotations" not in SCRIPT.read_text()  # new in 3.7


# --- Hosts ---------------------------------------------------------------------------------------


def test_a_host_that_does_not_answer_is_named_with_the_remedy(setup):
    with pytest.raises(setup.Stop, match=r"(?s)index\.example.*out of reach.*HTTPS_PROXY"):
        setup.check_hosts(LINKS_ONLY, lambda *_: setup.Answer(None, "out of reach"))


@pytest.mark.parametrize("status", [200, 401, 0])
def test_a_host_that_answers_anything_will_do(setup, status):
    setup.check_hosts(LINKS_ONLY, lambda *_: setup.Answer(status, ""))


def test_a_host_that_answers_the_second_time_will_do(setup):
    answers = [setup.Answer(None, "lost"), setup.Answer(200, "")]
    setup.check_hosts(LINKS_ONLY, lambda *_: answers.pop(0))


def test_indexes_that_are_folders_are_not_asked_and_none_without_an_index(setup):
    asked = []

    def ask(url, proxy):
        asked.append(url)
        return setup.Answer(200, "")

    setup.check_hosts(LINKS_ONLY, ask)
    setup.check_hosts({"no_index": True, "proxy": None}, ask)
    assert asked == ["https://index.example/simple/pip/"]


def test_a_refused_connection_is_no_answer(setup, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Port 1 of this machine: nobody listens there, and nothing leaves the machine.
    answer = setup.ask("http://127.0.0.1:1/", seconds=5)
    assert answer.status is None
    assert "refused" in answer.why


# --- Is there anything to do? --------------------------------------------------------------------


@pytest.fixture
def finished(setup, tmp_path):
    """A folder that looks like a finished environment of this checkout and this Python."""
    setup.python_of(tmp_path).parent.mkdir()
    setup.python_of(tmp_path).touch()
    python = setup.Python(sys.executable, tuple(sys.version_info[:3]), True)
    setup.write_stamp(tmp_path, python, "", "complete")
    return tmp_path


def change_stamp(setup, folder, **changes):
    stamp = json.loads((folder / setup.STAMP).read_text())
    (folder / setup.STAMP).write_text(json.dumps({**stamp, **changes}))


def test_a_second_set_up_does_and_says_nothing(setup, finished, capsys):
    setup.set_up({"MODISTE_VENV": str(finished)})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"complete": False, "has_pip": False},
        {"place": ["/elsewhere", "/elsewhere/.venv"]},
        {"python": [3, 10]},
    ],
)
def test_without_pip_or_moved_or_for_another_python_it_is_made_again(setup, finished, changes):
    change_stamp(setup, finished, **changes)
    assert not setup.is_reusable(finished, sys.version_info, "")


def test_changed_pins_are_installed_into_what_is_there(setup, finished):
    change_stamp(setup, finished, files="0" * 64)
    assert setup.is_reusable(finished, sys.version_info, "")
    assert not setup.is_current(finished, "")


def test_a_vanished_python_means_again(setup, finished):
    setup.python_of(finished).unlink()
    assert not setup.is_current(finished, "")


def test_a_choice_of_torch_is_kept_until_another_is_made(setup, finished):
    change_stamp(setup, finished, torch="default")
    assert setup.is_current(finished, "")
    assert setup.is_current(finished, "default")
    change_stamp(setup, finished, torch="")
    assert not setup.is_current(finished, "default")


def test_a_python_that_is_too_old_to_be_used_finds_the_work_done(setup, finished):
    assert setup.is_reusable(finished, (3, 9, 1), "")


def test_a_folder_that_it_did_not_make_is_never_deleted(setup, tmp_path, capsys, monkeypatch):
    (tmp_path / "precious").touch()
    monkeypatch.setenv("MODISTE_VENV", str(tmp_path))
    assert setup.main() == 2
    assert "did not make it" in capsys.readouterr().err
    assert (tmp_path / "precious").exists()


# --- Interrupted ---------------------------------------------------------------------------------


@pytest.fixture
def played(setup, monkeypatch, tmp_path):
    """A set-up whose environment is a file, and whose pip does what is put into the list.

    A function that runs it, and what was done: commands, then the choice that pip was given.
    """
    done, pip = [], []

    def run(env, what, command, settings=None):
        done.append(what)
        setup.python_of(env.folder).parent.mkdir()
        setup.python_of(env.folder).touch()

    def install(env, choice):
        done.append(choice)
        pip.pop(0)(env)
        return 0

    def once(step, **environ):
        done.clear()
        pip[:] = [step]
        for name in ("TORCH", "MODISTE_VENV"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"MODISTE_VENV": str(tmp_path / "venv"), **environ}.items():
            monkeypatch.setenv(name, value)
        return setup.main(), list(done)

    monkeypatch.setattr(setup.Environment, "run", run)
    monkeypatch.setattr(setup, "install", install)
    return once


def interrupt(env):
    (env.folder / "torch").write_text("a gigabyte")
    raise KeyboardInterrupt


MADE = "the virtual environment"


def test_an_interrupted_set_up_goes_on_with_what_is_there(setup, played, tmp_path, capsys):
    folder = tmp_path / "venv"
    assert played(interrupt, TORCH="default") == (130, [MADE, "default"])
    assert "goes on from here" in capsys.readouterr().err
    for _ in range(2):  # it may be interrupted again, and the choice of torch is kept
        assert not setup.is_current(folder, "")
        assert played(interrupt) == (130, ["default"])
        assert "Going on with" in capsys.readouterr().out
    assert played(lambda env: None) == (0, ["default"])
    assert (folder / "torch").exists()
    assert setup.is_current(folder, "")
    assert played(interrupt) == (0, [])


def test_an_interrupted_update_goes_on_as_well(setup, played, tmp_path, capsys):
    folder = tmp_path / "venv"
    assert played(lambda env: None)[0] == 0
    change_stamp(setup, folder, files="0" * 64)
    assert played(interrupt) == (130, [""])
    assert "Updating" in capsys.readouterr().out
    assert not setup.is_current(folder, "")
    assert played(lambda env: None) == (0, [""])
    assert (folder / "torch").exists()


def test_what_ends_before_pip_is_there_is_made_again(setup, played, tmp_path, monkeypatch):
    folder = tmp_path / "venv"

    def run(env, what, command, settings=None):
        (env.folder / "half").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup.Environment, "run", run)
        assert played(None) == (130, [])
    assert not setup.is_reusable(folder, sys.version_info, "")
    # The end may come while that is deleted: what is left is still known as its own.
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        assert played(None) == (130, [])
    assert (folder / "half").exists()
    assert played(lambda env: None) == (0, [MADE, ""])
    assert not (folder / "half").exists()


def put_package(site, name, version="1.0"):
    """A package as pip leaves it, of one module; returns what the record names."""
    about = site / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (site / f"{name}.py").write_text("x = 1\n")
    (about / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (about / "INSTALLER").write_text("pip\n")
    files = [site / f"{name}.py", about / "METADATA", about / "INSTALLER"]
    sums = [hashlib.sha256(file.read_bytes()).digest() for file in files]
    rows = [
        f"{file.relative_to(site)},sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')},1"
        for file, digest in zip(files, sums, strict=True)
    ]
    (about / "RECORD").write_text("\n".join([*rows, f"{about.name}/RECORD,,", f"{name}.pyc,,"]))
    return [*files, about / "RECORD"]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_what_was_half_installed_is_taken_out_and_the_rest_is_not(setup, tmp_path, number, how):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    put_package(site, "whole")
    path = put_package(site, "half", "2.0")[number]
    path.unlink() if how == "missing" else path.write_bytes(path.read_bytes()[:-90])
    (site / "~alf").mkdir()
    assert setup.drop_damaged(tmp_path) == ["half 2.0"]
    assert sorted(about.name for about in site.glob("*.dist-info")) == ["whole-1.0.dist-info"]
    assert not (site / "~alf").exists()
    assert setup.drop_damaged(tmp_path) == []


def test_the_packages_that_run_this_test_are_whole(setup):
    for name in ("pytest", "numpy"):
        found = distribution(name)
        assert setup.is_whole(Path(str(found.locate_file(f"{name}-{found.version}.dist-info"))))


def test_a_command_that_outlives_its_set_up_holds_the_lock(setup, tmp_path):
    fcntl = pytest.importorskip("fcntl")  # Windows has other locks
    os.mkfifo(tmp_path / "end")
    # It waits until somebody opens the other side.
    wait = ["-c", f"open({str(tmp_path / 'end')!r}).read()"]
    with setup.only_one_at_a_time() as lock:
        env = setup.Environment(tmp_path, os.environ, lock)
        thread = threading.Thread(target=env.run, args=("waiting", [sys.executable, *wait]))
        thread.start()
        release = (tmp_path / "end").open("w")
    with SCRIPT.open() as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        release.close()
        thread.join()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_byte_code_is_kept_of_what_can_be_compiled_and_is_not_a_package_s_own_test(setup, tmp_path):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, text in {"good": "a = 1", "template": "{{", "tests/test_good": "a = 1"}.items():
        (site / "package" / name).parent.mkdir(parents=True, exist_ok=True)
        (site / "package" / f"{name}.py").write_text(text + "\n")
    with setup.only_one_at_a_time() as lock:
        env = setup.Environment(tmp_path, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, lock)
        env.python = sys.executable
        env.compile()
    assert [path.name.split(".")[0] for path in site.rglob("*.pyc")] == ["good"]


# --- Words and figures ---------------------------------------------------------------------------


def test_a_failure_shows_the_last_thirty_lines_and_where_the_rest_is(setup):
    log = "\n".join(f"line {number}" for number in range(100))
    message = setup.failure("torch", 1, log, Path("/somewhere/setup.log"))
    assert "/somewhere/setup.log" in message
    assert "line 70" in message
    assert "line 69" not in message


def test_a_failure_for_want_of_an_answer_names_the_host(setup):
    log = "HTTPSConnectionPool(host='files.example', port=443): Read timed out. (read timeout=15)"
    assert "files.example did not answer" in setup.failure("torch", 1, log, "log")


def test_bytes_are_read_from_what_pip_says(setup, tmp_path):
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"x" * 700)
    log = f"""
Processing {wheel} (from modiste==0.1.0)
Downloading numpy-2.4.6-cp311-cp311-linux_x86_64.whl.metadata (6.6 kB)
Downloading numpy-2.4.6-cp311-cp311-linux_x86_64.whl (16.6 MB)
  Downloading idna-3.20-py3-none-any.whl (70 kB)
  Using cached rich-15.0.0-py3-none-any.whl (300 kB)
"""
    downloaded, local = setup.bytes_fetched(log)
    assert downloaded == pytest.approx(16.6e6 + 70e3)
    assert local == pytest.approx(300e3 + 700)
