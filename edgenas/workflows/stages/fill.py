"""What measurements of candidates leave of the budget, used up by larger networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.feasible import fill_budget, network_keys
from edgenas.exploration.objective import Metrics, Objective
from edgenas.exploration.strategy import Strategy
from edgenas.graph.graph import Arch
from edgenas.runtimes.summary import MAX_REPEAT_ERROR
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Candidate
from edgenas.workflows.stages.measured import RESERVE, measure_candidates
from edgenas.workflows.task import Priced

STREAMS = ("filled", "filled again", "filled at last")  # each where the best of the one before was too large
DRAWN = 4  # larger variants of each network


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
    by about as much for networks that are alike: a measurement says how much more may be predicted. Where the best that
    this finds is too large after all, its own measurement says by how much.

    Args:
        priced: the task, by the present prices.
        evaluator: scores candidates on the final weights.
        strategy: knows what is good.
        measured: the best candidates so far, the best first.
        ctx: randomness and progress.
    """
    found, quality = Filled(), priced.problem.objective.quality
    for stream in STREAMS:
        scores = larger(priced, evaluator, strategy, measured, ctx)
        rows = measure_candidates(priced, scores, ctx, stream)
        found.rows |= rows
        found.scores |= scores
        best = sorted(scores, key=lambda arch: -scores[arch][quality])[: priced.config.finalists]
        if not best or rows[best[0]].met is not False:
            break
        measured = {arch: rows[arch] for arch in best}
    return found


def larger(
    priced: Priced, evaluator: Evaluator, strategy: Strategy, measured: Mapping[Arch, Candidate], ctx: Context
) -> dict[Arch, Metrics]:
    """Return the best of the networks within what measurements leave of the budget, with their final scores.

    They are what the strategy knows to be good there, by the measurement of the first, and larger variants of each.

    Args:
        priced, evaluator, strategy, ctx: as in `fill`.
        measured: networks with their measurements.
    """
    problem, gate = priced.problem, priced.costs.gate
    rng = ctx.rng("filled")
    drawn: list[Arch] = []
    for arch, row in measured.items():
        if row.measured_ms is None or row.repeat_error is None or row.repeat_error > MAX_REPEAT_ERROR or not row.clean:
            continue
        used = row.measured_ms * (1 + RESERVE) * (1 + row.repeat_error) / priced.task.budget_ms
        bound = float(gate.many(priced.space, [arch])[0]) / used
        roomy = replace(problem, objective=Objective({**problem.objective.budgets, gate.metric: bound}))
        drawn += [] if drawn else strategy.within(roomy)
        drawn += [fill_budget(roomy, arch, rng) for _ in range(DRAWN)]
    unique = dict(zip(network_keys(priced.space, drawn), drawn, strict=True))
    scores = {}
    for i, arch in enumerate(arch for arch in unique.values() if arch not in measured):
        scores[arch] = evaluator.final(arch)
        ctx.progress(i + 1, len(unique), "using up the budget")
    best = sorted(scores, key=lambda arch: -scores[arch][problem.objective.quality])[: 2 * priced.config.finalists]
    return {arch: scores[arch] for arch in best}
