"""Settings that may be given beside a run folder, whose configuration says the rest: where things are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edgenas.errors import UsageError
from edgenas.system.data_source import resolve as resolve_source
from edgenas.workflows.config import Config, flag

# The place of images, weights and training may differ from machine to machine; what they are may not.
MOVABLE = ("data_root", "cache", "weights", "download", "train_device")
# What a run is about may be said again, and must then be the same.
REPEATED = ("data", "image_size", "pretrained")


def moved_settings(run: str, before: Config, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the given settings without those of `REPEATED`, which are the run's; the place of its data may differ.

    Args:
        run: its folder, for messages.
        before: the settings that the run was begun with.
        given: settings by name, as the command line or Python gives them.

    Raises:
        UsageError: a setting of `REPEATED` is another one than the run's.
    """
    moved = dict(given)
    if "data" in moved:
        source = resolve_source(moved.pop("data"), moved.get("data_root"))
        _check_same(run, "data", before.data, source.plugin)
        moved |= {} if source.root is None else {"data_root": str(source.root)}
    for name in ("image_size", "pretrained"):
        if name in moved:
            # By `Config`, which reads the texts of a command line.
            value = getattr(replace(before, **{name: moved.pop(name)}), name)
            _check_same(run, name, getattr(before, name), value)
    if moved.get("weights") is not None and before.pretrained is None:
        raise UsageError(f"--weights: the space of {run} is {before.space}, no trained network; leave it out")
    return moved


def _check_same(run: str, name: str, before: object, now: object) -> None:
    if now != before:
        was = "was begun without one" if before is None else f"was begun with {before}"
        raise UsageError(f"{flag(name)} {now}: {run} {was}; leave it out, or give another run")
