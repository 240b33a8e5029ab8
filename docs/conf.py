"""How Sphinx builds the site: `make docs`, with warnings as errors and without a network.

The pages are the Markdown files here; they read well as they are, too, so nothing in them is
Sphinx's own but what stands in comments. What the code says of itself is put in by `docs.made`.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from docs.made import fill, is_filled  # noqa: E402 (found only from here on)

project = "modiste"
author = "The modiste authors"
copyright = "The modiste authors, MIT licence"  # noqa: A001 (Sphinx calls it so)
version = release = version_of("modiste")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["made", "figures", "images"]
templates_path: list[str] = []

# --- Markdown -------------------------------------------------------------------------------------

# The anchors that GitHub gives to headings, so that a link holds in both places.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# --- Docstrings -----------------------------------------------------------------------------------

# One backtick in them is code, as in Markdown.
default_role = "code"
smartquotes = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
add_module_names = False

# --- What it looks like ---------------------------------------------------------------------------

html_theme = "furo"
html_title = f"modiste {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False

# --- Pages that are more than their file ----------------------------------------------------------

_ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>$', re.MULTILINE)
# Files beside this folder that are pages of the site, and their names there.
_BESIDE = {
    "../LOG.md": "log.md",
    "../CHANGELOG.md": "changelog.md",
    "../LEADERBOARD.md": "leaderboard.md",
}


def setup(app: Sphinx) -> None:
    """Have every page filled in before it is read."""
    app.connect("source-read", _filled)
    app.connect("env-get-outdated", _made)


def _made(app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """Pages that take in something made from the code may be old although their file is not."""
    paths = {name: Path(env.doc2path(name)) for name in env.found_docs}
    return [name for name, path in paths.items() if is_filled(path.read_text("utf-8"))]


def _filled(_: Sphinx, name: str, source: list[str]) -> None:
    """Put in what is made from the code, and turn anchors and links into those of the site."""
    text = _ANCHOR.sub(r"(\1)=", fill(source[0]))
    up = "../" * name.count("/")
    for path, page in _BESIDE.items():
        text = text.replace(f"]({up}{path}", f"]({up}{page}")
    source[0] = text
