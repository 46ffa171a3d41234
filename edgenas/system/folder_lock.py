"""Who works in a folder: one process at a time, by a lock that is freed by its holder's death."""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from edgenas.errors import EnvironmentFault, UsageError
from edgenas.system.records import from_json, parsed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"  # says who works in the folder; where the drive has no locks, it is the lock
TAKEOVER = f"{LOCK}.takeover"  # there while one process takes over what a dead one has left
# What drives answer that have no locks, or none on a folder.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL, errno.EIO}
BEING_WRITTEN_S = 1.0  # a file of a living process is not empty for longer


@dataclass(frozen=True)
class Owner:
    """A process, and when it began: another one may have its number later."""

    pid: int
    host: str
    started: str | None

    @classmethod
    def here(cls) -> Owner:
        """Return this process."""
        return cls(os.getpid(), platform.node(), _start_ticks(os.getpid()))

    @property
    def is_gone(self) -> bool:
        """Return whether it has certainly ended; nobody can look into another host."""
        return self.host == platform.node() and _start_ticks(self.pid) != self.started


class FolderLock:
    """A folder that this process works in, until `release`.

    The folder itself is locked, by `flock`: the kernel frees that whenever the process ends, however it does. Where the
    drive has no such locks, it is the existence of a file, which a later process takes over once the one that it names
    is gone on this host.
    """

    def __init__(self, folder: Path) -> None:
        """Lock an existing folder; `notice` names a process that had left it locked.

        Raises:
            UsageError: another process works in it.
            EnvironmentFault: it is gone, or cannot be written.
        """
        self.folder, self.file = folder, folder / LOCK
        self._descriptor: int | None = None
        try:
            dead = self._create() if not self._flock() else self._write()
        except OSError as error:
            self._close()
            raise EnvironmentFault(f"{folder}: cannot be locked ({error.strerror}); choose another --output") from error
        except UsageError:
            self._close()
            raise
        self.notice = None if dead is None else f"{LOCK} of process {dead.pid}, which is gone, was taken over"

    def release(self) -> None:
        """Let other processes in."""
        with suppress(OSError):
            self.file.unlink()
        if self._descriptor is not None:
            with suppress(OSError):  # whoever has inherited the descriptor, too, lets go
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._close()

    def _flock(self) -> bool:
        """Lock the folder itself; False where the drive cannot."""
        if fcntl is None:
            return False
        self._descriptor = os.open(self.folder, os.O_RDONLY)
        _HELD.add(self)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{self.folder}: {_named(_owner(self.file))} works in it; wait for it") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            self._close()
            return False
        return True

    def _write(self) -> Owner | None:
        """Say who works in the locked folder; return who was there before, and has left its file.

        Some network drives lock for one host alone: a file of another one counts all the same.
        """
        found = _owner(self.file)
        if found is not None and not found.is_gone:
            raise self._refusal(found)
        self.file.write_text(_mine(), encoding="utf-8")
        return found

    def _create(self) -> Owner | None:
        """Create the file that is the lock, or take it over from a process that is gone, which is returned."""
        if self._is_created():
            return None
        found = _owner(self.file)
        if found is None:  # its process may be about to write it
            time.sleep(BEING_WRITTEN_S)
            found = _owner(self.file)
        if found is not None and not found.is_gone:
            raise self._refusal(found)
        # Two processes may see the same dead one: one at a time may remove its file, and looks again before.
        takeover = self.folder / TAKEOVER
        try:
            os.close(os.open(takeover, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            raise UsageError(f"{self.folder}: another process takes it over; wait, or remove {TAKEOVER}") from None
        try:
            if _owner(self.file) == found:
                self.file.unlink(missing_ok=True)
            if not self._is_created():
                raise self._refusal(_owner(self.file))
        finally:
            takeover.unlink()
        return found

    def _is_created(self) -> bool:
        try:
            descriptor = os.open(self.file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_mine())
        return True

    def _refusal(self, other: Owner | None) -> UsageError:
        return UsageError(f"{self.folder}: {_named(other)} works in it; wait for it, or remove {LOCK} if it is gone")

    def _close(self) -> None:
        _HELD.discard(self)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_HELD: set[FolderLock] = set()  # by this process


def _close_inherited() -> None:
    for lock in list(_HELD):
        lock._close()


# A child of a fork, such as a worker that loads pictures, has the descriptor, and with it the lock, which would outlive
# the process that took it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_inherited)


def _mine() -> str:
    return json.dumps(asdict(Owner.here()))


def _named(owner: Owner | None) -> str:
    return "another process" if owner is None else f"process {owner.pid} on {owner.host}"


def _owner(file: Path) -> Owner | None:
    """Who a lock's file names; None if there is no such file, or it is cut off or damaged."""
    try:
        return from_json(Owner, parsed(file.read_bytes()))
    except (OSError, ValueError):
        return None


def _start_ticks(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks, or None if it is gone, though its parent may not know yet."""
    # The second field, the command in brackets, may hold blanks; the state is the first behind it, the start the 20th.
    try:
        behind = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if behind[0] in "ZX" else behind[19]
    except OSError:
        pass
    # Without /proc: signal 0 is not sent, and only tells whether the process exists.
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return None
    return "running"
