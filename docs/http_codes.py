"""Write the table of codes in docs/http_api.md again, from `modiste.serve.problem`.

python docs/http_codes.py
"""

from __future__ import annotations

from pathlib import Path

from modiste.serve.problem import CODES

PAGE = Path(__file__).parent / "http_api.md"
BEGIN, END = "<!-- codes: begin -->\n", "<!-- codes: end -->"


def page() -> str:
    """The page with its table as the code has it."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    rows = [f"| `{code}` | {status} | {words} |" for code, (status, words) in CODES.items()]
    table = "\n".join(["| code | status | when |", "|---|---|---|", *rows])
    return f"{before}{BEGIN}\n{table}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
