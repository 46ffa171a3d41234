"""Settings that may be given beside a run folder, whose configuration says the rest: where things are now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.system.data_source import resolve as resolve_source
from edgenas.workflows.config import ABOUT, MEANS, Config, flag
from edgenas.workflows.named import is_same
from edgenas.workflows.origin import check_weights


def moved_settings(
    run: str, before: Config, given: Mapping[str, Any], repeated: Sequence[str] = (*ABOUT, *MEANS)
) -> Mapping[str, Any]:
    """Return the given settings, checked: where a run's data and one's own files are may differ, and not what they are.

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
        source = resolve_source(moved["data"], moved.get("data_root"))
        check_same(run, "data", before.data, source.plugin)
        moved |= {"data": source.plugin} | ({} if source.root is None else {"data_root": str(source.root)})
    for name in repeated:
        if name in moved:
            # By `Config`, which reads the texts of a command line.
            moved[name] = getattr(replace(before, **{name: moved[name]}), name)
            check_same(run, name, getattr(before, name), moved[name])
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
