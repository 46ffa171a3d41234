"""Candidates, measured on this machine before any of them is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgenas.devices.timed_graphs import time_graphs
from edgenas.exploration.objective import AGREEMENT, Metrics
from edgenas.graph.graph import Arch
from edgenas.runtimes import reference
from edgenas.runtimes.decide import keeps
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Candidate
from edgenas.workflows.task import Priced

SECONDS_EACH = 1.5  # of measuring, per candidate
RESERVE = 0.02  # of the budget: two measurements of one network differ by up to 3 %, and the last one decides


def measure_candidates(
    priced: Priced, scores: Mapping[Arch, Metrics], ctx: Context, stream: str
) -> dict[Arch, Candidate]:
    """Time architectures with random weights, in one interleaved run: latency does not depend on the weights.

    Where the device is not here, or there are none, nothing is measured.

    Args:
        priced: the task, with the device.
        scores: of each architecture, with `accuracy` in 0..1 if it is known.
        ctx: randomness and progress.
        stream: of random numbers, by name.
    """
    space, device = priced.space, priced.task.device
    predicted = priced.problem.preview(list(scores))
    metric = priced.costs.latency.metric
    rows = {}
    for (arch, own), metrics in zip(scores.items(), predicted, strict=True):
        known = own.get("accuracy"), metrics[metric]
        rows[arch] = Candidate(space.code(arch), *known, None, None, None, agreement=own.get(AGREEMENT))
    if not rows or not device.is_here:
        return rows
    graphs = {space.code(arch): space.graph(arch) for arch in rows}
    timings = time_graphs(
        graphs,
        device.runtime,
        device.threads,
        seconds=SECONDS_EACH * len(graphs),
        rng=ctx.rng(f"measure {stream}"),
        precision=device.precision,
        quiet_ms=priced.table.reference_ms,
        max_repeat_error=MAX_REPEAT_ERROR,
        waiting=ctx.waiting,
        progress=ctx.progress,
    )
    slowed = timings[reference.NAME].ms / priced.table.reference_ms
    for arch, row in rows.items():
        t = timings[row.arch]
        within = keeps(t.ms * (1 + RESERVE), t.repeat_error, priced.task.budget_ms, clean=t.clean, slowed=slowed)
        rows[arch] = replace(row, measured_ms=t.ms, repeat_error=t.repeat_error, met=within, clean=t.clean)
    return rows
