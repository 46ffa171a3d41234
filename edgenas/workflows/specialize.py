"""`edgenas specialize`: the trained weights of a search, for another budget, device or precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgenas.errors import UsageError
from edgenas.system import distributed
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import never
from edgenas.workflows.given import Given, objects_again, options_of, strategy_of
from edgenas.workflows.inherit import inherit, without_trainer
from edgenas.workflows.origin import keep_origin
from edgenas.workflows.result import Result
from edgenas.workflows.run_start import keep_config, roll_back_if_refused
from edgenas.workflows.setup import checked_names, completed, output_path, run_in
from edgenas.workflows.source_run import SOURCE, take_over
from edgenas.workflows.stages.choice import deliver
from edgenas.workflows.stages.explore import explore
from edgenas.workflows.stages.pricing import profile


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
        reporter: who is told of stages and notices.
        stop: asked at every safe point.
        given: objects that stand for names of the configuration.

    Raises:
        UsageError: there is no such run, it shares no weights, or did not come so far; or a strategy trains its own.
        BudgetError: no network that the weights were trained on meets the budget.
    """
    given = given or Given()
    if config.resume and not (output_path(config) / SOURCE).is_dir():
        raise UsageError(f"--resume: {config.output} was begun by a search of its own; resume it with `edgenas search`")
    config, given, trainer = without_trainer(config, given, source)
    kind = strategy_of(config, given)
    if kind.trains_weights:
        raise UsageError(f"--strategy {config.strategy}: it trains weights of its own; name one that trains none")
    options = options_of(config, kind)
    with objects_again():  # data and space are those of the other run
        config = checked_names(config, given)
    config = completed(config, given)
    with run_in(config, reporter, stop) as ctx:
        with roll_back_if_refused(config, ctx):
            # Before the configuration, which makes the folder a run: one that can be resumed has all that it needs.
            if source is not None and not config.resume:
                take_over(source, ctx.folder.path)
            distributed.first(lambda: keep_config(config, ctx))
            task, evaluator = inherit(config, given, ctx, trainer)
            distributed.first(lambda: keep_origin(ctx.folder.path, task))
            priced = profile(task, ctx)
            strategy = kind.build(priced, ctx, options)
        study = explore(priced, evaluator, strategy, ctx)
        return deliver(priced, evaluator, strategy, study, ctx)
