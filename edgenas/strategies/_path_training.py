"""Single-path training: each step trains a few architectures of a supernet, on one batch of training images."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from edgenas.data._base import Split, cycled
from edgenas.engine import distributed
from edgenas.engine.checkpoint import check_identity, load, save
from edgenas.engine.ghosts import cut
from edgenas.engine.sandwich import resized
from edgenas.engine.settings import Settings, rate
from edgenas.engine.train import SAVE_EVERY_S, Surroundings, make_optimizer
from edgenas.errors import EdgeNASError, Interrupted
from edgenas.graph import Arch
from edgenas.nn.supernet import Supernet

LOOKED_AT = 10  # steps from one look at the loss to the next: each waits for the device
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
        self.ghosts = cut(min(settings.batch_size, len(images)), settings.ghost_batch)
        self.steps = max(1, len(images) // settings.batch_size) * settings.epochs
        self.step = 0

    def advance(self, until: int, draw: Draw, around: Surroundings) -> None:
        """Train up to this step.

        Raises:
            Interrupted: the run is to stop; what is done is kept.
            EdgeNASError: the loss is no number any more.
        """
        begun = self.step
        self._reopen(begun, around)
        paths = islice(draw(np.random.default_rng((self.seed, PATHS_STREAM, begun)), begun), self.step - begun, None)
        size = self.supernet.space.shape[1]
        batches = cycled(self.images, self.settings.batch_size, size, self.seed, self.step, self.ghosts.rows)
        saved_at = time.monotonic()
        self.supernet.train()
        while self.step < until:
            loss = self.update(next(batches), distributed.broadcast(next(paths)))
            if self.step % LOOKED_AT == 0 or self.step == until:
                self._look(loss, around)
            if around.stop():
                distributed.first(lambda: self._save(begun, around))
                raise Interrupted("stopped during the search")
            if distributed.rank() == 0 and time.monotonic() - saved_at > SAVE_EVERY_S:
                self._save(begun, around)
                saved_at = time.monotonic()

    def update(self, batch: tuple[Tensor, Tensor], archs: Sequence[Arch]) -> Tensor:
        """One step of the optimiser on the mean gradient of these architectures; returns their mean loss ()."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.settings, self.step, self.steps)
        self.optimizer.zero_grad()

        def backward(x: Tensor, y: Tensor, step: int) -> Tensor:
            total = torch.zeros((), device=x.device)
            for arch in archs:
                with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
                    logits = self.supernet(resized(x, self.supernet, arch), arch)
                    loss = F.cross_entropy(logits, y, label_smoothing=self.settings.label_smoothing) / len(archs)
                loss.backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
            return total

        total = self.ghosts.step(self.supernet, backward, *batch, self.step)
        torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1
        return total

    def _look(self, loss: Tensor, around: Surroundings) -> None:
        value = loss.item()
        if not np.isfinite(value):
            raise EdgeNASError(f"the search diverged before step {self.step}: its loss is {value}; lower the rate")
        around.progress(self.step, self.steps, f"loss {value:.3f}")

    def _save(self, begun: int, around: Surroundings) -> None:
        if around.checkpoint is not None:
            save(around.checkpoint, {"begun": begun, "identity": around.identity, **self.state()})

    def _reopen(self, begun: int, around: Surroundings) -> None:
        """Go on within the part that begins here, if it was interrupted."""
        if around.checkpoint is None:
            return
        try:
            payload = load(around.checkpoint)
        except FileNotFoundError:
            return
        check_identity(around.checkpoint, payload, around.identity)
        if payload["begun"] == begun:
            self.load(payload)

    def state(self) -> dict[str, Any]:
        """Weights, optimiser and step."""
        return {
            "supernet": copy.deepcopy(self.supernet.state_dict()),
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "step": self.step,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of `state`."""
        self.supernet.load_state_dict(state["supernet"])
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.step = state["step"]
