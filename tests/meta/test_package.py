"""What the package as a whole promises: names, commands, sizes, imports, and how fast it is."""

from __future__ import annotations

import ast
import re
import resource
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main

import modiste
from modiste.cli.main import app
from tests import small

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
DOCS = [path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.is_file()]
COMMANDS = typer.main.get_command(app)


def python(code: str) -> str:
    """What a fresh Python prints."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return answer.stdout.strip()


# --- what is loaded, and how long that takes ------------------------------------------------------

HELP = "import sys; sys.argv = ['modiste', '--help']; from modiste.cli.main import run\n"


LIGHT = {
    "modiste": "import modiste; modiste.__all__; dir(modiste)",
    "help": HELP + "try: run()\nexcept SystemExit: pass",
    "spec": "import modiste.spec.files, modiste.spec.published",
    "evaluate": "from modiste.evaluate.finding import FINDINGS; FINDINGS.names()",
    "study": "from modiste.evaluate.study_finding import STUDY_FINDINGS; STUDY_FINDINGS.names()",
    "import": (
        "from modiste.search.reader import READERS; READERS.names(); import modiste.api.imported"
    ),
    "results": "import modiste; modiste.Predictions, modiste.Evaluation",
    "report": "import modiste.report.write, modiste.report.data_figures",
    "runs": "import modiste.runs.run, modiste.runs.ledger, modiste.search.study",
    "reading": "import modiste.search.leaderboard, modiste; modiste.compare, modiste.show",
    "registries": (
        "from modiste.spec.parts import *; OPTIMIZERS.names(); SCHEDULES.names(); MODELS.names()"
    ),
    "augmentations": "from modiste.spec.parts import AUGMENTATIONS; AUGMENTATIONS.names()",
    "methods": "from modiste.spec.search import METHODS; METHODS.names()",
    "data": "from modiste.data.source import SOURCES; SOURCES.get('fashion-mnist')(None)",
    "artifact": "import modiste.artifact.verify, modiste.artifact.classify, modiste.api.receiving",
    "serve": "import modiste.serve.server",
    "running": "import modiste.cli.progress, modiste.api.study, modiste.api.plan, modiste.api.init",
    "driving": "import modiste.search.driver, modiste.search.probe, modiste.search.pool",
}


@pytest.fixture(scope="module")
def has_torch() -> dict[str, bool]:
    """Whether torch is loaded after each of them, one after the other in one fresh Python.

    What one has loaded stays, so each that is after the first to load it is taken to load it, too.
    """
    code = "import sys\n" + "".join(
        f"{snippet}\nprint('\\n>', {name!r}, 'torch' in sys.modules)\n"
        for name, snippet in LIGHT.items()
    )
    lines = [line.split() for line in python(code).splitlines() if line.startswith("> ")]
    return {name: answer == "True" for _, name, answer in lines}


@pytest.mark.parametrize("name", LIGHT)
def test_torch_is_not_loaded_by(name: str, has_torch: dict[str, bool]) -> None:
    assert has_torch[name] is False


@pytest.mark.parametrize(
    ("modules", "others"),
    [
        ("modiste.search.leaderboard, modiste.api.reading", ["matplotlib", "sklearn", "pandas"]),
        ("modiste; modiste.compare, modiste.compare_studies", ["matplotlib", "sklearn", "pandas"]),
        ("modiste; modiste.load", ["matplotlib", "pandas"]),
        ("modiste.api.study", ["sklearn", "pandas", "matplotlib", "scipy.optimize"]),
    ],
)
def test_what_is_slow_to_load_is_loaded_only_where_it_is_used(
    modules: str, others: list[str]
) -> None:
    slow = ["scipy.stats", "optuna", *others]
    code = f"import sys, {modules}; print([name for name in {slow} if name in sys.modules])"
    assert python(code) == "[]"


def test_help_loads_nothing_heavy() -> None:
    heavy = ["numpy", "scipy", "sklearn", "matplotlib", "PIL", "pydantic", "yaml", "rich", "jinja2"]
    heavy += ["onnx", "onnxruntime", "fastapi", "starlette", "uvicorn", "markdown_it"]
    code = (
        HELP
        + f"try: run()\nexcept SystemExit: pass\nprint([n for n in {heavy} if n in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_help_takes_less_than_half_a_second_of_a_core() -> None:
    def cpu_seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-c", HELP + "run()"], check=True, stdout=subprocess.DEVNULL
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The time of the core, not of the clock: other processes may keep us waiting. The least of
    # five: a cold disk and a first compilation are not what is promised.
    assert min(cpu_seconds() for _ in range(5)) < 0.5


# --- names and commands ---------------------------------------------------------------------------


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    assert sorted([*modiste.__all__, "errors", "__version__"]) == dir(modiste)
    for name in modiste.__all__:
        assert callable(getattr(modiste, name))
        assert getattr(modiste, name).__doc__
    assert {"load", "look", "fit", "compare", "evaluate", "run_study"} <= set(modiste.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = modiste.nothing  # type: ignore[attr-defined]


def test_errors_and_version_are_there_right_after_the_import() -> None:
    code = "import modiste; print(modiste.errors.ModisteError.__name__, modiste.__version__)"
    assert python(code) == f"ModisteError {version('modiste')}"


def test_a_type_checker_does_not_see_that_any_name_is_answered() -> None:
    tree = ast.parse((ROOT / "src" / "modiste" / "__init__.py").read_text("utf-8"))
    hidden = [node for node in tree.body if isinstance(node, ast.If)]
    assert "__getattr__" in ast.unparse(hidden[-1])
    assert ast.unparse(hidden[-1].test) == "not TYPE_CHECKING"
    others = [node for node in tree.body if node not in hidden]
    assert not any("__getattr__" in ast.unparse(node) for node in others)


def test_no_package_of_ours_takes_the_place_of_a_public_name() -> None:
    code = "import modiste, modiste.api.study, modiste.evaluate.metrics\n"
    code += "from modiste.evaluate.metrics import accuracy\n"
    code += "print(all(callable(getattr(modiste, name)) for name in modiste.__all__))"
    assert python(code) == "True"


def commands_in(text: str) -> list[list[str]]:
    """The `modiste ...` lines of all code blocks, as words; `...` and comments left out."""
    blocks = re.findall(r"```(?:sh|bash|console|text)?\n(.*?)```", text, re.DOTALL)
    blocks += re.findall(r"^(?: {4}|\t)(.*)$", text, re.MULTILINE)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    lines += [code.strip() for code in re.findall(r"`(modiste [^`]+)`", text)]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("modiste ")]


def unknown_words(words: list[str]) -> list[str]:
    """Verbs and options of a command line that there are not."""
    command, rest = COMMANDS, words[1:]
    known = {"--help", "-h"}
    wrong = []
    while True:
        known |= {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
        children = getattr(command, "commands", {})
        while children and rest and rest[0].startswith("-"):
            rest = rest[1:] if rest[0] in known else [*rest[1:], rest[0]]
        if not children or not rest:
            break
        if rest[0] not in children:
            return [*wrong, rest[0]]
        command, rest = children[rest[0]], rest[1:]
    return wrong + [w for w in rest if re.match(r"--?[a-z]", w) and w.split("=")[0] not in known]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_documented_command_exists(path: Path) -> None:
    for words in commands_in(path.read_text("utf-8")):
        assert unknown_words(words) == [], shlex.join(words)


def test_a_documented_command_that_does_not_exist_would_be_found() -> None:
    text = (
        "`modiste stud x`\n\n```sh\n$ modiste study x --profle quick  # a\nmodiste data shw\n```\n"
    )
    assert [unknown_words(words) for words in commands_in(text)] == [
        ["--profle"],
        ["shw"],
        ["stud"],
    ]


def test_the_example_in_the_help_of_every_verb_exists() -> None:
    for name, command in COMMANDS.commands.items():  # type: ignore[attr-defined]
        text = command.help or ""
        for child in getattr(command, "commands", {}).values():
            text += child.help or ""
        found = re.findall(r"Example:  (modiste [^\n]*)", text)
        assert found, f"{name}: no example"
        for line in found:
            assert unknown_words(shlex.split(line)) == [], line


def test_every_make_target_that_is_documented_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCS:
        for name in re.findall(r"(?:`|^\$? *)make ([a-z]+)", path.read_text("utf-8"), re.MULTILINE):
            assert name in targets, f"{path}: make {name}"


# --- the code -------------------------------------------------------------------------------------


def test_no_file_is_longer_than_500_lines() -> None:
    long = {
        str(path): n for path in SOURCES if (n := len(path.read_text("utf-8").splitlines())) > 500
    }
    assert long == {}


FORBIDDEN = {
    *["eval", "exec", "pickle", "cPickle", "joblib", "marshal", "dill", "cloudpickle", "shelve"],
    *["torch.load", "torch.save", "yaml.unsafe_load", "yaml.full_load"],
}


def names_used(node: ast.AST) -> set[str]:
    """What this piece of a program imports or calls; `allow_pickle` where it is not False."""
    match node:
        case ast.Import(names=names):
            return {alias.name.split(".")[0] for alias in names}
        case ast.ImportFrom(module=str(module)):
            return {module.split(".")[0]}
        case ast.Call(func=ast.Name(id=name)):
            return {name}
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return {f"{name}.{attribute}"}
        case ast.keyword(arg="allow_pickle", value=ast.Constant(value=False)):
            return set()
        case ast.keyword(arg="allow_pickle"):
            return {"pickle"}
    return set()


def test_nothing_runs_code_that_lies_in_a_file() -> None:
    found = [
        f"{path}:{getattr(node, 'lineno', '')}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if names_used(node) & FORBIDDEN
    ]
    assert found == []
    assert names_used(ast.parse("torch.load(x)").body[0].value.func) & FORBIDDEN  # type: ignore[attr-defined]


def test_committed_results_name_no_folder_of_the_machine_they_were_made_on() -> None:
    texts = [
        path for path in (ROOT / "results").rglob("*") if path.suffix in {".json", ".csv", ".md"}
    ]
    absolute = re.compile(r"(?<![\w.:/<])/(?:home|root|tmp|work|Users)/")
    for path in texts:
        assert not absolute.search(path.read_text("utf-8")), path


def test_the_study_that_tests_use_makes_sense(study_file: Path) -> None:
    assert study_file.read_text("utf-8").startswith(f"name: {small.STUDY['name']}")
