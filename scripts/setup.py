#!/usr/bin/env python3
"""Make the virtual environment that everything here runs in: `make setup`.

    find a Python -> venv -> torch (the CPU build, unless a GPU is here) -> the pinned rest -> stamp

Standard library only, and nothing in it that Python 3.6 cannot run: whatever `python3` is has to
get far enough to say that it is too old. When nothing has changed, it returns at once and prints
nothing. What was interrupted is gone on with: what pip had half installed is installed again.

Environment:
    MODISTE_VENV: The folder of the virtual environment; `.venv` if unset.
    TORCH: `default` takes the build that pip prefers (with CUDA, on Linux) where no GPU is seen.

Exit status: 0 ready, 2 "you can fix this", 130 interrupted.
"""

import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
OTHER_PYTHONS = ("python3.13", "python3.12", "python3.11")
STAMP = "modiste-setup.json"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
ANSWER_SECONDS = 5

# What pip downloads for torch's default build on Linux, CUDA's libraries included, by machine:
# the sum of the wheels' sizes, in bytes, that the index states for this version of torch.
CUDA_DOWNLOAD_VERSION = "2.13.0"
CUDA_DOWNLOAD_BYTES = {"x86_64": 2.73e9, "aarch64": 2.86e9}


class Stop(Exception):
    """Something the user can mend; the message says how."""


class Python(NamedTuple):
    """A Python as it describes itself; it is whole if it can make environments with pip inside."""

    path: str
    version: tuple
    is_whole: bool


class Source(NamedTuple):
    """One way to get torch: words for people, and a requirement, options and settings for pip."""

    label: str
    requirement: str
    options: tuple
    settings: dict


class Answer(NamedTuple):
    """What a host said: an HTTP status, or None and why there is none."""

    status: object
    why: str


def main():
    try:
        set_up(os.environ)
    except Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 2
    except OSError as error:  # a read-only folder, a full disk
        print(f"\nset-up cannot go on: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nset-up interrupted; the next one goes on from here", file=sys.stderr)
        return 130
    return 0


def set_up(environ):
    """Bring the virtual environment up to date with pyproject.toml and constraints.txt."""
    choice = torch_choice(environ)
    folder = Path(os.path.realpath(environ.get("MODISTE_VENV") or str(ROOT / ".venv")))
    if is_current(folder, choice):
        return
    with only_one_at_a_time() as lock:
        if is_current(folder, choice):
            return
        started = time.monotonic()
        python = find_python(sys.executable, OTHER_PYTHONS, describe_python)
        env = Environment(folder, environ, lock)
        if is_reusable(folder, python.version, choice):
            choice = go_on(env, python, choice)
        else:
            refuse_foreign(folder)
            print(f"Making {folder} with Python {dotted(python.version)}", flush=True)
            make_folder(env, python, choice)
        fetched = install(env, choice)
        flush_to_disk()
        write_stamp(folder, python, choice, "complete")
    print(f"Ready: {size(fetched)} fetched, {size(env.bytes_on_disk())} on disk, {since(started)}")


# --- Is there anything to do? --------------------------------------------------------------------


def torch_choice(environ):
    choice = environ.get("TORCH", "")
    if choice not in ("", "default"):
        raise Stop(f"TORCH={choice}: no such choice. Known: default (or leave it unset).")
    return choice


def is_current(folder, choice):
    stamp = read_stamp(folder)
    is_same = stamp.get("complete") and stamp.get("files") == digest_of_files()
    return bool(is_same and is_reusable(folder, sys.version_info, choice))


def is_reusable(folder, version, choice):
    """Whether an environment with its pip lies here that differs in its packages at most.

    They may be older ones, or those that an interrupted set-up came to.
    """
    stamp = read_stamp(folder)
    # A python3 that is too old had to look for another; whichever it found then will do again.
    is_too_old = tuple(version[:2]) < OLDEST_PYTHON
    return bool(
        (stamp.get("complete") or stamp.get("has_pip"))
        and stamp.get("place") == place(folder)
        and (is_too_old or stamp.get("python") == list(version[:2]))
        and choice in ("", stamp.get("torch"))
        and python_of(folder).exists()
    )


def read_stamp(folder):
    try:
        return json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return {}


def write_stamp(folder, python, choice, state):
    """Say how far the environment in a folder is: `empty`, `has_pip` or `complete`."""
    stamp = {
        "complete": state == "complete",
        "has_pip": state != "empty",
        "files": digest_of_files(),
        "place": place(folder),
        "python": list(python.version[:2]),
        "torch": choice,
    }
    new = folder / (STAMP + ".new")
    new.write_text(json.dumps(stamp, indent=2) + "\n")
    new.replace(folder / STAMP)


def flush_to_disk():
    """Before it is said that all is there: a loss of power shall not take what was said of."""
    if hasattr(os, "sync"):  # not on Windows
        os.sync()


def digest_of_files():
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup.py"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def place(folder):
    """Where this environment works: its scripts, and its link to src, hold absolute paths."""
    return [str(ROOT), str(folder)]


def only_one_at_a_time():
    """Hold a lock on this very file: two `make` at once would delete each other's work."""
    lock = Path(__file__).open()  # noqa: SIM115 - the caller's `with` closes and so unlocks it
    try:
        import fcntl
    except ImportError:  # Windows
        return lock
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another set-up is at work here; waiting for it to end", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


# --- A Python that is new enough -----------------------------------------------------------------


def find_python(running, others, describe):
    """The first of `running` and `others` that will do, or a `Stop` with the remedy."""
    seen = [python for python in map(describe, (running, *others)) if python]
    fit = [python for python in seen if python.version >= OLDEST_PYTHON]
    for python in fit:
        if python.is_whole:
            return python
    if fit:
        raise no_ensurepip(fit[0])
    version = dotted(seen[0].version) if seen else dotted(sys.version_info)
    raise Stop(
        f"Python {version} is too old: modiste needs {dotted(OLDEST_PYTHON)} or newer, and no "
        f"usable {', '.join(others)} is on the PATH.\n"
        "Install one (Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install\n"
        "python; elsewhere: python.org), or name one that is not on the PATH:\n"
        "    make setup PYTHON=/path/to/python3"
    )


def no_ensurepip(python):
    major, minor = python.version[:2]
    return Stop(
        f"{python.path} (Python {dotted(python.version)}) cannot make virtual environments: its "
        "module ensurepip is missing.\n"
        f"Debian and Ubuntu: apt install python{major}.{minor}-venv (or python3-venv)\n"
        "Elsewhere: install the package that holds ensurepip, or name another Python:\n"
        "    make setup PYTHON=/path/to/python3"
    )


def describe_python(command):
    """Ask a Python what it is; None if it is not there or does not run."""
    # The base of an activated environment: that environment may be the one about to be deleted.
    code = (
        "import json, sys, importlib.util as u; print(json.dumps(["
        "getattr(sys, '_base_executable', sys.executable), sys.version_info[:3], "
        "all(u.find_spec(name) for name in ('venv', 'ensurepip'))]))"
    )
    try:
        path, version, is_whole = json.loads(output([command, "-c", code]))
    except (OSError, ValueError):
        return None
    return Python(path, tuple(version), is_whole)


# --- The environment and its pip -----------------------------------------------------------------


class Environment:
    """The virtual environment, and pip inside it, with everything that pip says kept in a log."""

    def __init__(self, folder, environ, lock):
        self.folder = folder
        self.lock = lock
        self.python = str(python_of(folder))
        self.log = folder / "modiste-setup.log"
        # Whatever these say, the packages go into this environment and nowhere else.
        foreign = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
        self.environ = {name: value for name, value in environ.items() if name not in foreign}
        self.environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore")

    def pip_options(self):
        """Where pip would look, read from its files and variables by pip itself."""
        names = ("index_url", "extra_index_urls", "find_links", "no_index", "proxy")
        code = (
            "import json; from pip._internal.commands import create_command; "
            "options, _ = create_command('install').parse_args([]); "
            f"print(json.dumps({{name: getattr(options, name) for name in {names}}}))"
        )
        text = output([self.python, "-c", code], self.environ)
        # A pip that has changed inside: no look-ahead then, its own messages have to do.
        return json.loads(text) if text else {"no_index": True, "proxy": None}

    def find(self, requirement, options, settings):
        """What pip would install, as its report says, without installing it; None if nothing."""
        command = [self.python, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
        command += ["--ignore-installed", "--only-binary=:all:", "--report=-", *options]
        text = output([*command, requirement], dict(self.environ, **settings))
        return json.loads(text)["install"][0] if text else None

    def installed(self, name):
        """The version of an installed package, without its local part; empty if there is none."""
        code = f"import importlib.metadata as m; print(m.version({name!r}))"
        return output([self.python, "-c", code], self.environ).strip().split("+")[0]

    def install(self, what, arguments, settings=None):
        """Install with pip and print one line: what, bytes, seconds.

        Returns:
            Bytes fetched: downloaded, or read from local wheels and pip's cache.
        """
        started, before = time.monotonic(), self.bytes_on_disk()
        print(f"  {what} ...", end="", flush=True)
        command = [self.python, "-m", "pip", "install", "--no-input", "--progress-bar=off"]
        command += ["--no-compile", "--only-binary=:all:", *arguments]
        log = self.run(what, command, settings)
        downloaded, local = bytes_fetched(log)
        grown = self.bytes_on_disk() - before
        parts = [f" {size(downloaded)} downloaded"] if downloaded else []
        parts += [f" {size(local)} from local files"] if local else []
        parts += [f" {size(grown)} on disk"] if parts else [" nothing new"]
        print(",".join([*parts, f" {since(started)}"]), flush=True)
        return downloaded + local

    def compile(self):
        """Keep what is installed as byte code: by all cores, where pip would use one.

        Their own tests are left out, a quarter of it all. Some files are no Python of this
        version, templates and the like; Python says so should they ever be imported.
        """
        started = time.monotonic()
        what = "byte code of all of it"
        print(f"  {what} ...", end="", flush=True)
        command = [self.python, "-m", "compileall", "-q", "-j", "0", "-x", r"[/\\]tests?[/\\]"]
        folders = map(str, site_folders(self.folder))
        self.run(what, [*command, *folders], good=(0, 1))
        print(f" {since(started)}", flush=True)

    def run(self, what, command, settings=None, good=(0,)):
        """Run a command with its output in the log, and return that.

        A status that is not among the good ones is a `Stop`.
        """
        import subprocess

        with self.log.open("a+") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            start = log.tell()
            # The lock is the command's, too: should this process be killed, the next set-up waits
            # for a pip that is still at work.
            kept = {} if os.name == "nt" else {"pass_fds": (self.lock.fileno(),)}
            status = subprocess.call(
                command,
                cwd=str(ROOT),
                **kept,
                env=dict(self.environ, **(settings or {})),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            log.seek(start)
            text = log.read()
        if status not in good:
            raise Stop(failure(what, status, text, self.log))
        return text

    def bytes_on_disk(self):
        files = (Path(top, name) for top, _, names in os.walk(self.folder) for name in names)
        return sum(file.lstat().st_size for file in files)


def refuse_foreign(folder):
    """Stop rather than delete what this script has not made."""
    others = [path.name for path in folder.iterdir()] if folder.exists() else []
    if any(name != STAMP + ".new" for name in others) and STAMP not in others:
        raise Stop(
            f"{folder} is there, and this script did not make it.\n"
            "Delete it, or choose another place: MODISTE_VENV=/path/to/folder make setup"
        )


def go_on(env, python, choice):
    """Make what is there ready for the packages that belong there; returns the choice of torch.

    That is the one that was made before where none is made now.
    """
    stamp = read_stamp(env.folder)
    choice = choice or stamp.get("torch", "")
    verb = "Updating" if stamp.get("complete") else "Going on with"
    print(f"{verb} {env.folder} with Python {dotted(python.version)}", flush=True)
    write_stamp(env.folder, python, choice, "has_pip")
    if not stamp.get("complete"):
        dropped = drop_damaged(env.folder)
        if dropped:
            print(f"  half installed, so once more: {', '.join(dropped)}", flush=True)
    return choice


def drop_damaged(folder):
    """Take out what an interrupted pip left half installed, so that pip takes it for missing.

    Returns:
        Names with versions.
    """
    import shutil

    dropped = []
    for site in site_folders(folder):
        for path in sorted(site.iterdir()):
            if path.name.startswith("~"):  # an older version, which pip had moved aside
                shutil.rmtree(str(path), ignore_errors=True)
            elif path.name.endswith(".dist-info") and not is_whole(path):
                shutil.rmtree(str(path))
                dropped.append(path.name[: -len(".dist-info")].replace("-", " "))
    return dropped


def site_folders(folder):
    """Where the packages of an environment lie."""
    return sorted((*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-*")))


def is_whole(about):
    """Whether every file of an installed package is what its record says, by SHA-256.

    Args:
        about: Its folder NAME-VERSION.dist-info. pip writes the record last of all, and only then
            is `INSTALLER` in it.
    """
    import csv

    try:
        with (about / "RECORD").open(newline="", encoding="utf-8") as lines:
            rows = list(csv.reader(lines))
        return f"{about.name}/INSTALLER" in [row[0] for row in rows] and all(
            recorded(about.parent / row[0]) == row[1] for row in rows if row[1]
        )
    except (OSError, ValueError, IndexError, csv.Error):
        return False


def recorded(path):
    """A file's SHA-256 as a record has it."""
    import base64

    digest = hashlib.sha256(path.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def make_folder(env, python, choice):
    """Make the virtual environment from nothing, after what an earlier set-up left is deleted."""
    import shutil

    env.folder.mkdir(parents=True, exist_ok=True)
    write_stamp(env.folder, python, choice, "empty")
    for path in list(env.folder.iterdir()):
        # The stamp stays: without it what is left, should this end here, is a stranger's.
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(str(path))
        elif path.name != STAMP:
            path.unlink()
    try:
        env.run("the virtual environment", [python.path, "-m", "venv", str(env.folder)])
    except Stop as stop:
        if "ensurepip" in str(stop):
            raise no_ensurepip(python) from stop
        raise
    write_stamp(env.folder, python, choice, "has_pip")


def install(env, choice):
    """Install torch, then the rest; returns the bytes fetched."""
    options = env.pip_options()
    check_hosts(options, ask)
    pins = (ROOT / "constraints.txt").read_text()
    torch_pin, builder_pin = pinned(pins, "torch"), pinned(pins, "hatchling")
    fetched = 0
    if env.installed("torch") != torch_pin:
        source = torch_source(
            pin=torch_pin,
            choice=choice,
            cpu_only=sys.platform.startswith("linux") and not has_nvidia(),
            find_local=lambda: find_local_torch(torch_pin, options, env.find),
            ask_cpu_index=lambda: ask(CPU_INDEX + "/torch/", options["proxy"]),
        )
        arguments = [*source.options, "--no-deps", source.requirement]
        fetched += env.install(source.label, arguments, source.settings)
    pinned_by = ("-c", "constraints.txt")
    # Pinned like the rest: in a build of its own, pip would fetch the newest one each time.
    builder = f"hatchling=={builder_pin}"
    fetched += env.install(f"{builder}, which builds modiste", [*pinned_by, builder])
    here = ("--no-build-isolation", "-e", ".[dev,docs,serve,dashboard]")
    fetched += env.install("modiste and what it needs, as pinned", [*pinned_by, *here])
    env.compile()
    return fetched


# --- Which torch ---------------------------------------------------------------------------------


def torch_source(pin, choice, cpu_only, find_local, ask_cpu_index):
    """Decide where torch comes from; a `Stop` where only the CUDA build can be had.

    Args:
        pin: The version in constraints.txt.
        choice: `default` or nothing, as the user said in TORCH.
        cpu_only: Linux without an NVIDIA device: the one place where pip's choice is wasteful.
        find_local: Gives the `Source` of a local CPU wheel, or None.
        ask_cpu_index: Gives the `Answer` of PyTorch's CPU index.
    """
    requirement = f"torch=={pin}"
    if choice == "default" or not cpu_only:
        return Source(f"torch {pin}, default build", requirement, (), {})
    local = find_local()
    if local:
        return local
    host, answer = host_of(CPU_INDEX), ask_cpu_index()
    if answer.status is not None and answer.status < 400:
        label = f"torch {pin}, CPU build, from {host}"
        return Source(label, requirement, (), indexes_only([CPU_INDEX]))
    raise Stop(
        f"No NVIDIA device is seen here, so torch {pin} is wanted as its CPU build (0.2 GB), but\n"
        "  - pip finds no local wheel of it (find-links, or an index that is a folder), and\n"
        f"  - {host} is of no help: {answer.why or f'it answers with status {answer.status}'}.\n"
        f"The default build brings CUDA along, {cuda_download(pin)} to download. "
        "To take it all the same:\n"
        "    TORCH=default make setup"
    )


def find_local_torch(pin, options, find):
    """A CPU wheel of the pinned torch in find-links or in an index that is a folder."""
    folders = [url for url in index_urls(options) if url.startswith("file:")]
    arguments, settings = ((), indexes_only(folders)) if folders else (("--no-index",), {})
    # "+cpu" by name too: beside it, a "+cu130" would count as the newer version.
    for requirement in (f"torch=={pin}+cpu", f"torch=={pin}"):
        found = find(requirement, arguments, settings)
        if found and not needs_cuda(found["metadata"].get("requires_dist", [])):
            folder = found["download_info"]["url"].rsplit("/", 1)[0]
            label = f"torch {pin}, CPU build, from {folder.replace('file://', '')}"
            return Source(label, requirement, arguments, settings)
    return None


def needs_cuda(requirements):
    return any(re.match("nvidia|cuda|triton", requirement) for requirement in requirements)


def has_nvidia():
    return Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia").exists()


def cuda_download(pin):
    is_measured = pin == CUDA_DOWNLOAD_VERSION
    figure = CUDA_DOWNLOAD_BYTES.get(os.uname().machine) if is_measured else None
    return f"about {size(figure)}" if figure else "roughly 3 GB"


def pinned(constraints, name):
    """The version that constraints.txt sets for a package."""
    return re.search(rf"^{name}==(\S+)", constraints, re.MULTILINE).group(1)


# --- Hosts ---------------------------------------------------------------------------------------


def check_hosts(options, ask):
    """Stop if a host that pip will ask does not answer: pip itself would try for minutes."""
    for url in index_urls(options):
        if url.startswith("file:"):
            continue
        page = url.rstrip("/") + "/pip/"
        answer = ask(page, options["proxy"])
        if answer.status is None:
            answer = ask(page, options["proxy"])  # one lost packet shall not end a set-up
        if answer.status is None:
            raise Stop(
                f"{host_of(url)}, the package index that pip is set to use, cannot be reached: "
                f"{answer.why}.\n"
                "Check the network. Behind a proxy: set HTTPS_PROXY. With a mirror:\n"
                "    pip config set global.index-url URL\n"
                "With all wheels in a folder:\n"
                "    PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER make setup"
            )


def ask(url, proxy=None, seconds=ANSWER_SECONDS):
    """Ask a host for anything. Any status is an answer; so is a certificate (status 0)."""
    import ssl
    import threading
    import urllib.error
    import urllib.request

    answers = []

    def run():
        handlers = [urllib.request.ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=seconds) as reply:
                answers.append(Answer(reply.status, ""))
        except urllib.error.HTTPError as error:
            answers.append(Answer(error.code, ""))
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", error)
            # pip has certificates of its own (its option `cert`) and may well accept this one.
            answers.append(Answer(0 if isinstance(why, ssl.SSLError) else None, str(why)))

    # In a thread, because the look-up of a name obeys no timeout.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else Answer(None, f"no answer within {seconds} seconds")


def index_urls(options):
    return [] if options["no_index"] else [options["index_url"], *options["extra_index_urls"]]


def indexes_only(urls):
    """Settings that make pip ask these indexes alone; an empty value would not override."""
    return {"PIP_INDEX_URL": urls[0], "PIP_EXTRA_INDEX_URL": " ".join(urls[1:] or urls)}


def host_of(url):
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or url


# --- Words and figures ---------------------------------------------------------------------------


def failure(what, status, log, path):
    """What to say when a command has failed, with the end of its log."""
    lines = [f"{what} could not be installed (status {status})."]
    silent = re.search(r"host='([^']+)'.*(timed out|establish|resol)", log)
    if silent:
        lines.append(
            f"{silent.group(1)} did not answer. Check the network (behind a proxy: HTTPS_PROXY), "
            "then run the same command again."
        )
    if "No space left on device" in log:
        lines.append("The disk is full; set-up needs about 2 GB. MODISTE_VENV sets the place.")
    lines.append(f"The whole log is {path}; it ends:")
    return "\n".join(lines + [f"    {line}" for line in log.strip().splitlines()[-30:]])


def bytes_fetched(log):
    """Bytes downloaded, and bytes read from local wheels and pip's cache, as its log tells."""
    downloaded = local = 0.0
    units = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    pattern = r"^\s*(Downloading|Using cached) (\S+) \(([\d.]+) (bytes|kB|MB|GB)\)"
    for verb, name, number, unit in re.findall(pattern, log, re.MULTILINE):
        if name.endswith(".metadata"):
            continue
        if verb == "Downloading":
            downloaded += float(number) * units[unit]
        else:
            local += float(number) * units[unit]
    wheels = map(Path, re.findall(r"^\s*Processing (\S+\.whl)(?: \(from .*)?$", log, re.MULTILINE))
    return downloaded, local + sum(wheel.stat().st_size for wheel in wheels if wheel.exists())


def python_of(folder):
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def output(command, environ=None):
    """What a command prints, or nothing if it fails."""
    import subprocess

    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return "" if done.returncode else done.stdout.decode()


def dotted(version):
    return ".".join(str(number) for number in version[:3])


def since(started):
    return f"{time.monotonic() - started:.0f} s"


def size(num_bytes):
    if num_bytes < 1e6:
        return "less than 1 MB"
    return f"{num_bytes / 1e6:.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.1f} GB"


if __name__ == "__main__":
    sys.exit(main())
