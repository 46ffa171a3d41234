"""Settings that may be given beside a run folder, whose configuration says the rest: where things are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.system.data_source import resolve as resolve_source
from edgenas.workflows.config import Config, flag, make_config, read_run
from edgenas.workflows.named import is_same
from edgenas.workflows.origin import check_weights

# The place of images, weights and training may differ from machine to machine; what they are may not.
MOVABLE = ("data_root", "cache", "weights", "download", "train_device")
# What a run is about may be said again, and must then be the same. What of it is one's own has to be: a run's folder
# does not choose what code runs.
ABOUT = ("image_size", "pretrained", "teacher", "space")
MEANS = ("strategy", "evaluator", "runtime")


def reopened(run_folder: Path, moved: Mapping[str, Any]) -> Config:
    """Return the configuration by which a run that is there is gone on with.

    Args:
        run_folder: of the run.
        moved: settings that may have changed since, as `moved_settings` takes them.

    Raises:
        UsageError: it is no run, one of another format, or about something else than `moved` says.
    """
    config = make_config({**read_run(run_folder), "resume": True, "output": str(run_folder)})
    return replace(config, **moved_settings(str(run_folder), config, moved))


def moved_settings(
    run: str, before: Config, given: Mapping[str, Any], repeated: Sequence[str] = (*ABOUT, *MEANS)
) -> Mapping[str, Any]:
    """Return the given settings without those that are the run's; the place of data and of one's own files may differ.

    Args:
        run: its folder, for messages.
        before: the settings that the run was begun with.
        given: settings by name, as the command line or Python gives them.
        repeated: those that must be the run's.

    Raises:
        UsageError: one of these is another one than the run's, or the file of weights holds others.
    """
    moved = dict(given)
    if "data" in moved:
        source = resolve_source(moved.pop("data"), moved.get("data_root"))
        check_same(run, "data", before.data, source.plugin)
        moved |= {} if source.root is None else {"data_root": str(source.root)}
        moved |= {} if source.plugin == before.data else {"data": source.plugin}
    for name in repeated:
        if name in moved:
            # By `Config`, which reads the texts of a command line.
            value, was = getattr(replace(before, **{name: moved.pop(name)}), name), getattr(before, name)
            check_same(run, name, was, value)
            moved |= {} if value == was else {name: value}  # a file of one's own, which is elsewhere now
    if moved.get("weights") is not None:
        if before.pretrained is None:
            raise UsageError(f"--weights: the space of {run} is {before.space}, no trained network; leave it out")
        # The file may be gone where it was, if nobody says where it is now.
        if moved["weights"] != before.weights or Path(moved["weights"]).expanduser().is_file():
            named = None if moved["weights"] == before.weights else before.weights
            check_weights(Path(run), replace(before, weights=moved["weights"]), named)
    return moved


def check_same(run: str, name: str, before: object, now: object, otherwise: str = "give another run") -> None:
    """Check that a setting is that of a run.

    Args:
        run: its folder, for the message.
        name: of the setting.
        before: its value when the run was begun; None for none.
        now: its value now.
        otherwise: what to do where it is meant.

    Raises:
        UsageError: the values differ; both are named.
    """
    if not is_same(name, before, now):
        was = "was begun without one" if before is None else f"was begun with {_shown(before)}"
        raise UsageError(f"{flag(name)} {_shown(now)}: {run} {was}; leave it out, or {otherwise}")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "(none)" if value is None else str(value)
