"""A run that searches with the weights of another: its settings, what it keeps of the other, and how far they reach."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.cost.base import CostModel
from edgenas.errors import UsageError
from edgenas.exploration.objective import Limit
from edgenas.exploration.study import CHECKPOINT, TRIALS
from edgenas.runtimes.host import host_name
from edgenas.system import plugins, text
from edgenas.system.run_folder import CONFIG
from edgenas.workflows.config import Config, flag, make_config, read_toml
from edgenas.workflows.presets import ON_TRAINED_WEIGHTS

if TYPE_CHECKING:
    from edgenas.graph.graph import Arch
    from edgenas.nn.network import Network
    from edgenas.workflows.run import Run
    from edgenas.workflows.trained_run import Finished

SOURCE = "source"  # folder inside the run's own: what it keeps of the other run; and artefact: the other's name
PREPARED = (CONFIG, "bounds.json", "narrow.json", "table.csv")
FINALISTS, RESULT = "finalist-*.pt", "result.json"  # kept where they are there
WEIGHTS = {"supernet": ("supernet.pt",), "shared": (CHECKPOINT, TRIALS, "finalists.json")}  # by evaluator
TASK = ("data", "data_root", "size", "download", "strict", "validation_share", "space", "seed", "train_device")
LIMITS = ("max_params", "max_memory_mb", "max_file_mb")
CONDITIONS = ("runtime", "threads")
FREE = ("budget_ms", "budgets_ms", "device", "precision", "strategy", "options", "trials", "minutes", "batch", "prune")
AFTER = ("finalists", "final_epochs", "int8", "output", "resume")
CHANGEABLE = (*FREE, *LIMITS, *CONDITIONS, *AFTER, "data_root", "download", "train_device")


@dataclass(frozen=True)
class Inherited:
    """How far the weights reach: networks within `limits` by `costs`, those of the run that trained them.

    What the run's own budgets imply is left out. `name` is that of the other run's folder. `finalists` are the networks
    that were trained to the end there, the delivered one first; their weights are in the shared ones.
    """

    name: str
    limits: tuple[Limit, ...]
    costs: tuple[CostModel, ...]
    sizes: str
    finalists: Mapping[Arch, Network]

    @property
    def note(self) -> str:
        """For a person."""
        bounds = "".join(f", up to {limit}" for limit in self.limits)
        return (
            f"the weights are those of {self.name}, trained at {self.sizes}{bounds}; what lies beyond needs a search "
            "of its own, whatever the budget allows"
        )


def begun_with(folder: Path) -> Config:
    """The settings of the run in a folder. Raises UsageError if there is none."""
    if not (folder / CONFIG).is_file():
        raise UsageError(f"{folder} holds no run; give the folder that `edgenas search` wrote, its --output")
    return make_config(read_toml(folder / CONFIG))


def kept_files(folder: Path, config: Config) -> list[str]:
    """Names of the files in a run's folder that its shared weights need, and of those that finalists left.

    Raises:
        UsageError: the run was not searched, its evaluator shares no weights, or it did not come so far.
    """
    if config.evaluator is None:
        raise UsageError(f"{folder} holds no search; give the folder of an `edgenas search`")
    if config.evaluator not in WEIGHTS:
        raise UsageError(
            f"{folder}: its evaluator {config.evaluator} shares no weights; give the folder of a search with "
            "--evaluator supernet"
        )
    devices = sorted(path.name for path in folder.glob("device-*.csv"))
    names = [*PREPARED, *devices, *WEIGHTS[config.evaluator]]
    for name in names:
        if not (folder / name).exists():
            raise unfinished(folder, f"{name} is not there")
    return [*names, *(path.name for pattern in (FINALISTS, RESULT) for path in sorted(folder.glob(pattern)))]


def unfinished(folder: Path, why: str) -> UsageError:
    """What to say of a run that was interrupted before its weights were trained."""
    return UsageError(
        f"{folder}: the run did not come as far as its trained weights ({why}); go on with "
        f"`edgenas search --output {folder} --resume`"
    )


def settings(source: Path, given: Mapping[str, Any]) -> Config:
    """Settings of a run on the weights of another: what is given, else what the other was about.

    Budgets and strategy are not taken over; the precision is, unless a device is given.

    Raises:
        UsageError: there is no such run, a setting cannot change, or a strategy trains weights of its own.
    """
    before = begun_with(source)
    fixed = [name for name in given if name not in CHANGEABLE]
    if fixed:
        raise UsageError(f"{flag(fixed[0])}: it is that of {source}, whose weights are used; leave it out")
    values = {name: getattr(before, name) for name in (*TASK, *LIMITS)}
    device, _, conditions = (before.device or "").partition("/")
    if "device" not in given:
        values |= {name: getattr(before, name) for name in CONDITIONS}
        values |= {"device": device or None, "precision": before.precision or conditions.rpartition("-")[2] or None}
    config = make_config({**values, **ON_TRAINED_WEIGHTS, **given})
    if config.device == host_name():
        config = replace(config, device=None)  # what its table lacks can be measured
    if plugins.evaluator_for(config.strategy) == "shared":
        raise UsageError(f"--strategy {config.strategy}: it trains weights of its own; name one that trains none")
    return config


def take_over(source: Path, folder: Path) -> None:
    """Copy what `folder`, a new run's, keeps of the run in `source`; all of it or nothing.

    Raises:
        UsageError: as `kept_files`.
    """
    nested = source / SOURCE
    origin = nested if nested.is_dir() else source
    names = kept_files(origin, begun_with(origin))
    new = folder / f"{SOURCE}.new"
    forget(folder)
    new.mkdir()
    for name in names:
        shutil.copyfile(origin / name, new / name)
    os.replace(new, folder / SOURCE)


def forget(folder: Path) -> None:
    """Undo `take_over`."""
    for name in (SOURCE, f"{SOURCE}.new"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / f"{SOURCE}.json").unlink(missing_ok=True)


def reach(run: Run, finished: Finished, name: str, finalists: Mapping[Arch, Network]) -> Inherited:
    """How far the weights reach, for a run with budgets of its own."""
    budgets = finished.trained.objective.budgets
    own = {limit.metric: limit.bound for limit in run.own_limits}
    implied = {
        metric for metric in _alike(run, finished.run) if own.get(metric, float("inf")) <= budgets.get(metric, 0)
    }
    costs = []
    for cost in finished.trained.costs:
        if cost.metric in budgets and cost.metric not in implied:
            costs.append(copy.copy(cost))
            costs[-1].metric = text.TRAINED + cost.metric
    limits = tuple(
        Limit(text.TRAINED + limit.metric, budgets[limit.metric], limit.flag, f"{limit.what or _where(limit)}".strip())
        for limit in finished.run.limits
        if limit.metric not in implied
    )
    space = finished.trained.space
    values = [space.static_values(statics) for statics in space.all_statics()]
    sizes = " or ".join(" ".join(f"{k} {v}" for k, v in row.items()) for row in values)
    return Inherited(name, limits, tuple(costs), sizes or "its one size", finalists)


def same_table(run: Run, other: Run) -> bool:
    """Whether two runs price by the same device under the same conditions."""
    conditions = ("device", "precision")
    same = all(getattr(run, name) == getattr(other, name) for name in conditions)
    return same and all(getattr(run.config, name) == getattr(other.config, name) for name in CONDITIONS)


def _alike(run: Run, other: Run) -> list[str]:
    """Metrics that mean the same in both runs."""
    metrics = ["params"]
    if run.precision == other.precision:
        metrics += ["peak_bytes", "file_bytes"]
    return [*metrics, run.own_limits[0].metric] if same_table(run, other) else metrics


def _where(limit: Limit) -> str:
    return f"on {limit.metric.partition('@')[2]}"
