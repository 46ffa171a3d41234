"""DARTS: every branch at once, weighted by a softmax of the alphas."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture
from edgenas.strategies import _bilevel
from edgenas.strategies._bilevel import Bilevel, bilevel
from edgenas.strategies._training_run import Run
from edgenas.strategies._weightings import soft

REWARD = "hard"
EVALUATOR = "shared"
OPTIONS = {"order": ("1", "2"), **_bilevel.OPTIONS}


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
