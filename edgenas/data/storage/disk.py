"""Pixels on a disk: read without a copy, written whole or not at all, by one process at a time."""

from __future__ import annotations

import mmap
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from edgenas.data.view import Pixels
from edgenas.errors import EnvironmentFault


class MappedFile:
    """The bytes of a file, mapped into memory at first use; pickled as its path alone."""

    def __init__(self, path: Path) -> None:
        """Map `path` when it is read for the first time."""
        self.path = path
        self._map: mmap.mmap | None = None

    def __getstate__(self) -> Path:
        """Return the path: each process has a map of its own."""
        return self.path

    def __setstate__(self, path: Path) -> None:
        """Start without a map."""
        self.path, self._map = path, None

    def read(self, start: int, size: int) -> Pixels:
        """Return `size` bytes from `start` on, which are valid until `release`.

        Raises:
            EnvironmentFault: the file is gone, or shorter than it was.
        """
        if self._map is None or len(self._map) < start + size:
            self._map = self._mapped(start + size)
        return np.frombuffer(self._map, dtype=np.uint8, count=size, offset=start)

    def release(self) -> None:
        """Let go of the pages that were read: they stay in the system's cache, and count for no process."""
        # Else a process that reads all of a large file would seem to hold all of it.
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

    def _mapped(self, least: int) -> mmap.mmap:
        try:
            with self.path.open("rb") as file:
                found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise _gone(self.path) from error
        if len(found) < least:
            raise _gone(self.path)
        return found


def write_whole(path: Path, content: Callable[[Path], object]) -> None:
    """Have `content` write a file, which appears under its name only when it is complete and on the disk.

    Args:
        path: of the file.
        content: writes it to the path that it is given, of the same suffix.
    """
    part = path.with_name(f"part-{path.name}")
    try:
        content(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_room(folder: Path, size_bytes: float, what: str) -> None:
    """Check that a disk has room, and a fiftieth beside it.

    Args:
        folder: on the disk.
        size_bytes: of what is to be written.
        what: it is, for the message.

    Raises:
        EnvironmentFault: it has not.
    """
    free = shutil.disk_usage(folder).free
    if size_bytes * 1.02 > free:
        raise EnvironmentFault(
            f"{folder}: {what} takes about {amount(size_bytes)}, and the disk has {amount(free)} free; make "
            "room, name another place by --cache, or keep smaller pictures by --cache-size"
        )


def make_folder(folder: Path) -> None:
    """Make a folder. Raises EnvironmentFault, naming the flag, where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "probe").write_bytes(b"x")
        (folder / "probe").unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"{folder}: cannot be written ({error.strerror}); name another place for decoded pictures by --cache"
        ) from error


def amount(size_bytes: float) -> str:
    """Return a size in words.

    >>> amount(9.8e9), amount(3e6)
    ('9.8 GB', '3.0 MB')
    """
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"


@contextmanager
def locked(folder: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Work in a folder alone while inside; processes that come later wait.

    Args:
        folder: where the lock lies.
        waiting: called once if another process is at work.
    """
    with (folder / "lock").open("w") as file:
        with suppress(ImportError):  # without it, as on Windows, two runs at once can do the work twice
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _gone(path: Path) -> EnvironmentFault:
    return EnvironmentFault(
        f"{path}: the decoded pictures that were there are gone; start the command again, which makes them anew"
    )
