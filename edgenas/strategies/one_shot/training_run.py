"""What the wiring of a strategy that trains weights gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edgenas.errors import UsageError
from edgenas.evaluators.shared import SharedEvaluator
from edgenas.exploration import strategy as base
from edgenas.training.context import TrainingContext

EVALUATOR = "shared"  # the only one that scores by a strategy's weights


class Run(base.Run, Protocol):
    """A run with data, and a device to train on."""

    @property
    def evaluator(self) -> Any:
        """Must be the evaluator `shared`."""
        ...

    @property
    def options(self) -> Mapping[str, str]:
        """Options of the strategy."""
        ...

    @property
    def torch_device(self) -> str:
        """Where to train."""
        ...

    def surroundings(self, name: str, identity: dict[str, Any]) -> TrainingContext:
        """Where the training is kept, who is told of progress, and who may stop."""
        ...


def shared_evaluator(run: Run) -> SharedEvaluator:
    """The run's evaluator. Raises UsageError if it scores by other weights than the strategy's."""
    if run.config.evaluator != EVALUATOR:  # asked first: another one would be trained now
        raise UsageError(f"--evaluator {run.config.evaluator}: the strategy trains its own weights; leave it out")
    evaluator: SharedEvaluator = run.evaluator
    return evaluator
