"""Make the pictures in docs/images again: the report, and the page of a served model.

    python -m docs.screenshots STUDY SHIPPED

STUDY is the folder of a finished study and SHIPPED an exported model of it: those of the tutorial,
`runs/digits-quick` and in it `exported/final`. It needs Chromium, as the tests of the page do.
"""

from __future__ import annotations

import argparse
import base64
import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser import Tab, browser
from tests.serving import running

IMAGES = Path(__file__).parent / "images"
DESK, PHONE = (1000, 980), (390, 800)
ANSWERED = "document.getElementById('status').textContent.includes('probability')"
TOP, ANSWER = "window.scrollTo(0, 0)", "document.getElementById('status').scrollIntoView()"


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(description="The pictures in docs/images.")
    parser.add_argument("study", type=Path)
    parser.add_argument("shipped", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder) / "chromium") as tab:
        tab.resize(*DESK)
        tab.open((given.study / "report.html").resolve().as_uri())
        tab.see(TOP)
        keep(tab, "report")
        with running(given.shipped.resolve(), Path(folder) / "server") as server:
            for name, size, is_phone in (("desk", DESK, False), ("phone", PHONE, True)):
                tab.resize(*size, is_phone=is_phone)
                tab.open(server.address)
                tab.until("document.querySelectorAll('#samples button').length > 0")
                tab.click("#samples li:nth-child(4) button")
                tab.until(f"{ANSWERED} && !document.getElementById('found').hidden")
                tab.see(ANSWER if is_phone else TOP)
                keep(tab, f"served-{name}")


def keep(tab: Tab, name: str) -> None:
    """What is in the window now, as a small WebP without loss."""
    found = tab.call("Page.captureScreenshot", format="png")
    picture = Image.open(io.BytesIO(base64.b64decode(found["data"]))).convert("RGB")
    path = IMAGES / f"{name}.webp"
    picture.save(path, lossless=True, quality=100, method=6)
    print(f"{path}: {picture.size}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
