"""Networks that begin with trained weights: the slices of a larger network's that they stand for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from edgenas.nn.network import Network
from edgenas.nn.supernet import leading_slice


@torch.no_grad()
def inherit(network: Network, trained: Mapping[str, NDArray[np.float32]]) -> None:
    """Copy weights and batch-norm statistics into a network; what nothing is known of stays as it is.

    A smaller op takes the leading channels and the centre of the kernel, as in a supernet.

    Args:
        network: of the space that the weights belong to.
        trained: by `<group>.<parameter>`; `mean` and `variance` are those of batch norm.
    """
    for node in network.graph.priced:
        layer = network.layer(node.name)
        own = dict(layer.weights) | dict(layer.named_buffers())
        for name, tensor in own.items():
            source = trained.get(f"{node.weights}.{name}")
            if source is not None:
                tensor.copy_(leading_slice(torch.from_numpy(source), tuple(tensor.shape)))
