"""Every strategy against random search at equal cost, on NAS-Bench-201 (arXiv:2001.00326) under latency budgets.

    python -m tests.benchmarks.strategies --data DIR_OR_FILE [--keep FILE] [--dry]

CIFAR-100. Look-ups of the validation accuracy after 200 epochs are counted, latency is free, the score is the test
accuracy of the best feasible architecture by validation. Two devices, each with the budgets that 10, 25, 50 and 75 % of
the architectures meet; 50, 100 and 200 look-ups. Beside the strategies: the feasible architectures in order of
multiply-adds, largest first, of the derived graph and as published; Optuna's TPE and NSGA-II; the oracle, the best
feasible architecture by validation.
The mean over the settings is compared with random's, paired over the seeds, one-sided, Holm-corrected.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import ttest_rel

from edgenas.errors import UsageError
from edgenas.exploration.problem import Problem
from edgenas.exploration.trial import Trial
from edgenas.graph.graph import Arch
from tests.benchmarks._common import record
from tests.benchmarks._optuna import SAMPLERS, optuna_module, optuna_searched
from tests.benchmarks._tabular import (
    Settings,
    Table,
    Wiring,
    add_data,
    best_archs,
    by_scores,
    data_file,
    form_of,
    load,
    make,
    searched,
)

VALIDATION, TEST = "c100_val", "c100_test"
DEVICES, SHARES = ("raspi4", "pixel3"), (0.10, 0.25, 0.50, 0.75)
LOOK_UPS = (50, 100, 200)
ORDERS, RANDOM = ("by-macs", "by-published-macs"), "random"


@dataclass(frozen=True)
class Job:
    """One search."""

    path: Path
    name: str
    device: str
    share: float
    seed: int

    @property
    def identity(self) -> tuple[str, str, float, int]:
        """All but where the table lies."""
        return self.name, self.device, self.share, self.seed


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data(parser)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", nargs="*", help="these strategies alone, beside random")
    parser.add_argument("--settings", action="store_true", help="also a table for each setting")
    parser.add_argument("--keep", type=Path, help="file of finished searches, of one commit: killed, it goes on there")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    path = data_file(parser, args.data)
    table = load(path)
    refusals = refused(table)
    names = [*(name for name in by_scores() if name not in refusals), *ORDERS, *SAMPLERS]
    if args.only is not None:
        names = [name for name in names if name in {RANDOM, *args.only}]
    if set(names) & set(SAMPLERS):
        optuna_module()  # before the work: it may be missing
    jobs = [
        Job(path, *job)
        for job in itertools.product(names, DEVICES, SHARES, range(args.seeds))
        if job[0] not in ORDERS or job[-1] == 0
    ]
    done = searched_all(jobs, args.jobs, args.keep)
    scores = {
        name: np.array(
            [
                [[done[Job(path, name, device, share, 0 if name in ORDERS else seed)] for share in SHARES]
                 for device in DEVICES]
                for seed in range(args.seeds)
            ]
        )
        for name in names
    }  # fmt: skip
    lines = [*report(scores, oracle(table), args.settings), *("", *refusals.values())]
    if args.dry:
        print("\n".join(lines))
    else:
        record("Strategies under a budget, at equal look-ups", lines)


def searched_all(jobs: Sequence[Job], processes: int, keep: Path | None) -> dict[Job, list[float]]:
    """The scores of every job; those that `keep` has are taken from there, the others added."""
    lines = keep.read_text().splitlines() if keep is not None and keep.exists() else []
    kept = {tuple(identity): scores for identity, scores in map(json.loads, lines)}
    done = {job: kept[job.identity] for job in jobs if job.identity in kept}
    rest = [job for job in jobs if job not in done]
    # Processes that are forked from one with torch's threads wait for threads that they do not have.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_one_thread) as pool:
        for job, scores in zip(rest, pool.map(test_accuracies, rest, chunksize=4), strict=True):
            done[job] = scores
            if keep is not None:
                with keep.open("a") as file:
                    file.write(json.dumps([job.identity, scores]) + "\n")
            print(f"\r{len(done)} of {len(jobs)} searches", end="", file=sys.stderr, flush=True)
    return done


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def refused(table: Table) -> dict[str, str]:
    """What strategies say that cannot search this problem."""
    problem, found = table.problem(VALIDATION, DEVICES[0], budget_ms(table, DEVICES[0], SHARES[0])), {}
    for name in by_scores():
        try:
            make(name, Wiring(problem, Settings(LOOK_UPS[-1]), 0))
        except UsageError as refusal:
            found[name] = f"Not in the table: {refusal}."
    return found


def budget_ms(table: Table, device: str, share: float) -> float:
    """The budget that this share of all architectures meets."""
    return float(np.quantile(table.scores.latency_ms[device], share))


def test_accuracies(job: Job) -> list[float]:
    """Test accuracy in % of the best feasible architecture by validation, for each number of look-ups."""
    table = load(job.path)
    test = dict(zip(table.scores.archs, table.scores.accuracy[TEST].tolist(), strict=True))
    found = best_archs(trials_of(job, table), LOOK_UPS)
    return [100 * test[arch] if arch is not None else 0.0 for arch in found]


def trials_of(job: Job, table: Table) -> list[Trial]:
    """The search of a job."""
    own = job.name not in (*ORDERS, *SAMPLERS)
    form = form_of(job.name) if own else "hard"
    problem = table.problem(VALIDATION, job.device, budget_ms(table, job.device, job.share), form)
    if own:
        return searched(job.name, problem, job.seed, LOOK_UPS[-1])
    if job.name in SAMPLERS:
        return optuna_searched(job.name, problem, job.seed, LOOK_UPS[-1])
    return ordered(problem, table, published=job.name == ORDERS[1])


def ordered(problem: Problem, table: Table, published: bool) -> list[Trial]:
    """The feasible architectures of most multiply-adds: of the derived graph, or as published, dead edges and all."""
    archs = table.scores.archs
    macs = published_macs(archs) if published else table.macs.many(table.space, archs)
    order = np.lexsort((np.arange(len(archs)), -macs))
    fits = problem.feasible(archs)
    found = [archs[i] for i in order if fits[i]][: LOOK_UPS[-1]]
    return [Trial(i, arch, problem.evaluate(arch), 0.0, True) for i, arch in enumerate(found)]


def published_macs(archs: Sequence[Arch]) -> np.ndarray:
    """Multiply-adds (n,) before dead nodes are removed (arXiv:2001.00326)."""
    options = np.array(archs)
    wide, narrow = (options == 3).sum(axis=1), (options == 2).sum(axis=1)
    return np.asarray(7.78304e6 + 15e6 * (2.359296 * wide + 0.262144 * narrow))


def oracle(table: Table) -> np.ndarray:
    """Test accuracy in % of the feasible architecture of best validation accuracy: (devices, shares)."""
    validation, test = table.scores.accuracy[VALIDATION], table.scores.accuracy[TEST]
    best = np.empty((len(DEVICES), len(SHARES)))
    for d, device in enumerate(DEVICES):
        for s, share in enumerate(SHARES):
            fits = table.scores.latency_ms[device] <= budget_ms(table, device, share)
            best[d, s] = 100 * test[np.where(fits, validation, -1).argmax()]
    return best


def report(scores: Mapping[str, np.ndarray], best: np.ndarray, settings: bool) -> list[str]:
    """Tables of scores[name] (seeds, devices, shares, look-ups), in %."""
    means = {name: values.mean(axis=(1, 2)) for name, values in scores.items()}  # (seeds, look-ups)
    below = p_values(means, [name for name in means if name not in (RANDOM, *ORDERS)])
    lines = [
        f"Mean over {len(DEVICES)} devices x {len(SHARES)} budgets, {len(next(iter(means.values())))} seeds; oracle "
        f"{best.mean():.2f}. The p-values, Holm-corrected, are of being no worse, and no better, than random.",
        "",
        "| strategy | " + " | ".join(f"{n} look-ups" for n in LOOK_UPS) + " | no worse: p at 100, 200 | no better: p |",
        "|---|" + "---|" * (len(LOOK_UPS) + 2),
    ]
    for name in sorted(means, key=lambda name: -means[name][:, -1].mean()):
        cells = [f"{v.mean():.2f} ± {v.std(ddof=1):.2f}" for v in means[name].T]
        tests = [" ".join(f"{p:.3f}" for p in below[side][name]) if name in below[side] else "" for side in (0, 1)]
        lines.append(f"| {name} | " + " | ".join([*cells, *tests]) + " |")
    if settings:
        for name, values in scores.items():
            lines += ["", f"{name}: test accuracy - oracle at {LOOK_UPS[1:]} look-ups"]
            for d, device in enumerate(DEVICES):
                gaps = values.mean(axis=0)[d] - best[d][:, None]
                row = "; ".join(
                    f"{100 * share:.0f} % {gap[1]:+.2f} {gap[2]:+.2f}" for share, gap in zip(SHARES, gaps, strict=True)
                )
                lines.append(f"  {device}: {row}")
    return lines


def p_values(
    means: Mapping[str, np.ndarray], names: Sequence[str]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Of the hypotheses that a strategy is not below random, and not above it: at 100 and at 200 look-ups each."""
    sides = []
    for side in ("less", "greater"):
        cases = [(name, column) for name in names for column in (1, 2)]
        raw = [_p_value(means[name][:, column], means[RANDOM][:, column], side) for name, column in cases]
        corrected = holm(raw)
        sides.append({name: [corrected[cases.index((name, c))] for c in (1, 2)] for name in names})
    return sides[0], sides[1]


def _p_value(a: np.ndarray, b: np.ndarray, side: str) -> float:
    """Paired, one-sided; 1 where there is no difference to test."""
    return float(ttest_rel(a, b, alternative=side).pvalue) if np.ptp(a - b) > 0 else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction (1979)."""
    order = np.argsort(p)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate([p[i] * (len(p) - k) for k, i in enumerate(order)]))
    return [float(value) for value in corrected]


if __name__ == "__main__":
    main()
