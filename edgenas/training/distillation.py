"""Training by a teacher's soft labels on the same random parts of images (arXiv:1503.02531, at temperature 1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgenas.nn.network import Network
from edgenas.training.train import Gradients


def distilled(network: Network, teacher: Network) -> Gradients:
    """Return a function that adds the gradients of cross-entropy with the teacher's soft labels.

    Images come at the teacher's size, and the network sees them at its own: a teacher that sees more knows more.
    Deviation: labels of people are not mixed in, as the teacher has been trained on the same ones.

    Args:
        network: what is trained, on images no larger than the teacher's.
        teacher: is left in evaluation mode.
    """
    teacher.eval()
    side = network.graph.input.shape[1]

    def gradients(x: Tensor, y: Tensor, step: int) -> Tensor:
        loss = F.cross_entropy(network(resized(x, side)), soft_labels(teacher, x))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return gradients


@torch.no_grad()
def soft_labels(teacher: nn.Module, x: Tensor) -> Tensor:
    """Return the probabilities (N, classes) that the teacher gives images (N, C, R, R)."""
    logits: Tensor = teacher(x)
    return logits.float().softmax(1)


def resized(x: Tensor, side: int) -> Tensor:
    """Return square images (N, C, H, H) at another size, as `preprocess` has them: (N, C, side, side)."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True)
