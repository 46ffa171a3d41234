"""The run folder: one process at a time, and artefacts that are written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edgenas.errors import CheckpointError, EnvironmentFault, UsageError
from edgenas.system import distributed

CONFIG, LOCK, SECONDS = "config.toml", "run.lock", "seconds.json"


class RunFolder:
    """A folder that holds one run. No state in it names a path, so it can be moved and resumed.

    Of several processes the first one makes and writes what is in it; all of them must see the same disk.
    """

    def __init__(self, path: Path, *, resume: bool, writes: bool = True) -> None:
        """Create or reopen it, and lock it; a process that does not write leaves all this to the one that does.

        Raises:
            UsageError: it holds a run and `resume` is off, or another process works in it.
            EnvironmentFault: it cannot be written.
        """
        self.path, self.writes = path, writes
        self.seconds: dict[str, float] = {}
        self.notice: str | None = None
        if not writes:
            return
        if path.exists() and not path.is_dir():
            raise EnvironmentFault(f"{path} is a file; choose another --output")
        if (path / CONFIG).exists() and not resume:
            raise UsageError(f"{path} already holds a run; add --resume to go on with it, or choose another --output")
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_atomically(path / ".probe", b"x" * 4096)
            (path / ".probe").unlink()
        except OSError as error:
            raise EnvironmentFault(f"{path}: cannot be written ({error.strerror}); choose another --output") from error
        self.notice = self._lock()
        if (path / SECONDS).exists():
            self.seconds = json.loads((path / SECONDS).read_text(encoding="utf-8"))

    def artefact(self, stage: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The stage's JSON: read if it is there, else made and written, by the first process alone."""
        return distributed.first(partial(self._artefact, stage, make))

    def _artefact(self, stage: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        path = self.path / f"{stage}.json"
        if path.exists():
            return read_artefact(self.path, stage)
        made = dict(make())
        write_atomically(path, (json.dumps(made, indent=1, allow_nan=False) + "\n").encode())
        return made

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count time spent on a stage, over all the times that the run was resumed."""
        if not self.writes:
            return
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + seconds, 2)
        write_atomically(self.path / SECONDS, json.dumps(self.seconds).encode())

    def unlock(self) -> None:
        """Let others in."""
        if self.writes:
            (self.path / LOCK).unlink(missing_ok=True)

    def _lock(self) -> str | None:
        """Take the lock; a notice if a dead process had left it."""
        lock, notice = self.path / LOCK, None
        mine = {"pid": os.getpid(), "host": platform.node(), "started": _start_ticks(os.getpid())}
        try:
            other = json.loads(lock.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            other = None
        if other and other.get("pid") != os.getpid():
            if other.get("host") != mine["host"] or _start_ticks(other["pid"]) == other.get("started") is not None:
                raise UsageError(
                    f"{self.path}: process {other['pid']} on {other['host']} works in it; "
                    f"wait for it, or remove {LOCK} if it is gone"
                )
            notice = f"{LOCK} of process {other['pid']}, which is gone, was taken over"
        write_atomically(lock, json.dumps(mine).encode())
        return notice


class KeptFolder(RunFolder):
    """A run's folder to look into: it is not locked, and nothing is made there."""

    def __init__(self, path: Path) -> None:
        """As it is."""
        self.path, self.seconds, self.notice = path, {}, None

    def artefact(self, stage: str, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The stage's JSON, which must be there."""
        return read_artefact(self.path, stage)


def read_artefact(folder: Path, stage: str) -> dict[str, Any]:
    """The JSON that a stage left. Raises CheckpointError if it is damaged."""
    path = folder / f"{stage}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged; delete it and resume, or use a new --output") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write aside, flush, rename: a reader sees the old content or the new."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _start_ticks(pid: int) -> str | None:
    """When a process began, in the kernel's ticks: tells it from a later one with its number. None if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return None
    return "running"


def cache_folder(*parts: str) -> Path | None:
    """A folder of edgenas in the user's cache, which can be written; below the temporary folder without a usable home.

    None if neither can.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for root in (Path(home), Path(tempfile.gettempdir())):
        folder = root.joinpath("edgenas", *parts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None
