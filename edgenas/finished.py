"""A run folder that was searched, opened for what was trained there: settings, data, space, shared weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from edgenas import plugins
from edgenas.config import Config, make_config, read_toml
from edgenas.cost.table import read_table
from edgenas.engine import checkpoint
from edgenas.engine.settings import batch_size_for
from edgenas.errors import CheckpointError, UsageError
from edgenas.evaluators._slices import SupernetEvaluator
from edgenas.evaluators.shared import SharedEvaluator
from edgenas.folder import CONFIG, KeptFolder, read_artefact
from edgenas.nn.supernet import Supernet
from edgenas.objective import SCORED_UP_TO, Objective
from edgenas.problem import Problem
from edgenas.progress import Reporter
from edgenas.pruning import Pruning
from edgenas.run import Run
from edgenas.strategies._base import Strategy
from edgenas.study import CHECKPOINT, TRIALS, read_trials

SOURCE = "source"  # in the folder of a specialised run: what it keeps of the run whose weights it uses
PREPARED = (CONFIG, "bounds.json", "narrow.json", "table.csv")
WEIGHTS = {"supernet": ("supernet.pt",), "shared": (CHECKPOINT, TRIALS, "finalists.json")}  # by evaluator


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


def open_finished(folder: Path, reporter: Reporter, **moved: Any) -> Finished:
    """Open the folder of a search whose shared weights are trained; of a specialised run, those that it uses.

    `moved` are settings that may have changed since: where the data is, where networks are trained.

    Raises:
        UsageError: no run of a search, one without shared weights, or one that did not come so far.
        CheckpointError: the weights are damaged, or another version's.
    """
    folder = folder / SOURCE if (folder / SOURCE).is_dir() else folder
    run = Run(replace(_config(folder), **moved), KeptFolder(folder), reporter, lambda: False)
    for name in kept_files(folder, run.config):
        if not (folder / name).exists():
            raise _unfinished(folder, f"{name} is not there")
    run.space = run.space.restrict(read_artefact(folder, "narrow")["allowed"])
    run.set_table(read_table(folder / "table.csv"))
    return _of_strategy(run) if run.config.evaluator == "shared" else _of_evaluator(run)


def kept_files(folder: Path, config: Config) -> list[str]:
    """Names of the files in a run's folder that `open_finished` reads.

    Raises:
        UsageError: the run was not searched, or its evaluator shares no weights.
    """
    if config.evaluator is None:
        raise UsageError(f"{folder} holds no search; give the folder of an `edgenas search`")
    if config.evaluator not in WEIGHTS:
        raise UsageError(
            f"{folder}: its evaluator {config.evaluator} shares no weights; search with --evaluator supernet, "
            "or give the folder of a run that did"
        )
    devices = sorted(path.name for path in folder.glob("device-*.csv"))
    return [*PREPARED, *devices, *WEIGHTS[config.evaluator]]


def _config(folder: Path) -> Config:
    """The settings that a run was begun with."""
    if not (folder / CONFIG).is_file():
        raise UsageError(f"{folder} holds no run; give the folder that `edgenas search` wrote, its --output")
    return make_config(read_toml(folder / CONFIG))


def _of_evaluator(run: Run) -> Finished:
    """The supernet that was trained before the search, on what any reward form scores."""
    path = run.folder.path / "supernet.pt"
    payload = checkpoint.load(path)
    checkpoint.check_identity(path, payload, run.surroundings("supernet", {}).identity)
    images = len(run.data.train)
    steps = max(1, images // batch_size_for(images)) * int(payload["identity"]["epochs"])
    if payload["step"] < steps:
        raise _unfinished(run.folder.path, f"its supernet is at step {payload['step']} of {steps}")
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


def _load(supernet: Supernet, state: dict[str, Any], path: Path) -> None:
    try:
        supernet.load_state_dict(state)
    except RuntimeError as error:  # names or shapes differ
        raise _foreign(path) from error


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: weights of another version of edgenas; search again, with a new --output")


def _unfinished(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"{folder}: the run did not come as far as its trained weights ({why}); go on with "
        f"`edgenas search --output {folder} --resume`"
    )
