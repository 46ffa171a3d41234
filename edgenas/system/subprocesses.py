"""Work on files that somebody else made, in a process of its own: what crashes there is an error here.

`call` starts `python -m <module>`, which ends in `serve`: a request as JSON on stdin, JSON lines on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from edgenas import errors
from edgenas.errors import DataError, EdgeNASError, EnvironmentFault

Progress = Callable[[int, int], None]
Say = Callable[..., None]


def call(
    module: str, request: Mapping[str, Any], *, limit_s: float, done: str, progress: Progress | None = None
) -> dict[str, Any]:
    """What the child said last under each key; `file` names what it worked on, `done` what was to be done with it.

    Raises:
        EnvironmentFault: the process ran out of time, or could not work.
        DataError: the file crashed the process.
        EdgeNASError: the child's own, of the class it had there.
    """
    # The child finds what this process finds, edgenas first, whatever the working directory holds.
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    with tempfile.TemporaryFile() as complaints:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1"},
        )
        timer = threading.Timer(limit_s, stop)
        timer.start()
        try:
            reply = _converse(child, request, progress)
        finally:
            timer.cancel()
            child.kill()
            child.wait()
        complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - 2000))
        last_words = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
    if late.is_set():
        raise EnvironmentFault(f"{reply['file']}: not {done} within {limit_s:.0f} s; is it too large for this machine?")
    _check(reply, child.returncode, last_words)
    return reply


def serve(answer: Callable[[dict[str, Any], Say], None]) -> None:
    """Serve one request as the child: `answer(request, say)` says results by key; our errors are said for it.

    The reply keeps stdout for itself: what libraries print goes to stderr.
    """
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as own_stdout:
        os.dup2(2, 1)

        def say(**message: object) -> None:
            print(json.dumps(message), file=own_stdout, flush=True)

        try:
            answer(json.load(sys.stdin), say)
            say(done=True)
        except EdgeNASError as error:
            say(error=[type(error).__name__, str(error)])


def _converse(child: subprocess.Popen[str], request: Mapping[str, Any], progress: Progress | None) -> dict[str, Any]:
    """Send the request, pass progress on, and return what came last under each key."""
    assert child.stdin is not None and child.stdout is not None
    reply: dict[str, Any] = {"file": "model"}
    with child.stdout:
        try:
            with child.stdin:
                json.dump(request, child.stdin)
        except BrokenPipeError:  # it died at once; its exit code says why
            pass
        for line in child.stdout:
            if not line.endswith("\n"):  # killed in the middle of it
                break
            said = json.loads(line)
            reply.update(said)
            if progress and "progress" in said:
                progress(*said["progress"])
    child.wait()
    return reply


def _check(reply: Mapping[str, Any], returncode: int, last_words: Sequence[str]) -> None:
    """Raise the child's error as ours, unless it came to the end."""
    if "done" in reply:
        return
    if "error" in reply:
        kind, message = reply["error"]
        raise cast(type[EdgeNASError], getattr(errors, kind))(message)
    if returncode < 0:
        name = signal.Signals(-returncode).name
        raise DataError(f"{reply['file']}: killed the process that ran it ({name}); the file is damaged or too large")
    raise EnvironmentFault(f"{reply['file']}: its process failed: {''.join(last_words) or f'exit code {returncode}'}")
