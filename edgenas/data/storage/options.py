"""What a run decides about photographs in files: how they are seen, augmented and cached, and who is told."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgenas.data.view import Fit


def _silent(*_: object) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class PhotoOptions:
    """What a source of files takes beside the settings that all data sets have. None means: decided from the pictures.

    Args:
        fit: how a picture becomes a square.
        flip: whether training mirrors pictures left to right.
        cache: folder in which decoded pictures are kept; None stands for the user's own cache.
        cache_size: short side of the decoded pictures, in pixels.
        progress: told how many pictures are decoded, of how many.
        log: told in sentences what should stay on the screen.
    """

    fit: Fit | None = None
    flip: bool | None = None
    cache: Path | None = None
    cache_size: int | None = None
    progress: Callable[[int, int], object] = _silent
    log: Callable[[str], object] = _silent


def user_cache() -> Path:
    """Return the user's folder for files that can be made again, or one for temporary files where there is none."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(named) if named else Path.home() / ".cache"
        base.mkdir(parents=True, exist_ok=True)
        usable = os.access(base, os.W_OK)
    except (OSError, RuntimeError):  # no home, or one that cannot be written
        usable = False
    return (base if usable else Path(tempfile.gettempdir())) / "edgenas"
