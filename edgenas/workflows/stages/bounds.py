"""Before anything is trained: the fastest and the slowest network of the space on the device."""

from __future__ import annotations

from edgenas.cost.bounds import cheapest_and_largest
from edgenas.cost.counts import CountCost
from edgenas.devices.this_host import cached_table
from edgenas.devices.timed_graphs import time_graphs
from edgenas.errors import BudgetError
from edgenas.latency.predictor import latency_interval
from edgenas.latency.table import LatencyTable
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Bounds
from edgenas.workflows.task import Task

BOUND_SECONDS = 2.0  # for both architectures: an impossible budget is refused within ten seconds


def measured_bounds(task: Task, ctx: Context) -> Bounds:
    """Time the architectures that move the fewest and the most bytes.

    On a machine that stays busy only the low end of what the fastest may take refuses a budget.

    Raises:
        BudgetError: the budget is below the space's fastest network, whose latency is named.
    """
    # By bytes, as there need not be a table of latencies yet.
    smallest, largest = cheapest_and_largest(task.space, CountCost("bytes"))
    device = task.device
    timings = time_graphs(
        {"smallest": task.space.graph(smallest), "largest": task.space.graph(largest)},
        device.runtime,
        device.threads,
        seconds=BOUND_SECONDS,
        rng=ctx.rng("bounds"),
        precision=device.precision,
        quiet_ms=cached_table(device.runtime, device.threads, device.precision).reference_ms,
        max_repeat_error=MAX_REPEAT_ERROR,
        tries=2,  # what is impossible is to be refused soon
        waiting=ctx.waiting,
        progress=ctx.progress,
    )
    low, high = timings["smallest"], timings["largest"]
    # Without the repeat error: what might just be possible is searched, and measured in the end.
    low_ms = low.ms if low.clean else low.ms * (1 - low.repeat_error)
    if low_ms > task.budget_ms:
        raise BudgetError(
            f"no {task.space.name} network runs in {task.budget_ms:g} ms here: the fastest takes {low.ms:.3f} ms "
            f"(repeat error {low.repeat_error:.1%}); ask for --budget-ms {1.1 * low.ms:.2g} or more"
        )
    codes = task.space.code(smallest), task.space.code(largest)
    return Bounds(
        codes[0],
        low.ms,
        codes[1],
        high.ms,
        smallest_low_ms=None if low.clean else low_ms,
        largest_low_ms=high.ms * (1 - min(1.0, high.repeat_error)),
        largest_high_ms=high.ms * (1 + high.repeat_error),
    )


def predicted_bounds(task: Task, table: LatencyTable) -> Bounds:
    """Predict the latencies of the architectures that move the fewest and the most bytes, where no device is at hand.

    Args:
        task: with the space and the budget.
        table: of the device.

    Raises:
        BudgetError: the upper end of what the smallest may take is above the budget: nothing could be promised.
    """
    smallest, largest = cheapest_and_largest(task.space, CountCost("bytes"))
    both = [smallest, largest]
    prediction, low, high = (
        cost.many(task.space, both).tolist() for cost in latency_interval(table, task.space, estimate_missing=True)
    )
    if high[0] > task.budget_ms:
        raise BudgetError(
            f"no {task.space.name} network is sure to run in {task.budget_ms:g} ms on {task.device.name}: the fastest "
            f"is predicted to take {prediction[0]:.3f} ms, up to {high[0]:.3f}; ask for --budget-ms {1.1 * high[0]:.2g}"
        )
    return Bounds(
        task.space.code(smallest),
        prediction[0],
        task.space.code(largest),
        prediction[1],
        smallest_high_ms=high[0],
        largest_low_ms=low[1],
        largest_high_ms=high[1],
    )


def check_bounds(task: Task, bounds: Bounds) -> None:
    """Check the budget against bounds that are known from before, as those of a run that is reused.

    Raises:
        BudgetError: the fastest network takes longer.
    """
    if bounds.least_ms > task.budget_ms:
        raise BudgetError(
            f"the fastest {task.space.name} network takes {bounds.smallest_ms:.3f} ms on {task.device.name}"
            f"{_up_to(bounds)}; ask for --budget-ms {1.1 * max(bounds.smallest_ms, bounds.least_ms):.2g} or more"
        )


def _up_to(bounds: Bounds) -> str:
    """The high end of what the fastest takes, where that decides."""
    return "" if bounds.smallest_high_ms is None else f", up to {bounds.smallest_high_ms:.3f}"
