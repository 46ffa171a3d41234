"""`edgenas ranking`: scores by shared weights beside accuracies of the same networks trained by themselves.

Networks that are cut out of a teacher are trained as its finalists are; what replacement losses expect of them, the sum
over their options, is ranked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgenas.errors import BudgetError
from edgenas.exploration.feasible import Archive, new_samples, repaired_samples
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from edgenas.spaces.base import SearchSpace
from edgenas.system.file_index import State, state_of
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import RunFolder, is_kept, read_artefact, write_artefact
from edgenas.workflows.given import Given
from edgenas.workflows.stages.alone import alone_settings, trained_alone
from edgenas.workflows.stages.artefacts import Losses
from edgenas.workflows.stages.replacement import REPLACEMENT
from edgenas.workflows.trained_run import open_trained_run

SAMPLES = 2048  # candidates, at most, of which the parts of the range of latencies get equally many
LEAST = 3  # networks that have a ranking: two are always ranked fully right or fully wrong


@dataclass(frozen=True)
class Ranked:
    """One network: predicted latency, and accuracy (0..1) on the whole validation split by both weights.

    `shared` is what the search went by: of cuts of a teacher their agreement with it. `replacement` is the sum of the
    replacement losses of its options, in nats; None where the run has none.
    """

    arch: str
    latency_ms: float
    shared: float
    alone: float
    replacement: float | None = None


@dataclass(frozen=True)
class Ranking:
    """Rank correlations over `networks`, fastest first; NaN where either accuracy is the same for all."""

    networks: Sequence[Ranked]
    epochs: int  # of each network alone
    images: int  # of the validation split
    spearman: float
    kendall: float
    replacement_spearman: float | None = None  # of the negative losses


@dataclass(frozen=True)
class StandAlone:
    """Accuracies (0..1) of networks that were trained by themselves, by code."""

    accuracy: Mapping[str, float]


def ranking(
    folder: Path,
    reporter: Reporter,
    *,
    networks: int = 16,
    epochs: int | None = None,
    given: Given | None = None,
    moved: Mapping[str, Any] = MappingProxyType({}),
) -> Ranking:
    """Train feasible networks of a searched run by themselves, shortly, and rank them beside its shared weights.

    Networks that were trained before, for as many epochs, are not trained again.

    Args:
        folder: of the run.
        reporter: who is told of stages and notices.
        networks: how many, spread over the latencies within the budget.
        epochs: of each network; by default those of the evaluator scratch, or of finalists that are cut out of a
            teacher.
        given: objects that stand for names of the configuration.
        moved: settings that may have changed since: where the data is, where networks are trained.

    Raises:
        UsageError: the folder holds no run with trained shared weights, or another process works in it.
        BudgetError: fewer than three networks are within the budget.
    """
    with reporter.stage("open the run"):
        source = open_trained_run(folder, reporter, given, moved)
    priced, evaluator = source.priced, source.evaluator()
    settings = alone_settings(priced, epochs)
    # Only what shared weights were trained for can be scored by them; pruning may have narrowed the space.
    problem = replace(priced.problem, space=source.trained.space)
    archs = stratified(problem, priced.costs.latency.metric, networks, source.context.rng("ranking"))
    if len(archs) < LEAST:
        raise BudgetError(f"{folder}: {len(archs)} networks are within its budget; there is nothing to rank")
    trainer = trained_alone(priced, evaluator, settings)
    # What is found is written into the folder.
    with RunFolder(folder, resume=True), reporter.stage(f"train {len(archs)} networks by themselves") as progress:
        alone = []
        for i, arch in enumerate(archs):
            alone.append(_stand_alone_accuracy(folder, trainer, priced.space.code(arch), arch, settings.epochs))
            progress(i + 1, len(archs), f"{alone[-1]:.2%}")
    with reporter.stage("score with shared weights") as progress:
        shared = []
        for i, arch in enumerate(archs):
            shared.append(evaluator.final(arch)[priced.problem.objective.quality])
            progress(i + 1, len(archs), f"{shared[-1]:.2%}")
    ms = priced.costs.latency.many(priced.space, archs).tolist()
    codes = map(priced.space.code, archs)
    losses = _replacement_losses(folder, priced.space, archs)
    of_losses: Sequence[float | None] = losses or [None] * len(archs)
    rows = [Ranked(*row) for row in zip(codes, ms, shared, alone, of_losses, strict=True)]
    expected = correlations([-loss for loss in losses], alone)[0] if losses else None
    return Ranking(rows, settings.epochs, len(priced.data.validation), *correlations(shared, alone), expected)


def stratified(problem: Problem, latency: str, networks: int, rng: Generator) -> list[Arch]:
    """Return feasible architectures of different networks, one from each part of the range of latencies, fastest first.

    Args:
        problem: space, costs and budgets.
        latency: the metric.
        networks: how many parts there are, which hold equally many of the samples.
        rng: draws the samples, and one of each part.
    """
    proposed = Archive(problem.space)
    unique = new_samples(problem, proposed, rng, SAMPLES)
    if len(unique) < networks:  # the budget is tight
        unique += proposed.add(repaired_samples(problem, rng), networks - len(unique))
    ms = [metrics[latency] for metrics in problem.preview(unique, [latency])]
    ranked = [unique[i] for i in np.argsort(ms, kind="stable")]
    parts = np.array_split(np.arange(len(ranked)), min(networks, len(ranked)))
    return [ranked[int(rng.choice(part))] for part in parts if len(part)]


def correlations(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Return Spearman's rank correlation and Kendall's tau-b; NaN where either side is the same for all.

    Args:
        a: scores (n,).
        b: other scores of the same (n,).

    >>> correlations([1, 2, 3, 4], [1, 2, 4, 3])
    (0.8, 0.6666666666666666)
    """
    # The general correlation coefficient (Kendall, 1948): the cosine of the matrices of pairwise orders is tau-b, and
    # that of their row sums is Spearman's.
    order_a, order_b = (np.sign(np.subtract.outer(x, x)) for x in (a, b))
    ranks_a, ranks_b = order_a.sum(axis=1), order_b.sum(axis=1)  # twice the mean rank of equals, from its middle
    return _cosine(ranks_a, ranks_b), _cosine(order_a, order_b)


def _cosine(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    norm = float(np.sqrt(np.sum(x**2) * np.sum(y**2)))
    return float(np.sum(x * y)) / norm if norm else float("nan")


def _replacement_losses(folder: Path, space: SearchSpace, archs: Sequence[Arch]) -> list[float]:
    """The sum of the replacement losses of each architecture; [] if none are kept."""
    if not is_kept(folder, REPLACEMENT):
        return []
    options = read_artefact(folder, REPLACEMENT, Losses).options
    rows = [[0.0 if x is None else x for x in options[choice.name]] for choice in space.choices]
    return [sum(row[option] for row, option in zip(rows, arch, strict=True)) for arch in archs]


def _stand_alone_accuracy(folder: Path, trainer: Callable[[Arch], float], code: str, arch: Arch, epochs: int) -> float:
    """The accuracy of one network trained by itself: from the run's folder, or trained now and written there.

    Nothing else is made from the file: one that is damaged or gone is begun again.
    """
    name = f"ranking-{epochs}-epochs"
    is_whole = state_of(folder / f"{name}.json") is State.WHOLE
    known = dict(read_artefact(folder, name, StandAlone).accuracy) if is_whole else {}
    if code not in known:
        known[code] = trainer(arch)
        write_artefact(folder, name, StandAlone(known))  # after each, as the next one may be interrupted
    return known[code]
