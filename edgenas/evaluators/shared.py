"""Scores with the weights that the strategy trains while it searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.data.base import Data
from edgenas.errors import UsageError
from edgenas.evaluators.shared_weights.subnets import SupernetEvaluator
from edgenas.exploration.objective import Metrics
from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet

if TYPE_CHECKING:
    from edgenas.workflows.run import Run


class SharedEvaluator(SupernetEvaluator):
    """A `SupernetEvaluator` of a supernet that is a strategy's, which says when its weights are others."""

    weights_version = 0

    def __init__(self, data: Data) -> None:
        """The strategy brings its supernet with `adopt`."""
        self.data = data
        self._batches = {}
        self._adopted = False

    def adopt(self, supernet: Supernet) -> None:
        """Score with these weights from now on."""
        self.supernet, self._adopted = supernet, True

    def __call__(self, arch: Arch) -> Metrics:
        """`accuracy` and `loss` on the first validation images. Raises UsageError if no strategy trains weights."""
        if not self._adopted:
            raise UsageError("--evaluator shared: the strategy trains no weights; leave it out")
        return super().__call__(arch)


def build(run: Run) -> SharedEvaluator:
    """On the run's data."""
    return SharedEvaluator(run.data)
