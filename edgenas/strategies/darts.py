"""DARTS: every branch at once, weighted by a softmax of the alphas."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture
from edgenas.strategies.gradient.bilevel import OPTIONS as BILEVEL
from edgenas.strategies.gradient.bilevel import Bilevel, bilevel
from edgenas.strategies.gradient.relaxations import soft
from edgenas.strategies.one_shot.training_run import Run

REWARD = "hard"
EVALUATOR = "shared"
OPTIONS = {"order": ("1", "2"), **BILEVEL}


class Softmax:
    """DARTS (Liu et al., 2019, arXiv:1806.09055), equation 2."""

    smooth, images = True, 8_000

    def for_alphas(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """All branches."""
        return soft(probabilities, options)

    for_weights = for_alphas


def build(run: Run) -> Bilevel:
    """With the run's settings and options."""
    return bilevel(run, Softmax())
