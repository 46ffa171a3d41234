"""Bounds, profile, narrowing: from a task to one that has prices."""

from __future__ import annotations

from functools import partial

from edgenas.errors import BudgetError
from edgenas.exploration.feasible import random_feasible
from edgenas.exploration.objective import in_words
from edgenas.latency.table import LatencyTable
from edgenas.workflows.context import Context
from edgenas.workflows.run_start import MINIMUM, SPREAD
from edgenas.workflows.stages.artefacts import AttainableMinimum, Bounds, Narrowing
from edgenas.workflows.stages.bounds import check_bounds, measured_bounds, predicted_bounds
from edgenas.workflows.stages.minimum import attainable_minimum
from edgenas.workflows.stages.narrow import describe_narrowing, narrow
from edgenas.workflows.stages.profile import affordable, known_table, load_or, profile_rest, profile_spread
from edgenas.workflows.task import Priced, Task, narrowed, price


def profile(task: Task, ctx: Context) -> Priced:
    """Find out what the device can do, measure its ops, keep the shape choices that suit the budget.

    Raises:
        BudgetError: no network of the space, or none that inherited weights were trained on, is within the budget.
    """
    try:
        return _profile(task, ctx)
    except BudgetError as error:
        if task.inherited is None:
            raise
        note = task.inherited.note
        raise BudgetError(f"{error}. {note[0].upper()}{note[1:]}") from error


def _profile(task: Task, ctx: Context) -> Priced:
    folder, device = ctx.folder, task.device
    known = known_table(task, ctx)
    with ctx.stage("bounds", "fastest and slowest network"):
        # Takes no measurement, so an impossible limit is refused before anything is timed.
        folder.artefact(MINIMUM, AttainableMinimum, partial(attainable_minimum, task, ctx))
        if known is None or device.is_here:
            bounds = folder.artefact("bounds", Bounds, partial(measured_bounds, task, ctx))
        else:
            bounds = folder.artefact("bounds", Bounds, partial(predicted_bounds, task, known))
    check_bounds(task, bounds)  # those of a run that is reused were not held against this budget

    # Only called where it is needed: a resumed run has its narrowing already, and measures nothing for it.
    def spread() -> LatencyTable:
        return known or load_or(device, ctx, SPREAD, lambda: profile_spread(task, ctx))

    with ctx.stage("profile", f"latencies of {device.name}" if known else "profile this device"):
        narrowing = folder.artefact("narrow", Narrowing, lambda: narrow(task, affordable(task, spread()), ctx))
        task = narrowed(task, narrowing.allowed)
        binds = bounds.most_ms > task.budget_ms
        table = known or load_or(device, ctx, "table", lambda: profile_rest(task, spread(), ctx, binds=binds))
        priced = price(task, affordable(task, table))
        check_together(priced, ctx)
    for line in describe_narrowing(narrowing):
        ctx.reporter.log(line)
    return priced


def check_together(priced: Priced, ctx: Context) -> None:
    """Check that some architecture meets all limits at once.

    Raises:
        BudgetError: none is found; all limits are named.
    """
    limits = priced.task.limits
    if len(limits) > 1 and random_feasible(priced.problem, ctx.rng("together")) is None:
        again = ", or leave --reuse out" if priced.config.reuse else ""
        raise BudgetError(
            f"no {priced.space.name} network was found within {in_words(limits)} together, though each of them can be "
            f"met; raise one of them{again}"
        )
