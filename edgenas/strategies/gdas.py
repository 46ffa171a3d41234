"""GDAS: one branch at a time, drawn with Gumbel noise."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.random import Generator
from torch import Tensor

from edgenas.nn.mixture import Mixture
from edgenas.strategies.gradient.bilevel import OPTIONS as BILEVEL
from edgenas.strategies.gradient.bilevel import Bilevel, bilevel
from edgenas.strategies.gradient.relaxations import gumbel, straight_through
from edgenas.strategies.one_shot.training_run import Run

REWARD = "hard"
EVALUATOR = "shared"
OPTIONS = {"gates": ("softmax", "hard-concrete"), **BILEVEL}
HOT, COLD = 10.0, 0.1  # temperature at first and in the end, as in the paper
TEPID, STRETCH = 2 / 3, 0.1  # of hard concrete gates, as in theirs


class Gumbel:
    """GDAS (Dong and Yang, 2019, arXiv:1910.04465), equations 3 to 7: a hard sample forward, its softmax backward."""

    smooth, images = False, 40_000

    def for_alphas(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """One branch of each choice."""
        return straight_through(gumbel(probabilities, rng, HOT + (COLD - HOT) * progress))

    for_weights = for_alphas


class HardConcrete:
    """Hard concrete gates (Louizos et al., 2018, arXiv:1712.01312): relaxed samples, stretched and cut to 0..1.

    Branches whose gate is shut are not computed; the others are weighted. Deviation: gates of one choice share a
    softmax, where the paper's are independent.
    """

    smooth, images = False, 40_000

    def for_alphas(
        self, probabilities: Tensor, options: Sequence[tuple[int, ...]], rng: Generator, progress: float
    ) -> list[Mixture]:
        """The open branches, the likeliest among them at least."""
        samples = gumbel(probabilities, rng, TEPID)
        gates = (samples * (1 + 2 * STRETCH) - STRETCH).clamp(0, 1)
        gates = gates / gates.sum(1, keepdim=True)
        mixtures = []
        for row, is_open in zip(gates, (gates > 0).tolist(), strict=True):
            kept = tuple(option for option, is_on in enumerate(is_open) if is_on)
            mixtures.append(Mixture(kept, row[list(kept)]))
        return mixtures

    for_weights = for_alphas


def build(run: Run) -> Bilevel:
    """With the run's settings and options."""
    return bilevel(run, HardConcrete() if run.options["gates"] == "hard-concrete" else Gumbel())
