"""Subprocess workers: work on files that somebody else made, so that what crashes there is an error here.

`run_worker` starts `python -m <module>`, which ends in `serve_request`: one request as JSON on stdin, and the results
as JSON lines on stdout, each an object whose entries replace those of before.
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
from typing import cast

from edgenas import errors
from edgenas.errors import DataError, EdgeNASError, EnvironmentFault
from edgenas.system.records import Json

Progress = Callable[[int, int], None]
Send = Callable[..., None]

# The tail of a worker's stderr that is looked at for its last line, in bytes: more than any traceback's last line.
COMPLAINT_BYTES = 2000


def run_worker(
    module: str, request: Mapping[str, object], *, limit_s: float, done: str, progress: Progress | None = None
) -> Json:
    """Run a worker on one request, and return what it sent last under each key.

    Args:
        module: what `python -m` starts; it must call `serve_request`.
        request: what JSON can hold.
        limit_s: how long the worker may take, in seconds; then it is killed.
        done: a participle for messages, such as `read`: what was to be done with the file. The worker sends the file's
            name as `file`.
        progress: called with each `progress` that the worker sends.

    Raises:
        EnvironmentFault: the worker ran out of time, or could not work.
        DataError: the file crashed the worker.
        EdgeNASError: the worker's own error, of the class that it had there.
    """
    # The worker finds what this process finds, edgenas first, whatever the working directory holds.
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    late = threading.Event()

    def stop() -> None:
        late.set()
        worker.kill()

    # A file and no pipe for stderr: a pipe that nobody reads fills up, and the worker would wait for ever.
    with tempfile.TemporaryFile() as complaints:
        # -P: the working directory is not on the path, where a file of a library's name would replace the library.
        worker = subprocess.Popen(
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
            reply = _converse(worker, request, progress)
        finally:
            timer.cancel()
            worker.kill()  # at its end it is gone already; on an error here, it must not live on
            worker.wait()
        complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - COMPLAINT_BYTES))
        last_words = complaints.read().decode(errors="replace").strip().splitlines()[-1:]
    if late.is_set():
        raise EnvironmentFault(f"{reply['file']}: not {done} within {limit_s:.0f} s; is it too large for this machine?")
    _check(reply, worker.returncode, last_words)
    return reply


def serve_request(answer: Callable[[Json, Send], None]) -> None:
    """Serve one request as the worker, and send errors of ours to the process that waits.

    Args:
        answer: called with the request and with `send`, which sends its keyword arguments as results.
    """
    # The reply keeps stdout for itself: what libraries print goes to stderr.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as own_stdout:
        os.dup2(2, 1)

        def send(**message: object) -> None:
            print(json.dumps(message), file=own_stdout, flush=True)

        try:
            answer(json.load(sys.stdin), send)
            send(done=True)
        except EdgeNASError as error:
            send(error=[type(error).__name__, str(error)])
        except MemoryError:
            send(too_large=True)


def _converse(worker: subprocess.Popen[str], request: Mapping[str, object], progress: Progress | None) -> Json:
    """Send the request, pass progress on, and return what came last under each key."""
    assert worker.stdin is not None and worker.stdout is not None
    reply: Json = {"file": "model"}
    with worker.stdout:
        try:
            with worker.stdin:
                json.dump(request, worker.stdin)
        except BrokenPipeError:  # it died at once; its exit code tells why
            pass
        for line in worker.stdout:
            if not line.endswith("\n"):  # it was killed in the middle of the line
                break
            sent = json.loads(line)
            reply.update(sent)
            if progress and "progress" in sent:
                progress(*sent["progress"])
    worker.wait()
    return reply


def _check(reply: Json, returncode: int, last_words: Sequence[str]) -> None:
    """Raise the worker's error as ours, unless it came to its end."""
    if "done" in reply:
        return
    if "too_large" in reply:
        raise DataError(f"{reply['file']}: it needs more memory than there is; the file is damaged or too large")
    if "error" in reply:
        kind, message = reply["error"]
        raise cast(type[EdgeNASError], getattr(errors, kind))(message)
    if returncode < 0:
        name = signal.Signals(-returncode).name
        raise DataError(f"{reply['file']}: killed the process that ran it ({name}); the file is damaged or too large")
    raise EnvironmentFault(f"{reply['file']}: its process failed: {''.join(last_words) or f'exit code {returncode}'}")
