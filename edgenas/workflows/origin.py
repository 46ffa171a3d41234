"""What a run was begun on, as far as its settings do not say it: the names of the classes, and one's own weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgenas.errors import UsageError
from edgenas.system.run_folder import is_kept, read_artefact, write_artefact
from edgenas.workflows.config import Config
from edgenas.workflows.pretrained import open_pretrained

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
        weights_sha256: of the tensors of a network of one's own; None without one.
    """

    classes: tuple[str, ...]
    weights_sha256: str | None = None


def keep_origin(folder: Path, task: Task) -> None:
    """Write what a new run is begun on into its folder; a resumed run, and one that it reuses, must have the same.

    Raises:
        UsageError: the classes or the weights are others than those of the run.
    """
    config = task.config
    # A resumed run may go on without its file of weights: what is trained does not need it again.
    has_weights = config.weights is not None and Path(config.weights).expanduser().is_file()
    for run in (folder, *([Path(config.reuse).expanduser()] if config.reuse else [])):
        check_classes(run, task.data)
        if has_weights:
            check_weights(run, config)
    if not is_kept(folder, ORIGIN):
        sha256 = _network_sha256(config) if has_weights else None
        write_artefact(folder, ORIGIN, Origin(tuple(task.data.classes), sha256))


def check_classes(folder: Path, data: Data) -> None:
    """Check that the images have the classes that a run was begun with; one of an earlier version does not say them.

    Raises:
        UsageError: they are others, or in another order; the difference is named.
    """
    if not is_kept(folder, ORIGIN):
        return
    before, now = read_artefact(folder, ORIGIN, Origin).classes, tuple(data.classes)
    if before != now:
        raise UsageError(
            f"{data.name}: its classes are not those that the run was begun with: {_difference(before, now)}; give "
            "images with the classes of the run, or begin another one on these"
        )


def check_weights(folder: Path, config: Config, named: str | None = None) -> None:
    """Check that a file holds the weights that a run was begun with, whatever the file is now.

    Args:
        folder: of the run; one of an earlier version does not say which weights it had.
        config: names the network, and the file.
        named: the file that the run was begun with, if it is another one.

    Raises:
        UsageError: it holds others, or is not there.
        DataError: it is damaged.
    """
    kept = read_artefact(folder, ORIGIN, Origin).weights_sha256 if is_kept(folder, ORIGIN) else None
    found = _network_sha256(config)
    if kept not in (None, found):
        was = f", those of {named}" if named else ""
        raise UsageError(
            f"--weights {config.weights}: not the weights that {folder} was begun with{was}; give these, or begin "
            "another run"
        )


def _network_sha256(config: Config) -> str | None:
    network = open_pretrained(config)
    return None if network is None else network.sha256()


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
