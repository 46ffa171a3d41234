"""Scores of slices of shared weights, whoever trained them."""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

from edgenas.data.base import Data
from edgenas.exploration.objective import Metrics
from edgenas.graph.graph import Arch
from edgenas.nn.network import Network, reestimate_batch_norm
from edgenas.nn.supernet import Supernet
from edgenas.training.train import Scores, evaluate, scores_of

Batches: TypeAlias = "list[tuple[Tensor, Tensor]]"

SEARCH_IMAGES = 3000  # of validation, per trial: a standard error of half a point
NORM_BATCHES, BATCH_SIZE = 2, 128  # training images that batch norm is re-estimated on
# Fewer validation images than these alone would choose what suits them, so that cuts of a trained network are compared
# on those of batch norm, too: all cuts come from one network that has learned the same images.
ENOUGH_IMAGES = 512


class SupernetEvaluator:
    """Slices the supernet, re-estimates batch norm on training images, scores on validation images.

    With `quick`, as for cuts of a trained network, a search scores with the statistics of the batches themselves, which
    takes one pass instead of three; where validation images are few, on training images, too.
    """

    weights_version = 0  # whoever trains the weights on counts it up
    own_weights = False

    def __init__(self, supernet: Supernet, data: Data, *, quick: bool = False) -> None:
        """Score slices of `supernet` on images of `data`; batches are made once per resolution and kept."""
        self.supernet, self.data, self.quick = supernet, data, quick
        self._batches: dict[tuple[int, bool], tuple[Batches, Batches]] = {}
        self._images: dict[tuple[int, bool], Batches] = {}

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` and `loss` on the first validation images, which are shuffled."""
        if not self.quick:
            return self._score(arch, whole=False)
        batches = self._quick(self.supernet.space.graph(arch).input.shape[1])
        return _metrics(scores_of(partial(self.supernet, arch=arch), batches))

    def final(self, arch: Arch) -> Metrics:
        """Return the same on the whole validation split."""
        return self._score(arch, whole=True)

    def network(self, arch: Arch) -> Network:
        """Return the slice that `arch` is, batch norm re-estimated."""
        network = self.supernet.subnet(arch).to(memory_format=torch.channels_last)
        reestimate_batch_norm(network, self._split(network.graph.input.shape[1], False)[0])
        return network

    def _score(self, arch: Arch, whole: bool) -> Metrics:
        network = self.network(arch)
        return _metrics(evaluate(network, self._split(network.graph.input.shape[1], whole)[1]))

    def _split(self, size: int, whole: bool) -> tuple[Batches, Batches]:
        if (size, whole) not in self._batches:
            # Epoch 0 alone, so that every subnet is normalised on the same images.
            training = self.data.train.batches(BATCH_SIZE, size=size, epoch=0, limit=NORM_BATCHES)
            self._batches[size, whole] = list(training), self._validation(size, whole=whole)
        return self._batches[size, whole]

    def _quick(self, size: int) -> Batches:
        """Batches that a quick score is of."""
        few = len(self.data.validation) < ENOUGH_IMAGES
        return [*self._validation(size), *(self._split(size, False)[0] if few else ())]

    def _validation(self, size: int, *, whole: bool = False) -> Batches:
        if (size, whole) not in self._images:
            limit = None if whole else -(-SEARCH_IMAGES // BATCH_SIZE)
            self._images[size, whole] = list(self.data.validation.batches(BATCH_SIZE, size=size, limit=limit))
        return self._images[size, whole]


def _metrics(scores: Scores) -> Metrics:
    return {"accuracy": scores.accuracy, "loss": scores.loss}
