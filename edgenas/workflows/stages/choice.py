"""The end of a search: train finalists until one is measured within the budget, and deliver it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.workflows.context import Context
from edgenas.workflows.result import Result
from edgenas.workflows.stages.artefacts import Selection, Verdict
from edgenas.workflows.stages.candidates import ATTEMPTS, refitted, select
from edgenas.workflows.stages.codes import fresh, is_member, of_code, selection_file
from edgenas.workflows.stages.controls import with_controls
from edgenas.workflows.stages.deliver import (
    Chosen,
    best_first,
    choose_unmeasured,
    decisive_accuracies,
    exported,
    measured,
    none_met,
)
from edgenas.workflows.stages.finalists import Finalist, train_finalist
from edgenas.workflows.stages.outcome import finish
from edgenas.workflows.stages.verdict import verdict
from edgenas.workflows.task import Priced

FIRST, AT_ONCE, AGAIN = "", "at-once", "again"  # turns in which finalists are measured


def deliver(priced: Priced, evaluator: Evaluator, strategy: Strategy, study: Study, ctx: Context) -> Result:
    """Choose finalists, train them, and deliver the most accurate that is measured within the budget.

    For a device that is not this machine, the most accurate of all, until the device's measurements have come.
    """
    chosen, trained = choose(priced, evaluator, strategy, study, ctx)
    return finish(chosen, trained, study, ctx)


def choose(
    priced: Priced, evaluator: Evaluator, strategy: Strategy, study: Study, ctx: Context
) -> tuple[Chosen, list[Finalist]]:
    """Return the finalist to deliver, and all that were trained.

    One that misses by little is measured twice before the next takes its place. If none is within the budget, all are
    measured once more, as a machine may be slow for minutes; then the latencies of misses refit the correction, and the
    next ones on the front are tried. Where the machine was too busy to tell, the most accurate that may meet it is
    delivered. On a device that is not this machine nothing is measured yet.

    Raises:
        BudgetError: all missed, again and again.
    """
    trained: list[Finalist] = []
    if not priced.task.device.is_here:
        selection = _train_selected(priced, evaluator, strategy, study, ctx, 0, frozenset(), trained)
        priced = refitted(priced, selection.misses_ms)
        return choose_unmeasured(priced, trained, selection, ctx), trained
    missed: dict[int, Verdict] = {}
    predicted_ms: dict[str, float] = {}  # by code, before anything was measured
    doubtful: list[Chosen] = []  # those that missed by disturbed samples
    for attempt in range(ATTEMPTS):
        excluded = frozenset(trained[number].arch for number in missed)
        selection = _train_selected(priced, evaluator, strategy, study, ctx, attempt, excluded, trained)
        predicted_ms = {row.arch: row.predicted_ms for row in selection.candidates} | predicted_ms
        # As in `select`, whose work is read from its artefact in a resumed run.
        priced = refitted(priced, selection.misses_ms)
        first = len(trained) - len(selection.finalists)
        finalists = dict(enumerate(trained[first:], start=first))
        accuracy, folds = decisive_accuracies(priced, finalists, attempt, ctx)
        # The best first: the rest need no measurement once one meets the budget.
        ranked = best_first(priced, finalists, accuracy, folds)
        unknown: dict[int, Chosen] = {}
        for number, turn in _turns(ranked, missed):
            files = exported(priced, trained[number], number, ctx)
            found = verdict(priced.task, files, measured(priced, number, ctx, turn).figures)
            if found.met is False and turn == FIRST and _may_keep(priced, found):
                found = verdict(priced.task, files, measured(priced, number, ctx, AT_ONCE).figures)
            own, _ = of_code(priced, trained[number].code)
            misses = first + sum(other in missed for other in ranked[: ranked.index(number)])
            chosen = Chosen(number, trained[number], selection, found, misses, own, priced, folds)
            if found.met:
                return chosen, trained
            if found.met is None:
                if number not in missed:
                    unknown[number] = chosen
                continue
            missed[number] = found
            unknown.pop(number, None)
            if not found.too_large and not all(figure.clean for figure in found.figures.values()):
                doubtful.append(chosen)
        if unknown:
            return next(iter(unknown.values())), trained
        priced = refitted(priced, _measured_ms(priced, {trained[n].code: found for n, found in missed.items()}))
    if doubtful:
        least = min(doubtful, key=lambda chosen: _budget_ms(chosen.verdict, priced))
        return replace(least, verdict=replace(least.verdict, met=None)), trained
    raise none_met(priced, list(missed.values()), [predicted_ms[trained[number].code] for number in missed])


def _turns(ranked: Sequence[int], missed: Mapping[int, Verdict]) -> Iterator[tuple[int, str]]:
    """Finalists, the best first, and all of them once more; not those that have missed as they are too large."""
    for turn in (FIRST, AGAIN):
        for number in ranked:
            if not (turn == AGAIN and number in missed and missed[number].too_large):
                yield number, turn


def _may_keep(priced: Priced, found: Verdict) -> bool:
    """Whether a finalist misses by so little that it is measured once more before a less accurate one takes its place.

    A machine may be slow for a minute.
    """
    figure = found.figures.get(priced.task.device.precision)
    return not found.too_large and figure is not None and figure.may_keep(priced.task.budget_ms)


def _budget_ms(found: Verdict, priced: Priced) -> float:
    """The latency in the precision of the budget; infinite if there is none."""
    figure = found.figures.get(priced.task.device.precision)
    return math.inf if figure is None or figure.ms is None else figure.ms


def _measured_ms(priced: Priced, missed: Mapping[str, Verdict]) -> dict[str, float]:
    """What was measured of the finalists of the run's space that missed, in the precision of the budget, by code."""
    precision = priced.task.device.precision
    figures = {code: found.figures.get(precision) for code, found in missed.items() if not is_member(code)}
    return {code: figure.ms for code, figure in figures.items() if figure is not None and figure.ms is not None}


def _train_selected(
    priced: Priced,
    evaluator: Evaluator,
    strategy: Strategy,
    study: Study,
    ctx: Context,
    attempt: int,
    excluded: Set[Arch],
    trained: list[Finalist],
) -> Selection:
    """Choose finalists, the first time with controls beside them, and add them, trained, to `trained`."""

    def make() -> Selection:
        found = select(priced, evaluator, study, strategy, ctx, earlier=attempt, excluded=excluded)
        return found if attempt else with_controls(priced, evaluator, found, ctx)

    with ctx.stage("finalists", "choose finalists"):
        chosen = ctx.folder.artefact(selection_file(attempt), Selection, make)
    first = len(trained)  # numbers go on through all attempts, as they name files
    for number, code in enumerate(chosen.finalists, start=first):
        with ctx.stage("training", _title(chosen, code, number + 1, first + len(chosen.finalists))):
            share = 1 / (first + len(chosen.finalists) - number)  # those that follow get as much
            own, arch = of_code(priced, code)
            weights = fresh(own.task) if is_member(code) else evaluator
            found = train_finalist(own.task, weights, ctx, arch, number, share)
            trained.append(replace(found, code=code))
    return chosen


def _title(chosen: Selection, code: str, number: int, of: int) -> str:
    """What is said of a training."""
    names = [name for name, control in chosen.controls.items() if control == code]
    return f"train {number} of {of}: {'control ' + ' and '.join(names) if names else 'finalist'}"
