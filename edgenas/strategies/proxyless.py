"""ProxylessNAS: binary gates; two branches at a time for the alphas, one for the weights."""

from __future__ import annotations

from collections.abc import Mapping

from edgenas.strategies.gradient.bilevel import Bilevel
from edgenas.strategies.gradient.relaxations import BinaryGates, Relaxation


class Proxyless(Bilevel):
    """ProxylessNAS (Cai et al., 2019, arXiv:1812.00332): bilevel training through binary gates.

    See `BinaryGates`, `Bilevel` and `BilevelTraining` for how it differs from the paper.
    """

    @classmethod
    def relaxation(cls, options: Mapping[str, str]) -> Relaxation:
        """Return binary gates."""
        return BinaryGates()
