"""Checkpoints that survive being killed: written aside, flushed, renamed, hashed, one older generation kept."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from edgenas.errors import CheckpointError, DamagedRun, EnvironmentFault

MAGIC = b"edgenas-checkpoint-1 "  # first bytes of every checkpoint: its format, before the hash
State = dict[str, Any]  # what a checkpoint keeps: dicts, lists, tuples, numbers, strings, None and tensors


def save(path: Path, payload: State) -> None:
    """Replace a checkpoint atomically; what it held becomes `<path>.previous`.

    Args:
        path: of the checkpoint; its folder is made if it is not there.
        payload: what it is to hold.

    Raises:
        EnvironmentFault: the disk is full or not writable; the last checkpoint is intact.
    """
    buffer = io.BytesIO()
    torch.save(payload, buffer)
    content = buffer.getvalue()
    temporary = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Killed between the two, only the older generation is there, which `load` finds.
        if path.exists():
            os.replace(path, previous(path))
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise EnvironmentFault(
            f"{path}: cannot write the checkpoint ({error.strerror}); free space and resume"
        ) from error


def load(path: Path) -> State:
    """Return what the newest intact generation holds, tensors on the CPU; a damaged one is passed over with a warning.

    Raises:
        FileNotFoundError: there is no checkpoint.
        DamagedRun: none is intact, or it is not one of ours.
    """
    generations = [p for p in (path, previous(path)) if p.exists()]
    if not generations:
        raise FileNotFoundError(path)
    damage = ""
    for generation in generations:
        try:
            payload = _read(generation)
        except ValueError as error:
            damage = f"{generation.name}: {error}"
            continue
        if damage:
            warnings.warn(f"{damage}; going on from {generation.name}", stacklevel=2)
        return payload
    raise DamagedRun(f"{damage}; no intact generation is left: delete it and run again")


def check_identity(path: Path, payload: State, identity: State) -> None:
    """Check that a checkpoint was written by this run.

    Args:
        path: of the checkpoint, for the message.
        payload: what it holds.
        identity: what this run is of; the checkpoint keeps the same as `identity`.

    Raises:
        CheckpointError: another run wrote it; the first difference is named.
    """
    found = payload.get("identity", {})
    for name, wanted in identity.items():
        if found.get(name) != wanted:
            raise CheckpointError(
                f"{path.name}: written with {name} = {found.get(name)!r}, this run has {wanted!r}; use a new --output"
            )


def previous(path: Path) -> Path:
    """Return the path of the older generation."""
    return path.with_name(path.name + ".previous")


def _read(path: Path) -> State:
    """Return what one file holds; raises ValueError if it is truncated, altered, or no checkpoint of ours."""
    # The hash finds what torch does not: a flipped bit loads silently.
    head, _, content = path.read_bytes().partition(b"\n")
    if not head.startswith(MAGIC):
        raise ValueError("not an edgenas checkpoint")
    if hashlib.sha256(content).hexdigest().encode() != head[len(MAGIC) :]:
        raise ValueError("its hash does not fit: truncated or altered")
    try:
        # With `weights_only` no code in the file is run, whoever wrote it.
        payload = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError("it holds something else than weights and plain data") from error
    if not isinstance(payload, dict):
        raise ValueError("not an edgenas checkpoint")
    return payload
