"""`edgenas search`: the whole way from images and a budget to a measured model, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edgenas.errors import Interrupted, UsageError
from edgenas.exploration import workers
from edgenas.exploration.driver import run_search
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.pruning import Pruning
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.system import distributed, plugins
from edgenas.system.progress import Reporter
from edgenas.system.threads import configure_threads
from edgenas.workflows.config import Config
from edgenas.workflows.context import Context, never
from edgenas.workflows.given import Given, options_of, strategy_of
from edgenas.workflows.result import Result
from edgenas.workflows.setup import (
    completed,
    has_own_weights,
    keep_config,
    make_task,
    output_path,
    plain_task,
    roll_back_if_refused,
    run_in,
    torch_device,
)
from edgenas.workflows.source_run import SOURCE
from edgenas.workflows.stages.artefacts import Bounds, TestReport
from edgenas.workflows.stages.choice import choose
from edgenas.workflows.stages.deliver import bundle, test
from edgenas.workflows.stages.outcome import result
from edgenas.workflows.stages.pricing import profile
from edgenas.workflows.task import Priced


@distributed.processes()
def search(config: Config, reporter: Reporter, stop: Callable[[], bool] = never, given: Given | None = None) -> Result:
    """Go from images and a budget to a measured bundle in the run folder; in all processes that torchrun started.

    Args:
        config: the settings.
        reporter: who is told of stages and notices.
        stop: asked at every safe point.
        given: objects that stand for names of the configuration.

    Raises:
        BudgetError: no network meets the budget.
        Interrupted: `stop` said so; the run can be resumed.
        EdgeNASError: see errors.py.
    """
    given = given or Given()
    if config.resume and (output_path(config) / SOURCE).is_dir():
        raise UsageError(
            f"--resume: {config.output} uses the weights of another run; resume it with `edgenas specialize`"
        )
    configure_threads()
    config = completed(config, given)
    strategy_class = strategy_of(config, given)
    options = options_of(config, strategy_class)
    with run_in(config, reporter, stop) as ctx:
        with roll_back_if_refused(config, ctx, lambda folder: None):
            check_workers(config)
            distributed.first(lambda: keep_config(config, ctx))
            priced = profile(make_task(plain_task(config, given), given, ctx), ctx)
            strategy = strategy_class.build(priced, ctx, options)
        evaluator = build_evaluator(priced, strategy, ctx)
        study = explore(priced, evaluator, strategy, ctx)
        return deliver(priced, evaluator, strategy, study, ctx)


def check_workers(config: Config) -> None:
    """Check that trials can run in parallel, if they are to.

    Raises:
        UsageError: the evaluator or the device cannot, or Ray is missing.
    """
    if config.workers == 1 and config.ray is None:
        return
    asked = "--ray" if config.ray else f"--workers {config.workers}"
    if distributed.world() > 1:
        raise UsageError(f"{asked}: the {distributed.world()} processes of torchrun share the trials; leave it out")
    if not has_own_weights(str(config.evaluator)):
        raise UsageError(
            f"{asked}: the evaluator {config.evaluator} scores all trials in one process; leave it out, "
            "or train each architecture by itself, with --evaluator scratch"
        )
    if torch_device(config) != "cpu":
        raise UsageError(f"{asked}: trials in parallel are trained on processors only; add --train-device cpu")
    workers.check(config.ray)


def build_evaluator(priced: Priced, strategy: Strategy, ctx: Context) -> Evaluator:
    """Return what scores architectures; a supernet is trained here, if the strategy trains no weights of its own."""
    name = str(priced.config.evaluator)
    with ctx.stage(name, f"prepare the {name} evaluator"):
        if strategy.evaluator is not None:
            return strategy.evaluator
        evaluator: Evaluator = plugins.load("evaluators", name).build(priced, ctx)
        return evaluator


def explore(priced: Priced, evaluator: Evaluator, strategy: Strategy, ctx: Context) -> Study:
    """Search until the trials or the minutes are used up; return all trials.

    Raises:
        Interrupted: the run is to stop; the study can be gone on with.
    """
    config, folder = priced.config, ctx.folder
    study = distributed.in_turn(lambda: Study(folder.path, priced.problem.objective, writes=folder.writes))
    prune = _pruning(priced, strategy, ctx)
    prune(study)  # a strategy is narrowed as far as it was before it takes on its state from then
    study.restore(strategy)
    for notice in study.notices:
        ctx.reporter.log(notice)

    def progress(study: Study) -> None:
        best = study.best(1)
        shown = f"best {best[0].metrics['accuracy']:.2%}" if best else ""
        ctx.progress(len(study.trials), config.trials, shown)

    with (
        ctx.stage("search", f"search with {config.strategy}"),
        workers.trial_map(config.workers, config.ray, ctx.reporter.log) as map_,
    ):
        ending = run_search(
            replace(priced.problem, evaluator=evaluator),
            strategy,
            study,
            max_trials=config.trials,
            minutes=config.minutes or float("inf"),
            batch=config.batch,
            weights_version=lambda: evaluator.weights_version,
            map_=map_,
            stop=ctx.stop,
            prune=prune,
            progress=progress,
        )
        if ending == "stopped":
            raise Interrupted("stopped during the search")
    return study


def _pruning(priced: Priced, strategy: Strategy, ctx: Context) -> Callable[[Study], None]:
    """What narrows the strategy as the study grows; nothing with `--no-prune`."""
    if not priced.config.prune:
        return lambda study: None
    return Pruning(priced.problem, strategy, priced.config.trials, ctx.rng("pruning"), ctx.reporter.log)


def deliver(priced: Priced, evaluator: Evaluator, strategy: Strategy, study: Study, ctx: Context) -> Result:
    """Choose finalists, train them, and deliver the most accurate that is measured within the budget.

    For a device that is not this machine, the most accurate of all, until the device's measurements have come.
    """
    chosen, trained = choose(priced, evaluator, strategy, study, ctx)
    folder = ctx.folder
    with ctx.stage("bundle", "test and bundle"):
        opened = {chosen.number: chosen.finalist} if priced.task.device.is_here else dict(enumerate(trained))
        tested = folder.artefact("test", TestReport, partial(test, priced, opened, ctx))
        distributed.first(partial(bundle, chosen, tested, ctx))
        bounds = folder.artefact("bounds", Bounds, _missing)
        found = folder.artefact("result", Result, partial(result, chosen, study, bounds, tested, ctx))
    return found.at(folder.path)


def _missing() -> Bounds:
    raise UsageError("bounds.json is gone from the run folder; search again, with a new --output")
