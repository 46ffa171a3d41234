"""ENAS: a controller, scored by shared weights that train on its own samples."""

from __future__ import annotations

from edgenas.strategies.one_shot.weight_sharing import ControllerWithSharedWeights


class Enas(ControllerWithSharedWeights):
    """ENAS (Pham et al., 2018, arXiv:1802.03268): accuracy is the reward, against a moving average of earlier ones.

    Differences: what is beyond the budget is neither trained nor scored; weights and policy take turns in each round
    of samples, where the paper's take one each epoch.
    """

    baseline = "moving"
    warm_up = 0.0
