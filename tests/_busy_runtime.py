"""A runtime whose times are made up, on a machine that is as busy as `EDGENAS_BUSY` says.

A model takes a time by its size. `always`: no sample is clean; `never`: all are. Worker processes read it too.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from edgenas.runtimes import onnxruntime
from edgenas.runtimes.base import Round

name = "tests._busy_runtime"
BUSY, RUNS = "EDGENAS_BUSY", 10


def version() -> str:
    return "1"


def host(threads: int = 1) -> dict:
    return {**onnxruntime.host(threads), "runtime": name, "version": version()}


class MadeUp(onnxruntime.OnnxruntimeSession):
    def __init__(self, model, threads=1):
        super().__init__(model, threads)
        size = len(model) if isinstance(model, bytes) else Path(model).stat().st_size
        self.ms, self.taken = 0.001 + size / 1e6, 0

    def rounds(self, n, ms):
        return [self._round() for _ in range(n)]

    def _round(self):
        self.taken += 1
        disturbed_ms = self.ms * (1 + 0.25 * (7 * self.taken % 10) / 9)  # up to a quarter slower
        if os.environ.get(BUSY) == "always":
            return Round(math.nan, RUNS, 0.0, disturbed_ms)
        return Round(self.ms, RUNS, 1.0)


def open(model, threads=1):
    return MadeUp(model, threads)
