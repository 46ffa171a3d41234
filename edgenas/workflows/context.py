"""Where a run happens: its folder, its progress, its randomness, and who may stop it."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator

from edgenas.errors import Interrupted
from edgenas.runtimes.host import usable_cores
from edgenas.runtimes.waiting import Waiting, no_waiting
from edgenas.system import distributed
from edgenas.system.progress import ProgressCallback, Reporter, SilentReporter
from edgenas.system.run_folder import RunFolder
from edgenas.system.text import duration

if TYPE_CHECKING:
    from edgenas.training.context import TrainingContext
    from edgenas.training.settings import Settings

ENDING = 0.05  # of a run's minutes: for exports, tests and the bundle


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
        minutes: that all of the run may take, over all the times that it is resumed; infinite without a bound.
    """

    folder: RunFolder
    seed: int
    reporter: Reporter = field(default_factory=SilentReporter)
    stop: Callable[[], bool] = never
    progress: StageProgress = field(default_factory=StageProgress)
    waiting: Waiting = field(default_factory=no_waiting)
    minutes: float = math.inf

    def left_s(self, without: str = "") -> float:
        """Return the seconds that are left for trainings and search; what follows them has its own share.

        Args:
            without: a stage whose time does not count: the one that asks, for a resumed one to get the same answer.
        """
        used = sum(seconds for stage, seconds in self.folder.seconds.items() if stage != without)
        return max(0.0, (1 - ENDING) * 60 * self.minutes - used)

    def planned(
        self, name: str, settings: Settings, images: int, step_seconds: Callable[[], float], share: float = 1.0
    ) -> Settings:
        """Return settings with the epochs that there is time for, and say how long the training will take.

        Threads are chosen here, too. A resumed training keeps the epochs and the threads that it began with.

        Args:
            name: of the training.
            settings: with the epochs that it has where time is not short.
            images: of the training set.
            step_seconds: measures what a step takes.
            share: of the time that is left.
        """
        import torch  # it takes a second

        from edgenas.training.plan import Plan, choose_threads, plan

        if not settings.epochs:
            return settings

        def make() -> Plan:
            threads, seconds = choose_threads(step_seconds) if distributed.world() == 1 else (None, step_seconds())
            found = plan(settings, images, distributed.broadcast(seconds), share * self.left_s())
            return replace(found, threads=threads)

        found = self.folder.artefact(f"{name}-plan", Plan, make)
        if found.threads is not None:
            torch.set_num_threads(found.threads)
            if found.threads < usable_cores():
                self.reporter.log(f"{name}: on {found.threads} of {usable_cores()} cores, as others are busy")
        fewer = f", not {settings.epochs}: there is no time for more" if found.epochs < settings.epochs else ""
        epochs = f"{found.epochs} epoch" + "s" * (found.epochs > 1)
        self.reporter.log(f"{name}: {epochs} over {images:,} images{fewer}, about {duration(found.seconds)}")
        return replace(settings, epochs=found.epochs)

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
