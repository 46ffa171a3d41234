"""The run folder: one process at a time, and artefacts that are written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from edgenas.errors import DamagedRun, EnvironmentFault, UsageError
from edgenas.system import distributed, records
from edgenas.system.file_index import (
    INDEX,
    State,
    adopt,
    check,
    read_kept,
    state_of,
    write_atomically,
    write_kept,
)
from edgenas.system.folder_lock import FolderLock

CONFIG, SECONDS, FORMAT_FILE = "config.toml", "seconds.json", "format.json"
FORMAT = 2  # of run folders; 1 had no file that says so
FIRST_VERSION = "0.1.0"  # which wrote all folders of format 1

Record = TypeVar("Record")


class RunFolder:
    """A folder that holds one run. No state in it names a path, so it can be moved and resumed.

    Of several processes the first one makes and writes what is in it; all of them must see the same disk.
    """

    def __init__(self, path: Path, *, resume: bool, writes: bool = True) -> None:
        """Create or reopen the folder, and lock it.

        Args:
            path: of the folder.
            resume: whether it may hold a run already.
            writes: whether this process does so; one that does not leaves all this to the one that does.

        Raises:
            UsageError: it holds a run and `resume` is off, or another process works in it.
            EnvironmentFault: it cannot be written.
        """
        self.path, self.writes, self.is_new = path, writes, not path.exists()
        self.seconds: dict[str, float] = {}
        self.notice: str | None = None
        if not writes:
            return
        if path.exists() and not path.is_dir():
            raise EnvironmentFault(f"{path} is a file; choose another --output")
        if not resume:
            self._check_new()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._not_written(error) from error
        self._lock = FolderLock(path)
        self.notice = self._lock.notice
        try:
            if not resume:
                self._check_new()  # another process may have begun one since
            self._probe()
            if (path / CONFIG).exists():
                adopt(path)
            self.seconds = self._read_seconds()
        except BaseException:
            self.unlock()
            raise

    def __enter__(self) -> Self:
        """Return the folder, which is locked until the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unlock the folder."""
        self.unlock()

    def artefact(
        self,
        stage: str,
        kind: type[Record],
        make: Callable[[], Record],
        *,
        again: bool = False,
        files: Callable[[Record], Iterable[Path]] = lambda record: (),
    ) -> Record:
        """Return what a stage left: read if it is there, else made and written, by the first process alone.

        Args:
            stage: name of the file, without `.json`.
            kind: the dataclass that the file holds.
            make: called if there is no such file.
            again: whether it is called, too, where the file is damaged or gone: nothing else was made from it that
                would not be as it is.
            files: those that the stage wrote beside it, which must be whole, too.

        Raises:
            DamagedRun: the file is damaged or gone, and not to be made again.
        """

        def read_or_make() -> Record:
            path = self.path / f"{stage}.json"
            state = state_of(path)
            if state is State.WHOLE:
                found = read_artefact(self.path, stage, kind)
                lost = [file for file in files(found) if state_of(file) is not State.WHOLE]
                if not lost:
                    return found
                path = lost[0]
            elif not again:
                check(path)
            if state is not State.NEW:
                warnings.warn(f"{path.name} is not as it was written: it is made again", stacklevel=2)
            write_artefact(self.path, stage, make())
            return read_artefact(self.path, stage, kind)

        return distributed.first(read_or_make)

    def joint_artefact(self, stage: str, kind: type[Record], make: Callable[[], Record]) -> Record:
        """Return what a stage left, as `artefact` does, but made by all processes together, as a training is."""
        if distributed.first(partial(is_kept, self.path, stage)):
            return self.artefact(stage, kind, make)
        made = make()
        return self.artefact(stage, kind, lambda: made)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Count time spent on a stage, over all the times that the run was resumed."""
        if not self.writes:
            return
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + seconds, 2)
        write_kept(self.path / SECONDS, json.dumps(self.seconds).encode())

    def unlock(self) -> None:
        """Let other processes in; of a run that left nothing, the folder goes too."""
        if not self.writes:
            return
        self._lock.release()
        if self.is_new:
            with suppress(OSError):  # it is not empty
                self.path.rmdir()

    def _read_seconds(self) -> dict[str, float]:
        """The time that was spent before; it is lost with its file, and nothing else is."""
        path = self.path / SECONDS
        try:
            return records.from_json(dict[str, float], records.parsed(read_kept(path)))
        except FileNotFoundError:
            return {}
        except (DamagedRun, ValueError):
            warnings.warn(f"{SECONDS} is not as it was written: time is counted from here on", stacklevel=2)
            return {}

    def _probe(self) -> None:
        """Find here, before anything is computed, that the disk is full or read-only."""
        probe = self.path / ".probe"
        try:
            write_atomically(probe, b"x" * 4096)
            probe.unlink()
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> EnvironmentFault:
        return EnvironmentFault(f"{self.path}: cannot be written ({error.strerror}); choose another --output")

    def _check_new(self) -> None:
        try:
            there = is_run(self.path)
        except DamagedRun:
            if (self.path / CONFIG).exists():
                raise
            raise UsageError(f"{self.path / INDEX} is there, and is not a run's; choose another --output") from None
        if there:
            raise UsageError(
                f"{self.path} already holds a run; add --resume to go on with it, or choose another --output"
            )


class KeptFolder(RunFolder):
    """A run's folder to look into: it is not locked, and nothing is made in it."""

    def __init__(self, path: Path) -> None:
        """Open the folder as it is."""
        self.path, self.writes, self.is_new, self.seconds, self.notice = path, False, False, {}, None

    def artefact(self, stage: str, kind: type[Record], *_: object, **__: object) -> Record:
        """Return what a stage left, which must be there."""
        return read_artefact(self.path, stage, kind)

    joint_artefact = artefact


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, whole or damaged."""
    return state_of(folder / CONFIG) is not State.NEW


def is_kept(folder: Path, stage: str) -> bool:
    """Return whether a stage has left its record in a folder, whole or damaged."""
    return state_of(folder / f"{stage}.json") is not State.NEW


def read_artefact(folder: Path, stage: str, kind: type[Record]) -> Record:
    """Return the record that a stage left.

    Raises:
        DamagedRun: it is damaged.
    """
    path = folder / f"{stage}.json"
    try:
        return records.from_json(kind, records.parsed(read_kept(path)))
    except ValueError as error:
        raise DamagedRun(f"{path} is damaged ({error}); put back a copy of it, or use a new --output") from error


def write_artefact(folder: Path, stage: str, record: object) -> None:
    """Write the record of a stage, whole or not at all."""
    text = json.dumps(records.to_json(record), indent=1, allow_nan=False) + "\n"
    write_kept(folder / f"{stage}.json", text.encode())


def copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copy files of a run into a new folder, which has an index of its own.

    Args:
        source: folder of the run.
        target: the folder; it is made.
        names: of the files.

    Raises:
        DamagedRun: one is not as the run wrote it.
    """
    target.mkdir()
    for name in names:
        check(source / name)
        shutil.copyfile(source / name, target / name)
    adopt(target)


def write_format(folder: Path, version: str) -> None:
    """Note the format of a new run folder, and the version of edgenas that writes it."""
    write_kept(folder / FORMAT_FILE, json.dumps({"format": FORMAT, "version": version}).encode())


def check_format(folder: Path) -> None:
    """Check that the run in a folder is of the present format.

    Raises:
        UsageError: it is of another one, which is named with the version that wrote it.
        DamagedRun: the file that says so is damaged.
    """
    path = folder / FORMAT_FILE
    try:
        noted = records.parsed_object(read_kept(path))
        found, version = int(noted["format"]), str(noted["version"])
    except FileNotFoundError:
        found, version = 1, FIRST_VERSION
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedRun(f"{path} is damaged ({error}); search again, with a new --output") from error
    if found != FORMAT:
        raise UsageError(
            f"{folder}: its format is {found}, written by edgenas {version}, and this version reads format {FORMAT}; "
            f"search again with a new --output, or install edgenas {version}"
        )


def cache_folder(*parts: str) -> Path | None:
    """Return a folder in the user's cache that can be written, or one for temporary files if there is no usable home.

    None stands for neither.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    for root in (Path(home), Path(tempfile.gettempdir())):
        folder = root.joinpath("edgenas", *parts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):  # it may be another user's, or on a disk mounted read-only
            return folder
    return None
