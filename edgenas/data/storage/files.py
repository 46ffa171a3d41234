"""Where to look for files, how to fetch them, and how many broken ones to accept."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgenas.data.found import LeftOut
from edgenas.errors import DataError, EnvironmentFault, UsageError

# Largest share of unreadable images: photo collections hold a few, and more than 1 % points to a broken copy.
MAX_SKIPPED = 0.01


def folders(root: Path | None, *usual: Path) -> list[Path]:
    """Return the folders to search: the given one alone, or else $EDGENAS_DATA and the usual places."""
    if root is not None:
        return [root]
    named = os.environ.get("EDGENAS_DATA")
    return [*([Path(named)] if named else []), *usual]


def torchvision_module(name: str) -> Any:
    """Import a submodule of torchvision.

    Raises:
        EnvironmentFault: it cannot be imported, most often because it was built for another torch.
    """
    try:
        return importlib.import_module(f"torchvision.{name}")
    # Wheels of different sources do not fit: `operator torchvision::nms does not exist`, a RuntimeError, at import.
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        pair = " and ".join(f"{package} {_version(package)}" for package in ("torch", "torchvision"))
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EnvironmentFault(f"{pair} do not match ({reason}); install both from one index") from error


def fetch(dataset: str, root: Path | None) -> Path:
    """Let torchvision download one of its data sets to `root`; no other function opens a socket.

    Args:
        dataset: name of torchvision's class.
        root: folder to download to.

    Raises:
        UsageError: there is no root to download to.
        EnvironmentFault: the network or the disk fails.
    """
    if root is None:
        raise UsageError(f"{dataset}: nowhere to download to; name a folder by --data-root")
    datasets = torchvision_module("datasets")
    try:
        getattr(datasets, dataset)(root, download=True)
    except (OSError, RuntimeError) as error:
        raise EnvironmentFault(f"{dataset}: download to {root} failed ({error}); check network and disk") from error
    return root


def check_skipped(skipped: Sequence[LeftOut], total: int, *, strict: bool, where: str) -> None:
    """Check that skipped images are few enough to go on without them.

    Args:
        skipped: images that cannot be read.
        total: number of all images.
        strict: whether none may be skipped.
        where: the file or the folder, for the message.

    Raises:
        DataError: more than 1 % of all images are skipped, or any if `strict`.
    """
    if skipped and (strict or len(skipped) > MAX_SKIPPED * total):
        listed = "; ".join(map(str, skipped[:3])) + ("; ..." if len(skipped) > 3 else "")
        limit = "strict allows none" if strict else f"at most {MAX_SKIPPED:.0%} are left out"
        raise DataError(f"{where}: {len(skipped)} of {total} images unusable, {limit}; repair or remove: {listed}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
