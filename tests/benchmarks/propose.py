"""What a proposal costs: ask and tell of every strategy on mbconv, the last 50 of 200 trials.

    python -m tests.benchmarks.propose [STRATEGY ...] [--rounds N] [--dry]

A search of 1x28x28 images narrowed to two combinations of static choices: all costs of a run on a synthetic latency
table, a gate that a third of the samples meet, an analytic accuracy, batches of 8. Processor time, so that neighbours
on the machine do not count; each search twice, and the repeat error is that of the second round of searches.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgenas.cost.counts import CountCost, Counts
from edgenas.cost.memory import PeakBytes
from edgenas.exploration.driver import run_search
from edgenas.exploration.feasible import uniform
from edgenas.exploration.objective import Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from edgenas.latency.predictor import latency_interval
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.system import plugins
from tests.benchmarks._common import record
from tests.benchmarks._tabular import by_scores
from tests.latency.tables import net_rows, table_of
from tests.strategies._synthetic import Accuracy, built, forget, load_json

SHAPE, CLASSES, NARROWED = (1, 28, 28), 10, {"width": [1, 2], "resolution": [2]}
NETS, NOISE, SAMPLES, FEASIBLE = 30, 0.03, 3000, 1 / 3
TRIALS, LAST, BATCH = 200, 50, 8
BAR_MS, UNBOUND = 20.0, ("predictor", "milp")


class Timed(Strategy):
    """A strategy with the milliseconds of processor time of each round, and how many it proposed."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy, self.problem = strategy, strategy.problem
        self.rounds: list[tuple[float, int]] = []

    def ask(self, n: int = 1) -> list[Arch]:
        self.ms, archs = _timed(lambda: self.strategy.ask(n))
        return archs

    def tell(self, trials: Sequence[Trial]) -> None:
        ms, _ = _timed(lambda: self.strategy.tell(trials))
        self.rounds.append((self.ms + ms, len(trials)))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise NotImplementedError

    def last(self, proposals: int) -> float:
        """ms a proposal over the last rounds that hold so many."""
        ms = proposed = 0.0
        for round_ms, n in reversed(self.rounds):
            if proposed < proposals:
                ms, proposed = ms + round_ms, proposed + n
        return ms / proposed


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.process_time()
    result = work()
    return 1000 * (time.process_time() - started), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", help="(default: all)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="searches, each twice (default: 5)")
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    names = arguments.strategies or by_scores()
    problem, share = _problem()
    ms: dict[str, list[list[float]]] = {name: [] for name in names}
    for seed in range(arguments.rounds):
        for name in names:
            ms[name].append([_searched(name, problem, seed) for _ in range(2)])
    (budget_ms,) = problem.objective.budgets.values()
    lines = [
        f"{problem.space.spec}, {NARROWED}, a budget of {budget_ms:.3f} ms that {share:.0%} of samples meet; "
        f"the last {LAST} of {TRIALS} trials in batches of {BATCH}, {arguments.rounds} seeds",
        "",
        "| strategy | ms a proposal | least | most | repeat error |",
        "|---|---|---|---|---|",
        *(_row(name, np.array(pairs)) for name, pairs in ms.items()),
    ]
    above = [name for name, pairs in ms.items() if median(np.mean(pairs, axis=1)) > BAR_MS and name not in UNBOUND]
    lines += ["", f"bar {BAR_MS:g} ms: {', '.join(above) + ' above' if above else 'all within'}"]
    if arguments.dry:
        print("\n".join(lines))
    else:
        record("What a proposal costs", lines)


def _row(name: str, pairs: np.ndarray) -> str:
    each = pairs.mean(axis=1)
    first, second = np.median(pairs, axis=0)
    return f"| {name} | {np.median(each):.2f} | {each.min():.2f} | {each.max():.2f} | {abs(second / first - 1):.1%} |"


def _problem() -> tuple[Problem, float]:
    """The problem, and the share of samples that meet its budget."""
    space, rng = build_space("mbconv", SHAPE, CLASSES).restrict(NARROWED), np.random.default_rng(0)
    table = table_of(space, net_rows(space, uniform(space, rng, NETS), rng, noise=NOISE))
    known = {key: Counts(row.macs, row.params, row.bytes) for key, row in table.ops.items()}
    interval = latency_interval(table, space, estimate_missing=True)
    costs = (*interval, CountCost("macs", known), CountCost("params", known), PeakBytes())
    gate = interval[2]
    latencies = gate.many(space, uniform(space, rng, SAMPLES))
    budget_ms = float(np.quantile(latencies, FEASIBLE))
    problem = Problem(space, costs, Objective({gate.metric: budget_ms}), Accuracy(space, 0))
    return problem, float((latencies <= budget_ms).mean())


def _searched(name: str, problem: Problem, seed: int) -> float:
    """ms a proposal in one search, with the reward form of the strategy."""
    plugin = plugins.load("strategies", name)
    problem = replace(
        problem, space=_fresh(problem.space), objective=replace(problem.objective, form=plugin.reward_form)
    )
    strategy = Timed(built(name, problem, seed, trials=TRIALS))
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), problem.objective, forget, load_json)
        run_search(problem, strategy, study, max_trials=TRIALS, batch=BATCH)
    return strategy.last(LAST)


def _fresh(space: SearchSpace) -> SearchSpace:
    """The same part of a space built anew: no search profits from the one before."""
    return build_space(space.name, space.shape, space.classes).restrict(NARROWED)


if __name__ == "__main__":
    main()
