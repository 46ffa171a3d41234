"""An evaluator that takes the larger network for the better one; a plugin from outside, by the name of this module."""

from __future__ import annotations

from edgenas.cost.counts import CountCost
from edgenas.exploration.objective import Metrics
from edgenas.exploration.strategy import Context, Priced
from edgenas.graph.graph import Arch
from edgenas.nn.network import Network, fresh_network

_MOST_MACS = 1e12  # an accuracy is at most 1


class BySize:
    """No search: the largest feasible network, trained from fresh weights."""

    weights_version = 0
    own_weights = True

    def __init__(self, priced: Priced) -> None:
        """For the run's space."""
        self.space, self.seed, self.device = priced.problem.space, priced.config.seed, priced.torch_device
        self.macs = CountCost("macs")

    def __call__(self, arch: Arch) -> Metrics:
        """Multiply-adds, in 10^12, as `accuracy`."""
        return {"accuracy": float(self.macs.many(self.space, [arch])[0]) / _MOST_MACS, "loss": 0.0}

    def final(self, arch: Arch) -> Metrics:
        """The same."""
        return self(arch)

    def network(self, arch: Arch) -> Network:
        """Fresh weights."""
        return fresh_network(self.space, arch, self.seed, self.device)


def build(priced: Priced, ctx: Context) -> BySize:
    return BySize(priced)
