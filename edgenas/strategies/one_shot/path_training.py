"""Single-path training: each step trains a few architectures of a supernet, on one batch of training images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from edgenas.data.base import Split, cycled
from edgenas.graph.graph import Arch
from edgenas.nn.supernet import Supernet
from edgenas.strategies.one_shot.parts import reopen, train_part
from edgenas.system import distributed
from edgenas.system.checkpoint import State
from edgenas.training.context import TrainingContext
from edgenas.training.ghost_batch import cut
from edgenas.training.sandwich import resized
from edgenas.training.settings import Settings, rate, steps_of
from edgenas.training.train import Stepper, make_optimizer

PATHS_STREAM = 12  # first words of a random stream's seed, after the run's

# From (generator, step): the architectures of each step from there on.
Draw = Callable[[Generator, int], Iterator[Sequence[Arch]]]


class PathTraining:
    """Trains `supernet` in parts, as a function of (seed, step) and of what is drawn.

    Its state is of the end of a part. Within one, the checkpoint of its surroundings keeps what is done so far.
    """

    def __init__(self, supernet: Supernet, images: Split, settings: Settings, *, seed: int) -> None:
        """On full-size images, each architecture at its own resolution."""
        self.supernet, self.images, self.settings, self.seed = supernet, images, settings, seed
        self.optimizer = make_optimizer(supernet, settings)
        self.stepper = Stepper(supernet, self.optimizer, settings.clip)
        self.batch_size = min(settings.batch_size, len(images))
        self.ghosts = cut(self.batch_size, settings.ghost_batch)
        self.steps = steps_of(settings, len(images))
        self.step = 0

    def advance(self, until: int, draw: Draw, context: TrainingContext) -> None:
        """Train up to this step.

        Raises:
            Interrupted: the run is to stop; what is done is kept.
            EdgeNASError: twenty steps in a row had no finite gradient.
        """
        begun = reopen(self, context)
        paths = islice(draw(np.random.default_rng((self.seed, PATHS_STREAM, begun)), begun), self.step - begun, None)
        size = self.supernet.space.shape[1]
        batches = cycled(self.images, self.batch_size, size, self.seed, self.step, self.ghosts.rows)
        self.supernet.train()
        train_part(self, begun, until, lambda: self.update(next(batches), distributed.broadcast(next(paths))), context)

    def update(self, batch: tuple[Tensor, Tensor], archs: Sequence[Arch]) -> Tensor:
        """One step of the optimiser on the mean gradient of these architectures; returns their mean loss ()."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.settings, self.step, self.steps)
        self.optimizer.zero_grad()

        def backward(x: Tensor, y: Tensor, step: int) -> Tensor:
            total = torch.zeros((), device=x.device)
            for arch in archs:
                logits = self.logits(x, arch)
                loss = F.cross_entropy(logits, y, label_smoothing=self.settings.label_smoothing) / len(archs)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            return total

        loss = self.ghosts.step(self.supernet, backward, *batch, self.step)
        self.stepper.step()
        return loss

    def logits(self, x: Tensor, arch: Arch) -> Tensor:
        """Logits (N, classes), float32, of one path for full-size images (N, C, H, W)."""
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            logits: Tensor = self.supernet(resized(x, self.supernet, arch), arch)
        return logits.float()

    def state(self) -> State:
        """Weights, optimiser and step."""
        return {
            "supernet": copy.deepcopy(self.supernet.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "step": self.step,
        }

    def load(self, state: State) -> None:
        """Inverse of `state`."""
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.step = state["step"]
