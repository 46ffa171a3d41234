"""The end of a search: train finalists until one is measured within the budget, and deliver it."""

from __future__ import annotations

import math
from collections.abc import Set
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.graph.graph import Arch
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.context import Context
from edgenas.workflows.result import Result
from edgenas.workflows.stages.artefacts import Selection, Verdict
from edgenas.workflows.stages.candidates import ATTEMPTS, refitted, select
from edgenas.workflows.stages.controls import with_controls
from edgenas.workflows.stages.deliver import (
    Chosen,
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

    If all finalists are above the budget, their latencies refit the correction, and the next ones on the front are
    tried. Where the machine was too busy to tell, the most accurate that may meet it is delivered. On a device that is
    not this machine nothing is measured yet.

    Raises:
        BudgetError: all missed, again and again.
    """
    trained: list[Finalist] = []
    if not priced.task.device.is_here:
        selection = _train_selected(priced, evaluator, strategy, study, ctx, 0, frozenset(), trained)
        priced = refitted(priced, selection.misses_ms)
        return choose_unmeasured(priced, trained, selection, ctx), trained
    missed: dict[Arch, Verdict] = {}
    doubtful: list[Chosen] = []  # those that missed by disturbed samples
    for attempt in range(ATTEMPTS):
        selection = _train_selected(priced, evaluator, strategy, study, ctx, attempt, frozenset(missed), trained)
        # As in `select`, whose work is read from its artefact in a resumed run.
        priced = refitted(priced, selection.misses_ms)
        first = len(trained) - len(selection.finalists)
        unknown: list[Chosen] = []
        # The best first: the rest need no measurement once one meets the budget.
        finalists = dict(enumerate(trained[first:], start=first))
        accuracy, folds = decisive_accuracies(priced, finalists, attempt, ctx)
        for number in sorted(accuracy, key=lambda i: -accuracy[i]):
            files = exported(priced, trained[number], number, ctx)
            found = verdict(priced.task, files, measured(priced, number, ctx).figures)
            chosen = Chosen(number, trained[number], selection, found, len(missed), priced, folds)
            if found.met:
                return chosen, trained
            if found.met is None:
                unknown.append(chosen)
                continue
            missed[trained[number].arch] = found
            if not found.too_large and not all(figure.clean for figure in found.figures.values()):
                doubtful.append(chosen)
        if unknown:
            return unknown[0], trained
        priced = refitted(priced, _measured_ms(priced, missed))
    if doubtful:
        least = min(doubtful, key=lambda chosen: _budget_ms(chosen.verdict, priced))
        return replace(least, verdict=replace(least.verdict, met=None)), trained
    raise none_met(priced, list(missed.values()))


def _budget_ms(found: Verdict, priced: Priced) -> float:
    """The latency in the precision of the budget; infinite if there is none."""
    figure = found.figures.get(priced.task.device.precision)
    return math.inf if figure is None or figure.ms is None else figure.ms


def _measured_ms(priced: Priced, missed: dict[Arch, Verdict]) -> dict[str, float]:
    """What was measured of the finalists that missed, in the precision of the budget, by code."""
    precision = priced.task.device.precision
    figures = {priced.space.code(arch): found.figures.get(precision) for arch, found in missed.items()}
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
            trained.append(train_finalist(priced.task, evaluator, ctx, priced.space.parse(code), number, share))
    return chosen


def _title(chosen: Selection, code: str, number: int, of: int) -> str:
    """What is said of a training."""
    names = [name for name, control in chosen.controls.items() if control == code]
    return f"train {number} of {of}: {'control ' + ' and '.join(names) if names else 'finalist'}"


def selection_file(attempt: int) -> str:
    """Return the name of the artefact that lists the finalists of an attempt."""
    return f"finalists-{attempt}" if attempt else "finalists"


def trained_codes(run_folder: Path) -> list[str]:
    """Return the codes of the trained architectures, by the number in their files' names."""
    names = map(selection_file, count())
    there = takewhile(lambda name: (run_folder / f"{name}.json").exists(), names)
    return [code for name in there for code in read_artefact(run_folder, name, Selection).finalists]
