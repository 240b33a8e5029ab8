"""Every verb of the command line, as its own help has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from docs.made.markdown import block, code, prose, table
from modiste.cli.main import app

# What stands for a value whose option names none.
_VALUES = {int: "N", float: "X", Path: "PATH"}


def text() -> str:
    """A section for each verb, in the order of `modiste --help`."""
    root = typer.main.get_command(app)
    head = _options("Options before the verb", root)
    return "\n\n".join([head, *(_verb(words, command) for words, command in _verbs(root))])


def _verbs(root: Any) -> Iterator[tuple[str, Any]]:
    for name, command in root.commands.items():
        if not hasattr(command, "commands"):
            yield f"modiste {name}", command
        for child, below in getattr(command, "commands", {}).items():
            yield f"modiste {name} {child}", below


def _verb(words: str, command: Any) -> str:
    paragraphs = [part for part in re.split(r"\n\n", command.help.strip()) if part]
    said = [part for part in paragraphs if not part.startswith("Example:")]
    examples = [part.removeprefix("Example:").strip() for part in paragraphs if part not in said]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join([words, *map(_usage, arguments), "[OPTIONS]"])
    parts = [f"## {words}", *map(_paragraph, said), block("console", usage)]
    if examples:
        parts += ["For example:", block("console", "\n".join(examples))]
    if arguments:
        rows = [[code(_name(each)), prose(each.help or "")] for each in arguments]
        parts.append(table(["argument", "means"], rows))
    parts.append(_options("option", command))
    return "\n\n".join(parts)


def _paragraph(part: str) -> str:
    """Lines that stand indented, or after click's mark for them, stay as they are."""
    if part.startswith("\b"):
        return block("text", part.removeprefix("\b"))
    return prose(" ".join(part.split()))


def _options(head: str, command: Any) -> str:
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    rows = [[_spelling(option), prose(option.help or ""), _default(option)] for option in options]
    return table([head, "means", "if not given"], rows) if rows else ""


def _spelling(option: Any) -> str:
    names = ", ".join(code(name) for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} {code(_name(option))}"


def _default(option: Any) -> str:
    if option.required:
        return "needed"
    if option.is_flag or option.default is None or callable(option.default):
        return ""
    value = option.default
    return code(f"{value:g}" if isinstance(value, float) else str(value))


def _name(parameter: Any) -> str:
    return str(parameter.metavar or _VALUES.get(parameter.type_descriptor.annotation, "WORD"))


def _usage(argument: Any) -> str:
    name = _name(argument) + (
        "..." if argument.nargs == -1 and "..." not in _name(argument) else ""
    )
    return name if argument.required else f"[{name}]"
