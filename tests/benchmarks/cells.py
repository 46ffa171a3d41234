"""Cells of NAS-Bench-201 (arXiv:2001.00326) found by gradients in minutes, looked up in its table.

    python -m tests.benchmarks.cells --data DIR [--seeds 6 7 8] [--only darts] [--keep FILE] [--dry]

CIFAR-10 as JPEG at a quarter of its pixels; a network of three cells and few channels. A search sees the training
images alone, and some of them for validation. What it finds is looked up: accuracies of full networks trained for 200
epochs, none of which a search has seen. The budget is the median latency on a Raspberry Pi 4; latencies are looked up,
too, and are no sums. A search has one core; two run at a time. Its first finalist is what it finds: by the shared
weights, the largest of those that validation cannot tell from the best. Seeds below 6 chose the settings.

Weights learn for two minutes, and so those of the largest network first: `--options warm-up=largest`.

Controls in the time of the slowest search: random feasible cells, and feasible cells in order of multiply-adds, each
trained alone, shortly; the one that is found is chosen by the same rule.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.random import Generator

from edgenas.cost.counts import CountCost
from edgenas.data import npz
from edgenas.data.base import Data, subset
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.exploration import driver
from edgenas.exploration.feasible import feasible_samples
from edgenas.exploration.objective import Metrics, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.spaces.nasbench201 import NASBench201
from edgenas.strategies.gradient.collapse import skips_by_cell
from edgenas.system import plugins
from edgenas.system.threads import configure_threads
from edgenas.training.context import TrainingContext
from edgenas.training.settings import Settings
from edgenas.workflows.stages.candidates import by_rank, candidates
from tests.benchmarks._common import record, spread
from tests.benchmarks._tabular import FILE, _forget, _missing, load

IMAGES, SIZE = "cifar10_jpeg.npz", 16
SHARED, ALONE = 16_000, 32_000  # training images of shared weights, in batches of 64, and of a control's networks
DEVICE, VALIDATION, TEST = "raspi4", "c10_val", "c10_test"
EPOCHS = {"darts": 7, "gdas": 14, "proxyless": 13}  # for two and a half minutes of one core
OPTIONS = {"warm-up": "largest"}
TRIALS = 32
TRAINING = Settings(epochs=2, batch_size=128)  # of a control's networks
CONTROLS = ("random", "by-macs")
COSTS = SimpleNamespace(macs=CountCost("macs"))


class Small(NASBench201):
    """The same cells, fewer of them, and fewer channels: a network learns more from 500 steps than a deep one does."""

    name = "nasbench201"
    channels, cells = (8, 16, 32), 1


@dataclass(frozen=True)
class Config:
    """What strategies read of a configuration."""

    seed: int
    search_epochs: int
    finalists: int = 3
    trials: int = TRIALS
    ghost_batch: int | None = None


@dataclass(frozen=True)
class Job:
    """One search."""

    strategy: str
    seed: int
    budgeted: bool
    guarded: bool = True


@dataclass(frozen=True)
class Priced:
    """What `build` of a strategy and the choice of finalists get first."""

    problem: Problem
    config: Config
    data: Data
    torch_device: str
    costs: SimpleNamespace = field(default_factory=lambda: COSTS)
    task: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(inherited=None))
    identity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def space(self) -> SearchSpace:
        return self.problem.space


@dataclass(frozen=True)
class Context:
    """What they get then."""

    seed: int

    def rng(self, name: str) -> Generator:
        return np.random.default_rng([self.seed, *name.encode()])

    def training(self, name: str, identity: Mapping[str, Any]) -> TrainingContext:
        return TrainingContext()

    def progress(self, done: int, of: int, what: str) -> None:
        """Nobody looks."""


def main() -> None:
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGENAS_DATA"), help="folder of the two files")
    parser.add_argument("--seeds", type=int, nargs="*", default=[6, 7, 8])
    parser.add_argument("--only", nargs="*", default=[*EPOCHS], help="these strategies alone")
    parser.add_argument("--keep", type=Path, help="file of finished searches, of one commit: killed, it goes on there")
    parser.add_argument("--dry", action="store_true", help="print only, without a line in docs/results.md")
    args = parser.parse_args()
    if args.data is None:
        parser.error("name the data: --data DIR, or EDGENAS_DATA")
    jobs = [Job(*job) for job in itertools.product(args.only, args.seeds, (True, False))]
    jobs += [Job(name, args.seeds[0], budgeted=False, guarded=False) for name in args.only]
    rows = done(jobs, args.data, args.keep)
    seconds = max(row["seconds"] for row in rows.values())
    controls = [Job(name, seed, budgeted=True) for name in CONTROLS for seed in args.seeds]
    rows |= done(controls, args.data, args.keep, seconds)
    lines = report(rows, oracle(args.data))
    if args.dry:
        print("\n".join(lines))
    else:
        record("Cells by gradients, looked up", lines)


def done(jobs: Sequence[Job], data: Path, keep: Path | None, seconds: float = 0.0) -> dict[Job, dict[str, Any]]:
    """A row for every job; those that `keep` has are taken from there, the others added."""
    lines = keep.read_text().splitlines() if keep is not None and keep.exists() else []
    rows = {Job(**job): row for job, row in map(json.loads, lines)}
    missing = [(job, data, seconds) for job in jobs if job not in rows]
    with get_context("spawn").Pool(2, _begin) as pool:
        for job, row in pool.imap_unordered(_row, missing):
            rows[job] = row
            if keep is not None:
                with keep.open("a") as file:
                    file.write(json.dumps([asdict(job), row]) + "\n")
            print(job, {name: value for name, value in row.items() if name != "notes"}, flush=True)
    return {job: rows[job] for job in jobs}


def _begin() -> None:
    configure_threads()
    torch.set_num_threads(1)


def _row(given: tuple[Job, Path, float]) -> tuple[Job, dict[str, Any]]:
    return given[0], row_of(*given)


@cache
def images(folder: Path, size: int, device: str) -> Data:
    """CIFAR-10."""
    return npz.build(
        root=folder / IMAGES,
        seed=0,
        size=size,
        validation_share=0.1,
        download=False,
        strict=False,
        device=device,
    )


def part(data: Data, most: int) -> Data:
    """With so many images for training and for validation at most."""
    train, validation = (subset(split, np.arange(min(most, len(split)))) for split in (data.train, data.validation))
    return replace(data, train=train, validation=validation)


def row_of(job: Job, folder: Path, seconds: float) -> dict[str, Any]:
    """The architecture that is found, what the table says of it, and the time without reading images."""
    table, data = load(folder / FILE), images(folder, SIZE, "cpu")
    space = Small((3, SIZE, SIZE), len(data.classes))
    latency = table.scores.latency(DEVICE)
    budgets = {latency.metric: budget_ms(folder)} if job.budgeted else {}
    problem = Problem(space, (latency, CountCost("macs")), Objective(budgets), lambda arch: {})
    begun = time.monotonic()
    scores, notes = dict[Arch, Metrics](), list[str]()
    if job.strategy in CONTROLS:
        scores = alone(controls(job, problem), job.seed, part(data, ALONE), seconds)
        ranked = SimpleNamespace(space=space, data=data, costs=COSTS, config=Config(job.seed, search_epochs=0))
        found, *_ = by_rank(ranked, scores)  # type: ignore[arg-type]
    else:
        (found, *_), notes = searched(job, part(data, SHARED), problem, epochs=EPOCHS[job.strategy], options=OPTIONS)
    place = table.scores.archs.index(found)
    return {
        "cell": space.published(found),
        "validation": 100 * float(table.scores.accuracy[VALIDATION][place]),
        "test": 100 * float(table.scores.accuracy[TEST][place]),
        "latency_ms": problem.preview([found])[0][latency.metric],
        "skips": max((len(names) for names in skips_by_cell(space, found).values()), default=0),
        "trained_alone": len(scores),
        "seconds": time.monotonic() - begun,
        "notes": notes,
    }


def searched(
    job: Job, data: Data, problem: Problem, *, epochs: int, device: str = "cpu", options: Mapping[str, str]
) -> tuple[list[Arch], list[str]]:
    """Candidates, the best first by the final shared weights; and the strategy's notes."""
    priced: Any = Priced(problem, Config(job.seed, epochs), data, device)
    ctx: Any = Context(job.seed)
    cls = plugins.load("strategies", job.strategy)
    chosen = {name: values[0] for name, values in cls.options.items()} | dict(options)
    strategy = cls.build(priced, ctx, chosen if job.guarded else chosen | {"guards": "off"})
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), problem.objective, _forget, _missing)
        driver.run_search(replace(problem, evaluator=strategy.evaluator), strategy, study, max_trials=TRIALS)
        scores = candidates(priced, strategy.evaluator, study, strategy, ctx, 0)
    return by_rank(priced, scores), list(strategy.notes)


def controls(job: Job, problem: Problem) -> Iterable[Arch]:
    """Feasible architectures of a control, in its order."""
    rng = np.random.default_rng(job.seed)
    if job.strategy == "random":
        return (arch for _ in itertools.count() for arch in feasible_samples(problem, rng, 16))
    archs = list(itertools.product(*problem.space.allowed))
    feasible = [arch for arch, fits in zip(archs, problem.feasible(archs), strict=True) if fits]
    macs = problem.costs[1].many(problem.space, feasible)
    return [feasible[i] for i in np.argsort(-macs, kind="stable")]


def alone(archs: Iterable[Arch], seed: int, data: Data, seconds: float) -> dict[Arch, Metrics]:
    """Scores on validation of networks trained alone; as many as the time allows."""
    trainer = ScratchEvaluator(Small((3, SIZE, SIZE), len(data.classes)), data, TRAINING, "cpu", seed)
    scores: dict[Arch, Metrics] = {}
    begun = time.monotonic()
    for count, arch in enumerate(archs, start=1):
        scores[arch] = trainer(arch)
        if (time.monotonic() - begun) * (count + 1) / count > seconds:  # another one would take too long
            break
    return scores


def budget_ms(folder: Path) -> float:
    """The latency that half of all architectures meet."""
    return float(np.median(load(folder / FILE).scores.latency_ms[DEVICE]))


def oracle(folder: Path) -> tuple[float, float]:
    """Validation and test accuracy in % of the best feasible architecture by validation."""
    scores = load(folder / FILE).scores
    feasible = np.flatnonzero(scores.latency_ms[DEVICE] <= budget_ms(folder))
    best = feasible[np.argmax(scores.accuracy[VALIDATION][feasible])]
    return 100 * float(scores.accuracy[VALIDATION][best]), 100 * float(scores.accuracy[TEST][best])


def report(rows: Mapping[Job, Mapping[str, Any]], best: tuple[float, float]) -> list[str]:
    """A line for every kind of search: mean and deviation over its seeds, and the range of what must hold in each."""
    lines = [
        "| search | validation | test | least test | ms | most skips | seconds |",
        "|---|---|---|---|---|---|---|",
        f"| oracle under the budget | {best[0]:.2f} | {best[1]:.2f} | | | | |",
    ]
    kinds = dict.fromkeys((job.strategy, job.budgeted, job.guarded) for job in rows)
    for strategy, budgeted, guarded in kinds:
        found = [
            row
            for job, row in rows.items()
            if (job.strategy, job.budgeted, job.guarded) == (strategy, budgeted, guarded)
        ]
        title = f"{strategy}{'' if budgeted else ', no budget'}{'' if guarded else ', guards off'}, {len(found)} seeds"
        figures = [spread([row[name] for row in found]) for name in ("validation", "test")]
        least, most = min(row["test"] for row in found), max(row["latency_ms"] for row in found)
        skips, seconds = max(row["skips"] for row in found), max(row["seconds"] for row in found)
        lines.append(f"| {title} | {' | '.join(figures)} | {least:.2f} | {most:.1f} | {skips} | {seconds:.0f} |")
    return [*lines, "", *(f"{job.strategy} {job.seed}: {row['cell']}" for job, row in rows.items())]


if __name__ == "__main__":
    main()
