"""Relaxations: how each gradient strategy turns probabilities into mixtures of branches, and how gradients pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture

TINY = 1e-20  # replaces a probability of 0 before its logarithm is taken
HOT, COLD = 10.0, 0.1  # temperature of Gumbel softmax at first and in the end, as in GDAS
# Temperature of hard concrete gates and how far they are stretched beyond 0..1 on both sides, as in their paper.
GATE_TEMPERATURE, STRETCH = 2 / 3, 0.1
Options = Sequence[tuple[int, ...]]


class Relaxation(Protocol):
    """How a strategy turns probabilities (choices, width) into mixtures; `progress` runs from 0 to 1.

    `smooth` says that nothing is drawn: the loss is a function of the alphas, with a Hessian. `images` are what a
    search of default length trains on: the fewer, the more branches it computes at once.
    """

    smooth: bool
    images: int

    def for_alphas(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Return the mixtures through which alphas get their gradient, one for each choice.

        Args:
            probabilities: (choices, width), with a gradient; 0 where an option is not offered.
            options: what is offered, by choice.
            rng: for what is drawn.
            progress: share of the steps that are done, 0 to 1.
        """
        ...

    def for_weights(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Return the mixtures that weights learn in; the arguments are those of `for_alphas`."""
        ...


class Softmax:
    """DARTS (Liu et al., 2019, arXiv:1806.09055), equation 2: all branches."""

    smooth, images = True, 8_000

    def for_alphas(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Return all branches of each choice, weighted by their probabilities."""
        return soft(probabilities, options)

    for_weights = for_alphas


class Gumbel:
    """GDAS (Dong and Yang, 2019, arXiv:1910.04465), equations 3 to 7: a hard sample forward, its softmax backward."""

    smooth, images = False, 40_000

    def for_alphas(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Draw one branch of each choice."""
        return straight_through(gumbel(probabilities, rng, HOT + (COLD - HOT) * progress))

    for_weights = for_alphas


class HardConcrete:
    """Hard concrete gates (Louizos et al., 2018, arXiv:1712.01312): relaxed samples, stretched and cut to 0..1.

    Branches whose gate is shut are not computed; the others are weighted. Deviation: gates of one choice share a
    softmax, where the paper's are independent.
    """

    smooth, images = False, 40_000

    def for_alphas(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Draw the open branches of each choice, the likeliest among them at least."""
        samples = gumbel(probabilities, rng, GATE_TEMPERATURE)
        # Of up to 11 options the largest sample is over 1 / 12, which stretches to above 0: one gate at least is open.
        gates = (samples * (1 + 2 * STRETCH) - STRETCH).clamp(0, 1)
        gates = gates / gates.sum(1, keepdim=True)
        mixtures = []
        for row, is_open in zip(gates, (gates > 0).tolist(), strict=True):
            kept = tuple(option for option, is_on in enumerate(is_open) if is_on)
            mixtures.append(Mixture(kept, row[list(kept)]))
        return mixtures

    for_weights = for_alphas


class BinaryGates:
    """ProxylessNAS (Cai et al., 2019, arXiv:1812.00332), section 3.2 and appendix D.

    Deviation: alphas learn by Adam on the two drawn, without rescaling what the others had; the expected cost keeps
    all of them in view.
    """

    smooth, images = False, 16_000

    def for_alphas(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Draw two branches of each choice, one of them open; a gate's gradient is its branch's."""
        drawn = gumbel(probabilities.detach(), rng, 1.0).topk(2, 1).indices  # by probability, without replacement
        # Where one option is left, the second one drawn has probability 0, and its gate stays shut.
        pair = probabilities.gather(1, drawn)
        share = pair / pair.sum(1, keepdim=True)
        is_first = torch.from_numpy(rng.random(len(share))).to(share) < share[:, 0]
        gates = torch.stack([is_first, ~is_first], 1).to(share)
        weights = gates + share - share.detach()
        return [Mixture((a, b), row) for (a, b), row in zip(drawn.tolist(), weights, strict=True)]

    def for_weights(self, probabilities: Tensor, options: Options, rng: Generator, progress: float) -> list[Mixture]:
        """Draw one branch of each choice."""
        return straight_through(gumbel(probabilities, rng, 1.0))


def soft(probabilities: Tensor, options: Options) -> list[Mixture]:
    """Return every allowed option, weighted by its probability."""
    return [Mixture(allowed, row[list(allowed)]) for row, allowed in zip(probabilities, options, strict=True)]


def gumbel(probabilities: Tensor, rng: Generator, temperature: float) -> Tensor:
    """Draw from the concrete distribution (choices, width) (arXiv:1611.01144); hard samples are the largest entries."""
    noise = torch.from_numpy(rng.gumbel(size=tuple(probabilities.shape))).to(probabilities)
    # The gradient of log 0 is infinite, and times 0 no number.
    logs = probabilities.clamp(min=TINY).log().masked_fill(probabilities == 0, -torch.inf)
    return ((logs + noise) / temperature).softmax(1)


def straight_through(samples: Tensor) -> list[Mixture]:
    """Return the largest entry of each row alone, at weight 1, with the gradient of the entry."""
    chosen = samples.argmax(1)
    taken = samples.gather(1, chosen[:, None])[:, 0]
    weights = 1 + taken - taken.detach()
    return [Mixture((option,), weights[row, None]) for row, option in enumerate(chosen.tolist())]
