"""What a run was begun on, as far as its settings do not say it: the names of the classes, and one's own weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.errors import UsageError
from edgenas.system.run_folder import read_artefact, write_artefact

if TYPE_CHECKING:
    from edgenas.data.base import Data
    from edgenas.workflows.task import Task

ORIGIN = "origin"  # artefact
SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Origin:
    """What must stay the same for as long as a run is used.

    Args:
        classes: their names; the order is that of the network's outputs.
        weights_sha256: of the file with the weights of a network of one's own; None without one.
    """

    classes: tuple[str, ...]
    weights_sha256: str | None = None


def keep_origin(folder: Path, task: Task) -> None:
    """Write what a new run is begun on into its folder; a resumed run, and one that it reuses, must have the same.

    Raises:
        UsageError: the classes or the weights are others than those of the run.
    """
    weights = task.config.weights
    for run in (folder, *([Path(task.config.reuse).expanduser()] if task.config.reuse else [])):
        check_classes(run, task.data)
        if weights is not None:
            check_weights(run, weights, weights)
    if not _is_kept(folder):
        file = None if weights is None else Path(weights).expanduser()
        # A resumed run of an earlier version may go on without the file.
        sha256 = _sha256(file) if file is not None and file.is_file() else None
        write_artefact(folder, ORIGIN, Origin(tuple(task.data.classes), sha256))


def check_classes(folder: Path, data: Data) -> None:
    """Check that the images have the classes that a run was begun with; one of an earlier version does not say them.

    Raises:
        UsageError: they are others, or in another order; the difference is named.
    """
    if not _is_kept(folder):
        return
    before, now = read_artefact(folder, ORIGIN, Origin).classes, tuple(data.classes)
    if before != now:
        raise UsageError(
            f"{data.name}: its classes are not those of {folder}: {_difference(before, now)}; give images with "
            "the classes of the run, or begin another one on these"
        )


def check_weights(folder: Path, weights: str, before: str | None) -> None:
    """Check that a file holds the weights that a run was begun with, byte for byte.

    Args:
        folder: of the run; one of an earlier version does not say which weights it had.
        weights: the file.
        before: the file that the settings of the run name, which may be gone by now.

    Raises:
        UsageError: it holds others, or is not there.
    """
    file = Path(weights).expanduser()
    if not file.is_file():
        if weights == before:
            return
        raise UsageError(f"--weights {weights}: there is no such file; leave it out, or say where it is now")
    kept = read_artefact(folder, ORIGIN, Origin).weights_sha256 if _is_kept(folder) else None
    if kept is not None and _sha256(file) != kept:
        was = f"{before} as it was then" if weights == before else str(before)
        raise UsageError(
            f"--weights {weights}: not the weights that {folder} was begun with, those of {was} (SHA-256 {kept[:12]}); "
            "give that file, or begin another run on this one"
        )


def _is_kept(folder: Path) -> bool:
    return (folder / f"{ORIGIN}.json").exists()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _difference(before: Sequence[str], now: Sequence[str]) -> str:
    lacking = [name for name in before if name not in now]
    further = [name for name in now if name not in before]
    if not lacking and not further:
        index = next(i for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b)
        return f"they come in another order, {now[index]!r} where the run has {before[index]!r}"
    parts = [f"{_listed(lacking)} missing"] * bool(lacking) + [f"{_listed(further)} not of the run"] * bool(further)
    return " and ".join(parts)


def _listed(names: Sequence[str]) -> str:
    text = ", ".join(map(repr, names[:SHOWN]))
    more = len(names) - SHOWN
    return f"{text} and {more} more are" if more > 0 else f"{text} {'is' if len(names) == 1 else 'are'}"
