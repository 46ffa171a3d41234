"""What a runtime plugin offers: module-level functions, found by its file's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from edgenas.runtimes.timing import Session


class Runtime(Protocol):
    """The interface of every module `edgenas/runtimes/<name>.py`."""

    name: str

    def version(self) -> str:
        """The version that runs, as tables record it."""

    def open(self, model: Path | bytes, threads: int = 1) -> Session:
        """A session of an ONNX model on at most `threads` threads.

        Raises:
            DataError: the runtime cannot load the model.
            UsageError: `threads` is below 1.
        """

    def describe(self, model: Path | bytes) -> dict[str, list[dict[str, Any]]]:
        """`inputs` and `outputs`, each with `name`, `shape` as run (dynamic dimensions are 1) and `dtype`.

        Raises:
            DataError: the runtime cannot load the model.
        """

    def host(self, threads: int = 1) -> dict[str, str | int | float]:
        """Everything that decides a number here: machine, runtime, version, provider, optimisation level, threads."""
