"""`edgenas specialize`: the trained weights of a search, for another budget, device or precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.errors import UsageError
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.latency.table import write_table
from edgenas.runtimes.host import host_name
from edgenas.system import distributed
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import write_artefact
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import Config, flag, make_config
from edgenas.workflows.context import Context, never
from edgenas.workflows.given import Given, options_of, strategy_of
from edgenas.workflows.limits import device_of
from edgenas.workflows.result import Result
from edgenas.workflows.search import deliver, explore
from edgenas.workflows.setup import completed, keep_config, make_task, output_path, roll_back_if_refused, run_in
from edgenas.workflows.source_run import SOURCE, begun_with, forget, inherited, same_table, take_over
from edgenas.workflows.stages.artefacts import Source
from edgenas.workflows.stages.pricing import profile
from edgenas.workflows.task import Task
from edgenas.workflows.trained_run import open_trained_run

# Settings of a search that has no weights to train: trials are cheap, and what exceeds the budget teaches nothing.
DEFAULTS: Mapping[str, Any] = {"strategy": "predictor", "trials": 64, "evaluator": "supernet", "reward": "hard"}
TASK = ("data", "data_root", "image_size", "download", "strict", "validation_share", "space", "seed", "train_device")
LIMITS = ("max_params", "max_memory_mb", "max_file_mb")
CONDITIONS = ("runtime", "threads")
FREE = ("budget_ms", "budgets_ms", "device", "precision", "strategy", "options", "trials", "minutes", "batch", "prune")
AFTER = ("finalists", "final_epochs", "int8", "output", "resume")
CHANGEABLE = (*FREE, *LIMITS, *CONDITIONS, *AFTER, "data_root", "download", "train_device")


def settings(source: Path, given: Mapping[str, Any]) -> Config:
    """Return the settings of a run on the weights of another: what is given, else what the other was about.

    Budgets and strategy are not taken over; the precision is, unless a device is given.

    Raises:
        UsageError: there is no such run, or a setting cannot change.
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
    config = make_config({**values, **DEFAULTS, **given})
    if config.device == host_name():
        config = replace(config, device=None)  # what its table lacks can be measured
    return config


def specialize(
    config: Config,
    source: Path | None,
    reporter: Reporter,
    stop: Callable[[], bool] = never,
    given: Given | None = None,
) -> Result:
    """Search as `search` does, on the weights that the run in `source` trained.

    Args:
        config: as `settings` makes it.
        source: folder of the other run; None with `config.resume`: the run folder keeps what it needs of the other.

    Raises:
        UsageError: there is no such run, it shares no weights, or did not come so far; or a strategy trains its own.
        BudgetError: no network that the weights were trained on meets the budget.
    """
    given = given or Given()
    if config.resume and not (output_path(config) / SOURCE).is_dir():
        raise UsageError(f"--resume: {config.output} was begun by a search of its own; resume it with `edgenas search`")
    configure_threads()
    kind = strategy_of(config, given)
    if kind.trains_weights:
        raise UsageError(f"--strategy {config.strategy}: it trains weights of its own; name one that trains none")
    options = options_of(config, kind)
    config = completed(config, given)
    with run_in(config, reporter, stop) as ctx:
        with roll_back_if_refused(config, ctx, forget):
            if source is not None and not config.resume:
                take_over(source, ctx.folder.path)
                write_artefact(ctx.folder.path, SOURCE, Source(source.resolve().name))
            distributed.first(lambda: keep_config(config, ctx))
            task, evaluator = _inherit(config, given, ctx)
            priced = profile(task, ctx)
            strategy = kind.build(priced, ctx, options)
        study = explore(priced, evaluator, strategy, ctx)
        return deliver(priced, evaluator, strategy, study, ctx)


def _inherit(config: Config, given: Given, ctx: Context) -> tuple[Task, SupernetEvaluator]:
    """The task of a run that searches with the weights of another, and no further than they reach; what scores by them.

    Finalists that were trained there give theirs to the shared ones: what is near them needs little training.
    """
    folder = ctx.folder
    moved = {"data_root": config.data_root, "download": config.download, "train_device": config.train_device}
    with ctx.stage("source", "open the weights of the other run"):
        source = open_trained_run(folder.path, ctx.reporter, given, moved)
        trained = source.finalists()
        for network in reversed(trained.values()):  # the delivered one last: slices overlap
            source.supernet.load_subnet(network)
        plain = replace(source.priced.task, config=config, space=source.trained.space)
        task = make_task(replace(plain, device=device_of(config)), given, ctx)
        name = folder.artefact(SOURCE, Source, lambda: Source("")).run
        reach = inherited(task, source.priced.task, source.trained, name, trained)
        table = folder.path / "table.csv"
        if same_table(task.device, source.priced.task.device):
            distributed.first(lambda: None if table.exists() else write_table(table, source.priced.table))
    task = replace(task, limits=(*task.limits, *reach.limits), costs=(*task.costs, *reach.costs), inherited=reach)
    return task, source.evaluator()
