"""The task of a run that searches with the weights of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.system import plugins
from edgenas.system.run_folder import read_artefact
from edgenas.workflows.config import ABOUT, MOVABLE, Config
from edgenas.workflows.context import Context
from edgenas.workflows.given import Given, StrategyBuilder
from edgenas.workflows.kept_table import keep_table
from edgenas.workflows.limits import device_of
from edgenas.workflows.named import is_same, own_files
from edgenas.workflows.setup import make_task, output_path
from edgenas.workflows.source_run import DEFAULTS, SOURCE, begun_with, inherited, same_table, trained_in
from edgenas.workflows.stages.artefacts import Source
from edgenas.workflows.task import Task
from edgenas.workflows.trained_run import open_trained_run


def inherit(
    config: Config, given: Given, ctx: Context, trainer: StrategyBuilder | None = None
) -> tuple[Task, SupernetEvaluator]:
    """Return the task of a run that searches no further than another one's weights reach, and what scores by them.

    Finalists that were trained there give theirs to the shared ones: what is near them needs little training.

    Args:
        config: of this run.
        given: objects that stand for names of the configuration.
        ctx: with this run's folder.
        trainer: an object that stands for the strategy that trained the weights.
    """
    folder = ctx.folder
    moved = {name: getattr(config, name) for name in MOVABLE} | own_files(config, ("data", *ABOUT))
    with ctx.stage("source", "open the weights of the other run"):
        objects = replace(given, strategy=trainer)  # that of `given` is this run's, not the other's
        source = open_trained_run(folder.path, ctx.reporter, objects, moved)
        trained = source.finalists()
        # Cuts of a teacher stay cuts of one network: weights of others that were trained on would not go with them.
        if source.priced.task.teacher is None:
            for network in reversed(trained.values()):  # the delivered one last: slices overlap
                source.supernet.load_subnet(network)
        # Images and space are those of the other run, and opened once; all that is priced is this run's own.
        plain = replace(source.priced.task, config=config, space=source.trained.space)
        task = make_task(replace(plain, device=device_of(config)), given, ctx)
        name = read_artefact(folder.path, SOURCE, Source).run
        coverage = inherited(task, source.priced.task, source.trained, name, trained)
        table = folder.path / "table.csv"
        # Under the same conditions the other run's table holds: nothing is measured again.
        if same_table(task.device, source.priced.task.device):
            keep_table(table, lambda: source.priced.table)
    task = replace(
        task, limits=(*task.limits, *coverage.limits), costs=(*task.costs, *coverage.costs), inherited=coverage
    )
    return task, source.evaluator()


def without_trainer(config: Config, given: Given, source: Path | None) -> tuple[Config, Given, StrategyBuilder | None]:
    """Take out a strategy that trained the other run's weights: it is one's own, and named to open them.

    Args:
        config: of this run.
        given: objects that stand for names of the configuration.
        source: folder of the other run; None for a run that is resumed.
    """
    folder = output_path(config) if source is None else source
    trained = begun_with(trained_in(folder))
    is_own = config.strategy not in plugins.names("strategies")
    if trained.evaluator != "shared" or not is_own or not is_same("strategy", trained.strategy, config.strategy):
        return config, given, None
    searching = begun_with(folder).strategy if source is None else DEFAULTS["strategy"]
    return replace(config, strategy=searching), replace(given, strategy=None), given.strategy
