"""Where a run happens: its folder, its progress, its randomness, and who may stop it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from edgenas.errors import Interrupted
from edgenas.runtimes.waiting import Waiting, no_waiting
from edgenas.system.progress import ProgressCallback, Reporter, SilentReporter
from edgenas.system.run_folder import RunFolder

if TYPE_CHECKING:
    from edgenas.training.context import TrainingContext


def never() -> bool:
    """Return False: run to the end."""
    return False


def waiting_for(minutes: float, reporter: Reporter) -> Waiting:
    """Return how long measurements wait for a busy machine: each so many minutes, with a line that says so."""
    return Waiting(60 * minutes, reporter.log)


class StageProgress:
    """Passes progress on to the stage that is under way; outside of a stage it is lost.

    Trainings are prepared before the stage in which they run, so they cannot hold the stage's own callback.
    """

    def __init__(self) -> None:
        """No stage is under way."""
        self.stage: ProgressCallback | None = None

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` is done."""
        if self.stage is not None:
            self.stage(done, total, text)


@dataclass(frozen=True)
class Context:
    """What every stage of a run gets beside the records that it works on.

    Args:
        folder: where artefacts and checkpoints are kept.
        seed: of everything random.
        reporter: who is told of stages and notices.
        stop: asked at every safe point.
        waiting: how long its measurements wait for a busy machine.
    """

    folder: RunFolder
    seed: int
    reporter: Reporter = field(default_factory=SilentReporter)
    stop: Callable[[], bool] = never
    progress: StageProgress = field(default_factory=StageProgress)
    waiting: Waiting = field(default_factory=no_waiting)

    def rng(self, name: str) -> Generator:
        """Return an independent stream of random numbers for each name."""
        # By a checksum, as Python's own `hash` of a text differs from process to process.
        return np.random.default_rng((self.seed, zlib.crc32(name.encode())))

    def training(self, name: str, identity: dict[str, Any]) -> TrainingContext:
        """Return where the training `name` is kept, bound to `identity`, with this run's progress and stop."""
        from edgenas.training.context import TrainingContext

        path = self.folder.path / f"{name}.pt"
        return TrainingContext(path, identity, self.progress, self.stop, self.reporter.log)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Report what happens inside under `title`, and count its time under `name`.

        Raises:
            Interrupted: the run is to stop; nothing of the stage was begun.
        """
        # Between stages all is on disk, so that this is always a safe point.
        if self.stop():
            raise Interrupted(f"stopped before: {title}")
        started = time.monotonic()
        try:
            with self.reporter.stage(title) as self.progress.stage:
                yield
        finally:
            self.progress.stage = None
            self.folder.add_seconds(name, time.monotonic() - started)  # also of a stage that was broken off
