"""Measured files against the budget."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.devices.timed_files import time_files
from edgenas.exporters.metadata import Precision
from edgenas.workflows.context import Context
from edgenas.workflows.limits import MB
from edgenas.workflows.stages.artefacts import Exported, Figure, Measurement, Verdict
from edgenas.workflows.stages.files import finalist_path
from edgenas.workflows.task import Priced, Task

INT8_MAY_LOSE = 0.005  # of validation accuracy, to be the default model
BENCH_SECONDS = 3.0  # per file
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


def measure(priced: Priced, number: int, ctx: Context) -> Measurement:
    """Time a finalist's files, by precision, in a fresh process on this machine."""
    folder = ctx.folder.path
    paths = {p: path for p in PRECISIONS if (path := finalist_path(folder, number, p)).exists()}
    device, quiet_ms = priced.task.device, priced.table.reference_ms
    timings = time_files(
        list(paths.values()),
        threads=device.threads,
        runtime=device.runtime,
        seconds=BENCH_SECONDS,
        quiet_ms=quiet_ms,
        waiting=ctx.waiting,
        progress=ctx.progress,
    )
    figures = (
        Figure(t.ms, t.p90_ms, t.repeat_error, t.threads, t.clean, max(1.0, t.reference_ms / quiet_ms)) for t in timings
    )
    return Measurement(dict(zip(paths, figures, strict=True)))


def verdict(task: Task, exported: Exported, measured: Mapping[str, Figure]) -> Verdict:
    """Decide whether a finalist meets the budget, in the precision that this is for, and which file is the default.

    Args:
        measured: latencies by precision; empty where nothing was measured yet.
    """
    precision, files = task.device.precision, exported.files
    figures = {name: measured.get(name, Figure()) for name in files}
    most_bytes = np.inf if task.config.max_file_mb is None else MB * task.config.max_file_mb
    is_met: bool | None = False  # of a precision that could not be exported
    too_large = None
    if precision in figures:
        is_met = figures[precision].keeps(task.budget_ms)
        if files[precision].file_bytes > most_bytes:
            is_met, too_large = False, files[precision].file_bytes
    default, reason = precision, exported.reason
    if precision == "int8":
        reason = exported.reason or "the budget is for int8"
    elif "int8" in figures and "int8" in measured:
        default, reason = _better(task, exported, figures, most_bytes)
    elif "int8" in figures:
        reason = "it is what the budget is for; how fast int8 is there was not measured"
    return Verdict(is_met, default, reason, figures, too_large)


def _better(task: Task, exported: Exported, figures: Mapping[str, Figure], most_bytes: float) -> tuple[Precision, str]:
    """The file to use of two that were measured, and why."""
    fp32, int8 = figures["fp32"], figures["int8"]
    assert fp32.ms is not None and int8.ms is not None and int8.repeat_error is not None
    files = exported.files
    lost = files["fp32"].validation_accuracy - files["int8"].validation_accuracy
    # With its repeat error against fp32 without: a file that is less accurate must be faster beyond doubt.
    faster = int8.ms * (1 + int8.repeat_error) < fp32.ms
    fits = files["int8"].file_bytes <= most_bytes
    is_better = faster and lost <= INT8_MAY_LOSE and int8.keeps(task.budget_ms) and fits
    reason = (
        f"int8 is {fp32.ms / int8.ms:.2f} times as fast as fp32 and its validation accuracy {-100 * lost:+.2f} points"
    )
    return "int8" if is_better else "fp32", reason
