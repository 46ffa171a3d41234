"""What test_workers.py runs in other processes: they start in a moment, since this needs no torch."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from edgenas.cost.memory import PeakBytes
from edgenas.errors import DataError
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Outcome, Problem
from edgenas.graph.graph import Arch
from tests._toys import Shared, all_archs

SPACE = Shared((1, 8, 8), 3)
ARCHS = all_archs(SPACE)
ROOMY = Objective({"peak_bytes": 1e9})


@dataclass(frozen=True)
class Diary:
    """An evaluator that notes each try in a folder; the first `deaths` tries of `deadly` kill their process."""

    folder: Path
    deadly: Arch | None = None
    deaths: int = 0

    def __call__(self, arch):
        (self.folder / f"{name(arch)} {time.time_ns()}").write_text(str(os.getpid()))
        if arch == self.deadly and self.tries(arch) <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02 * (5 - sum(arch)))  # the first ones take longest
        return {"accuracy": 0.1 + 0.1 * sum(arch)}

    def tries(self, arch):
        return len(list(self.folder.glob(f"{name(arch)} *")))

    def processes(self):
        return {file.read_text() for file in self.folder.iterdir()}

    def problem(self):
        return Problem(SPACE, (PeakBytes(),), ROOMY, self)


def name(arch):
    return "-".join(map(str, arch))


def refuses(arch):
    raise DataError("cat.jpg is gone")


def hangs(arch):
    time.sleep(60.0 if arch == ARCHS[0] else 0.0)
    return Outcome({"accuracy": 0.5}, 0.0)
