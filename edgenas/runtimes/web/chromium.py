"""An engine in a page of headless Chromium, driven by the DevTools protocol over two pipes, without a port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.errors import EnvironmentFault
from edgenas.runtimes.web.assets import assets
from edgenas.runtimes.web.channel import Channel, Gone, Message
from edgenas.runtimes.web.serve import make_server

EXECUTABLE = "EDGENAS_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
# Seconds that a start and an end may take, and between two looks at a page that loads.
START_S, STOP_S, POLL_S = 60.0, 5.0, 0.02
# Chromium's pipes are its descriptors 3 and 4, which only a shell can lay without running code between fork and exec.
LAY_PIPES = 'exec "$0" "$@" 3<&0 4>&1 </dev/null >&2'
FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    # Pages that nobody sees are slowed down otherwise, and timings with them.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
)


def executable() -> str:
    """Return the path of Chromium or one of its kin: $EDGENAS_CHROMIUM, else from the PATH.

    Raises:
        EnvironmentFault: there is none.
    """
    named = os.environ.get(EXECUTABLE)
    for name in (named,) if named else NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    missing = f"{named!r} of {EXECUTABLE} is no program" if named else "no Chromium or Chrome is on the PATH"
    raise EnvironmentFault(f"{missing}; install chromium, or set {EXECUTABLE} to one")


class Browser:
    """A headless Chromium with an empty profile of its own."""

    def __init__(self) -> None:
        """Start the browser.

        Raises:
            EnvironmentFault: there is none, or it does not start.
        """
        self._profile = tempfile.TemporaryDirectory(prefix="edgenas-", ignore_cleanup_errors=True)
        command = [executable(), *FLAGS, f"--user-data-dir={self._profile.name}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # Chromium refuses root otherwise
        self._complaints = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", LAY_PIPES, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for us; and its processes end as one group
        )
        assert self._process.stdout is not None and self._process.stdin is not None
        # DevTools ends each message on its pipe with a zero byte.
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno(), b"\0")
        self._sent = 0
        self.working = True
        self.call("Browser.getVersion", timeout_s=START_S)

    def open_page(self, url: str) -> Page:
        """Open a new page at `url`; it may not be loaded yet."""
        target = self.call("Target.createTarget", {"url": url})["targetId"]
        # Flat: the page's messages travel on the browser's own pipe, marked with its session.
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        # Without it nobody says that a page has crashed.
        self.call("Inspector.enable", session=session)
        return Page(self, session)

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        session: str | None = None,
        timeout_s: float | None = None,
    ) -> Message:
        """Return the result of a DevTools command, to the browser or to a page's session.

        Args:
            method: the command, such as `Target.createTarget`.
            params: its parameters.
            session: the page that it is for; None stands for the browser itself.
            timeout_s: a silence that counts as the browser's end; by default none does.

        Raises:
            EnvironmentFault: the browser has ended, the page has crashed, or the command is refused.
        """
        if not self.working:
            raise EnvironmentFault("Chromium has ended; open the model again")
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params or {}}
        try:
            self._channel.send(message if session is None else message | {"sessionId": session})
            reply = self._reply(session, timeout_s)
        except Gone as error:
            last_words = self._last_words()
            self.stop()
            raise EnvironmentFault(
                f"Chromium stopped ({last_words}); try again, or set {EXECUTABLE} to another"
            ) from error
        if "error" in reply:
            raise EnvironmentFault(f"Chromium refuses {method}: {reply['error']['message']}; try another version of it")
        return dict(reply["result"])

    def _reply(self, session: str | None, timeout_s: float | None) -> Message:
        """Return what answers the last command; events in between matter only if no answer will come."""
        while (message := self._channel.receive(timeout_s)).get("id") != self._sent:
            ours = session is not None and message.get("sessionId") == session
            if ours and message.get("method") in ("Inspector.targetCrashed", "Inspector.detached"):
                raise EnvironmentFault("a page of Chromium crashed, perhaps out of memory; try again")
        return message

    def stop(self) -> None:
        """End all processes of the browser, and remove its profile; a second call does nothing."""
        if not self.working:
            return
        self.working = False
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()  # the end of its pipe tells it to end
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        # Its renderers are processes of their own, and would outlive it.
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._process.stdout.close()
        self._complaints.close()
        self._profile.cleanup()

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "without a word"


class Page:
    """A page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        """Speak to the page that `session` is attached to."""
        self.browser, self._session = browser, session

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Message:
        """Return the result of a DevTools command to this page.

        Args:
            method: the command, such as `Runtime.evaluate`.
            params: its parameters.

        Raises:
            EnvironmentFault: as `Browser.call`.
        """
        return self.browser.call(method, params, session=self._session)

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, or of what it promises.

        Raises:
            EnvironmentFault: it throws, or the page is no more.
        """
        wanted = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        reply = self.call("Runtime.evaluate", wanted)
        if "exceptionDetails" in reply:
            thrown = reply["exceptionDetails"]
            what = thrown.get("exception", {}).get("description") or thrown["text"]
            raise EnvironmentFault(f"a page of Chromium failed: {what.splitlines()[0]}; try another version of it")
        return reply["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = START_S) -> Any:
        """Wait until an expression of JavaScript is true, and return its value.

        Args:
            expression: evaluated again and again.
            timeout_s: how long to wait.

        Raises:
            EnvironmentFault: it is not true by then, or the browser has ended.
        """
        deadline = time.monotonic() + timeout_s
        while not (value := self._evaluate_while_loading(expression)):
            if time.monotonic() > deadline:
                raise EnvironmentFault(f"a page of Chromium is not ready after {timeout_s:.0f} s; try again")
            time.sleep(POLL_S)
        return value

    def _evaluate_while_loading(self, expression: str) -> Any:
        """Evaluate an expression; None if the page is replaced meanwhile."""
        try:
            return self.evaluate(expression)
        except EnvironmentFault:
            if not self.browser.working:
                raise
            return None


class ChromiumEngine:
    """A page that has loaded onnxruntime-web, from a server of its own on the loopback address."""

    def __init__(self, threads: int) -> None:
        """Start a browser with one page, for models on `threads` threads.

        Raises:
            EnvironmentFault: there is no Chromium, or no onnxruntime-web, or it does not start.
        """
        files = assets()
        self._temporary = tempfile.TemporaryDirectory(prefix="edgenas-")
        self.folder = Path(self._temporary.name)
        self._server = make_server({"js": Path(__file__).parent, "ort": files.folder, "models": self.folder})
        # Pages of files may load no modules; and only a server can send the headers that give threads and a fine clock.
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            self._browser = Browser()
        except EnvironmentFault:
            self._close_server()
            raise
        address = f"http://127.0.0.1:{self._server.server_port}/js/chromium.html?threads={threads}"
        try:
            self._page = self._browser.open_page(address)
            self._page.wait_for("globalThis.answer !== undefined")
        except EnvironmentFault:
            self.stop()  # no pool knows this engine yet, so nobody else would
            raise

    @property
    def working(self) -> bool:
        """Tell whether it can still take commands."""
        return self._browser.working

    def ask(self, command: Mapping[str, Any]) -> Message:
        """Return the reply to a command. Raises EnvironmentFault if the page or the browser has ended."""
        try:
            return dict(self._page.evaluate(f"answer({json.dumps(command)})"))
        except EnvironmentFault:
            self.stop()
            raise

    def stop(self) -> None:
        """End the browser and the server; a second call does nothing."""
        if self._browser.working:
            self._browser.stop()
        if self.folder.exists():
            self._close_server()

    def _close_server(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._temporary.cleanup()
