"""Cost models: one number per graph, computed one way for every space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenas.graph.graph import Arch, Graph, Node
from edgenas.graph.live_sums import LiveSums
from edgenas.spaces.base import SearchSpace, Statics


class CostModel(ABC):
    """A figure of an architecture that is minimised or limited.

    `metric` names it with its unit: `macs`, `params`, `peak_bytes`, or `latency_ms@<table>`.
    """

    metric: str

    @abstractmethod
    def __call__(self, graph: Graph) -> float:
        """Return the cost of one derived graph."""

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        """Return the costs (n,) of architectures."""
        return np.array([self(space.graph(arch)) for arch in archs], dtype=np.float64)


class AdditiveCost(CostModel):
    """An intercept plus a non-negative cost per node: exact in expectation, and a row of a linear program.

    What a node costs never changes, so that sums may be kept: other prices are another object.
    """

    intercept: float = 0.0

    @abstractmethod
    def node_costs(self, nodes: Sequence[Node]) -> np.ndarray:
        """Return the costs (n,) of priced nodes."""

    def __call__(self, graph: Graph) -> float:
        """Return the intercept plus the sum over the graph's nodes."""
        return float(self.intercept + self.node_costs(graph.priced).sum())

    def supergraph_costs(self, space: SearchSpace, statics: Statics) -> np.ndarray:
        """Return the cost of each node of the supergraph, 0 for what is free."""
        nodes = space.supergraph(statics).nodes
        priced = np.array([node.priced for node in nodes])
        costs = np.zeros(len(nodes))
        costs[priced] = self.node_costs([node for node in nodes if node.priced])
        return costs

    # By the sums themselves, which a space shares with its restrictions: their nodes are priced once for all of them.
    @cached_property
    def _tables(self) -> dict[LiveSums, NDArray[np.float64]]:
        return {}

    def totals(self, space: SearchSpace, statics: Statics, indices: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the costs (n,) of architectures of one supergraph.

        Args:
            space: where they are from.
            statics: options of its shape choices.
            indices: what `space.live_sums(statics).indices` gives for the architectures, (n, groups).
        """
        sums = space.live_sums(statics)
        if sums not in self._tables:
            self._tables[sums] = sums.table(self.supergraph_costs(space, statics))
        totals: NDArray[np.float64] = self.intercept + self._tables[sums][indices].sum(axis=1)
        return totals

    def expected(self, space: SearchSpace, statics: Statics, options: Sequence[Sequence[Any]]) -> Any:
        """Return the exact expected cost under independent choices.

        Args:
            space: where the architectures are from.
            statics: options of its shape choices.
            options: the probability of each option of each choice. Floats give a float; torch tensors give a tensor
                with gradients.
        """
        probabilities = space.conditions(statics).probabilities(options)
        costs = self.supergraph_costs(space, statics)
        total: Any = self.intercept
        for probability, cost in zip(probabilities, costs.tolist(), strict=True):
            # Terms of free nodes would only add to what a gradient goes through.
            if cost:
                total = total + probability * cost
        return total

    def many(self, space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
        """Return the costs (n,) of architectures, by one look-up for all that share their statics."""
        totals: np.ndarray = many_additive([self], space, archs)[0]
        return totals


def many_additive(costs: Sequence[AdditiveCost], space: SearchSpace, archs: Sequence[Arch]) -> np.ndarray:
    """Return several additive costs (costs, n) of architectures, for one look at which nodes are live."""
    totals = np.empty((len(costs), len(archs)))
    rows = space.rows(archs)
    for statics, members in space.by_statics(rows).items():
        indices = space.live_sums(statics).indices(rows[members])
        for row, cost in zip(totals, costs, strict=True):
            row[members] = cost.totals(space, statics, indices)
    return totals


def many_metrics(costs: Sequence[CostModel], space: SearchSpace, archs: Sequence[Arch]) -> dict[str, np.ndarray]:
    """Return every cost of every architecture: (n,) by metric."""
    # Additive costs share one look at the live nodes; the result keeps the order of `costs`.
    additive = [cost for cost in costs if isinstance(cost, AdditiveCost)]
    totals = many_additive(additive, space, archs) if additive else ()
    values = dict(zip((cost.metric for cost in additive), totals, strict=True))
    others = [cost for cost in costs if cost.metric not in values]
    values |= {cost.metric: cost.many(space, archs) for cost in others}
    return {cost.metric: values[cost.metric] for cost in costs}
