"""The code blocks of a page, how each says it is to be tried, and a place to try them in.

Before a block stands, as a comment that readers do not see:

    <!-- test: quick -->                     it is run as it is written
    <!-- test: shrunk; `A` => `B`; ... -->   it is run with each A replaced by its B
    <!-- test: file NAME -->                 it is written to a file, for what comes after it; it
                                             may be shrunk, too: file NAME; `A` => `B`; ...

In a replacement PORT is a free port, and SMALL makes a study of Fashion-MNIST one of `my-images`.
At the head of a page, `<!-- test needs: NAME, ... -->` names what has to lie there before its first
command; and of a page that a test of its own runs, `<!-- tested by: PATH -->` names that test.
`pip install` is not run: what it would install is looked up in pyproject.toml.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

import modiste
from tests import own_images, shipping
from tests.command_line import Cli, Place
from tests.synthetic import draw, write_idx

ROOT = Path(__file__).parents[1]
MADE = {"claims.md", "findings.md", "bad_images.md"}  # by a script, from what the code says
PAGES = sorted(
    path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.name not in MADE
)
RUN = {"console", "sh", "bash", "python"}  # what has to say how it is tried
_FENCE = re.compile(
    r"(?:^<!-- test: (?P<how>[^\n]+) -->\n)?^```(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SMALL = (
    "--data my-images --set data.name=idx --set data.num_val=50 --set train.epochs=1 --workers 1"
)
_CHANGE = re.compile(r"`([^`]+)` => `([^`]*)`")


@dataclass(frozen=True)
class Block:
    """Code on a page.

    Attributes:
        how: What its comment says; empty if there is none.
        line: Where it begins.
    """

    language: str
    text: str
    how: str
    line: int

    @property
    def kind(self) -> str:
        """The first word of what its comment says."""
        return self.how.partition(" ")[0].rstrip(";")

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What is replaced, by what."""
        return _CHANGE.findall(self.how)

    def tried(self) -> str:
        """What is run of it."""
        text = self.text
        for old, new in self.changes:
            assert old in text, f"line {self.line}: {old!r} is to be replaced and is not there"
            text = text.replace(old, new)
        return text


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page but Sphinx's own, in order."""
    return [
        Block(
            found["language"],
            found["text"],
            found["how"] or "",
            text.count("\n", 0, found.start()) + 1,
        )
        for found in _FENCE.finditer(text)
        if not found["language"].startswith("{")
    ]


def hidden(text: str) -> list[str]:
    """Lines with a fence that `blocks` does not see: indented, quoted, of tildes, never closed."""
    return re.findall(r"^[ \t>]*(?:```|~~~).*$", _FENCE.sub("", text), re.MULTILINE)


def own_test(text: str) -> str:
    """The test of its own that runs the page; empty if it has none."""
    found = re.search(r"^<!-- tested by: (\S+) -->$", text, re.MULTILINE)
    return found[1] if found else ""


def needs(text: str) -> list[str]:
    """What has to lie in the folder before the first command."""
    found = re.search(r"^<!-- test needs: (.+) -->$", text, re.MULTILINE)
    return [name.strip() for name in found[1].split(",")] if found else []


# --- What a page may need -------------------------------------------------------------------------


def _images(root: Path) -> None:
    write_idx(root / "my-images", num_train=300, num_test=100)


def _run(root: Path) -> None:
    if not (root / "my-images").exists():
        _images(root)
    data = modiste.load("idx", folder=root / "my-images", num_val=50)
    train = {"epochs": 3, "batch_size": 50}
    run = modiste.fit(
        data, {"family": "mlp", "params": {"hidden": [16]}}, train, folder=root / "runs"
    )
    run.folder.rename(root / "runs" / "one")


def _shipped(root: Path) -> None:
    shutil.move(shipping.ship(root / "away").folder, root / "shipped")


def _picture(name: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        Image.fromarray(draw(1, seed=5)[0][0]).save(root / name)

    return write


def _pets(root: Path) -> None:
    own_images.write_classes(root / "pets", per_class=12)


def _talos(root: Path) -> None:
    shutil.copy(ROOT / "tests" / "samples" / "talos1.csv", root / "talos.csv")


NEEDS: Mapping[str, Callable[[Path], None]] = {
    "my-images": _images,
    "runs/one": _run,
    "shipped": _shipped,
    "shoe.png": _picture("shoe.png"),
    "bag.jpg": _picture("bag.jpg"),
    "more-images": _picture("more-images/shirt.png"),
    "pets": _pets,
    "talos.csv": _talos,
}


def lay_out(root: Path, names: list[str]) -> None:
    """A checkout, as far as commands can tell, and what a page needs beside it."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in {line.partition("/")[0] for line in tracked} - {"results"}:
        (root / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "results", root / "results")
    (root / ".venv").symlink_to(sys.prefix)
    for name in names:
        NEEDS[name](root)


# --- Trying ---------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Somebody who does what a page says, from top to bottom, in one folder.

    Attributes:
        done: Commands and pieces of Python that were run.
    """

    cli: Cli
    root: Path
    port: int
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})
    server: subprocess.Popen[str] | None = None
    done: int = 0

    def read(self, block: Block) -> None:
        """Do what one block says."""
        text = block.tried().replace("PORT", str(self.port)).replace("SMALL", SMALL)
        if block.kind == "file":
            (self.root / block.how.split()[1].rstrip(";")).write_text(text, "utf-8")
        elif block.language == "python":
            exec(compile(text, f"line {block.line}", "exec"), self.names)  # noqa: S102
            self.done += 1
        elif block.language in RUN:
            for line in text.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    self.run(words)
                    self.done += 1

    def run(self, words: list[str]) -> None:
        """One command, which has to end well."""
        if words[:2] == ["modiste", "serve"]:
            self.serve(words[1:])
        elif words[0] == "modiste":
            answer = self.cli(*words[1:])
            assert answer.status == 0, f"{shlex.join(words)}: {answer.status}\n{answer.err}"
        elif words[0] == "make":
            # Any target may install, and with that change the environment that tests run in.
            assert words[1] == "-n", f"{shlex.join(words)}: make -n is as far as a test goes"
            self.shell(words)
        elif words[:2] == ["pip", "install"]:
            assert extras(words) <= set(known_extras()), shlex.join(words)
        else:
            self.shell(words)

    def shell(self, words: list[str]) -> None:
        """Another program than ours; curl answers to what the server says with its status."""
        if words[0] == "curl":
            words = ["curl", "--fail", *words[1:]]
        path = f"{self.root / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", shlex.join(words)],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{shlex.join(words)}:\n{done.stdout}\n{done.stderr}"

    def serve(self, words: list[str]) -> None:
        """Start a server and leave it running, in place of the one before."""
        self.leave()
        self.server = Place(self.root).start(*words)
        assert self.server.stderr is not None
        line = self.server.stderr.readline()
        while line and not line.startswith("serving "):
            line = self.server.stderr.readline()
        assert line, f"{shlex.join(words)}: status {self.server.wait(10)}"

    def leave(self) -> None:
        """End the server."""
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=60)
            self.server = None


@contextmanager
def reader(cli: Cli, root: Path) -> Iterator[Reader]:
    """Somebody in ROOT, who leaves no server behind."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = Reader(cli, root, free.getsockname()[1])
    try:
        yield found
    finally:
        found.leave()


def extras(words: list[str]) -> set[str]:
    """Which of our extras a `pip install` names."""
    found = re.findall(r"(?:modiste|\.)\[([\w,-]+)\]", " ".join(words))
    assert found, f"{shlex.join(words)}: installs nothing of ours"
    return {name for names in found for name in names.split(",")}


def known_extras() -> list[str]:
    """Those of pyproject.toml."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return list(found["project"]["optional-dependencies"])
