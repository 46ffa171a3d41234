"""How much each channel matters for one's own images: first-order Taylor (arXiv:1906.10771, equations 8 and 9)."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor

from edgenas.nn.network import Network


def channel_importance(network: Network, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, list[float]]:
    """Return how much the loss changes without each channel, by the group of the batch norm that gives the channel.

    It is the squared sum of scale and shift times their gradients, which is that of a gate behind the batch norm, added
    up over the batches. Deviation: the gradient is that of a batch's mean loss, where the paper has one for each image;
    so batches are small.

    Args:
        network: trained on such images. It is left in evaluation mode, without gradients.
        batches: images (N, C, R, R) and labels (N,).
    """
    network.eval()
    layers = {node.weights: network.layer(node.name) for node in network.graph.priced}
    normed = {group: layer.weights for group, layer in layers.items() if "scale" in layer.weights}
    found = {group: weights["scale"].new_zeros(weights["scale"].shape) for group, weights in normed.items()}
    for x, y in batches:
        network.zero_grad()
        F.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        for group, weights in normed.items():
            scale, shift = weights["scale"], weights["shift"]
            if scale.grad is not None and shift.grad is not None:
                found[group] += (scale * scale.grad + shift * shift.grad).detach().square()
    network.zero_grad()
    return {group: total.tolist() for group, total in found.items()}
