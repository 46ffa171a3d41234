"""One-shot: shared weights trained on random paths, then predictor-guided search on what they give."""

from __future__ import annotations

from collections.abc import Mapping

from edgenas.exploration.strategy import Context, Priced
from edgenas.strategies.one_shot.path_samplers import PathSampler, fair_paths, group_size, uniform_paths
from edgenas.strategies.one_shot.path_training import path_training
from edgenas.strategies.one_shot.weight_sharing import WeightSharing
from edgenas.strategies.predictors.guided import GuidedSearch


class OneShot(WeightSharing):
    """Uniform paths (SPOS, arXiv:1904.00420) or fair ones (FairNAS, arXiv:1907.01845), in about the same time.

    Difference: where the papers evolve on subnet accuracies, evolution is on what a predictor makes of a few of them.
    """

    options = {"sampling": ("uniform", "fair")}

    @classmethod
    def build(cls, priced: Priced, ctx: Context, options: Mapping[str, str]) -> OneShot:
        """Return a predictor of what fresh weights give that are trained on such paths."""
        is_fair = options["sampling"] == "fair"
        paths: PathSampler = fair_paths if is_fair else uniform_paths
        training = path_training(priced, group_size(priced.problem.space) if is_fair else 1)
        context = ctx.training("paths", {**priced.identity, "epochs": training.settings.epochs})
        return cls(GuidedSearch.build(priced, ctx, {}), training, paths, priced.data, context)
