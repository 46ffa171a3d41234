"""`edgenas search`: the whole way from images and a budget to a measured model, stage by stage."""

from __future__ import annotations

from collections.abc import Callable

from edgenas.errors import UsageError
from edgenas.system import distributed
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import never
from edgenas.workflows.given import Given, options_of, strategy_of
from edgenas.workflows.result import Result
from edgenas.workflows.run_start import keep_config, keep_data, roll_back_if_refused
from edgenas.workflows.setup import check_means, completed, make_task, output_path, plain_task, run_in
from edgenas.workflows.source_run import SOURCE
from edgenas.workflows.stages.choice import deliver
from edgenas.workflows.stages.explore import build_evaluator, check_workers, explore
from edgenas.workflows.stages.pricing import profile
from edgenas.workflows.stages.teacher import teach


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
    config = completed(config, given)  # names first: a wrong one is told before the folder is made
    strategy_class = strategy_of(config, given)
    options = options_of(config, strategy_class)
    check_means(config)
    with run_in(config, reporter, stop) as ctx:
        # Until the strategy is built nothing was trained, and a refusal leaves the folder as it was found.
        with roll_back_if_refused(config, ctx):
            check_workers(config)
            distributed.first(lambda: keep_config(config, ctx))
            plain = plain_task(config, given, ctx.reporter)
            keep_data(plain, ctx)
            priced = profile(make_task(plain, given, ctx), ctx)
            strategy = strategy_class.build(priced, ctx, options)
        taught = teach(priced, ctx)
        if taught is not priced:  # a strategy that has weights of its own begins with those of the teacher
            priced, strategy = taught, strategy_class.build(taught, ctx, options)
        evaluator = build_evaluator(priced, strategy, ctx)
        study = explore(priced, evaluator, strategy, ctx)
        return deliver(priced, evaluator, strategy, study, ctx)
