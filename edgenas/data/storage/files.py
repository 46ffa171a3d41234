"""Where to look for files, how to fetch them, and how many broken ones to bear."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgenas.errors import DataError, EnvironmentFault, UsageError

BEARABLE = 0.01  # share of unreadable images


def folders(root: Path | None, *usual: Path) -> list[Path]:
    """Folders to search: the given one alone, or $EDGENAS_DATA and the usual places."""
    if root is not None:
        return [root]
    named = os.environ.get("EDGENAS_DATA")
    return [*([Path(named)] if named else []), *usual]


def torchvision_module(name: str) -> Any:
    """A submodule of torchvision.

    Raises:
        EnvironmentFault: it does not import, most often because it was built for another torch.
    """
    try:
        return importlib.import_module(f"torchvision.{name}")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        pair = " and ".join(f"{package} {_version(package)}" for package in ("torch", "torchvision"))
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EnvironmentFault(f"{pair} do not match ({reason}); install both from one index") from error


def fetch(dataset: str, root: Path | None) -> Path:
    """Let torchvision download one of its data sets to `root`; the only place that opens a socket.

    Raises:
        UsageError: no root to download to.
        EnvironmentFault: no network, or no room.
    """
    if root is None:
        raise UsageError(f"{dataset}: nowhere to download to; name a folder by --data-root")
    datasets = torchvision_module("datasets")
    try:
        getattr(datasets, dataset)(root, download=True)
    except (OSError, RuntimeError) as error:
        raise EnvironmentFault(f"{dataset}: download to {root} failed ({error}); check network and disk") from error
    return root


def bear(skipped: Sequence[str], total: int, *, strict: bool, where: str) -> tuple[str, ...]:
    """The skipped images, each named with its reason, if they are few enough to go on without.

    Raises:
        DataError: more than 1 % of all, or any at all if `strict`.
    """
    if skipped and (strict or len(skipped) > BEARABLE * total):
        listed = "; ".join(skipped[:3]) + ("; ..." if len(skipped) > 3 else "")
        limit = "strict allows none" if strict else f"at most {BEARABLE:.0%} are left out"
        raise DataError(f"{where}: {len(skipped)} of {total} images unusable, {limit}; repair or remove: {listed}")
    return tuple(skipped)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
