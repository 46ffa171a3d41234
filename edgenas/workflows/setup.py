"""From a configuration to a task: names are checked, the folder is taken, images and space are there."""

from __future__ import annotations

import datetime
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edgenas.errors import EnvironmentFault, UsageError
from edgenas.system import distributed, plugins
from edgenas.system.progress import Reporter, SilentReporter
from edgenas.system.run_folder import RunFolder
from edgenas.system.threads import threads_of_its_own
from edgenas.workflows.config import Config, resolve_data
from edgenas.workflows.context import Context, waiting_for
from edgenas.workflows.given import Given, build_given_space, strategy_of
from edgenas.workflows.limits import device_of, further_costs, further_tables, limits_of, scores_of, with_devices
from edgenas.workflows.load_data import load_data
from edgenas.workflows.origin import check_classes
from edgenas.workflows.pretrained import check_pretrained, open_pretrained
from edgenas.workflows.task import Task


def completed(config: Config, given: Given) -> Config:
    """Return the configuration of a search with evaluator, devices and data named in full; nothing is measured yet.

    Raises:
        UsageError: no budget, an evaluator that does not suit the strategy, or scores that nothing reads.
        UnknownName: there is no plugin or device of a name.
        DataError: the file of scores holds none.
    """
    if config.budget_ms is None and not config.budgets_ms:
        raise UsageError("--budget-ms: say how many milliseconds the model may take, for example --budget-ms 20")
    config = _with_evaluator(config, given)
    # Whoever opens the run later has only the name, and need not load a strategy of one's own for its reward.
    if config.reward is None and config.strategy not in plugins.names("strategies"):
        config = replace(config, reward=strategy_of(config, given).reward_form)
    config = checked_names(config, given)
    _check_scores(config)
    return with_devices(config)  # last, as it reads the devices in the file of scores


def checked_names(config: Config, given: Given) -> Config:
    """Return the configuration with its data resolved, all names being those of plugins.

    Raises:
        UnknownName: there is no plugin of a name.
    """
    if given.data is None:
        config = resolve_data(config)
        plugins.check("data", config.data)
    if given.space is None:
        plugins.check("spaces", config.space)
    if config.evaluator is not None:
        plugins.check("evaluators", config.evaluator)
    plugins.check("runtimes", config.runtime)
    return config


def _with_evaluator(config: Config, given: Given) -> Config:
    """The configuration with the evaluator that the strategy asks for, if none is named."""
    trains = strategy_of(config, given).trains_weights
    if config.evaluator is None:
        return replace(config, evaluator="shared" if trains else "supernet")
    if trains and config.evaluator != "shared":
        raise UsageError(f"--evaluator {config.evaluator}: the strategy trains its own weights; leave it out")
    if not trains and config.evaluator == "shared":
        raise UsageError("--evaluator shared: the strategy trains no weights; leave it out")
    return config


def _check_scores(config: Config) -> None:
    """Have the evaluator read its file of scores, before anything is measured; refuse one that nothing reads."""
    # An evaluator that has `accuracies` is one that reads them.
    evaluator = plugins.load("evaluators", str(config.evaluator))
    if hasattr(evaluator, "accuracies"):
        evaluator.accuracies(config)
    elif config.scores is not None or config.scores_name is not None:
        name = "--scores" if config.scores is not None else "--scores-name"
        raise UsageError(
            f"{name}: the evaluator {config.evaluator} reads none; add --evaluator tabular, or leave it out"
        )


def has_own_weights(evaluator: str) -> bool:
    """Return whether an evaluator trains each architecture by itself, so that trials need nothing of each other."""
    # Asked before there is an evaluator: building one may take a supernet's training.
    classes = (value for value in vars(plugins.load("evaluators", evaluator)).values() if inspect.isclass(value))
    return any(getattr(kind, "own_weights", False) for kind in classes)


def output_path(config: Config) -> Path:
    """Return the run folder: what the user said, else one named by the time."""
    if config.output is not None:
        return Path(config.output).expanduser()
    if config.resume:
        raise UsageError("--resume needs --output, the run folder to go on with")
    # One time for all processes, whose clocks may be a second apart.
    return distributed.broadcast(Path("runs") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S"))


@contextmanager
def run_in(config: Config, reporter: Reporter, stop: Callable[[], bool]) -> Iterator[Context]:
    """Lock the run's folder while inside; of several processes the first writes and speaks, and all stop together.

    Args:
        config: names the folder, and says whether it may hold a run already.
        reporter: who is told of stages and notices, by the first process.
        stop: asked at every safe point.
    """
    path, writes = output_path(config), distributed.rank() == 0
    # The first process makes the folder before the others open it.
    folder = distributed.in_turn(lambda: RunFolder(path, resume=config.resume, writes=writes))
    reporter = reporter if writes else SilentReporter()
    with folder, threads_of_its_own():
        if folder.notice:
            reporter.log(folder.notice)
        waiting = waiting_for(config.wait_minutes, reporter)
        minutes = math.inf if config.minutes is None else config.minutes
        yield Context(
            folder, config.seed, reporter, lambda: distributed.agree(stop()), waiting=waiting, minutes=minutes
        )


def make_task(plain: Task, given: Given, ctx: Context) -> Task:
    """Return what a search is about: images, space and device of `plain`, with limits.

    Args:
        plain: as `plain_task` returns it.
        given: objects that stand for names of the configuration.
        ctx: with the folder, which keeps copies of the tables of further devices.

    Raises:
        UsageError: the scores are of another space.
    """
    config = plain.config
    scores = scores_of(config)
    if scores is not None:
        scores.check(plain.space)
    # The file of scores may hold many devices; only those with a budget are costs.
    recorded = frozenset(config.budgets_ms) & frozenset(scores.latency_ms if scores else ())
    tables = further_tables(config, ctx.folder.path, recorded)
    return replace(
        plain,
        limits=limits_of(config, plain.device, recorded),
        costs=further_costs(config, plain.space, plain.device, tables, scores, recorded),
        tables=tables,
        reward_form=config.reward or strategy_of(config, given).reward_form,
    )


def plain_task(config: Config, given: Given, reporter: Reporter | None = None, run: Path | None = None) -> Task:
    """Return images, space and device.

    Args:
        config: the settings.
        given: objects that stand for names of the configuration.
        reporter: who is told what was decided about the images; None: nobody.
        run: folder of a run that is opened again: the images must have its classes.

    Raises:
        DataError: the images cannot be used.
        UsageError: the space does not take them, or they have other classes than the run.
    """
    where, reporter = torch_device(config), reporter or SilentReporter()
    network = open_pretrained(config)
    if network is None:
        data = load_data(config, given, where, reporter)
    else:
        from edgenas.data.storage.normalise import normalised  # torch starts here

        # A folder of photos has no size of its own: it gets the network's.
        side = network.side if given.data is None and config.data == "folder" else None
        data = load_data(replace(config, image_size=config.image_size or side), given, where, reporter)
        data = normalised(data, network.mean, network.std)
    if data.shape[1] != data.shape[2]:
        raise UsageError(
            f"{data.name}: images of {data.shape[1]} x {data.shape[2]} pixels; networks are trained on squares, so "
            "crop or resize them"
        )
    if run is not None:
        check_classes(run, data)
    space = build_given_space(config, given, data.shape, len(data.classes))
    return Task(config, data, space, device_of(config), where)


def check_means(config: Config) -> None:
    """Check that there is what networks are trained with: the device, and the weights of a trained network.

    Raises:
        EnvironmentFault: a GPU is wanted, or weights, that are not here.
        DataError: the weights are damaged.
        UsageError: they are another network's, or the network is none that edgenas can express.
    """
    torch_device(config)
    if not config.resume:  # what is trained already needs neither again
        check_pretrained(config)


def torch_device(config: Config) -> str:
    """Return `cpu` or `cuda`. Raises EnvironmentFault if cuda is wanted and not there."""
    import torch

    wanted = config.train_device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise EnvironmentFault("--train-device cuda: torch sees no GPU here; use cpu or auto")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
