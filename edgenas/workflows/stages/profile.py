"""Before anything is trained: what the device can do, a table of its ops, static choices that suit the budget."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgenas.cost.base import AdditiveCost, CostModel, many_metrics
from edgenas.cost.bounds import extreme, extremes
from edgenas.cost.counts import CountCost, moved_bytes
from edgenas.devices.this_host import SECONDS_EACH, cached_table, cached_table_path, extend_table, time_graphs
from edgenas.errors import BudgetError, EnvironmentFault
from edgenas.exploration.feasible import random_feasible, repair, uniform
from edgenas.exploration.objective import in_words
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch, Graph, Node
from edgenas.latency.missing_ops import op_kind
from edgenas.latency.predictor import latency_interval
from edgenas.latency.registry import device_table
from edgenas.latency.table import LatencyTable, read_table, write_table
from edgenas.runtimes.timing import MAX_REPEAT_ERROR
from edgenas.spaces.base import SearchSpace, Statics
from edgenas.spaces.sampling import sample
from edgenas.system import distributed, text
from edgenas.workflows.run import Costs, Run

SPREAD_OPS, SPREAD_NETS, SPREAD_SECONDS = 60, 12, 12.0
MOST_OPS = 200
NETS = 30  # whole networks behind a host's correction
SAMPLES = 400  # architectures a combination of statics is judged by
REPAIRED = 4
BOUND_SECONDS = 2.0
MAY_LACK = 0.05  # of its ops, for a combination of statics to count as one that a device's table covers
EPSILON = 1e-12  # of a byte
PATIENCE = 3  # a budget that binds is only used up where the interval is narrow


def bounds(run: Run) -> dict[str, Any]:
    """Time the smallest and the largest architecture.

    Raises:
        BudgetError: the budget is below the space's fastest network, whose latency is named.
    """
    smallest, largest = extremes(run.space, CountCost("bytes"))
    graphs = {"smallest": run.space.graph(smallest), "largest": run.space.graph(largest)}
    timings = time_graphs(
        graphs,
        run.config.runtime,
        run.config.threads,
        seconds=BOUND_SECONDS,
        rng=run.rng("bounds"),
        precision=run.precision,
        quiet_ms=_cached(run).reference_ms,
        max_repeat_error=MAX_REPEAT_ERROR,
        tries=2,  # what is impossible is to be refused soon
        progress=run.tell,
    )
    low, high = timings["smallest"], timings["largest"]
    budget_ms = run.config.budget_ms
    if budget_ms is not None and low.ms > budget_ms:
        raise BudgetError(
            f"no {run.space.name} network runs in {budget_ms:g} ms here: the fastest takes {low.ms:.3f} ms "
            f"(repeat error {low.repeat_error:.1%}); ask for --budget-ms {1.1 * low.ms:.2g} or more"
        )
    return {
        "smallest": run.space.code(smallest),
        "smallest_ms": low.ms,
        "largest": run.space.code(largest),
        "largest_ms": high.ms,
    }


def predicted_bounds(run: Run, table: LatencyTable) -> dict[str, Any]:
    """The smallest and the largest architecture on a device that is not at hand.

    Raises:
        BudgetError: the upper end of what the smallest may take is above the budget: nothing could be promised.
    """
    smallest, largest = extremes(run.space, CountCost("bytes"))
    latency, _, high = latency_interval(table, run.space, estimate_missing=True)
    low_ms, high_ms = latency.many(run.space, [smallest, largest]).tolist()
    safe_ms = float(high.many(run.space, [smallest])[0])
    if run.config.budget_ms is not None and safe_ms > run.config.budget_ms:
        raise BudgetError(
            f"no {run.space.name} network is sure to run in {run.config.budget_ms:g} ms on {run.device}: the fastest "
            f"is predicted to take {low_ms:.3f} ms, up to {safe_ms:.3f}; ask for --budget-ms {1.1 * safe_ms:.2g}"
        )
    return {
        "smallest": run.space.code(smallest),
        "smallest_ms": low_ms,
        "largest": run.space.code(largest),
        "largest_ms": high_ms,
    }


class _Unequal(CostModel):
    """Another cost, but of equals the one that moves fewer bytes is less: where two blocks share a peak, neither lowers
    it alone.
    """

    def __init__(self, cost: CostModel) -> None:
        self.metric, self.cost = cost.metric, cost
        self._bytes = CountCost("bytes")

    def __call__(self, graph: Graph) -> float:
        return self.cost(graph) + EPSILON * self._bytes(graph)

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        total: np.ndarray = self.cost.many(space, archs) + EPSILON * self._bytes.many(space, archs)
        return total


def least(space: SearchSpace, cost: CostModel, rng: np.random.Generator) -> float:
    """The least that any architecture costs, see `extreme`; of what is no sum of blocks, the least of samples too."""
    if isinstance(cost, AdditiveCost):
        return float(cost.many(space, [extreme(space, cost)])[0])
    return float(cost.many(space, [extreme(space, _Unequal(cost)), *uniform(space, rng, SAMPLES)]).min())


def reach(run: Run) -> dict[str, Any]:
    """The least that the space has of each metric that is limited beside the latency.

    Raises:
        BudgetError: a limit is below that, which is named.
    """
    costs: list[CostModel] = [CountCost("params"), run.peak, *run.further_costs]
    known = {cost.metric: cost for cost in costs}
    found = {}
    for limit in run.limits[1:]:
        found[limit.metric] = least(run.space, known[limit.metric], run.rng("least"))
        if found[limit.metric] > limit.bound:
            raise BudgetError(
                f"no {run.space.name} network keeps to {limit}: the least is "
                f"{text.figure(limit.metric, found[limit.metric])}; ask for {limit.asked(found[limit.metric])} or more"
            )
    return found


def check_together(run: Run) -> None:
    """Raises BudgetError, naming all limits, if no architecture is found that meets them at once."""
    if len(run.limits) > 1 and random_feasible(run.problem, run.rng("together")) is None:
        again = ", or leave --reuse out" if run.config.reuse else ""
        raise BudgetError(
            f"no {run.space.name} network was found within {in_words(run.limits)} together, though each of them can be "
            f"met; raise one of them{again}"
        )


def known_table(run: Run) -> LatencyTable | None:
    """The table of the device that was asked for, as it was when the run began; or that which the run has already.

    None if this machine is yet to be profiled.
    """
    config, device = run.config, run.config.device
    if device is not None:
        return load_or(run, "table", lambda: device_table(device, runtime=config.runtime, threads=config.threads))
    return read_for(run, "table") if (run.folder.path / "table.csv").exists() else None


def _cached(run: Run) -> LatencyTable:
    """What is known of this machine from earlier runs."""
    return cached_table(run.config.runtime, run.config.threads, run.precision)


def profile_spread(run: Run) -> LatencyTable:
    """A table good enough to compare static choices: at least a spread of ops over the whole space."""
    table = _cached(run)
    nodes = distinct_nodes(run.space)
    known = [node for node in nodes if node.key in table.ops]
    if len(known) >= min(SPREAD_OPS, len(nodes)):
        return table
    rng = run.rng("spread")
    spread = _spread([node for node in nodes if node.key not in table.ops], SPREAD_OPS - len(known))
    return _stored(run, extend_table(table, spread, [], seconds=SPREAD_SECONDS, rng=rng, progress=run.tell))


def narrow(run: Run, table: LatencyTable) -> dict[str, Any]:
    """Keep the static options that hold the largest feasible architectures (TinyNAS, in MCUNet, arXiv:2007.10319).

    A combination's score is the 80 % quantile of multiply-adds over its feasible samples, as a larger network under the
    same budget tends to be the better one. The kept options are the product set of at most `statics` combinations with
    the highest sum of scores that contains the best one.
    """
    space = run.space
    costs = run.costs_by(table)
    named = [*run.tables_elsewhere.values(), *([] if run.config.device is None else [table])]
    combinations = _covered(space, named)
    scores = {statics: _score(run, space, statics, costs) for statics in combinations}
    feasible = {statics: score for statics, score in scores.items() if score > 0}
    chosen = _best_product(feasible, run.config.statics) if feasible else [min(scores)]
    kept: dict[str, list[int]] = {}
    for position, i in enumerate(space.static_indices):
        kept[space.choices[i].name] = sorted({statics[position] for statics in chosen})
    rows = [
        {**space.static_values(statics), "large_feasible_macs": score, "kept": statics in chosen}
        for statics, score in scores.items()
    ]
    return {"allowed": kept, "combinations": rows}


def _covered(space: SearchSpace, tables: Sequence[LatencyTable]) -> list[Statics]:
    """Combinations whose ops every table holds, nearly all of them; all combinations if there is none."""
    combinations = list(space.all_statics())
    lacking = []
    for statics in combinations:
        keys = {node.key for node in space.supergraph(statics).priced}
        lacking.append(max((len(keys - table.ops.keys()) / len(keys) for table in tables), default=0.0))
    return [c for c, share in zip(combinations, lacking, strict=True) if share <= MAY_LACK] or combinations


def describe_narrowing(value: Mapping[str, Any]) -> list[str]:
    """The narrowing as lines for a person; none of a space without static choices."""
    if not set(value["combinations"][0]) - {"large_feasible_macs", "kept"}:
        return []
    lines = ["static choices, by multiply-adds of their large feasible architectures (* kept):"]
    for row in sorted(value["combinations"], key=lambda r: -r["large_feasible_macs"]):
        names = " ".join(f"{k} {v}" for k, v in row.items() if k not in ("large_feasible_macs", "kept"))
        macs = row["large_feasible_macs"]
        figure = f"{macs / 1e6:8.2f} M" if macs else "   none fits"
        lines.append(f"  {'*' if row['kept'] else ' '} {names:32s} {figure}")
    return lines


def profile_rest(run: Run, table: LatencyTable) -> LatencyTable:
    """Measure what the narrowed space still lacks: ops, and whole networks for the correction, in the same rounds."""
    nodes = [node for node in distinct_nodes(run.space) if node.key not in table.ops]
    nodes = _spread(nodes, MOST_OPS)
    measured = _networks_of(run.space, table)
    if not nodes and len(measured) >= NETS:
        return table
    rng = run.rng("networks")
    nets = [(run.space, arch) for arch in _training_networks(run, table, rng)]
    seconds = SECONDS_EACH * (len(nodes) + len(nets))
    patience = PATIENCE if run.binds else 1
    table = extend_table(table, nodes, nets, seconds=seconds, rng=rng, patience=patience, progress=run.tell)
    return _stored(run, table)


def _stored(run: Run, table: LatencyTable) -> LatencyTable:
    """The table, kept in this machine's cache for the next run."""
    try:
        write_table(cached_table_path(run.config.runtime, run.config.threads, run.precision), table)
    except EnvironmentFault as error:
        run.reporter.say(f"the latency table is not cached: {error}")
    return table


def load_or(run: Run, name: str, make: Callable[[], LatencyTable]) -> LatencyTable:
    """The table `<name>.csv` of the run folder, made if it is not there. Raises TableError, as `read_for`."""
    path = run.folder.path / f"{name}.csv"
    distributed.first(lambda: None if path.exists() else write_table(path, make()))
    return read_for(run, name)


def read_for(run: Run, name: str) -> LatencyTable:
    """The table `<name>.csv` of the run folder.

    Raises:
        TableError: it is of another device, runtime or precision than the run.
    """
    table = read_table(run.folder.path / f"{name}.csv")
    table.check_matches(device=run.device, runtime=run.config.runtime, precision=run.precision)
    if run.config.device is not None:  # here, more threads than cores are capped
        table.check_matches(threads=run.config.threads)
    return table


def distinct_nodes(space: SearchSpace) -> list[Node]:
    """One node per op key over all allowed statics."""
    return list({n.key: n for statics in space.all_statics() for n in space.supergraph(statics).priced}.values())


def _spread(nodes: Sequence[Node], most: int) -> list[Node]:
    """At most so many nodes, evenly over kinds and, within a kind, over the bytes they move."""
    if len(nodes) <= most:
        return list(nodes)
    ordered = sorted(nodes, key=lambda node: (op_kind(node.key), moved_bytes(node), node.key))
    picks = np.unique(np.linspace(0, len(ordered) - 1, max(most, 1)).round().astype(int))
    return [ordered[i] for i in picks]


def _score(run: Run, space: SearchSpace, statics: Statics, costs: Costs) -> float:
    """80 % quantile of multiply-adds over the feasible samples of one combination; 0 if none is feasible.

    Where several limits leave no sample, those that come closest are repaired.
    """
    fixed = {space.choices[i].name: [o] for i, o in zip(space.static_indices, statics, strict=True)}
    part = space.restrict(fixed)
    rng = run.rng(f"narrow {statics}")
    archs = [sample(part, rng) for _ in range(SAMPLES)] + list(extremes(part, CountCost("bytes")))
    every = (*costs, *run.further_costs)
    objective = run.objective()
    macs = costs.macs.metric
    metrics = many_metrics([cost for cost in every if cost.metric in {*objective.budgets, macs}], part, archs)
    rows = [dict(zip(metrics, row, strict=True)) for row in zip(*metrics.values(), strict=True)]
    excess = np.array([objective.excess(row) for row in rows])
    within = metrics[macs][excess == 0]
    if not len(within) and len(run.limits) > 1:
        problem = Problem(part, every, objective, run.evaluate)
        nearest = [archs[i] for i in np.argsort(excess, kind="stable")[:REPAIRED]]
        found = [arch for arch in (repair(problem, arch, rng) for arch in nearest) if arch is not None]
        within = costs.macs.many(part, found)
    return float(np.quantile(within, 0.8)) if len(within) else 0.0


def _best_product(scores: Mapping[Statics, float], most: int) -> list[Statics]:
    """The product set of at most `most` combinations, all scored, with the best one and the highest sum of scores."""
    best = max(scores, key=lambda statics: scores[statics])
    axes = [sorted({statics[i] for statics in scores}) for i in range(len(best))]
    subsets = [
        [pick for r in range(1, len(axis) + 1) for pick in itertools.combinations(axis, r) if best[i] in pick]
        for i, axis in enumerate(axes)
    ]
    products = [list(itertools.product(*picks)) for picks in itertools.product(*subsets)]
    fitting = [p for p in products if len(p) <= most and all(statics in scores for statics in p)]
    return max(fitting, key=lambda p: sum(scores[statics] for statics in p))


def _networks_of(space: SearchSpace, table: LatencyTable) -> list[Arch]:
    """The table's whole networks that belong to this (narrowed) space."""
    archs = [space.parse(net.code) for net in table.nets if net.spec == space.spec]
    allowed = set(space.all_statics())
    return [arch for arch in archs if space.statics(arch) in allowed]


def _training_networks(run: Run, table: LatencyTable, rng: np.random.Generator) -> list[Arch]:
    """Random networks of the narrowed space, two thirds of them near or within the budget, and both extremes."""
    smallest, largest = extremes(run.space, CountCost("bytes"))
    drawn = [sample(run.space, rng) for _ in range(600)]
    latency = run.costs_by(table).latency.many(run.space, drawn)
    assert run.config.budget_ms is not None
    near = [arch for arch, ms in zip(drawn, latency, strict=True) if ms <= 1.3 * run.config.budget_ms]
    chosen = {smallest: None, largest: None} | dict.fromkeys(near[: 2 * NETS // 3])
    for arch in drawn:
        if len(chosen) >= NETS:
            break
        chosen[arch] = None
    return list(chosen)
