"""One-shot: shared weights trained on random paths, then predictor-guided search on what they give."""

from __future__ import annotations

from edgenas.strategies.one_shot.path_samplers import fair_paths, group_size, uniform_paths
from edgenas.strategies.one_shot.training_run import Run
from edgenas.strategies.one_shot.weight_sharing import WithWeights, predicted

REWARD = "hard"
EVALUATOR = "shared"
OPTIONS = {"sampling": ("uniform", "fair")}


def build(run: Run) -> WithWeights:
    """Uniform paths (SPOS, arXiv:1904.00420) or fair ones (FairNAS, arXiv:1907.01845), in about the same time.

    Difference: where the papers evolve on subnet accuracies, evolution is on what a predictor makes of a few of them.
    """
    if run.options["sampling"] == "fair":
        return predicted(run, fair_paths, group_size(run.problem.space))
    return predicted(run, uniform_paths, 1)
