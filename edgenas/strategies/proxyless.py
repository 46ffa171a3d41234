"""ProxylessNAS: binary gates; two branches at a time for the alphas, one for the weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture
from edgenas.strategies.gradient.bilevel import OPTIONS as BILEVEL
from edgenas.strategies.gradient.bilevel import Bilevel, bilevel
from edgenas.strategies.gradient.relaxations import gumbel, straight_through
from edgenas.strategies.one_shot.training_run import Run

REWARD = "hard"
EVALUATOR = "shared"
OPTIONS = BILEVEL


class BinaryGates:
    """ProxylessNAS (Cai et al., 2019, arXiv:1812.00332), section 3.2 and appendix D.

    Deviation: alphas learn by Adam on the two drawn, without rescaling what the others had; the expected cost keeps
    all of them in view.
    """

    smooth, images = False, 16_000

    def for_alphas(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """Two branches of each choice, one of them open; a gate's gradient is its branch's."""
        drawn = gumbel(probabilities.detach(), rng, 1.0).topk(2, 1).indices  # by probability, without replacement
        pair = probabilities.gather(1, drawn)
        share = pair / pair.sum(1, keepdim=True)
        is_first = torch.from_numpy(rng.random(len(share))).to(share) < share[:, 0]
        gates = torch.stack([is_first, ~is_first], 1).to(share)
        weights = gates + share - share.detach()
        return [Mixture((a, b), row) for (a, b), row in zip(drawn.tolist(), weights, strict=True)]

    def for_weights(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """One branch of each choice."""
        return straight_through(gumbel(probabilities, rng, 1.0))


def build(run: Run) -> Bilevel:
    """With the run's settings and options."""
    return bilevel(run, BinaryGates())
