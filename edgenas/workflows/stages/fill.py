"""What measurements of candidates leave of the budget, used up by larger networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.feasible import fill_budget, network_keys, repair
from edgenas.exploration.objective import Metrics, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.strategy import Strategy
from edgenas.graph.graph import Arch
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.system.progress import ProgressCallback
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Candidate
from edgenas.workflows.stages.measured import RESERVE, measure_candidates
from edgenas.workflows.task import Priced

STREAMS = ("filled", "filled again", "filled at last")  # each where too few of those before are within the budget
VARIANTS = 6  # of each of the best networks


@dataclass
class Filled:
    """Networks that were measured, and their final scores."""

    rows: dict[Arch, Candidate] = field(default_factory=dict)
    scores: dict[Arch, Metrics] = field(default_factory=dict)


def fill(
    priced: Priced, evaluator: Evaluator, strategy: Strategy, measured: Mapping[Arch, Candidate], ctx: Context
) -> Filled:
    """Measure the best of larger networks that still fit by what was measured.

    A prediction is off by a few percent, by up to a fifth where the machine was slower as the table was measured, and
    by about as much for networks that are alike: measurements say how much more may be predicted. Where fewer of what
    this finds than are to be finalists keep the budget for sure, that says so, too, and it is done once more: else
    finalists would be those of before, which leave a part of the budget.

    Args:
        priced: the task, by the present prices.
        evaluator: scores candidates on the final weights.
        strategy: knows what is good.
        measured: the best candidates so far.
        ctx: randomness and progress.
    """
    found, known, quality = Filled(), dict(measured), priced.problem.objective.quality
    roomy = room(priced, known)
    if roomy is None:
        return found
    for stream in STREAMS:
        best = sorted(known, key=lambda arch: -known[arch].scores[quality])[: priced.config.finalists]
        scores = larger(priced, roomy, evaluator, strategy, best, ctx.rng(stream), ctx.progress)
        rows = measure_candidates(priced, {arch: scores[arch] for arch in scores if arch not in known}, ctx, stream)
        found.scores |= scores
        found.rows |= rows
        known |= rows
        sure = [row.met is True for row in rows.values()]
        if all(sure) or sum(sure) >= priced.config.finalists:
            break
        roomy = room(priced, rows) or roomy  # by those that are nearest to the budget
    return found


def room(priced: Priced, measured: Mapping[Arch, Candidate]) -> Problem | None:
    """Return the problem with the latency that may be predicted, as measured ones leave it; None where none tell."""
    gate, ratios = priced.costs.gate, []
    for arch, row in measured.items():
        if row.clean and row.measured_ms is not None and row.repeat_error is not None:
            if row.repeat_error <= MAX_REPEAT_ERROR:
                ms = row.measured_ms * (1 + RESERVE) * (1 + row.repeat_error)
                ratios.append(ms / float(gate.many(priced.space, [arch])[0]))
    if not ratios:
        return None
    bound = priced.task.budget_ms / float(np.median(ratios))
    return replace(priced.problem, objective=Objective({**priced.problem.objective.budgets, gate.metric: bound}))


def larger(
    priced: Priced,
    roomy: Problem,
    evaluator: Evaluator,
    strategy: Strategy,
    best: Sequence[Arch],
    rng: Generator,
    progress: ProgressCallback,
) -> dict[Arch, Metrics]:
    """Return the best of the networks within `roomy`, with their final scores.

    They are what the strategy knows to be good there, and variants of the best so far, made to fit and enlarged.

    Args:
        priced, evaluator, strategy: as in `fill`.
        roomy: the problem, with the budget as measurements leave it.
        best: so far.
        rng: for everything that is drawn here.
        progress: called with networks scored, all of them, and a few words.
    """
    drawn = strategy.within(roomy)
    fitting = [repair(roomy, arch, rng) for arch in best for _ in range(VARIANTS)]
    drawn = [*drawn, *(fill_budget(roomy, arch, rng) for arch in fitting if arch is not None)]
    unique = dict(zip(network_keys(priced.space, drawn), drawn, strict=True))
    scores = {}
    for i, arch in enumerate(unique.values()):
        scores[arch] = evaluator.final(arch)
        progress(i + 1, len(unique), "using up the budget")
    ranked = sorted(scores, key=lambda arch: -scores[arch][roomy.objective.quality])
    return {arch: scores[arch] for arch in ranked[: 2 * priced.config.finalists]}
