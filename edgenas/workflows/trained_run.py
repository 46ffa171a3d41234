"""A run folder that was searched, opened for what was trained there: settings, data, space, shared weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.problem import Problem
from edgenas.nn.supernet import Supernet
from edgenas.system.progress import Reporter
from edgenas.system.run_folder import KeptFolder, read_artefact
from edgenas.workflows.config import Config
from edgenas.workflows.context import Context
from edgenas.workflows.given import Given, objects_again
from edgenas.workflows.kept_table import read_kept_table
from edgenas.workflows.setup import make_task, plain_task
from edgenas.workflows.source_run import begun_with, kept_files, trained_in
from edgenas.workflows.stages.artefacts import Narrowing
from edgenas.workflows.task import Priced, narrowed, price
from edgenas.workflows.trained_networks import Networks, trained_networks, trained_teacher
from edgenas.workflows.trained_weights import trained_weights


@dataclass(frozen=True)
class TrainedRun:
    """What a search left.

    Args:
        priced: data, table, costs and problem as the search had them.
        context: with a folder that is only read.
        supernet: the trained weights, on the training device.
        trained: the problem whose feasible architectures were trained, and no others.
    """

    priced: Priced
    context: Context
    supernet: Supernet
    trained: Problem

    @property
    def config(self) -> Config:
        """The settings of the search."""
        return self.priced.config

    def evaluator(self) -> SupernetEvaluator:
        """Return what scores slices of the weights on the run's data."""
        return SupernetEvaluator(self.supernet, self.priced.data, teacher=self.priced.teacher)

    def finalists(self) -> Networks:
        """Return the networks that were trained to the end, the delivered one first; none before there is a result."""
        priced = self.priced
        return trained_networks(self.context.folder.path, priced.space, self.trained.space, priced.torch_device)


def open_trained_run(
    folder: Path,
    reporter: Reporter,
    given: Given | None = None,
    moved: Mapping[str, Any] = MappingProxyType({}),
) -> TrainedRun:
    """Open the folder of a search whose shared weights are trained; of a specialised run, those that it uses.

    Args:
        folder: of the run; it is only read.
        reporter: who is told of notices.
        given: objects that stand for names of the configuration.
        moved: settings that may have changed since: where images and weights are, where networks are trained.

    Raises:
        UsageError: no run of a search, one without shared weights, or one that did not come so far.
        CheckpointError: the weights are damaged, or another version's.
    """
    given = given or Given()
    # A specialised run trains no shared weights; those that it uses lie in its folder.
    run, folder = folder, trained_in(folder)
    config = replace(begun_with(folder, moved), output=str(run))  # decoded pictures lie beside it
    kept_files(folder, config)  # called for its errors: it names what is missing
    ctx = Context(KeptFolder(folder), config.seed, reporter)
    with objects_again():
        task = make_task(plain_task(config, given, reporter, folder), given, ctx)
    # Only the shape choices that the run kept have weights.
    task = replace(task, teacher=trained_teacher(folder, task))
    task = narrowed(task, read_artefact(folder, "narrow", Narrowing).allowed)
    priced = price(task, read_kept_table(folder / "table.csv"))
    return TrainedRun(priced, ctx, *trained_weights(priced, given, ctx))
