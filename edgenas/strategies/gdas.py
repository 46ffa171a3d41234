"""GDAS: one branch at a time, drawn with Gumbel noise."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture
from edgenas.strategies._bilevel import Bilevel, Run, bilevel
from edgenas.strategies._weightings import gumbel, straight_through

REWARD = "hard"
EVALUATOR = "shared"
HOT, COLD = 10.0, 0.1  # temperature at first and in the end, as in the paper


class Gumbel:
    """GDAS (Dong and Yang, 2019, arXiv:1910.04465), equations 3 to 7: a hard sample forward, its softmax backward."""

    smooth = False

    def for_alphas(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """One branch of each choice."""
        return straight_through(gumbel(probabilities, rng, HOT + (COLD - HOT) * progress))

    for_weights = for_alphas


def build(run: Run) -> Bilevel:
    """Private weights, as in the paper."""
    return bilevel(run, Gumbel(), private=True)
