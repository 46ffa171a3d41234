"""The Pareto front of accuracy against latency, without a budget, on NAS-Bench-201 (arXiv:2001.00326).

    python -m tests.benchmarks.front --data DIR_OR_FILE [--dry]

CIFAR-100, latency of `raspi4`. Look-ups of the validation accuracy after 200 epochs are counted, latency is free. The
figure is the hypervolume of what was looked up as a share of that of all 15,625 architectures; reference point: their
lowest accuracy and highest latency. Beside the strategies, Optuna's NSGA-II with two sizes of its population, to which
a proposal that it made before costs no look-up either. The last two columns, after all look-ups: the least share over
the seeds; the p-value, paired over the seeds, one-sided, of being no better than the better of these two.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import ttest_rel

from edgenas.exploration.pareto import hypervolume
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from tests.benchmarks._common import record
from tests.benchmarks._optuna import PROPOSALS_PER_TRIAL, optuna_module, suggested
from tests.benchmarks._tabular import Table, add_data, data_file, load, searched

VALIDATION, DEVICE = "c100_val", "raspi4"
LOOK_UPS = (50, 100, 200)
STRATEGIES = ("ga", "evolution", "random")
POPULATIONS = (20, 50)  # of Optuna's NSGA-II; its default is 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data(parser)
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", help=f"(default: {', '.join(STRATEGIES)})")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    path = data_file(parser, args.data)
    optuna_module()  # before the work: it may be missing
    lines = front(path, args.strategies or STRATEGIES, args.seeds)
    if args.dry:
        print("\n".join(lines))
    else:
        record("Pareto front of accuracy against latency, NAS-Bench-201", lines)


def front(path: Path, strategies: Sequence[str], seeds: int) -> list[str]:
    """One row per strategy."""
    table = load(path)
    volume = Volume(table)
    problem = table.problem(VALIDATION, DEVICE, None)
    shares = {
        name: np.array(
            [volume.shares([t.arch for t in searched(name, problem, s, LOOK_UPS[-1])]) for s in range(seeds)]
        )
        for name in strategies
    }
    peers = {
        f"optuna-nsga2, population {size}": np.array(
            [volume.shares(nsga2(problem, s, LOOK_UPS[-1], size)) for s in range(seeds)]
        )
        for size in POPULATIONS
    }
    best = max(peers.values(), key=lambda peer: peer[:, -1].mean())[:, -1]
    return [
        f"{seeds} seeds; hypervolume as a share of the true front's, {volume.true:.3f} by {volume.reference}",
        "",
        "| strategy | " + " | ".join(f"{n} look-ups" for n in LOOK_UPS) + " | least | p |",
        "|---|" + "---|" * (len(LOOK_UPS) + 2),
        *(_row(name, values, best) for name, values in (shares | peers).items()),
    ]


class Volume:
    """Hypervolumes as shares of the true one."""

    def __init__(self, table: Table) -> None:
        accuracy, ms = table.scores.accuracy[VALIDATION], table.scores.latency_ms[DEVICE]
        self.points = dict(zip(table.scores.archs, zip((-accuracy).tolist(), ms.tolist(), strict=True), strict=True))
        self.corner = (-float(accuracy.min()), float(ms.max()))
        self.reference = f"accuracy {accuracy.min():.4f} and {ms.max():.2f} ms"
        self.true = self._of(table.scores.archs)

    def _of(self, archs: Sequence[Arch]) -> float:
        """Sorted by latency first: the front of two objectives in one pass, where all pairs would be 15,625 squared."""
        lowest: list[tuple[float, float]] = []
        for point in sorted((self.points[arch] for arch in archs), key=lambda point: (point[1], point[0])):
            if not lowest or point[0] < lowest[-1][0]:
                lowest.append(point)
        return hypervolume(lowest, self.corner)

    def shares(self, archs: Sequence[Arch]) -> list[float]:
        """After so many look-ups each."""
        return [self._of(archs[:count]) / self.true for count in LOOK_UPS]


def nsga2(problem: Problem, seed: int, trials: int, population: int) -> list[Arch]:
    """The first `trials` architectures that Optuna's NSGA-II looked up."""
    optuna = optuna_module()
    sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=population)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    known: dict[Arch, tuple[float, float]] = {}
    for _ in range(PROPOSALS_PER_TRIAL * trials):
        if len(known) == trials:
            break
        asked = study.ask()
        arch = suggested(problem, asked)
        if arch not in known:
            metrics = problem.evaluate(arch)
            known[arch] = metrics["accuracy"], metrics[f"latency_ms@{DEVICE}"]
        study.tell(asked, known[arch])
    return list(known)


def _row(name: str, shares: np.ndarray, best: np.ndarray) -> str:
    """`shares` is (seeds, look-ups)."""
    cells = [f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" for values in shares.T]
    last = shares[:, -1]
    p = f"{ttest_rel(last, best, alternative='greater').pvalue:.4f}" if np.ptp(last - best) > 0 else ""
    return f"| {name} | {' | '.join(cells)} | {last.min():.4f} | {p} |"


if __name__ == "__main__":
    main()
