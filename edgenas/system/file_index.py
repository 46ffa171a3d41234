"""Whether the files of a run are as the run wrote them: their hashes, in one index beside them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path

from edgenas.errors import DamagedRun, UsageError
from edgenas.system.records import parsed_object

INDEX = "files.json"
# What guards itself: checkpoints and trials hold hashes of their own, a lock names its process; and what is no file of
# the run.
GUARDED = (".pt", ".pt.previous", "trials.jsonl", ".lock", ".new", ".tmp", ".rejected", ".takeover")
Hashes = dict[str, list[str]]  # by name; of a file that is written again both, until it is there


class State(Enum):
    """What is known of a file: it was never written, is as it was written, is not, or is gone."""

    NEW = "new"
    WHOLE = "whole"
    DAMAGED = "damaged"
    GONE = "gone"


def write_kept(path: Path, content: bytes) -> None:
    """Write a file of a run, whole or not at all, and its hash into the index, if the folder has one.

    Killed in between, a new file has no hash yet, and is made again; of one that is written again the index knows both
    contents, and it is either.
    """
    if not (path.parent / INDEX).exists():
        write_atomically(path, content)
        return
    hashes, new = _read(path.parent), _hash(content)
    before = hashes.get(path.name, [])
    hashes[path.name] = [*(h for h in before[-1:] if h != new), new]
    if before:
        _write(path.parent, hashes)
        write_atomically(path, content)
    else:
        write_atomically(path, content)
        _write(path.parent, hashes)


def note(path: Path) -> None:
    """Put a file into the index, if the folder has one, that was written otherwise; as it is."""
    if (path.parent / INDEX).exists():
        _write(path.parent, _read(path.parent) | {path.name: [_hash_of(path)]})


def begin(folder: Path) -> None:
    """Give a folder an index of its own, of no file: whatever is there, no run has written."""
    _write(folder, {})


def adopt(folder: Path) -> None:
    """Index a run's folder that has no index, as it is: one of an earlier version, or one that has lost it."""
    if (folder / INDEX).exists():
        return
    found = (path for path in folder.iterdir() if path.is_file() and not path.name.endswith(GUARDED))
    _write(folder, {path.name: [_hash_of(path)] for path in found})


def forget(path: Path) -> None:
    """Remove a file of a run, and its hash; that first, as a file without one was never written."""
    hashes = _read(path.parent)
    if hashes.pop(path.name, None) is not None:
        _write(path.parent, hashes)
    path.unlink(missing_ok=True)


def state_of(path: Path) -> State:
    """Return what is known of a file; in a folder without an index, whatever is there is taken as it is.

    Raises:
        DamagedRun: the index itself is damaged.
    """
    if not (path.parent / INDEX).exists():
        return State.WHOLE if path.exists() else State.NEW
    known = _read(path.parent).get(path.name)
    if known is None:
        return State.NEW
    if not path.is_file():
        return State.DAMAGED if path.exists() else State.GONE
    return State.WHOLE if _hash_of(path) in known else State.DAMAGED


def check(path: Path) -> None:
    """Check that a file that the run has written is there, as it was written.

    Raises:
        DamagedRun: it is not, and others were made from it.
    """
    found = state_of(path)
    if found in (State.DAMAGED, State.GONE):
        what = "is gone" if found is State.GONE else "is damaged: it is not as the run wrote it"
        raise DamagedRun(f"{path} {what}; put back a copy of it, or go back to its stage with a new --output")


def read_kept(path: Path) -> bytes:
    """Return what a file of a run holds, which is checked.

    Raises:
        DamagedRun: it is not as it was written.
        FileNotFoundError: it was never written.
    """
    check(path)
    return path.read_bytes()


def write_atomically(path: Path, content: bytes) -> None:
    """Write aside, flush, rename: a reader sees the old content or the new, and nothing is left of a failure.

    Raises:
        UsageError: something stands there that is no file, such as a device or a pipe.
        OSError: the file cannot be written.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # the rename itself refuses folders
        raise UsageError(f"{path}: it is no file, but a device or a pipe; name a file to write")
    # With the process's number: two processes that write one file do not write into each other's.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # it may not have been made
            temporary.unlink()
        raise


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of(path: Path) -> str:
    """The hash of a file, which may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> Hashes:
    """The hashes by name; none where there is no index."""
    path = folder / INDEX
    try:
        found = parsed_object(path.read_bytes())
        hashes = {str(name): [str(h) for h in known] for name, known in found["files"].items()}
        if found["sha256"] != _hash(_text(hashes).encode()):
            raise ValueError("its hash does not fit")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedRun(f"{path} is damaged ({error}); put back a copy of it, or begin with a new --output") from error
    return hashes


def _write(folder: Path, hashes: Hashes) -> None:
    text = _text(hashes)
    write_atomically(folder / INDEX, f'{{"sha256": "{_hash(text.encode())}", "files": {text}}}\n'.encode())


def _text(hashes: Mapping[str, list[str]]) -> str:
    return json.dumps(hashes, indent=1, sort_keys=True)
