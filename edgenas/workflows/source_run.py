"""What a run keeps of another one whose weights it uses, and how far they reach."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edgenas.errors import UsageError
from edgenas.exploration.objective import Limit
from edgenas.exploration.problem import Problem
from edgenas.exploration.study import CHECKPOINT, TRIALS
from edgenas.graph.graph import Arch
from edgenas.runtimes.host import host_name
from edgenas.system.metric import TRAINED, Metric
from edgenas.system.run_folder import CONFIG, FORMAT_FILE, copy_files, write_artefact
from edgenas.workflows.config import ABOUT, MOVABLE, Config, flag, make_config, read_run
from edgenas.workflows.moved import moved_settings
from edgenas.workflows.origin import ORIGIN
from edgenas.workflows.presets import defaults_of
from edgenas.workflows.stages.artefacts import IMPORTANCE, Source
from edgenas.workflows.task import Device, Inherited, Task

if TYPE_CHECKING:
    from edgenas.nn.network import Network

SOURCE = "source"  # folder inside the run's own: what it keeps of the other run; and artefact: the other's name
# What every search leaves before it trains.
PREPARED = (CONFIG, FORMAT_FILE, "bounds.json", "narrow.json", "table.csv")
FINALISTS, RESULT, TEACHER = "finalist-*.pt", "result.json", "teacher.pt"
IF_THERE = (FINALISTS, RESULT, TEACHER, f"{IMPORTANCE}.json", f"{ORIGIN}.json")
WEIGHTS = {"supernet": ("supernet.pt",), "shared": (CHECKPOINT, TRIALS, "finalists.json")}  # by evaluator
# Settings of a search that has no weights to train: trials are cheap, and what exceeds the budget teaches nothing.
DEFAULTS: Mapping[str, Any] = {"strategy": "predictor", "trials": 64, "evaluator": "supernet", "reward": "hard"}
# By what they are about: what the weights were trained on, what a model must keep to, what a latency is of; what a run
# on these weights decides by itself, and what comes after the search.
IMAGES = ("data", "data_root", "image_size", "fit", "flip", "cache", "cache_size", "download", "strict")
TASK = (*IMAGES, "validation_share", "space", "pretrained", "weights", "teacher", "seed", "train_device")
LIMITS = ("max_params", "max_memory_mb", "max_file_mb")
CONDITIONS = ("runtime", "threads")
FREE = ("budget_ms", "budgets_ms", "device", "precision", "strategy", "options", "trials", "minutes", "batch", "prune")
AFTER = ("finalists", "controls", "final_epochs", "int8", "output", "resume")
CHANGEABLE = (*FREE, *LIMITS, *CONDITIONS, *AFTER, "wait_minutes", *MOVABLE)


def begun_with(folder: Path, moved: Mapping[str, Any] = MappingProxyType({})) -> Config:
    """Return the settings of the run in a folder.

    Args:
        folder: of the run.
        moved: settings that may have changed since, as `moved_settings` takes them.

    Raises:
        UsageError: there is none, it is of another format, or it is about something else than `moved` says.
    """
    before = make_config(read_run(folder))
    return replace(before, **moved_settings(str(folder), before, moved))


def reopened(folder: Path, moved: Mapping[str, Any]) -> Config:
    """Return what `begun_with` does, to go on with the run."""
    return replace(begun_with(folder, moved), resume=True, output=str(folder))


def trained_in(folder: Path) -> Path:
    """Return where the weights that a run uses lie: in its own folder, or in what it keeps there of another run."""
    kept = folder / SOURCE
    return kept if kept.is_dir() else folder


def kept_files(folder: Path, config: Config) -> list[str]:
    """Return the names of the files in a run's folder that its shared weights need, and of those of its finalists.

    Args:
        folder: of the run.
        config: its settings, as `begun_with` returns them.

    Raises:
        UsageError: the run was not searched, its evaluator shares no weights, or it did not come so far.
    """
    if config.evaluator is None:
        raise UsageError(f"{folder} holds no search; give the folder of an `edgenas search`")
    if config.evaluator not in WEIGHTS:
        again = "" if config.pretrained is None else f" and --pretrained {config.pretrained}"
        raise UsageError(
            f"{folder}: its evaluator {config.evaluator} shares no weights; give the folder of a search with "
            f"--evaluator supernet{again}"
        )
    devices = sorted(path.name for path in folder.glob("device-*.csv"))
    names = [*PREPARED, *devices, *WEIGHTS[config.evaluator]]
    for name in names:
        if not (folder / name).exists():
            raise unfinished(folder, f"{name} is not there")
    return [*names, *(path.name for pattern in IF_THERE for path in sorted(folder.glob(pattern)))]


def unfinished(folder: Path, why: str) -> UsageError:
    """Return what to say of a run that was interrupted before its weights were trained."""
    return UsageError(
        f"{folder}: the run did not come as far as its trained weights ({why}); go on with "
        f"`edgenas search --output {folder} --resume`"
    )


def take_over(source: Path, folder: Path) -> None:
    """Copy what a new run keeps of another one; all of it or nothing.

    Args:
        source: folder of the other run.
        folder: folder of the new run.

    Raises:
        UsageError: as `kept_files`.
    """
    # A run on another one's weights trains no shared ones: what it took over is taken over again.
    origin = trained_in(source)
    names = kept_files(origin, begun_with(origin))
    new = folder / f"{SOURCE}.new"
    copy_files(origin, new, names)
    os.replace(new, folder / SOURCE)
    write_artefact(folder, SOURCE, Source(source.resolve().name))


def inherited(task: Task, source: Task, trained: Problem, name: str, finalists: Mapping[Arch, Network]) -> Inherited:
    """Return how far the weights of another run reach, for a run with budgets of its own.

    Args:
        task: of the run that uses the weights.
        source: of the run that trained them.
        trained: the problem whose feasible architectures were trained.
        name: of the other run's folder.
        finalists: that were trained to the end there.
    """
    budgets = trained.objective.budgets
    own = {limit.metric: limit.bound for limit in task.limits}
    same = _same_metrics(task, source)
    # Where a metric means the same, a budget of its own that is no larger makes that of the other run superfluous.
    implied = {metric for metric in same if own.get(metric, float("inf")) <= budgets.get(metric, 0)}
    costs = []
    for cost in trained.costs:
        if cost.metric in budgets and cost.metric not in implied:
            costs.append(copy.copy(cost))  # it gets another name, and the other run's problem keeps its own
            costs[-1].metric = TRAINED + cost.metric
    limits = tuple(
        Limit(TRAINED + limit.metric, budgets[limit.metric], limit.flag, (limit.what or _where(limit)).strip())
        for limit in source.limits
        if limit.metric not in implied
    )
    space = trained.space
    values = [space.static_values(statics) for statics in space.all_statics()]
    sizes = " or ".join(" ".join(f"{k} {v}" for k, v in row.items()) for row in values)
    return Inherited(name, limits, tuple(costs), sizes or "its one size", finalists)


def same_table(device: Device, other: Device) -> bool:
    """Return whether two runs price by the same device under the same conditions."""
    conditions = ("name", "precision", "runtime", "threads")
    return all(getattr(device, name) == getattr(other, name) for name in conditions)


def _same_metrics(task: Task, source: Task) -> list[str]:
    """Metrics that mean the same in both runs."""
    metrics = ["params"]  # a count, whatever it runs on; bytes depend on the precision, and a latency on all conditions
    if task.device.precision == source.device.precision:
        metrics += ["peak_bytes", "file_bytes"]
    return [*metrics, task.limits[0].metric] if same_table(task.device, source.device) else metrics


def _where(limit: Limit) -> str:
    return f"on {Metric.parse(limit.metric).table}"


def settings(source: Path, given: Mapping[str, Any]) -> Config:
    """Return the settings of a run on the weights of another: what is given, else what the other was about.

    Budgets and strategy are not taken over; the precision is, unless a device is given.

    Args:
        source: folder of the other run.
        given: settings of the new run, by name.

    Raises:
        UsageError: there is no such run, or a setting cannot change.
    """
    before = begun_with(source)
    given = moved_settings(str(source), before, given, ABOUT)  # by what means it searches, the new run says
    fixed = [name for name in given if name not in (*CHANGEABLE, "data", *ABOUT)]
    if fixed:
        raise UsageError(f"{flag(fixed[0])}: it is that of {source}, whose weights are used; leave it out")
    values = {name: getattr(before, name) for name in (*TASK, *LIMITS)}
    device, _, conditions = (before.device or "").partition("/")
    if "device" not in given:
        values |= {name: getattr(before, name) for name in CONDITIONS}
        values |= {"device": device or None, "precision": before.precision or conditions.rpartition("-")[2] or None}
    # Later entries win. What is about the search comes from `DEFAULTS`, as the other run's had weights to train.
    config = make_config({**values, **DEFAULTS, **defaults_of(values), **given})
    if config.device == host_name():
        config = replace(config, device=None)  # what its table lacks can be measured
    return config
