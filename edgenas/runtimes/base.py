"""The contract of a runtime plugin `edgenas/runtimes/<name>.py`: a module that opens sessions, which time themselves.

    name            how tables and the command line call it
    version()       what they record of it
    host(threads)   everything that decides a number here
    open(model, threads) -> Session

Standard library and numpy only, in Python 3.9's syntax: this file also runs on devices, without the rest of edgenas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Port:
    """One input or output of a model, in the shape that was run: dynamic dimensions are 1."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Ports:
    """All inputs and outputs of a model, in its own order."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class Round(float):
    """The median time of one run in ms over a round's clean samples (nan: none), its runs, and its clean share.

    `disturbed_ms` is the same over all samples, by the time that each had a core; nan where nobody can tell it.
    """

    runs: int
    clean_share: float
    disturbed_ms: float

    def __new__(
        cls, ms: float, runs: int = 1, clean_share: float | None = None, disturbed_ms: float | None = None
    ) -> Round:
        """Make a round; a plain number is one run, clean unless it is nan."""
        self = super().__new__(cls, ms)
        self.disturbed_ms = ms if disturbed_ms is None else disturbed_ms
        self.runs = runs
        self.clean_share = float(not math.isnan(ms)) if clean_share is None else clean_share
        return self


class Session(Protocol):
    """A model loaded by a runtime, ready to run, timed inside the runtime's own process or page."""

    def describe(self) -> Ports:
        """Return the model's inputs and outputs."""

    def run(self, x: Array | None = None) -> list[Array]:
        """Return all outputs for the first input `x`; None stands for the session's own fixed random input.

        Raises:
            DataError: the model fails to run on it.
        """

    def rounds(self, n: int, ms: float) -> Sequence[float]:
        """Time rounds; return the median time of one run in ms for each, nan if no sample was clean.

        Each may be a `Round`, which also says what it was made of; a plain number counts as one run.

        Args:
            n: how many rounds.
            ms: about how long each lasts.
        """

    def close(self) -> None:
        """Free the model; a second call does nothing."""


class Runtime(Protocol):
    """What `plugins.load("runtimes", name)` returns: a module with these names."""

    name: str

    def version(self) -> str:
        """Return the version that runs here, as tables record it."""

    def open(self, model: Path | bytes, threads: int = 1) -> Session:
        """Open an ONNX model.

        Args:
            model: a file, or its bytes.
            threads: the most that it may use.

        Raises:
            DataError: the runtime cannot load the model.
            UsageError: `threads` is below 1.
        """

    def host(self, threads: int = 1) -> Mapping[str, str | int | float]:
        """Return everything that decides a number here: machine, runtime, version, provider, optimisation, threads."""
