"""`edgenas train`: one architecture, as a search trains its finalists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edgenas.evaluators.scratch import ScratchEvaluator
from edgenas.system import distributed
from edgenas.system.progress import Reporter
from edgenas.workflows.config import Config
from edgenas.workflows.context import never
from edgenas.workflows.given import Given
from edgenas.workflows.setup import checked_names, keep_config, plain_task, run_in
from edgenas.workflows.stages.artefacts import Selection
from edgenas.workflows.stages.files import network_by_class
from edgenas.workflows.stages.finalists import final_settings, train_finalist


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
    arch: str,
    reporter: Reporter,
    stop: Callable[[], bool] = never,
    given: Given | None = None,
) -> Trained:
    """Train one architecture from fresh weights, as a finalist is; the run folder is then one that `export` takes.

    Args:
        config: the settings.
        arch: its code, or what papers on the space write.
        reporter: who is told of stages and notices.
        stop: asked at every safe point.
        given: objects that stand for names of the configuration.

    Raises:
        UsageError: the space has no such architecture.
        Interrupted: `stop` said so; the run can be resumed.
    """
    given = given or Given()
    config = checked_names(config, given)
    with run_in(config, reporter, stop) as ctx:
        task = plain_task(config, given, ctx.reporter)
        chosen = task.space.parse(arch)  # before the configuration is kept: a wrong code leaves no run behind
        distributed.first(lambda: keep_config(config, ctx))
        code = task.space.code(chosen)
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
