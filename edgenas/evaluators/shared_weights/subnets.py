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
from edgenas.nn.reconstruction import Reference
from edgenas.nn.supernet import Supernet
from edgenas.training.train import Scores, evaluate, scores_of

Batches: TypeAlias = "list[tuple[Tensor, Tensor]]"

SEARCH_IMAGES = 3000  # of validation, per trial: a standard error of half a point
NORM_BATCHES, BATCH_SIZE = 2, 128  # training images that batch norm is re-estimated on
# Those that cuts are fitted on: all of them up to 128 pixels, fewer of larger ones, whose values are kept in memory.
FITTED_PIXELS, LEAST_FITTED = 256 * 128**2, 64
# Fewer validation images than these alone would choose what suits them, so that cuts of a trained network are compared
# on those of batch norm, too: all cuts come from one network that has learned the same images.
ENOUGH_IMAGES = 512


class SupernetEvaluator:
    """Slices the supernet, re-estimates batch norm on training images, scores on validation images.

    With `whole`, slices are cuts of that architecture: what is left of a block is fitted to what all of it gives. A
    search then scores with the statistics of the batches themselves, without a fit, which takes one pass; where
    validation images are few, on training images, too.
    """

    weights_version = 0  # whoever trains the weights on counts it up
    own_weights = False

    def __init__(self, supernet: Supernet, data: Data, *, whole: Arch | None = None) -> None:
        """Score slices of `supernet` on images of `data`; batches are made once per resolution and kept."""
        self.supernet, self.data, self.whole = supernet, data, whole
        self._references: dict[Arch, Reference] = {}
        self._batches: dict[tuple[int, bool], tuple[Batches, Batches]] = {}
        self._images: dict[tuple[int, bool], Batches] = {}

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` and `loss` on the first validation images, which are shuffled."""
        if self.whole is None:
            return self._score(arch, whole=False)
        batches = self._quick(self.supernet.space.graph(arch).input.shape[1])
        return _metrics(scores_of(partial(self.supernet, arch=arch), batches))

    def final(self, arch: Arch) -> Metrics:
        """Return the same on the whole validation split."""
        return self._score(arch, whole=True)

    def network(self, arch: Arch) -> Network:
        """Return the slice that `arch` is, batch norm re-estimated; a cut is fitted to the whole before."""
        network = self.supernet.subnet(arch).to(memory_format=torch.channels_last)
        batches = self._split(network.graph.input.shape[1], False)[0]
        if self.whole is not None and (whole := self._whole_at(arch, self.whole)) != arch:
            self._reference(whole, batches).fit(network)
        reestimate_batch_norm(network, batches)
        return network

    def _whole_at(self, arch: Arch, whole: Arch) -> Arch:
        """The whole network with the shape choices of another one."""
        static = set(self.supernet.space.static_indices)
        return tuple(own if i in static else option for i, (own, option) in enumerate(zip(arch, whole, strict=True)))

    def _reference(self, whole: Arch, batches: Batches) -> Reference:
        if whole not in self._references:
            network = self.supernet.subnet(whole).to(memory_format=torch.channels_last)
            reestimate_batch_norm(network, batches)
            images = torch.cat([x for x, _ in batches])
            most = max(LEAST_FITTED, FITTED_PIXELS // images.shape[-1] ** 2)
            self._references[whole] = Reference(network, images[:most])
        return self._references[whole]

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
