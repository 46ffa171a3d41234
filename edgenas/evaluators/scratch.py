"""Scores from a short training of each architecture's own weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from edgenas.data.base import Data
from edgenas.exploration.objective import Metrics
from edgenas.exploration.strategy import Context, Priced
from edgenas.graph.graph import Arch
from edgenas.nn.network import Network, fresh_network
from edgenas.spaces.base import SearchSpace
from edgenas.training.context import TrainingContext
from edgenas.training.head import fit_head
from edgenas.training.settings import Settings, batch_size_for, epochs_for, gentle
from edgenas.training.train import evaluate, supervised, train


class ScratchEvaluator:
    """Trains each architecture for a few epochs; the same architecture always gets the same score."""

    weights_version = 0
    own_weights = True

    def __init__(self, space: SearchSpace, data: Data, settings: Settings, device: str, seed: int) -> None:
        """Prepare to score architectures.

        Args:
            space: where the architectures are from.
            data: what is trained and scored on.
            settings: of the short training.
            device: cpu or cuda.
            seed: of fresh weights and of the order of images, the same for every architecture.
        """
        self.space, self.data, self.settings, self.device, self.seed = space, data, settings, device, seed
        self._scores: dict[Arch, Metrics] = {}

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` and `loss` on the whole validation split after the short training."""
        if arch not in self._scores:
            with _one_thread():
                self._scores[arch] = self._trained(arch)
        return dict(self._scores[arch])

    def final(self, arch: Arch) -> Metrics:
        """Return the same score: every architecture has weights of its own."""
        return self(arch)

    def network(self, arch: Arch) -> Network:
        """Return the weights that a training begins with."""
        return fresh_network(self.space, arch, self.seed, self.device)

    def _trained(self, arch: Arch) -> Metrics:
        network = self.network(arch)
        if network.needs_head:
            fit_head(network, self.data.train, seed=self.seed)
        size = network.graph.input.shape[1]
        train(
            network,
            supervised(network, self.settings),
            self.data.train,
            self.settings,
            size=size,
            seed=self.seed,
            context=TrainingContext(),  # nothing is kept: a trial that was killed is trained again
        )
        scores = evaluate(network, self.data.validation.batches(256, size=size))
        return {"accuracy": scores.accuracy, "loss": scores.loss}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread: more add up in another order, so a score would not be the same everywhere; cores serve trials."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def build(priced: Priced, ctx: Context) -> ScratchEvaluator:
    """Return a short training on the run's data."""
    config, data = priced.config, priced.data
    epochs = config.scratch_epochs or epochs_for(20_000, 1, len(data.train))
    settings = Settings(epochs, batch_size_for(len(data.train)))
    if priced.problem.space.trained:
        settings = gentle(settings)
    return ScratchEvaluator(priced.problem.space, data, settings, priced.torch_device, config.seed)
