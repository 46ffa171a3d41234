"""What each option costs by itself, measured before a search that can begin with it."""

from __future__ import annotations

from functools import partial

from edgenas.evaluators.shared_weights.replacement import Divergence, option_losses
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.strategy import Strategy
from edgenas.graph.graph import Arch
from edgenas.pretrained.converter.space import PretrainedSpace
from edgenas.spaces.base import SearchSpace
from edgenas.system import distributed
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Losses
from edgenas.workflows.task import Priced

REPLACEMENT = "replacement"  # name of the stage and of its artefact


def expect(priced: Priced, evaluator: Evaluator, strategy: Strategy, ctx: Context) -> None:
    """Tell a strategy that can use it how far each option by itself takes the whole network from the teacher.

    Only networks that are cut out of a teacher, and share its weights, can be compared so.
    """
    if priced.task.teacher is None or not strategy.expects or not isinstance(evaluator, SupernetEvaluator):
        return
    with ctx.stage(REPLACEMENT, "what each option costs by itself"):
        make = partial(_losses, priced, evaluator, ctx)
        losses = ctx.folder.artefact(REPLACEMENT, Losses, lambda: distributed.first(make))
    strategy.expect([[0.0 if x is None else -x for x in losses.options[c.name]] for c in priced.space.choices])


def _losses(priced: Priced, evaluator: SupernetEvaluator, ctx: Context) -> Losses:
    teacher, space = priced.task.teacher, priced.space
    assert teacher is not None
    base = _base(space)
    divergence = Divergence(evaluator.supernet, teacher, priced.data.train)
    found = option_losses(divergence, space, base, ctx.progress)
    rows = zip(space.choices, found, strict=True)
    return Losses(space.code(base), {choice.name: tuple(row) for choice, row in rows})


def _base(space: SearchSpace) -> Arch:
    """The whole network at the middle one of the shape choices that are looked at: what holds there holds near it."""
    assert isinstance(space, PretrainedSpace)
    options = {i: space.allowed[i] for i in space.static_indices}
    whole = enumerate(space.whole)
    return tuple(options[i][(len(options[i]) - 1) // 2] if i in options else option for i, option in whole)
