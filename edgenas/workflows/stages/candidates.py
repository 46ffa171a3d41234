"""From a search to the architectures that are worth training: scored again, ranked, measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import numpy as np

from edgenas.errors import BudgetError
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.feasible import fill_budget, network_keys, repair
from edgenas.exploration.objective import Metrics, in_words, standard_errors_below
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.latency.table import NetRow
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Candidate, Selection
from edgenas.workflows.stages.fill import fill
from edgenas.workflows.stages.measured import measure_candidates
from edgenas.workflows.task import Priced

GROWN = 2  # larger variants of each of the best
REPAIRED = 8  # variants of each trained network whose weights are inherited, made to fit
ATTEMPTS = 4  # refits of the correction before giving up
SAFE = 0.1  # of the budget, kept free by a finalist to fall back on where nothing can be measured yet


def select(
    priced: Priced,
    evaluator: Evaluator,
    study: Study,
    strategy: Strategy,
    ctx: Context,
    *,
    earlier: int,
    excluded: Set[Arch],
) -> Selection:
    """Choose the finalists: architectures that were measured to meet the budget, best shared-weight accuracy first.

    Where the device is not this machine, those that the gate lets pass are taken unmeasured, and the last of them
    leaves a tenth of the budget free: a device is not always as fast as when its table was measured.

    Candidates are what the strategy recommends or knows to be good, the best trials, trained networks whose weights are
    inherited, made to fit if need be, and larger variants of these that still fit, all scored again on the final
    weights and the whole validation split. Those that are measured above the budget are recorded as misses and refit
    the correction; the next ones are tried. A miss that is better than what is accepted in the end is measured once
    more, as a machine may be slow for minutes. Where the machine was too busy to tell, those that may meet the budget
    are taken after those that do.

    Args:
        priced: the task, by the prices of the search.
        evaluator: scores candidates on the final weights.
        study: all trials.
        strategy: recommends candidates.
        ctx: randomness and progress.
        earlier: how many selections there were before, whose finalists all missed.
        excluded: those finalists.

    Raises:
        BudgetError: no candidate met the budget.
    """
    wanted = priced.config.finalists
    scores: dict[Arch, Metrics] = {}
    tried: dict[Arch, Candidate] = {}
    misses: dict[str, float] = {}

    def ranked() -> list[Arch]:
        found = by_rank(priced, scores)
        return found if priced.task.device.is_here else _with_a_safe_one(priced, found)

    def accepted() -> list[Arch]:  # the best first; None: nobody knows
        return [arch for arch in ranked() if arch in tried and tried[arch].met is not False]

    # Numbered through all selections of a run, so that a later one draws other variants than the first did.
    for attempt in range(earlier, earlier + ATTEMPTS):
        scores |= candidates(priced, evaluator, study, strategy, ctx, attempt)
        left = [arch for arch in ranked() if arch not in {*tried, *excluded}]
        # In groups, as measuring takes seconds each: twice as many as are wanted, since some will miss.
        for group in (left[i : i + 2 * wanted] for i in range(0, len(left), 2 * wanted)):
            tried |= measure_candidates(priced, {arch: scores[arch] for arch in group}, ctx, str(attempt))
            if len(accepted()) >= wanted:
                break
        if accepted():
            break
        # Nothing was accepted, so all that was measured are misses.
        misses = {row.arch: row.measured_ms for row in tried.values() if row.measured_ms is not None}
        priced = refitted(priced, misses)
    tried |= _once_more(priced, tried, scores, accepted(), ctx, "again")
    if accepted() and priced.task.device.is_here and not evaluator.own_weights:
        more = fill(priced, evaluator, strategy, {arch: tried[arch] for arch in accepted()[:wanted]}, ctx)
        tried |= more.rows
        scores |= more.scores
        known = {arch: row for arch, row in tried.items() if arch in more.rows or row.met is not False}
        tried |= _once_more(priced, known, scores, accepted(), ctx, "filled once more")
    misses = {code: ms for code, ms in misses.items() if tried[priced.space.parse(code)].met is False}
    # Of disturbed samples none decides that there is nothing to train.
    found = accepted() or sorted((a for a, row in tried.items() if not row.clean), key=lambda a: _ms(tried[a]))
    if not found:
        raise BudgetError(_none_within(priced, list(tried.values())))
    found.sort(key=lambda arch: tried[arch].met is not True)
    codes = tuple(priced.space.code(arch) for arch in found[:wanted])
    return Selection(codes, tuple(tried.values()), tuple(strategy.notes), misses)


def _once_more(
    priced: Priced,
    tried: Mapping[Arch, Candidate],
    scores: Mapping[Arch, Metrics],
    accepted: Sequence[Arch],
    ctx: Context,
    stream: str,
) -> dict[Arch, Candidate]:
    """Measure networks again that missed the budget and are better than the finalists; return those that keep it now.

    Twice as many at most as there are to be finalists; none where nothing was accepted.
    """
    wanted = priced.config.finalists
    ranked = by_rank(priced, {arch: scores[arch] for arch in tried})
    places = [place for place, arch in enumerate(ranked) if arch in accepted][:wanted]
    better = [arch for arch in ranked[: max(places, default=0)] if tried[arch].met is False][: 2 * wanted]
    rows = measure_candidates(priced, {arch: scores[arch] for arch in better}, ctx, stream) if better else {}
    return {arch: row for arch, row in rows.items() if row.met}


def _ms(row: Candidate) -> float:
    return np.inf if row.measured_ms is None else row.measured_ms


def _none_within(priced: Priced, tried: Sequence[Candidate]) -> str:
    """What to say where no candidate meets the budget."""
    figures = ""
    if tried:
        closest = min(tried, key=_ms)
        figures = f"; the fastest was predicted {closest.predicted_ms:.3f}, measured {closest.measured_ms:.3f} ms"
    return f"no architecture was found within {in_words(priced.task.limits)}{figures}; raise the budget"


def candidates(
    priced: Priced, evaluator: Evaluator, study: Study, strategy: Strategy, ctx: Context, attempt: int
) -> dict[Arch, Metrics]:
    """Return feasible architectures under the present correction, with their final scores; no network twice.

    Args:
        priced: the task, by the present prices.
        evaluator: scores on the final weights.
        study: all trials.
        strategy: recommends some.
        ctx: randomness and progress.
        attempt: how often the prices were refitted; after the first time, what no longer fits is repaired.
    """
    problem, wanted = priced.problem, priced.config.finalists
    rng = ctx.rng(f"candidates {attempt}")
    best = [trial.arch for trial in study.best(4 * wanted)]
    trained = priced.task.inherited.finalists if priced.task.inherited else ()
    near = [repair(problem, arch, rng) for arch in trained for _ in range(REPAIRED)]
    proposed = [*filter(None, near), *strategy.recommend(study, 2 * wanted), *best, *strategy.within(problem)]
    # The first prices are those of the search, by which its trials are feasible; refitted ones may refuse all of them.
    if attempt:
        proposed = [arch for arch in (repair(problem, a, rng) for a in proposed) if arch is not None]
    proposed = [arch for arch, fits in zip(proposed, problem.feasible(proposed), strict=True) if fits]
    proposed += [fill_budget(problem, arch, rng) for arch in proposed[:wanted] for _ in range(GROWN)]
    unique = dict(zip(network_keys(priced.space, proposed), proposed, strict=True))
    # A network that was trained by itself has its final score, which would take that training again.
    known = {trial.arch: trial.metrics for trial in study.candidates()} if evaluator.own_weights else {}
    scores = {}
    for i, arch in enumerate(unique.values()):
        scores[arch] = known.get(arch) or evaluator.final(arch)
        ctx.progress(i + 1, len(unique), "scoring again")
    return scores


def by_rank(priced: Priced, scores: Mapping[Arch, Metrics]) -> list[Arch]:
    """Return the best accuracy first; among those that the validation split cannot tell apart, the larger network.

    Shared weights favour small networks, which they train more; what fills the budget gains more from its own training.
    So the last of several finalists is the largest network. Cuts of a teacher have the weights of one network that was
    trained to the end, which favours none of them, and go by quality alone.
    """
    macs = dict(zip(scores, priced.costs.macs.many(priced.space, list(scores)), strict=True))
    if priced.teacher is not None:
        quality = priced.problem.objective.quality
        return sorted(scores, key=lambda arch: (-scores[arch][quality], -macs[arch], arch))
    accuracies = [metrics["accuracy"] for metrics in scores.values()]
    below = dict(zip(scores, standard_errors_below(accuracies, len(priced.data.validation)), strict=True))
    ranked = sorted(scores, key=lambda arch: (below[arch], -macs[arch], arch))
    largest = max(ranked, key=lambda arch: macs[arch], default=None)
    return ranked if largest is None else _with_last(ranked, largest, priced.config.finalists)


def _with_last(ranked: list[Arch], arch: Arch, finalists: int) -> list[Arch]:
    """The same, with this one as the last of the first `finalists`, if these are several and lack it."""
    last = finalists - 1
    if not last or arch in ranked[: last + 1]:
        return ranked
    others = [a for a in ranked if a != arch]
    return [*others[:last], arch, *others[last:]]


def _with_a_safe_one(priced: Priced, ranked: list[Arch]) -> list[Arch]:
    """The same, with the first that keeps clear of the budget among the finalists, if there are to be several."""
    budget_ms, wanted = priced.task.budget_ms, priced.config.finalists
    gate_ms = priced.costs.gate.many(priced.space, ranked)
    safe = [arch for arch, ms in zip(ranked, gate_ms, strict=True) if ms <= (1 - SAFE) * budget_ms]
    first = set(ranked[:wanted])
    return ranked if not safe or first & {*safe} else _with_last(ranked, safe[0], wanted)


def refitted(priced: Priced, misses_ms: Mapping[str, float]) -> Priced:
    """Return the task with other prices: misses join the networks that the correction is fitted on.

    Args:
        priced: the task.
        misses_ms: measured latencies in ms, by code; without any, the prices stay.
    """
    if not misses_ms:
        return priced
    # One figure stands for all of a row: the correction is fitted on `ms` alone.
    nets = [NetRow(priced.space.spec, code, ms, ms, 1) for code, ms in misses_ms.items()]
    return priced.refit(priced.table.extended({}, nets))
