"""How well shared weights rank: their accuracies beside those of the same networks trained alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.errors import BudgetError
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.exploration.feasible import Proposed, new_samples, repaired_samples
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import read_artefact, write_atomically
from edgenas.system.threads import configure_threads
from edgenas.training.settings import Settings, batch_size_for
from edgenas.workflows.trained_run import Finished, open_finished

SAMPLES = 2048  # candidates, at most
LEAST = 3  # networks that have a ranking


@dataclass(frozen=True)
class Ranked:
    """One network: predicted latency, accuracy (0..1) on the whole validation split by both weights."""

    arch: str
    latency_ms: float
    shared: float
    alone: float


@dataclass(frozen=True)
class Ranking:
    """Rank correlations over `networks`, fastest first; NaN where either accuracy is the same for all."""

    networks: Sequence[Ranked]
    epochs: int  # of each network alone
    images: int  # of the validation split
    spearman: float
    kendall: float


def check(folder: Path, reporter: Reporter, *, networks: int, epochs: int | None = None, **moved: Any) -> Ranking:
    """Train feasible networks of a searched run alone, alike and shortly, and rank them beside its shared weights.

    Networks that were trained before, for as many epochs, are not trained again. `moved` as for `open_finished`.

    Raises:
        UsageError: the folder holds no run with trained shared weights.
        BudgetError: fewer than three networks are within the budget.
    """
    configure_threads()
    with reporter.stage("open the run"):
        finished = open_finished(folder, reporter, **moved)
    run, evaluator = finished.run, finished.evaluator()
    epochs = epochs or run.config.scratch_epochs or run.config.seeing(20_000, 1, len(run.data.train))
    problem = replace(run.problem, space=finished.trained.space)
    archs = spread(problem, run.costs.latency.metric, networks, run.rng("ranking"))
    if len(archs) < LEAST:
        raise BudgetError(f"{folder}: {len(archs)} networks are within its budget; there is nothing to rank")
    with reporter.stage(f"train {len(archs)} networks alone") as tell:
        alone = []
        trainer = _trainer(finished, epochs)
        for i, arch in enumerate(archs):
            alone.append(_alone(folder, trainer, arch, epochs))
            tell(i + 1, len(archs), f"{alone[-1]:.2%}")
    with reporter.stage("score with shared weights") as tell:
        shared = []
        for i, arch in enumerate(archs):
            shared.append(evaluator.final(arch)["accuracy"])
            tell(i + 1, len(archs), f"{shared[-1]:.2%}")
    ms = run.costs.latency.many(run.space, archs).tolist()
    codes = map(run.space.code, archs)
    rows = [Ranked(*row) for row in zip(codes, ms, shared, alone, strict=True)]
    return Ranking(rows, epochs, len(run.data.validation), *correlations(shared, alone))


def spread(problem: Problem, latency: str, networks: int, rng: Generator) -> list[Arch]:
    """At most so many feasible architectures of different networks, one from each part of the range of latencies.

    Parts hold equally many of the samples; fastest first.
    """
    proposed = Proposed(problem.space)
    unique = new_samples(problem, proposed, rng, SAMPLES)
    if len(unique) < networks:  # the budget is tight
        unique += proposed.add(repaired_samples(problem, rng), networks - len(unique))
    ms = [metrics[latency] for metrics in problem.preview(unique, [latency])]
    ranked = [unique[i] for i in np.argsort(ms, kind="stable")]
    parts = np.array_split(np.arange(len(ranked)), min(networks, len(ranked)))
    return [ranked[int(rng.choice(part))] for part in parts if len(part)]


def correlations(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Spearman's rank correlation and Kendall's tau-b; NaN where one side is all equal."""
    order_a, order_b = (np.sign(np.subtract.outer(x, x)) for x in (a, b))
    ranks_a, ranks_b = order_a.sum(axis=1), order_b.sum(axis=1)  # twice the mean rank of equals, from its middle
    return _cosine(ranks_a, ranks_b), _cosine(order_a, order_b)


def _cosine(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    norm = float(np.sqrt(np.sum(x**2) * np.sum(y**2)))
    return float(np.sum(x * y)) / norm if norm else float("nan")


def _trainer(finished: Finished, epochs: int) -> ScratchEvaluator:
    run = finished.run
    settings = Settings(epochs, batch_size_for(len(run.data.train)))
    return ScratchEvaluator(run.space, run.data, settings, run.torch_device, run.config.seed)


def _alone(folder: Path, trainer: ScratchEvaluator, arch: Arch, epochs: int) -> float:
    """Accuracy of one network trained alone: from the run's folder, or trained now and written there."""
    name, code = f"ranking-{epochs}-epochs", trainer.space.code(arch)
    path = folder / f"{name}.json"
    known: dict[str, float] = read_artefact(folder, name) if path.exists() else {}
    if code not in known:
        known[code] = trainer(arch)["accuracy"]
        write_atomically(path, (json.dumps(known, indent=1) + "\n").encode())
    return known[code]
