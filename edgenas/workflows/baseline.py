"""`edgenas baseline`: what each trained network takes at each resolution, before any search, and which fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.devices.this_host import cached_table
from edgenas.devices.timed_graphs import time_graphs
from edgenas.errors import UsageError
from edgenas.runtimes import reference
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.runtimes.waiting import Waiting
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import waiting_for
from edgenas.workflows.stages.artefacts import Figure
from edgenas.workflows.whole_networks import Baseline, WholeNetwork, by_table, whole_networks

SECONDS_EACH = 1.0  # of timing one network
TRIES = 2  # runs of it, where figures repeat badly: the table is a first answer, and to be there soon
# A prediction from two other sizes is taken to lie within these factors; what the budget lies between is measured.
BELOW, ABOVE = 0.7, 1.4


def baseline(config: Config, reporter: Reporter) -> list[Baseline]:
    """Return the trained networks at each resolution: priced, and measured where that decides.

    Args:
        config: names the budget, and the network, else all that are known are looked at; and the device.
        reporter: who is told of stages.

    Raises:
        UsageError: there is no budget, or no network.
    """
    if config.budget_ms is None:
        raise UsageError("--budget-ms: say how many milliseconds the model may take, for example --budget-ms 20")
    rows = list(whole_networks(config))
    if not rows:
        raise UsageError("there is no trained network here; pip install 'edgenas[lite]', or allow --download")
    if config.device is not None:
        return by_table(config, rows)
    budget_ms, waiting = config.budget_ms, waiting_for(config.wait_minutes, reporter)
    ends = {name: (group[len(group) // 2], group[-1]) for name, group in _by_network(rows).items()}
    once = list({row.name: row for pair in ends.values() for row in pair}.values())
    figures = _timed(config, once, reporter, waiting, "time each network at two sizes")
    prices = {row.name: _price(row, *ends[row.network], figures) for row in rows}
    predicted = {row.name: _predicted(row, prices[row.name], budget_ms) for row in rows}
    near = [row for row in rows if predicted[row.name].fits is None and row.name not in figures]
    if near:
        figures |= _timed(config, near, reporter, waiting, "time what is near the budget")
    return [
        row.measured(prices[row.name], figures[row.name], budget_ms) if row.name in figures else predicted[row.name]
        for row in rows
    ]


def _predicted(row: WholeNetwork, ms: float, budget_ms: float) -> Baseline:
    return row.predicted(ms, ms / ABOVE, ms / BELOW, budget_ms)


def _by_network(rows: Sequence[WholeNetwork]) -> dict[str, list[WholeNetwork]]:
    """The resolutions of each network, largest first."""
    groups: dict[str, list[WholeNetwork]] = {}
    for row in rows:
        groups.setdefault(row.network, []).append(row)
    return groups


def _price(row: WholeNetwork, middle: WholeNetwork, least: WholeNetwork, figures: Mapping[str, Figure]) -> float:
    """The ms of a network at one resolution, on the line through two others, by MACs.

    What a call costs beside its MACs is a third of the smallest: in proportion to MACs alone it would be far too cheap.
    """
    high, low = figures[middle.name].ms, figures[least.name].ms
    assert high is not None and low is not None
    if middle.macs == least.macs:
        return high * row.macs / middle.macs
    rate = max(0.0, high - low) / (middle.macs - least.macs)
    return low + rate * (row.macs - least.macs)


def _timed(
    config: Config, rows: Sequence[WholeNetwork], reporter: Reporter, waiting: Waiting, title: str
) -> dict[str, Figure]:
    precision = config.precision or "fp32"
    quiet_ms = cached_table(config.runtime, config.threads, precision).reference_ms
    with reporter.stage(title) as progress:
        timings = time_graphs(
            {row.name: row.space.graph(row.arch) for row in rows},
            config.runtime,
            config.threads,
            seconds=SECONDS_EACH * len(rows),
            rng=np.random.default_rng(config.seed),
            precision=precision,
            quiet_ms=quiet_ms,
            max_repeat_error=MAX_REPEAT_ERROR,
            tries=TRIES,
            waiting=waiting,
            progress=progress,
        )
    slowed = max(1.0, timings[reference.NAME].ms / quiet_ms)
    return {
        name: Figure(t.ms, t.p90_ms, t.repeat_error, config.threads, t.clean, slowed)
        for name, t in timings.items()
        if name != reference.NAME
    }
