"""Time that counts while the process runs, and changes of files where nothing may change."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TICK_S = 0.2
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Of Python's audit events, those that change files, and how many of their arguments are paths.
CHANGES = {"os.rename": 2, "os.link": 2, "os.symlink": 2} | dict.fromkeys(
    ("os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "shutil.rmtree"), 1
)
# What may be opened to be written, wherever a command runs; nothing may be put in its place.
DEVICES = ("/dev/null", "/dev/tty", "/dev/shm/")


class Stopwatch:
    """Counts the time that a command takes, and calls functions when it is up.

    While the whole process is stopped, as beside a measurement, no time counts.
    """

    def __init__(self, **late: tuple[float, Callable[[], object]]) -> None:
        """Call each of these functions after its seconds."""
        self.seconds, self._late = 0.0, sorted(late.values(), key=lambda item: item[0])
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> Stopwatch:
        """Begin."""
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self._done.set()
        self._thread.join()

    def _count(self) -> None:
        while True:
            is_done, now = self._done.wait(TICK_S), time.monotonic()
            self.seconds += min(now - self._begun, 5 * TICK_S)
            self._begun = now
            if is_done:
                return
            while self._late and self.seconds > self._late[0][0]:
                self._late.pop(0)[1]()


class Guard:
    """Keeps a command from changing anything out of its folder, and says what it tried to change.

    It is an audit hook, which cannot be taken out again. Tests may run as root: what is not held back is done.
    """

    def __init__(self) -> None:
        """Guard nothing as yet."""
        self.folder: str | None = None
        self.outside: list[str] = []
        self.hooked = False

    def begin(self, folder: Path) -> None:
        """Guard all but this folder."""
        self.folder, self.outside = os.path.realpath(folder), []
        if not self.hooked:
            sys.addaudithook(self._hear)
            self.hooked = True

    def end(self) -> tuple[str, ...]:
        """Return what a command tried to change, from `begin` on."""
        self.folder = None
        return tuple(self.outside)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open":
            paths = arguments[:1] if isinstance(arguments[2], int) and arguments[2] & WRITING else ()
        else:
            paths = arguments[: CHANGES.get(event, 0)]
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike) and not self._may(event, os.fsdecode(path)):
                self.outside.append(_place(os.fsdecode(path), follow=event == "open"))
                raise PermissionError(errno.EACCES, "kept from it by the guard of tests.fuzz", os.fsdecode(path))

    def _may(self, event: str, path: str) -> bool:
        place = _place(path, follow=event == "open")
        if place == self.folder or place.startswith(f"{self.folder}{os.sep}"):
            return True
        if event == "os.mkdir":  # `exist_ok` asks for folders that are there
            return os.path.isdir(place)
        return event == "open" and place.startswith(DEVICES)


def _place(path: str, *, follow: bool) -> str:
    """Return where a change happens: behind a link, if it is opened, and at the link itself, if it is renamed."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.realpath(path) if follow else os.path.join(os.path.realpath(folder), name)
