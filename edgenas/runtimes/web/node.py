"""An engine in Node: one long-lived process; a line of JSON asks, a line answers."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenas.errors import EnvironmentFault
from edgenas.runtimes.web.assets import assets
from edgenas.runtimes.web.channel import Channel, Gone, Message

PROGRAM = Path(__file__).with_name("node.mjs")
START_S, STOP_S = 60.0, 5.0


def executable() -> str:
    """Return the path of Node. Raises EnvironmentFault if there is none."""
    path = shutil.which("node") or shutil.which("nodejs")
    if path is None:
        raise EnvironmentFault(
            "onnxruntime-web needs Node.js, which is not on the PATH; install it (version 18 or later)"
        )
    return path


class NodeEngine:
    """A Node process that has loaded onnxruntime-web."""

    def __init__(self) -> None:
        """Start the process.

        Raises:
            EnvironmentFault: there is no Node, or none of onnxruntime-web, or it does not start.
        """
        files = assets()
        command = [executable(), str(PROGRAM), str(files.script), str(files.wasm)]
        self._temporary = tempfile.TemporaryDirectory(prefix="edgenas-")
        self.folder = Path(self._temporary.name)
        self._complaints = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,  # the channel reads the descriptor itself, so nothing may wait in a buffer
            cwd=self.folder,
            start_new_session=True,  # Ctrl-C is for us, who then stop at a safe point
        )
        assert self._process.stdout is not None and self._process.stdin is not None
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno(), b"\n")
        self.working = True
        self._ask({"do": "facts"}, START_S)  # it answers once the runtime is loaded

    def ask(self, command: Mapping[str, Any]) -> Message:
        """Return the reply to a command. Raises EnvironmentFault if the process has ended."""
        return self._ask(command, None)

    def _ask(self, command: Mapping[str, Any], timeout_s: float | None) -> Message:
        if not self.working:
            raise EnvironmentFault("the Node process of onnxruntime-web has ended; open the model again")
        try:
            self._channel.send(command)
            return self._channel.receive(timeout_s)
        except Gone as error:
            last_words = self._last_words()
            self.stop()
            raise EnvironmentFault(f"Node stopped running onnxruntime-web ({last_words}); try again") from error

    def stop(self) -> None:
        """End the process: it leaves by itself at the end of its input, unless it hangs."""
        if self._process.stdin is None or self._process.stdin.closed:
            return
        self.working = False
        self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._complaints.close()
        self._temporary.cleanup()

    def _last_words(self) -> str:
        """Return the error that Node printed, else how it ended."""
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            return "it is silent"
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").splitlines()
        errors = [line.strip() for line in lines if "Error" in line]
        return errors[-1][:200] if errors else f"exit code {code}"
