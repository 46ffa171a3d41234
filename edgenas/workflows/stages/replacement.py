"""What each option costs by itself, measured before a search that can begin with it."""

from __future__ import annotations

from functools import partial

from edgenas.evaluators.shared_weights.replacement import Divergence, option_losses
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.strategy import Strategy
from edgenas.graph.graph import Arch
from edgenas.pretrained.converter.space import whole_at
from edgenas.spaces.base import SearchSpace
from edgenas.workflows.context import Context
from edgenas.workflows.stages.artefacts import Losses
from edgenas.workflows.task import Priced

REPLACEMENT = "replacement"  # name of the stage and of its artefact
ROUNDS = 2  # of measuring, the second at the size of what is best by the first


def expect(priced: Priced, evaluator: Evaluator, strategy: Strategy, ctx: Context) -> None:
    """Tell a strategy that can use it how far each option by itself takes the whole network from the teacher.

    Only networks that are cut out of a teacher, and share its weights, can be compared so.
    """
    if priced.task.teacher is None or not strategy.expects or not isinstance(evaluator, SupernetEvaluator):
        return
    with ctx.stage(REPLACEMENT, "what each option costs by itself"):
        make = partial(_losses, priced, evaluator, strategy, ctx)
        losses = ctx.folder.artefact(REPLACEMENT, Losses, make)
    strategy.expect(_scores(priced.space, losses))


def _losses(priced: Priced, evaluator: SupernetEvaluator, strategy: Strategy, ctx: Context) -> Losses:
    """What options cost in the whole network, at the size at which they leave the best one.

    At smaller sizes all options cost more, and not all as much more.
    """
    teacher, space = priced.task.teacher, priced.space
    assert teacher is not None
    divergence = Divergence(evaluator.supernet, teacher, priced.data.train)
    base = whole_at(space, _middle(space))
    assert base is not None
    for _ in range(ROUNDS):
        divergence.begin(base)
        found = option_losses(divergence, space, base, ctx.progress)
        rows = zip(space.choices, found, strict=True)
        losses = Losses(space.code(base), {choice.name: tuple(row) for choice, row in rows})
        best = strategy.expect(_scores(space, losses))
        again = None if best is None else whole_at(space, best)
        if again is None or again == base:
            break
        base = again
    return losses


def _scores(space: SearchSpace, losses: Losses) -> list[list[float]]:
    return [[0.0 if x is None else -x for x in losses.options[choice.name]] for choice in space.choices]


def _middle(space: SearchSpace) -> Arch:
    """The middle one of the options that are looked at: what holds there holds near it."""
    return tuple(allowed[(len(allowed) - 1) // 2] for allowed in space.allowed)
