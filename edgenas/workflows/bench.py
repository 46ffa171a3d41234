"""`edgenas bench`: ONNX files timed here, several in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgenas.runtimes.bench import Bench, bench_in_fresh_process


def bench(
    models: Sequence[Path],
    *,
    threads: int = 1,
    runtime: str = "onnxruntime",
    seconds: float = 3.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Bench]:
    """Time ONNX files in a process of their own, in the same rounds, so that their ratios hold.

    Args:
        models: files that anybody made.
        threads: of the runtime.
        runtime: name of a runtime.
        seconds: of measuring, per file.
        progress: called with what is done, and of how much.

    Raises:
        DataError: a file is not a single-file ONNX model that the runtime can load and run.
        UnknownName: there is no such runtime.
        NoisyMachine: too few clean samples.
    """
    return bench_in_fresh_process(models, threads=threads, runtime=runtime, seconds=seconds, progress=progress)
