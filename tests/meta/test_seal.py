"""A search or a training that asks for test data fails: planted in a copy, it does."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import small
from tests.synthetic import write_idx

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "modiste"
# A source's own file says how its parts are decoded; the seal asks for them.
MAY_SPEAK_OF_PARTS = PACKAGE / "data"
# A stock holds every image of a set of your own, those of a test part included: `modiste init` and
# `modiste data scan` look at all of them, before anything is trained.
MAY_TAKE_STOCK = (MAY_SPEAK_OF_PARTS, PACKAGE / "api")


def asked_for(path: Path, text: str) -> list[str]:
    """Lines of a module that ask a source for its test part, or could."""
    takes_stock = any(path.is_relative_to(folder) for folder in MAY_TAKE_STOCK)
    found = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(attr="load_test") | ast.Constant(value="load_test" | "load_part"):
                pass
            case ast.Call(
                func=ast.Attribute(attr="where" | "load_part"), args=[ast.Constant("test")]
            ):
                pass
            case ast.Attribute(attr="load_part") if not path.is_relative_to(MAY_SPEAK_OF_PARTS):
                pass
            case (
                ast.Attribute(attr="stock" | "take_stock")
                | ast.Name(id="take_stock")
                | ast.alias(name="take_stock")
                | ast.Constant(value="stock" | "take_stock")
            ) if not takes_stock:
                pass
            case _:
                continue
        found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    return found


def test_only_the_seal_asks_for_test_data() -> None:
    found = [
        line
        for path in sorted(PACKAGE.rglob("*.py"))
        for line in asked_for(path, path.read_text("utf-8"))
    ]
    own = {"data/sealed.py", "data/source.py"}
    assert {line.split(":")[0] for line in found} <= own, found
    assert sum(line.startswith("data/sealed.py") for line in found) == 2


ASKS = 'from modiste.data.source import SOURCES\nSOURCES.get("idx")(None)'


@pytest.mark.parametrize(
    "planted",
    [
        f'{ASKS}.load_part("test")',
        f'{ASKS}.where("test")',
        f"{ASKS}.load_test(key)",
        f"ask = {ASKS.splitlines()[1]}.load_part\nask(part)",
        'getattr(source, "load_part")(part)',
        f"seen = {ASKS.splitlines()[1]}.stock(tell).seen",
        "from modiste.data.own.stock import take_stock",
        "from modiste.data.own import stock as own\nseen = own.take_stock(listing).seen",
        "seen = take_stock(listing).seen",
        'getattr(source, "stock")(tell)',
    ],
)
def test_a_line_that_asks_for_test_data_is_found(planted: str) -> None:
    assert len(set(asked_for(PACKAGE / "search" / "driver.py", planted))) == 1


# --- a copy of the package, with something planted in it ------------------------------------------


@pytest.fixture(name="plant")
def _plant(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Put lines before the first line of a module that begins so; returns the root of the copy."""

    def plant(module: str, before: str, lines: str) -> Path:
        shutil.copytree(
            PACKAGE, tmp_path / "src" / "modiste", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        path = tmp_path / "src" / "modiste" / module
        text = path.read_text("utf-8")
        assert text.count(before) == 1, before
        indent = before[: len(before) - len(before.lstrip())]
        planted = "".join(f"{indent}{line}\n" for line in lines.splitlines())
        path.write_text(text.replace(before, planted + before), "utf-8")
        return tmp_path

    return plant


def run_in(root: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """A command that sees the copy in the place of the package."""
    return subprocess.run(
        [*map(str, command)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("module", "before", "planted", "broken"),
    [
        ("search/driver.py", "class Watcher(", "import modiste.data.sealed", "Only final opens"),
        (
            "search/driver.py",
            "class Watcher(",
            "from modiste.data.sealed import SealedTest as S",
            "Only cli and api reach the sealed test set",
        ),
        (
            "train/session.py",
            "class Session",
            "from modiste.final.look import look",
            "A layer imports only from layers below it",
        ),
        (
            "evaluate/metrics.py",
            "def confusion(",
            "from modiste.data.key import Key",
            "Only the seal makes keys",
        ),
    ],
)
@pytest.mark.slow
def test_an_import_of_the_seal_is_refused_by_lint(
    module: str, before: str, planted: str, broken: str, plant: Callable[[str, str, str], Path]
) -> None:
    root = plant(module, before, planted)
    lint = Path(sys.executable).with_name("lint-imports")
    answer = run_in(root, lint, "--no-logo", "--no-cache")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    found = [line for line in answer.stdout.splitlines() if line.endswith(" BROKEN")]
    assert any(line.startswith(broken) for line in found), answer.stdout


# Nothing that reads code can see these: the names are put together as it runs.
HIDDEN = """\
from modiste.data.source import SOURCES as planted
getattr(planted.get("idx")(None), "_".join(["load", "part"]))("te" + "st")"""


@pytest.mark.parametrize(
    ("module", "before"),
    [
        ("search/driver.py", "        asked = asked_for("),
        ("train/work.py", "            steps = _to_the_end(session)"),
    ],
    ids=["search", "training"],
)
@pytest.mark.slow
def test_a_study_that_asks_for_test_data_while_it_runs_fails(
    module: str, before: str, plant: Callable[[str, str, str], Path]
) -> None:
    root = plant(module, before, HIDDEN)
    assert asked_for(PACKAGE / module, HIDDEN) == []
    data = write_idx(root / "data")
    file = small.write_study(root / "tiny.yaml", small.STUDY)
    modiste = ("-c", "from modiste.cli.main import run; run()")
    answer = run_in(
        *(root, sys.executable, *modiste, "study", file, "--profile", "full"),
        *("--data", data, "--out", "out"),
    )
    assert answer.returncode == 2, answer.stderr
    assert "the part 'test' of 'idx' is sealed" in answer.stderr
    assert not list((root / "out").glob("runs/*"))
    assert not Path(os.environ["MODISTE_LEDGER"]).exists()
