"""The integer program against brute force on NAS-Bench-201, and the time it takes to prove an optimum of `mbconv`.

    python -m tests.benchmarks.milp [--dry]

Tables of random scores; budgets on multiply-adds, on parameters, on the latency by a table that comes along (its ops of
`nasbench201` are estimated), and on all three. Bars: each optimum is that of brute force over all 15,625 architectures;
one of the full `mbconv` space, with all widths and resolutions, is proven in under 5 s, everything included.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from edgenas.cost.base import AdditiveCost, many_additive
from edgenas.cost.counts import CountCost
from edgenas.graph.ops import Shape, shape_text
from edgenas.latency.predictor import latency_interval
from edgenas.latency.registry import device_table
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.build import build_space
from edgenas.spaces.sampling import sample
from edgenas.strategies.integer_program.program import Solution, solve
from tests.benchmarks._common import record

DEVICE, RUNTIME = "amd-epyc-zen4", "onnxruntime"
SHARES, TABLES, SAMPLES = (0.01, 0.1, 0.5, 0.9), 3, 2000
ROUNDING, BAR_S = 1e-9, 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print, and record nothing")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    lines = [
        brute_force(rng),
        "",
        "| space | tables of scores | proven | seconds: median | most |",
        "|---|---|---|---|---|",
    ]
    lines += [proofs(shape, rng) for shape in ((1, 28, 28), (3, 32, 32))]
    if arguments.dry:
        print("\n".join(lines))
    else:
        record("Integer programs", lines)


def brute_force(rng: Generator) -> str:
    """How many optima of `nasbench201` are those of brute force."""
    space = build_space("nasbench201", (3, 32, 32), 10)
    archs = list(itertools.product(*space.allowed))
    costs = costs_of(space)
    values = many_additive(costs, space, archs)
    codes = np.array(archs)
    equal, seconds = [], []
    for budgets in budgets_at(costs, values):
        fits = np.all(
            [row <= budgets.get(cost.metric, np.inf) for row, cost in zip(values, costs, strict=True)], axis=0
        )
        for _ in range(TABLES):
            scores = random_scores(space, rng)
            qualities = sum(row[column] for row, column in zip(scores, codes.T, strict=True))
            solution = solve(space, costs, budgets, [row.tolist() for row in scores])
            equal.append(solution.proven and agrees(solution, float(qualities[fits].max(initial=-np.inf))))
            seconds.append(solution.seconds)
    return (
        f"nasbench201, all {len(archs):,} architectures: {sum(equal)} of {len(equal)} optima proven and equal to brute "
        f"force, {np.median(seconds):.2f} s in the middle, {max(seconds):.2f} s at most"
    )


def agrees(solution: Solution, quality: float) -> bool:
    """Whether the quality is this one; -inf is that nothing meets the budgets."""
    return solution.quality == quality or abs(solution.quality - quality) < ROUNDING


def proofs(shape: Shape, rng: Generator) -> str:
    """A row: how long the proofs on `mbconv` take."""
    space = build_space("mbconv", shape, 10)
    costs = costs_of(space)
    values = many_additive(costs, space, [sample(space, rng) for _ in range(SAMPLES)])
    solutions = []
    for budgets in budgets_at(costs, values):
        fresh = build_space("mbconv", shape, 10)  # programs and conditions are made within the time that counts
        solutions.append(solve(fresh, costs, budgets, [row.tolist() for row in random_scores(space, rng)]))
    seconds = [solution.seconds for solution in solutions]
    proven = sum(solution.proven and solution.seconds < BAR_S for solution in solutions)
    return (
        f"| mbconv {shape_text(shape)} | {len(solutions)} | {proven} in under {BAR_S:g} s | {np.median(seconds):.2f} | "
        f"{max(seconds):.2f} |"
    )


def costs_of(space: SearchSpace) -> list[AdditiveCost]:
    """Latency by the device's table, multiply-adds, parameters."""
    table = device_table(DEVICE, runtime=RUNTIME, threads=1)
    return [latency_interval(table, space, estimate_missing=True)[0], CountCost("macs"), CountCost("params")]


def budgets_at(costs: Sequence[AdditiveCost], values: np.ndarray) -> list[dict[str, float]]:
    """One metric or all of them, at these shares of the architectures.

    A trifle more than the cost of one of them: sums of many at once and of one alone differ in their last digits.
    """
    metrics = [cost.metric for cost in costs]
    quantiles = [dict(zip(metrics, np.quantile(values, q, axis=1) * (1 + 1e-9), strict=True)) for q in SHARES]
    return [dict(chosen) for each in quantiles for chosen in (*([item] for item in each.items()), each)]


def random_scores(space: SearchSpace, rng: Generator) -> list[np.ndarray]:
    """One normal number per option."""
    return [rng.normal(size=len(choice.options)) for choice in space.choices]


if __name__ == "__main__":
    main()
