"""Controls: what a person would have made of the trained network without a search, at the same budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.feasible import fill_budget
from edgenas.exploration.objective import ACCURACY, AGREEMENT, Objective
from edgenas.exploration.problem import Problem
from edgenas.graph.graph import Arch
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.spaces.base import SearchSpace
from edgenas.workflows.config import Config
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Candidate, Selection
from edgenas.workflows.stages.codes import member_code, smaller_member
from edgenas.workflows.stages.finalists import Finalist
from edgenas.workflows.stages.measured import measure_candidates
from edgenas.workflows.task import Priced

LADDER, UNIFORM, LARGEST, SMALLER = "ladder", "uniform", "largest", "smaller"
ALL_UP_TO = 5_000  # training images: beyond, three more trainings take as long as the whole search
TRIES, ROUNDS = 4, 3  # networks of a control that are measured together, and how often, until one meets the budget


def wanted_controls(config: Config, images: int) -> tuple[str, ...]:
    """Return which controls a run trains.

    Args:
        config: with `controls`; None takes all of them where there is time for them.
        images: of the training set.
    """
    chosen = config.controls or ("all" if images <= ALL_UP_TO and config.minutes is None else LADDER)
    return {"all": (LADDER, UNIFORM, LARGEST, SMALLER), LADDER: (LADDER,), "none": ()}[chosen]


def control_networks(priced: Priced, ctx: Context, name: str) -> list[Arch]:
    """Return the architectures of a control that may meet the budget, the best first, a dozen at most.

    On this machine a measurement decides among them; elsewhere they are predicted to meet it.

    `ladder`: the whole network at the highest resolution that fits. `uniform`: the same share of every block, the
    largest network that fits. `largest`: the whole network's smallest cut, enlarged at random until nothing more fits.
    `smaller`: as `ladder`, where the space is that of the next smaller network of the family.

    Args:
        priced: the task, whose space is that of a trained network.
        ctx: randomness.
        name: of the control.
    """
    problem, space = priced.problem, priced.task.space
    assert isinstance(space, PretrainedSpace)
    if name == LARGEST:
        rng = ctx.rng("control largest")
        smallest = tuple(max(allowed) for allowed in space.allowed)
        fits = bool(problem.feasible([smallest])[0])
        return list({fill_budget(problem, smallest, rng): None for _ in range(TRIES)}) if fits else []
    ladder = _ladder(space, space.whole)
    archs = list(_uniform(space, ladder)) if name == UNIFORM else ladder
    kept = [arch for arch, fits in zip(archs, _hopeful(priced).feasible(archs), strict=True) if fits]
    macs = dict(zip(kept, priced.costs.macs.many(space, kept), strict=True))
    return list(islice(sorted(kept, key=lambda arch: -macs[arch]), TRIES * ROUNDS))


def with_controls(priced: Priced, evaluator: Evaluator, selection: Selection, ctx: Context) -> Selection:
    """Return a selection with the controls of the run among the finalists, behind those of the search.

    Of each control the first network that is not measured above the budget is taken, and scored; one that the search
    found, too, is trained once.

    Args:
        priced: the task, by the present prices.
        evaluator: scores them as it did the candidates.
        selection: of the search.
        ctx: randomness and progress.
    """
    if priced.task.teacher is None:
        return selection
    rows, controls = {row.arch: row for row in selection.candidates}, {}
    names = wanted_controls(priced.config, len(priced.data.train))
    for own, of in _by_network(priced, names):
        tries = {name: control_networks(own, ctx, name) for name in of}
        code_of = own.space.code if own is priced else partial(member_code, own)
        for name, arch in _first_that_fit(own, tries, rows, code_of, ctx).items():
            controls[name] = code = code_of(arch)
            if own is priced and rows[code].accuracy is None:
                scores = evaluator.final(arch)
                rows[code] = replace(rows[code], accuracy=scores[ACCURACY], agreement=scores.get(AGREEMENT))
    finalists = tuple(dict.fromkeys((*selection.finalists, *controls.values())))
    return replace(selection, finalists=finalists, candidates=tuple(rows.values()), controls=controls)


def _first_that_fit(
    priced: Priced,
    tries: Mapping[str, Sequence[Arch]],
    rows: dict[str, Candidate],
    code_of: Callable[[Arch], str],
    ctx: Context,
) -> dict[str, Arch]:
    """Of each control the first network that is not measured above the budget; what was measured goes to `rows`."""
    found: dict[str, Arch] = {}
    for first in range(0, TRIES * ROUNDS, TRIES):
        left = {name: archs[first : first + TRIES] for name, archs in tries.items() if name not in found}
        unknown = [arch for archs in left.values() for arch in archs if code_of(arch) not in rows]
        new = _measured(priced, unknown, ctx) if unknown else {}
        rows |= {code_of(arch): replace(row, arch=code_of(arch)) for arch, row in new.items()}
        for name, archs in left.items():
            fitting = [arch for arch in archs if rows[code_of(arch)].met is not False]
            found |= {name: fitting[0]} if fitting else {}
    return found


def _by_network(priced: Priced, names: Sequence[str]) -> Iterator[tuple[Priced, list[str]]]:
    """The controls of the run's network, and the one of the next smaller network, each with its prices."""
    yield priced, [name for name in names if name != SMALLER]
    smaller = smaller_member(priced) if SMALLER in names else None
    if smaller is not None:
        yield smaller, [SMALLER]


def _measured(priced: Priced, archs: Sequence[Arch], ctx: Context) -> dict[Arch, Candidate]:
    """Rows without scores, of one interleaved run, so that all meet the same machine; misses are timed twice."""
    rows = measure_candidates(priced, dict.fromkeys(archs, {}), ctx, "controls")
    missed: list[Arch] = [arch for arch, row in rows.items() if row.met is False]
    again = measure_candidates(priced, dict.fromkeys(missed, {}), ctx, "controls again")
    return rows | {arch: row for arch, row in again.items() if row.met}


def trained_controls(selection: Selection, trained: Sequence[Finalist]) -> dict[str, dict[str, float | str]]:
    """Return what became of the controls, by name: `arch`, `validation_accuracy`, `validation_loss`, and `latency_ms`.

    Args:
        selection: with the controls.
        trained: all that was trained.
    """
    scores = {finalist.code: finalist.scores for finalist in trained}
    rows = {row.arch: row for row in selection.candidates}
    latency = {code: row.predicted_ms if row.measured_ms is None else row.measured_ms for code, row in rows.items()}
    return {
        name: {
            **{"arch": code, "latency_ms": latency[code]},
            **{"validation_accuracy": scores[code].accuracy, "validation_loss": scores[code].loss},
        }
        for name, code in selection.controls.items()
    }


def _hopeful(priced: Priced) -> Problem:
    """The problem, with the low end of the predicted latency against the budget where the device is here."""
    if not priced.task.device.is_here:
        return priced.problem
    budgets, costs = dict(priced.problem.objective.budgets), priced.costs
    budgets[costs.low.metric] = budgets.pop(costs.gate.metric)
    return replace(priced.problem, objective=Objective(budgets))


def _ladder(space: SearchSpace, whole: Arch) -> list[Arch]:
    """The whole network at each of its resolutions."""
    place = space.index["resolution"]
    return [(*whole[:place], option, *whole[place + 1 :]) for option in range(len(space.choices[place].options))]


def _uniform(space: SearchSpace, ladder: Sequence[Arch]) -> Iterator[Arch]:
    """The whole network with the same share of each block's hidden channels, at each of its resolutions."""
    shares = {i: [o for o in choice.options if o != 0] for i, choice in enumerate(space.choices) if _cuts(choice.name)}
    for base in ladder:
        for share in sorted({share for options in shares.values() for share in options if share != 1}, reverse=True):
            arch = list(base)
            for place, options in shares.items():
                if share in options:
                    arch[place] = space.choices[place].options.index(share)
            yield tuple(arch)


def _cuts(name: str) -> bool:
    return name.endswith(".expand")
