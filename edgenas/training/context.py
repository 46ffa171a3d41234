"""What a training may touch besides its module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrainingContext:
    """Where a training is kept, who is told of its progress, and who may stop it.

    Args:
        checkpoint: the file that holds its state; None keeps nothing.
        identity: what must be the same for the checkpoint to be taken up again.
        progress: called with the steps that are done, all steps, and a few words.
        stop: whether to stop at the next safe point.
    """

    checkpoint: Path | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[int, int, str], None] = lambda done, total, text: None
    stop: Callable[[], bool] = lambda: False
