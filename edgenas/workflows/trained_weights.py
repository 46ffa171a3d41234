"""Shared weights that a run has trained, and the problem that they were trained for."""

from __future__ import annotations

from dataclasses import replace

import torch

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.objective import SCORED_UP_TO, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.pruning import Pruning
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import CHECKPOINT, read_trials
from edgenas.nn.supernet import Supernet
from edgenas.system import checkpoint
from edgenas.training.settings import Settings, batch_size_for, steps_of
from edgenas.workflows.context import Context
from edgenas.workflows.given import Given, options_of, strategy_of
from edgenas.workflows.source_run import unfinished
from edgenas.workflows.task import Priced


def trained_weights(priced: Priced, given: Given, ctx: Context) -> tuple[Supernet, Problem]:
    """Return the shared weights in a run folder, and the problem whose feasible architectures they were trained for.

    Args:
        priced: data, costs and problem as the search had them.
        given: objects that stand for names of the configuration.
        ctx: with the run's folder.

    Raises:
        UsageError: the run did not come so far.
        CheckpointError: the weights are damaged, or another version's.
    """
    return _of_strategy(priced, given, ctx) if priced.config.evaluator == "shared" else _of_evaluator(priced, ctx)


def _of_evaluator(priced: Priced, ctx: Context) -> tuple[Supernet, Problem]:
    """The supernet that was trained before the search, on what any reward form scores."""
    path = ctx.folder.path / "supernet.pt"
    payload = checkpoint.load_kept(path)
    checkpoint.check_identity(path, payload, priced.identity)
    images = len(priced.data.train)
    supernet = Supernet(priced.space, torch.Generator().manual_seed(priced.config.seed)).to(priced.torch_device)
    with checkpoint.understood(path):
        steps = steps_of(Settings(int(payload["identity"]["epochs"]), batch_size_for(images)), images)
        if (step := int(payload["step"])) < steps:
            raise unfinished(ctx.folder.path, f"its supernet is at step {step} of {steps}")
        checkpoint.load_weights(supernet, payload["module"])
    # It is trained on all that any form of reward scores, so that a run may reuse it under another form.
    return supernet, _trained(priced, priced.problem, max(SCORED_UP_TO.values()))


def _of_strategy(priced: Priced, given: Given, ctx: Context) -> tuple[Supernet, Problem]:
    """The weights that a strategy trained, on what it could propose."""
    config, path = priced.config, ctx.folder.path
    kind = strategy_of(config, given)
    strategy = kind.build(priced, ctx, options_of(config, kind))
    payload = checkpoint.load_kept(path / CHECKPOINT)
    # By the trials that the state has seen: a strategy is narrowed first, and then loads a state from after that.
    if config.prune:
        pruning = Pruning(priced.problem, strategy, config.trials, ctx.rng("pruning"), lambda line: None)
        pruning.advance(read_trials(path)[: payload["trials"]])
    with checkpoint.understood(path / CHECKPOINT):
        strategy.load_state_dict(payload["strategy"])
    widest = SCORED_UP_TO[priced.problem.objective.form]
    return _supernet(strategy), _trained(priced, strategy.problem, widest)


def _supernet(strategy: Strategy) -> Supernet:
    """The weights that a strategy trains."""
    assert isinstance(strategy.evaluator, SupernetEvaluator)  # `trains_weights` says so
    return strategy.evaluator.supernet


def _trained(priced: Priced, problem: Problem, widest: float) -> Problem:
    """`problem` with `widest` times the run's budgets."""
    budgets = {limit.metric: widest * limit.bound for limit in priced.task.limits}
    return replace(problem, objective=Objective(budgets))
