"""DARTS: every branch at once, weighted by a softmax of the alphas."""

from __future__ import annotations

from collections.abc import Mapping

from edgenas.strategies.gradient.bilevel import Bilevel
from edgenas.strategies.gradient.relaxations import Relaxation, Softmax


class Darts(Bilevel):
    """DARTS (Liu et al., 2019, arXiv:1806.09055): bilevel training, first order, of all branches at once.

    See `Softmax`, `Bilevel` and `BilevelTraining` for how it differs from the paper.
    """

    @classmethod
    def relaxation(cls, options: Mapping[str, str]) -> Relaxation:
        """Return a softmax."""
        return Softmax()
