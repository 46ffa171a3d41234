"""Scores from the features of a trained network: batch norm estimated anew, a last layer fitted, nothing else trained.

It takes two passes over some hundred images. It ranks networks of one origin, such as one at several resolutions; cuts
that fine-tuning would mend score worse than they end.
"""

from __future__ import annotations

import numpy as np

from edgenas.data.base import Data, Split, stratified_split, subset
from edgenas.errors import UsageError
from edgenas.exploration.objective import Metrics
from edgenas.exploration.strategy import Context, Priced
from edgenas.graph.graph import Arch
from edgenas.nn.network import Network, fresh_network
from edgenas.spaces.base import SearchSpace
from edgenas.training.head import fit_head
from edgenas.training.train import evaluate

MOST_IMAGES = 1_000  # of training, and of validation: a standard error of 1.5 points, which is what ranks need


class FeaturesEvaluator:
    """Scores each architecture by what a last layer makes of its features; equal architectures get equal scores."""

    weights_version = 0
    own_weights = True

    def __init__(self, space: SearchSpace, data: Data, seed: int, device: str) -> None:
        """Prepare to score.

        Args:
            space: of a trained network.
            data: what is fitted and scored on; of each split a part, each class in proportion.
            seed: of which images these are.
            device: cpu or cuda.

        Raises:
            UsageError: the space comes without trained weights.
        """
        if not space.trained:
            raise UsageError("--evaluator features: the space has no trained weights; name a network by --pretrained")
        self.space, self.seed, self.device = space, seed, device
        self.train, self.validation = _part(data.train, seed), _part(data.validation, seed)
        self._scores: dict[Arch, Metrics] = {}

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` and `loss` on the part of the validation images."""
        if arch not in self._scores:
            network = self.network(arch)
            fit_head(network, self.train, seed=self.seed)
            scores = evaluate(network, self.validation.batches(64, size=network.graph.input.shape[1]))
            self._scores[arch] = {"accuracy": scores.accuracy, "loss": scores.loss}
        return dict(self._scores[arch])

    def final(self, arch: Arch) -> Metrics:
        """Return the same score."""
        return self(arch)

    def network(self, arch: Arch) -> Network:
        """Return the trained weights as they came, with a last layer that is yet to be fitted."""
        return fresh_network(self.space, arch, self.seed, self.device)


def build(priced: Priced, ctx: Context) -> FeaturesEvaluator:
    """Return scores on the run's images."""
    return FeaturesEvaluator(priced.problem.space, priced.data, priced.config.seed, priced.torch_device)


def _part(split: Split, seed: int) -> Split:
    """At most `MOST_IMAGES` of a split, each class in proportion."""
    if len(split) <= MOST_IMAGES:
        return split
    share = MOST_IMAGES / len(split)
    return subset(split, stratified_split(np.asarray(split.labels), (share, 1 - share), seed)[0])
