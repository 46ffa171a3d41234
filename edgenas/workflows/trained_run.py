"""A run folder that was searched, opened for what was trained there: settings, data, space, shared weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from edgenas.errors import CheckpointError
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.objective import SCORED_UP_TO, Objective
from edgenas.exploration.problem import Problem
from edgenas.exploration.pruning import Pruning
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import CHECKPOINT, read_trials
from edgenas.graph.graph import Arch
from edgenas.latency.table import read_table
from edgenas.nn.auxiliary import network_state
from edgenas.nn.network import Network
from edgenas.nn.supernet import Supernet
from edgenas.spaces.sampling import is_allowed
from edgenas.system import checkpoint
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import KeptFolder, read_artefact
from edgenas.training.settings import Settings, batch_size_for, steps_of
from edgenas.workflows.config import Config
from edgenas.workflows.context import Context
from edgenas.workflows.given import Given, options_of, strategy_of
from edgenas.workflows.result import Result
from edgenas.workflows.setup import make_task, plain_task
from edgenas.workflows.source_run import FINALISTS, RESULT, SOURCE, begun_with, kept_files, unfinished
from edgenas.workflows.stages.artefacts import Narrowing
from edgenas.workflows.task import Priced, narrowed, price


@dataclass(frozen=True)
class TrainedRun:
    """What a search left.

    Args:
        priced: data, table, costs and problem as the search had them.
        context: with a folder that is only read.
        supernet: the trained weights, on the training device.
        trained: the problem whose feasible architectures were trained, and no others.
    """

    priced: Priced
    context: Context
    supernet: Supernet
    trained: Problem

    @property
    def config(self) -> Config:
        """The settings of the search."""
        return self.priced.config

    def evaluator(self) -> SupernetEvaluator:
        """Return what scores slices of the weights on the run's data."""
        return SupernetEvaluator(self.supernet, self.priced.data)

    def finalists(self) -> dict[Arch, Network]:
        """Return the networks that were trained to the end, the delivered one first; none before there is a result."""
        space, folder = self.priced.space, self.context.folder.path
        found: dict[Arch, Network] = {}
        if not (folder / RESULT).exists():
            return found
        for path in sorted(folder.glob(FINALISTS)):
            payload = checkpoint.load(path)
            arch = space.parse(payload["identity"]["arch"])
            if is_allowed(self.trained.space, arch):
                network = Network(space.graph(arch))
                _load(network, network_state(payload["module"]), path)
                found[arch] = network.to(self.priced.torch_device).to(memory_format=torch.channels_last)
        delivered = read_artefact(folder, "result", Result).arch
        return {arch: found[arch] for arch in sorted(found, key=lambda arch: space.code(arch) != delivered)}


def open_trained_run(
    folder: Path,
    reporter: Reporter,
    given: Given | None = None,
    moved: Mapping[str, Any] = MappingProxyType({}),
) -> TrainedRun:
    """Open the folder of a search whose shared weights are trained; of a specialised run, those that it uses.

    Args:
        given: objects that stand for names of the configuration.
        moved: settings that may have changed since: where the data is, where networks are trained.

    Raises:
        UsageError: no run of a search, one without shared weights, or one that did not come so far.
        CheckpointError: the weights are damaged, or another version's.
    """
    given = given or Given()
    folder = folder / SOURCE if (folder / SOURCE).is_dir() else folder
    kept_files(folder, begun_with(folder))
    config = replace(begun_with(folder), **moved)
    ctx = Context(KeptFolder(folder), config.seed, reporter)
    task = make_task(plain_task(config, given), given, ctx)
    task = narrowed(task, read_artefact(folder, "narrow", Narrowing).allowed)
    priced = price(task, read_table(folder / "table.csv"))
    opened = _of_strategy if config.evaluator == "shared" else _of_evaluator
    return opened(priced, given, ctx)


def _of_evaluator(priced: Priced, given: Given, ctx: Context) -> TrainedRun:
    """The supernet that was trained before the search, on what any reward form scores."""
    path = ctx.folder.path / "supernet.pt"
    payload = checkpoint.load(path)
    checkpoint.check_identity(path, payload, priced.identity)
    images = len(priced.data.train)
    steps = steps_of(Settings(int(payload["identity"]["epochs"]), batch_size_for(images)), images)
    if payload["step"] < steps:
        raise unfinished(ctx.folder.path, f"its supernet is at step {payload['step']} of {steps}")
    supernet = Supernet(priced.space, torch.Generator().manual_seed(priced.config.seed)).to(priced.torch_device)
    _load(supernet, payload["module"], path)
    return TrainedRun(priced, ctx, supernet, _trained(priced, priced.problem, max(SCORED_UP_TO.values())))


def _of_strategy(priced: Priced, given: Given, ctx: Context) -> TrainedRun:
    """The weights that a strategy trained, on what it could propose."""
    config, path = priced.config, ctx.folder.path
    kind = strategy_of(config, given)
    strategy = kind.build(priced, ctx, options_of(config, kind))
    payload = checkpoint.load(path / CHECKPOINT)
    if config.prune:
        pruning = Pruning(priced.problem, strategy, config.trials, ctx.rng("pruning"), lambda line: None)
        pruning.advance(read_trials(path)[: payload["trials"]])
    try:
        strategy.load_state_dict(payload["strategy"])
    except (KeyError, RuntimeError) as error:
        raise _foreign(path / CHECKPOINT) from error
    reach = SCORED_UP_TO[priced.problem.objective.form]
    return TrainedRun(priced, ctx, _supernet(strategy), _trained(priced, strategy.problem, reach))


def _supernet(strategy: Strategy) -> Supernet:
    """The weights that a strategy trains."""
    assert isinstance(strategy.evaluator, SupernetEvaluator)  # `trains_weights` says so
    return strategy.evaluator.supernet


def _trained(priced: Priced, problem: Problem, reach: float) -> Problem:
    """`problem` with `reach` times the run's budgets."""
    budgets = {limit.metric: reach * limit.bound for limit in priced.task.limits}
    return replace(problem, objective=Objective(budgets))


def _load(module: torch.nn.Module, state: dict[str, Any], path: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:  # names or shapes differ
        raise _foreign(path) from error


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: weights of another version of edgenas; search again, with a new --output")
