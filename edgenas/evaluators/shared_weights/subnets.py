"""Scores of slices of shared weights, whoever trained them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
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
from edgenas.pretrained.converter.space import PretrainedSpace, whole_at
from edgenas.training.distillation import Teacher, resized
from edgenas.training.train import Scores, evaluate, scores_of

Batches: TypeAlias = "list[tuple[Tensor, Tensor]]"

SEARCH_IMAGES = 3000  # of validation, per trial: a standard error of half a point
NORM_BATCHES, BATCH_SIZE = 2, 128  # training images that batch norm is re-estimated on
# Those that cuts are fitted on: all of them up to 128 pixels, fewer of larger ones, whose values are kept in memory.
FITTED_PIXELS, LEAST_FITTED = 256 * 128**2, 64
CUT_IMAGES = 512  # of validation, that cuts are compared on beside the training images: no labels are asked for
KEPT_BYTES = 1 << 28  # of images in other sizes than the teacher's
REFERENCES = 8  # sizes whose reference is kept, each in some 50 MB


class SupernetEvaluator:
    """Slices the supernet, re-estimates batch norm on training images, scores on validation images.

    With a teacher, slices are cuts of the trained network, and what is left of a block is fitted to what all of it
    gives, block after block, so that each answers for what those before it left undone. They are compared by
    `agreement` with the teacher, `exp(-divergence)`: accuracies of a few hundred images are too coarse, and soft labels
    can be had for training images, too. Without the fit, small images would seem better than narrow blocks, whose
    losses a fit makes up for in part.
    """

    weights_version = 0  # whoever trains the weights on counts it up
    own_weights = False

    def __init__(self, supernet: Supernet, data: Data, *, teacher: Teacher | None = None) -> None:
        """Score slices of `supernet` on images of `data`.

        Batches are made once per resolution and kept; of cuts, which come in many, as far as there is room.
        """
        self.supernet, self.data, self.teacher = supernet, data, teacher
        self._references: dict[Arch, Reference] = {}
        self._batches: dict[int, tuple[Batches, Batches]] = {}
        self._resized: dict[int, tuple[Batches, Batches]] = {}  # of cuts, by size
        self._labels: Tensor | None = None
        self._known: dict[Arch, Metrics] = {}

    def __call__(self, arch: Arch) -> Metrics:
        """Return `accuracy` and `loss` on the first validation images, which are shuffled; of cuts `agreement`, too."""
        if self.teacher is not None:
            return self._compared(arch)
        return _metrics(evaluate(self.network(arch), self._validation(self._side(arch))))

    def final(self, arch: Arch) -> Metrics:
        """Return the same on the whole validation split; agreement on as many images as in a search."""
        if self.teacher is not None and len(self.data.validation) <= CUT_IMAGES:
            return self._compared(arch)  # on the same images
        found = _metrics(evaluate(self.network(arch), self._whole_validation(self._side(arch))))
        return found if self.teacher is None else found | {AGREEMENT: self._compared(arch)[AGREEMENT]}

    def network(self, arch: Arch) -> Network:
        """Return the slice that `arch` is, batch norm re-estimated; a cut is fitted to the whole before."""
        return self._fitted(arch)[0]

    def _side(self, arch: Arch) -> int:
        return self.supernet.space.graph(arch).input.shape[1]

    def _fitted(self, arch: Arch) -> tuple[Network, Tensor | None]:
        """The slice that `arch` is, and the logits that it gives the images that it was fitted on, if it was."""
        space = self.supernet.space
        network = self.supernet.subnet(arch).to(memory_format=torch.channels_last)
        whole = None if self.teacher is None else whole_at(space, arch)
        batches = self._training(self._side(arch))
        if whole is None:
            reestimate_batch_norm(network, batches)
            return network, None
        if arch == whole:
            return copy.deepcopy(self._reference(whole).whole), None
        return network, self._reference(whole).fit(network, self._fitting(arch))

    def _reference(self, whole: Arch) -> Reference:
        """What cuts at a size are fitted to; weights that were trained on have statistics of their own at each size."""
        if whole not in self._references:
            space, network = self.supernet.space, self.supernet.subnet(whole).to(memory_format=torch.channels_last)
            assert isinstance(space, PretrainedSpace)
            original = None
            if not self.supernet.knows_statistics:
                reestimate_batch_norm(network, self._training(self._side(whole)))
            elif whole != space.whole:
                original = self._reference(space.whole)
            others = [arch for arch in self._references if arch != space.whole]
            if len(others) == REFERENCES:
                del self._references[others[0]]
            self._references[whole] = Reference(network, self._fitting(whole), original)
        return self._references[whole]

    def _fitting(self, arch: Arch) -> Tensor:
        """Training images that cuts of a size are fitted on."""
        side = self._side(arch)
        return torch.cat([x for x, _ in self._training(side)])[: _fitted_images(side)]

    @torch.no_grad()
    def _compared(self, arch: Arch) -> Metrics:
        """Metrics of a cut, beside its teacher; all cuts are compared on the same images, whatever their size."""
        assert self.teacher is not None
        if arch not in self._known:
            side, images = self._side(arch), _fitted_images(self.teacher.side)
            network, fitted = self._fitted(arch)
            if fitted is None:
                fitted = torch.cat([network(x) for x, _ in self._training(side)])
            merged = network.merged()
            validation = [merged(x).float() for x, _ in self._validation(side)]
            ours = torch.cat([fitted[:images].float(), *validation]).log_softmax(1)
            nats = max(0.0, float(F.kl_div(ours, self._soft_labels(images), reduction="batchmean")))
            given = iter(validation)
            scores = _metrics(scores_of(lambda x: next(given), self._validation(side)))
            self._known[arch] = {**scores, AGREEMENT: math.exp(-nats)}
        return dict(self._known[arch])

    def _soft_labels(self, images: int) -> Tensor:
        """The teacher's, of so many training images and the first ones of validation."""
        if self._labels is None:
            assert self.teacher is not None
            side = self.teacher.side
            training, validation = (
                torch.cat([self.teacher.labels(x) for x, _ in batches])
                for batches in (self._training(side), self._validation(side))
            )
            self._labels = torch.cat([training[:images], validation])
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
        if size not in self._resized:
            kept = self._batches_at(self.teacher.side, CUT_IMAGES)
            training, validation = ([(resized(x, size), y) for x, y in batches] for batches in kept)
            while sum(map(_bytes, self._resized.values())) > KEPT_BYTES:
                del self._resized[next(iter(self._resized))]
            self._resized[size] = training, validation
        return self._resized[size][split]

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


def _fitted_images(side: int) -> int:
    """The training images that cuts of a size are fitted on, at most."""
    return max(LEAST_FITTED, FITTED_PIXELS // side**2)


def _bytes(splits: tuple[Batches, Batches]) -> int:
    return sum(x.nbytes for batches in splits for x, _ in batches)


def _metrics(scores: Scores) -> Metrics:
    return {"accuracy": scores.accuracy, "loss": scores.loss}
