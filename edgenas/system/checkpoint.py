"""Checkpoints that survive being killed: written aside, flushed, renamed, hashed, one older generation kept."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from edgenas.errors import CheckpointError, DamagedRun, EnvironmentFault
from edgenas.system.text import shortened

MAGIC = b"edgenas-checkpoint-1 "  # first bytes of every checkpoint: its format, before the hash and the name
PREVIOUS = ".previous"
_NEXT = "put back a copy of it, or search again, with a new --output"
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
            file.write(MAGIC + f"{hashlib.sha256(content).hexdigest()} {path.name}\n".encode())
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
    generations = [p for p in (path, previous(path)) if os.path.lexists(p)]
    if not generations:
        raise FileNotFoundError(path)
    damage = ""
    for generation in generations:
        try:
            payload = _read(generation)
        except OSError as error:
            raise DamagedRun(f"{generation}: {error.strerror}; {_NEXT}") from error
        except ValueError as error:
            damage = f"{generation.name}: {error}"
            continue
        if damage:
            warnings.warn(f"{damage}; going on from {generation.name}", stacklevel=2)
        return payload
    raise DamagedRun(f"{damage}; no intact generation is left: delete it and run again")


def load_kept(path: Path) -> State:
    """Return what `load` does, of a checkpoint that must be there.

    Raises:
        DamagedRun: it is gone, or damaged.
    """
    try:
        return load(path)
    except FileNotFoundError as error:
        raise DamagedRun(f"{path} is gone; {_NEXT}") from error


class OtherWeights(ValueError):
    """Weights have other names or shapes than the module has that they are for."""


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Name a checkpoint where what it holds, though whole, is not what its reader goes on from.

    Args:
        path: of the checkpoint.

    Raises:
        CheckpointError: within, weights do not fit.
        DamagedRun: within, a key is missing or a value of another kind.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError:
        raise
    except OtherWeights as error:
        raise CheckpointError(
            f"{path}: weights of another version: {error}; search again, with a new --output, or install the version "
            "that wrote them"
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        cause = shortened(str(error).partition("\n")[0])
        raise DamagedRun(f"{path}: it does not hold what belongs there ({cause}); {_NEXT}") from error


def load_weights(module: torch.nn.Module, state: State) -> None:
    """Load weights into a module, inside `understood`.

    Args:
        module: what they are for.
        state: tensors by name.

    Raises:
        OtherWeights: names or shapes differ, as those of another version of edgenas do; the first difference is named.
        ValueError: a parameter has values that are not finite.
    """
    wanted, found = ({name: tuple(w.shape) for name, w in weights.items()} for weights in (module.state_dict(), state))
    for name in wanted | found:
        if wanted.get(name) != found.get(name):
            shapes = (f"shape {shape[name]}" if name in shape else "none" for shape in (found, wanted))
            raise OtherWeights(f"{shortened(str(name))} has " + ", and here ".join(shapes))
    module.load_state_dict(state)
    for name, parameter in module.named_parameters():
        if not parameter.isfinite().all():
            raise ValueError(f"{name} has values that are not finite")


def check_identity(path: Path, payload: State, identity: State) -> None:
    """Check that a checkpoint was written by this run.

    Args:
        path: of the checkpoint, for the message.
        payload: what it holds.
        identity: what this run is of; the checkpoint keeps the same as `identity`.

    Raises:
        CheckpointError: another run wrote it; the first difference is named.
    """
    with understood(path):
        found = dict(payload.get("identity", {}))
    for name, wanted in identity.items():
        if found.get(name) != wanted:
            raise CheckpointError(
                f"{path.name}: written with {name} = {found.get(name)!r}, this run has {wanted!r}; use a new --output"
            )


def previous(path: Path) -> Path:
    """Return the path of the older generation."""
    return path.with_name(path.name + PREVIOUS)


def _read(path: Path) -> State:
    """Return what one file holds; raises ValueError if it is truncated, altered, or no checkpoint of that name."""
    # The hash finds what torch does not: a flipped bit loads silently.
    head, _, content = path.read_bytes().partition(b"\n")
    if not head.startswith(MAGIC):
        raise ValueError("not an edgenas checkpoint")
    known, _, written = head[len(MAGIC) :].partition(b" ")  # files of earlier versions have no name
    if hashlib.sha256(content).hexdigest().encode() != known:
        raise ValueError("its hash does not fit: truncated or altered")
    if written and path.name not in (name := written.decode(errors="replace"), f"{name}{PREVIOUS}"):
        raise ValueError(f"it was written as {name}")
    try:
        # With `weights_only` no code in the file is run, whoever wrote it.
        payload = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError("it holds something else than weights and plain data") from error
    if not isinstance(payload, dict):
        raise ValueError("not an edgenas checkpoint")
    return payload
