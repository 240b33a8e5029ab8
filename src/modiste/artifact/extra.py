"""The packages that reading, checking and writing exported models needs; they come as an extra."""

from __future__ import annotations

from importlib.util import find_spec

from modiste.errors import InstallError

PACKAGES = ("onnx", "onnxruntime")


def need_extra(what: str) -> None:
    """Say how to install what is missing, before anything imports it.

    Args:
        what: What it is needed for, such as ``modiste export``.

    Raises:
        InstallError: If a package of the extra is missing.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InstallError(
            f"{what} needs {' and '.join(missing)}, which come with an extra. Install it:\n"
            "  pip install 'modiste[export]'\n"
            "or, in a checkout:  pip install -c constraints.txt -e '.[export]'"
        )
