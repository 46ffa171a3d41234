"""Keep the shape choices (width, resolution) that suit the budget."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from edgenas.cost.base import many_metrics
from edgenas.cost.bounds import cheapest_and_largest
from edgenas.cost.counts import CountCost
from edgenas.exploration.feasible import repair
from edgenas.exploration.problem import Problem
from edgenas.latency.table import LatencyTable
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.spaces.sampling import sample
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Combination, Narrowing
from edgenas.workflows.task import Costs, Task, costs_by

SAMPLES = 400  # architectures that a combination of shape choices is judged by
REPAIRED = 4  # of them, where none is feasible: those that come closest
MAY_LACK = 0.05  # of its ops, for a combination to count as one that a device's table covers


def narrow(task: Task, table: LatencyTable, ctx: Context) -> Narrowing:
    """Keep the shape choices that hold the largest feasible architectures (TinyNAS, in MCUNet, arXiv:2007.10319).

    A combination's score is the 80 % quantile of MACs over its feasible samples, as a larger network under the same
    budget tends to be the better one. The kept options are the product set of at most `shape_choices` combinations
    with the highest sum of scores that contains the best one. What the space does not prefer is looked at if nothing
    else is feasible.
    """
    space = task.space
    costs = costs_by(task, table)
    # This machine's own table grows with the search; one of a device by name has to do as it is.
    named = [*task.tables.values(), *([] if task.device.table is None else [table])]
    scores: dict[Statics, float] = {}
    for part in (space.preferred, space):
        combinations = [statics for statics in _covered(part, named) if statics not in scores]
        scores |= {statics: _score(task, statics, costs, ctx) for statics in combinations}
        feasible = {statics: score for statics, score in scores.items() if score > 0}
        if feasible:
            break
    chosen = _best_product(feasible, task.config.shape_choices) if feasible else [min(scores)]
    allowed = {
        space.choices[i].name: tuple(sorted({statics[position] for statics in chosen}))
        for position, i in enumerate(space.static_indices)
    }
    rows = (Combination(space.static_values(statics), score, statics in chosen) for statics, score in scores.items())
    return Narrowing(allowed, tuple(rows))


def describe_narrowing(narrowing: Narrowing) -> list[str]:
    """Return the narrowing as lines for a person; none of a space without shape choices."""
    if not narrowing.combinations[0].values:
        return []
    lines = ["shape choices, by MACs of their large feasible architectures (* kept):"]
    for row in sorted(narrowing.combinations, key=lambda r: -r.large_feasible_macs):
        names = " ".join(f"{name} {value}" for name, value in row.values.items())
        macs = row.large_feasible_macs
        figure = f"{macs / 1e6:8.2f} M" if macs else "   none fits"
        lines.append(f"  {'*' if row.kept else ' '} {names:32s} {figure}")
    return lines


def _covered(space: SearchSpace, tables: Sequence[LatencyTable]) -> list[Statics]:
    """Combinations whose ops every table holds, nearly all of them; all combinations if there is none."""
    combinations = list(space.all_statics())
    lacking = []
    for statics in combinations:
        keys = {node.key for node in space.supergraph(statics).priced}
        lacking.append(max((len(keys - table.ops.keys()) / len(keys) for table in tables), default=0.0))
    return [c for c, share in zip(combinations, lacking, strict=True) if share <= MAY_LACK] or combinations


def _score(task: Task, statics: Statics, costs: Costs, ctx: Context) -> float:
    """80 % quantile of MACs over the feasible samples of one combination; 0 if none is feasible.

    Where several limits leave no sample, those that come closest are repaired.
    """
    space = task.space
    fixed = {space.choices[i].name: [o] for i, o in zip(space.static_indices, statics, strict=True)}
    part = space.restrict(fixed)
    rng = ctx.rng(f"narrow {statics}")  # by its own stream: no combination depends on how many come before
    # Both ends as well: under a tight budget the smallest may be the only one that fits.
    archs = [sample(part, rng) for _ in range(SAMPLES)] + list(cheapest_and_largest(part, CountCost("bytes")))
    every = (*costs, *task.costs)
    objective = task.objective
    macs = costs.macs.metric
    metrics = many_metrics([cost for cost in every if cost.metric in {*objective.budgets, macs}], part, archs)
    rows = [dict(zip(metrics, row, strict=True)) for row in zip(*metrics.values(), strict=True)]
    violations = np.array([objective.violation(row) for row in rows])
    within = metrics[macs][violations == 0]
    if not len(within) and len(task.limits) > 1:
        problem = Problem(part, every, objective)
        nearest = [archs[i] for i in np.argsort(violations, kind="stable")[:REPAIRED]]
        found = [arch for arch in (repair(problem, arch, rng) for arch in nearest) if arch is not None]
        within = costs.macs.many(part, found)
    return float(np.quantile(within, 0.8)) if len(within) else 0.0


def _best_product(scores: Mapping[Statics, float], most: int) -> list[Statics]:
    """The product set of at most `most` combinations, all scored, with the best one and the highest sum of scores."""
    best = max(scores, key=lambda statics: scores[statics])
    # A product and not any set: each choice is restricted by itself (`SearchSpace.restrict`), which allows every mix.
    axes = [sorted({statics[i] for statics in scores}) for i in range(len(best))]
    subsets = [
        [pick for r in range(1, len(axis) + 1) for pick in itertools.combinations(axis, r) if best[i] in pick]
        for i, axis in enumerate(axes)
    ]
    products = [list(itertools.product(*picks)) for picks in itertools.product(*subsets)]
    fitting = [p for p in products if len(p) <= most and all(statics in scores for statics in p)]
    return max(fitting, key=lambda p: sum(scores[statics] for statics in p))
