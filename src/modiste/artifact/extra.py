"""The packages that exported models need, which come as extras of ours."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from modiste.errors import InstallError

Extra = Literal["export", "serve"]

_EXPORT = ("onnx", "onnxruntime")
# What has to be importable, by the extra that brings it. `serve` brings `export` along.
PACKAGES: dict[Extra, tuple[str, ...]] = {
    "export": _EXPORT,
    "serve": (*_EXPORT, "fastapi", "markdown_it", "python_multipart", "uvicorn"),
}


def need_extra(what: str, extra: Extra = "export") -> None:
    """Say how to install what is missing, before anything imports it.

    Args:
        what: What it is needed for, such as ``modiste export``.
        extra: Whose packages.

    Raises:
        InstallError: If a package of the extra is missing.
    """
    missing = [name for name in PACKAGES[extra] if find_spec(name) is None]
    if missing:
        raise InstallError(
            f"{what} needs {' and '.join(missing)}, which come with an extra. Install it:\n"
            f"  pip install 'modiste[{extra}]'\n"
            f"or, in a checkout:  pip install -c constraints.txt -e '.[{extra}]'"
        )
