"""Evaluator: what gives an architecture its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgenas.exploration.objective import Metrics
from edgenas.graph.graph import Arch

if TYPE_CHECKING:
    from edgenas.nn.network import Network


class Evaluator(Protocol):
    """Called during the search; `final` and `network` serve the finalists."""

    weights_version: int

    def __call__(self, arch: Arch) -> Metrics:
        """`accuracy` (0..1) and `loss` on the validation images that a search can afford."""
        ...

    def final(self, arch: Arch) -> Metrics:
        """The same on the final weights and the whole validation split."""
        ...

    def network(self, arch: Arch) -> Network:
        """The weights that a finalist's training starts from."""
        ...
