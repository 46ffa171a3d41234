"""Learned proposals, scored by an evaluator."""

from __future__ import annotations

from edgenas.strategies.predictors.guided import GuidedSearch


class PredictorGuided(GuidedSearch):
    """Predictor-guided search as in BANANAS (arXiv:1910.11858) and NPENAS (arXiv:2003.12857); see `GuidedSearch`."""

    reward_form = "hard"
