"""What `ssh.py` runs on the device: sent as source to a Python there, as nothing of edgenas is installed.

Standard library only, in Python 3.6's syntax, so that a Python that is too old can say so.
"""

import fcntl
import importlib.util
import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

NEEDED = ("numpy", "onnxruntime")
CHUNK_BYTES, EVERY_S = 1 << 20, 1.0  # a line of progress each second


def check() -> None:
    """Print what this Python is, and what it lacks."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    in_venv = sys.prefix != sys.base_prefix
    print(json.dumps({"version": sys.version_info[:2], "venv": in_venv, "missing": missing}))


def unpack(folder: str, digest: str, size: str) -> None:
    """Unpack the kit that comes on stdin; leave stdin alone where the kit is unpacked already.

    Args:
        folder: where to, relative to the home.
        digest: the kit's SHA-256, which marks a folder that holds all of it.
        size: the kit's bytes, for the progress.
    """
    os.makedirs(folder, exist_ok=True)
    lock = _locked(folder)
    archive, mark = os.path.join(folder, "kit.zip"), os.path.join(folder, "unpacked")
    if not os.path.exists(mark) or _text(mark) != digest:
        _receive(archive, int(size))
        with zipfile.ZipFile(archive) as kit:
            kit.extractall(folder)
        os.remove(archive)
        os.sync()  # the mark must not outlive a power cut that the files do not
        with open(mark, "w") as file:
            file.write(digest)
    lock.close()


def measure(folder: str, *arguments: str) -> None:
    """Become the kit's runner, which takes the lock along."""
    lock = _locked(folder)
    os.set_inheritable(lock.fileno(), True)  # Python closes its files in what it starts otherwise
    os.execv(sys.executable, [sys.executable, os.path.join(folder, "run.py"), *arguments])


def _locked(folder: str) -> TextIO:
    """Take the folder's lock, held while the file is open; end what a broken connection left running here.

    It may not have noticed yet, and two runners would spoil one another's figures.
    """
    lock = open(os.path.join(folder, "lock"), "a+")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            lock.seek(0)
            with suppress(ValueError, ProcessLookupError):  # its number is not written yet, or it has just ended
                os.kill(int(lock.read()), signal.SIGTERM)
            time.sleep(0.1)
    # The number tells a later start whom to end.
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _receive(path: str, size: int) -> None:
    """Copy stdin into a file, with a line on stderr each second."""
    done, spoken = 0, time.monotonic()
    with open(path, "wb") as file:
        while True:
            chunk = sys.stdin.buffer.read(CHUNK_BYTES)
            if not chunk:
                return
            done += file.write(chunk)
            if time.monotonic() - spoken > EVERY_S:
                spoken = time.monotonic()
                print(f"{done >> 20} of {size >> 20} MB", file=sys.stderr, flush=True)


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()


if __name__ == "__main__":
    COMMANDS: "dict[str, Callable[..., None]]" = {"check": check, "unpack": unpack, "measure": measure}
    COMMANDS[sys.argv[1]](*sys.argv[2:])
