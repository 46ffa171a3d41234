"""Single-path training: each step trains a few architectures of a supernet, on one batch of training images."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from edgenas.data.base import Split, cycled
from edgenas.exploration.strategy import Priced
from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.strategies.one_shot.parts import reopen, train_part
from edgenas.system import distributed
from edgenas.system.checkpoint import State, load_weights
from edgenas.training.context import TrainingContext
from edgenas.training.ghost_batch_norm import split_batch
from edgenas.training.memory import fit
from edgenas.training.sandwich import at_own_size
from edgenas.training.settings import Settings, batch_size_for, epochs_for, rate, steps_of
from edgenas.training.train import Stepper, make_optimizer

IMAGES = 40_000  # that a search of default length trains on
PATHS_STREAM, LARGEST_STREAM = 12, 14  # second words of a random stream's seed, after the run's
DRAWN = 64  # architectures, of which the memory of a step is measured on the largest

# From (generator, step): the architectures of each step from there on.
Draw = Callable[[Generator, int], Iterator[Sequence[Arch]]]


class PathTraining:
    """Trains `supernet` in parts, as a function of (seed, step) and of what is drawn.

    Its state is of the end of a part. Within one, the checkpoint of its context keeps what is done so far.
    """

    def __init__(self, supernet: Supernet, images: Split, settings: Settings, *, seed: int) -> None:
        """Train `supernet` on full-size `images`, each architecture at its own resolution; `seed` gives their order."""
        self.supernet, self.images, self.settings, self.seed = supernet, images, settings, seed
        self.optimizer = make_optimizer(supernet, settings)
        self.stepper = Stepper(supernet, self.optimizer, settings.clip)
        self.batch_size = min(settings.batch_size, len(images))
        self.ghosts = split_batch(self.batch_size, settings.ghost_batch)
        self.steps = steps_of(settings, len(images))
        self.step = 0
        self._fits = False  # whether the memory of a step is known

    def advance(self, until: int, draw: Draw, context: TrainingContext) -> None:
        """Train up to this step.

        Raises:
            Interrupted: the run is to stop; what is done is kept.
            EdgeNASError: twenty steps in a row had no finite gradient.
            EnvironmentFault: a step does not fit in memory; nothing was trained.
        """
        begun = reopen(self, context)
        self.supernet.train()
        if not self._fits:
            self._fit(draw, context)
        # A generator of the part, and not of the step: resumed in the middle, it draws the same paths again and skips
        # those that are trained already.
        paths = islice(draw(np.random.default_rng((self.seed, PATHS_STREAM, begun)), begun), self.step - begun, None)
        size = self.supernet.space.shape[1]
        batches = cycled(self.images, self.batch_size, size, self.seed, self.step, self.ghosts.rows)
        train_part(self, begun, until, lambda: self.update(next(batches), distributed.broadcast(next(paths))), context)

    def update(self, batch: tuple[Tensor, Tensor], archs: Sequence[Arch]) -> Tensor:
        """Do one step of the optimiser on the mean gradient of these architectures; return their mean loss ()."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.settings, self.step, self.steps)
        self.optimizer.zero_grad()

        loss = self.ghosts.step(self.supernet, lambda x, y, step: self._backward(x, y, archs), *batch, self.step)
        self.stepper.step()
        return loss

    def _backward(self, x: Tensor, y: Tensor, archs: Sequence[Arch]) -> Tensor:
        """Add the mean gradient of these architectures; return their mean loss ()."""
        total = torch.zeros((), device=x.device)
        for arch in archs:
            logits = self.logits(x, arch)
            loss = F.cross_entropy(logits, y, label_smoothing=self.settings.label_smoothing) / len(archs)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def _fit(self, draw: Draw, context: TrainingContext) -> None:
        """Cut batches so that a step on the largest of some paths fits in memory."""
        space = self.supernet.space
        # A stream of its own: the search for the largest path moves no draw of the training.
        paths = chain.from_iterable(draw(np.random.default_rng((self.seed, LARGEST_STREAM)), 0))
        # What is kept for the backward pass grows with the outputs of all nodes.
        sizes = {arch: sum(math.prod(node.shape) for node in space.graph(arch)) for arch in islice(paths, DRAWN)}
        largest = distributed.broadcast(max(sizes, key=sizes.__getitem__))
        step = partial(self._backward, archs=[largest])
        self.ghosts = fit(self.ghosts, self.supernet, step, space.shape, context)
        self._fits = True

    def logits(self, x: Tensor, arch: Arch) -> Tensor:
        """Return logits (N, classes), float32, of one path for full-size images (N, C, H, W)."""
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            return at_own_size(self.supernet, x, arch).float()

    def state(self) -> State:
        """Return weights, optimiser and step."""
        return {
            "supernet": copy.deepcopy(self.supernet.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "step": self.step,
        }

    def load(self, state: State) -> None:
        """Load what `state` returned."""
        load_weights(self.supernet, state["supernet"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.step = state["step"]


def path_training(priced: Priced, paths_a_step: int) -> PathTraining:
    """Return fresh weights to be trained, on fewer images where each step trains more paths."""
    config, images, space = priced.config, priced.data.train, priced.problem.space
    supernet = Supernet(space, torch.Generator().manual_seed(config.seed)).to(torch.device(priced.torch_device))
    supernet.forget_statistics()
    epochs = config.search_epochs or epochs_for(IMAGES // paths_a_step, 4, len(images))
    settings = Settings(epochs, batch_size_for(len(images)), ghost_batch=config.ghost_batch)
    return PathTraining(supernet.to(memory_format=torch.channels_last), images, settings, seed=config.seed)
