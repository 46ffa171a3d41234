"""How alphas weight branches, for the gradient strategies: what they draw, and how gradients pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture

TINY = 1e-20
Options = Sequence[tuple[int, ...]]


def soft(probabilities: Tensor, options: Options) -> list[Mixture]:
    """Every allowed option, weighted by its probability."""
    return [Mixture(allowed, row[list(allowed)]) for row, allowed in zip(probabilities, options, strict=True)]


def gumbel(probabilities: Tensor, rng: Generator, temperature: float) -> Tensor:
    """Samples of the concrete distribution (choices, width) (arXiv:1611.01144); hard ones are their largest entries."""
    noise = torch.from_numpy(rng.gumbel(size=tuple(probabilities.shape))).to(probabilities)
    # The gradient of log 0 is infinite, and times 0 no number.
    logs = probabilities.clamp(min=TINY).log().masked_fill(probabilities == 0, -torch.inf)
    return ((logs + noise) / temperature).softmax(1)


def straight_through(samples: Tensor) -> list[Mixture]:
    """The largest entry of each row alone, at weight 1, with the gradient of the entry."""
    chosen = samples.argmax(1)
    taken = samples.gather(1, chosen[:, None])[:, 0]
    weights = 1 + taken - taken.detach()
    return [Mixture((option,), weights[row, None]) for row, option in enumerate(chosen.tolist())]
