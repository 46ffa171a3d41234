"""GDAS: one branch at a time, drawn with Gumbel noise."""

from __future__ import annotations

from collections.abc import Mapping

from edgenas.strategies.gradient.bilevel import OPTIONS, Bilevel
from edgenas.strategies.gradient.relaxations import Gumbel, HardConcrete, Relaxation


class Gdas(Bilevel):
    """GDAS (Dong and Yang, 2019, arXiv:1910.04465): bilevel training of one drawn branch of each choice.

    With `gates=hard-concrete` it trains the open ones among relaxed gates instead. See `Gumbel`, `HardConcrete`,
    `Bilevel` and `BilevelTraining` for how it differs from the papers.
    """

    options = {"gates": ("softmax", "hard-concrete"), **OPTIONS}

    @classmethod
    def relaxation(cls, options: Mapping[str, str]) -> Relaxation:
        """Return the relaxation that the option `gates` names."""
        return HardConcrete() if options["gates"] == "hard-concrete" else Gumbel()
