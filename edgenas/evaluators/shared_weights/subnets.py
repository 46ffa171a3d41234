"""Scores of slices of shared weights, whoever trained them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from edgenas.data.base import Data
from edgenas.exploration.objective import AGREEMENT, Metrics
from edgenas.graph.graph import Arch
from edgenas.nn.network import Network, reestimate_batch_norm
from edgenas.nn.reconstruction import Reference
from edgenas.nn.supernet import Supernet
from edgenas.pretrained.converter.space import whole_at
from edgenas.training.distillation import Teacher, resized
from edgenas.training.train import Scores, evaluate, scores_of

Batches: TypeAlias = "list[tuple[Tensor, Tensor]]"

SEARCH_IMAGES = 3000  # of validation, per trial: a standard error of half a point
NORM_BATCHES, BATCH_SIZE = 2, 128  # training images that batch norm is re-estimated on
# Those that cuts are fitted on: all of them up to 128 pixels, fewer of larger ones, whose values are kept in memory.
FITTED_PIXELS, LEAST_FITTED = 256 * 128**2, 64
CUT_IMAGES = 512  # of validation, that cuts are compared on beside the training images: no labels are asked for


class SupernetEvaluator:
    """Slices the supernet, re-estimates batch norm on training images, scores on validation images.

    With a teacher, slices are cuts of the trained network, and what is left of a block is fitted to what all of it
    gives. They are compared by `agreement` with the teacher, `exp(-divergence)`: accuracies of a few hundred images are
    too coarse, and soft labels can be had for training images, too. A search scores cuts without a fit, with the
    statistics of the batches themselves, which takes one pass.
    """

    weights_version = 0  # whoever trains the weights on counts it up
    own_weights = False

    def __init__(self, supernet: Supernet, data: Data, *, teacher: Teacher | None = None) -> None:
        """Score slices of `supernet` on images of `data`.

        Batches are made once per resolution and kept; of cuts, which come in many, at the teacher's size alone.
        """
        self.supernet, self.data, self.teacher = supernet, data, teacher
        self._reference: tuple[Arch, Reference] | None = None
        self._batches: dict[int, tuple[Batches, Batches]] = {}
        self._labels: list[Tensor] = []

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` and `loss` on the first validation images, which are shuffled; of cuts `agreement`, too."""
        size = self.supernet.space.graph(arch).input.shape[1]
        if self.teacher is not None:
            return self._compared(partial(self.supernet, arch=arch), size)
        return _metrics(evaluate(self.network(arch), self._validation(size)))

    def final(self, arch: Arch) -> Metrics:
        """Return the same on the whole validation split; agreement on as many images as in a search."""
        network = self.network(arch)
        size = network.graph.input.shape[1]
        if self.teacher is not None and len(self.data.validation) <= CUT_IMAGES:
            return self._compared(network, size)  # on the same images
        found = _metrics(evaluate(network, self._whole_validation(size)))
        return found if self.teacher is None else found | {AGREEMENT: self._compared(network, size)[AGREEMENT]}

    def network(self, arch: Arch) -> Network:
        """Return the slice that `arch` is, batch norm re-estimated; a cut is fitted to the whole before."""
        network = self.supernet.subnet(arch).to(memory_format=torch.channels_last)
        batches = self._training(network.graph.input.shape[1])
        whole = None if self.teacher is None else whole_at(self.supernet.space, arch)
        if whole is not None and whole != arch:
            self._reference_of(whole, batches).fit(network)
        reestimate_batch_norm(network, batches)
        return network

    def _reference_of(self, whole: Arch, batches: Batches) -> Reference:
        """What cuts of one size are fitted to: that of the last size is kept, as each takes hundreds of megabytes."""
        if self._reference is None or self._reference[0] != whole:
            network = self.supernet.subnet(whole).to(memory_format=torch.channels_last)
            reestimate_batch_norm(network, batches)
            images = torch.cat([x for x, _ in batches])
            most = max(LEAST_FITTED, FITTED_PIXELS // images.shape[-1] ** 2)
            self._reference = whole, Reference(network, images[:most])
        return self._reference[1]

    @torch.no_grad()
    def _compared(self, logits_of: Callable[[Tensor], Tensor], size: int) -> Metrics:
        """Metrics of a cut, by its logits (N, classes) of images (N, C, size, size)."""
        validation = self._validation(size)
        logits = [logits_of(x).float() for x, _ in (*validation, *self._training(size))]
        labels = self._soft_labels()
        both = zip(logits, labels, strict=True)
        nats = sum(float(F.kl_div(ours.log_softmax(1), theirs, reduction="sum")) for ours, theirs in both)
        given = iter(logits)
        scores = scores_of(lambda x: next(given), validation)
        return {**_metrics(scores), AGREEMENT: math.exp(-max(0.0, nats) / sum(map(len, labels)))}

    def _soft_labels(self) -> list[Tensor]:
        """Those of the teacher, for the batches that cuts are compared on."""
        if not self._labels and self.teacher is not None:
            side = self.teacher.side
            self._labels = [self.teacher.labels(x) for x, _ in (*self._validation(side), *self._training(side))]
        return self._labels

    def _training(self, size: int) -> Batches:
        """Images that batch norm is re-estimated on, in batches."""
        return self._kept(0, size)

    def _validation(self, size: int) -> Batches:
        """The first images of validation, in batches."""
        return self._kept(1, size)

    def _kept(self, split: int, size: int) -> Batches:
        if self.teacher is None:
            return self._batches_at(size, SEARCH_IMAGES)[split]
        return [(resized(x, size), y) for x, y in self._batches_at(self.teacher.side, CUT_IMAGES)[split]]

    def _batches_at(self, size: int, images: int) -> tuple[Batches, Batches]:
        """Training and validation."""
        if size not in self._batches:
            # Epoch 0 alone, so that every subnet is normalised on the same images.
            training = self.data.train.batches(BATCH_SIZE, size=size, epoch=0, limit=NORM_BATCHES)
            validation = self.data.validation.batches(BATCH_SIZE, size=size, limit=-(-images // BATCH_SIZE))
            self._batches[size] = list(training), list(validation)
        return self._batches[size]

    def _whole_validation(self, size: int) -> Iterable[tuple[Tensor, Tensor]]:
        if len(self.data.validation) <= SEARCH_IMAGES and self.teacher is None:
            return self._validation(size)
        return self.data.validation.batches(BATCH_SIZE, size=size)


def _metrics(scores: Scores) -> Metrics:
    return {"accuracy": scores.accuracy, "loss": scores.loss}
