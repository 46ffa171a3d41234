"""`edgenas train`: one architecture, as a search trains its finalists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgenas.errors import UsageError
from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.system import distributed
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import Context, never
from edgenas.workflows.given import Given
from edgenas.workflows.run_start import ARCH, keep_config, keep_data, roll_back_if_refused
from edgenas.workflows.setup import check_means, checked_names, plain_task, run_in
from edgenas.workflows.stages.artefacts import Selection, Single
from edgenas.workflows.stages.files import network_by_class
from edgenas.workflows.stages.finalists import final_settings, train_finalist
from edgenas.workflows.task import Task


@dataclass(frozen=True)
class Trained:
    """An architecture that was trained.

    Args:
        arch: its code.
        validation_accuracy: 0..1, on `validation_images` images.
        run: the run folder.
        validation_balanced_accuracy: the mean recall of the classes.
        validation_recall: the share of each class's images that is found, by name; None for a class without one.
    """

    arch: str
    validation_accuracy: float
    validation_images: int
    run: str
    validation_balanced_accuracy: float | None = None
    validation_recall: Mapping[str, float | None] = field(default_factory=dict)


@distributed.processes()
def train(
    config: Config,
    arch: str | None,
    reporter: Reporter,
    stop: Callable[[], bool] = never,
    given: Given | None = None,
) -> Trained:
    """Train one architecture from fresh weights, as a finalist is; the run folder is then one that `export` takes.

    Args:
        config: the settings.
        arch: its code, or what papers on the space write; None for that of a run that is resumed.
        reporter: who is told of stages and notices.
        stop: asked at every safe point.
        given: objects that stand for names of the configuration.

    Raises:
        UsageError: the space has no such architecture, or the resumed run is of another one.
        Interrupted: `stop` said so; the run can be resumed.
    """
    given = given or Given()
    config = checked_names(config, given)
    if arch is None and not config.resume:
        raise UsageError("say which architecture to train, by its code; `edgenas predict --samples 5` shows some")
    check_means(config)
    with run_in(config, reporter, stop) as ctx:
        with roll_back_if_refused(config, ctx):
            distributed.first(lambda: keep_config(config, ctx))
            task = plain_task(config, given, ctx.reporter)
            keep_data(task, ctx)
            code = _kept_code(arch, task, ctx)
        chosen = task.space.parse(code)
        evaluator = ScratchEvaluator(task.space, task.data, final_settings(task), task.torch_device, config.seed)
        with ctx.stage("training", "train"):
            finalist = train_finalist(task, evaluator, ctx, chosen, 0)
        # As a search leaves it, so that `export` finds the network by the same file.
        ctx.folder.artefact("finalists", Selection, lambda: Selection((code,)))
        classes = task.data.classes
        found = distributed.first(lambda: network_by_class(finalist.network, task.data.validation, len(classes)))
        return Trained(
            code,
            finalist.scores.accuracy,
            finalist.scores.images,
            str(ctx.folder.path),
            found.balanced_accuracy,
            dict(zip(classes, found.recall, strict=True)),
        )


def _kept_code(arch: str | None, task: Task, ctx: Context) -> str:
    """The code of the run's architecture, which a resumed run reads from its folder."""
    given = None if arch is None else task.space.code(task.space.parse(arch))

    def single() -> Single:
        if given is None:
            raise UsageError(f"{ctx.folder.path} does not say which architecture it trains; give its code")
        return Single(given)

    kept = ctx.folder.artefact(ARCH, Single, single).arch
    if given not in (None, kept):
        raise UsageError(f"{given}: {ctx.folder.path} trains {kept}; leave the code out, or use a new --output")
    return kept
