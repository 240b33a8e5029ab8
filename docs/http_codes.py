"""Write the tables in docs/http_api.md again: addresses and codes, from `modiste.serve`.

python -m docs.http_codes
"""

from __future__ import annotations

from pathlib import Path

from docs.made.http_answers import addresses
from docs.made.markdown import between, code, table
from modiste.serve.problem import CODES

PAGE = Path(__file__).parent / "http_api.md"
# The pages are no part of the API, and so of no description for programs.
PAGES = [
    ("GET /", "The page for people to try it."),
    ("GET /card", "Model card, confusion matrix."),
]


def page() -> str:
    """The page with its tables as the code has them."""
    text = PAGE.read_text("utf-8")
    rows = [(code(address), words) for address, words in [*addresses(), *PAGES]]
    text = between("addresses", text, table(["address", "answers"], rows))
    codes = [(code(name), str(status), words) for name, (status, words) in CODES.items()]
    return between("codes", text, table(["code", "status", "when"], codes))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
