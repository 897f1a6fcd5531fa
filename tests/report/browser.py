"""Drive a headless Chromium through a pipe (DevTools protocol), with the standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip
_PATIENCE = 60.0  # a guard against a browser that hangs, not a measure of anything


def find_browser() -> str | None:
    """Return the first Chromium on PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One browser process; ``open`` gives pages."""

    def __init__(self, profile: Path) -> None:
        executable = find_browser()
        if executable is None:
            raise RuntimeError("no Chromium on PATH")
        their_read, self._write = os.pipe()
        self._read, their_write = os.pipe()
        # The browser reads commands on descriptor 3 and answers on 4; ours must not be those two.
        high_read = fcntl.fcntl(their_read, fcntl.F_DUPFD, 20)
        high_write = fcntl.fcntl(their_write, fcntl.F_DUPFD, 20)

        def wire() -> None:
            os.dup2(high_read, 3)
            os.dup2(high_write, 4)

        self._process = subprocess.Popen(
            [executable, *_FLAGS, f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=wire,
            pass_fds=(3, 4), start_new_session=True,
        )  # fmt: skip
        for descriptor in (their_read, their_write, high_read, high_write):
            os.close(descriptor)
        self._buffer = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer, keeping the events that come before."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait(self, method: str, session: str) -> None:
        """Wait for an event of a page."""
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session:
                    self.events.remove(event)
                    return
            self.events.append(self._next())

    @contextlib.contextmanager
    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False,
             media: str = "") -> Iterator[Page]:  # fmt: skip
        """Load a page at a viewport size and colour scheme."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        page.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired", page.session)
        try:
            yield page
        finally:
            self.call("Target.closeTarget", targetId=target)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], _PATIENCE)
            chunk = os.read(self._read, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError("the browser does not answer")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


class Page:
    """A loaded page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self.session = browser, session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command to this page."""
        return self._browser.call(method, self.session, **params)

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript and return its value; a thrown error is raised here."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True, userGesture=True)  # fmt: skip
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"]))
        return result["result"].get("value")

    def key(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def complaints(self) -> list[str]:
        """Return console errors, uncaught exceptions and policy violations so far."""
        said = []
        for event in self._browser.events:
            if event.get("sessionId") != self.session:
                continue
            method, params = event.get("method"), event.get("params", {})
            bad = {"error", "warning"}
            wrong = (
                method == "Runtime.exceptionThrown"
                or (method == "Runtime.consoleAPICalled" and params.get("type") in bad)
                or (method == "Log.entryAdded" and params["entry"]["level"] in bad)
                or (method == "Audits.issueAdded"
                    and params["issue"]["code"] == "ContentSecurityPolicyIssue")
            )  # fmt: skip
            if wrong:
                said.append(json.dumps(params))
        return said

    def requests(self) -> list[str]:
        """Return the addresses asked for so far."""
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event.get("sessionId") == self.session
            and event.get("method") == "Network.requestWillBeSent"
        ]

    def screenshot(self) -> bytes:
        """Return the whole page as PNG."""
        import base64

        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])
