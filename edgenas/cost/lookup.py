"""Costs that are known for each architecture as a whole, as from measurements of all networks of a small space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from edgenas.cost.base import CostModel
from edgenas.errors import UsageError
from edgenas.graph.graph import Arch, Graph
from edgenas.spaces.base import SearchSpace


class LookupCost(CostModel):
    """The figure that was recorded for an architecture. Not a sum over nodes, so no row of an integer program."""

    def __init__(self, metric: str, archs: Sequence[Arch], values: ArrayLike) -> None:
        """Keep what was recorded.

        Args:
            metric: what was recorded.
            archs: for which architectures, n of them.
            values: the figures (n,), in the metric's unit.
        """
        self.metric = metric
        recorded = np.asarray(values, dtype=np.float64).tolist()
        # None is the architecture of a supergraph, for which nothing is recorded.
        self._values: dict[Arch | None, float] = dict(zip(archs, recorded, strict=True))

    def __call__(self, graph: Graph) -> float:
        """Return the figure of the architecture that the graph was derived for.

        Raises:
            UsageError: nothing was recorded for it.
        """
        return self._of(graph.arch)

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        """Return the figures (n,) of architectures; no graph is derived."""
        return np.array([self._of(arch) for arch in archs], dtype=np.float64)

    def _of(self, arch: Arch | None) -> float:
        if arch not in self._values:
            raise UsageError(f"{self.metric}: nothing is recorded for {arch}; there are {len(self._values)} others")
        return self._values[arch]
