"""What a training may touch besides its module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgenas.system.records import Json

# The most that a process that trains on a CPU holds in all, unless told otherwise: a machine with 8 GB can give it.
CEILING_BYTES = 6_000_000_000


@dataclass(frozen=True)
class TrainingContext:
    """Where a training is kept, who is told of its progress, and who may stop it.

    Args:
        checkpoint: the file that holds its state; None keeps nothing.
        identity: what must be the same for the checkpoint to be taken up again.
        progress: called with the steps that are done, all steps, and a few words.
        stop: whether to stop at the next safe point.
        log: called with a line that should stay.
        ceiling_bytes: the most memory that the process may hold, if it trains on a CPU.
    """

    checkpoint: Path | None = None
    identity: Json = field(default_factory=dict)
    progress: Callable[[int, int, str], None] = lambda done, total, text: None
    stop: Callable[[], bool] = lambda: False
    log: Callable[[str], None] = lambda text: None
    ceiling_bytes: int = CEILING_BYTES

    @property
    def name(self) -> str:
        """The name of the training: that of its checkpoint's file."""
        return self.checkpoint.stem if self.checkpoint else "training"
