"""A run folder that was searched, opened for what was trained there: settings, data, space, shared weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgenas.errors import CheckpointError
from edgenas.evaluators.shared import SharedEvaluator
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
from edgenas.system import checkpoint, plugins
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import KeptFolder, read_artefact
from edgenas.training.settings import Settings, batch_size_for, steps_of
from edgenas.workflows.inherited import FINALISTS, RESULT, SOURCE, begun_with, kept_files, unfinished
from edgenas.workflows.run import Run


@dataclass(frozen=True)
class Finished:
    """What a search left.

    `run` has its data, table, costs and problem as the search had them; its folder is only read. `supernet` holds the
    trained weights, on the training device. Training reached the feasible architectures of `trained`, and no others.
    """

    run: Run
    supernet: Supernet
    trained: Problem

    def evaluator(self) -> SupernetEvaluator:
        """Scores slices of the weights on the run's data."""
        return SupernetEvaluator(self.supernet, self.run.data)

    def finalists(self) -> dict[Arch, Network]:
        """The networks that were trained to the end, the delivered one first; none of a run without a result yet."""
        run, found = self.run, dict[Arch, Network]()
        if not (run.folder.path / RESULT).exists():
            return found
        for path in sorted(run.folder.path.glob(FINALISTS)):
            payload = checkpoint.load(path)
            arch = run.space.parse(payload["identity"]["arch"])
            if is_allowed(self.trained.space, arch):
                network = Network(run.space.graph(arch))
                _load(network, network_state(payload["module"]), path)
                found[arch] = network.to(run.torch_device).to(memory_format=torch.channels_last)
        delivered = read_artefact(run.folder.path, "result")["arch"]
        return {arch: found[arch] for arch in sorted(found, key=lambda arch: run.space.code(arch) != delivered)}


def open_finished(folder: Path, reporter: Reporter, **moved: Any) -> Finished:
    """Open the folder of a search whose shared weights are trained; of a specialised run, those that it uses.

    `moved` are settings that may have changed since: where the data is, where networks are trained.

    Raises:
        UsageError: no run of a search, one without shared weights, or one that did not come so far.
        CheckpointError: the weights are damaged, or another version's.
    """
    folder = folder / SOURCE if (folder / SOURCE).is_dir() else folder
    config = begun_with(folder)
    kept_files(folder, config)
    run = Run(replace(config, **moved), KeptFolder(folder), reporter, lambda: False)
    run.space = run.space.restrict(read_artefact(folder, "narrow")["allowed"])
    run.set_table(read_table(folder / "table.csv"))
    return _of_strategy(run) if run.config.evaluator == "shared" else _of_evaluator(run)


def _of_evaluator(run: Run) -> Finished:
    """The supernet that was trained before the search, on what any reward form scores."""
    path = run.folder.path / "supernet.pt"
    payload = checkpoint.load(path)
    checkpoint.check_identity(path, payload, run.surroundings("supernet", {}).identity)
    images = len(run.data.train)
    steps = steps_of(Settings(int(payload["identity"]["epochs"]), batch_size_for(images)), images)
    if payload["step"] < steps:
        raise unfinished(run.folder.path, f"its supernet is at step {payload['step']} of {steps}")
    supernet = Supernet(run.space, torch.Generator().manual_seed(run.config.seed)).to(run.torch_device)
    _load(supernet, payload["module"], path)
    return Finished(run, supernet, _trained(run, run.problem, max(SCORED_UP_TO.values())))


def _of_strategy(run: Run) -> Finished:
    """The weights that a strategy trained, on what it could propose."""
    path = run.folder.path
    strategy: Strategy = plugins.load("strategies", run.config.strategy).build(run)
    payload = checkpoint.load(path / CHECKPOINT)
    if run.config.prune:
        pruning = Pruning(run.problem, strategy, run.config.trials, run.rng("pruning"), lambda line: None)
        pruning.advance(read_trials(path)[: payload["trials"]])
    try:
        strategy.load_state_dict(payload["strategy"])
    except (KeyError, RuntimeError) as error:
        raise _foreign(path / CHECKPOINT) from error
    evaluator = run.evaluator
    assert isinstance(evaluator, SharedEvaluator)
    reach = SCORED_UP_TO[run.problem.objective.form]
    return Finished(run, evaluator.supernet, _trained(run, strategy.problem, reach))


def _trained(run: Run, problem: Problem, reach: float) -> Problem:
    """`problem` with `reach` times the run's budgets."""
    budgets = {limit.metric: reach * limit.bound for limit in run.limits}
    return replace(problem, objective=Objective(budgets), evaluator=run.evaluate)


def _load(module: torch.nn.Module, state: dict[str, Any], path: Path) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:  # names or shapes differ
        raise _foreign(path) from error


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: weights of another version of edgenas; search again, with a new --output")
