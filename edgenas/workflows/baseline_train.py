"""`edgenas baseline --train`: the best of the trained networks that fit, fine-tuned and delivered as by a search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from edgenas.errors import UsageError
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config, flag
from edgenas.workflows.context import never
from edgenas.workflows.given import Given
from edgenas.workflows.pretrained import whole_maker
from edgenas.workflows.result import Result
from edgenas.workflows.whole_networks import Baseline, none_fits

# Settings of a run, which there is with training alone.
OF_A_RUN = ("train_device", "validation_share", "strict", "final_epochs", "int8", "output", "resume")


def refuse_without_training(names: Iterable[str]) -> None:
    """Check that no setting of a run is given where none is made.

    Args:
        names: of the settings that are given.

    Raises:
        UsageError: there is one, which is named.
    """
    if unused := [name for name in names if name in OF_A_RUN]:
        raise UsageError(f"{flag(unused[0])} is of the run that --train makes; add --train, or leave it out")


def train_baseline(
    config: Config, rows: Sequence[Baseline], reporter: Reporter, stop: Callable[[], bool] = never
) -> Result:
    """Fine-tune the best of the networks that fit, and deliver its bundle, as a search does.

    Of each network only whole ones are looked at, at every resolution; `features` says which is best. Where the machine
    was too busy to tell whether any fits, those that may are looked at: the search measures again.

    Args:
        config: the settings of the run, with the images; of a run that is resumed, those that it was begun with.
        rows: what `baseline` found; a run that is resumed needs none, as it has its network.
        reporter: who is told of stages and notices.
        stop: asked at every safe point.

    Raises:
        BudgetError: none of the networks whose weights are here fits.
        UsageError: the run that is to be resumed is of no trained network.
    """
    from edgenas.workflows.search import search

    best = config.pretrained if config.resume else _best(config, trainable(config, rows), reporter)
    if best is None:
        raise UsageError(f"--resume: {config.output} was not begun by `edgenas baseline --train`")
    reporter.log(f"{best} is fine-tuned")
    config = replace(
        config, pretrained=best, strategy="random", evaluator="features", finalists=1, trials=8, shape_choices=8
    )
    return search(config, reporter, stop, Given(space=whole_maker(config)))


def trainable(config: Config, rows: Sequence[Baseline]) -> list[Baseline]:
    """Return the networks that fit, of those whose weights are here; of none, those that may fit here.

    Raises:
        BudgetError: there is none.
    """
    here = [row for row in rows if row.is_here]
    found = [row for row in here if row.fits]
    if not found and config.device is None:  # elsewhere nothing is measured, and nothing could be promised
        found = [row for row in here if row.fits is None]
    if not found:
        raise none_fits(config, rows)
    return found


def _best(config: Config, rows: Sequence[Baseline], reporter: Reporter) -> str:
    """The network whose features are best at the largest resolution that fits."""
    from edgenas.evaluators.features import FeaturesEvaluator
    from edgenas.workflows.setup import checked_names, plain_task

    names = list(dict.fromkeys(row.network for row in rows))
    if len(names) == 1:
        return names[0]
    scores = {}
    with reporter.stage(f"compare the features of {len(names)} networks") as progress:
        for i, name in enumerate(names):
            task = plain_task(checked_names(replace(config, pretrained=name), Given()), Given(), reporter)
            evaluator = FeaturesEvaluator(task.space, task.data, config.seed, task.torch_device)
            largest = max((row for row in rows if row.network == name), key=lambda row: row.macs)
            scores[name] = evaluator(task.space.parse(largest.arch))["accuracy"]
            progress(i + 1, len(names), f"{name} {scores[name]:.1%}")
    return max(scores, key=lambda name: scores[name])
