"""The search itself: what scores, what proposes, and the trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgenas.errors import Interrupted, UsageError
from edgenas.exploration import workers
from edgenas.exploration.driver import run_search
from edgenas.exploration.evaluator import Evaluator
from edgenas.exploration.pruning import Pruning
from edgenas.exploration.strategy import Strategy
from edgenas.exploration.study import Study
from edgenas.system import distributed, plugins
from edgenas.workflows.config import Config
from edgenas.workflows.context import Context
from edgenas.workflows.setup import has_own_weights, torch_device
from edgenas.workflows.stages.replacement import expect
from edgenas.workflows.task import Priced

SHARE = 0.25  # of the time that is left when the search begins, where that is short


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
    workers.check_ray(config.ray)


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
    expect(priced, evaluator, strategy, ctx)
    # The first process opens the study first: it cuts trials beyond the checkpoint, and the others read what is left.
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
            minutes=SHARE * ctx.left_s("search") / 60,
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
    """What narrows the strategy as the study grows; nothing with `--no-prune`, and nothing among cuts of a teacher.

    The best of these are near the whole network, where random samples, which say what is never feasible, are not.
    """
    if not priced.config.prune or priced.teacher is not None:
        return lambda study: None
    return Pruning(priced.problem, strategy, priced.config.trials, ctx.rng("pruning"), ctx.reporter.log)
