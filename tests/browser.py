"""A real browser, driven by its own protocol over two pipes: no driver, no library, no port.

Protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Of one answer of the browser; it starts slowly on a busy machine.
_PATIENCE_SECONDS = 60
_KEYS = {
    "Tab": ("Tab", 9, None),
    "Enter": ("Enter", 13, "\r"),
    " ": ("Space", 32, " "),
    **{
        f"Arrow{way}": (f"Arrow{way}", code, None)
        for way, code in zip(("Left", "Up", "Right", "Down"), range(37, 41), strict=True)
    },
}


@dataclass
class Tab:
    """One page. What went wrong in it is kept in `troubles`."""

    reader: int
    writer: int
    session: str = ""
    troubles: list[str] = field(default_factory=list)
    _waiting: bytes = b""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == number:
                assert "error" not in found, (method, found["error"])
                return dict(found["result"])
            self._note(found)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self.reader], [], [], _PATIENCE_SECONDS)
            assert ready, "the browser says nothing"
            part = os.read(self.reader, 1 << 20)
            assert part, "the browser is gone"
            self._waiting += part
        first, _, self._waiting = self._waiting.partition(b"\0")
        return dict(json.loads(first))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled" and params["type"] in {
            *("error", "warning", "assert"),
        }:
            self.troubles.append(f"console: {params['args']}")
        elif event.get("method") == "Runtime.exceptionThrown":
            self.troubles.append(f"exception: {params['exceptionDetails']}")
        elif event.get("method") == "Log.entryAdded" and params["entry"]["level"] in {
            *("error", "warning"),
        }:
            self.troubles.append(f"log: {params['entry']['text']}")

    # --- what a person does -----------------------------------------------------------------------

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def see(self, expression: str) -> Any:
        """The value of JavaScript in the page, which its policy does not bind."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, (expression, found["exceptionDetails"])
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self.see(expression):
            assert time.monotonic() < end, f"never: {expression}; {self.troubles}"
            time.sleep(0.05)

    def press(self, key: str, times: int = 1) -> None:
        code, number, text = _KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        for _ in range(times):
            down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
            self.call("Input.dispatchKeyEvent", **down, **common)
            self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place, move over the others, let go at the last."""
        steps = [("mousePressed", *places[0]), *(("mouseMoved", *place) for place in places[1:])]
        for kind, x, y in [*steps, ("mouseReleased", *places[-1])]:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def click(self, selector: str) -> None:
        self.see(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = self.box(selector)
        self.drag((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))

    def box(self, selector: str) -> dict[str, float]:
        found = self.see(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
        assert isinstance(found, dict)
        return found

    def choose(self, selector: str, path: Path) -> None:
        """Give a file to an input, as its dialogue would."""
        document = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def drop(self, selector: str, content: bytes, name: str) -> None:
        """Carry a file over an element and let go of it there."""
        encoded = base64.b64encode(content).decode()
        self.see(f"""(() => {{
            const bytes = Uint8Array.from(atob("{encoded}"), (letter) => letter.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], {name!r}, {{type: "image/png"}}));
            const place = document.querySelector({selector!r});
            for (const kind of ["dragover", "drop"]) {{
                place.dispatchEvent(new DragEvent(kind, {{
                    bubbles: true, cancelable: true, dataTransfer: carried,
                }}));
            }}
        }})()""")

    def resize(self, width: int, height: int, *, is_phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=is_phone,
        )

    def prefer(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, path: Path) -> None:
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


# The browser reads at 3 and writes at 4; wherever the pipes are, they are moved there.
_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for number, end in enumerate(ends, start=3):
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """Chromium with one empty page, which keeps what it keeps in FOLDER."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed; leave these out with -m 'not browser'"
    options = "--headless=new --remote-debugging-pipe --no-first-run --disable-gpu --no-sandbox "
    options += "--disable-background-networking --disable-dev-shm-usage --hide-scrollbars"
    command = [chromium, *options.split(), f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _START, str(theirs_in), str(theirs_out), *command],
        pass_fds=(theirs_in, theirs_out),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        tab = Tab(ours_in, ours_out)
        target = tab.call("Target.createTarget", url="about:blank")["targetId"]
        found = tab.call("Target.attachToTarget", targetId=target, flatten=True)
        tab.session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Network.setCacheDisabled", cacheDisabled=True)
        yield tab
    finally:
        process.kill()
        process.wait()
        os.close(ours_in)
        os.close(ours_out)
