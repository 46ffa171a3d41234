"""Networks with weights of their own, for evaluators that share none."""

from __future__ import annotations

import torch

from edgenas.graph.graph import Arch
from edgenas.nn.network import Network
from edgenas.spaces.base import SearchSpace


def fresh_network(space: SearchSpace, arch: Arch, seed: int, device: str) -> Network:
    """Untrained; the same architecture and seed get the same weights."""
    network = Network(space.graph(arch), torch.Generator().manual_seed(seed))
    return network.to(device).to(memory_format=torch.channels_last)
