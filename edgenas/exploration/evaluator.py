"""Evaluator: the contract of what gives an architecture its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgenas.exploration.objective import Metrics
from edgenas.graph.graph import Arch

if TYPE_CHECKING:
    from edgenas.nn.network import Network


class Evaluator(Protocol):
    """Scores architectures during the search by calling it; `final` and `network` serve the finalists.

    An evaluator plugin is a file with `build(priced, ctx) -> Evaluator`. Equal architectures get equal scores as long
    as `weights_version` stays the same; scores of different versions are never compared.

    Attributes:
        weights_version: which weights the scores are of, counted up whenever weights that are shared have changed.
        own_weights: whether each architecture is trained by itself, so that trials need nothing of each other: they
            may run in any process, and their scores are final.

    >>> from edgenas.evaluators.tabular import TabularEvaluator
    >>> from edgenas.testing.toy import ToySpace
    >>> evaluator = TabularEvaluator(ToySpace(3), {(0,) * 8: 0.9}, seed=0, device="cpu")
    >>> evaluator((0,) * 8)
    {'accuracy': 0.9}
    """

    weights_version: int
    own_weights: bool

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` (0..1), and `loss` if it is known, on the validation images that a search can afford.

        Raises:
            EdgeNASError: this architecture cannot be scored; it becomes a failed trial.
        """
        ...

    def final(self, arch: Arch) -> Metrics:
        """Return the metrics of `arch` on the final weights and the whole validation split."""
        ...

    def network(self, arch: Arch) -> Network:
        """Return a network with the weights that a finalist's training starts from."""
        ...
